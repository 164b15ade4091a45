"""Films keep every frame, in order, with its own times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.session.video_file import UNKNOWN, VideoWriter, read_times, read_video
from rt_pose.types import FrameStamps
from rt_pose.video import VideoReader


def _images(n: int, height: int, width: int, channels: int) -> np.ndarray:
    """Smooth pictures, each of its own brightness, so that one taken for another shows."""
    y, x = np.mgrid[0:height, 0:width]
    base = (x + y) / (height + width) * 80
    images = base[None, :, :, None] + (np.arange(n) * 37 % 160)[:, None, None, None]
    return np.repeat(images, channels, axis=3).astype(np.uint8)


def _stamps(index: int, exposure: int | None) -> FrameStamps:
    return FrameStamps(
        index=index, t_exposure_ns=exposure, t_arrival_ns=index * 10 + 2, t_scene_ns=index * 10
    )


@pytest.mark.parametrize(
    ("channels", "height", "width"), [(1, 96, 128), (3, 96, 128), (1, 97, 131), (3, 97, 131)]
)
def test_frames_come_back_in_their_rows(tmp_path: Path, channels: int, height: int, width: int) -> None:
    images = _images(130, height, width, channels)
    film = VideoWriter(tmp_path, "top", height, width, channels, 250.0)
    for i, image in enumerate(images):
        film.write(image, _stamps(3 * i, None if i == 5 else 3 * i * 10))
    film.close()

    times = read_times(tmp_path, "top")
    assert times is not None
    np.testing.assert_array_equal(times.frame, np.arange(130) * 3)
    assert times.t_exposure_ns[5] == UNKNOWN
    assert times.t_exposure_ns[6] == 180
    np.testing.assert_array_equal(times.t_arrival_ns, times.frame * 10 + 2)

    wanted = [0, 1, 7, 60, 61, 128, 129]
    got = dict(read_video(tmp_path, "top", wanted[::-1], channels, (height, width)))
    assert list(got) == wanted
    for row, image in got.items():
        assert image.shape == (height, width, channels)
        assert np.abs(image.astype(float) - images[row]).mean() < 1.5


def test_rows_beyond_the_end_are_left_out(tmp_path: Path) -> None:
    film = VideoWriter(tmp_path, "top", 64, 64, 1, None)
    for i, image in enumerate(_images(10, 64, 64, 1)):
        film.write(image, _stamps(i, i))
    film.close()
    assert [row for row, _ in read_video(tmp_path, "top", [9, 10, 500], 1)] == [9]


def test_a_cut_last_row_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "top.times.csv").write_text("frame,t_exposure_ns,t_scene_ns,t_arrival_ns\n1,2,3,4\n5,6,7")
    times = read_times(tmp_path, "top")
    assert times is not None
    assert times.frame.tolist() == [1]


def test_no_film(tmp_path: Path) -> None:
    assert read_times(tmp_path, "top") is None
    with pytest.raises(UserError, match="no film top"):
        list(read_video(tmp_path, "top", [0], 1))
    (tmp_path / "top.mkv").write_bytes(b"rubbish")
    with pytest.raises(UserError, match="cannot be read"):
        list(read_video(tmp_path, "top", [0], 1))


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 97, 131), (3, 97, 131), (3, 96, 128)])
def test_a_lossless_film_gives_back_every_level(
    tmp_path: Path, channels: int, height: int, width: int
) -> None:
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (20, height, width, channels), np.uint8)
    film = VideoWriter(tmp_path, "top", height, width, channels, 100.0, "ffv1")
    for i, image in enumerate(images):
        film.write(image, _stamps(i, i))
    film.close()
    got = dict(read_video(tmp_path, "top", range(20), channels, (height, width)))
    assert list(got) == list(range(20))
    for row, image in got.items():
        np.testing.assert_array_equal(image, images[row])
    # The reader of recordings, through which labels, training and prediction go, sees the same.
    reader = VideoReader(tmp_path / "top.mkv", 3 if channels == 3 else 1)
    for image in images:
        frame = reader.read()
        assert frame is not None
        np.testing.assert_array_equal(frame.image, image)
    reader.close()
