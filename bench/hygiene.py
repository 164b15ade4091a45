"""What the hot path allocates: kept for good, in use for a moment, and how often the collector runs.

    python -m bench.hygiene --model PACKAGE --video VIDEO.mp4 [--frames 10000] [--out bench/results/NAME]

Frames of a recording go through the loop's own `step`: the estimator, filter, rules, publisher and recorder's
sink that a run has, disarmed, one after another. Every allocation of Python and numpy is traced from the
end of the warm-up on (those of the network, of DALI and of torch's tensors are not Python's and do not
show).

    kept         bytes a frame that are still there after all frames, by line
    peak         most bytes in use at once within a stage, above what the frame began with
    in use       blocks that a frame has made and that are alive at the end of a stage, by line: the busiest
    stage collections  of Python's garbage collector over the run, and how long they took
"""

from __future__ import annotations

import gc
import linecache
import multiprocessing
import re
import sys
import tempfile
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import zmq

import rigs
from bench.latency.measured_run import latency_config
from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.schema import EngineConfig, Precision
from rt_pose.errors import UserError
from rt_pose.loop import closed_loop, frame_reporter
from rt_pose.loop.assemble import Assembled, assemble
from rt_pose.loop.frame_ring import FrameRing
from rt_pose.loop.latest_frames import TakenFrame
from rt_pose.loop.log import RecordSink
from rt_pose.types import Frame, FrameStamps
from rt_pose.video import read_frames

ROOT = Path(__file__).resolve().parent.parent
WARM_UP, PEAK_FRAMES, SNAPSHOT_FRAMES = 300, 300, 20
LINES_SHOWN = 12
MIN_FRAMES = 500
PERIOD_NS = 10 * NS_PER_MS
_STAMP = re.compile(r"\bt_(\w+)_ns\s*=")


class BoundaryClock(HostClock):
    """The host's clock, which informs a listener whenever the closed loop stamps a stage."""

    def __init__(self) -> None:
        self.listener: Callable[[str], None] | None = None

    def now_ns(self) -> int:
        """See `Clock.now_ns`."""
        if self.listener is not None:
            caller = sys._getframe(1)
            if caller.f_code.co_filename in (closed_loop.__file__, frame_reporter.__file__):
                line = linecache.getline(caller.f_code.co_filename, caller.f_lineno)
                stamp = _STAMP.search(line)
                if stamp:
                    self.listener(stamp[1])
        return super().now_ns()


class Feeder:
    """Puts the frames of a recording through the loop's step, one after another."""

    def __init__(self, assembled: Assembled, images: list[Any], clock: BoundaryClock) -> None:
        """Fill the camera's ring with images.

        Parameters
        ----------
        assembled
            A loop with one camera.
        images
            (H, W, C) each.
        clock
            Stamps the frames.
        """
        self._loop, self._clock = assembled.loop, clock
        ((self._camera, self._ring),) = assembled.rings.items()
        self._slots = min(self._ring.description.slots, len(images))
        fill_ring(self._ring, images[: self._slots])
        self._index = 0

    def step(self, frames: int = 1) -> None:
        """Put frames through the loop.

        Parameters
        ----------
        frames
            How many.
        """
        for _ in range(frames):
            slot, now = self._index % self._slots, self._clock.now_ns()
            stamps = FrameStamps(self._index, now, now, self._index * PERIOD_NS)
            self._index += 1
            self._loop.step(TakenFrame(Frame(self._camera, stamps, self._ring.image(slot)), slot, 2))


def fill_ring(ring: FrameRing, images: list[Any]) -> None:
    """Leave an image in each of the first slots.

    Parameters
    ----------
    ring
        The ring.
    images
        (H, W, C), no more than there are slots.
    """
    for slot, image in enumerate(images):
        ring.begin_write(slot)[:] = image
        ring.end_write(slot)


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "folder of the model package"]
    video: Annotated[Path, "the recording"]
    frames: int = 10_000
    precision: Precision = "auto"
    out: Out = None


def measure(options: Options) -> dict[str, Any]:
    """Measure all figures.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.

    Raises
    ------
    UserError
        Where package or recording cannot be used, or there are too few frames.
    """
    if options.frames < MIN_FRAMES:
        raise UserError(f"--frames: expected at least {MIN_FRAMES}, got {options.frames}")
    rigs.register()
    clock = BoundaryClock()
    engine = EngineConfig(precision=options.precision)
    config = latency_config(
        options.model, options.video, rate_hz=None, seconds=1.0, budget_ms=50.0, engine=engine
    )
    with tempfile.TemporaryDirectory(prefix="rt-pose-") as folder, _drain(f"ipc://{folder}/records") as end:
        assembled = assemble(config, "hygiene", clock, recorder=end)
        try:
            assert isinstance(assembled.sink, RecordSink)
            assembled.sink.wait_for_recorder()
            feeder = Feeder(assembled, _images(assembled, options.video), clock)
            feeder.step(WARM_UP)
            found = _trace(feeder, options.frames, clock)
            found["records_refused"] = assembled.sinks.refused()
            found["engine"] = assembled.description["engine"]["description"]
            found["keypoints"] = len(assembled.description["package"]["keypoints"])
        finally:
            assembled.stop()
            assembled.close()
    return {"bench": "hygiene", **conditions(), "recording": str(options.video), **found}


def _trace(feeder: Feeder, frames: int, clock: BoundaryClock) -> dict[str, Any]:
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    try:
        feeder.step(WARM_UP)  # what the tracing itself and the last caches take
        peaks = stage_peaks(feeder, clock)
        in_use = blocks_in_use(feeder, clock)
        return {"frames": frames, **retained_memory(feeder, frames), "peak_bytes": peaks, "in_use": in_use}
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def retained_memory(feeder: Feeder, frames: int) -> dict[str, Any]:
    """Measure what frames leave behind, and the collector's runs in that time.

    Parameters
    ----------
    feeder
        Puts frames through the loop.
    frames
        How many.

    Returns
    -------
    dict[str, Any]
        Bytes a frame that stay, in all and by line, and `collections`.
    """
    gc.collect()
    before, bytes_before = _snapshot(), tracemalloc.get_traced_memory()[0]
    with collections() as runs:
        feeder.step(frames)
    bytes_live = tracemalloc.get_traced_memory()[0]
    gc.collect()
    bytes_after = tracemalloc.get_traced_memory()[0]
    grown = [d for d in _snapshot().compare_to(before, "lineno") if d.size_diff > 0]
    grown.sort(key=lambda d: -d.size_diff)
    return {
        "kept_bytes_per_frame": round((bytes_after - bytes_before) / frames, 3),
        "kept_until_collected_bytes_per_frame": round((bytes_live - bytes_after) / frames, 3),
        "kept_by_line": [
            {"line": _place(d.traceback), "bytes": d.size_diff, "blocks": d.count_diff}
            for d in grown[:LINES_SHOWN]
        ],
        "collections": runs,
    }


def stage_peaks(feeder: Feeder, clock: BoundaryClock) -> dict[str, int]:
    """Measure the most bytes in use within each stage, above what there was when the frame began.

    Parameters
    ----------
    feeder
        Puts frames through the loop.
    clock
        Reports the ends of stages.

    Returns
    -------
    dict[str, int]
        Median over frames, bytes, by the stage that ends.
    """
    peaks: defaultdict[str, list[int]] = defaultdict(list)
    base = 0

    def at(stage: str) -> None:
        peaks[stage].append(tracemalloc.get_traced_memory()[1] - base)
        tracemalloc.reset_peak()

    clock.listener = at
    for _ in range(PEAK_FRAMES):
        base = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        feeder.step()
        at("recorded")
    clock.listener = None
    return {stage: round(float(np.median(values))) for stage, values in peaks.items()}


def blocks_in_use(feeder: Feeder, clock: BoundaryClock) -> list[dict[str, Any]]:
    """Count what is alive at the end of the stage where a line has most.

    Parameters
    ----------
    feeder
        Puts frames through the loop.
    clock
        Reports the ends of stages.

    Returns
    -------
    list[dict[str, Any]]
        Blocks and bytes by line, mean over frames; the most blocks first.
    """
    most: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    _snapshot()  # its filter's patterns are compiled now, not within a frame
    for _ in range(SNAPSHOT_FRAMES):
        before, taken = _snapshot(), list[tracemalloc.Snapshot]()
        # Evaluated only after the frame: what that allocates is none of the frame's.
        clock.listener = lambda _stage, taken=taken: taken.append(tracemalloc.take_snapshot())
        feeder.step()
        clock.listener = None
        found: dict[str, tuple[int, int]] = {}
        for snapshot in taken:
            for d in _without_own(snapshot).compare_to(before, "lineno"):
                place = _place(d.traceback)
                if d.count_diff > found.get(place, (0, 0))[0]:
                    found[place] = d.count_diff, d.size_diff
        for place, counts in found.items():
            most[place].append(counts)
    rows = [
        {
            "line": place,
            "blocks": round(sum(b for b, _ in counts) / SNAPSHOT_FRAMES, 1),
            "bytes": round(sum(s for _, s in counts) / SNAPSHOT_FRAMES),
        }
        for place, counts in most.items()
    ]
    return sorted(rows, key=lambda row: -float(row["blocks"]))


@contextmanager
def collections() -> Iterator[dict[str, Any]]:
    """Count the garbage collector's runs within the block.

    Yields
    ------
    dict[str, Any]
        Runs by generation, objects freed, and the longest run (ms); filled in while the block runs.
    """
    clock, runs = HostClock(), {"gen0": 0, "gen1": 0, "gen2": 0, "freed": 0, "longest_ms": 0.0}
    began = 0

    def note(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = clock.now_ns()
            return
        runs[f"gen{info['generation']}"] += 1
        runs["freed"] += info["collected"]
        runs["longest_ms"] = max(runs["longest_ms"], round((clock.now_ns() - began) / NS_PER_MS, 3))

    gc.callbacks.append(note)
    try:
        yield runs
    finally:
        gc.callbacks.remove(note)


def table(figures: dict[str, Any]) -> str:
    """Format the figures for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    runs, count = figures["collections"], figures["frames"]
    peaks = [[stage, f"{n:,}"] for stage, n in figures["peak_bytes"].items()]
    in_use = [
        [r["line"], f"{r['blocks']:g}", f"{r['bytes']:,}"] for r in figures["in_use"][: 2 * LINES_SHOWN]
    ]
    stay = [[r["line"], f"{r['bytes']:,}", f"{r['blocks']:,}"] for r in figures["kept_by_line"]]
    return "\n".join(
        [
            f"# What the hot path allocates, {count:,} frames, {figures['keypoints']} keypoints\n",
            f"{machine_line(figures)}; {figures['engine']}\n",
            f"kept: {figures['kept_bytes_per_frame']:g} bytes a frame (and "
            f"{figures['kept_until_collected_bytes_per_frame']:g} until the next collection); collections: "
            f"{runs['gen0']} of generation 0, {runs['gen1']} of 1, {runs['gen2']} of 2, the longest "
            f"{runs['longest_ms']:g} ms (traced), {runs['freed']} objects freed; records refused: "
            f"{figures['records_refused']}\n",
            markdown_table(["kept, by line", "bytes in all", "blocks"], stay),
            "\n" + markdown_table(["peak within the stage that ends at", "bytes"], peaks),
            "\n"
            + markdown_table(["in use at the end of a stage, by line", "blocks a frame", "bytes"], in_use),
        ]
    )


def _images(assembled: Assembled, video: Path) -> list[Any]:
    (info,) = assembled.description["cameras"].values()
    ((_, ring),) = assembled.rings.items()
    images = []
    for frame in read_frames(video, info["channels"]):
        images.append(frame.image)
        if len(images) == ring.description.slots:
            break
    return images


def _snapshot() -> tracemalloc.Snapshot:
    return _without_own(tracemalloc.take_snapshot())


def _without_own(snapshot: tracemalloc.Snapshot) -> tracemalloc.Snapshot:
    own = (tracemalloc.__file__, __file__, linecache.__file__)
    return snapshot.filter_traces([tracemalloc.Filter(False, name) for name in own])


def _place(traceback: Any) -> str:
    frame = traceback[0]
    path = Path(frame.filename)
    if path.is_relative_to(ROOT) and ".venv" not in path.parts:
        return f"{path.relative_to(ROOT)}:{frame.lineno}"
    return f"{'/'.join(path.parts[-2:])}:{frame.lineno}"


@contextmanager
def _drain(endpoint: str) -> Iterator[str]:
    """Take records in, in a process of its own, so that its memory is not counted."""
    child = multiprocessing.get_context("spawn").Process(
        target=discard_records, args=(endpoint,), daemon=True
    )
    child.start()
    try:
        yield endpoint
    finally:
        child.terminate()
        child.join()


def discard_records(endpoint: str) -> None:
    """Receive records and discard them; the target of a spawned process.

    Parameters
    ----------
    endpoint
        Where records arrive.
    """
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
    socket.bind(endpoint)
    while True:
        socket.recv_multipart()


if __name__ == "__main__":
    sys.exit(run(Options, measure, table))
