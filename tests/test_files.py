"""Folders are looked at before anything is written into them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.small_disk import mounted

from rt_pose.errors import UserError
from rt_pose.files import LONGEST_NAME, check_folder, check_output, check_output_folder, is_plain_name


def test_a_folder_that_can_be_made_is_not_made(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b", need_mib=1)
    assert list(tmp_path.iterdir()) == []


def test_below_a_file_there_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write into .*file; give another --out"):
        check_folder(tmp_path / "file" / "out", need_mib=0)


def test_a_read_only_disk(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", "ro,size=1m") as disk,
        pytest.raises(UserError, match="cannot write into"),
    ):
        check_folder(disk / "out", need_mib=0)


def test_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=2m") as disk:
        check_folder(disk / "out", need_mib=1)
        (disk / "film.mkv").write_bytes(bytes(2**21))
        with pytest.raises(UserError, match=r"at least 1 MiB are needed, 0 MiB are free in .*; make room or"):
            check_folder(disk / "out", need_mib=1)


def test_a_file_of_others_is_replaced_only_on_demand(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    check_output(out)
    out.write_text("mine")
    with pytest.raises(UserError, match="not as a result of this command; give another name, or --overwrite"):
        check_output(out)
    check_output(out, overwrite=True)
    check_output(out, is_ours=lambda head: head == b"mine")


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_read_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    source = tmp_path / "video.mp4"
    source.write_bytes(b"film")
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "soft").symlink_to(source)
    for out in (source, tmp_path / "hard", tmp_path / "soft", tmp_path / "x" / ".." / "video.mp4"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(UserError, match="is what the command reads"):
            check_output(out, [source], overwrite=overwrite, is_ours=lambda _: True)


def test_what_is_no_plain_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for out, what in ((tmp_path / "pipe", "no plain file"), (tmp_path, "is a folder")):
        with pytest.raises(UserError, match=what):
            check_output(out, overwrite=True)


def test_a_folder_is_known_by_its_marker(tmp_path: Path) -> None:
    made = ("result.json", "table*.csv")
    (tmp_path / "notes.txt").write_text("mine")
    check_output_folder(tmp_path, made, "result.json")
    check_output_folder(tmp_path / "none", made, "result.json")
    (tmp_path / "table_1.csv").write_text("mine")
    with pytest.raises(UserError, match=r"table_1\.csv: exists already"):
        check_output_folder(tmp_path, made, "result.json")
    (tmp_path / "result.json").write_text("{}")
    check_output_folder(tmp_path, made, "result.json")
    with pytest.raises(UserError, match="is what the command reads"):
        check_output_folder(tmp_path, made, "result.json", [tmp_path / "table_1.csv"])
    with pytest.raises(UserError, match="is a file"):
        check_output_folder(tmp_path / "notes.txt", made, "result.json")


def test_a_name_out_of_a_file_is_short_and_can_be_written() -> None:
    assert is_plain_name("network.pt2")
    assert is_plain_name("\u00fc" * (LONGEST_NAME // 2))
    assert not is_plain_name("\u00fc" * (LONGEST_NAME // 2 + 1)), "its bytes count"
    assert not is_plain_name("lone \ud800")
