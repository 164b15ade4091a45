"""A short soak, alone: what is read of the processes and of the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clip import write_clip
from support.tiny_package import make_tiny_package

from bench import soak
from bench.soak import Options, format_table, measure


def test_a_short_soak_reads_memory_descriptors_and_latency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak, "SAMPLE_S", 0.2)
    package = make_tiny_package(tmp_path / "package", keypoints=3)
    video = write_clip(tmp_path / "clip.mkv")
    figures = measure(Options(model=str(package.path), video=video, minutes=0.06, rate=50.0, alone=True))
    assert figures["ok"]
    assert set(figures["processes"]) >= {"rt-pose-loop", "rt-pose-recorder"}
    loop = figures["processes"]["rt-pose-loop"]
    assert loop["n"] >= 3
    assert loop["memory_mib"]["max"] > 50
    assert loop["descriptors"]["last"] > 5
    latency = figures["latency_ms"]
    assert latency["all"]["n"] > latency["first"]["n"] > 2
    assert figures["orders"] is None
    table = format_table(figures)
    assert "| rt-pose-loop" in table
    assert f"; {figures['precision']}." in table
    assert "decided on" in table
