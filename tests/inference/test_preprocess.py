"""The DALI graph against an independent resize, and the affine that travels with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.inference.decode_compiled import to_frame
from rt_pose.inference.preprocess import Preprocess, frame_from_input, frames_pipeline
from rt_pose.package import InputSpec
from rt_pose.video import read_frames

GRAY = InputSpec(48, 40, 1, mean=[120.0], std=[60.0])
RGB = InputSpec(48, 40, 3, mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])

RESIZE_TOLERANCE_GREY_LEVELS = 0.02
"""DALI tabulates the filter's weights in single precision."""


def noise(height: int, width: int, channels: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def triangle_matrix(size_in: int, size_out: int) -> NDArray[np.float64]:
    """(out, in) weights of linear interpolation that widens to cover the pixels it skips.

    Beyond the border the border's pixels go on.
    """
    scale = size_in / size_out
    pad = int(np.ceil(scale)) + 1
    centres = (np.arange(size_out) + 0.5) * scale - 0.5
    places = np.arange(-pad, size_in + pad)
    weights = np.maximum(0.0, 1.0 - np.abs(places - centres[:, None]) / max(scale, 1.0))
    matrix = np.zeros((size_out, size_in))
    np.add.at(matrix.T, places.clip(0, size_in - 1), weights.T)
    return matrix / matrix.sum(axis=1, keepdims=True)


def reference(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float64]:
    """(C, h, w) normalised network input, in numpy."""
    rows = triangle_matrix(image.shape[0], spec.height)
    columns = triangle_matrix(image.shape[1], spec.width)
    resized = rows @ image.transpose(2, 0, 1).astype(np.float64) @ columns.T
    return (resized - np.array(spec.mean)[:, None, None]) / np.array(spec.std)[:, None, None]


@pytest.mark.parametrize(("height", "width"), [(203, 198), (40, 48), (40, 97), (33, 30)])
@pytest.mark.parametrize("spec", [GRAY, RGB], ids=["gray", "rgb"])
def test_resize_and_normalisation_are_the_stated_ones(spec: InputSpec, height: int, width: int) -> None:
    image = noise(height, width, spec.channels)
    found = Preprocess(spec)([image])
    assert found.shape == (1, spec.channels, spec.height, spec.width)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    error_grey_levels = np.abs(found[0] - reference(image, spec)) * np.array(spec.std)[:, None, None]
    assert error_grey_levels.max() < RESIZE_TOLERANCE_GREY_LEVELS


def test_real_frames(mirror_mouse: Path) -> None:
    spec = InputSpec(256, 256, 1, mean=[100.0], std=[50.0])
    preprocess = Preprocess(spec)
    for frame, _ in zip(read_frames(mirror_mouse / "videos" / "test_vid.mp4", 1), range(3), strict=False):
        difference = preprocess([frame.image])[0] - reference(frame.image, spec)
        assert np.abs(difference).max() * 50.0 < RESIZE_TOLERANCE_GREY_LEVELS


def test_the_output_is_that_of_the_frame_just_given() -> None:
    preprocess = Preprocess(GRAY)
    for level in (0, 250, 60, 120, 7):
        batch = preprocess([np.full((64, 70, 1), level, np.uint8)])
        np.testing.assert_allclose(batch, (level - 120.0) / 60.0, atol=1e-5)


def test_frame_size_and_channels_may_change_between_calls() -> None:
    preprocess = Preprocess(GRAY)
    for height, width, channels in [(60, 50, 1), (90, 80, 1), (60, 50, 3), (60, 50, 1)]:
        image = noise(height, width, 1)
        given = np.repeat(image, channels, axis=2)
        np.testing.assert_allclose(preprocess([given])[0], reference(image, GRAY), atol=1e-3)


def test_batch_equals_single_frames() -> None:
    images = [noise(60, 50, 1, seed) for seed in range(3)]
    single = Preprocess(GRAY)
    expected = np.concatenate([single([image]).copy() for image in images])
    np.testing.assert_array_equal(Preprocess(GRAY, batch_size=3)(images), expected)


def test_frames_are_not_written_to() -> None:
    image = noise(60, 50, 1)
    before = image.copy()
    Preprocess(GRAY)([image])
    np.testing.assert_array_equal(image, before)


def test_gray_frames_are_repeated_for_an_rgb_network() -> None:
    image = noise(60, 50, 1)
    found = Preprocess(RGB)([image])
    np.testing.assert_allclose(found[0], reference(np.repeat(image, 3, axis=2), RGB), atol=1e-3)


def test_rgb_frames_become_luma_for_a_gray_network() -> None:
    image = np.broadcast_to(np.array([200, 40, 90], np.uint8), (60, 50, 3)).copy()
    luma = 0.299 * 200 + 0.587 * 40 + 0.114 * 90
    found = Preprocess(GRAY)([image]) * 60.0 + 120.0
    # Luma is rounded to a grey level, as a gray camera would have given it.
    np.testing.assert_allclose(found, luma, atol=0.51)


def test_affine_finds_a_dot_where_it_was_drawn() -> None:
    spec = InputSpec(64, 48, 1, mean=[0.0], std=[1.0])
    frame_size = (200, 180)
    y, x = np.mgrid[:180, :200]
    drawn = np.array([63.4, 121.7])
    bell = 255.0 * np.exp(-((x - drawn[0]) ** 2 + (y - drawn[1]) ** 2) / (2 * 9.0**2))
    small = Preprocess(spec)([bell.astype(np.uint8)[:, :, None]])[0, 0].astype(np.float64)
    rows, columns = np.mgrid[:48, :64]
    found = np.array([[(small * columns).sum(), (small * rows).sum()]]) / small.sum()
    to_frame(frame_from_input(spec, frame_size), 0, 0, found, np.eye(2)[None].copy())
    np.testing.assert_allclose(found[0], drawn, atol=0.05)


def test_affine_maps_edges_to_edges_and_covariance_with_them() -> None:
    affine = frame_from_input(InputSpec(64, 48, 1, mean=[0.0], std=[1.0]), (128, 240))
    corners = np.array([[-0.5, -0.5], [63.5, 47.5]])
    cov = np.array([[[2.0, 0.5], [0.5, 1.0]]] * 2)
    to_frame(affine, 10, 20, corners, cov)
    np.testing.assert_allclose(corners, [[9.5, 19.5], [137.5, 259.5]], atol=1e-12)
    np.testing.assert_allclose(cov[1], [[8.0, 5.0], [5.0, 25.0]])


def test_a_general_affine_carries_the_covariance_as_matrices_do() -> None:
    random = np.random.default_rng(0)
    affine, xy = random.normal(size=(2, 3)), random.normal(size=(5, 2))
    half = random.normal(size=(5, 2, 2))
    cov = half @ half.transpose(0, 2, 1)
    linear = affine[:, :2]
    expected = xy @ linear.T + affine[:, 2], linear @ cov @ linear.T
    to_frame(affine, 0, 0, xy, cov)
    np.testing.assert_allclose(xy, expected[0])
    np.testing.assert_allclose(cov, expected[1])


def test_the_executor_that_streams_need_gives_the_frame_just_fed() -> None:
    """Without a GPU the same executor: what it puts out is of this call, however many frames a call has."""
    random = np.random.default_rng(0)
    pipeline = frames_pipeline(GRAY, 1, 4, asynchronous=True)
    for count in (1, 3, 1, 4):
        images = [random.integers(0, 256, (90, 120, 1), np.uint8) for _ in range(count)]
        pipeline.feed_input("frames", images)
        found = np.asarray(pipeline.run()[0].as_tensor())
        np.testing.assert_array_equal(found, Preprocess(GRAY, 4)(images))
