"""Reading recorded videos: real files, and every way in which one can be broken."""

from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.video import VideoReader, probe, read_frames

WIDTH, HEIGHT, FRAMES = 70, 46, 12


def levels(index: int, channels: int) -> NDArray[np.uint8]:
    """A frame (H, W, C) that tells its number: a ramp plus 5 grey levels a frame."""
    ramp = np.arange(WIDTH, dtype=np.uint8) + np.uint8(5 * index)
    image = np.broadcast_to(ramp[None, :, None], (HEIGHT, WIDTH, channels)).copy()
    if channels == 3:
        image[:, :, 1] = 30
    return image


def write(
    path: Path, codec: str, pix_fmt: str, channels: int = 1, pts: list[int] | None = None, **options: str
) -> Path:
    """A video of FRAMES frames at 100 Hz, or at the times `pts` (ms)."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=100)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        if pts is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(FRAMES):
            image = levels(i, channels)
            given = image[:, :, 0] if channels == 1 else image
            frame = av.VideoFrame.from_ndarray(given, format="gray" if channels == 1 else "rgb24")
            if pts is not None:
                frame.pts, frame.time_base = pts[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def gray(tmp_path: Path) -> Path:
    return write(tmp_path / "gray.mkv", "ffv1", "gray")


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    short = path.with_stem(path.stem + "_cut")
    short.write_bytes(data[: int(len(data) * share)])
    return short


def test_a_lossless_gray_video_comes_back_to_the_bit(gray: Path) -> None:
    info = probe(gray)
    assert (info.width, info.height, info.channels, info.frames) == (WIDTH, HEIGHT, 1, FRAMES)
    assert info.rate_hz == pytest.approx(100.0)
    frames = list(read_frames(gray, 1))
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.t_ns for frame in frames] == [i * 10_000_000 for i in range(FRAMES)]
    for frame in frames:
        assert frame.image.flags.c_contiguous
        np.testing.assert_array_equal(frame.image, levels(frame.index, 1))


def test_a_recording_that_is_opened_again_leaves_nothing_to_the_collector(gray: Path) -> None:
    """One that plays round and round in a loop that allocates nothing would fill the memory."""

    def read(again: VideoReader | None) -> VideoReader:
        reader = VideoReader(gray, 1, None, again)
        for _ in range(5):
            reader.read()
        reader.close()
        return reader

    last = read(None)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            last = read(last)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_gray_read_as_rgb_is_three_times_the_same(gray: Path) -> None:
    for frame in read_frames(gray, 3):
        np.testing.assert_array_equal(frame.image, np.repeat(levels(frame.index, 1), 3, axis=2))


def test_a_lossless_rgb_video_comes_back_to_the_bit(tmp_path: Path) -> None:
    path = write(tmp_path / "rgb.mkv", "ffv1", "bgr0", channels=3)
    assert probe(path).channels == 3
    for frame in read_frames(path, 3):
        np.testing.assert_array_equal(frame.image, levels(frame.index, 3))


def test_gray_of_a_yuv_video_is_its_luma_at_full_range(tmp_path: Path) -> None:
    path = write(tmp_path / "yuv.mkv", "ffv1", "yuv420p")
    for frame in read_frames(path, 1):
        # Limited-range luma has 220 levels for 256.
        np.testing.assert_allclose(frame.image.astype(int), levels(frame.index, 1).astype(int), atol=1)


def test_frames_keep_their_own_times(tmp_path: Path) -> None:
    times_ms = [100, 110, 125, 130, 190, 200, 210, 215, 290, 300, 310, 400]
    path = write(tmp_path / "uneven.mkv", "ffv1", "gray", pts=times_ms)
    found = [frame.t_ns for frame in read_frames(path, 1)]
    assert found == [(t - 100) * 1_000_000 for t in times_ms]


def test_frames_coded_out_of_order_come_in_the_order_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "b.mp4", "libx264", "yuv420p")
    frames = list(read_frames(path, 1))
    assert len(frames) == FRAMES
    means = [frame.image.mean() for frame in frames]
    assert means == sorted(means)
    assert [frame.t_ns for frame in frames] == [i * 10_000_000 for i in range(FRAMES)]


def test_start_skips_frames_exactly(gray: Path) -> None:
    first = next(read_frames(gray, 1, start=7))
    assert (first.index, first.t_ns) == (7, 70_000_000)
    np.testing.assert_array_equal(first.image, levels(7, 1))
    assert list(read_frames(gray, 1, start=100)) == []


def test_pixels_go_into_the_buffer_given(gray: Path) -> None:
    slot = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    with VideoReader(gray, 1) as reader:
        for index in range(FRAMES):
            frame = reader.read(into=slot)
            assert frame is not None
            assert frame.image is slot
            np.testing.assert_array_equal(slot, levels(index, 1))
        assert reader.read(into=slot) is None


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.mp4: no such file"):
        probe(tmp_path / "none.mp4")


@pytest.mark.parametrize("name", ["notes.txt", "noise.mp4", "empty.avi", "table.csv"])
def test_not_a_video(tmp_path: Path, name: str) -> None:
    content = {
        "notes.txt": b"some words\n" * 50,
        "noise.mp4": np.random.default_rng(0).bytes(5000),
        "empty.avi": b"",
        "table.csv": b"a,b\n1,2\n" * 50,
    }
    (tmp_path / name).write_bytes(content[name])
    for use in (probe, lambda path: VideoReader(path, 1)):
        with pytest.raises(UserError, match="not a video"):
            use(tmp_path / name)


def test_a_cut_mp4_does_not_open(tmp_path: Path) -> None:
    path = cut(write(tmp_path / "a.mp4", "libx264", "yuv420p"), 0.6)
    with pytest.raises(UserError, match=r"an mp4 .* cut off"):
        probe(path)


def test_a_cut_mp4_with_its_contents_in_front_is_found_out(tmp_path: Path) -> None:
    whole = write(tmp_path / "front.mp4", "mpeg4", "yuv420p", movflags="faststart")
    assert probe(whole).frames == FRAMES
    with pytest.raises(
        UserError, match=r"cut off: by its own account it has \d+ bytes or more, \d+ are there"
    ):
        probe(cut(whole, 0.8))


@pytest.mark.parametrize("share", [0.4, 0.7, 0.9])
@pytest.mark.parametrize(("name", "codec"), [("a.avi", "rawvideo"), ("a.mkv", "ffv1")])
def test_a_cut_avi_or_mkv_is_found_out(tmp_path: Path, name: str, codec: str, share: float) -> None:
    whole = write(tmp_path / name, codec, "gray")
    assert probe(whole).frames == FRAMES
    with pytest.raises(
        UserError, match=r"cut off: by its own account it has \d+ bytes or more, \d+ are there"
    ):
        probe(cut(whole, share))


def test_a_video_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "none.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.start_encoding()
    with pytest.raises(UserError, match="holds no frame"):
        probe(path)


def test_real_recordings(data_dir: Path) -> None:
    mouse = probe(data_dir / "mirror-mouse" / "videos" / "test_vid.mp4")
    assert (mouse.width, mouse.height, mouse.frames, mouse.rate_hz) == (396, 406, 994, 250.0)
    times = [frame.t_ns for frame in read_frames(mouse.path, 1)]
    np.testing.assert_array_equal(np.diff(times), 4_000_000)
    assert len(times) == 994
    dog = probe(data_dir / "replay" / "dog_clip.avi")
    assert (dog.frames, dog.rate_hz) == (296, 30.0)
    assert sum(1 for _ in read_frames(dog.path, 3)) == 296


@pytest.mark.parametrize("share", [0.3, 0.5, 0.97])
def test_real_recordings_cut(data_dir: Path, tmp_path: Path, share: float) -> None:
    for source in ("mirror-mouse/videos/test_vid.mp4", "replay/dog_clip.avi"):
        copy = tmp_path / Path(source).name
        copy.write_bytes((data_dir / source).read_bytes())
        with pytest.raises(UserError, match="cut off"):
            probe(cut(copy, share))
