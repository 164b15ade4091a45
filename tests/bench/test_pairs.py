"""Alternating pairs of two builds: the statistics, and short runs of this build beside itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.clip import write_clip
from support.tiny_package import make_tiny_package

from bench.pairs import Options, compare_with_bounds, interval, main, measure_pair

ROOT = Path(__file__).resolve().parents[2]


def test_the_interval_holds_the_true_ratio_nineteen_times_of_twenty() -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        found = interval(1.1 * np.exp(random.normal(0, 0.1, 20)))
        held += found["low"] <= 1.1 <= found["high"]
    assert 930 <= held <= 970


@pytest.mark.parametrize(
    ("p50", "p99", "expected"),
    [
        ((1.00, 0.98, 1.02), (1.00, 0.90, 1.10), "no slower"),
        ((1.00, 0.98, 1.06), (1.00, 0.90, 1.10), "undecided"),
        ((1.00, 0.98, 1.02), (1.06, 0.99, 1.14), "undecided"),
        ((1.08, 1.02, 1.14), (1.00, 0.90, 1.10), "slower"),
    ],
)
def test_the_verdict(p50: tuple[float, ...], p99: tuple[float, ...], expected: str) -> None:
    names = ("mean", "low", "high")
    found = {"p50": dict(zip(names, p50, strict=True)), "p99": dict(zip(names, p99, strict=True))}
    assert compare_with_bounds(found) == expected


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("warm_programs")
def test_what_was_measured_is_kept_and_not_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One real run; the other three, as an interrupted measurement would have left them, are its copies."""
    make_tiny_package(tmp_path / "package")
    write_clip(tmp_path / "clip.avi", 30)
    options = Options(before=ROOT, after=ROOT, model=tmp_path / "package", video=tmp_path / "clip.avi")
    options.pairs, options.seconds, options.size = 2, 1.0, "160x120"
    work = tmp_path / "work"
    work.mkdir()
    (work / "000-before.json").write_text("{}")
    measured = (measure_pair(options, 0, work))["after"]
    for name in ("000-before", "001-before", "001-after"):
        (work / f"{name}.json").write_text(json.dumps(measured))
    command = ["--before", str(ROOT), "--after", str(ROOT), "--model", str(options.model)]
    command += ["--video", str(options.video), "--pairs", "2", "--work", str(work)]
    capsys.readouterr()
    assert main([*command, "--out", str(tmp_path / "result")]) == 0
    assert "done" not in capsys.readouterr().err
    figures = json.loads((tmp_path / "result.json").read_text())
    assert figures["frames"]["before"] == figures["frames"]["after"] > 0
    assert figures["ratios"]["image_to_decision"]["p50"]["mean"] == 1.0


def test_a_folder_that_is_no_checkout_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--before", str(tmp_path), "--after", str(ROOT), "--model", "m", "--video", "v"]
    assert main(command) == 2
    assert "no checkout" in capsys.readouterr().err
