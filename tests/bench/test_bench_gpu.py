"""The GPU's benchmark as far as a CPU can go: its packages, rows and table, and its one clear refusal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import gpu_packages
from bench.gpu import SECTIONS, WHOLE_S
from bench.gpu_page import short_table
from bench.gpu_section import Options, Rows
from bench.gpu_video import write_recording
from rt_pose.clock import FakeClock
from rt_pose.config import EngineConfig
from rt_pose.errors import UserError
from rt_pose.loop.device import cuda_devices
from rt_pose.loop.infer import choose_engine
from rt_pose.package import read_package
from rt_pose.video import probe


@pytest.mark.skipif(cuda_devices() > 0, reason="this machine has a GPU")
def test_without_a_gpu_it_says_so_and_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gpu", "--quick", "--out", str(tmp_path / "gpu")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("gpu: this machine shows no CUDA device")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_rows_are_kept_as_they_come_whatever_happens(tmp_path: Path) -> None:
    clock = FakeClock()
    rows = Rows(tmp_path / "rows.json", 10.0, clock)

    def broken() -> dict[str, object]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    assert rows.add("good", lambda: {"ms": 1.5}) == {"ms": 1.5}
    assert rows.add("broken", broken) is None
    clock.advance_ms(8000)
    rows.add("long", lambda: pytest.fail("its time is not there"), needs_s=5.0)
    rows.add("short", lambda: {"ms": 0.5}, needs_s=1.0)
    kept = json.loads((tmp_path / "rows.json").read_text())
    assert [row["what"] for row in kept] == ["good", "broken", "long", "short"]
    assert kept[1]["failed"].startswith("RuntimeError: CUDA error")
    assert "time was over" in kept[2]["failed"]
    assert kept[3]["ms"] == 0.5


def test_the_table_shows_figures_and_failures() -> None:
    latency = {"n": 12000, "p50": 0.91234, "p99": 1.2, "p99_9": 1.6, "max": 3.0}
    sections = {
        "latency": {
            "rows": [{"what": "lite0", "image_to_decision_ms": latency}],
            "failed": "",
            "seconds": 70,
        },
        "race": {"rows": [{"what": "ours", "failed": "boom | bang"}], "failed": "exit 1: boom", "seconds": 1},
    }
    text = short_table({"quick": True, "seconds": 71.0, "sections": sections})
    assert "0.912 / 1.200 / 1.600 (n 12000)" in text
    assert "FAILED: boom / bang" in text
    assert "section: exit 1: boom" in text


def test_every_section_has_its_module_and_the_whole_is_bounded() -> None:
    for name in SECTIONS:
        assert callable(__import__(f"bench.gpu_{name}", fromlist=["measure"]).measure)
    assert WHOLE_S < 9 * 60


@pytest.mark.timeout(400)  # an export, on a machine that may be busy
def test_a_package_made_with_torch_alone_passes_the_golden_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_packages, "QUICK", [("tiny", 64)])
    monkeypatch.setattr(gpu_packages, "physical_cores", lambda: 1)
    gpu_packages.measure(Options(tmp_path, None, True), Rows(tmp_path / "rows.json", 100.0, FakeClock()))
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert "failed" not in row
    made = read_package(tmp_path / "tiny-64")
    config = EngineConfig(backend="torch", precision="float32", threads=1)
    assert choose_engine(made, config).golden_px < 0.05
    with pytest.raises(UserError, match="--only packages"):
        gpu_packages.package(tmp_path, "lite0", 256)


def test_the_made_recording_is_what_was_asked_for(tmp_path: Path) -> None:
    info = probe(write_recording(tmp_path / "made.mp4", (320, 240), 30))
    assert (info.width, info.height, info.frames) == (320, 240, 30)
