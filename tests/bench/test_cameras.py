"""What `bench.cameras` says of runs on emulated cameras."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.basler import emulated_cameras
from support.tiny_package import make_tiny_package

from bench.cameras import threads
from bench.cameras.disturbed import by_disturbance, format_disturbance, others_cores
from bench.cameras.emulated import EmulatedRun, Usage, account, explanations
from bench.cameras.long import memory_figure, memory_of
from bench.cameras.program import Options, measure, text
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.errors import UserError
from rt_pose.records import DropRecord
from rt_pose.session.read import STAGES
from rt_pose.types import FrameStamps, StageStamps

pytestmark = pytest.mark.usefixtures("warm_programs")


def observed(start_ms: float, took_ms: float) -> Any:
    """A frame that came at a time and was decided on so much later, most of it in the network."""
    start_ns = round(start_ms * NS_PER_MS)
    shares = np.array([0.0, 0.1, 0.8, 0.85, 0.9, 0.95, 0.97, 1.0])
    times = [round(start_ns + share * took_ms * NS_PER_MS) + 1 for share in shares]
    stamps = FrameStamps(0, None, start_ns, start_ns)
    return SimpleNamespace(stamps=stamps, stages=StageStamps(**dict(zip(STAGES, times, strict=True))))


def drop(t_ms: float, stage: str, reason: str, count: int = 1) -> DropRecord:
    t_ns = round(t_ms * NS_PER_MS)
    return DropRecord(t_ns=t_ns, stage=stage, reason=reason, count=count, camera="camera0", first_index=7)


def session(observations: list[Any], drops: list[DropRecord], indices: tuple[int, ...] = ()) -> Any:
    frames = [SimpleNamespace(camera="camera0", t_ns=i, stamps=FrameStamps(i, None, i, i)) for i in indices]
    return SimpleNamespace(observations=observations, drops=drops, frames=frames)


def test_a_replaced_frame_is_explained_by_what_the_loop_was_doing() -> None:
    seen = [observed(10.0 * i, 5.0) for i in range(20)] + [observed(200.0, 40.0)]
    lost = [
        drop(220.0, "capture", "superseded by a newer frame"),
        drop(58.0, "capture", "superseded by a newer frame"),
        drop(90.0, "device", "gap in the device's frame counter", 3),
    ]
    busy, free, gap = explanations(session(seen, lost), lost)
    assert busy[0] == "loop busy"
    assert "busy with another for 40.0 ms (usually 5.0); up to `inferred` it took 28.0 ms" in busy[1]
    assert free[0] == "loop late to wake"
    assert "free for 3.0 ms" in free[1]
    assert gap == ("device: gap in the device's frame counter", gap[1])
    assert "3 x gap" in gap[1]


def test_frames_that_nothing_explains_are_uncounted() -> None:
    counts = {
        "captured": 5, "processed": 3, "superseded": 1, "left_at_end": 1, "device_gaps": 2, "failed": 0
    }  # fmt: skip
    drops = [drop(1, "device", "gap", 2), drop(2, "capture", "replaced"), drop(3, "end", "left")]
    whole = account(session([], drops, (0, 1, 4, 5, 6)), "camera0", counts)
    assert (whole["delivered"], whole["uncounted"], whole["unrecorded"]) == (7, 0, 0)
    missing = account(session([], drops, (0, 1, 4, 5, 6)), "camera0", counts | {"device_gaps": 0})
    assert (missing["uncounted"], missing["unrecorded"]) == (2, 2)


def test_memory_that_grows_has_a_slope() -> None:
    usage = Usage(
        t_ns=[i * NS_PER_S for i in range(100)],
        memory_mib=[{"rt-pose-loop": 100.0 + 0.01 * i, "supervisor": 50.0} for i in range(100)],
    )
    found = memory_of(usage)
    assert found["rt-pose-loop"]["slope_mib_per_hour"] == pytest.approx(36.0)
    assert found["supervisor"]["slope_mib_per_hour"] == pytest.approx(0.0)
    figure = memory_figure(found["supervisor"]["samples"])
    assert figure.count("#") == 8 * 60


def test_the_recording_is_needed_by_the_part_that_plays_one() -> None:
    with pytest.raises(UserError, match="--video"):
        measure(Options(model="nowhere"))


@pytest.mark.parametrize("part", ["two", "long"])
def test_a_short_run_of_a_part(part: Any, tmp_path: Path) -> None:
    make_tiny_package(tmp_path / "package", keypoints=3)
    with emulated_cameras():
        figures = measure(
            Options(model=str(tmp_path / "package"), part=part, rate=30.0, seconds=2.0, size="320x256")
        )
    json.dumps(figures)
    run = figures["runs"][0] if part == "two" else figures["run"]
    assert len(run["frames"]) == (2 if part == "two" else 1)
    assert all(frames["captured"] > 5 for frames in run["frames"].values())
    assert figures["held"]["none_uncounted"]
    assert 0 < run["cores_in_use"]["whole"] < 64
    assert run["emulator_alone"]["frames"] > 5 * len(run["frames"])
    written = text(figures)
    assert "Arrival to decision" in written
    assert "none uncounted: True" in written


def test_what_was_lost_while_others_had_the_processor_is_told_apart() -> None:
    t_ns = [round(500 * i * NS_PER_MS) for i in range(7)]
    busy_s = [0.0, 0.3, 0.6, 1.3, 1.6, 1.9, 2.2]
    ours_s = [{"rt-pose-loop": 0.3 * i} for i in range(7)]
    others = others_cores(t_ns, busy_s, ours_s)
    assert others.tolist() == pytest.approx([0.0, 0.0, 0.8, 0.0, 0.0, 0.0])
    seen = [observed(100.0 * i, 40.0 if 10 <= i < 15 else 5.0) for i in range(30)]
    drops = [drop(1100, "capture", "newer"), drop(1600, "device", "gap", 2), drop(2900, "capture", "newer")]
    drops.append(drop(2950, "end", "left"))
    whole = session(seen, drops)
    whole.frames = [SimpleNamespace(stamps=one.stamps) for one in seen]
    found = by_disturbance(whole, t_ns, others)
    disturbed, quiet = found["disturbed"], found["quiet"]
    assert (disturbed["frames"], disturbed["lost"]) == (10, 3), "with the half-second that follows"
    assert (quiet["frames"], quiet["lost"]) == (20, 1)
    assert quiet["arrival_to_decision_ms"]["max"] < 6 < disturbed["arrival_to_decision_ms"]["p99"]
    assert "3 of 10 frames were lost then, 1 of 20 in the rest (5.0000%" in format_disturbance(found)


def test_ways_to_arrange_threads_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def measured(plan: EmulatedRun, cameras: int, rate_hz: float, seconds: float, *, alone: bool) -> Any:
        assert (cameras, rate_hz, seconds, alone) == (1, 60.0, 60.0, False)
        asked.append(plan.threads)
        quiet = {"frames": 3000, "lost": 1}
        frames = {"delivered": 3600, "skipped": 1, "replaced": 2 + plan.threads}
        run = {
            "frames": {"camera0": frames},
            "arrival_to_decision_ms": {"p50": 10.0, "p90": 12.0, "p99": 20.0 + len(asked)},
            "others": {"quiet": quiet},
            "cores_in_use": {"whole": 1.5},
            "engine": "openvino",
        }
        return SimpleNamespace(figures=run)

    monkeypatch.setattr(threads, "run_emulated", measured)
    monkeypatch.setattr(threads, "physical_cores", lambda: 2)
    figures = threads.measure(EmulatedRun("package", (640, 480), "float32"), None, None)
    assert asked == [0, 1, 2, 2, 1, 0, 0, 1, 2]
    auto = figures["ways"][0]
    assert (auto["lost"], auto["delivered"], auto["quiet_lost"]) == (9, 10800, 3)
    assert auto["p99"] == 26.0, "the median of the first, the sixth and the seventh run"
    written = threads.text(figures)
    assert "9 (0.083%)" in written
    assert "What `auto` chose:\n\n- openvino" in written
