"""Recordings as they come: turned, with wrong headers and missing frames, joined, of changing size, gray."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from numpy.typing import NDArray
from support.odd_videos import HEIGHT, WIDTH, corner, film, joined, with_count, with_dropped_frames

from rt_pose.errors import UserError
from rt_pose.inference.gpu.video import check_upright
from rt_pose.session.video_file import VideoWriter, read_video
from rt_pose.types import FrameStamps
from rt_pose.video import Channels, VideoReader, probe, read_frames

FRAMES = [corner(i) for i in range(20)]
LEVELS = np.tile(np.arange(256, dtype=np.uint8), (16, 1))


@pytest.fixture
def avi(tmp_path: Path) -> Path:
    return film(tmp_path / "plain.avi", FRAMES, "mjpeg", "yuvj420p")


# ---------------------------------------------------------------- turned


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("clockwise", [90, 180, 270])
@pytest.mark.parametrize("name", ["phone.mp4", "phone.mkv"])
def test_frames_come_as_players_show_them(
    tmp_path: Path, name: str, clockwise: int, channels: Channels
) -> None:
    path = film(tmp_path / name, FRAMES, rotation=-clockwise)
    info = probe(path)
    expected = np.rot90(FRAMES[0], -clockwise // 90)
    assert (info.rotation, info.height, info.width) == (clockwise, *expected.shape)
    first = next(read_frames(path, channels))
    assert first.image.shape == (*expected.shape, channels)
    assert np.abs(first.image.astype(int) - expected[..., None]).max() <= 4
    small = (info.width // 2, info.height // 2)
    with VideoReader(path, channels, small) as reader:
        slot = np.zeros((small[1], small[0], channels), np.uint8)
        frame = reader.read(into=slot)
    assert frame is not None
    assert frame.image is slot
    bright = np.argwhere(slot[..., 0] > 150).mean(axis=0)
    np.testing.assert_allclose(bright, np.argwhere(expected > 150).mean(axis=0) / 2, atol=1.0)


def test_what_programs_show_in_different_ways_is_refused_with_the_command_that_bakes_it_in(
    tmp_path: Path,
) -> None:
    mirrored = film(tmp_path / "mirrored.mp4", FRAMES, hflip=True)
    askew = film(tmp_path / "askew.mp4", FRAMES, rotation=30)
    for path in (mirrored, askew):
        with pytest.raises(UserError, match=rf"`ffmpeg -i {path.name} -crf 12 {path.stem}_new\.mp4`"):
            probe(path)
        with pytest.raises(UserError, match="display matrix"):
            next(read_frames(path, 1))


def test_the_gpus_decoder_refuses_a_turned_recording(tmp_path: Path) -> None:
    check_upright(probe(film(tmp_path / "plain.mp4", FRAMES)))
    with pytest.raises(UserError, match=r"turned by 90 degrees.*use `decoder: pyav`"):
        check_upright(probe(film(tmp_path / "phone.mp4", FRAMES, rotation=-90)))


# ---------------------------------------------------------------- counts and missing frames


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("count", [12, 33])
def test_a_headers_count_is_a_hint(avi: Path, count: int, index: bool) -> None:
    path = with_count(avi, count, index)
    info = probe(path)
    assert info.frames == sum(1 for _ in read_frames(path, 1)) == 20
    assert f"its header speaks of {count} frames, it holds 20" in info.notes[0]
    assert probe(avi).notes == []


def test_frames_that_an_avi_dropped_are_missing_and_the_others_keep_their_times(avi: Path) -> None:
    path = with_dropped_frames(avi, [0, 7, 8, 19])
    info = probe(path)
    kept = [i for i in range(20) if i not in (0, 7, 8, 19)]
    assert info.frames == len(kept)
    assert "some were dropped as it was recorded" in info.notes[0]
    frames = list(read_frames(path, 1))
    assert [frame.index for frame in frames] == list(range(len(kept)))
    at = [round(frame.t_ns * 30 / 1e9) for frame in frames]
    assert at == [i - 1 for i in kept]
    for frame, shown in zip(frames, kept, strict=True):
        assert np.abs(frame.image[..., 0].astype(int) - FRAMES[shown]).mean() < 3


@pytest.mark.parametrize("share", [0.4, 0.9])
def test_an_avi_that_lacks_bytes_is_still_found_out(avi: Path, share: float) -> None:
    for path in (avi, with_dropped_frames(avi, [3]), with_count(avi, 10)):
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(UserError, match=r"cut off: by its own account it has \d+ bytes or more"):
            probe(path)


# ---------------------------------------------------------------- times and sizes


def test_times_that_begin_again_run_on_in_a_new_epoch(tmp_path: Path) -> None:
    path = joined(tmp_path / "joined.ts", FRAMES, FRAMES, FRAMES[:5])
    frames = list(read_frames(path, 1))
    assert len(frames) == probe(path).frames == 45
    assert [frame.epoch for frame in frames] == [0] * 20 + [1] * 20 + [2] * 5
    np.testing.assert_allclose(np.diff([frame.t_ns for frame in frames]), 1e9 / 30, atol=2e5)
    assert next(read_frames(path, 1, start=42)).epoch == 2


def test_a_size_that_changes_is_told_with_what_can_be_kept(tmp_path: Path) -> None:
    path = joined(tmp_path / "changed.ts", FRAMES, [corner(i, 80, 60) for i in range(5)])
    with VideoReader(path, 1) as reader:
        for _ in range(20):
            assert reader.read(np.zeros((HEIGHT, WIDTH, 1), np.uint8)) is not None
        with pytest.raises(UserError, match=r"change from 64x48 to 80x60 at frame 20;.*-frames:v 20"):
            reader.read(np.zeros((HEIGHT, WIDTH, 1), np.uint8))


@pytest.mark.parametrize(("codec", "pix_fmt"), [("ffv1", "yuv444p"), ("ffv1", "gray"), ("mjpeg", "yuvj444p")])
def test_odd_sizes(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    odd = [image[:-1, :-3] for image in FRAMES]
    path = film(tmp_path / "odd.mkv", [np.ascontiguousarray(image) for image in odd], codec, pix_fmt)
    info = probe(path)
    assert (info.width, info.height, info.frames) == (61, 47, 20)
    for channels in (1, 3):
        frame = next(read_frames(path, 1 if channels == 1 else 3))
        assert frame.image.shape == (47, 61, channels)
        assert np.abs(frame.image.astype(int) - odd[0][..., None]).mean() < 3


# ---------------------------------------------------------------- gray levels

GRAY_WAYS = {
    "gray H.264": ("libx264", "gray", "a.mp4"),
    "gray H.264 in mkv": ("libx264", "gray", "a.mkv"),
    "gray H.264 in a transport stream": ("libx264", "gray", "a.ts"),
    "gray H.264 in AVI": ("libx264", "gray", "a.avi"),
    "gray H.264 of 10 bits": ("libx264", "gray10le", "a.mp4"),
    "full range": ("libx264", "yuvj420p", "a.mp4"),
    "limited range": ("libx264", "yuv420p", "a.mp4"),
    "colour 4:4:4": ("libx264", "yuv444p", "a.mp4"),
    "FFV1": ("ffv1", "gray", "a.mkv"),
    "FFV1, limited range": ("ffv1", "yuv420p", "a.mkv"),
    "Motion JPEG": ("mjpeg", "yuvj420p", "a.avi"),
    "raw": ("rawvideo", "gray", "a.avi"),
    "PNG": ("png", "gray", "a.avi"),
}


@pytest.mark.parametrize("way", GRAY_WAYS)
def test_a_gray_recordings_levels_are_the_cameras(tmp_path: Path, way: str) -> None:
    codec, pix_fmt, name = GRAY_WAYS[way]
    options = {"crf": "0"} if codec == "libx264" else {}
    path = film(tmp_path / name, [LEVELS] * 90, codec, pix_fmt, **options)
    for channels in (1, 3):
        image = next(read_frames(path, 1 if channels == 1 else 3)).image
        assert np.abs(image.astype(int) - LEVELS[..., None]).max() <= 2, way
        assert (image == image[..., :1]).all(), "gray has three equal colours"


@pytest.mark.parametrize("tag", [ColorRange.MPEG, ColorRange.JPEG])
def test_a_range_that_is_said_is_heeded(tmp_path: Path, tag: ColorRange) -> None:
    path = tmp_path / "said.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=30)
        stream.height, stream.width = LEVELS.shape
        stream.pix_fmt = "yuv420p"
        stream.codec_context.color_range = tag
        frame = av.VideoFrame(*LEVELS.shape[::-1], "yuv420p")
        frame.color_range = tag
        for plane, values in zip(frame.planes, (LEVELS, 128, 128), strict=True):
            np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:] = values  # type: ignore[call-overload]
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    levels = np.arange(256.0)
    stretched = np.clip((levels - 16) * 255 / 219, 0, 255)
    expected = levels if tag == ColorRange.JPEG else stretched
    for channels in (1, 3):
        image = next(read_frames(path, 1 if channels == 1 else 3)).image
        assert np.abs(image[0, :, 0] - expected).max() <= 2


@pytest.mark.parametrize("channels", [1, 3])
def test_the_programs_own_film_has_the_cameras_levels(tmp_path: Path, channels: Channels) -> None:
    image: NDArray[np.uint8] = np.repeat(LEVELS[..., None], channels, axis=2)
    writer = VideoWriter(tmp_path, "top", *image.shape, 30.0)
    for i in range(5):
        stamps = FrameStamps(index=i, t_exposure_ns=i, t_arrival_ns=i, t_scene_ns=i)
        writer.write(image, stamps)
    writer.close()
    kept = next(read_video(tmp_path, "top", [2], channels))[1]
    read = list(read_frames(tmp_path / "top.mkv", channels))[2].image
    for found in (kept, read):
        assert np.abs(found.astype(int) - image).max() <= 4
        assert abs(float(found.mean()) - float(image.mean())) < 0.7
