"""`rt-pose bench latency`: a recorded video at its own pace, or a stated rate, through the live path.

Every stage is the one that runs in an experiment: camera, capture slot, preprocessing, engine, filter, three
rules on a simulated output, sockets, recorder. Frames come at their times, never back to back. The bare
engine is timed before and after, and (`--reference alternate`) in blocks between blocks of the loop's
frames, so that the overhead is taken from a reference of the same seconds.
"""

from __future__ import annotations

import json
import math
import tempfile
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.compare import compare, read_earlier
from bench.latency.measured_run import measured_run
from bench.latency.page import page
from bench.latency.table import table
from bench.program import say
from bench.reference import (
    DRIVER,
    BareBlock,
    BareEngine,
    EngineKey,
    neighbouring_p50,
    pooled,
    read_blocks,
    register,
)
from bench.short_run import short_run
from bench.sustainable import sustainable
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.config.build import build, to_plain
from rt_pose.config.schema import CameraConfig, EngineConfig, RunConfig
from rt_pose.errors import UserError, nearest
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.loop.latency import summary
from rt_pose.package import read_package, unlike_trained
from rt_pose.reports.session_report import figures as session_figures
from rt_pose.session.console import RunConsole
from rt_pose.session.read import Session, stamp_columns
from rt_pose.video import VideoInfo, parse_size, probe

REFERENCES = ("alternate", "ends")
LOOP_BLOCK_S = 4.0
BARE = ("back_to_back", "paced")
"""How the bare engine is timed: forward after forward, and at the pace of the frames."""
PACED_S, BACK_TO_BACK_S = 2.0, 0.5
MIN_FRAMES = 50
"""Fewer frames give no meaningful figure, not even a median."""
JSON_NAME, PAGE_NAME = "latency.json", "latency.html"


@dataclass
class LatencyPlan:
    """The command line, checked."""

    model: str
    video: VideoInfo
    engine: EngineConfig
    rate_hz: float
    seconds: float
    budget_ms: float
    reference: str
    preload: bool
    size: tuple[int, int]
    channels: int | str

    @property
    def camera(self) -> dict[str, Any]:
        """Options of the video camera."""
        options: dict[str, Any] = {
            "path": str(self.video.path),
            "rate_hz": self.rate_hz,
            "loop": True,
            "preload": self.preload,
            "channels": self.channels,
        }
        if self.size != (self.video.width, self.video.height):
            options["size"] = list(self.size)
        return options

    def run(self, camera: CameraConfig, seconds: float | None) -> RunConfig:
        """Make a run on a camera.

        Parameters
        ----------
        camera
            The camera.
        seconds
            Length of the run, s; None for the camera's own end.

        Returns
        -------
        RunConfig
            The run.
        """
        settings = {"seconds": seconds, "budget_ms": self.budget_ms}
        return measured_run(self.model, {"video": camera}, self.size, self.engine, **settings)


def bench_latency(options: dict[str, Any]) -> bool:
    """Run the benchmark of the command line.

    Parameters
    ----------
    options
        The command line of `rt-pose bench latency`.

    Returns
    -------
    bool
        Whether the run ended well.
    """
    plan = checked(options)
    earlier = read_earlier(Path(options["compare"])) if options.get("compare") else None
    json_file = Path(options["json"]) if options.get("json") else None
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise UserError(f"--json {json_file}: there is no folder {json_file.parent}; make it first")
    folder = _folder(options.get("out"))
    figures, drawn, ok = measure(plan)
    if options.get("sustainable"):
        figures["bench"]["sustainable"] = sustainable(
            lambda rate_hz, every: _trial_config(plan, rate_hz, every), plan.budget_ms
        )
    if earlier is not None:
        figures["bench"]["compared"] = compare(figures, earlier, str(options["compare"]))
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, indent=1) + "\n"
    for file in (folder / JSON_NAME, *([json_file] if json_file else [])):
        file.write_text(text, encoding="utf-8")
    (folder / PAGE_NAME).write_text(page(figures, drawn), encoding="utf-8")
    print(table(figures))
    print(f"page: {folder / PAGE_NAME}")
    print(json.dumps(figures))
    return ok


def checked(options: dict[str, Any]) -> LatencyPlan:
    """Check a command line.

    Parameters
    ----------
    options
        The command line of `rt-pose bench latency`.

    Returns
    -------
    LatencyPlan
        What is measured.

    Raises
    ------
    UserError
        Where it cannot be carried out.
    """
    video = probe(options["video"])
    rate_hz = video.rate_hz if options["rate"] is None else float(options["rate"])
    if not 0.1 <= rate_hz <= 2000:
        raise UserError(f"--rate: expected 0.1 to 2000 frames a second, got {rate_hz:g}")
    seconds, budget_ms = float(options["seconds"]), float(options["budget"])
    if not 0 < budget_ms < math.inf:
        raise UserError(f"--budget: expected more than 0 ms, got {budget_ms:g}")
    if not 0 < seconds < math.inf or rate_hz * seconds < MIN_FRAMES:
        raise UserError(
            f"--seconds: {seconds:g} s at {rate_hz:g} frames a second are {max(rate_hz * seconds, 0):.0f} "
            f"frames; at least {MIN_FRAMES} are needed, so give {MIN_FRAMES / rate_hz:.3g} or more"
        )
    reference = options.get("reference") or REFERENCES[0]
    if reference not in REFERENCES:
        hint = nearest(reference, REFERENCES)
        raise UserError(f"--reference: expected {' or '.join(REFERENCES)}, got {reference}{hint}")
    channels = str(options.get("channels") or "auto")
    if channels not in ("auto", "1", "3"):
        raise UserError(f"--channels: expected 1 (gray), 3 (RGB) or auto, got {channels}")
    size = parse_size(options.get("size")) or (video.width, video.height)
    if warning := unlike_trained(read_package(options["model"]), *size, video.path.name):
        say(warning)
    return LatencyPlan(
        model=options["model"],
        video=video,
        engine=chosen(options["model"], options["engine"]),
        rate_hz=rate_hz,
        seconds=seconds,
        budget_ms=budget_ms,
        reference=reference,
        preload=options.get("preload", True),
        size=size,
        channels="auto" if channels == "auto" else int(channels),
    )


def chosen(model: str, engine: EngineConfig) -> EngineConfig:
    """Decide everything that `auto` leaves open, so that loop and reference have the same engine.

    Parameters
    ----------
    model
        Folder of the model package.
    engine
        What was asked for.

    Returns
    -------
    EngineConfig
        The decided one.
    """
    choice = choose_engine(read_package(model), engine)
    say(f"engine: {choice}")
    decided = {
        "backend": choice.engine.backend,
        "precision": choice.engine.precision,
        "threads": choice.engine.threads,
        "preprocess": choice.preprocess,
    }
    return build(EngineConfig, to_plain(engine) | decided, "bench latency")


def measure(plan: LatencyPlan) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Run the loop and time the bare engine.

    Parameters
    ----------
    plan
        What is measured.

    Returns
    -------
    tuple[dict[str, Any], dict[str, Any], bool]
        The figures, the columns behind the plots, and whether the run ended well.
    """
    key = EngineKey(plan.model, plan.engine.backend, plan.engine.precision, plan.engine.threads)
    bare = BareEngine(key.open(), HostClock())
    say(f"the bare engine, for {PACED_S + BACK_TO_BACK_S:g} s ...")
    ends = [_bare_block(bare, plan)]
    with tempfile.TemporaryDirectory(prefix="rt-pose-bench-") as place:
        blocks_file = Path(place) / "blocks.json"
        with (
            RunConsole() as console,
            short_run(_run_config(plan, key, blocks_file), register, console) as run,
        ):
            session = run.session()
        ends.append(_bare_block(bare, plan))
        blocks = read_blocks(blocks_file) if blocks_file.is_file() else []
    figures, drawn = summed_up(session, plan, ends, blocks)
    return figures, drawn, run.result.ok


def summed_up(
    session: Session, plan: LatencyPlan, ends: list[BareBlock], blocks: list[BareBlock]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compute the figures of a run.

    Parameters
    ----------
    session
        Its session.
    plan
        What was measured.
    ends
        Times of the bare engine before and after the run.
    blocks
        Its times between the loop's blocks; empty where there are none.

    Returns
    -------
    tuple[dict[str, Any], dict[str, Any]]
        The figures (those of the session's report, and `bench`), and the columns behind the plots.

    Raises
    ------
    UserError
        Where no frame got through the loop.
    """
    figures = session_figures(session)
    stamps = stamp_columns(session.observations)
    if not len(stamps.t_arrival_ns):
        raise UserError("bench latency: no frame got through the loop; look at the messages above")
    to_decision = (stamps.stages["t_decided_ns"] - stamps.t_arrival_ns) / NS_PER_MS
    reference = blocks or ends
    latency = figures["latency_ms"]
    for name, part in (("overhead", "back_to_back_ms"), ("overhead_paced", "paced_ms")):
        latency[name] = summary(to_decision - neighbouring_p50(reference, stamps.t_arrival_ns, part))
    network = (stamps.stages["t_inferred_ns"] - stamps.stages["t_preprocessed_ns"]) / NS_PER_MS
    latency["outside_network"] = summary(to_decision - network)
    bare = {name: summary(pooled(reference, f"{name}_ms")) for name in BARE}
    figures["bench"] = {
        "bench": "latency",
        "recording": _recording(plan, session),
        "reference": {
            "kind": plan.reference if blocks else "ends",
            "bare_ms": bare,
            "ends_ms": [{name: summary(getattr(end, f"{name}_ms")) for name in BARE} for end in ends],
            "blocks": len(blocks),
        },
        "p99_over_p50": _ratios(latency["image_to_decision"], bare),
    }
    t0 = stamps.t_arrival_ns[0]
    drawn = {
        "seconds": (stamps.t_arrival_ns - t0) / NS_PER_S,
        "to_decision_ms": to_decision,
        "bare": [((b.t_start_ns - t0) / NS_PER_S, float(np.median(b.paced_ms))) for b in reference],
        "drops_s": [(d.t_ns - t0) / NS_PER_S for d in session.drops if d.stage != "end"],
        "drops": [(d.stage, d.reason, d.count) for d in session.drops],
    }
    return figures, drawn


def _recording(plan: LatencyPlan, session: Session) -> dict[str, Any]:
    """What was shown to the loop, and how."""
    width, height = plan.size
    (camera,) = session.info.cameras.values()
    return {
        "path": str(plan.video.path),
        "width": width,
        "height": height,
        "channels": camera.channels,
        "scaled_from": [plan.video.width, plan.video.height],
        "preloaded": plan.preload,
        "rate_hz": plan.rate_hz,
        "seconds": plan.seconds,
    }


def _ratios(loop: dict[str, Any] | None, bare: dict[str, Any]) -> dict[str, float | None]:
    """P99 over P50 of image to decision and of the bare engine, and the one over the other."""

    def ratio(found: dict[str, Any] | None) -> float | None:
        return None if found is None else round(found["p99"] / found["p50"], 4)

    ours, paced = ratio(loop), ratio(bare["paced"])
    return {
        "image_to_decision": ours,
        "bare_paced": paced,
        "bare_back_to_back": ratio(bare["back_to_back"]),
        "loop_over_bare_paced": None if ours is None or paced is None else round(ours / paced, 4),
    }


def _run_config(plan: LatencyPlan, key: EngineKey, blocks_file: Path) -> RunConfig:
    if plan.reference == "ends":
        return plan.run(CameraConfig("video", plan.camera), plan.seconds)
    count = max(1, round(plan.seconds / LOOP_BLOCK_S))
    options = plan.camera | {
        "engine": vars(key).copy(),
        "blocks": count,
        "block_frames": round(plan.seconds * plan.rate_hz / count),
        "paced_s": PACED_S,
        "back_to_back_s": BACK_TO_BACK_S,
        "results": str(blocks_file),
    }
    return plan.run(CameraConfig(DRIVER, options), None)


def _trial_config(plan: LatencyPlan, rate_hz: float | None, every: bool) -> RunConfig:
    """A run of the sustainable rate's search; `every`: as fast as the loop takes frames, none left out."""
    options = plan.camera | {"rate_hz": rate_hz}
    if every:
        options |= {"skip_when_late": False}
    config = plan.run(CameraConfig("video", options), None)
    return replace(config, frames="every" if every else "latest")


def _bare_block(bare: BareEngine, plan: LatencyPlan) -> BareBlock:
    return bare.block(plan.rate_hz, PACED_S, BACK_TO_BACK_S, threading.Event())


def _folder(out: str | None) -> Path:
    """Get the folder of the results; UserError where it is a file or lies within one."""
    if out is None:
        now = datetime.fromtimestamp(HostClock().utc_ns() / NS_PER_S, UTC)
        return Path("runs") / "bench" / now.strftime("latency-%Y%m%d-%H%M%S")
    folder = Path(out)
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise UserError(f"--out {out}: {there} is not a folder; give another")
    return folder
