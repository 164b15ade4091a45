"""Image to decision of the whole loop on a GPU, paced by the camera: every run is a real session."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from bench.gpu.packages import package
from bench.gpu.section import Options, Row, Rows
from bench.gpu.video import write_recording
from bench.latency.measured_run import measured_run
from bench.short_run import came_through, short_run
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.schema import (
    CameraConfig,
    EngineConfig,
    Precision,
)
from rt_pose.loop.latency import summary
from rt_pose.session.read import stamp_columns
from rt_pose.types import FloatArray

RATE_HZ = 200.0
SECONDS, QUICK_SECONDS, LONG_SECONDS = 8.0, 5.0, 60.0
STARTING_S = 15.0
"""Time of a run besides that of its frames."""
GROUP_MS = 2.0
PRECISION: Precision = "fp16"


def measure(options: Options, rows: Rows) -> None:
    """Measure by network, input, frame and cameras; the plainest first, and long.

    Parameters
    ----------
    options
        Of the section.
    rows
        Keeps the rows.
    """
    cases = list(product(("lite0", "resnet50"), (256, 384), ((640, 480), (1280, 1024)), (1, 4)))
    # One camera of everything before four of anything: time may run out.
    cases.sort(key=lambda case: case[3])
    with tempfile.TemporaryDirectory(prefix="rt-pose-video-") as folder:
        videos = {
            size: write_recording(Path(folder) / f"{size[0]}.mp4", size, 60)
            for size in ((640, 480), (1280, 1024))
        }
        for i, (backbone, side, size, cameras) in enumerate(cases[:2] if options.quick else cases):
            seconds = QUICK_SECONDS if options.quick else LONG_SECONDS if i == 0 else SECONDS
            rows.add(
                f"{backbone} {side}, {size[0]}x{size[1]}, {cameras} camera{'s' * (cameras > 1)}",
                run,
                (options.packages, backbone, side),
                videos[size],
                size,
                cameras,
                seconds,
                needs_s=seconds + STARTING_S,
            )


def run(
    network: tuple[Path, str, int],
    video: Path,
    size: tuple[int, int],
    cameras: int,
    seconds: float,
) -> Row:
    """Run one session of a network.

    Parameters
    ----------
    network
        Folder of packages, backbone, and side of the input.
    video
        The recording.
    size
        Its width and height, px.
    cameras
        Number of cameras.
    seconds
        Length of the run, s.

    Returns
    -------
    Row
        Latencies (ms) of its frames, and what became of all of them.
    """
    made = package(*network)
    engine = EngineConfig(device="gpu", precision=PRECISION)
    options = {"path": str(video), "rate_hz": RATE_HZ, "loop": True, "preload": True, "channels": 1}
    sources = {f"camera{i}": CameraConfig("video", options) for i in range(cameras)}
    group_ms = GROUP_MS if cameras > 1 else 0.0
    config = measured_run(str(made.path), sources, size, engine, seconds=seconds, group_ms=group_ms)
    with short_run(config) as played:
        session = played.session()
    stamps = stamp_columns(session.observations)
    stage = stamps.stages

    def ms(end: Any, begin: Any) -> Any:
        return summary((end - begin) / NS_PER_MS)

    return {
        **came_through(played.result, session),
        "launching_ms": ms(stage["t_preprocessed_ns"], stage["t_taken_ns"]),
        "device_ms": ms(stage["t_inferred_ns"], stage["t_preprocessed_ns"]),
        "after_ms": ms(stage["t_decided_ns"], stage["t_inferred_ns"]),
        "arrivals": paces(stamps.t_arrival_ns, [o.camera for o in session.observations]),
        "bare_forward_ms": session.info.bare_forward_ms,
        "missed": played.result.summary["deadline"]["missed"],
        "engine": session.info.engine,
        "ok": played.result.ok,
    }


def paces(t_arrival_ns: FloatArray, cameras: Sequence[str]) -> dict[str, float]:
    """Describe how frames came, camera by camera; back to back they would come as fast as the loop goes.

    Parameters
    ----------
    t_arrival_ns
        (F,) arrival, ns.
    cameras
        F names.

    Returns
    -------
    dict[str, float]
        `rate_hz` of the slowest camera over the whole, and the median and P1 of the times between two (ms).
    """
    names = np.asarray(cameras)
    times = [np.sort(t_arrival_ns[names == name]) for name in np.unique(names)]
    between = np.concatenate([np.diff(one) for one in times]) / NS_PER_MS
    rate = min((len(one) - 1) / ((one[-1] - one[0]) / NS_PER_S) for one in times if len(one) > 1)
    p1, p50 = np.percentile(between, [1, 50])
    return {"rate_hz": float(rate), "p50_ms": float(p50), "p1_ms": float(p1)}
