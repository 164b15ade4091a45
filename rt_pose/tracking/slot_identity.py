"""Whose bodies the slots of several hypotheses hold, and how probable the published answer is; compiled.

What is known of individuals lies in `State.identity`: under each hypothesis the probability that a slot holds
each of them. Two hypotheses that predict the same bodies become one, with the identities of both; and bodies
that overlap exchange identities by a small rate, because no model of movement and of a network's errors
foresees every way in which that goes wrong.

`hypotheses.py` says what the arrays are, and what to mind about numba's cache.
"""

from __future__ import annotations

import math

import numba
import numpy as np

SAME = 0.05
"""Two predictions are of one body where the squared differences, in variances, have a smaller mean."""
OVERLAP = 4.0
"""Two bodies overlap where their squared distance is below this times the sum of their squared sizes."""


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


@numba.njit(cache=True, error_model="numpy")
def confuse(state, count, used, keypoints, share, share_hidden, place):  # type: ignore[no-untyped-def]
    """Let individuals whose bodies overlap exchange their identities with a small probability, in place.

    Bodies overlap where their middles are close for their sizes and the uncertainty of their places: nothing
    here is a distance in px.

    Parameters
    ----------
    state, count
        The hypotheses, after a frame.
    used
        (N,) which slots are in use.
    keypoints
        K.
    share, share_hidden
        Probability of an exchange within the frame's time where both were seen in it, and where one was not.
    place
        Room for (N, 3): x and y (px) of a body's middle, and its squared size (px^2).
    """
    n = len(used)
    for h in range(count):
        for s in range(n):
            _write_place(state, h, s, keypoints, place[s])
        for s in range(n):
            for t in range(s + 1, n):
                x, y = place[s, 0] - place[t, 0], place[s, 1] - place[t, 1]
                overlap = x * x + y * y < OVERLAP * (place[s, 2] + place[t, 2])
                if not (used[s] and used[t] and overlap):
                    continue
                seen = state.detection[h, s] >= 0 and state.detection[h, t] >= 0
                exchange(state.identity[h], s, t, share if seen else share_hidden)


@numba.njit(cache=True, error_model="numpy")
def exchange(identity, s, t, share):  # type: ignore[no-untyped-def]
    """Let two slots have exchanged their individuals with a probability, in place.

    Parameters
    ----------
    identity
        (N, N) probability that a slot (row) holds an individual.
    s, t
        The slots.
    share
        The probability.
    """
    for i in range(identity.shape[1]):
        apart = share * (identity[t, i] - identity[s, i])
        identity[s, i] += apart
        identity[t, i] -= apart


@numba.njit(cache=True, error_model="numpy")
def _write_place(state, h, s, keypoints, place):  # type: ignore[no-untyped-def]
    """Write the middle of a slot's body, and its squared size with the uncertainty of its place."""
    n, x, y, squares, variance = 0, 0.0, 0.0, 0.0, 0.0
    for m in range(s * keypoints, (s + 1) * keypoints):
        if state.known[h, m]:
            n += 1
            x += state.mean[h, 0, m]
            y += state.mean[h, 1, m]
            squares += state.mean[h, 0, m] ** 2 + state.mean[h, 1, m] ** 2
            variance += state.cov[h, 0, 0, m] + state.cov[h, 1, 1, m]
    if n == 0:
        place[:] = np.nan
        return
    place[0], place[1] = x / n, y / n
    size = max(0.0, squares / n - place[0] ** 2 - place[1] ** 2)
    place[2] = size + min(size, variance / n)
