"""The recorder: a process of its own that writes the session to disk and never holds the loop up.

    loop's threads --PUSH--> [drain] --> log.mcap            every record, undecoded
                                |
    shared ring of pixels --> [copy] --> backlog --> [encode one] --> CAMERA.mkv

It ends when the loop says so, when the loop or the supervisor is gone, or on SIGTERM; in each case it first
takes in what is still on its way and closes the log whole. Twice a second it tells its supervisor how it
goes. Ctrl-C reaches every process of a terminal, so it is ignored here: the supervisor decides.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import zmq

from rt_pose.clock import NS_PER_MS, Clock, HostClock
from rt_pose.loop.frame_ring import RingDescription
from rt_pose.loop.log import HELLO, RING, TIME
from rt_pose.records import CapturedFrame, Record, topic_of
from rt_pose.session.log_file import LOG_NAME, LogWriter
from rt_pose.session.recorder_report import RecorderReport, Reporter
from rt_pose.session.video_file import Codec
from rt_pose.session.video_recording import CameraRecorder

FLUSH_NS = 200 * NS_PER_MS
SYNC_NS = 1000 * NS_PER_MS
REPORT_NS = 500 * NS_PER_MS
IDLE_MS = 50
GATHER_NS = 15 * NS_PER_MS
"""Records are taken in several at once: waking for each would cost the cores several switches a frame."""
QUIET_MS = 200
"""Silence after which nothing more is expected from a loop that has ended."""
LAST_RECORDS_NS = 3000 * NS_PER_MS
"""How long it goes on taking records in where the sender does not fall silent."""
DRAIN_AT_ONCE = 256
QUEUE_RECORDS = 50_000
FAULT_CHARS = 300
"""A report is small; what a library says of its failure may not be."""
NICENESS = 10
_FRAME, _END = b"frame", b"end"


def main(
    session_dir: str, endpoint: str, codec: Codec | None = "h264", reports: Connection | None = None
) -> None:
    """Record until the loop ends; the target of a spawned process.

    Parameters
    ----------
    session_dir
        An existing folder without a log.
    endpoint
        Where records arrive, `ipc://...`.
    codec
        Of the cameras' films; None where they are not filmed.
    reports
        Where it tells its supervisor how it goes; None for nobody.

    Raises
    ------
    SystemExit
        Where the disk cannot be written any more.
    """
    _step_back()
    _record(session_dir, endpoint, codec, reports)


def stand_by(orders: Connection, reports: Connection) -> None:
    """Wait for a session, and record it; the target of a spawned process.

    It is started while the loop is still being set up, which may yet be refused: until it is told where the
    session lies, it writes nothing.

    Parameters
    ----------
    orders
        Brings the first three arguments of `main`; closed without them, there is no session.
    reports
        See `main`.

    Raises
    ------
    SystemExit
        See `main`.
    """
    _step_back()
    try:
        session_dir, endpoint, codec = orders.recv()
    except (EOFError, OSError):
        return
    _record(session_dir, endpoint, codec, reports)


def _step_back() -> None:
    """Leave the terminal's signals to the supervisor, and the cores to the loop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.nice(NICENESS)
    # A batch process does not take the core from the loop whenever a record wakes it.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _record(session_dir: str, endpoint: str, codec: Codec | None, reports: Connection | None) -> None:
    reporter = Reporter(reports)
    recorder = None
    try:
        recorder = Recorder(Path(session_dir), endpoint, HostClock(), codec, reporter)
        signal.signal(signal.SIGTERM, recorder.ask_to_stop)
        recorder.run()
    except (OSError, zmq.ZMQError) as error:
        last = RecorderReport() if recorder is None else recorder.report
        last.ending = f"cannot write {session_dir} any more: {error.strerror or error}"
        reporter.send_last(last)
        raise SystemExit(f"recorder: {last.ending}") from None
    reporter.send(recorder.report)  # what follows may take its time: it is known that the log is whole
    recorder.sync_films()
    reporter.send_last(recorder.report)


class Recorder:
    """Takes records in from the socket, writes the log, and encodes film when no record waits."""

    def __init__(
        self,
        session_dir: Path,
        endpoint: str,
        clock: Clock,
        codec: Codec | None,
        reporter: Reporter,
    ) -> None:
        """Create the log and bind the socket.

        Parameters
        ----------
        session_dir
            An existing folder without a log.
        endpoint
            Where records arrive, `ipc://...`.
        clock
            Times flushes and syncs.
        codec
            Of the cameras' films; None where they are not filmed.
        reporter
            Takes the reports.
        """
        self._dir, self._clock, self._codec, self._reporter = session_dir, clock, codec, reporter
        self.report = RecorderReport()
        """How it goes."""
        self._log = LogWriter(session_dir / LOG_NAME)
        self._recorders: dict[str, CameraRecorder] = {}
        self._frame = msgspec.msgpack.Decoder(CapturedFrame)
        self._description = msgspec.msgpack.Decoder(RingDescription)
        self._ended = self._end_seen = self._asked = False
        self._flushed_ns = self._synced_ns = self._reported_ns = clock.now_ns()
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.rcvhwm = QUEUE_RECORDS
        self._socket.bind(endpoint)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._lives: list[int] = []
        parent = multiprocessing.parent_process()
        if parent is not None:
            self._follow(parent.sentinel)

    def ask_to_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Handle a signal: end soon, with the loop if that ends as well (a signal may go to all of us).

        Parameters
        ----------
        signum, frame
            See `signal.signal`; not used.
        """
        self._ended = self._asked = True

    def run(self) -> None:
        """Record until the end, then close everything whole."""
        try:
            while not self._ended:
                busy = any(film.pending for film in self._recorders.values())
                ready = dict(self._poller.poll(0 if busy else IDLE_MS))
                self._drain()
                self._encode_some()
                self._keep()
                if any(life in ready for life in self._lives):
                    self._ended = True
                elif not busy:
                    self._clock.sleep_until_ns(self._clock.now_ns() + GATHER_NS)
            give_up_ns = self._clock.now_ns() + LAST_RECORDS_NS
            while self._clock.now_ns() < give_up_ns and (self._socket.poll(QUIET_MS) or self._awaits_end()):
                self._drain()
                self._keep()
            if self._asked and not self._end_seen:
                self.report.ending = "it was told to end"
                self._send_report(self._clock.now_ns())
        finally:
            self._close()
        self.report.whole = self._end_seen

    def sync_films(self) -> None:
        """Make the operating system write the films to the disk, once they are closed, and let go of them.

        Until then it may have kept to itself that the disk could not be written.
        """
        for film in self._recorders.values():
            film.sync()
        self._note_films()

    def _awaits_end(self) -> bool:
        """Whether it was asked to end, and a loop that lives may yet send its last record."""
        alive = len(self._lives) > 1 and not any(life in dict(self._poller.poll(0)) for life in self._lives)
        return self._asked and alive and not self._end_seen

    def _follow(self, descriptor: int) -> None:
        """End when this descriptor becomes readable: its process is gone."""
        self._lives.append(descriptor)
        self._poller.register(descriptor, zmq.POLLIN)

    def _drain(self) -> None:
        for _ in range(DRAIN_AT_ONCE):
            try:
                topic, time, payload = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(topic, time, payload)

    def _take(self, topic: bytes, time: bytes, payload: bytes) -> None:
        if topic == HELLO:
            self._follow_process(msgspec.msgpack.decode(payload)["pid"])
        elif topic == RING:
            if self._codec is not None:
                description = self._description.decode(payload)
                self._recorders[description.camera] = CameraRecorder(self._dir, description, self._codec)
        else:
            written = self._log.write(topic, TIME.unpack(time)[0], payload)
            self.report.received += written
            self.report.refused += not written
            if topic == _FRAME and self._recorders:
                frame = self._frame.decode(payload)
                if frame.camera in self._recorders:
                    self._recorders[frame.camera].copy(frame)
            if topic == _END:
                self._ended = self._end_seen = True

    def _follow_process(self, pid: int) -> None:
        try:
            self._follow(os.pidfd_open(pid))
        except ProcessLookupError:
            self._ended = True

    def _encode_some(self) -> None:
        for film in self._recorders.values():
            if film.pending:
                film.encode_one()

    def _keep(self) -> None:
        now = self._clock.now_ns()
        if now - self._reported_ns >= REPORT_NS:
            self._send_report(now)
        if now - self._flushed_ns < FLUSH_NS:
            return
        self._flushed_ns = now
        for film in self._recorders.values():
            film.flush()
        self._log.flush()
        if now - self._synced_ns >= SYNC_NS:
            self._synced_ns = now
            self._log_losses()
            self._log.sync()

    def _send_report(self, now_ns: int) -> None:
        self._reported_ns = now_ns
        self._look_for_problems()
        self._reporter.send(self.report)

    def _look_for_problems(self) -> None:
        """Note what cannot be kept any more, and what others did to the log."""
        if displaced := self._log.displacement():
            self.report.problems["the session's log"] = displaced
        self._note_films()

    def _note_films(self) -> None:
        for name, film in self._recorders.items():
            if film.fault:
                self.report.problems[f"camera '{name}'"] = f"is not filmed: {film.fault[:FAULT_CHARS]}"

    def _log_losses(self) -> None:
        for film in self._recorders.values():
            for record in film.losses(self._clock.now_ns()):
                self._write(record)
                if not film.fault:
                    lost = self.report.not_filmed
                    lost[record.camera] = lost.get(record.camera, 0) + record.count

    def _write(self, record: Record) -> None:
        self._log.write(topic_of(record).encode(), record.t_ns, msgspec.msgpack.encode(record))

    def _close(self) -> None:
        try:
            for film in self._recorders.values():
                film.close()
            self._log_losses()
            self._look_for_problems()
        finally:
            try:
                self._log.close(sync=True)
            finally:
                self._context.destroy(linger=0)
