"""Parts that take hours: each done once, alone, and refused under other settings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.headtohead.program import main
from bench.headtohead.steps import alone, call, once
from rt_pose.errors import UserError


def test_a_step_is_done_once_and_refused_under_other_settings(tmp_path: Path) -> None:
    done: list[int] = []

    def do() -> dict[str, int]:
        done.append(1)
        return {"steps": 600}

    first = once(tmp_path / "f0", {"steps": 600}, do)
    assert once(tmp_path / "f0", {"steps": 600}, do) == first
    assert (len(done), first["steps"]) == (1, 600)
    with pytest.raises(UserError, match="steps: 600 -> 300"):
        once(tmp_path / "f0", {"steps": 300}, do)


def test_a_step_that_fails_is_not_done(tmp_path: Path) -> None:
    def fail() -> dict[str, int]:
        raise UserError("no")

    with pytest.raises(UserError):
        once(tmp_path / "f0", {}, fail)
    assert once(tmp_path / "f0", {}, lambda: {"n": 1})["n"] == 1


def test_two_parts_do_not_run_in_one_folder(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(UserError, match="another part"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_what_a_program_said_last_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(UserError, match="ended with 1: of this"):
        call([sys.executable, "-c", "raise SystemExit('dead\\nof this')"], log)
    with pytest.raises(UserError, match="--part setup"):
        call([str(tmp_path / "python")], log)


def test_the_command_line_is_checked_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--part", "litpose-train", "--work", str(tmp_path), "--data", str(tmp_path)]
    assert main([*words, "--fold", "6"]) == 2
    assert "there are 6, 0 to 5" in capsys.readouterr().err
    assert main([*words, "--steps", "0"]) == 2
    assert main(["--part", "table", "--work", str(tmp_path), "--data", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
