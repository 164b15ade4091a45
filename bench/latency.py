"""`rt-pose bench latency`: a recorded video at its own pace, or a stated rate, through the live path.

Every stage is the one that runs in an experiment: video camera, capture slot, DALI, engine, filter, three
rules on a simulated output, sockets, recorder. Frames come at their times, never back to back.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import rigs
from rt_pose.clock import HostClock
from rt_pose.config import (
    ActionConfig,
    CameraConfig,
    EngineConfig,
    OutputConfig,
    PublishConfig,
    RecordConfig,
    RuleConfig,
    RunConfig,
    ZoneConfig,
    build,
)
from rt_pose.errors import UserError
from rt_pose.package import read_package
from rt_pose.session.console import RunConsole
from rt_pose.session.report import make_report
from rt_pose.session.run import run_session
from rt_pose.video import probe

ROWS = (
    "image_to_pose",
    "image_to_decision",
    "engine",
    "overhead",
    "exposure_to_decision",
    "decision_to_ack",
)


def bench_latency(options: dict[str, Any]) -> bool:
    """Run the benchmark of the command line; whether it ended well."""
    engine = build(EngineConfig, options["engine"], "bench latency")
    json_file = Path(options["json"]) if options.get("json") else None
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise UserError(f"--json {json_file}: there is no folder {json_file.parent}; make it first")
    config = latency_config(
        options["model"],
        Path(options["video"]),
        rate_hz=options["rate"],
        seconds=options["seconds"],
        budget_ms=options["budget"],
        engine=engine,
    )
    figures, ok = measure(config)
    print(table(figures))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures))
    return ok


def latency_config(
    model: str,
    video: Path,
    *,
    rate_hz: float | None,
    seconds: float,
    budget_ms: float,
    engine: EngineConfig,
) -> RunConfig:
    """A run over a recording with three rules that ask for every keypoint's kind of work."""
    info = probe(video)
    keypoints = read_package(model).manifest.keypoints
    first, last = keypoints[0], keypoints[-1]
    do = ActionConfig(output="stimulus", pulse="5 ms")
    conditions = (
        f"inside({first}, middle)",
        f"speed({last}) > 300",
        f"inside({last}, middle) and speed({first}) > 100",
    )
    return RunConfig(
        model=model,
        cameras={"video": CameraConfig("video", {"path": str(video), "rate_hz": rate_hz, "loop": True})},
        outputs={"stimulus": OutputConfig("simulated", {})},
        zones={"middle": ZoneConfig([info.width / 2, info.height / 2, min(info.width, info.height) / 4])},
        rules=[
            RuleConfig(name=f"rule{i}", when=when, do=do, refractory="100 ms")
            for i, when in enumerate(conditions, 1)
        ],
        engine=engine,
        publish=PublishConfig(address="tcp://127.0.0.1:*", control="tcp://127.0.0.1:*"),
        record=RecordConfig(video=False),
        budget_ms=budget_ms,
        seconds=seconds,
        armed_at_start=True,
    )


def measure(config: RunConfig) -> tuple[dict[str, Any], bool]:
    """Run a configuration into a passing session; its report.json and whether it ended well."""
    folder = Path(tempfile.mkdtemp(prefix="rt-pose-bench-"))
    try:
        with RunConsole() as console:
            result = run_session(config, folder / "session", rigs.register, HostClock(), console)
        return make_report(folder / "session"), result.ok
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def table(figures: dict[str, Any]) -> str:
    """The latency figures for people."""
    machine, engine = figures["machine"], figures["engine"]
    lines = [
        f"{machine['cpu']}, {machine['cores_usable']} cores; {engine['description']}",
        f"{'ms':22}{'n':>8}{'P50':>9}{'P90':>9}{'P99':>9}{'P99.9':>9}{'max':>9}",
    ]
    for name in ROWS:
        row = figures["latency_ms"][name]
        if row is None:
            lines.append(f"{name.replace('_', ' '):22}{'-':>8}")
            continue
        numbers = (row["p50"], row["p90"], row["p99"], row["p99_9"], row["max"])
        cells = "".join(f"{'-' if v is None else format(v, '.2f'):>9}" for v in numbers)
        lines.append(f"{name.replace('_', ' '):22}{row['n']:>8}{cells}")
    stages = (
        f"{name} {row['p50']:.2f}/{row['p99']:.2f}" for name, row in figures["stages_ms"].items() if row
    )
    lines.append(f"stages, P50/P99 ms: {', '.join(stages)}")
    frames, deadline = figures["frames"], figures["deadline"]
    dropped = ", ".join(f"{stage} {n}" for stage, n in frames["dropped"].items()) or "none"
    lines.append(
        f"frames: captured {frames['captured']}, processed {frames['processed']}, dropped "
        f"{dropped}, device gaps {frames['device_gaps']}; deadline {deadline['budget_ms']:g} ms "
        f"missed by {deadline['missed']} of {deadline['n']}"
    )
    return "\n".join(lines)
