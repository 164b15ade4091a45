"""Clips hold consecutive frames of one video, changed as labeled frames are; their affine can be undone."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from support.log_lines import log_into
from support.moving_disc import SIZE, place, shown, write_disc

from rt_pose.errors import UserError
from rt_pose.inference.preprocess import Preprocess
from rt_pose.package import InputSpec
from rt_pose.video import probe, read_frames
from train.config import AugmentConfig
from train.data.clip_reader import KEYS_BACK, ClipReader
from train.data.clips import ClipBatch, ClipBatches, redo_affine, undo_affine
from train.data.videos import check_videos, index_video
from train.losses.motion import motion_px

OFF = AugmentConfig(rotate_deg=0, scale=0, shift=0, brightness=0, contrast=0, noise=0)
SPEC = InputSpec(*SIZE, 1, [0.0], [1.0])


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_disc(tmp_path_factory.mktemp("clips") / "disc.mkv")


def _clips(disc: Path, augment: AugmentConfig, steps: int = 3, **options: object) -> list[ClipBatch]:
    options = {"spec": SPEC, "clip_length": 4, "seed": 0} | options
    videos = check_videos([disc], 4)
    return list(ClipBatches(videos, augment=augment, steps=steps, **options))  # type: ignore[arg-type]


def _centroids(images: torch.Tensor) -> torch.Tensor:
    """(T, 2) of each image's bright disc, px."""
    light = images[:, 0].double().clone()
    light[light < 25] = 0
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in light.shape[1:]), indexing="ij")
    return torch.stack([(light * x).sum((1, 2)), (light * y).sum((1, 2))], -1) / light.sum((1, 2))[:, None]


def test_without_augmentation_a_clip_is_the_live_preprocessing_of_its_frames(disc: Path) -> None:
    spec = InputSpec(96, 64, 1, [127.0], [128.0])
    (clip,) = _clips(disc, OFF, steps=1, spec=spec)
    frames = [frame.image for frame in read_frames(disc, 1)][clip.start : clip.start + 4]
    np.testing.assert_array_equal(clip.images.numpy(), Preprocess(spec, 4)(frames))
    assert clip.frame_size == SIZE
    assert len(clip.second) == 0


@pytest.mark.parametrize("size", [SIZE, (96, 64)])
def test_the_clips_affine_leads_back_to_the_videos_pixels(disc: Path, size: tuple[int, int]) -> None:
    augment = replace(OFF, rotate_deg=25, scale=0.2, shift=0.05)
    spec = InputSpec(*size, 1, [0.0], [1.0])
    for clip in _clips(disc, augment, spec=spec):
        truth = np.stack([place(clip.start + t) for t in range(4)])
        images = clip.images.clone()
        back = undo_affine(_disc_only(images, truth, clip), clip.from_input.double())
        np.testing.assert_allclose(back.numpy(), truth, atol=0.15)


def _disc_only(images: torch.Tensor, truth: np.ndarray, clip: ClipBatch) -> torch.Tensor:
    """Centroids of the discs, the corner that numbers the frames masked out."""
    expected = redo_affine(torch.from_numpy(truth), clip.from_input.double())
    y, x = torch.meshgrid(torch.arange(images.shape[2]), torch.arange(images.shape[3]), indexing="ij")
    for image, (cx, cy) in zip(images, expected, strict=True):
        image[0, (x - cx) ** 2 + (y - cy) ** 2 > 18**2] = 0
    return _centroids(images)


def test_undoing_an_affine_is_the_inverse_and_hands_gradients_on() -> None:
    random = torch.Generator().manual_seed(0)
    xy = torch.rand((5, 3, 2), generator=random, dtype=torch.float64) * 100
    affine = torch.tensor([[1.9, 0.4, -20.0], [-0.3, 2.2, 7.0]], dtype=torch.float64)
    torch.testing.assert_close(redo_affine(undo_affine(xy, affine), affine), xy)
    for way in (undo_affine, redo_affine):
        moved = xy.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda points, f=way: f(points, affine), (moved,))
    moved = xy.clone().requires_grad_()
    undo_affine(moved, affine)[..., 0].sum().backward()
    torch.testing.assert_close(moved.grad, affine[0, :2].expand(5, 3, 2))
    assert undo_affine(torch.full((1, 2), torch.nan), affine.float()).isnan().all()


@pytest.mark.parametrize("name", [field.name for field in fields(AugmentConfig) if field.name != "flip"])
def test_every_augmentation_changes_clips(disc: Path, name: str) -> None:
    """A setting that acted on labeled frames alone would silently be off for clips; of flip it is said."""
    spec = replace(SPEC, mean=[0.0])
    plain, changed = (
        _clips(disc, augment, spec=spec, seed=3)
        for augment in (
            OFF,
            replace(OFF, **{name: 0.5 if name in ("erase", "brightness", "contrast") else 5.0}),
        )
    )
    for one, other in zip(plain, changed, strict=True):
        assert (one.images - other.images).abs().amax(dim=(1, 2, 3)).min() >= 1
        assert one.start == other.start


def test_one_warp_and_one_light_serve_a_whole_clip(disc: Path) -> None:
    levels = set()
    for clip in _clips(disc, replace(OFF, erase=0.9, brightness=0.5, contrast=0.5), steps=6):
        still = clip.images[:, 0, 60:, 140:]  # where the disc never comes
        assert (still == still[:1]).all()
        levels |= set(still.unique().tolist())
    assert len(levels) > 3


def test_a_clip_depends_on_seed_and_step_alone(disc: Path) -> None:
    whole = _clips(disc, AugmentConfig(), steps=4, again=2)
    resumed = _clips(disc, AugmentConfig(), steps=2, first_step=2, again=2)
    for one, other in zip(whole[2:], resumed, strict=True):
        assert one.start == other.start
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.second, other.second)
    other_seed = _clips(disc, AugmentConfig(), steps=4, seed=1)
    assert [clip.start for clip in whole] != [clip.start for clip in other_seed]


@pytest.mark.parametrize("augment", [replace(OFF, noise=8.0), replace(OFF, shot_noise=2.0, noise=2.0)])
def test_the_second_draw_differs_in_noise_alone(disc: Path, augment: AugmentConfig) -> None:
    augment = replace(augment, rotate_deg=20, brightness=0.2)
    clip = _clips(disc, augment, steps=2, again=2)[1]
    assert clip.again == [0, 2]
    difference = clip.images[clip.again] - clip.second
    assert 0.3 < difference.std() < 12
    assert difference.mean().abs() < 0.2


def test_a_second_draw_without_noise_is_refused(disc: Path) -> None:
    with pytest.raises(UserError, match=r"set augment\.noise or augment\.shot_noise above 0"):
        _clips(disc, OFF, again=2)


def test_clips_never_cross_a_seam(tmp_path: Path) -> None:
    """Neither from one video into the next nor over missing frames."""
    first = write_disc(tmp_path / "a.mkv", frames=6)
    second = write_disc(tmp_path / "b.mkv", frames=120, skipped=(50,), first=100)
    spec = InputSpec(*SIZE, 1, [0.0], [1.0])
    clips = ClipBatches(check_videos([first, second], 5), spec, OFF, clip_length=5, seed=0, steps=60)
    seen = set()
    for clip in clips:
        numbers = [shown(image.numpy().transpose(1, 2, 0).round().astype(np.uint8)) for image in clip.images]
        assert all(b - a == 1 for a, b in pairwise(numbers)), numbers
        seen.add(clip.video.name)
    assert seen == {"a.mkv", "b.mkv"}


def _with_a_damaged_frame(source: Path, target: Path, frame: int, kept: float) -> Path:
    with av.open(str(source)) as container:
        packet = [p for p in container.demux(video=0) if p.size][frame]
        position, size = packet.pos, packet.size
    content = bytearray(source.read_bytes())
    good = int(kept * size)
    content[position + good : position + size] = bytes((37 * i) % 256 for i in range(size - good))
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("kept", [0.0, 0.33], ids=["refused by the decoder", "marked as corrupt"])
def test_a_damaged_frame_is_passed_over_with_a_count(tmp_path: Path, kept: float) -> None:
    whole = write_disc(tmp_path / "whole.avi", frames=120, codec="mpeg4")
    damaged = _with_a_damaged_frame(whole, tmp_path / "damaged.avi", 40, kept)
    video, messages = index_video(damaged), []
    reader = ClipReader(1)
    assert log_into(messages, reader.read, video, 38, 4) is None
    assert len(reader.corrupt) == 1
    assert "frame 40 cannot be decoded" in messages[0]
    clean = [frame.image for frame in read_frames(whole, 1)]
    for found, expected in zip(reader.read(video, 100, 4) or [], clean[100:104], strict=True):
        np.testing.assert_array_equal(found, expected)
    clips = ClipBatches(check_videos([damaged], 4), SPEC, OFF, 4, seed=0, steps=40)
    assert all(not clip.start <= 40 < clip.start + 4 for clip in clips)
    assert len(clips.reader.corrupt) == 1


def test_what_is_forgiven_over_time_comes_from_the_frames_before_a_damaged_one(tmp_path: Path) -> None:
    whole = write_disc(tmp_path / "whole.avi", frames=60, codec="mpeg4")
    labels = np.random.default_rng(0).uniform([40, 30], [110, 80], (20, 1, 2))
    late = _with_a_damaged_frame(whole, tmp_path / "late.avi", 31, kept=0.0)
    # The disc moves by 1.8 px a frame; coding adds to its 99th percentile.
    assert motion_px(labels, [probe(late)]) == pytest.approx(2.0, abs=0.4)
    early = _with_a_damaged_frame(whole, tmp_path / "early.avi", 1, kept=0.0)
    with pytest.raises(UserError, match="first frames cannot be decoded"):
        motion_px(labels, [probe(early)])


def test_a_video_whose_frames_cannot_be_decoded_is_refused_before_training(tmp_path: Path) -> None:
    whole = write_disc(tmp_path / "whole.avi", frames=20, codec="mpeg4")
    damaged = _with_a_damaged_frame(whole, tmp_path / "damaged.avi", 0, kept=0.0)
    with pytest.raises(UserError, match=r"damaged\.avi: .*cannot be decoded"):
        check_videos([damaged], 4)


@pytest.mark.parametrize(
    "name", ["mirror-mouse/videos/test_vid.mp4", "openfield-dlc/videos/m3v1mp4.mp4", "replay/dog_clip.avi"]
)
def test_a_clip_of_a_real_video_is_what_reading_it_through_gives(data_dir: Path, name: str) -> None:
    """With B-frames, key frames that others lean on, yuv444p and MPEG-4."""
    video = index_video(data_dir / name)
    reader = ClipReader(1)
    through = [frame.image for frame, _ in zip(read_frames(video.path, 1), range(230), strict=False)]
    for start in (0, 11, 180, 191, 224):
        clip = reader.read(video, start, 5)
        assert clip is not None
        for found, expected in zip(clip, through[start : start + 5], strict=True):
            np.testing.assert_array_equal(found, expected)


def test_clips_of_old_444_recordings_are_the_frames_of_the_whole(data_dir: Path) -> None:
    """Their decoder must have seen the first frame, wherever it is sent to."""
    path = data_dir / "openfield-dlc" / "videos" / "m3v1mp4.mp4"
    video, messages = index_video(path), []
    reader = ClipReader(1)
    start = int(np.searchsorted(video.times, video.keys[KEYS_BACK + 1])) + 3  # too far to begin at the first
    clip = log_into(messages, reader.read, video, start, 4)
    assert clip is not None, messages
    for frame in read_frames(path, 1):
        if frame.index >= start:
            np.testing.assert_array_equal(clip[frame.index - start], frame.image)
        if frame.index == start + 3:
            break
    assert not messages


def test_clips_of_several_cameras_are_of_the_same_frames_each_changed_by_itself(tmp_path: Path) -> None:
    first = write_disc(tmp_path / "a.mkv", frames=120)
    second = write_disc(tmp_path / "b.mkv", frames=121, skipped=(20,))
    alone, other = check_videos([first], 4), check_videos([second], 4)
    made = list(ClipBatches(alone, SPEC, OFF, 4, seed=0, steps=30, others=[other]))
    for clip in made:
        assert [view.video.name for view in clip.views] == ["a.mkv", "b.mkv"]
        starts = {view.start for view in clip.views}
        assert starts == {clip.start}
        assert not 16 < clip.start < 20, "a frame is missing there in the second"
    augment = replace(OFF, rotate_deg=25, scale=0.2, brightness=0.4)
    options = {"seed": 0, "steps": 3}
    several = ClipBatches(alone, SPEC, augment, 4, others=[other], **options)  # type: ignore[arg-type]
    single = ClipBatches(alone, SPEC, augment, 4, **options)  # type: ignore[arg-type]
    for clip, plain in zip(several, single, strict=True):
        one, two = clip.views
        assert (one.from_input - two.from_input).abs().max() > 0.01
        if clip.start == plain.start:
            np.testing.assert_array_equal(one.images, plain.images)
        for view in clip.views:
            shift = 0 if view is one or view.start < 20 else 1
            truth = np.stack([place(view.start + t + shift) for t in range(4)])
            back = undo_affine(_disc_only(view.images.clone(), truth, view), view.from_input.double())
            np.testing.assert_allclose(back.numpy(), truth, atol=0.15)


def test_a_frame_that_is_damaged_in_one_camera_is_passed_over_in_all(tmp_path: Path) -> None:
    whole = write_disc(tmp_path / "whole.avi", frames=60, codec="mpeg4")
    damaged = _with_a_damaged_frame(whole, tmp_path / "damaged.avi", 40, kept=0.0)
    videos, others = check_videos([whole], 4), check_videos([damaged], 4)
    clips = list(ClipBatches(videos, SPEC, OFF, 4, seed=0, steps=20, others=[others]))
    assert all(not clip.start <= 40 < clip.start + 4 for clip in clips)
    assert all(len(clip.views) == 2 for clip in clips)
