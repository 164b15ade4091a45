"""The GPU's benchmark as far as a CPU can go: its packages, rows and table, and its one clear refusal."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.gpu import packages as gpu_packages
from bench.gpu.claims import claims
from bench.gpu.latency import paces
from bench.gpu.long import FRAMES
from bench.gpu.page import page, text
from bench.gpu.program import PARTS, SECTIONS, WHOLE_S, chosen, earlier, module_of, run_limited
from bench.gpu.section import Options, Rows
from bench.gpu.video import write_recording
from rt_pose.clock import FakeClock
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.device import cuda_devices
from rt_pose.package import read_package
from rt_pose.video import probe


@pytest.mark.skipif(cuda_devices() > 0, reason="this machine has a GPU")
def test_without_a_gpu_it_says_so_and_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gpu", "--quick", "--out", str(tmp_path / "gpu")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("bench.gpu: this machine shows no CUDA device")
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
    claim = {"what": "<fast> enough", "held": False, "figures": "0.9 ms"}
    figures = {"quick": True, "seconds": 71.0, "sections": sections, "claims": [claim]}
    for messages in (text(figures), page(figures)):
        assert "0.912 / 1.200 / 1.600 (n 12000)" in messages
        assert "FAILED: boom / bang" in messages
        assert "section: exit 1: boom" in messages
    assert "&lt;fast&gt; enough</td><td><b>no</b>" in page(figures)


def test_every_section_has_its_module_and_the_whole_is_bounded() -> None:
    for name in SECTIONS:
        assert callable(import_module(module_of(name)).measure)
    assert WHOLE_S < 9 * 60
    for names in PARTS.values():
        assert sum(SECTIONS[name][0] for name in names) <= WHOLE_S
    assert {name for names in PARTS.values() for name in names} == set(SECTIONS)
    assert "long" not in chosen(None, None)
    assert chosen(["race"], "checks") == ["race"]
    assert FRAMES == 27_000


def test_a_section_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    """A session or a test's process that went on would be in the way of all that is measured after it."""
    mark = tmp_path / "alive"
    child = (
        f"import time, pathlib; mark = pathlib.Path({str(mark)!r})\n"
        "with mark.open('a', buffering=1) as file:\n"
        "    for _ in range(1000): print(file=file); time.sleep(0.05)"
    )
    program = (
        "import subprocess, sys, time; print('begun', flush=True);"
        f"subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    begin = time.monotonic()
    messages = run_limited([sys.executable, "-c", program], 4.0)
    assert messages.startswith("not done after 4 s: begun")
    assert time.monotonic() - begin < 30
    lines = mark.stat().st_size
    time.sleep(0.5)
    assert 0 < lines == mark.stat().st_size < 1000
    assert (
        run_limited([sys.executable, "-c", "print('last words'); raise SystemExit(3)"], 60)
        == "exit 3: last words"
    )
    assert run_limited([sys.executable, "-c", ""], 60) == ""


def test_what_an_earlier_command_measured_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "gpu.h100"
    assert earlier(out, False) == {}
    file = tmp_path / "gpu.h100.json"
    file.write_text(json.dumps({"quick": False, "sections": {"race": {"rows": []}}}))
    assert list(earlier(out, False)) == ["race"]
    assert earlier(out, True) == {}
    file.write_text("{")
    with pytest.raises(UserError, match="is no result of this program"):
        earlier(out, False)


def sections(**changed: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows of a run in which everything is as it should be, but for what is changed."""
    rows: dict[str, list[dict[str, Any]]] = {
        "machine": [{"what": "DALI runs on the device", "largest_error": 1e-6}],
        "parity": [
            {"what": "preprocess, dali, 1 channels", "largest_grey_levels": 0.01},
            {"what": "keypoints, lite0 256, dali, float32", "p99_px": 0.004},
            {"what": "golden check, lite0 256, fp16", "golden_p95_px": 0.1},
        ],
        "video": [
            {
                "what": "every frame, 1 channels",
                "frames": 9,
                "frames_of_pyav": 9,
                "worst_frame_grey_levels": 1.0,
            },
            {"what": "stretches at random places", "worst_grey_levels": 1.0},
        ],
        "race": [
            {"what": way, "frames": 10_000, "wrong": wrong}
            for way, wrong in (("waiting", 0), ("ours", 0), ("careless", 41))
        ],
        "tests": [{"what": "pytest -m gpu", "exit": 0, "counts": {"passed": 40, "skipped": 1}}],
        "stages": [{"what": "network, tensorrt", "failed": "tensorrt is not installed; `pip install`"}],
        "long": [
            {
                "what": "lite0 256",
                "image_to_decision_ms": {"n": 26_990, "p50": 0.9, "p99": 1.3, "p99_9": 2.0, "max": 9.0},
            }
        ],
    }
    return {name: {"rows": own, "failed": "", "seconds": 1.0} for name, own in (rows | changed).items()}


def test_every_claim_is_held_by_figures_that_are_there() -> None:
    judged = claims(sections())
    assert [claim.held for claim in judged] == [True] * len(judged)
    (long,) = [claim for claim in judged if claim.what == "lite0 256"]
    assert "p99 1.300 (target 1.20)" in str(long)
    assert {claim.held for claim in claims({})} == {None, True}  # nothing measured is no failure


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"machine": [{"what": "DALI runs on the device", "failed": "boom"}]}, "nothing failed"),
        ({"parity": [{"what": "keypoints, lite0, dali, float32", "p99_px": 0.07}]}, "float32 keypoints"),
        ({"parity": [{"what": "keypoints, lite0", "p99_px": float("nan")}]}, "float32 keypoints"),
        ({"parity": [{"what": "golden check, lite0, fp16", "failed": "moves"}]}, "fp16 and bf16"),
        ({"race": [{"what": "ours", "frames": 10_000, "wrong": 1}]}, "by the order of streams"),
        ({"race": [{"what": "careless", "frames": 10_000, "wrong": 0}]}, "finds some"),
        ({"tests": [{"what": "pytest", "exit": 5, "counts": {"skipped": 40}}]}, "tests that need a GPU"),
        ({"tests": [{"what": "pytest", "exit": 0, "counts": {"skipped": 40}}]}, "tests that need a GPU"),
        ({"video": [{"what": "every frame", "frames": 8, "frames_of_pyav": 9}]}, "every frame"),
        (
            {
                "long": [
                    {"what": "lite0", "image_to_decision_ms": {"n": 900, "p50": 1, "p99": 1, "p99_9": None}}
                ]
            },
            "lite0",
        ),
        ({"long": [{"what": "lite0", "failed": "left out: the time was over"}]}, "lite0"),
    ],
)
def test_a_claim_that_is_not_held_is_said(changed: dict[str, Any], what: str) -> None:
    (claim,) = [claim for claim in claims(sections(**changed)) if what in claim.what]
    assert claim.held is False


def test_the_pace_of_arrivals_is_each_cameras_own() -> None:
    first = np.arange(201) * 5e6
    times, cameras = np.concatenate([first, first + 1e6]), ["a"] * 201 + ["b"] * 201
    found = paces(times, cameras)
    assert found["rate_hz"] == pytest.approx(200)
    assert found["p50_ms"] == pytest.approx(5)
    back_to_back = paces(np.arange(201) * 1e6, ["a"] * 201)
    assert back_to_back["rate_hz"] == pytest.approx(1000)


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
