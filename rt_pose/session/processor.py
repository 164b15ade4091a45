"""A processor of DeepLabCut-Live in a process of its own, handed the newest pose again and again.

    loop --publishes--> [newest pose] -> process(pose, frame_time=..., pose_time=..., record=...)
                                            |-> processors/NAME.jsonl   what each call returned
                                            `-> processors/NAME.txt     what it printed

To the loop this is a subscriber like any other: it is not waited for, and poses that it has no time for are
skipped and counted. What it does is its own: nothing of it is in the log, and no replay repeats it.

Only the interface of processors is DeepLabCut-Live's: a class with `process(pose, **kwargs)`, where `pose` is
(K, 3) x, y (px) and likelihood, and with `save(file)`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import zmq

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock, HostClock
from rt_pose.config.schema import ProcessorConfig
from rt_pose.errors import UserError
from rt_pose.loop.curve import ClientKeys
from rt_pose.session.pose_feed import PoseFeed, PublishedPose
from rt_pose.session.processor_class import (
    MAX_CHARS,
    as_plain,
    describe_error,
    load_processor,
    stand_in_for_dlclive,
)
from rt_pose.session.processor_files import ProcessorFiles
from rt_pose.session.recorder_report import Reporter

NICENESS = 10
IDLE_MS = 50
REPORT_NS = 500 * NS_PER_MS
ORPHAN_S = 5.0
"""How long it may go on when the run's own process has died."""


@dataclass(frozen=True)
class ProcessorTask:
    """What a processor needs to begin."""

    name: str
    camera: str
    address: str
    """Where the loop publishes."""
    keys: ClientKeys | None
    """For an address that other machines reach."""
    in_json: bool
    """Whether messages are in JSON."""
    session: str
    """The session's folder; empty where nothing is recorded."""


@dataclass
class ProcessorReport:
    """What a processor has done so far."""

    ready: bool = False
    """Whether it has been made."""
    refused: str = ""
    """Why it could not be made."""
    calls: int = 0
    skipped: int = 0
    """Poses that it had no time for."""
    exceptions: int = 0
    """Calls that raised."""
    first_exception: str = ""
    slowest_ms: float = 0.0
    saved: str = ""
    """What `save` returned, or why nothing was saved."""
    problem: str = ""
    """What keeps it from being called, or its calls from being written down."""
    ended: bool = False
    """Whether it has ended of itself; True only in the last report."""


def main(config: ProcessorConfig, orders: Connection, reports: Connection) -> None:
    """Make a processor, and call it until the run ends; the target of a spawned process.

    Parameters
    ----------
    config
        Which one.
    orders
        Brings a `ProcessorTask` once everything is open; its end is the end of the run.
    reports
        Takes `ProcessorReport`s, the first one when the processor has been made or refused.
    """
    # What a terminal sends reaches every process of it; the supervisor decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.nice(NICENESS)
    _end_with_parent()
    report, reporter = ProcessorReport(), Reporter(reports)
    stand_in_for_dlclive()
    try:
        processor = load_processor(config.source, config.options)
    except UserError as error:
        report.refused = str(error)
        reporter.send_last(report)
        return
    report.ready = True
    reporter.send(report)
    try:
        task: ProcessorTask = orders.recv()
    except EOFError:
        return  # the run was refused
    ProcessorAdapter(processor, config.individual, task, HostClock(), report, reporter).run(orders)


class ProcessorAdapter:
    """Hands poses to a processor, and writes down what came of it."""

    def __init__(
        self,
        processor: Any,
        individual: int,
        task: ProcessorTask,
        clock: Clock,
        report: ProcessorReport,
        reporter: Reporter,
    ) -> None:
        """Subscribe to the poses, and send what this process prints into a file.

        Parameters
        ----------
        processor
            Has `process(pose, **kwargs)`.
        individual
            Which animal it is handed.
        task
            Where poses come from and files go to.
        clock
            Times the calls.
        report
            Is kept up to date.
        reporter
            Takes it twice a second.
        """
        self._processor, self._individual, self._clock = processor, individual, clock
        self._report, self._reporter = report, reporter
        self._recorded = bool(task.session)
        self._files = ProcessorFiles(Path(task.session) if task.session else None, task.name)
        self._feed = PoseFeed(task.address, task.keys, task.camera, task.in_json, clock)
        self._reported_ns = clock.now_ns()

    def run(self, orders: Connection) -> None:
        """Call the processor until the run ends, then let it save.

        Parameters
        ----------
        orders
            Becomes readable at the end.
        """
        poller = zmq.Poller()
        poller.register(self._feed.socket, zmq.POLLIN)
        poller.register(orders.fileno(), zmq.POLLIN)
        while orders.fileno() not in (ready := dict(poller.poll(IDLE_MS))):
            pose = self._feed.newest() if ready else None
            self._report.skipped = self._feed.skipped
            if pose is not None:
                self._hand_over(pose)
            self._send_report()
        self._feed.close()
        self._save()
        self._files.close()
        self._report.problem = self._report.problem or self._files.problem
        self._report.ended = True
        self._reporter.send_last(self._report)

    def _hand_over(self, pose: PublishedPose) -> None:
        if self._individual >= len(pose.values):
            self._report.problem = f"there is no individual {self._individual}: a pose has {len(pose.values)}"
            return
        given = pose.values[self._individual]
        times = {"frame_time": pose.t_frame_utc_ns / NS_PER_S, "pose_time": pose.t_pose_utc_ns / NS_PER_S}
        called_ns = self._clock.now_ns()
        try:
            returned = self._processor.process(given.copy(), **times, record=self._recorded)
            outcome = as_plain(returned, given)
        except BaseException as error:  # noqa: BLE001 - it may raise anything, exits included, and is called again
            self._count(error)
            outcome = {"raised": describe_error(error)}
        returned_ns = self._clock.now_ns()
        self._report.calls += 1
        took_ms = round((returned_ns - called_ns) / NS_PER_MS, 3)
        self._report.slowest_ms = max(self._report.slowest_ms, took_ms)
        times_ns = {"t_called_ns": called_ns, "t_returned_ns": returned_ns}
        self._files.write({"frame": pose.frame, "t_exposure_ns": pose.t_exposure_ns} | times_ns | outcome)

    def _count(self, error: BaseException) -> None:
        self._report.exceptions += 1
        if not self._report.first_exception:
            self._report.first_exception = describe_error(error)
            traceback.print_exception(error)  # among its prints

    def _save(self) -> None:
        """Let it save what it has, as when a recording is saved in DeepLabCut-Live."""
        save = getattr(self._processor, "save", None)
        if save is None or not self._files.save_name:
            return
        try:
            self._report.saved = f"save returned {save(self._files.save_name)!r}"[:MAX_CHARS]
        except BaseException as error:  # noqa: BLE001 - as for a call
            self._count(error)
            self._report.saved = f"nothing: save raised {describe_error(error)}"

    def _send_report(self) -> None:
        now_ns = self._clock.now_ns()
        if now_ns - self._reported_ns < REPORT_NS:
            return
        self._reported_ns = now_ns
        self._files.flush()
        self._report.problem = self._report.problem or self._files.problem
        self._reporter.send(self._report)


def _end_with_parent() -> None:
    """End when the run's own process is gone, also where the processor never returns."""
    parent = multiprocessing.parent_process()

    def follow() -> None:
        assert parent is not None
        wait([parent.sentinel])
        threading.Event().wait(ORPHAN_S)
        os._exit(1)

    if parent is not None:
        threading.Thread(target=follow, name="rt-pose-parent", daemon=True).start()
