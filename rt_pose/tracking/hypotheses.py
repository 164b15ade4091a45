"""Hypotheses of who is who: several individuals under every assignment that is still likely; compiled.

A hypothesis holds the state of N slots (K keypoints each, filtered as in `causal_filter.py`, without prior),
which detection each slot was seen in last, and, for every slot, the probability of each individual. It splits
where several assignments are likely, and its parts live on until later frames tell them apart, or until
nothing does any more: two that predict the same bodies are one, under which the individuals have the
probabilities that the two had together. So a crossing that only the moment after it decides is decided then.

Hypothesis 0 is the one that is published. Which slots are in use is common to all hypotheses.

Arrays hold up to H hypotheses; M = N * K. Layout as in `causal_filter_compiled.py`.

Numba's cache notices a change of a function's own file alone. Whoever changes `assignment.py`,
`pose_likelihood.py` or `causal_filter_compiled.py` touches this file too, or runs what was compiled before.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rt_pose.tracking.assignment import best_assignments
from rt_pose.tracking.causal_filter_compiled import advance, correct, inflation
from rt_pose.tracking.pose_likelihood import log_ratio
from rt_pose.types import FloatArray

Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

SAME = 0.05
"""Two predictions are of one body where the squared differences, in variances, have a smaller mean."""


class State(NamedTuple):
    """The hypotheses."""

    mean: FloatArray
    """(H, 4, M)."""
    cov: FloatArray
    """(H, 4, 4, M)."""
    known: Mask
    """(H, M) whether the keypoint has a track."""
    identity: FloatArray
    """(H, N, N) probability that a slot (row) holds an individual, named by the slot of its birth."""
    log_p: FloatArray
    """(H,) logarithm of the hypothesis's probability."""
    detection: Indices
    """(H, N) the detection of the newest frame in which the slot was seen; -1 where in none."""


def make_state(hypotheses: int, individuals: int, keypoints: int) -> State:
    """Allocate hypotheses.

    Parameters
    ----------
    hypotheses
        H, how many there is room for.
    individuals
        N.
    keypoints
        K of each individual.

    Returns
    -------
    State
        One hypothesis, in which nothing is known, and room for the others.
    """
    h, n, m = hypotheses, individuals, individuals * keypoints
    return State(
        mean=np.zeros((h, 4, m)),
        cov=np.zeros((h, 4, 4, m)),
        known=np.zeros((h, m), dtype=bool),
        identity=np.zeros((h, n, n)),
        log_p=np.zeros(h),
        detection=np.full((h, n), -1, dtype=np.int64),
    )


@numba.njit(cache=True, error_model="numpy")
def predict(state, count, dt_s, q, tau):  # type: ignore[no-untyped-def]
    """Carry all hypotheses over a time step, in place.

    Parameters
    ----------
    state
        The hypotheses.
    count
        How many there are.
    dt_s
        Time step, s.
    q, tau
        (M,) as of `advance`.
    """
    for h in range(count):
        advance(state.mean[h], state.cov[h], dt_s, q, tau)


@numba.njit(cache=True, error_model="numpy")
def branch(  # type: ignore[no-untyped-def]
    state, count, used, z, r, seen, log_spread, log_area, log_seen, log_unseen, slack,
    score, inlier, choices, values, parent, choice, log_p,
):  # fmt: skip
    """Find the likely assignments of all hypotheses together, best first.

    Parameters
    ----------
    state, count
        The hypotheses, predicted for the time of the detections.
    used
        (N,) which slots are in use.
    z, r, seen, log_spread
        The detections: positions (D, K, 2) px, and as of `measure`.
    log_area
        Logarithm of the frame's area, px^2.
    log_seen
        Logarithm of how often an individual is seen over how many detections of nobody a frame has.
    log_unseen
        Logarithm of how often an individual is not seen.
    slack
        Assignments that are less likely than the best by more than this factor's logarithm are left out.
    score, inlier
        Room for (H, N, D) and (H, N, D, K); `inlier` is written as of `log_ratio`.
    choices, values
        Room for (H, N) and (H,).
    parent, choice, log_p
        Written: (H,), (H, N) and (H,): of each assignment its hypothesis, the detection of each slot, and the
        logarithm of its probability, up to a constant.

    Returns
    -------
    int
        How many assignments there are.
    """
    n, most, keypoints = len(used), len(parent), seen.shape[1]
    found = 0
    for h in range(count):
        for s in range(n):
            for d in range(len(z)):
                score[h, s, d] = -np.inf
                if used[s]:
                    score[h, s, d] = log_seen - log_unseen + log_ratio(
                        state.mean[h], state.cov[h], state.known[h], s * keypoints, z[d], r[d], seen[d],
                        log_area, log_spread[d], inlier[h, s, d],
                    )  # fmt: skip
        for c in range(best_assignments(score[h], slack, choices, values)):
            value = state.log_p[h] + values[c]
            at = found
            while at > 0 and log_p[at - 1] < value:
                at -= 1
            if at == most:
                break
            for i in range(min(found, most - 1), at, -1):
                log_p[i], parent[i] = log_p[i - 1], parent[i - 1]
                choice[i] = choice[i - 1]
            log_p[at], parent[at] = value, h
            choice[at] = choices[c]
            found = min(found + 1, most)
    while found > 1 and log_p[found - 1] < log_p[0] - slack:
        found -= 1
    return found


@numba.njit(cache=True, error_model="numpy")
def grow(  # type: ignore[no-untyped-def]
    state, into, found, parent, choice, log_p, z, r, seen, inlier, speed2, gate, e, p, noise, factor, fits,
):  # fmt: skip
    """Carry out assignments: each becomes a hypothesis of its own.

    Parameters
    ----------
    state
        The hypotheses from which they come.
    into
        Written: the new hypotheses.
    found, parent, choice, log_p
        The assignments, as of `branch`; the probabilities are made to add up to 1.
    z, r, seen, inlier
        The detections, as of `branch`.
    speed2
        (M,) variance of the velocity at rest, px^2/s^2.
    gate
        Chi-square gate, as of the causal filter: a keypoint beyond it has moved where it fits the pose, and
        counts less where it does not.
    e, p, noise, factor, fits
        Room for (2, M), (3, M), (3, M), (M,) and (M,).
    """
    total = 0.0
    for c in range(found):
        total += math.exp(log_p[c] - log_p[0])
    largest = log_p[0]
    for c in range(found):
        h = parent[c]
        into.mean[c], into.cov[c], into.known[c] = state.mean[h], state.cov[h], state.known[h]
        into.identity[c] = state.identity[h]
        into.log_p[c] = log_p[c] - largest - math.log(total)
        into.detection[c] = choice[c]
        fits[:] = False
        for s in range(choice.shape[1]):
            d = choice[c, s]
            if d < 0:
                _move_as_one(into, c, s, seen.shape[1])
                continue
            _weigh(into, c, s, z[d], r[d], seen[d], inlier[h, s, d], gate, e, p, noise, factor, fits)
        correct(into.mean[c], into.cov[c], e, p, noise, factor, fits)
        for s in range(choice.shape[1]):
            d = choice[c, s]
            if d >= 0:
                begin(into, c, s, z[d], r[d], seen[d], speed2)


@numba.njit(cache=True, error_model="numpy")
def _move_as_one(state, h, s, keypoints):  # type: ignore[no-untyped-def]
    """Give all keypoints of a slot that is not seen their mean velocity: it keeps its shape."""
    n, x, y = 0, 0.0, 0.0
    for m in range(s * keypoints, (s + 1) * keypoints):
        if state.known[h, m]:
            n += 1
            x += state.mean[h, 2, m]
            y += state.mean[h, 3, m]
    for m in range(s * keypoints, (s + 1) * keypoints):
        if state.known[h, m]:
            state.mean[h, 2, m], state.mean[h, 3, m] = x / n, y / n


@numba.njit(cache=True, error_model="numpy")
def _weigh(state, h, s, z, r, seen, inlier, gate, e, p, noise, factor, fits):  # type: ignore[no-untyped-def]
    """Prepare the update of one slot: a keypoint beyond the gate has moved, or its noise is inflated."""
    for k in range(len(seen)):
        m = s * len(seen) + k
        fits[m] = seen[k] and state.known[h, m]
        if not fits[m]:
            continue
        e[0, m], e[1, m] = z[k, 0] - state.mean[h, 0, m], z[k, 1] - state.mean[h, 1, m]
        p[0, m], p[1, m], p[2, m] = state.cov[h, 0, 0, m], state.cov[h, 0, 1, m], state.cov[h, 1, 1, m]
        noise[:, m] = r[:, k]
        factor[m] = 1.0
        if not inlier[k]:
            factor[m] = inflation(e[:, m], p[:, m], noise[:, m], gate)
            continue
        moved = inflation(e[:, m], noise[:, m], p[:, m], gate)
        if moved > 1.0:
            p[:, m] *= moved
            state.cov[h, :, :, m] *= moved


@numba.njit(cache=True, error_model="numpy")
def begin(state, h, s, z, r, seen, speed2):  # type: ignore[no-untyped-def]
    """Begin the tracks of a slot's keypoints that have none, where they are seen.

    Parameters
    ----------
    state
        The hypotheses.
    h, s
        Which hypothesis and which slot.
    z, r, seen
        The detection: positions (K, 2) px, noise (3, K) px^2, whether a keypoint is seen (K,).
    speed2
        (M,) variance of the velocity at rest, px^2/s^2.
    """
    for k in range(len(seen)):
        m = s * len(seen) + k
        if not seen[k] or state.known[h, m]:
            continue
        state.known[h, m] = True
        state.mean[h, 0, m], state.mean[h, 1, m] = z[k, 0], z[k, 1]
        state.mean[h, 2, m] = state.mean[h, 3, m] = 0.0
        for i in range(4):
            for j in range(4):
                state.cov[h, i, j, m] = 0.0
        state.cov[h, 0, 0, m], state.cov[h, 1, 1, m] = r[0, k], r[2, k]
        state.cov[h, 0, 1, m] = state.cov[h, 1, 0, m] = r[1, k]
        state.cov[h, 2, 2, m] = state.cov[h, 3, 3, m] = speed2[m]


@numba.njit(cache=True, error_model="numpy")
def match_slots(ours, theirs, match):  # type: ignore[no-untyped-def]
    """Find the slots of one hypothesis that hold the bodies of another's.

    A body that is seen is in the same detection; what is seen in neither stays in its slot; the others are
    what remains, in order.

    Parameters
    ----------
    ours, theirs
        (N,) the detection of each slot, -1 where it is not seen.
    match
        Written: (N,) for each of our slots theirs.
    """
    n = len(ours)
    free = np.ones(n, dtype=np.bool_)
    match[:] = -1
    for s in range(n):
        for t in range(n):
            if ours[s] >= 0 and ours[s] == theirs[t]:
                match[s] = t
                free[t] = False
    for s in range(n):
        if match[s] < 0 and free[s]:
            match[s] = s
            free[s] = False
    for s in range(n):
        for t in range(n):
            if match[s] < 0 and free[t]:
                match[s] = t
                free[t] = False


@numba.njit(cache=True, error_model="numpy")
def same_body(state, g, s, h, t, keypoints):  # type: ignore[no-untyped-def]
    """Whether slot `s` under hypothesis `g` and slot `t` under `h` predict one body.

    Parameters
    ----------
    state
        The hypotheses.
    g, s, h, t
        Two hypotheses and a slot of each.
    keypoints
        K.

    Returns
    -------
    bool
        Whether their means differ by little, for their variances, in position and in velocity.
    """
    total, count = 0.0, 0
    for k in range(keypoints):
        m, o = s * keypoints + k, t * keypoints + k
        if not (state.known[g, m] and state.known[h, o]):
            continue
        count += 4
        for i in range(4):
            apart = state.mean[g, i, m] - state.mean[h, i, o]
            total += 2.0 * apart * apart / (state.cov[g, i, i, m] + state.cov[h, i, i, o])
        if total > SAME * 4 * keypoints:
            return False
    return total <= SAME * count


@numba.njit(cache=True, error_model="numpy")
def merge(state, count, used, keypoints, match):  # type: ignore[no-untyped-def]
    """Make one of hypotheses that predict the same bodies, in place.

    Parameters
    ----------
    state, count
        The hypotheses; of two, the one with the smaller index stays.
    used
        (N,) which slots are in use.
    keypoints
        K.
    match
        Room for (N,).

    Returns
    -------
    int
        How many hypotheses remain.
    """
    n = len(used)
    g = 0
    while g < count:
        h = g + 1
        while h < count:
            match_slots(state.detection[g], state.detection[h], match)
            same = True
            for s in range(n):
                if used[s] and not same_body(state, g, s, h, match[s], keypoints):
                    same = False
                    break
            if not same:
                h += 1
                continue
            share = 1.0 / (1.0 + math.exp(state.log_p[g] - state.log_p[h]))
            for s in range(n):
                for i in range(n):
                    ours = state.identity[g, s, i]
                    state.identity[g, s, i] = ours + share * (state.identity[h, match[s], i] - ours)
            state.log_p[g] -= math.log1p(-share)
            count -= 1
            for later in range(h, count):
                copy(state, later + 1, later)
        g += 1
    return count


@numba.njit(cache=True, error_model="numpy")
def copy(state, source, target):  # type: ignore[no-untyped-def]
    """Copy a hypothesis to another place.

    Parameters
    ----------
    state
        The hypotheses.
    source, target
        Their indices.
    """
    state.mean[target], state.cov[target] = state.mean[source], state.cov[source]
    state.known[target], state.identity[target] = state.known[source], state.identity[source]
    state.log_p[target], state.detection[target] = state.log_p[source], state.detection[source]


@numba.njit(cache=True, error_model="numpy")
def identity_probability(state, count, used, match, probability):  # type: ignore[no-untyped-def]
    """Compute the probability that each slot still holds the individual that it held at its birth.

    Parameters
    ----------
    state, count
        The hypotheses.
    used
        (N,) which slots are in use.
    match
        Room for (N,).
    probability
        Written: (N,); NaN for a slot that is not in use.
    """
    probability[:] = 0.0
    for h in range(count):
        match_slots(state.detection[0], state.detection[h], match)
        for s in range(len(used)):
            probability[s] += math.exp(state.log_p[h]) * state.identity[h, match[s], s]
    for s in range(len(used)):
        # Rounding alone exceeds 1.
        probability[s] = min(probability[s], 1.0) if used[s] else np.nan


@numba.njit(cache=True, error_model="numpy")
def log_extent(state, h, s, keypoints):  # type: ignore[no-untyped-def]
    """Compute the area over which a slot's body may be.

    Parameters
    ----------
    state
        The hypotheses.
    h, s
        Which hypothesis and which slot.
    keypoints
        K.

    Returns
    -------
    float
        Logarithm of the area (px^2) of an even distribution of the entropy that its position has; -inf where
        nothing is known of it.
    """
    n, xx, xy, yy = 0, 0.0, 0.0, 0.0
    for k in range(keypoints):
        m = s * keypoints + k
        if state.known[h, m]:
            n += 1
            xx += state.cov[h, 0, 0, m]
            xy += state.cov[h, 0, 1, m]
            yy += state.cov[h, 1, 1, m]
    if n == 0:
        return -np.inf
    return math.log(2.0 * math.pi) + 1.0 + 0.5 * math.log((xx * yy - xy * xy) / (n * n))
