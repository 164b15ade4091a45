"""Sweeps thresholds for `bench.probability`, and compares the two kinds of rule animal by animal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.probability.chain import LATENCY_MS
from rt_pose.audit.hindsight import Episode, Scored, match
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.types import FloatArray

ON_SHARES = np.geomspace(0.1, 4.0, 32)
MOST_ON = 0.9
"""Largest share of the time that a rule is on; one that is always on would seem to raise no false alarm."""


@dataclass
class ScoredPoses:
    """One condition on one animal, judged at every frame for one time of effect."""

    t_ns: NDArray[np.int64]
    episodes: list[Episode]
    lost: NDArray[np.bool_]
    """(F,) whether a rule may not fire."""
    margin: FloatArray
    """(F,) how far the predicted mean is inside the condition, in the units of its parts; 0 on its border."""
    probability: FloatArray
    """(F,) probability of the condition."""
    delay_ms: float
    """Delay of the output."""


@dataclass
class Point:
    """One threshold on one animal."""

    onsets: int
    misses: int
    false_alarms: int
    repeats: int
    delays_ms: list[float]
    minutes: float


def score_at(scored: ScoredPoses, values: FloatArray, threshold: float, tolerance_ms: float) -> Point:
    """Score a threshold: events where the values rise to it, as of a rule without hold, against the truth.

    Parameters
    ----------
    scored
        The condition on one animal.
    values
        (F,) its margin or its probability.
    threshold
        In units of the values.
    tolerance_ms
        How far an event may be from the episode to which it belongs, ms.

    Returns
    -------
    Point
        Onsets, misses, false alarms, repeats and delays.
    """
    on = (values >= threshold) & ~scored.lost
    rises = np.flatnonzero(on & ~np.concatenate([[False], on[:-1]]))
    effect_ns = scored.t_ns[rises] + round((LATENCY_MS + scored.delay_ms) * NS_PER_MS)
    events = [Scored(t, "fired", "condition", "") for t in effect_ns.tolist()]
    missed = match(scored.episodes, events, round(tolerance_ms * NS_PER_MS))
    verdicts = [event.verdict for event in events]
    return Point(
        onsets=len(scored.episodes),
        misses=len(missed),
        false_alarms=verdicts.count("false alarm"),
        repeats=verdicts.count("repeat"),
        delays_ms=[event.delay_ms for event in events if event.delay_ms is not None],
        minutes=float(scored.t_ns[-1] - scored.t_ns[0]) / NS_PER_S / 60,
    )


@dataclass
class Curve:
    """One kind of rule over its thresholds, for each animal."""

    kind: str
    thresholds: list[float]
    points: list[list[Point]]
    """[threshold][animal]."""

    def miss_share(self, i: int) -> float:
        """Compute the share of onsets that were missed.

        Parameters
        ----------
        i
            Index of the threshold.

        Returns
        -------
        float
            Over all animals; NaN without an onset.
        """
        onsets = sum(p.onsets for p in self.points[i])
        return sum(p.misses for p in self.points[i]) / onsets if onsets else float("nan")

    def alarms_per_minute(self, i: int, field: str = "false_alarms") -> float:
        """Compute a rate over all animals.

        Parameters
        ----------
        i
            Index of the threshold.
        field
            `false_alarms` or `repeats`.

        Returns
        -------
        float
            Events a minute.
        """
        return sum(getattr(p, field) for p in self.points[i]) / sum(p.minutes for p in self.points[i])

    def delay_ms(self, i: int) -> float:
        """Compute the median delay over all animals.

        Parameters
        ----------
        i
            Index of the threshold.

        Returns
        -------
        float
            ms; NaN without a hit.
        """
        delays = [d for p in self.points[i] for d in p.delays_ms]
        return float(np.median(delays)) if delays else float("nan")

    def best(self, limit: float) -> int | None:
        """Find the threshold with the fewest misses among those with few false alarms.

        Parameters
        ----------
        limit
            Most false alarms a minute.

        Returns
        -------
        int or None
            Its index; None where there is none.
        """
        allowed = [i for i in range(len(self.points)) if self.alarms_per_minute(i) <= limit]
        return min(allowed, key=lambda i: (self.miss_share(i), self.alarms_per_minute(i)), default=None)

    def plain(self) -> list[dict[str, float | int]]:
        """Convert the curve to plain values.

        Returns
        -------
        list[dict[str, float or int]]
            A point a threshold.
        """
        return [
            {
                "threshold": round(threshold, 6),
                "miss_share": round(self.miss_share(i), 4),
                "false_alarms_per_minute": round(self.alarms_per_minute(i), 3),
                "repeats_per_minute": round(self.alarms_per_minute(i, "repeats"), 3),
                "delay_p50_ms": round(self.delay_ms(i), 2),
            }
            for i, threshold in enumerate(self.thresholds)
        ]


def sweep(
    kind: str,
    animals: list[ScoredPoses],
    values: Callable[[ScoredPoses], FloatArray],
    tolerance_ms: float,
) -> Curve:
    """Sweep the thresholds at which the rule is on for `ON_SHARES` of the time that the condition is true.

    Parameters
    ----------
    kind
        `threshold` or `probability`.
    animals
        The condition on each.
    values
        Gets what is compared with the threshold, (F,).
    tolerance_ms
        How far an event may be from the episode to which it belongs, ms.

    Returns
    -------
    Curve
        A point for each threshold and animal.
    """
    taken = np.concatenate([values(a)[~a.lost] for a in animals])
    taken = taken[np.isfinite(taken)]
    true_ns = sum(e.end_ns - e.start_ns for a in animals for e in a.episodes)
    true_share = true_ns / sum(float(a.t_ns[-1] - a.t_ns[0]) for a in animals)
    shares = np.minimum(true_share * ON_SHARES, MOST_ON)
    thresholds = sorted(set(np.quantile(taken, 1.0 - shares).tolist()))
    points = [[score_at(a, values(a), t, tolerance_ms) for a in animals] for t in thresholds]
    return Curve(kind, thresholds, points)


def compare_at(margin: Curve, probability: Curve, limit: float) -> dict[str, Any] | None:
    """Compare both kinds at their best threshold with few false alarms, paired by animal.

    One threshold serves all animals.

    Parameters
    ----------
    margin, probability
        The curves.
    limit
        Most false alarms a minute.

    Returns
    -------
    dict[str, Any] or None
        Differences, probability less threshold, with 95 % intervals; None where one of them has no such
        threshold.
    """
    at = margin.best(limit), probability.best(limit)
    if at[0] is None or at[1] is None:
        return None
    curves = ((margin, at[0]), (probability, at[1]))
    pairs = list(zip(margin.points[at[0]], probability.points[at[1]], strict=True))
    misses = [(b.misses - a.misses) / a.onsets for a, b in pairs if a.onsets]
    alarms = [(b.false_alarms - a.false_alarms) / a.minutes for a, b in pairs]
    delays = [
        float(np.median(b.delays_ms) - np.median(a.delays_ms))
        for a, b in pairs
        if a.delays_ms and b.delays_ms
    ]
    difference = _interval(misses)
    return {
        "false_alarms_per_minute_at_most": limit,
        "onsets": sum(p.onsets for p in margin.points[0]),
        **{curve.kind: {key: value for key, value in curve.plain()[i].items()} for curve, i in curves},
        "difference": {
            "miss_share": difference,
            "false_alarms_per_minute": _interval(alarms),
            "delay_ms": _interval(delays),
        },
        "verdict": _outcome(difference, _interval(alarms)),
    }


def _interval(differences: list[float]) -> dict[str, Any]:
    """Mean over animals and its 95 % interval."""
    n = len(differences)
    if n < 2:
        return {"mean": None, "low": None, "high": None, "n": n}
    mean = float(np.mean(differences))
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(differences))
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4), "n": n}


def _outcome(misses: dict[str, Any], alarms: dict[str, Any]) -> str:
    if misses["mean"] is None:
        return "too few animals"
    if misses["high"] < 0:
        return "pays"
    if misses["low"] > 0:
        return "costs"
    if alarms["high"] < 0:
        return "as many misses, fewer false alarms"
    return "no difference shown"
