"""Model packages that version 0.1 wrote: one network alone, one that sees past frames; its configurations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.old_version import V0_1, missing_keys, unpack

from rt_pose.cli.main import main

CONFIGURATIONS = V0_1 / "configurations"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With both packages, and the training's data for its video."""
    into = tmp_path_factory.mktemp("packages")
    for archive in ("package_plain.tar.xz", "package_context.tar.xz", "training.tar.xz"):
        unpack(archive, into)
    return into


@pytest.mark.parametrize(
    ("package", "schema", "configuration", "recording", "frames"),
    [
        ("package_plain", 1, "video.yaml", V0_1 / "session" / "left.mkv", 147),
        ("package_context", 2, "video_context.yaml", Path("discs/videos/round.avi"), 12),
    ],
)
def test_it_runs_live(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    package: str,
    schema: int,
    configuration: str,
    recording: Path,
    frames: int,
) -> None:
    """Opened, checked against its golden keypoints, and run; what it recorded replays."""
    assert json.loads((folder / package / "manifest.json").read_bytes())["schema"] == schema
    given = ["--model", str(folder / package), "--camera", str(folder / recording)]
    out = tmp_path / "session"
    assert main(["run", str(CONFIGURATIONS / configuration), *given, "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_bytes())
    assert report["frames"]["processed"] >= frames
    assert report["events"]["in"]["fired"] > 0, "nothing was found where the animal was"
    assert report["engine"]["golden_px"] < 0.1
    assert main(["replay", str(out)]) == 0


def test_a_runs_configuration_means_what_it_meant(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every section of a run: each rule is explained, so each has been understood."""
    package = str(folder / "package_plain")
    assert main(["rules", "check", str(CONFIGURATIONS / "run.yaml"), "--model", package]) == 0
    explained = capsys.readouterr().out
    rules = [
        "quick",
        "likely",
        "turning",
        "hasty",
        "stubborn",
        "ends",
        "crosser",
        "nearing",
        "step",
        "hidden",
    ]
    for rule in rules:
        assert f"{rule}: when " in explained


def test_the_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rt_pose.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for verb in ("demo", "train", "run", "replay", "report", "predict", "smooth", "order", "bench", "import"):
        assert verb in done.stdout


@pytest.mark.timeout(300)
def test_bench_latency_compares_with_figures_of_before(folder: Path, tmp_path: Path) -> None:
    """They are read, and no key of theirs is missing."""
    old = json.loads((V0_1 / "latency.json").read_bytes())
    given = ["--model", str(folder / "package_plain"), "--video", str(V0_1 / "session" / "left.mkv")]
    how = [
        "--rate",
        "60",
        "--seconds",
        "1",
        "--compare",
        str(V0_1 / "latency.json"),
        "--out",
        str(tmp_path / "out"),
    ]
    engine = ["--reference", "ends", "--engine.threads", "1", "--engine.precision", "float32"]
    assert main(["bench", "latency", *given, *how, *engine]) == 0
    new = json.loads((tmp_path / "out" / "latency.json").read_bytes())
    del old["bench"]["sustainable"]  # the search for the highest rate takes minutes
    assert missing_keys(old, new, counts=("dropped", "why", "silent_rules", "ratios", "earlier")) == []
    assert new["bench"]["compared"]["ratios"]["image_to_decision"]["p50"] > 0
