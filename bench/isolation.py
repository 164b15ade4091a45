"""Does anything outside the loop slow it down? A stalled subscriber, a killed one, a killed recorder.

    python -m bench.isolation --model PACKAGE --video VIDEO.mp4

For each fault, pairs of runs in alternating order, one with the fault a quarter of the way in and one
without; in both a subscriber takes everything, another one (this program) notes every frame's latency, and a
recorder records. Reported is the ratio of the two P99s of image to decision: its geometric mean over the
pairs and the upper 95 % bound of that (one-sided, Student's t on the logarithms). What was lost is counted
where it can be: by the subscribers' sequence gaps and the loop's refused records.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import zmq
from scipy import stats

from bench.latency.measured_run import latency_config
from bench.output import precision_words
from bench.program import guarded, say
from bench.short_run import short_run
from rt_pose.clock import HostClock
from rt_pose.config.schema import EngineConfig, Precision, RunConfig
from rt_pose.errors import UserError
from rt_pose.loop.latency import summary
from rt_pose.session.describe import machine, versions
from rt_pose.session.run import RunObserver

STALL_S = 5.0
FAULTS = ("subscriber stalled", "subscriber killed", "recorder killed")


@dataclass
class Arm:
    """One run of a pair, with or without the fault."""

    fault: str
    latency_ms: dict[str, Any] | None
    captured: int
    processed: int
    superseded: int
    device_gaps: int
    witness_missed: int
    """Messages that this program's own subscriber did not get, by sequence gaps."""
    subscriber_missed: int | None
    """The same of the other subscriber; None where it was killed."""
    records_refused: int
    warnings: list[str] = field(default_factory=list)
    precision: str | None = None
    """Of the network."""

    @property
    def p99(self) -> float:
        """P99 of image to decision, ms; NaN where no frame was seen."""
        return math.nan if self.latency_ms is None else float(self.latency_ms["p99"])


class GapCounter:
    """Counts missed messages by the sequence number of each topic."""

    def __init__(self) -> None:
        self.missed = 0
        self._last: dict[bytes, int] = {}

    def see(self, topic: bytes, seq: int) -> None:
        """Take in a message.

        Parameters
        ----------
        topic
            Its topic.
        seq
            Its sequence number.
        """
        last = self._last.get(topic)
        if last is not None:
            self.missed += seq - last - 1
        self._last[topic] = seq


def subscribe(address: str, topic: bytes) -> zmq.Socket[bytes]:
    """Open a subscriber's socket.

    Parameters
    ----------
    address
        The address that the loop publishes on.
    topic
        What is subscribed to.

    Returns
    -------
    zmq.Socket[bytes]
        The socket.
    """
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, topic)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(address)
    return socket


def greedy_subscriber(address: str, link: Connection) -> None:
    """Take everything until a message comes, then answer how much was missed, in a spawned process.

    Parameters
    ----------
    address
        The address that the loop publishes on.
    link
        Brings the message and takes the answer.
    """
    socket, gaps = subscribe(address, b""), GapCounter()
    while not link.poll():
        if socket.poll(20):
            parts = socket.recv_multipart()
            gaps.see(parts[0], msgspec.msgpack.decode(parts[1])["seq"])
    link.send(gaps.missed)
    socket.close()


class Witness(threading.Thread):
    """Records the latency of every frame from the published poses."""

    def __init__(self, address: str) -> None:
        """Make the thread.

        Parameters
        ----------
        address
            The address that the loop publishes on.
        """
        super().__init__(name="rt-pose-witness")
        self.image_to_decision_ms: list[float] = []
        self.gaps = GapCounter()
        self._address, self._stop_asked = address, threading.Event()

    def run(self) -> None:
        """See `threading.Thread.run`."""
        socket = subscribe(self._address, b"pose/")
        while not self._stop_asked.is_set():
            if socket.poll(50):
                parts = socket.recv_multipart()
                header = msgspec.msgpack.decode(parts[1])
                self.gaps.see(parts[0], header["seq"])
                self.image_to_decision_ms.append(header["latency_ms"]["image_to_decision"])
        socket.close()

    def stop(self) -> None:
        """End the thread."""
        self._stop_asked.set()
        self.join()


class FaultInjector(RunObserver):
    """Starts witness and subscriber when the loop is ready, and causes the fault in mid-run."""

    def __init__(self, fault: str, at_frame: int) -> None:
        """Plan the fault.

        Parameters
        ----------
        fault
            One of `FAULTS`; empty for none.
        at_frame
            Number of decided frames after which it comes.
        """
        self.fault, self._at_frame = fault, at_frame
        self.witness: Witness | None = None
        self._link: Connection | None = None
        self._subscriber: Any = None
        self._faulty: threading.Thread | None = None

    def ready(self, description: dict[str, Any]) -> None:
        """See `RunObserver.ready`."""
        address = description["addresses"]["publish"]
        self.witness = Witness(address)
        self.witness.start()
        spawn = multiprocessing.get_context("spawn")
        self._link, theirs = spawn.Pipe()
        self._subscriber = spawn.Process(
            target=greedy_subscriber, args=(address, theirs), name="rt-pose-bench-subscriber"
        )
        self._subscriber.start()

    def stats(self, stats: dict[str, Any]) -> None:
        """See `RunObserver.stats`."""
        if self.fault and self._faulty is None and stats["frames"]["processed"] >= self._at_frame:
            self._faulty = threading.Thread(target=self._do_fault)
            self._faulty.start()

    def _do_fault(self) -> None:
        if self.fault == "subscriber stalled":
            os.kill(self._subscriber.pid, signal.SIGSTOP)
            clock = HostClock()
            clock.sleep_until_ns(clock.now_ns() + round(STALL_S * 1e9))
            os.kill(self._subscriber.pid, signal.SIGCONT)
        elif self.fault == "subscriber killed":
            os.kill(self._subscriber.pid, signal.SIGKILL)
        else:
            (recorder,) = [p for p in multiprocessing.active_children() if p.name == "rt-pose-recorder"]
            assert recorder.pid is not None
            os.kill(recorder.pid, signal.SIGKILL)

    def finish(self) -> int | None:
        """Stop both subscribers.

        Returns
        -------
        int or None
            Messages that the other one missed; None where it was killed.
        """
        if self._faulty is not None:
            self._faulty.join()
        missed = None
        if self._link is not None and self._subscriber.is_alive():
            self._link.send("stop")
            missed = int(self._link.recv())
        if self._subscriber is not None:
            self._subscriber.join()
        if self.witness is not None:
            self.witness.stop()
        return missed


def run_arm(config: RunConfig, fault: str, frames: int) -> Arm:
    """Run once.

    Parameters
    ----------
    config
        The run.
    fault
        One of `FAULTS`; empty for none.
    frames
        Number of frames of the run.

    Returns
    -------
    Arm
        What came of it.

    Raises
    ------
    UserError
        Where the run did not end well.
    """
    conductor = FaultInjector(fault, frames // 4)
    try:
        with short_run(config, notices=conductor) as run:
            result = run.result
            engine = run.session().info.engine if result.summary else {}
    finally:
        missed = conductor.finish()
    if not result.summary:
        raise UserError(f"the run did not end well: {result.status}")
    assert conductor.witness is not None
    (counts,) = result.summary["cameras"].values()
    return Arm(
        fault=fault,
        latency_ms=summary(conductor.witness.image_to_decision_ms),
        captured=counts["captured"],
        processed=counts["processed"],
        superseded=counts["superseded"],
        device_gaps=counts["device_gaps"],
        witness_missed=conductor.witness.gaps.missed,
        subscriber_missed=missed,
        records_refused=result.summary["records_refused"],
        warnings=result.warnings,
        precision=engine.get("precision"),
    )


def compare(pairs: list[tuple[Arm, Arm]]) -> dict[str, Any]:
    """Compare the P99s of pairs.

    Parameters
    ----------
    pairs
        With the fault and without.

    Returns
    -------
    dict[str, Any]
        The ratios, their geometric mean, and its one-sided upper 95 % bound (None of a single pair).
    """
    ratios = [faulty.p99 / clean.p99 for faulty, clean in pairs]
    logs = np.log(ratios)
    upper = None
    if len(logs) > 1:
        upper = round(float(np.exp(logs.mean() + stats.t.ppf(0.95, len(logs) - 1) * stats.sem(logs))), 4)
    mean = round(float(np.exp(logs.mean())), 4)
    return {"ratios_p99": [round(r, 4) for r in ratios], "mean_ratio": mean, "upper_95": upper}


def run_fault(config: RunConfig, fault: str, pairs: int, frames: int) -> dict[str, Any]:
    """Run all pairs of a fault; every second pair begins with the run without it.

    Parameters
    ----------
    config
        The run.
    fault
        One of `FAULTS`.
    pairs
        Number of pairs.
    frames
        Number of frames of a run.

    Returns
    -------
    dict[str, Any]
        Ratios, and all runs.
    """
    done: list[tuple[Arm, Arm]] = []
    for i in range(pairs):
        order = [fault, ""] if i % 2 == 0 else ["", fault]
        arms = {name: run_arm(config, name, frames) for name in order}
        done.append((arms[fault], arms[""]))
        faulty, clean = done[-1]
        say(
            f"{fault}, pair {i + 1}: P99 with {faulty.p99:.2f} ms (n {faulty.processed}), "
            f"without {clean.p99:.2f} ms (n {clean.processed}); "
            f"skipped {faulty.superseded} / {clean.superseded}, "
            f"subscriber missed {faulty.subscriber_missed}, records refused {faulty.records_refused}"
        )
    return {
        "fault": fault,
        **compare(done),
        "pairs": [{"with": asdict(faulty), "without": asdict(clean)} for faulty, clean in done],
    }


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "folder of the model package"]
    video: Annotated[Path, "the recording"]
    rate: Annotated[float, "frames a second"] = 100.0
    frames: Annotated[int, "frames a run"] = 2000
    pairs: Annotated[int, "pairs a fault"] = 5
    faults: Annotated[list[str], "which of them", FAULTS] = field(default_factory=lambda: list(FAULTS))
    precision: Precision = "auto"
    json: Annotated[Path | None, "write the result here"] = None


def measure(options: Options) -> int:
    """Run all pairs; print a table and, last, one JSON line.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    int
        Exit status.
    """
    config = latency_config(
        options.model,
        options.video,
        rate_hz=options.rate,
        seconds=options.frames / options.rate,
        budget_ms=50.0,
        engine=EngineConfig(precision=options.precision),
    )
    results = [run_fault(config, fault, options.pairs, options.frames) for fault in options.faults]
    runs = [run for result in results for pair in result["pairs"] for run in pair.values()]
    print(f"\n{'fault':22}{'ratio of P99s':>16}{'upper 95 %':>12}  ({precision_words(runs)})")
    for result in results:
        print(f"{result['fault']:22}{result['mean_ratio']:>16.3f}{result['upper_95'] or math.nan:>12.3f}")
    report = {
        "bench": "isolation",
        "rate_hz": options.rate,
        "frames": options.frames,
        "precision": options.precision,
        "machine": machine(),
        "versions": versions(),
        "results": results,
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(Options, measure))
