"""A session's folder belongs to one run, which writes how it ended whatever others do to it meanwhile."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from support.folder_holders import claim_at_once, hold_temporary_folder
from support.small_disk import mounted

from rt_pose.errors import UserError
from rt_pose.session.folder import SessionFolder, conclude_killed
from rt_pose.session.locks import clear_temporary_folders, is_locked, temporary_folder
from rt_pose.session.read import KILLED, RUNNING, read_info

SPAWN = multiprocessing.get_context("spawn")
INFO = {"schema": 1, "status": RUNNING}


def status(folder: Path) -> str:
    return str(json.loads((folder / "session.json").read_text())["status"])


def test_a_second_claim_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    folder = SessionFolder.claim(tmp_path / "s", INFO | {"id": "first"})
    with pytest.raises(UserError, match="exists already and is not empty"):
        SessionFolder.claim(tmp_path / "s", INFO | {"id": "second"})
    assert json.loads((tmp_path / "s" / "session.json").read_text())["id"] == "first"
    folder.close()


@pytest.mark.parametrize("there", [False, True])
def test_of_claims_in_the_same_moment_one_succeeds(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "s"
    if there:
        out.mkdir()
    begin = SPAWN.Barrier(4)
    pipes = [SPAWN.Pipe(duplex=False) for _ in range(4)]
    processes = [SPAWN.Process(target=claim_at_once, args=(out, begin, theirs)) for _, theirs in pipes]
    for process in processes:
        process.start()
    found = [ours.recv() for ours, _ in pipes]
    for process in processes:
        process.join()
    (winner,) = [pid for pid in found if pid]
    assert json.loads((out / "session.json").read_text())["id"] == str(winner)


def test_a_folder_that_was_filled_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        SessionFolder.claim(tmp_path / "s", INFO)
    assert [file.name for file in (tmp_path / "s").iterdir()] == ["notes.txt"]


def test_only_what_the_run_has_made_is_discarded(tmp_path: Path) -> None:
    folder = SessionFolder.claim(tmp_path / "s", INFO)
    (tmp_path / "s" / "log.mcap").write_text("")
    (tmp_path / "s" / "notes.txt").write_text("mine")
    folder.discard(["log.mcap", "top.mkv"])
    folder.close()
    assert [file.name for file in (tmp_path / "s").iterdir()] == ["notes.txt"]
    folder = SessionFolder.claim(tmp_path / "new", INFO)
    folder.discard(["log.mcap"])
    folder.close()
    assert not (tmp_path / "new").exists()


def test_the_end_is_written_on_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=256k") as disk:
        folder = SessionFolder.claim(disk / "s", INFO)
        fill(disk / "full")
        summary = {"cameras": {"top": {"captured": 1000}}, "reason": "time"}
        assert folder.write(INFO | {"status": "complete", "summary": summary}) == ""
        assert status(disk / "s") == "complete"
        assert "it holds how the run ended, but no counts" in folder.write(
            INFO | {"status": "again", "summary": {"text": "x" * 40_000}}
        )
        assert status(disk / "s") == "again"
        assert sorted(file.name for file in (disk / "s").iterdir()) == ["session.json"]
        folder.close()


def fill(file: Path) -> None:
    """Take all room of a disk."""
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(4096))


def test_a_folder_that_is_moved_is_followed(tmp_path: Path) -> None:
    folder = SessionFolder.claim(tmp_path / "s", INFO)
    (tmp_path / "s").rename(tmp_path / "elsewhere")
    assert folder.path == tmp_path / "elsewhere"
    assert folder.write(INFO | {"status": "complete"}) == ""
    assert status(tmp_path / "elsewhere") == "complete"
    assert not (tmp_path / "s").exists()
    folder.close()


def test_a_folder_that_was_removed_is_not_made_again(tmp_path: Path) -> None:
    folder = SessionFolder.claim(tmp_path / "s", INFO)
    shutil.rmtree(tmp_path / "s")
    assert "could not be written" in folder.write(INFO | {"status": "complete"})
    assert folder.path == tmp_path / "s"
    assert not (tmp_path / "s").exists()
    folder.close()


def test_a_place_that_cannot_be_written_is_a_mistake(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", "ro,size=1m") as disk,
        pytest.raises(UserError, match="cannot be written: Read-only"),
    ):
        SessionFolder.claim(disk / "s", INFO)


def test_a_killed_session_is_concluded_by_who_comes_next(tmp_path: Path) -> None:
    out = tmp_path / "s"
    folder = SessionFolder.claim(out, INFO)
    (out / "session.json.part").write_text("half")
    assert is_locked(out)
    assert not conclude_killed(out), "its run goes on"
    assert (status(out), read_info(out).status) == (RUNNING, RUNNING)
    folder.close()
    assert read_info(out).status == KILLED
    assert conclude_killed(out)
    assert status(out) == KILLED
    assert [file.name for file in out.iterdir()] == ["session.json"]
    assert not conclude_killed(out)


def test_a_killed_session_on_a_read_only_disk_reads_the_same(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        SessionFolder.claim(disk / "s", INFO).close()
        os.system(f"mount -o remount,ro {disk}")
        assert not conclude_killed(disk / "s")
        assert read_info(disk / "s").status == KILLED


def test_temporary_folders_of_killed_processes_are_cleared(tmp_path: Path) -> None:
    ours, theirs = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=hold_temporary_folder, args=(theirs,))
    process.start()
    left: Path = ours.recv()
    clear_temporary_folders()
    assert left.is_dir(), "its process lives"
    process.kill()
    process.join()
    assert left.is_dir()
    with temporary_folder() as own:
        assert not left.exists()
        clear_temporary_folders()
        assert own.is_dir()
    assert not own.exists()
