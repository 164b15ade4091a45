"""Which recorded pulse is which sent one, though pulses were lost and others were recorded besides.

Both are rising trains of times on clocks with an unknown offset and almost the same rate. A piece of the sent
train is laid against the recorded one at every place where it could be, and the place counts only where it is
clearly better than every other: its times must fit better, or fewer pulses must be unexplained. From there
the match is followed to both sides, while the line between the clocks is fitted anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.clock_fit import MAD_TO_SIGMA, robust_line
from rt_pose.types import FloatArray

PIECE, PIECES = 256, 16
"""Pulses of a piece, and how many pieces are tried until one has its place."""
PROBES, REFERENCES = 32, 3
"""Pulses that sort out places, and how many of them are laid on each recorded pulse in turn."""
PLACES = 16
"""Places that are looked at closely."""
TOLERANCE_S, TOLERANCE_SHARE = 4e-3, 0.3
"""How far a recorded pulse may be from its place, and as a share of the usual interval."""
MOST_DRIFT = 500e-6
FINEST_S = 20e-6
"""Residuals below this count as this: recorders sample."""
FIT_FACTOR = 1.5
"""The residuals of another place must be larger by this factor, or its unexplained pulses more."""
LEAST_MATCHED = 0.5
FOLLOWED = 512
"""Pairs from which the line is continued."""


class AmbiguousMatch(UserError):
    """The trains fit in several places alike."""


class NoMatch(UserError):
    """The trains fit nowhere."""


@dataclass(frozen=True, slots=True)
class Match:
    """Pairs of pulses, in order."""

    sent: NDArray[np.intp]
    recorded: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Place:
    """A piece of the sent train laid against the recorded one."""

    offset: float
    slope: float
    pairs: Match
    """Counted from the beginning of the piece, and of the recorded train."""
    residual_s: float
    unexplained: int
    """Sent pulses that are not recorded, and recorded ones within the piece that were not sent."""

    def beats(self, other: _Place) -> bool:
        """Whether this place is clearly better than another."""
        if self.unexplained + max(6.0, 4.0 * (self.unexplained + 1) ** 0.5) <= other.unexplained:
            return True
        worse = max(other.residual_s, FINEST_S) / max(self.residual_s, FINEST_S)
        return len(self.pairs.sent) >= PROBES and worse >= FIT_FACTOR

    @property
    def rank(self) -> float:
        """The lower the better: Gaussian residuals' log likelihood, a price for each unexplained pulse."""
        return len(self.pairs.sent) * np.log(max(self.residual_s, FINEST_S)) + 8.0 * self.unexplained


def tolerance_s(sent_s: FloatArray) -> float:
    """Compute how far a recorded pulse may be from its place.

    Parameters
    ----------
    sent_s
        Times of the sent pulses, s, in order.

    Returns
    -------
    float
        s.
    """
    usual = float(np.median(np.diff(sent_s))) if len(sent_s) > 1 else TOLERANCE_S
    return min(TOLERANCE_S, TOLERANCE_SHARE * usual)


def match_pulses(
    sent_s: FloatArray, recorded_s: FloatArray, offsets_s: tuple[float, float] | None = None
) -> Match:
    """Match two trains of pulses by their intervals.

    Parameters
    ----------
    sent_s
        Times of the sent pulses on their clock, s, in order.
    recorded_s
        Times of the recorded pulses on theirs, s, in order.
    offsets_s
        The least and the greatest that the recorded time of a sent pulse may be ahead of its own time, where
        something else says so; None where nothing does.

    Returns
    -------
    Match
        The pairs.

    Raises
    ------
    UserError
        `NoMatch` where they fit nowhere, `AmbiguousMatch` where they fit in several places alike.
    """
    ambiguous: list[str] = []
    for begin in _pieces(sent_s, float(recorded_s[0]), offsets_s):
        piece = sent_s[begin : begin + PIECE]
        places = _places(piece, recorded_s, tolerance_s(sent_s), offsets_s)
        if not places:
            continue
        best, rivals = places[0], [place for place in places[1:] if not places[0].beats(place)]
        if not rivals:
            return follow(sent_s, recorded_s, _shifted(best.pairs, begin), tolerance_s(sent_s))
        shift_s = rivals[0].offset - best.offset
        ambiguous.append(f"{len(rivals) + 1} places fit alike, e.g. shifted by {shift_s:+.4f} s")
    if ambiguous:
        raise AmbiguousMatch(ambiguous[0])
    raise NoMatch("the intervals between the sent pulses are nowhere in the recording")


def follow(sent_s: FloatArray, recorded_s: FloatArray, anchor: Match, tolerance: float) -> Match:
    """Continue a match to both sides.

    Parameters
    ----------
    sent_s, recorded_s
        The trains, s, in order.
    anchor
        Pairs that are certain; at least 2.
    tolerance
        How far a recorded pulse may be from its place, s.

    Returns
    -------
    Match
        All pairs.
    """
    later = _follow_later(sent_s, recorded_s, anchor, tolerance)
    # Backwards is forwards in the mirror.
    count, number = len(sent_s) - 1, len(recorded_s) - 1
    mirrored = Match(count - anchor.sent[::-1], number - anchor.recorded[::-1])
    earlier = _follow_later(-sent_s[::-1], -recorded_s[::-1], mirrored, tolerance)
    before = len(earlier.sent) - len(anchor.sent)
    return Match(
        np.concatenate([count - earlier.sent[::-1][:before], later.sent]),
        np.concatenate([number - earlier.recorded[::-1][:before], later.recorded]),
    )


def match_near(expected_s: FloatArray, recorded_s: FloatArray, tolerance: float) -> Match:
    """Pair times with the recorded ones that are nearest to them, each at most once.

    Parameters
    ----------
    expected_s
        When pulses should have been recorded, s, in order.
    recorded_s
        When pulses were recorded, s, in order.
    tolerance
        How far apart the two of a pair may be, s.

    Returns
    -------
    Match
        Pairs in which each is the other's nearest.
    """
    if not len(expected_s) or not len(recorded_s):
        return Match(np.empty(0, np.intp), np.empty(0, np.intp))
    near = _nearest(expected_s, recorded_s)
    back = _nearest(recorded_s[near], expected_s)
    mutual = (np.abs(expected_s - recorded_s[near]) <= tolerance) & (back == np.arange(len(expected_s)))
    return Match(np.flatnonzero(mutual), near[mutual])


def _pieces(sent: FloatArray, first_s: float, offsets: tuple[float, float] | None) -> Iterator[int]:
    """Beginnings of pieces over the whole train, far apart at first: any part of it may not be recorded.

    Where offsets are known, the first piece that is recorded: later the clocks have drifted apart.
    """
    if offsets is not None:
        begin = int(np.searchsorted(sent + offsets[1], first_s))
        yield min(begin, len(sent) - 1)
        return
    last = max(0, len(sent) - PIECE)
    pieces = min(PIECES, 1 + last // PIECE)
    begins = np.linspace(0, last, pieces).round().astype(int).tolist()
    halving = sorted(range(pieces), key=lambda i: -(i & -i) if i else -PIECES)  # 0, 8, 4, 12, 2, ...
    yield from (begins[i] for i in halving)


def _places(
    piece: FloatArray, recorded: FloatArray, tolerance: float, offsets: tuple[float, float] | None
) -> list[_Place]:
    """The places of a piece, the best first; those where half of it is not recorded are none."""
    found: list[_Place] = []
    for offset in _candidates(piece, recorded, tolerance, offsets):
        if any(abs(offset - place.offset) < tolerance for place in found):
            continue
        place = _lay(piece, recorded, offset, tolerance)
        if place is not None and not any(abs(place.offset - other.offset) < tolerance for other in found):
            found.append(place)
    return sorted(found, key=lambda place: place.rank)


def _candidates(
    piece: FloatArray, recorded: FloatArray, tolerance: float, offsets: tuple[float, float] | None
) -> FloatArray:
    """Offsets at which the middle of a piece fits best."""
    middle = len(piece) // 2
    probes = piece[max(0, middle - PROBES // 2) : middle + PROBES // 2 + 1]
    tried, costs = [], []
    for reference in range(middle, min(middle + REFERENCES, len(piece))):
        at = recorded - piece[reference]
        if offsets is not None:
            drift = MOST_DRIFT * (piece[reference] - piece[0])
            at = at[(at >= offsets[0] - drift) & (at <= offsets[1] + drift)]
        cost = np.zeros(len(at))
        for probe in probes:
            expected = at + probe
            cost += np.minimum(np.abs(recorded[_nearest(expected, recorded)] - expected), tolerance)
        best = np.argsort(cost, kind="stable")[: 2 * PLACES]
        tried.append(at[best])
        costs.append(cost[best])
    order = np.argsort(np.concatenate(costs), kind="stable")
    return np.asarray(np.concatenate(tried)[order][: REFERENCES * PLACES])


def _lay(piece: FloatArray, recorded: FloatArray, offset: float, tolerance: float) -> _Place | None:
    """Lay a piece at an offset, from its middle to its ends, while the line between the clocks is fitted."""
    middle, slope = len(piece) // 2, 1.0
    x = piece - piece[middle]
    at, reach = offset + float(piece[middle]), PROBES // 2
    while True:
        part = slice(max(0, middle - reach), middle + reach + 1)
        expected = at + slope * x[part]
        pairs = match_near(expected, recorded, tolerance)
        if len(pairs.sent) < max(2.0, LEAST_MATCHED * len(expected)):
            return None
        residual = float(np.median(np.abs(recorded[pairs.recorded] - expected[pairs.sent])))
        at, slope = robust_line(x[part][pairs.sent], recorded[pairs.recorded])
        slope = float(np.clip(slope, 1.0 - MOST_DRIFT, 1.0 + MOST_DRIFT))
        if reach > 2 * len(piece):  # once more over the whole piece, with the line of the whole piece
            break
        reach *= 2
    within = np.searchsorted(recorded, (expected[0] - tolerance, expected[-1] + tolerance))
    unexplained = len(expected) + int(within[1] - within[0]) - 2 * len(pairs.sent)
    return _Place(at - float(piece[middle]), slope, pairs, MAD_TO_SIGMA * residual, unexplained)


def _shifted(pairs: Match, begin: int) -> Match:
    return Match(pairs.sent + begin, pairs.recorded)


def _follow_later(sent: FloatArray, recorded: FloatArray, anchor: Match, tolerance: float) -> Match:
    """Continue a match towards the end of the trains."""
    ours, theirs = [anchor.sent], [anchor.recorded]
    known = anchor
    begin = int(anchor.sent[-1]) + 1
    while begin < len(sent):
        block = sent[begin : begin + PIECE]
        origin = float(sent[known.sent[-1]])
        offset, slope = robust_line(sent[known.sent] - origin, recorded[known.recorded])
        slope = float(np.clip(slope, 1.0 - MOST_DRIFT, 1.0 + MOST_DRIFT))
        first = int(known.recorded[-1]) + 1
        found = match_near(offset + slope * (block - origin), recorded[first:], tolerance)
        if len(found.sent):
            new = Match(found.sent + begin, found.recorded + first)
            ours.append(new.sent)
            theirs.append(new.recorded)
            known = Match(
                np.concatenate([known.sent, new.sent])[-FOLLOWED:],
                np.concatenate([known.recorded, new.recorded])[-FOLLOWED:],
            )
        begin += len(block)
    return Match(np.concatenate(ours), np.concatenate(theirs))


def _nearest(times: FloatArray, among: FloatArray) -> NDArray[np.intp]:
    """Index of the nearest of `among`, which is in order and not empty, for each time."""
    right = np.searchsorted(among, times).clip(1, max(1, len(among) - 1))
    if len(among) == 1:
        return np.zeros(len(times), np.intp)
    return np.asarray(right - (times - among[right - 1] <= among[right] - times))
