"""Augmentation moves labels with the pixels, and does nothing when it is off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rt_pose.inference.preprocess import Preprocess
from rt_pose.package import InputSpec
from train.config import AugmentConfig
from train.data.augment import input_keypoints, random_warp
from train.data.batches import Batch, TrainingBatches, ValidationBatches
from train.data.labels import LabeledFrames

OFF = AugmentConfig(rotate_deg=0, scale=0, shift=0, brightness=0, contrast=0, noise=0)
WIDTH, HEIGHT = 180, 140


def _spec(width: int = WIDTH, height: int = HEIGHT) -> InputSpec:
    return InputSpec(width, height, 1, [0.0], [1.0])


def _frames(images: list[np.ndarray], xy: np.ndarray) -> LabeledFrames:
    return LabeledFrames(
        [str(i) for i in range(len(images))],
        images,
        xy,
        np.full(xy.shape[:2], 2, np.uint8),
        [str(k) for k in range(xy.shape[1])],
    )


def _blobs(count: int = 6) -> LabeledFrames:
    """Frames with one smooth bright blob each, centred exactly on its label."""
    xy = np.random.default_rng(5).uniform([50, 50], [WIDTH - 50, HEIGHT - 50], (count, 1, 2))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    images = [
        (250 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 4.0**2))).round().astype(np.uint8)[..., None]
        for cx, cy in xy[:, 0]
    ]
    return _frames(images, xy)


def _one_batch(frames: LabeledFrames, augment: AugmentConfig, spec: InputSpec, seed: int = 0) -> Batch:
    return next(iter(TrainingBatches(frames, spec, augment, len(frames), 1, seed)))


def _centroid(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(image * x).sum(), (image * y).sum()]) / image.sum()


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (120, 140), (96, 64)])
@pytest.mark.parametrize(
    "augment",
    [
        replace(OFF, rotate_deg=40),
        replace(OFF, scale=0.3),
        replace(OFF, shift=0.08),
        replace(OFF, rotate_deg=25, scale=0.2, shift=0.05),
    ],
)
def test_a_drawn_blob_stays_under_its_keypoint(augment: AugmentConfig, size: tuple[int, int]) -> None:
    batch = _one_batch(_blobs(), augment, _spec(*size), seed=3)
    for image, keypoint in zip(batch.images.numpy()[:, 0], batch.keypoints.numpy()[:, 0], strict=True):
        np.testing.assert_allclose(_centroid(image), keypoint, atol=0.05)


def test_warps_differ_between_frames_and_steps_and_repeat_with_the_seed() -> None:
    frames, augment = _blobs(3), replace(OFF, rotate_deg=20)

    def keypoints(seed: int) -> np.ndarray:
        batches = TrainingBatches(frames, _spec(), augment, 3, 4, seed)
        return np.stack([batch.keypoints.numpy() for batch in batches])

    first = keypoints(1)
    np.testing.assert_array_equal(first, keypoints(1))
    assert not np.array_equal(first, keypoints(2))
    assert len(np.unique(first[..., 0])) == first[..., 0].size


def test_the_whole_augmentation_repeats_with_the_seed() -> None:
    frames = _blobs(2)
    first = _one_batch(frames, AugmentConfig(), _spec(), seed=9)
    again = _one_batch(frames, AugmentConfig(), _spec(), seed=9)
    np.testing.assert_array_equal(first.images.numpy(), again.images.numpy())


def test_without_augmentation_it_is_the_live_preprocessing() -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (HEIGHT, WIDTH, 1), np.uint8) for _ in range(3)]
    frames = _frames(images, np.zeros((3, 1, 2)))
    spec = InputSpec(96, 64, 1, [127.0], [128.0])
    order = {image.tobytes(): i for i, image in enumerate(Preprocess(spec, 3)(images))}
    batch = _one_batch(frames, OFF, spec)
    assert sorted(order[image.tobytes()] for image in batch.images.numpy()) == [0, 1, 2]
    validation = next(iter(ValidationBatches(frames, spec, 3)))
    assert [order[image.tobytes()] for image in validation.images.numpy()] == [0, 1, 2]
    assert validation.frame_sizes == [(WIDTH, HEIGHT)] * 3


def test_contrast_turns_about_middle_gray() -> None:
    flat = [np.full((HEIGHT, WIDTH, 1), level, np.uint8) for level in (127, 128) * 4]
    batch = _one_batch(_frames(flat, np.zeros((8, 1, 2))), replace(OFF, contrast=0.9), _spec())
    # As a gain it would send them anywhere between 13 and 243.
    assert np.abs(batch.images.numpy() - 127.5).max() <= 1.5


def test_brightness_is_a_factor_within_its_range() -> None:
    flat = [np.full((HEIGHT, WIDTH, 1), 100, np.uint8)] * 16
    levels = _one_batch(_frames(flat, np.zeros((16, 1, 2))), replace(OFF, brightness=0.3), _spec()).images
    means = levels.mean(dim=(1, 2, 3)).numpy()
    assert means.min() >= 70
    assert means.max() <= 130
    assert np.ptp(means) > 20


def test_noise_is_normal_and_in_whole_grey_levels_of_the_frame() -> None:
    flat = [np.full((HEIGHT, WIDTH, 1), level, np.uint8) for level in (0, 128, 255) * 2]
    batch = _one_batch(_frames(flat, np.zeros((6, 1, 2))), replace(OFF, noise=12), _spec())
    images = batch.images.numpy()
    assert (images == images.round()).all()
    assert (images.min(), images.max()) == (0, 255), "darker than black is black"
    gray = max((image for image in images if np.median(image) == 128), key=np.std)
    off = (gray - 128) / gray.std()
    assert np.abs(off.mean()) < 0.02
    assert (off**4).mean() == pytest.approx(3, abs=0.2)
    neighbours = (off[0, :, 1:] * off[0, :, :-1]).mean()
    assert np.abs(neighbours) < 0.02


def test_shot_noise_grows_with_the_light() -> None:
    flat = [np.full((HEIGHT, WIDTH, 1), level, np.uint8) for level in (0, 40, 160) * 4]
    augment = replace(OFF, shot_noise=2.0)
    images = _one_batch(_frames(flat, np.zeros((12, 1, 2))), augment, _spec(), seed=3).images.numpy()
    black, dim, bright = ([i for i in images if abs(i.mean() - level) < 10] for level in (0, 40, 160))
    assert len(black) == len(dim) == len(bright) == 4
    assert np.ptp(black) == 0
    for some in (dim, bright):
        worth = [image.var() / image.mean() for image in some]  # grey levels a photoelectron
        assert max(worth) < 2.1
        assert max(worth) > 0.8


def test_noise_is_at_most_its_range() -> None:
    flat = [np.full((HEIGHT, WIDTH, 1), 128, np.uint8)] * 8
    spread = _one_batch(_frames(flat, np.zeros((8, 1, 2))), replace(OFF, noise=12), _spec()).images.std(
        dim=(1, 2, 3)
    )
    assert 2 < spread.max() < 12.5


def test_labels_outside_the_input_are_dropped() -> None:
    frame = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    shift = np.array([[1.0, 0.0, 30.0], [0.0, 1.0, 0.0]])
    xy = np.array([[10.0, 10.0], [WIDTH - 20.0, 10.0], [np.nan, np.nan], [WIDTH - 30.6, 0.0]])
    moved = input_keypoints(xy, shift, frame.shape, _spec())
    np.testing.assert_allclose(moved, [[40, 10], [np.nan] * 2, [np.nan] * 2, [WIDTH - 0.6, 0]])


def test_the_warp_keeps_the_centre_without_shift() -> None:
    centre = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    warp = random_warp(replace(OFF, rotate_deg=90, scale=0.5), (HEIGHT, WIDTH, 1), np.random.default_rng(0))
    np.testing.assert_allclose(warp[:, :2] @ centre + warp[:, 2], centre)
    assert 1 / 1.5 <= np.sqrt(np.linalg.det(warp[:, :2])) <= 1.5


def test_every_frame_is_shown_once_before_any_again() -> None:
    xy = np.arange(7.0)[:, None, None] * [1.0, 1.0]
    frames = _frames([np.zeros((HEIGHT, WIDTH, 1), np.uint8)] * 7, xy)
    shown = [
        int(x) for batch in TrainingBatches(frames, _spec(), OFF, 3, 7, 0) for x in batch.keypoints[:, 0, 0]
    ]
    for round_ in range(3):
        assert sorted(shown[7 * round_ : 7 * round_ + 7]) == list(range(7))
