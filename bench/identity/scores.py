"""What an assignment is worth: switches a crossing, IDF1, and whether the stated probability is honest.

A crossing begins when a keypoint of one animal lies on another's body and ends when none has for a while. Of
each of the two animals the number that it had before the crossing is compared with the one that it has after
it. A switch is a change of an animal's number from one detection to its next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bench.accuracy.statistics import Counts, Interval, Sample, mean
from bench.aim.figures import wilson
from bench.identity.detections import NOBODY, Recording
from bench.identity.trackers import Assigned
from rt_pose.types import FloatArray

APART_S = 0.3
"""A crossing is over when the two have been apart for so long."""
WITHIN_S = 2.0
"""An animal that is not found within this time after a crossing does not count in it."""
BINS = (0.0, 0.4, 0.6, 0.8, 0.95, 0.99, 0.999, 1.0)
"""Edges of the stated probability."""
LEAST = 1e-3
"""No probability counts as less, so that a single surprise does not outweigh everything else."""


class Crossing(NamedTuple):
    """Two animals that touch, in the frames from `begin` to `end`."""

    pair: tuple[int, int]
    begin: int
    end: int


@dataclass
class Score:
    """One tracker on one recording."""

    crossings: int = 0
    """Those whose outcome is known."""
    exchanged: int = 0
    """After which at least one of the two had another number than before."""
    switches: int = 0
    detections: int = 0
    """Of animals, all frames together."""
    assigned: int = 0
    matched: int = 0
    """Of them by the best fixed pairing of animals and numbers."""
    since_birth: list[tuple[float, bool]] = field(default_factory=list)
    """Of each animal after each crossing: stated probability, and whether it was still who it was first."""
    of_crossing: list[tuple[float, bool]] = field(default_factory=list)
    """The same of the crossing alone: the ratio of what was stated after and before."""
    suspected: list[float] = field(default_factory=list)
    """Of each animal with another number after a crossing: the stated probability."""

    @property
    def idf1(self) -> float:
        """Share of detections that have the right number, F1 over animals and numbers."""
        return 2.0 * self.matched / max(1, self.detections + self.assigned)


def find_crossings(touching: NDArray[np.bool_], rate_hz: float) -> list[Crossing]:
    """List the crossings of a recording.

    Parameters
    ----------
    touching
        (F, N, N) as of `Recording`.
    rate_hz
        Frames a second.

    Returns
    -------
    list[Crossing]
        In the order of pairs, then of time.
    """
    gap = max(1, round(APART_S * rate_hz))
    found = []
    for a in range(touching.shape[1]):
        for b in range(a + 1, touching.shape[1]):
            at = np.flatnonzero(touching[:, a, b])
            parts = np.split(at, np.flatnonzero(np.diff(at) > gap) + 1) if len(at) else []
            found += [Crossing((a, b), int(part[0]), int(part[-1])) for part in parts]
    return found


def score(recording: Recording, assigned: Assigned) -> Score:
    """Compare what a tracker says with whose the detections are.

    Parameters
    ----------
    recording
        The recording.
    assigned
        What the tracker says of it.

    Returns
    -------
    Score
        Counts of this recording.
    """
    animals = recording.touching.shape[1]
    number, p = _by_animal(recording, assigned)
    result = Score()
    result.detections = sum(int((frame.label != NOBODY).sum()) for frame in recording.frames)
    result.assigned = sum(int((who >= 0).sum()) for who in assigned.who)
    result.matched = _matched(number)
    for a in range(animals):
        seen = number[number[:, a] >= 0, a]
        result.switches += int(np.count_nonzero(np.diff(seen)))
    first = _first_animals(recording, assigned)
    for crossing in find_crossings(recording.touching, recording.rate_hz):
        _score_crossing(crossing, number, p, first, recording.rate_hz, result)
    return result


def _score_crossing(
    crossing: Crossing,
    number: NDArray[np.int64],
    p: FloatArray,
    first: dict[int, int],
    rate_hz: float,
    result: Score,
) -> None:
    places = [_before_and_after(number[:, a], crossing, rate_hz) for a in crossing.pair]
    known = [place for place in places if place is not None]
    if len(known) < len(places):
        return
    result.crossings += 1
    changed = [
        number[before, a] != number[after, a] for a, (before, after) in zip(crossing.pair, known, strict=True)
    ]
    result.exchanged += any(changed)
    for a, (before, after), other in zip(crossing.pair, known, changed, strict=True):
        stated = p[after, a]
        if np.isnan(stated):
            continue
        result.since_birth.append((float(stated), first[int(number[after, a])] == a))
        if other:
            result.suspected.append(float(stated))
        if number[before, a] in first and first[int(number[before, a])] == a and p[before, a] > 0.0:
            result.of_crossing.append((min(1.0, float(stated / p[before, a])), not other))


def _before_and_after(
    number: NDArray[np.int64], crossing: Crossing, rate_hz: float
) -> tuple[int, int] | None:
    """Frames in which an animal was found last before a crossing, and first after it."""
    before = np.flatnonzero(number[: crossing.begin] >= 0)
    begin = crossing.end + max(1, round(APART_S * rate_hz))
    after = np.flatnonzero(number[begin : begin + round(WITHIN_S * rate_hz)] >= 0)
    return (int(before[-1]), begin + int(after[0])) if len(before) and len(after) else None


def _by_animal(recording: Recording, assigned: Assigned) -> tuple[NDArray[np.int64], FloatArray]:
    """(F, N) the number that each animal has in each frame, -1 for none, and its stated probability."""
    shape = recording.touching.shape[:2]
    number, p = np.full(shape, -1), np.full(shape, np.nan)
    for i, (frame, who, stated) in enumerate(zip(recording.frames, assigned.who, assigned.p, strict=True)):
        there = frame.label != NOBODY
        number[i, frame.label[there]], p[i, frame.label[there]] = who[there], stated[there]
    return number, p


def _first_animals(recording: Recording, assigned: Assigned) -> dict[int, int]:
    """Of each number the animal that had it first."""
    first: dict[int, int] = {}
    for frame, who in zip(recording.frames, assigned.who, strict=True):
        for one, animal in zip(who.tolist(), frame.label.tolist(), strict=True):
            if one >= 0 and animal != NOBODY:
                first.setdefault(one, animal)
    return first


def _matched(number: NDArray[np.int64]) -> int:
    """Detections whose number is that of their animal, under the best fixed pairing."""
    together = np.zeros((number.shape[1], int(number.max(initial=0)) + 1), dtype=np.int64)
    for a in range(number.shape[1]):
        together[a] = np.bincount(number[number[:, a] >= 0, a], minlength=together.shape[1])
    rows, columns = linear_sum_assignment(together, maximize=True)
    return int(together[rows, columns].sum())


def summarise(scores: list[Score], drawn: Counts) -> dict[str, Any]:
    """Sum up one tracker over recordings.

    Parameters
    ----------
    scores
        One a recording.
    drawn
        Draws of the recordings, see `bench.accuracy.statistics.draws`.

    Returns
    -------
    dict[str, Any]
        Counts, switches a crossing and IDF1 with bootstrap intervals over recordings, and the share of
        crossings that exchanged identities with Wilson's interval.
    """
    crossings, exchanged = sum(s.crossings for s in scores), sum(s.exchanged for s in scores)
    low, high = wilson(exchanged, crossings)
    names = ("crossings", "switches", "detections", "assigned", "matched")
    each = {name: np.array([getattr(s, name) for s in scores]) for name in names}
    with np.errstate(invalid="ignore", divide="ignore"):
        per_crossing = (drawn @ each["switches"]) / (drawn @ each["crossings"])
        idf1 = 2.0 * (drawn @ each["matched"]) / (drawn @ (each["detections"] + each["assigned"]))
    return {
        "crossings": crossings,
        "switches": int(each["switches"].sum()),
        "switches_per_crossing": interval(per_crossing),
        "exchanged": exchanged,
        "exchanged_value": exchanged / crossings if crossings else None,
        "exchanged_low": low,
        "exchanged_high": high,
        "idf1": interval(idf1),
    }


def calibration(scores: list[Score], which: str, drawn: Counts) -> list[dict[str, Any]]:
    """Compare stated probabilities with how often they were right.

    Parameters
    ----------
    scores
        One a recording.
    which
        `since_birth` or `of_crossing`.
    drawn
        Draws of the recordings.

    Returns
    -------
    list[dict[str, Any]]
        For each bin of the stated probability that has any: its edges, n, the mean that was stated, and the
        share that was right with its interval over recordings.
    """
    stated = np.array([p for s in scores for p, _ in getattr(s, which)])
    right = np.array([float(ok) for s in scores for _, ok in getattr(s, which)])
    cluster = np.repeat(np.arange(len(scores)), [len(getattr(s, which)) for s in scores])
    rows = []
    for low, high in pairwise(BINS):
        inside = (stated >= low) & ((stated < high) | (high == BINS[-1]))
        if inside.any():
            share = interval(mean(Sample(right[inside], cluster[inside]), drawn))
            rows.append(
                {
                    "low": low,
                    "high": high,
                    "n": int(inside.sum()),
                    "stated": float(stated[inside].mean()),
                    "right": share,
                }
            )
    return rows


def log_score(scores: list[Score]) -> float:
    """Compute how probable what came true was stated to be, on average.

    Parameters
    ----------
    scores
        One a recording.

    Returns
    -------
    float
        Mean logarithm of the probability that was stated of who each animal was after each crossing; what was
        stated as certain and was wrong counts as `LEAST`. NaN where there was no crossing.
    """
    stated = [p if right else 1.0 - p for one in scores for p, right in one.since_birth]
    return float(np.log(np.maximum(stated, LEAST)).mean()) if stated else float("nan")


def interval(drawn: FloatArray) -> dict[str, float | None]:
    """Make an interval that JSON can hold.

    Parameters
    ----------
    drawn
        (1 + draws,) as of `Interval.of`.

    Returns
    -------
    dict[str, float | None]
        value, low and high; None where there is none.
    """
    found = Interval.of(drawn)
    return {
        name: value if np.isfinite(value) else None
        for name, value in (("value", found.value), ("low", found.low), ("high", found.high))
    }
