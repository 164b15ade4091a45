"""27,000 frames at the pace of a camera of 200 frames/s: a tail that is measured, not guessed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.gpu.latency import RATE_HZ, STARTING_S, run
from bench.gpu.section import Options, Rows
from bench.gpu.video import write_recording

FRAMES, QUICK_FRAMES = 27_000, 1000
SIZE, SIDE = (640, 480), 256


def measure(options: Options, rows: Rows) -> None:
    """Measure a row a network, each one session.

    Parameters
    ----------
    options
        Of the section.
    rows
        Keeps the rows.
    """
    frames = QUICK_FRAMES if options.quick else FRAMES
    seconds = frames / RATE_HZ
    with tempfile.TemporaryDirectory(prefix="rt-pose-video-") as folder:
        video = write_recording(Path(folder) / "long.mp4", SIZE, 60)
        for backbone in ("lite0", "resnet50"):
            rows.add(
                f"{backbone} {SIDE}, {SIZE[0]}x{SIZE[1]}, {RATE_HZ:g} frames a second, {frames} frames",
                run,
                (options.packages, backbone, SIDE),
                video,
                SIZE,
                1,
                seconds,
                needs_s=seconds + STARTING_S,
            )
