"""The arithmetic of `candidate_choice.py`, compiled: costs of candidates, and moves that make them less.

A cost is a negative logarithm of a probability, up to a constant. Nothing is drawn at random and all loops
have a fixed order, so that the same numbers in give the same numbers out.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

LEAST_MASS = 1e-6
"""A mass counts as no less."""
LEAST_GAIN = 1e-9
"""A move must lower the cost by more than rounding can."""

Indices = NDArray[np.int64]


class Spaces(NamedTuple):
    """Linear spaces, end to end: S spaces with T members in all, of K keypoints."""

    starts: Indices
    """(S + 1,) where the members of each begin."""
    members: Indices
    """(T,) the keypoint that each member is."""
    space: Indices
    """(T,) the space that each member is of."""
    slot_starts: Indices
    """(K + 1,) where the slots of each keypoint begin."""
    slots: Indices
    """(T,) numbers of the members that a keypoint is, keypoint by keypoint."""
    matrix_starts: Indices
    """(S,) where the matrix of each begins."""
    outside: FloatArray
    """Of each space the projector (2 n, 2 n) onto what lies outside it, row by row."""
    offset: FloatArray
    """(2 T,) px, that projector times the mean."""
    eps: FloatArray
    """(T,) px^2 along an axis with which a member strays from its space by nature."""


class Weights(NamedTuple):
    """How much each kind of evidence counts; `ChoiceSpec` explains them."""

    mass: float
    limit_chi2: float
    exclusion_px: float
    exclusion_cost: float
    none_cost: float


class Work(NamedTuple):
    """State of the search: K keypoints, C candidates, S spaces, T members."""

    count: Indices
    """(K,) how many candidates there are; they come first."""
    own: FloatArray
    """(K, C) cost of each candidate by itself."""
    spread: FloatArray
    """(K, C) px^2, its noise along an axis."""
    place: FloatArray
    """(K, 2) px, the chosen candidate's; the prediction where there is no candidate, or NaN."""
    noise: FloatArray
    """(K,) px^2, its noise along an axis."""
    residual: FloatArray
    """(2 T,) px, what of the chosen places lies outside each space."""
    active: NDArray[np.bool_]
    """(S,) whether the places of all members are known."""


@numba.njit(cache=True, error_model="numpy")
def choose(  # type: ignore[no-untyped-def]
    xy,
    cov,
    mass,
    mean,
    p,
    known,
    gain,
    floor,
    group,
    pairs,
    spaces,
    weights,
    sweeps,
    work,
    chosen,
    probability,
):
    """Choose among candidates, and say how probable each choice is; in place.

    Parameters
    ----------
    xy
        Positions (K, C, 2), px; NaN from the first that is missing on.
    cov
        Covariances as decoded, (K, C, 2, 2) px^2.
    mass
        (K, C) 0..1.
    mean, p
        Predicted positions (K, 2) px and covariances (K, 2, 2) px^2.
    known
        (K,) whether there is a prediction.
    gain, floor
        (K,) each: the noise of a position is gain * cov + floor * I.
    group
        (K,) keypoints of one number exclude each other; those of -1 exclude none.
    pairs
        (P, 3) two keypoints that may change together, and 0 where only if some candidates of theirs exclude
        each other.
    spaces
        The pose prior.
    weights
        Of the kinds of evidence.
    sweeps
        Most passes over all keypoints and pairs.
    work
        Room; overwritten.
    chosen
        Written: (K,) index of the candidate, -1 for none.
    probability
        Written: (K,) that the chosen candidate is the right one, 0 for none.
    """
    _begin(xy, cov, mass, mean, p, known, gain, floor, weights, work, chosen)
    _project(spaces, work)
    for _ in range(sweeps):
        changed = False
        for k in range(len(xy)):
            changed |= _move_one(k, xy, group, spaces, weights, work, chosen)
        for i in range(len(pairs)):
            k, other, linked = pairs[i, 0], pairs[i, 1], pairs[i, 2] != 0
            if work.count[k] + work.count[other] < 3:
                continue
            if linked or _contend(k, other, xy, weights, work):
                changed |= _move_two(k, other, xy, group, spaces, weights, work, chosen)
        if not changed:
            break
    _rate(xy, group, spaces, weights, work, chosen, probability)


@numba.njit(cache=True, error_model="numpy")
def _begin(xy, cov, mass, mean, p, known, gain, floor, weights, work, chosen):  # type: ignore[no-untyped-def]
    """Cost of every candidate by itself; the highest peaks are chosen first."""
    for k in range(len(xy)):
        count = 0
        while count < xy.shape[1] and np.isfinite(xy[k, count, 0] + xy[k, count, 1]):
            xx = gain[k] * cov[k, count, 0, 0] + floor[k]
            yy = gain[k] * cov[k, count, 1, 1] + floor[k]
            cost = -weights.mass * np.log(max(mass[k, count], LEAST_MASS))
            if known[k]:
                ex, ey = xy[k, count, 0] - mean[k, 0], xy[k, count, 1] - mean[k, 1]
                sxx, syy = p[k, 0, 0] + xx, p[k, 1, 1] + yy
                sxy = p[k, 0, 1] + gain[k] * cov[k, count, 0, 1]
                distance2 = ((syy * ex - 2.0 * sxy * ey) * ex + sxx * ey * ey) / (sxx * syy - sxy * sxy)
                cost += 0.5 * min(distance2, weights.limit_chi2)
            work.own[k, count], work.spread[k, count] = cost, 0.5 * (xx + yy)
            count += 1
        work.count[k] = count
        if count > 0:
            chosen[k], work.place[k, 0], work.place[k, 1] = 0, xy[k, 0, 0], xy[k, 0, 1]
            work.noise[k] = work.spread[k, 0]
        else:
            chosen[k] = -1
            work.place[k, 0] = mean[k, 0] if known[k] else np.nan
            work.place[k, 1] = mean[k, 1] if known[k] else np.nan
            work.noise[k] = 0.5 * (p[k, 0, 0] + p[k, 1, 1]) if known[k] else 0.0


@numba.njit(cache=True, error_model="numpy")
def _project(spaces, work):  # type: ignore[no-untyped-def]
    """What of the chosen places lies outside each space."""
    for s in range(len(spaces.matrix_starts)):
        first, last = spaces.starts[s], spaces.starts[s + 1]
        size = 2 * (last - first)
        work.active[s] = True
        for row in range(size):
            total = -spaces.offset[2 * first + row]
            for column in range(size):
                at = work.place[spaces.members[first + column // 2], column % 2]
                total += spaces.outside[spaces.matrix_starts[s] + row * size + column] * at
            work.residual[2 * first + row] = total
            work.active[s] &= np.isfinite(total)


@numba.njit(cache=True, error_model="numpy")
def _move_one(k, xy, group, spaces, weights, work, chosen):  # type: ignore[no-untyped-def]
    """Give one keypoint its best candidate, the others as they are; whether that is another one."""
    best, least = chosen[k], -LEAST_GAIN
    for c in range(work.count[k]):
        change = _change(k, c, xy, group, spaces, weights, work, chosen)
        if change < least:
            best, least = c, change
    if best == chosen[k]:
        return False
    _take(k, best, xy, spaces, work, chosen)
    return True


@numba.njit(cache=True, error_model="numpy")
def _move_two(k, other, xy, group, spaces, weights, work, chosen):  # type: ignore[no-untyped-def]
    """Give two keypoints their best candidates together; whether that is another choice."""
    begun, begun_other = chosen[k], chosen[other]
    best, best_other, least = begun, begun_other, -LEAST_GAIN
    for c in range(work.count[k]):
        change = _change(k, c, xy, group, spaces, weights, work, chosen)
        # What the other may gain on it: take the step, try all of the other's, and step back.
        _take(k, c, xy, spaces, work, chosen)
        for d in range(work.count[other]):
            both = change + _change(other, d, xy, group, spaces, weights, work, chosen)
            if both < least:
                best, best_other, least = c, d, both
        _take(k, begun, xy, spaces, work, chosen)
    if best == begun and best_other == begun_other:
        return False
    _take(k, best, xy, spaces, work, chosen)
    _take(other, best_other, xy, spaces, work, chosen)
    return True


@numba.njit(cache=True, error_model="numpy")
def _contend(k, other, xy, weights, work):  # type: ignore[no-untyped-def]
    """Whether some candidates of two keypoints exclude each other."""
    for c in range(work.count[k]):
        for d in range(work.count[other]):
            dx, dy = xy[k, c, 0] - xy[other, d, 0], xy[k, c, 1] - xy[other, d, 1]
            if dx * dx + dy * dy < weights.exclusion_px * weights.exclusion_px:
                return True
    return False


@numba.njit(cache=True, error_model="numpy")
def _change(k, c, xy, group, spaces, weights, work, chosen):  # type: ignore[no-untyped-def]
    """By how much the whole cost changes where keypoint k takes candidate c."""
    if c == chosen[k]:
        return 0.0
    x, y = xy[k, c, 0], xy[k, c, 1]
    change = work.own[k, c] - work.own[k, chosen[k]]
    change += _exclusion(k, x, y, group, weights, work, chosen)
    change -= _exclusion(k, work.place[k, 0], work.place[k, 1], group, weights, work, chosen)
    dx, dy = x - work.place[k, 0], y - work.place[k, 1]
    for i in range(spaces.slot_starts[k], spaces.slot_starts[k + 1]):
        slot = spaces.slots[i]
        s = spaces.space[slot]
        if not work.active[s]:
            continue
        first, last = spaces.starts[s], spaces.starts[s + 1]
        size = 2 * (last - first)
        for t in range(first, last):
            # The two rows of member t, in the two columns of this keypoint.
            row = spaces.matrix_starts[s] + 2 * (t - first) * size + 2 * (slot - first)
            ex, ey = work.residual[2 * t], work.residual[2 * t + 1]
            nx = ex + spaces.outside[row] * dx + spaces.outside[row + 1] * dy
            ny = ey + spaces.outside[row + size] * dx + spaces.outside[row + size + 1] * dy
            before = spaces.eps[t] + work.noise[spaces.members[t]]
            after = spaces.eps[t] + work.spread[k, c] if t == slot else before
            change += 0.5 * min((nx * nx + ny * ny) / after, weights.limit_chi2)
            change -= 0.5 * min((ex * ex + ey * ey) / before, weights.limit_chi2)
    return change


@numba.njit(cache=True, error_model="numpy")
def _exclusion(k, x, y, group, weights, work, chosen):  # type: ignore[no-untyped-def]
    """Cost of the others of its group that stand where keypoint k would."""
    cost = 0.0
    if group[k] < 0:
        return cost
    for other in range(len(group)):
        if other != k and group[other] == group[k] and chosen[other] >= 0:
            dx, dy = x - work.place[other, 0], y - work.place[other, 1]
            if dx * dx + dy * dy < weights.exclusion_px * weights.exclusion_px:
                cost += weights.exclusion_cost
    return cost


@numba.njit(cache=True, error_model="numpy")
def _take(k, c, xy, spaces, work, chosen):  # type: ignore[no-untyped-def]
    """Choose candidate c for keypoint k."""
    if c == chosen[k]:
        return
    dx, dy = xy[k, c, 0] - work.place[k, 0], xy[k, c, 1] - work.place[k, 1]
    for i in range(spaces.slot_starts[k], spaces.slot_starts[k + 1]):
        slot = spaces.slots[i]
        s = spaces.space[slot]
        first = spaces.starts[s]
        size = 2 * (spaces.starts[s + 1] - first)
        for row in range(size):
            at = spaces.matrix_starts[s] + row * size + 2 * (slot - first)
            work.residual[2 * first + row] += spaces.outside[at] * dx + spaces.outside[at + 1] * dy
    chosen[k], work.place[k, 0], work.place[k, 1] = c, xy[k, c, 0], xy[k, c, 1]
    work.noise[k] = work.spread[k, c]


@numba.njit(cache=True, error_model="numpy")
def _rate(xy, group, spaces, weights, work, chosen, probability):  # type: ignore[no-untyped-def]
    """The probability of each choice against its alternatives, none among them; then drop what is none."""
    for k in range(len(xy)):
        probability[k] = 0.0
        if chosen[k] < 0:
            continue
        none = np.exp(_against(k, group, spaces, weights, work, chosen) - weights.none_cost)
        alternatives = 1.0
        for c in range(work.count[k]):
            if c != chosen[k]:
                alternatives += np.exp(-_change(k, c, xy, group, spaces, weights, work, chosen))
        if none <= 1.0:
            probability[k] = 1.0 / (alternatives + none)
    # All were rated by the same choice; only now is any of it dropped.
    for k in range(len(xy)):
        if probability[k] == 0.0:
            chosen[k] = -1


@numba.njit(cache=True, error_model="numpy")
def _against(k, group, spaces, weights, work, chosen):  # type: ignore[no-untyped-def]
    """What speaks against the candidate that keypoint k has, the others as they are."""
    cost = work.own[k, chosen[k]]
    cost += _exclusion(k, work.place[k, 0], work.place[k, 1], group, weights, work, chosen)
    for i in range(spaces.slot_starts[k], spaces.slot_starts[k + 1]):
        t = spaces.slots[i]
        if work.active[spaces.space[t]]:
            ex, ey = work.residual[2 * t], work.residual[2 * t + 1]
            distance2 = (ex * ex + ey * ey) / (spaces.eps[t] + work.noise[k])
            cost += 0.5 * min(distance2, weights.limit_chi2)
    return cost
