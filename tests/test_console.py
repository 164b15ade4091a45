"""Bars that end where the work ends, and lines in their place where the output goes to a file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from rt_pose import console
from rt_pose.console import progress, track


def test_a_bar_ends_at_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter(range(993)), "frames", 994)) == list(range(993))
    assert "993/993" in capsys.readouterr().err
    assert list(track([1, 2, 3], "frames")) == [1, 2, 3]
    assert "3/3" in capsys.readouterr().err
    assert list(track([1], "mouse{1}[red].mp4")) == [1]
    assert "mouse{1}[red].mp4" in capsys.readouterr().err
    with progress("frames", 994) as report_progress:
        report_progress(993)
    assert "993/993" in capsys.readouterr().err


def test_a_job_whose_output_goes_to_a_file_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.0)

    def some() -> Iterator[int]:
        yield from range(3)

    list(track(some(), "frames", 4))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("frames: ")]
    assert [line.partition(",")[0] for line in lines] == [
        "frames: 1 of 4",
        "frames: 2 of 4",
        "frames: 3 of 4",
    ]


def test_lines_reach_a_file_at_once() -> None:
    program = (
        "import logging, os, sys\nfrom rt_pose.console import log_to_console\nlog_to_console()\n"
        "logging.getLogger('train').info('step 100')\nsys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        assert running.stdout.readline() == "step 100\n", "before the program ends"
        running.stdin.write("\n")
