"""What dynamic cropping brings on large frames, and where it fails.

    python -m bench.crop --model PACKAGE --video FILE [--frames N] [--out STEM]

The recording is laid into larger frames in which it moves about: slowly, and with a leap to another place
every `LEAP_EVERY` frames. Right is what the network finds in the recording itself, moved along. Compared are
the whole frame and a window that follows: distance of confident keypoints, keypoints found at all, time for
preprocessing, and how often the window was lost.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.schema import CropConfig, EngineConfig
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.estimator import Estimator
from rt_pose.loop.latency import summary
from rt_pose.package import Package, read_package
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.crop import CropFollower
from rt_pose.types import FloatArray, FrameStamps, Pose
from rt_pose.video import read_frames

SCALES = (1.25, 1.5, 2.0, 3.0)
"""Sides of the large frame, in sides of the recording."""
LEAP_EVERY = 60
WINDOW = 1.15
"""Sides of the window, in sides of the recording."""
CONFIDENT = 0.5


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "folder of the model package"]
    video: Annotated[Path, "the recording"]
    frames: Annotated[int, "frames of it"] = 300
    out: Out = None


def measure(options: Options) -> dict[str, Any]:
    """Measure every size of frame, looked at whole and followed.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    package = read_package(options.model)
    estimator = choose_engine(package, EngineConfig(precision="float32")).estimator
    channels = package.manifest.input.channels
    frames = [f.image.copy() for f in islice(read_frames(options.video, channels), options.frames)]
    right = [estimator.estimate(frame) for frame in frames]
    rows = [
        compare(package, estimator, frames, right, scale, follow)
        for scale in SCALES
        for follow in (False, True)
    ]
    return {"bench": "crop", **conditions(), "frames": len(frames), "rows": rows}


def compare(
    package: Package,
    estimator: Estimator,
    frames: list[NDArray[np.uint8]],
    right: list[Any],
    scale: float,
    follow: bool,
) -> dict[str, Any]:
    """Measure one size of frame, looked at whole or followed by a window.

    Parameters
    ----------
    package
        The model package, for the filter.
    estimator
        Its estimator.
    frames
        (H, W, C) of the recording.
    right
        What the network finds in each of them.
    scale
        Side of the large frame, in sides of the recording.
    follow
        Whether a window follows the animal.

    Returns
    -------
    dict[str, Any]
        Preprocessing (ms), distances (px of the frame), share of keypoints found, and counts of the window.
    """
    height, width, channels = frames[0].shape
    size = (round(width * scale), round(height * scale))
    wide, high = (min(round(WINDOW * side), whole) for side, whole in zip((width, height), size, strict=True))
    follower = CropFollower(CropConfig(wide, high, margin_px=0.0), size)
    tracker = CausalFilter(package.manifest.tracking, 1, len(package.manifest.keypoints))
    canvas = np.full((size[1], size[0], channels), round(float(np.mean(frames[0]))), np.uint8)
    clock, times, apart, confident_right, found_too = HostClock(), [], [], 0, 0
    for i, (frame, (x, y)) in enumerate(zip(frames, places(len(frames), size, (width, height)), strict=True)):
        canvas[:] = round(float(np.mean(frame)))
        canvas[y : y + height, x : x + width] = frame
        t_ns = i * 4 * NS_PER_MS
        window = follower.window(tracker.predict("bench", i, t_ns)) if follow else None
        start_ns = clock.now_ns()
        estimator.preprocess(canvas, window)
        times.append((clock.now_ns() - start_ns) / NS_PER_MS)
        found = estimator.estimate(canvas, window)
        stamps = FrameStamps(i, t_ns, t_ns, t_ns)
        tracker.step(Pose("bench", stamps, found.xy, found.cov, found.confidence))
        confident = right[i].confidence[0] >= CONFIDENT
        both = confident & (found.confidence[0] >= CONFIDENT)
        confident_right, found_too = confident_right + int(confident.sum()), found_too + int(both.sum())
        apart += np.linalg.norm(found.xy[0] - right[i].xy[0] - (x, y), axis=1)[both].tolist()
    return {
        "frame": list(size),
        "follow": follow,
        "window": [wide, high] if follow else None,
        "preprocess_ms": summary(times),
        "apart_px": _spread(np.array(apart)),
        "found": found_too / confident_right,
        "n": confident_right,
        "looks": asdict(follower.counts) if follow else None,
    }


def places(n: int, size: tuple[int, int], inner: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Choose where the recording lies in each frame: a slow circle, and a leap every `LEAP_EVERY` frames.

    Parameters
    ----------
    n
        Number of frames.
    size, inner
        Width and height of the large frame and of the recording, px.

    Yields
    ------
    tuple[int, int]
        x and y of its left upper corner, px.
    """
    room = np.array(size) - inner
    random = np.random.default_rng(0)
    centre = random.uniform(0.2, 0.8, 2)
    for i in range(n):
        if i % LEAP_EVERY == 0:
            centre = random.uniform(0.2, 0.8, 2)
        turn = 2 * np.pi * i / 200
        at = np.clip(centre + 0.15 * np.array([np.cos(turn), np.sin(turn)]), 0, 1)
        x, y = np.rint(at * room).astype(int).tolist()
        yield x, y


def _spread(apart: FloatArray) -> dict[str, float] | None:
    if not apart.size:
        return None
    median, p95 = np.percentile(apart, [50, 95])
    return {"median": round(float(median), 3), "p95": round(float(p95), 3)}


def text(figures: dict[str, Any]) -> str:
    """Format the table for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for row in figures["rows"]:
        apart, looks = row["apart_px"] or {"median": float("nan"), "p95": float("nan")}, row["looks"] or {}
        rows.append(
            [
                "x".join(map(str, row["frame"])),
                "window " + "x".join(map(str, row["window"])) if row["follow"] else "whole",
                f"{row['preprocess_ms']['p50']:.2f}",
                f"{apart['median']:.2f}",
                f"{apart['p95']:.2f}",
                f"{100 * row['found']:.1f} %",
                ", ".join(f"{name} {n}" for name, n in looks.items()) or "-",
            ]
        )
    head = ["frame", "looked at", "preprocess P50 ms", "apart median px", "P95 px", "found", "frames"]
    return "\n\n".join(
        [
            f"# Dynamic cropping\n\n{machine_line(figures)}; float32; {figures['frames']} frames, a leap "
            f"every {LEAP_EVERY}. Apart: from what the network finds in the recording by itself, keypoints "
            f"of confidence >= {CONFIDENT} in both; found: share of those that are sure there.",
            markdown_table(head, rows),
        ]
    )


if __name__ == "__main__":
    sys.exit(run(Options, measure, text))
