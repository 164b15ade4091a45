"""The sustainable rate: the highest at which no frame is dropped and P99 of exposure to decision holds the
budget.

Found by bisection between zero and somewhat more than the throughput. On a shared machine a single
hiccup drops a frame at any rate, so each rate has up to three trials, of which two must agree; the search
ends when the bracket is 4 % wide or after seven rates. Throughput, frames back to back with none left out,
is another figure: at that rate frames wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from bench.program import say
from bench.short_run import short_run
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError
from rt_pose.loop.latency import summary
from rt_pose.session.read import stamp_columns

TRIAL_S = 5.0
SETTLED_S = 0.5
"""Time from a trial's first frame on that does not count: threads and caches begin cold."""
BACK_TO_BACK_HZ = 2000.0
MARGIN = 1.2
"""The search begins with this multiple of the throughput as too fast."""
WIDTH = 0.04
MAX_RATES = 7

MakeConfig = Callable[[float | None, bool], RunConfig]
"""(rate, whether every frame waits for the loop) -> a run."""


@dataclass
class RateTrial:
    """One trial of one rate."""

    rate_hz: float
    frames: int
    dropped: int
    p99_ms: float | None
    holds: bool


def sustainable(
    make_config: MakeConfig, budget_ms: float, trial_s: float = TRIAL_S, most_rates: int = MAX_RATES
) -> dict[str, Any]:
    """Search for the sustainable rate.

    Parameters
    ----------
    make_config
        Makes the run of a rate.
    budget_ms
        Longest P99 of exposure to decision, ms.
    trial_s
        Length of a trial, s.
    most_rates
        After so many rates the search ends.

    Returns
    -------
    dict[str, Any]
        Rate and throughput (frames/s of each camera), and every trial.
    """
    say(f"throughput, {trial_s:g} s ...")
    throughput = _throughput(make_config(BACK_TO_BACK_HZ, True), trial_s)
    trials: list[RateTrial] = []

    def go(rate_hz: float) -> bool:
        trial = _trial(make_config(rate_hz, False), rate_hz, budget_ms, trial_s)
        trials.append(trial)
        p99 = "-" if trial.p99_ms is None else f"{trial.p99_ms:.2f} ms"
        say(
            f"{rate_hz:.1f} frames/s: dropped {trial.dropped} of {trial.frames}, P99 {p99}: "
            f"{'holds' if trial.holds else 'does not hold'}"
        )
        return trial.holds

    say(f"throughput {throughput:.1f} frames/s; up to {most_rates} rates of two or three goes ...")
    held, failed = bisect_rate(
        lambda rate_hz: two_of_three(lambda: go(rate_hz)), MARGIN * throughput, most_rates
    )
    return {
        "rate_hz": held,
        "failed_hz": failed,
        "throughput_hz": throughput,
        "budget_ms": budget_ms,
        "trial_s": trial_s,
        "trials": [asdict(trial) for trial in trials],
    }


def bisect_rate(
    holds: Callable[[float], bool], too_fast: float, most_rates: int = MAX_RATES
) -> tuple[float | None, float]:
    """Search for the highest rate that holds.

    Parameters
    ----------
    holds
        Tries a rate (frames/s).
    too_fast
        A rate that does not hold, frames/s.
    most_rates
        After so many rates the search ends.

    Returns
    -------
    tuple[float or None, float]
        The highest rate found to hold (None where none was), and the lowest found not to (at most
        `too_fast`), frames/s.
    """
    held, failed = 0.0, too_fast
    rate = too_fast * 0.75  # most loops sustain somewhat less than their throughput
    for _ in range(most_rates):
        if holds(rate):
            held = rate
        else:
            failed = rate
        if failed - held <= WIDTH * failed:
            break
        rate = (held + failed) / 2
    return held or None, failed


def two_of_three(go: Callable[[], bool]) -> bool:
    """Decide by two trials, or by a third where they disagree.

    Parameters
    ----------
    go
        Makes a trial.

    Returns
    -------
    bool
        What two trials agree on.
    """
    first, second = go(), go()
    return first if first == second else go()


def _throughput(config: RunConfig, trial_s: float) -> float:
    """Frames/s of each camera."""
    with short_run(replace(config, seconds=trial_s)) as played:
        session = played.session()
        decided = stamp_columns(session.observations).stages["t_decided_ns"]
        if len(decided) < 2:
            raise UserError("bench latency: no two frames got through the loop; look at the messages above")
        of_all = float((len(decided) - 1) / (decided[-1] - decided[0]) * NS_PER_S)
        return of_all / len(config.cameras)


def _trial(config: RunConfig, rate_hz: float, budget_ms: float, trial_s: float) -> RateTrial:
    with short_run(replace(config, seconds=trial_s)) as played:
        session = played.session()
        stamps = stamp_columns(session.observations)
        if not len(stamps.t_arrival_ns):
            return RateTrial(rate_hz, 0, 0, None, holds=False)
        begin = stamps.t_arrival_ns[0] + SETTLED_S * NS_PER_S
        taken = (stamps.stages["t_decided_ns"] - stamps.t_exposure_ns) / NS_PER_MS
        found = summary(taken[stamps.t_arrival_ns >= begin])
        frames = int(np.sum([f.stamps.t_arrival_ns >= begin for f in session.frames]))
        dropped = sum(d.count for d in session.drops if d.stage != "end" and d.t_ns >= begin)
        p99 = None if found is None else found["p99"]
        holds = dropped == 0 and p99 is not None and p99 <= budget_ms
        return RateTrial(rate_hz, frames, dropped, p99, holds)
