"""Which videos are meant, and the tables they become."""

from __future__ import annotations

from pathlib import Path

import pytest

from rt_pose.errors import UserError
from rt_pose.offline.find_videos import find_videos

OUT = Path("out")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mp4", "day1/cam0.avi", "day2/cam0.avi", "day2/cam1.MKV", "day2/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def _tables(asked: str) -> list[str]:
    return [str(job.out) for job in find_videos(asked, OUT)]


def test_a_folder_is_taken_with_all_below_it(folder: Path) -> None:
    assert _tables(str(folder)) == [
        "out/a.csv",
        "out/day1/cam0.csv",
        "out/day2/cam0.csv",
        "out/day2/cam1.csv",
    ]
    assert find_videos(str(folder), OUT)[0].name == "a.mp4"


def test_a_pattern_names_tables_under_its_fixed_part(folder: Path) -> None:
    assert _tables(f"{folder}/day*/cam0.avi") == ["out/day1/cam0.csv", "out/day2/cam0.csv"]
    assert _tables(f"{folder}/day2/*.avi") == ["out/cam0.csv"]
    assert len(_tables(f"{folder}/**/*.avi")) == 2


def test_a_list_is_relative_to_itself_and_may_name_what_is_not_there(folder: Path) -> None:
    listed = folder / "list.txt"
    listed.write_text(f"# mine\nday1/cam0.avi\n\n{folder}/day2/cam0.avi\nday2/gone.avi\nday1/cam0.avi\n")
    assert _tables(str(listed)) == ["out/day1/cam0.csv", "out/day2/cam0.csv", "out/day2/gone.csv"]


def test_one_video_is_a_folder_of_one(folder: Path) -> None:
    assert _tables(str(folder / "day2" / "cam1.MKV")) == ["out/cam1.csv"]


def test_two_videos_never_become_one_table(folder: Path) -> None:
    (folder / "a.avi").write_text("")
    with pytest.raises(UserError, match=r"a\.avi and .*a\.mp4 would both become out/a\.csv"):
        find_videos(str(folder), OUT)


def test_nothing_found_is_said(folder: Path) -> None:
    empty = folder / "empty"
    empty.mkdir()
    cases = {
        str(empty): "no file that ends in",
        f"{folder}/*.mov": "no file has such a name",
        str(folder / "day2" / "notes.txt"): "it lists no video",
        str(folder / "nowhere"): "no such file or folder",
    }
    for asked, expected in cases.items():
        with pytest.raises(UserError, match=expected):
            find_videos(asked, OUT)
    (folder / "picture.bin").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UserError, match="neither a video nor a text file"):
        find_videos(str(folder / "picture.bin"), OUT)
