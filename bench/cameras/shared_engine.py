"""Latency against the number of cameras that share one engine.

One, two and four cameras play the same recording through one loop, each at the stated rate. Frames that are
there together go through the network in one call; `group_ms` lets the first wait for the others. Beside it
the engine alone: one call with several frames against as many calls with one, in turns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.latency.measured_run import latency_config
from bench.output import conditions, machine_line, markdown_table, precision_words
from bench.program import say
from bench.short_run import came_through, short_run
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.schema import EngineConfig, Precision, RunConfig
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.engine import Engine
from rt_pose.loop.latency import summary
from rt_pose.package import read_package

CAMERAS = (1, 2, 4)
GROUP_MS = (0.0, 10.0)
ROUNDS, CALLS = 8, 10


@dataclass(kw_only=True)
class SharedEngine:
    """What is measured."""

    model: str
    """Folder of the model package."""
    video: Path
    """The recording that every camera plays."""
    rate: float = 15.0
    """Frames a second of each camera."""
    seconds: float = 15.0
    """Length of each run."""
    precision: Precision = "auto"


def measure(options: SharedEngine) -> dict[str, Any]:
    """Measure the runs, and the engine alone.

    Parameters
    ----------
    options
        What is measured.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    return {
        "bench": "cameras",
        **conditions(),
        "model": options.model,
        "rate_hz": options.rate,
        "live": [
            live(options, cameras, group_ms)
            for cameras in CAMERAS
            for group_ms in (GROUP_MS if cameras > 1 else GROUP_MS[:1])
        ],
        "engine_alone": alone(options.model, options.precision),
    }


def live(options: SharedEngine, cameras: int, group_ms: float) -> dict[str, Any]:
    """Run the whole program once.

    Parameters
    ----------
    options
        What is measured.
    cameras
        Number of cameras.
    group_ms
        How long the first frame waits for the others, ms.

    Returns
    -------
    dict[str, Any]
        How the frames came through.
    """
    say(f"{cameras} camera(s), group_ms {group_ms:g} ...")
    base = latency_config(
        options.model,
        options.video,
        rate_hz=options.rate,
        seconds=options.seconds,
        budget_ms=200.0,
        engine=EngineConfig(precision=options.precision),
    )
    with short_run(_with(base, cameras, group_ms)) as played:
        session = played.session()
    return {"cameras": cameras, "group_ms": group_ms, **came_through(played.result, session)}


def _with(base: RunConfig, cameras: int, group_ms: float) -> RunConfig:
    (camera,) = base.cameras.values()
    camera = replace(camera, options=camera.options | {"preload": True})
    return replace(base, cameras={f"camera{i}": camera for i in range(cameras)}, group_ms=group_ms)


def alone(model: str, precision: Precision) -> list[dict[str, Any]]:
    """Time the engine without a loop: several frames in one call, and one by one, in turns.

    Parameters
    ----------
    model
        Folder of the model package.
    precision
        Precision of the engine.

    Returns
    -------
    list[dict[str, Any]]
        Summaries (ms for all frames) by number of frames.
    """
    engine = choose_engine(read_package(model), EngineConfig(precision=precision)).engine
    spec = engine.spec
    found = []
    for frames in CAMERAS[1:]:
        batch = np.zeros((frames, spec.channels, spec.height, spec.width), np.float32)
        together, apart = [], []
        _timed(engine, [batch], CALLS)  # compiles the batch size
        for _ in range(ROUNDS):
            together += _timed(engine, [batch], CALLS)
            apart += _timed(engine, [batch[i : i + 1] for i in range(frames)], CALLS)
        times = {"one_call_ms": summary(together), "calls_of_one_ms": summary(apart)}
        found.append({"frames": frames, "precision": engine.precision, **times})
    return found


def _timed(engine: Engine, batches: list[Any], n: int) -> list[float]:
    clock, times = HostClock(), []
    for _ in range(n):
        start_ns = clock.now_ns()
        for batch in batches:
            engine.infer(batch)
        times.append((clock.now_ns() - start_ns) / NS_PER_MS)
    return times


def text(figures: dict[str, Any]) -> str:
    """Format the tables for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    live_rows = [
        [
            str(row["cameras"]),
            f"{row['group_ms']:g}",
            *(_ms(row["image_to_decision_ms"], key) for key in ("n", "p50", "p99", "max")),
            ", ".join(f"{n} x {size}" for size, n in row["calls_by_frames"].items()),
            f"{row['superseded']} of {row['captured']}",
        ]
        for row in figures["live"]
    ]
    alone_rows = [
        [
            str(row["frames"]),
            *(_ms(row[key], part) for key in ("one_call_ms", "calls_of_one_ms") for part in ("p50", "p99")),
            f"{row['one_call_ms']['p50'] / row['calls_of_one_ms']['p50']:.2f}",
        ]
        for row in figures["engine_alone"]
    ]
    head = ["cameras", "group_ms", "n", "P50 ms", "P99 ms", "max ms", "calls x frames", "superseded"]
    alone_head = ["frames", "one call P50", "P99", "one by one P50", "P99", "P50 ratio"]
    return "\n\n".join(
        [
            f"# Several cameras in one engine call\n\n{machine_line(figures)}; each camera at "
            f"{figures['rate_hz']:g} frames a second; {precision_words(figures['live'])}. Image to decision, "
            "over all cameras:",
            markdown_table(head, live_rows),
            f"The engine alone ({precision_words(figures['engine_alone'])}), ms for all frames:",
            markdown_table(alone_head, alone_rows),
        ]
    )


def _ms(found: dict[str, Any], key: str) -> str:
    return str(found[key]) if key == "n" else f"{found[key]:.2f}"
