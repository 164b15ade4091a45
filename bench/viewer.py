"""What a window beside a run takes, and what it does to the run's latency.

    python -m bench.viewer --model PACKAGE --video VIDEO.mp4 [--pairs 20] [--seconds 60] [--out NAME]

Runs over a repeated recording, in pairs of one with a window and one without; every second pair begins with
the latter. Pictures of 640x480 are published 30 times a second, and the window is drawn anew as often, off
screen where there is no $DISPLAY. It opens in the first seconds of a run, whose frames do not count. Reported
are the ratios of P50 and P99 of image to decision, with the window over without: the geometric mean over the
pairs and its 95 % interval (Student's t on the logarithms); and the processor cores that the window takes.
With --work, what has been measured is kept there, and the same command goes on where it stopped. Nothing else
may run on the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from bench.background_load import processor_s
from bench.latency.measured_run import latency_config
from bench.output import conditions, machine_line, markdown_table, precision_words
from bench.pairs import MIN_PAIRS, interval
from bench.program import Out, run, say
from bench.short_run import short_run
from bench.soak import open_viewer
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.config.schema import EngineConfig, Precision, RunConfig
from rt_pose.errors import UserError
from rt_pose.loop.latency import summary
from rt_pose.session.read import Session, stamp_columns
from rt_pose.session.run import RunObserver

SIZE = (640, 480)
SETTLE_S = 5.0
"""From the first frame on: the window opens meanwhile."""
PERCENTILES = ("p50", "p99")


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "folder of the model package"]
    video: Annotated[Path, "the recording, repeated and scaled to 640x480"]
    pairs: Annotated[int, "of a run with the window and one without"] = 20
    seconds: Annotated[float, "length of each run"] = 60.0
    rate: Annotated[float, "frames a second of the recording"] = 60.0
    redraws: Annotated[float, "pictures a second"] = 30.0
    precision: Precision = "auto"
    work: Annotated[Path | None, "folder where each run's figures are kept"] = None
    out: Out = None


class Window(RunObserver):
    """Opens a window beside a run, and notes twice a second what it has taken."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._clock = HostClock()
        self._taken: list[tuple[int, float]] = []
        """Host time (ns) and processor time (s)."""

    def ready(self, description: dict[str, Any]) -> None:
        """See `RunObserver.ready`."""
        self._process = open_viewer(description["addresses"])

    def stats(self, stats: dict[str, Any]) -> None:  # noqa: ARG002
        """See `RunObserver.stats`."""
        if self._process is not None and self._process.poll() is None:
            self._taken.append((self._clock.now_ns(), processor_s(self._process.pid)))

    def close(self) -> bool:
        """Close the window. May be called twice.

        Returns
        -------
        bool
            Whether it was open until now.
        """
        if self._process is None:
            return False
        stayed = self._process.poll() is None
        self._process.terminate()
        self._process.wait()
        return stayed

    def cores(self) -> float:
        """Get the processor cores that it has taken on average, once it was open.

        Returns
        -------
        float
            Cores.

        Raises
        ------
        UserError
            Where the run was too short to tell.
        """
        kept = [one for one in self._taken if one[0] >= self._taken[0][0] + SETTLE_S * NS_PER_S]
        if len(kept) < 2:
            raise UserError(f"--seconds: expected more than {SETTLE_S:g}: the window opens in the first ones")
        (from_ns, from_s), (to_ns, to_s) = kept[0], kept[-1]
        return round((to_s - from_s) / ((to_ns - from_ns) / NS_PER_S), 4)


def measure(options: Options) -> dict[str, Any]:
    """Measure all pairs, or read what was measured before.

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
        Where there are too few pairs, or a run fails.
    """
    if options.pairs < MIN_PAIRS:
        raise UserError(f"--pairs: expected at least {MIN_PAIRS}, got {options.pairs}")
    with tempfile.TemporaryDirectory(prefix="rt-pose-bench-viewer-") as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        pairs = [measure_pair(options, number, work) for number in range(options.pairs)]
    return {
        "bench": "viewer",
        **conditions(),
        "seconds": options.seconds,
        "rate_hz": options.rate,
        "redraws_hz": options.redraws,
        "window_cores": summary([pair["with"]["window_cores"] for pair in pairs]),
        "ratios": {key: compare(pairs, key) for key in PERCENTILES},
        "pairs": pairs,
    }


def measure_pair(options: Options, number: int, work: Path) -> dict[str, dict[str, Any]]:
    """Measure a pair, or read it where it was measured before.

    Parameters
    ----------
    options
        The command line.
    number
        Number of the pair, from 0; it decides which run is the first.
    work
        Folder where each run's figures are kept.

    Returns
    -------
    dict[str, dict[str, Any]]
        What `measure_run` returned, for `with` and `without`.
    """
    found = {}
    for side in ("with", "without") if number % 2 == 0 else ("without", "with"):
        file = work / f"{number:03d}-{side}.json"
        if not file.is_file():
            measured = measure_run(_config(options), window=side == "with")
            file.write_text(json.dumps(measured), encoding="utf-8")
            latency, cores = measured["latency_ms"], measured["window_cores"]
            taken = "" if cores is None else f", the window takes {cores:.2f} cores"
            say(
                f"pair {number + 1} of {options.pairs}, {side}: P50 {latency['p50']:.2f}, "
                f"P99 {latency['p99']:.2f} ms{taken}"
            )
        found[side] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _config(options: Options) -> RunConfig:
    config = latency_config(
        options.model,
        options.video,
        rate_hz=options.rate,
        seconds=options.seconds,
        budget_ms=50.0,
        engine=EngineConfig(precision=options.precision),
    )
    config.cameras["video"].options["size"] = list(SIZE)
    config.publish.frame_rate_hz, config.publish.frame_width_px = options.redraws, SIZE[0]
    return config


def measure_run(config: RunConfig, *, window: bool) -> dict[str, Any]:
    """Run once.

    Parameters
    ----------
    config
        The run.
    window
        Whether a window stands beside it.

    Returns
    -------
    dict[str, Any]
        Summary of image to decision (ms), frames captured and superseded, precision of the network, and the
        cores that the window took (None without one).

    Raises
    ------
    UserError
        Where the run did not end well, was too short, or the window did not stay open.
    """
    beside = Window() if window else None
    try:
        with short_run(config, notices=beside) as finished:
            stayed = beside is None or beside.close()
            if not finished.result.summary:
                raise UserError(f"the run did not end well: {finished.result.status}")
            if not stayed:
                raise UserError("the window did not stay open; `rt-pose view` says why")
            (counts,) = finished.result.summary["cameras"].values()
            session = finished.session()
            latency, precision = settled_latency(session), session.info.engine.get("precision")
    finally:
        if beside is not None:
            beside.close()
    return {
        "latency_ms": latency,
        "captured": counts["captured"],
        "superseded": counts["superseded"],
        "precision": precision,
        "window_cores": None if beside is None else beside.cores(),
    }


def settled_latency(session: Session) -> dict[str, Any]:
    """Sum up image to decision of the frames after the first seconds.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Any]
        Its summary, ms.

    Raises
    ------
    UserError
        Where there are none.
    """
    stamps = stamp_columns(session.observations)
    settled = stamps.t_arrival_ns >= stamps.t_arrival_ns[:1].sum() + SETTLE_S * NS_PER_S
    found = summary((stamps.stages["t_decided_ns"] - stamps.t_arrival_ns)[settled] / NS_PER_MS)
    if found is None:
        raise UserError(f"--seconds: expected more than {SETTLE_S:g}: the window opens in the first ones")
    return found


def compare(pairs: list[dict[str, dict[str, Any]]], percentile: str) -> dict[str, Any]:
    """Compare a percentile with the window and without.

    Parameters
    ----------
    pairs
        What `measure_pair` returned.
    percentile
        A key of the summaries.

    Returns
    -------
    dict[str, Any]
        The ratios, and their geometric mean with its 95 % interval.
    """
    ratios = [
        pair["with"]["latency_ms"][percentile] / pair["without"]["latency_ms"][percentile] for pair in pairs
    ]
    return {"ratios": [round(ratio, 4) for ratio in ratios], **interval(np.array(ratios))}


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
    rows = [
        [
            str(number),
            *(f"{pair[arm]['latency_ms'][key]:.2f}" for key in PERCENTILES for arm in ("with", "without")),
            *(f"{pair[arm]['superseded']:,} of {pair[arm]['captured']:,}" for arm in ("with", "without")),
            f"{pair['with']['window_cores']:.2f}",
        ]
        for number, pair in enumerate(figures["pairs"], 1)
    ]
    head = ["pair", "P50 with, ms", "without", "P99 with, ms", "without"]
    head += ["superseded with", "without", "cores"]
    ratios = [
        f"- {key.upper()}, with over without: {found['mean']:.3f} "
        f"(95 %: {found['low']:.3f} to {found['high']:.3f})"
        for key, found in figures["ratios"].items()
    ]
    cores = figures["window_cores"]
    lines = [
        f"{figures['seconds']:g} s a run at {figures['rate_hz']:g} frames a second, "
        f"{figures['redraws_hz']:g} pictures a second of 640x480; {machine_line(figures)}; "
        f"{precision_words(pair[side] for pair in figures['pairs'] for side in ('with', 'without'))}.",
        "",
        markdown_table(head, rows),
        "",
        *ratios,
        f"- the window takes {cores['p50']:.2f} cores (median of {cores['n']}), at most {cores['max']:.2f}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run(Options, measure, format_table))
