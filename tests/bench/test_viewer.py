"""What is said of runs with a window and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.viewer import Options, format_table, measure
from rt_pose.errors import UserError


def write_run(work: Path, number: int, side: str, p50: float, p99: float) -> None:
    """As a run leaves it that was measured before."""
    measured: dict[str, Any] = {
        "latency_ms": {"n": 100, "p50": p50, "p99": p99},
        "captured": 3600,
        "superseded": 12,
        "precision": "bf16",
        "window_cores": 0.3 + number / 10 if side == "with" else None,
    }
    (work / f"{number:03d}-{side}.json").write_text(json.dumps(measured))


def test_pairs_that_were_measured_before_are_compared(tmp_path: Path) -> None:
    for number, (p50, p99) in enumerate([(11.0, 22.0), (11.2, 20.0), (10.8, 18.0)]):
        write_run(tmp_path, number, "with", p50, p99)
        write_run(tmp_path, number, "without", 10.0, 20.0)
    figures = measure(Options(model="none", video=Path("none"), pairs=3, work=tmp_path))
    median, tail = figures["ratios"]["p50"], figures["ratios"]["p99"]
    assert median["low"] > 1.0
    assert median["mean"] == pytest.approx(1.1, abs=1e-3)
    assert tail["mean"] == pytest.approx(0.99 ** (1 / 3))
    assert tail["low"] < tail["mean"] < tail["high"]
    assert (figures["window_cores"]["p50"], figures["window_cores"]["max"]) == (0.4, 0.5)
    table = format_table(figures)
    assert "P50, with over without: 1.100 (95 %: 1.0" in table
    assert "12 of 3,600" in table
    assert "; bf16." in table
    assert "the window takes 0.40 cores (median of 3), at most 0.50" in table
    json.dumps(figures)


def test_one_pair_has_no_interval() -> None:
    with pytest.raises(UserError, match="--pairs"):
        measure(Options(model="none", video=Path("none"), pairs=1))
