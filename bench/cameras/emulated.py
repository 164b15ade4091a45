"""A run on emulated Basler cameras: its frames accounted for one by one, its processor time and memory."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import rigs
from bench.background_load import busy_s, own_memory_mib, processor_s
from bench.cameras.disturbed import by_disturbance, others_cores
from bench.latency.measured_run import measured_run
from bench.short_run import short_run
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.config.schema import CameraConfig, EngineConfig, Precision, RunConfig
from rt_pose.drivers import DriverContext, make_camera
from rt_pose.errors import UserError
from rt_pose.extras import require
from rt_pose.loop.latency import summary
from rt_pose.records import DropRecord
from rt_pose.session.read import STAGES, Session, stamp_columns
from rt_pose.session.run import RunObserver
from rt_pose.types import FrameStamps

SERIALS = ("0815-0000", "0815-0001")
VARIABLE = "PYLON_CAMEMU"
BUDGET_MS = 50.0
SETTLE_S = 1.0
"""From the start of cameras to the measurement of what they take."""
LOOP, RECORDER = "rt-pose-loop", "rt-pose-recorder"


@dataclass(frozen=True)
class EmulatedRun:
    """What every run of a part has in common."""

    model: str
    size: tuple[int, int]
    """Width and height of the frames, px."""
    precision: Precision
    threads: int = 0
    """Of the engine; 0: as a run chooses at its start."""
    priority: Literal["normal", "high"] = "normal"

    def options(self, serial: str, rate_hz: float) -> dict[str, Any]:
        """Make the options of a camera, whose exposure leaves room for the rate.

        Parameters
        ----------
        serial
            Its serial number.
        rate_hz
            Frames a second.

        Returns
        -------
        dict[str, Any]
            Of the driver.
        """
        exposure_us = min(5000.0, 0.4e6 / rate_hz)
        return {"serial": serial, "rate_hz": rate_hz, "exposure_us": exposure_us, "roi": [0, 0, *self.size]}

    def with_threads(self, threads: int) -> EmulatedRun:
        """Make the same with other threads of the engine.

        Parameters
        ----------
        threads
            How many; 0: as a run chooses at its start.

        Returns
        -------
        EmulatedRun
            The plan.
        """
        return replace(self, threads=threads)

    def config(self, cameras: int, rate_hz: float, seconds: float) -> RunConfig:
        """Make a run of whole length, recorded without video.

        Parameters
        ----------
        cameras
            How many.
        rate_hz
            Frames a second of each.
        seconds
            Length, s.

        Returns
        -------
        RunConfig
            The run.
        """
        chosen = {
            f"camera{i}": CameraConfig("basler", self.options(serial, rate_hz))
            for i, serial in enumerate(SERIALS[:cameras])
        }
        engine = EngineConfig(precision=self.precision, threads=self.threads, priority=self.priority)
        settings = {"seconds": seconds, "budget_ms": BUDGET_MS}
        return measured_run(self.model, chosen, self.size, engine, **settings)


@contextmanager
def emulated_cameras() -> Iterator[None]:
    """Let Basler's library emulate its cameras in the processes that are started within the block.

    Raises
    ------
    UserError
        Where the library is not installed.
    """
    require("basler", "this part")
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(len(SERIALS))
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


@dataclass
class Usage(RunObserver):
    """Notes the processor time and the memory of a run's processes, twice a second."""

    t_ns: list[int] = field(default_factory=list)
    processor_s: list[dict[str, float]] = field(default_factory=list)
    """At each time, by process."""
    memory_mib: list[dict[str, float]] = field(default_factory=list)
    """At each time, by process: what belongs to it alone, so not the frames that processes share."""
    busy_s: list[float] = field(default_factory=list)
    """At each time: processor time of all cores together that was not idle."""
    _clock: HostClock = field(default_factory=HostClock)

    def stats(self, stats: dict[str, Any]) -> None:  # noqa: ARG002
        """See `RunObserver.stats`."""
        running = {p.name: p.pid for p in multiprocessing.active_children() if p.pid is not None}
        pids = {name: running[name] for name in (LOOP, RECORDER) if name in running} | {
            "supervisor": os.getpid()
        }
        with suppress(FileNotFoundError):  # a process that has just ended
            taken = {name: processor_s(pid) for name, pid in pids.items()}
            memory = {name: own_memory_mib(pid) for name, pid in pids.items()}
            busy = busy_s()
            self.t_ns.append(self._clock.now_ns())
            self.processor_s.append(taken)
            self.memory_mib.append(memory)
            self.busy_s.append(busy)

    def cores(self) -> dict[str, float]:
        """Sum up the processor time.

        Returns
        -------
        dict[str, float]
            Cores in use on average by process, and `whole`.

        Raises
        ------
        UserError
            Where the run was too short.
        """
        if len(self.t_ns) < 2:
            raise UserError("--seconds: expected a longer run: nothing was measured")
        elapsed_s = (self.t_ns[-1] - self.t_ns[0]) / NS_PER_S
        first, last = self.processor_s[0], self.processor_s[-1]
        by_process = {
            name: round((last[name] - first.get(name, 0.0)) / elapsed_s, 4) for name in last if name in first
        }
        return {**by_process, "whole": round(sum(by_process.values()), 4)}

    def others_cores(self) -> NDArray[np.float64]:
        """See `bench.cameras.disturbed.others_cores`."""
        return others_cores(self.t_ns, self.busy_s, self.processor_s)


@dataclass
class Measured:
    """A run that is over."""

    session: Session
    figures: dict[str, Any]
    usage: Usage


def run_emulated(
    plan: EmulatedRun, cameras: int, rate_hz: float, seconds: float, *, alone: bool = True
) -> Measured:
    """Run once and account for every frame.

    Parameters
    ----------
    plan
        Model, frame size, precision.
    cameras
        How many.
    rate_hz
        Frames a second of each.
    seconds
        Length, s.
    alone
        Whether the cameras are measured without a loop, too.

    Returns
    -------
    Measured
        The session and the figures.

    Raises
    ------
    UserError
        Where the run did not end well.
    """
    usage = Usage()
    with emulated_cameras():
        with short_run(plan.config(cameras, rate_hz, seconds), rigs.register, usage) as played:
            if not played.result.summary:
                raise UserError(f"the run did not end well: {played.result.status}")
            session, counts = played.session(), played.result.summary["cameras"]
        emulator = emulator_alone(plan, cameras, rate_hz, min(seconds, 10.0)) if alone else None
    stamps = stamp_columns(session.observations)
    arrival_ms = (stamps.stages["t_decided_ns"] - stamps.t_arrival_ns) / NS_PER_MS
    lost = [d for d in session.drops if d.stage != "end"]
    return Measured(
        session,
        {
            "cameras": cameras,
            "rate_hz": rate_hz,
            "seconds": seconds,
            "ended": played.result.status,
            "frames": {name: account(session, name, found) for name, found in counts.items()},
            "arrival_to_decision_ms": summary(arrival_ms),
            "cores_in_use": usage.cores(),
            "emulator_alone": emulator,
            "engine": session.info.engine["description"],
            "others": by_disturbance(session, usage.t_ns, usage.others_cores()),
            "lost_by_reason": dict(Counter(kind for kind, _ in explanations(session, lost))),
            "explained": [line for _, line in explanations(session, lost[:20])],
        },
        usage,
    )


def account(session: Session, camera: str, counts: dict[str, Any]) -> dict[str, Any]:
    """Compare what a camera has delivered, by its own counter, with what became of the frames.

    Parameters
    ----------
    session
        The session.
    camera
        Name of the camera.
    counts
        The loop's last counts of it.

    Returns
    -------
    dict[str, Any]
        `delivered`, the counts, and `uncounted`: how many frames neither sum explains.
    """
    indices = [f.stamps.index for f in session.frames if f.camera == camera]
    delivered = indices[-1] - indices[0] + 1 if indices else 0
    skipped = counts["device_gaps"] + counts["failed"]
    captured, processed = counts["captured"], counts["processed"]
    replaced = counts["superseded"] + counts["left_at_end"]
    recorded = sum(d.count for d in session.drops if d.camera == camera)
    return {
        "delivered": delivered,
        "captured": captured,
        "skipped": skipped,
        "processed": processed,
        "replaced": counts["superseded"],
        "left_at_end": counts["left_at_end"],
        "uncounted": abs(delivered - captured - skipped) + abs(captured - processed - replaced),
        "unrecorded": abs(recorded - skipped - replaced),
    }


def explanations(session: Session, lost: list[DropRecord]) -> list[tuple[str, str]]:
    """Explain lost frames by what the loop was doing.

    Parameters
    ----------
    session
        The session.
    lost
        Records of the frames.

    Returns
    -------
    list[tuple[str, str]]
        For each record its kind, and a sentence.
    """
    seen = [o for o in session.observations if o.stages.t_decided_ns]
    if not seen:
        return [("no frame was decided on", "no frame was decided on")] * len(lost)
    times = np.array([[o.stamps.t_arrival_ns, *(getattr(o.stages, name) for name in STAGES)] for o in seen])
    order = np.argsort(times[:, 1])
    times = times[order]
    spans_ms = np.diff(times, axis=1) / NS_PER_MS
    usual_ms = np.median(spans_ms, axis=0)
    start_ns = session.frames[0].t_ns if session.frames else 0
    found = []
    for drop in lost:
        at = f"{(drop.t_ns - start_ns) / NS_PER_S:.2f} s, {drop.camera}, frame {drop.first_index}"
        if drop.stage != "capture":
            kind = f"{drop.stage}: {drop.reason}"
            found.append((kind, f"{at}: {drop.count} x {drop.reason}"))
            continue
        turn = int(np.searchsorted(times[:, 1], drop.t_ns)) - 1
        if turn < 0:
            found.append(("loop not begun", f"{at}: the loop had not taken its first frame"))
            continue
        row, spans = times[turn], spans_ms[turn]
        if drop.t_ns > row[-1]:
            idle_ms = (drop.t_ns - row[-1]) / NS_PER_MS
            found.append(("loop late to wake", f"{at}: the loop had been free for {idle_ms:.1f} ms"))
            continue
        late = 1 + int(np.argmax((spans - usual_ms)[1:]))
        stage = STAGES[late].removeprefix("t_").removesuffix("_ns")
        busy_ms = (row[-1] - row[1]) / NS_PER_MS
        found.append(
            (
                "loop busy",
                f"{at}: the loop was busy with another for {busy_ms:.1f} ms (usually "
                f"{float(np.sum(usual_ms[1:])):.1f}); up to `{stage}` it took {spans[late]:.1f} ms (usually "
                f"{usual_ms[late]:.1f})",
            )
        )
    return found


def emulator_alone(plan: EmulatedRun, cameras: int, rate_hz: float, seconds: float) -> dict[str, Any]:
    """Measure what the emulated cameras and the copying of their frames take, in a process without a loop.

    Parameters
    ----------
    plan
        Frame size.
    cameras
        How many.
    rate_hz
        Frames a second of each.
    seconds
        Length, s.

    Returns
    -------
    dict[str, Any]
        `cores_in_use` on average and `frames`, how many came.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    options = [plan.options(serial, rate_hz) for serial in SERIALS[:cameras]]
    process = spawn.Process(target=_grab_alone, args=(theirs, options, seconds), name="rt-pose-bench-cameras")
    process.start()
    theirs.close()
    try:
        found: dict[str, Any] = ours.recv()
    except EOFError:
        raise UserError(
            "the emulated cameras could not be measured alone; what is printed above says why"
        ) from None
    finally:
        process.join()
    return found


def _grab_alone(link: Connection, options: list[dict[str, Any]], seconds: float) -> None:
    rigs.register()
    clock, ended, frames = HostClock(), threading.Event(), Counter[int]()
    cameras = [make_camera(f"camera{i}", "basler", o, DriverContext(clock)) for i, o in enumerate(options)]

    def take(number: int, shape: tuple[int, int, int]) -> None:
        image = np.zeros(shape, np.uint8)
        while (grabbed := cameras[number].grab(image)) is not None:
            frames[number] += isinstance(grabbed, FrameStamps)

    infos = [camera.open() for camera in cameras]
    for camera in cameras:
        camera.arm()
        camera.start()
    threads = [
        threading.Thread(target=take, args=(i, (info.height, info.width, info.channels)))
        for i, info in enumerate(infos)
    ]
    for thread in threads:
        thread.start()
    ended.wait(SETTLE_S)
    from_ns, from_s, from_frames = clock.now_ns(), processor_s(os.getpid()), frames.total()
    ended.wait(seconds)
    elapsed_s = (clock.now_ns() - from_ns) / NS_PER_S
    taken_s, came = processor_s(os.getpid()) - from_s, frames.total() - from_frames
    for camera in cameras:
        camera.stop()
    for thread in threads:
        thread.join()
    for camera in cameras:
        camera.close()
    link.send({"cores_in_use": round(taken_s / elapsed_s, 4), "frames": came, "seconds": round(elapsed_s, 2)})
