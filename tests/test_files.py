"""Folders are looked at before anything is written into them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_disk import mounted

from rt_pose.errors import UserError
from rt_pose.files import check_folder


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
