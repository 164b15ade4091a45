"""An hour of a run, with all that people put beside it: does memory grow, or the tail of the latency?

    python -m bench.soak --model PACKAGE --video VIDEO.mp4 [--minutes 60] [--rate 60] [--out NAME]
    python -m bench.soak --model PACKAGE --config RIG.yaml [--minutes 30]

Beside the run are a viewer (on $DISPLAY, or off screen where there is none), a subscriber that has stalled
(it asks for everything and reads nothing), and a client that gives an order a second until the run ends.
Memory, open descriptors and processor time of every process are read each ten seconds. Latency and losses are
those of the log, over the first and the last ten minutes (a third of a shorter run). Nothing else may run on
the machine.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from bench.background_load import own_memory_mib, processor_s
from bench.isolation import subscribe
from bench.latency.measured_run import latency_config
from bench.order_client import Orders, format_orders
from bench.output import conditions, machine_line, markdown_table, precision_words
from bench.program import Out, run
from bench.short_run import short_run
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.config.build import load
from rt_pose.config.schema import EngineConfig, Precision, PublishConfig, RunConfig
from rt_pose.errors import UserError
from rt_pose.loop.latency import summary
from rt_pose.session.read import Session, stamp_columns
from rt_pose.session.run import RunObserver

SAMPLE_S = 10.0
WINDOW_S = 600.0


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "folder of the model package"]
    video: Annotated[Path | None, "the recording, repeated; or a run by --config"] = None
    config: Annotated[Path | None, "YAML of the run"] = None
    minutes: Annotated[float, "length of the run"] = 60.0
    rate: Annotated[float, "frames a second of the recording"] = 60.0
    precision: Precision = "auto"
    film: Annotated[bool, "record the cameras too"] = False
    alone: Annotated[bool, "without viewer, subscriber and orders"] = False
    out: Out = None


@dataclass(frozen=True)
class Sample:
    """What one process used at a moment."""

    t_s: float
    memory_mib: float
    """What belongs to it alone: the frames that processes share do not count."""
    descriptors: int
    processor_s: float
    """Since its beginning."""


def sample(pid: int, t_s: float) -> Sample | None:
    """Read what a process uses.

    Parameters
    ----------
    pid
        Its number.
    t_s
        The moment, s.

    Returns
    -------
    Sample or None
        None where it is gone.
    """
    try:
        return Sample(t_s, own_memory_mib(pid), len(os.listdir(f"/proc/{pid}/fd")), processor_s(pid))
    except OSError:
        return None


@dataclass
class Companions(RunObserver):
    """Starts what stands beside the run, and reads what every process uses."""

    alone: bool
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    orders: Orders | None = None
    _viewer: subprocess.Popen[bytes] | None = None
    _stalled: Any = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _sampler: threading.Thread | None = None

    def ready(self, description: dict[str, Any]) -> None:
        """See `RunObserver.ready`."""
        addresses = description["addresses"]
        if not self.alone:
            self._stalled = subscribe(addresses["publish"], b"")
            self._viewer = open_viewer(addresses)
            self.orders = Orders(addresses)
            self.orders.start()
        self._sampler = threading.Thread(target=self._sample, name="rt-pose-bench-sampler", daemon=True)
        self._sampler.start()

    def _sample(self) -> None:
        clock = HostClock()
        begun_ns = clock.now_ns()
        while not self._ended.wait(SAMPLE_S):
            t_s = (clock.now_ns() - begun_ns) / NS_PER_S
            pids = {child.name: child.pid for child in multiprocessing.active_children() if child.pid}
            pids["supervisor (with subscriber and orders)"] = os.getpid()
            if self._viewer is not None:
                pids["viewer"] = self._viewer.pid
            for name, pid in pids.items():
                if (found := sample(pid, t_s)) is not None:
                    self.samples.setdefault(name, []).append(found)

    def ending(self) -> None:
        """See `RunObserver.ending`: the control socket closes now, and sealing the session takes seconds."""
        if self.orders is not None:
            self.orders.ended.set()

    def finish(self) -> None:
        """End what stands beside the run."""
        self._ended.set()
        if self._sampler is not None:
            self._sampler.join()
        if self.orders is not None:
            self.orders.stop()
        if self._viewer is not None:
            self._viewer.terminate()
            self._viewer.wait()
        if self._stalled is not None:
            self._stalled.close()


def open_viewer(addresses: dict[str, str]) -> subprocess.Popen[bytes]:
    """Open the window on a run, on $DISPLAY or off screen where there is none.

    Parameters
    ----------
    addresses
        Of the run.

    Returns
    -------
    subprocess.Popen
        The window's process.
    """
    command = [sys.executable, "-m", "rt_pose.cli", "view", "--connect", addresses["publish"]]
    command += ["--keys", addresses["keys"]]
    environment = dict(os.environ)
    if not environment.get("DISPLAY"):
        environment["QT_QPA_PLATFORM"] = "offscreen"
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(options: Options) -> dict[str, Any]:
    """Run, and sum up.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures.

    Raises
    ------
    UserError
        Where it is not said what to run, or the run did not end well.
    """
    companions = Companions(options.alone)
    try:
        with short_run(_config(options), notices=companions) as finished:
            companions.finish()
            if not finished.result.summary:
                raise UserError(f"the run did not end well: {finished.result.status}")
            session = finished.session()
            result = finished.result
    finally:
        companions.finish()
    orders, marks = companions.orders, sum(order.do == "mark" for order in session.controls)
    return {
        "bench": "soak",
        **conditions(),
        "minutes": options.minutes,
        "rate_hz": options.rate,
        "alone": options.alone,
        "precision": session.info.engine.get("precision"),
        "ok": result.ok,
        "cameras": result.summary["cameras"],
        "records_refused": result.summary["records_refused"],
        "latency_ms": latencies(session),
        "drops": _drops(session),
        "processes": {name: _use(found) for name, found in companions.samples.items()},
        "orders": orders and orders.sum_up(marks),
        "warnings": result.warnings,
    }


def _config(options: Options) -> RunConfig:
    seconds = options.minutes * 60.0
    if options.config is not None:
        config = load(RunConfig, options.config)
        config.model, config.seconds = options.model, seconds
        config.publish = PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*")
    elif options.video is not None:
        engine = EngineConfig(precision=options.precision)
        config = latency_config(
            options.model, options.video, rate_hz=options.rate, seconds=seconds, budget_ms=50.0, engine=engine
        )
    else:
        raise UserError("bench.soak: expected --video FILE or --config YAML")
    config.record.video = options.film
    return config


def latencies(session: Session) -> dict[str, Any]:
    """Sum up image to decision over a session and over its first and last minutes.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Any]
        Summaries (ms) of `all`, `first` and `last`, the length of the two windows (s), and the ratio of the
        P99 of the last to that of the first.
    """
    stamps = stamp_columns(session.observations)
    decided_ms = (stamps.stages["t_decided_ns"] - stamps.t_arrival_ns) / NS_PER_MS
    t_s = (stamps.t_arrival_ns - stamps.t_arrival_ns[0]) / NS_PER_S
    window_s = min(WINDOW_S, t_s[-1] / 3)
    first, last = summary(decided_ms[t_s <= window_s]), summary(decided_ms[t_s >= t_s[-1] - window_s])
    return {
        "all": summary(decided_ms),
        "first": first,
        "last": last,
        "window_s": round(float(window_s), 1),
        "p99_ratio": round(last["p99"] / first["p99"], 4) if first and last else None,
    }


def _drops(session: Session) -> dict[str, int]:
    """Number of lost frames by stage and reason."""
    found: dict[str, int] = {}
    for drop in session.drops:
        key = f"{drop.stage}: {drop.reason}"
        found[key] = found.get(key, 0) + drop.count
    return found


def _use(samples: list[Sample]) -> dict[str, Any]:
    """What a process used in its first and last third, and how its memory went, MiB an hour."""
    third = max(1, len(samples) // 3)
    t_h = np.array([one.t_s for one in samples]) / 3600.0
    memory = np.array([one.memory_mib for one in samples])
    begun = len(samples) // 6  # what fills once has filled by then
    slope = float(np.polyfit(t_h[begun:], memory[begun:], 1)[0]) if len(samples) > 6 else None
    spent_s, took_s = samples[-1].processor_s - samples[0].processor_s, samples[-1].t_s - samples[0].t_s
    return {
        "memory_mib": {
            "first": round(float(np.median(memory[:third])), 1),
            "last": round(float(np.median(memory[-third:])), 1),
            "max": round(float(memory.max()), 1),
            "slope_per_h": None if slope is None else round(slope, 2),
        },
        "descriptors": {"first": samples[0].descriptors, "last": samples[-1].descriptors},
        "cores": round(spent_s / took_s, 3) if took_s else None,
        "n": len(samples),
    }


def format_table(figures: dict[str, Any]) -> str:
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
    latency = figures["latency_ms"]
    rows = [
        [
            name if name == "all" else f"{name} {latency['window_s']:g} s",
            f"{found['n']:,}",
            *(_ms(found[key]) for key in ("p50", "p99", "p99_9", "max")),
        ]
        for name, found in latency.items()
        if isinstance(found, dict)
    ]
    processes = [
        [
            name,
            f"{use['memory_mib']['first']:g}",
            f"{use['memory_mib']['last']:g}",
            "" if use["memory_mib"]["slope_per_h"] is None else f"{use['memory_mib']['slope_per_h']:+g}",
            f"{use['descriptors']['first']} / {use['descriptors']['last']}",
            "" if use["cores"] is None else f"{use['cores']:.2f}",
        ]
        for name, use in figures["processes"].items()
    ]
    beside = "alone" if figures["alone"] else "a viewer, a stalled subscriber and an order a second beside it"
    lines = [
        f"{figures['minutes']:g} minutes, {beside}; {machine_line(figures)}; {precision_words([figures])}.",
        "",
        markdown_table(["image to decision, ms", "n", "P50", "P99", "P99.9", "max"], rows),
        "",
        markdown_table(
            ["process", "MiB, first third", "last third", "MiB an hour", "descriptors", "cores"], processes
        ),
        "",
        *(_lost(name, counts) for name, counts in figures["cameras"].items()),
        *(f"- {reason}: {count:,}" for reason, count in figures["drops"].items()),
    ]
    if figures["orders"]:
        lines.append(format_orders(figures["orders"]))
    return "\n".join(lines)


def _lost(name: str, counts: dict[str, int]) -> str:
    lost = counts["superseded"] + counts["device_gaps"] + counts.get("failed", 0)
    offered = counts["captured"] + counts["device_gaps"] + counts.get("failed", 0)
    return (
        f"- camera {name}: {counts['captured']:,} captured, {counts['processed']:,} decided on, {lost:,} "
        f"lost ({100 * lost / max(1, offered):.3f} %)"
    )


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(run(Options, measure, format_table))
