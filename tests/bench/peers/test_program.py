"""The comparison with peers: its arithmetic, its watch over other processes, its command line."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bench.background_load import BackgroundLoad, _process_ticks
from bench.peers.program import SETTLE, Times, _ratios, main, table
from rt_pose.loop.latency import summary
from train.importing.package import compare


def test_work_of_others_is_seen_and_our_own_is_not() -> None:
    others = BackgroundLoad([])
    others.start()
    spinner = "import time\nend = time.monotonic() + 0.6\nwhile time.monotonic() < end: pass"
    subprocess.run([sys.executable, "-c", spinner], check=True)
    assert others.share() > 0.1


def test_a_process_name_may_hold_anything() -> None:
    assert _process_ticks("7 (a) b) S 1 1 1 0 -1 4 0 0 0 0 30 12 0 0 20") == 42


def test_ratios_are_the_peers_time_over_ours() -> None:
    assert _ratios([30.0] * 10, [10.0] * 10) == {"p50": 3.0, "p99": 3.0}


def test_the_frames_of_settling_in_do_not_count_and_are_told() -> None:
    times = Times()
    for first in (90.0, 70.0):
        times.add([first, *[50.0] * (SETTLE - 1), *[10.0] * 4])
    figures = times.figures()
    assert (figures["ms"]["n"], figures["ms"]["max"]) == (8, 10.0)
    assert figures["first_of_block_ms"]["max"] == 90.0
    assert figures["all_ms"] == [10.0] * 8


def test_keypoints_that_only_one_sees_are_not_compared() -> None:
    ours = np.array([[[0.0, 0.0], [np.nan, np.nan], [3.0, 4.0]]])
    result = compare(ours, np.zeros((1, 3, 2)))
    assert (result["n"], result["max"]) == (2, 5.0)


def test_the_table_says_what_was_left_out() -> None:
    figures = {
        "machine": {"cpu": "some", "cores_usable": 2, "features": []},
        "threads": 2,
        "peer": {"name": "theirs", "ms": summary([20.0] * 5)},
        "frames": {"size": (256, 256), "source": "a.mp4"},
        "rounds": {"asked": 4, "left_out": 1, "block": 5},
        "ours": [
            {
                "name": "ours",
                "ms": summary([10.0] * 5),
                "times_faster": {"p50": 2.0, "p99": 2.0},
                "against_peer_px": {"n": 3, "median": 0.001, "max": 0.004},
                "displacement_px": {"median": 0.25, "p95": 1.5},
            }
        ],
    }
    text = table(figures)
    assert "1 left out" in text
    assert "0.001 / 0.004" in text
    assert "0.250 / 1.500" in text


def test_a_package_without_precision_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--kind", "dlc", "--python", "p", "--model", "m", "--package", "folder", "--video", "v"]
    monkeypatch.setattr(sys, "argv", ["peers", *words])
    assert main() == 2
    assert "expected PRECISION:FOLDER" in capsys.readouterr().err
