"""Unlabeled videos are looked at before training starts."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from support.moving_disc import write_disc
from support.odd_videos import corner, film, joined

from rt_pose.errors import UserError
from rt_pose.video import read_frames
from train.data.clip_reader import ClipReader
from train.data.videos import check_videos, find_videos, index_video


def _variable(path: Path) -> Path:
    return write_disc(path, frames=60, skipped=tuple(range(5, 60, 4)))


def test_a_good_video_is_indexed(tmp_path: Path) -> None:
    (video,) = check_videos([write_disc(tmp_path / "a.mkv", frames=20)], 8)
    assert len(video.times) == 20
    assert video.starts(8).tolist() == list(range(13))
    assert video.starts(21).size == 0
    assert video.size == (160, 120)


def test_no_clip_starts_before_a_gap(tmp_path: Path) -> None:
    video = index_video(write_disc(tmp_path / "a.mkv", frames=12, skipped=(5,)))
    assert video.starts(3).tolist() == [0, 1, 2, 5, 6, 7, 8]


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    whole = write_disc(tmp_path / "whole.mp4", frames=60, codec="mpeg4")
    cut = tmp_path / "cut.avi"
    cut.write_bytes(write_disc(tmp_path / "x.avi", frames=60, codec="mpeg4").read_bytes()[:9000])
    text = tmp_path / "notes.mp4"
    text.write_text("not a video\n" * 50)
    paths = [
        whole,
        write_disc(tmp_path / "short.mkv", frames=5),
        _variable(tmp_path / "variable.mkv"),
        cut,
        text,
        tmp_path / "gone.mp4",
    ]
    with pytest.raises(UserError) as refused:
        check_videos(paths, 16)
    lines = str(refused.value).splitlines()[1:]
    assert len(lines) == 5
    for line, notes in zip(
        lines,
        (
            "5 frames, shorter than a clip (16",
            "variable frame rate",
            "cut.avi",
            "not a video",
            "no such file",
        ),
        strict=True,
    ):
        assert notes in line


def test_clips_come_upright_and_with_the_levels_that_prediction_sees(tmp_path: Path) -> None:
    for path in (
        film(tmp_path / "phone.mp4", [corner(i) for i in range(8)], rotation=-90),
        film(tmp_path / "gray.mp4", [corner(i) for i in range(8)], pix_fmt="gray"),
    ):
        (video,) = check_videos([path], 3)
        clip = ClipReader(1).read(video, 2, 3)
        assert clip is not None
        predicted = [frame.image for frame in read_frames(path, 1)][2:5]
        assert clip[0].shape == (video.size[1], video.size[0], 1)
        np.testing.assert_array_equal(clip, predicted)


def test_times_that_begin_again_are_refused_and_no_clip_is_taken_across_another_size(tmp_path: Path) -> None:
    frames = [corner(i) for i in range(8)]
    again = joined(tmp_path / "again.ts", frames, frames)
    with pytest.raises(UserError, match=r"its times begin again at frame 8,.* setpts=N/FRAME_RATE/TB"):
        index_video(again)


def test_yuv444p_serves(data_dir: Path) -> None:
    path = data_dir / "openfield-dlc/videos/m3v1mp4.mp4"
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv444p"
    (video,) = check_videos([path], 16)
    assert len(video.times) == 2330
    assert len(video.starts(16)) == 2315


def test_videos_are_found_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    with pytest.raises(UserError, match="no video in this folder"):
        find_videos(tmp_path)
    one = write_disc(tmp_path / "videos/a.mkv", frames=3)
    (tmp_path / "videos/notes.txt").write_text("")
    assert find_videos(tmp_path) == [one]
    assert find_videos(tmp_path, ["videos/a.mkv"]) == [one]
    with pytest.raises(UserError, match=r"no such file: .*b\.mkv"):
        find_videos(tmp_path, ["videos/b.mkv"])


def test_a_path_from_the_current_folder_is_told_from_one_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    video = write_disc(tmp_path / "a.mkv", frames=3)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as raised:
        find_videos(data, ["a.mkv"])
    message = str(raised.value)
    assert f"relative to the data folder ({data})" in message
    assert message.endswith(f"for the one in the current folder write {video}")
    assert find_videos(data, [video]) == [video]
