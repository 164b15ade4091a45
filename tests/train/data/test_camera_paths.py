"""Which camera took a video is told by its path, and what cameras took together by what paths share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.moving_disc import write_disc

from rt_pose.errors import UserError
from train.data.camera_paths import CameraPaths, group_videos
from train.data.videos import index_video


@pytest.mark.parametrize(
    ("path", "cameras", "recording"),
    [
        ("back/minimal_back/frame_000012", ["back"], "*/minimal_*/frame_000012"),
        ("labeled-data/day1_cam_1/img7.png", ["cam_1"], "labeled-data/day1_*/img7.png"),
        ("day1_cam_1_top.mp4", ["cam_1_top"], "day1_*.mp4"),
        ("backpack/cam_12.mp4", [], "backpack/cam_12.mp4"),
        ("back/mouse-cam_1.mp4", ["back", "cam_1"], "*/mouse-*.mp4"),
    ],
)
def test_a_camera_is_a_word_of_its_own(path: str, cameras: list[str], recording: str) -> None:
    paths = CameraPaths(["cam_1", "cam_1_top", "back"])
    assert paths.cameras_in(path) == cameras
    assert paths.recording_of(path) == recording


def group(folder: Path, *names: str) -> list[list[str]]:
    found = group_videos([index_video(folder / name) for name in names], ["back", "top"], 4, "losses.x")
    return [[video.path.relative_to(folder).as_posix() for video in recording] for recording in found]


def test_videos_are_grouped_by_recording_in_the_order_of_the_cameras(tmp_path: Path) -> None:
    """Whatever the folder above them is called."""
    folder = tmp_path / "top"
    for name in ("a_top.mkv", "a_back.mkv", "b_back.mkv", "b_top.mkv"):
        (folder / name).parent.mkdir(exist_ok=True)
        write_disc(folder / name, frames=8)
    assert group(folder, "a_top.mkv", "a_back.mkv", "b_back.mkv", "b_top.mkv") == [
        ["a_back.mkv", "a_top.mkv"],
        ["b_back.mkv", "b_top.mkv"],
    ]
    write_disc(folder / "c_top.mkv", frames=8)
    write_disc(folder / "d.mkv", frames=8)
    write_disc(folder / "e_back.mkv", frames=8)
    write_disc(folder / "e_top.mkv", frames=9)
    with pytest.raises(UserError) as refused:
        group(
            folder, "c_top.mkv", "d.mkv", "e_back.mkv", "e_top.mkv", "a_back.mkv", "a_back.mkv", "a_top.mkv"
        )
    lines = str(refused.value).splitlines()
    assert [line.split("losses.x: ")[1][:40] for line in lines] == [
        "video d.mkv has no name of a camera in i",
        "video a_back.mkv is given twice in `vide",
        "the recording c_*.mkv has no video of ba",
        "the videos of the recording e_*.mkv have",
    ]
    assert "(back 8, top 9)" in lines[3]


def test_a_gap_in_one_camera_is_one_in_all(tmp_path: Path) -> None:
    write_disc(tmp_path / "a_back.mkv", frames=121, skipped=(4,))
    write_disc(tmp_path / "a_top.mkv", frames=120)
    (recording,) = group_videos(
        [index_video(tmp_path / f"a_{name}.mkv") for name in ("back", "top")],
        ["back", "top"],
        116,
        "losses.x",
    )
    assert [len(video.times) for video in recording] == [120, 120]
    with pytest.raises(UserError, match=r"in the recording a_\*\.mkv no 117 frames follow one another"):
        group_videos(recording, ["back", "top"], 117, "losses.x")
