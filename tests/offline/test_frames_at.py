"""Single frames of videos are those that reading the whole video gives."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.offline import frames_at
from rt_pose.offline.frames_at import read_frames_at
from rt_pose.video import read_frames

FRAMES, SIZE = 40, (64, 48)


def write(path: Path, codec: str, pixels: str, **options: str) -> Path:
    """A video of which each frame has a grey level of its own."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixels
        for i in range(FRAMES):
            image = np.full((SIZE[1], SIZE[0], 3), 20 + 5 * i, np.uint8)
            image[i : i + 8, :20] = 250
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_they_are_those_of_the_whole_video(tmp_path: Path) -> None:
    videos = {
        write(tmp_path / "b_frames.mp4", "libx264", "yuv420p", g="12", bf="3"): True,
        write(tmp_path / "b_frames.mkv", "libx264", "yuv420p", g="7", bf="2"): True,
        write(tmp_path / "old.avi", "mpeg4", "yuv420p", g="10"): True,
        write(tmp_path / "pictures.avi", "png", "gray"): True,
        write(tmp_path / "colours.mp4", "libx264", "yuv444p", g="12"): False,
    }
    wanted = [39, 0, 13, 14, 13]
    for video, seeks in videos.items():
        whole = [frame.image for frame in read_frames(video, 3)]
        found = read_frames_at(video, wanted, FRAMES, 3)
        assert sorted(found) == [0, 13, 14, 39]
        assert all(np.array_equal(image, whole[number]) for number, image in found.items()), video.name
        by_seeking = frames_at._by_seeking(video, sorted(found), FRAMES, 3)
        assert (by_seeking is not None) == seeks, video.name
        # A table of another number of frames: times no longer tell which is which.
        assert frames_at._by_seeking(video, [3], FRAMES + 1, 3) is None
        assert np.array_equal(read_frames_at(video, [3, 99], FRAMES + 1, 3)[3], whole[3])


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(UserError, match="not a video"):
        read_frames_at(tmp_path / "a.mp4", [0], 1, 3)
