"""What exit codes mean is said once; help and pages repeat it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rt_pose.cli.main import main
from rt_pose.errors import ExitCode

PAGE = Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md"


def test_the_help_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out.partition("exit codes:\n")[2].splitlines()
    assert [line.split(maxsplit=1) for line in listed] == [[str(c.value), c.meaning] for c in ExitCode]


def test_the_page_lists_them() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Exit codes\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", section, re.MULTILINE)
    assert rows == [(str(code.value), code.meaning) for code in ExitCode]


def test_a_member_is_its_number() -> None:
    assert (ExitCode(4), ExitCode.INTERRUPTED) == (ExitCode.INCOMPLETE, 130)


@pytest.mark.parametrize(
    "verb", [["rules", "check"], ["replay"], ["report"], ["run", "--camera", "sim", "--model"]]
)
def test_a_name_too_long_for_a_path_is_one_message(
    verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*verb, "x" * 5000]) == ExitCode.MISTAKE
    shown = capsys.readouterr().err
    # A run lists all that is wrong, which may be a port in use besides.
    assert any(line.startswith("rt-pose: ") for line in shown.splitlines())
    assert "Traceback" not in shown


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_nothing_to_complain_of(unbuffered: str) -> None:
    """As `head`, which goes when it has seen enough."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "rt_pose.cli", "configs"],
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (ExitCode.FAILED, "")
