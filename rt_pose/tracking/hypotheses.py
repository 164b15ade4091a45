"""Hypotheses of who is who: several individuals under every assignment that is still likely; compiled.

A hypothesis holds the state of N slots (K keypoints each, filtered as in `causal_filter.py`, without prior),
which detection each slot was seen in last, and, for every slot, the probability of each individual. It splits
where several assignments are likely, and its parts live on until later frames tell them apart, or until
nothing does any more: two that predict the same bodies are one, under which the individuals have the
probabilities that the two had together (`slot_identity.py`). So a crossing that only the moment after it
decides is decided then.

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
    n, most = len(used), len(parent)
    found = 0
    for h in range(count):
        _score(
            state, h, used, z, r, seen, log_spread, log_area, log_seen - log_unseen, score, inlier
        )  # fmt: skip
        at_most = state.log_p[h]
        for s in range(n):
            if len(z) > 0:
                at_most += max(0.0, score[h, s].max())
        if found > 0 and at_most < log_p[0] - slack:
            continue
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
def _score(  # type: ignore[no-untyped-def]
    state, h, used, z, r, seen, log_spread, log_area, log_detected, score, inlier
):  # fmt: skip
    """Score every slot of a hypothesis with every detection; see `branch`.

    Where a slot is the very same as under an earlier hypothesis, so are its scores: hypotheses differ in the
    few animals that met, and the likelihoods are what costs most.
    """
    keypoints = seen.shape[1]
    for s in range(len(used)):
        same = _earlier_same(state, h, s, keypoints)
        for d in range(len(z)):
            if same < h:
                score[h, s, d] = score[same, s, d]
                inlier[h, s, d] = inlier[same, s, d]
                continue
            score[h, s, d] = -np.inf
            if used[s]:
                score[h, s, d] = log_detected + log_ratio(
                    state.mean[h], state.cov[h], state.known[h], s * keypoints, z[d], r[d], seen[d],
                    log_area, log_spread[d], inlier[h, s, d],
                )  # fmt: skip


@numba.njit(cache=True, error_model="numpy")
def _earlier_same(state, h, s, keypoints):  # type: ignore[no-untyped-def]
    """The first hypothesis under which a slot's state is equal bit for bit; `h` itself where none is."""
    for g in range(h):
        same = True
        for m in range(s * keypoints, (s + 1) * keypoints):
            if (
                state.known[g, m] != state.known[h, m]
                or state.mean[g, 0, m] != state.mean[h, 0, m]
                or state.mean[g, 1, m] != state.mean[h, 1, m]
                or state.cov[g, 0, 0, m] != state.cov[h, 0, 0, m]
                or state.cov[g, 0, 1, m] != state.cov[h, 0, 1, m]
                or state.cov[g, 1, 1, m] != state.cov[h, 1, 1, m]
            ):
                same = False
                break
        if same:
            return g
    return h


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
