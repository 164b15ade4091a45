"""The best assignments of detections to individuals, best first; compiled.

Not only the best one is wanted: the identities' probability is in the others. The assignments are enumerated
depth first with a bound on what the rest can add, and whatever is less likely than the best by more than a
given factor is cut off. With up to four individuals that is less work than one call of the Hungarian method.
"""

from __future__ import annotations

import numba
import numpy as np

MOST_STEPS = 2_000
"""The search ends here, with what it has found: only a crowd whose members all fit everywhere comes near."""


@numba.njit(cache=True, error_model="numpy")
def best_assignments(score, slack, choices, scores):  # type: ignore[no-untyped-def]
    """Find the assignments of the largest scores.

    Parameters
    ----------
    score
        (N, D) what it adds that an individual is seen in a detection; -inf where it cannot be. An individual
        that is not seen adds 0, and so does a detection of nobody.
    slack
        Assignments whose score is smaller than the largest by more than this are left out.
    choices
        Written: (C, N) the detection of each individual, -1 where it is not seen; at most C assignments.
    scores
        Written: (C,) their scores, falling.

    Returns
    -------
    int
        How many were found, at least one.
    """
    n, detections = score.shape
    most = len(scores)
    # What the individuals from each one on can add at most.
    bound = np.zeros(n + 1)
    for i in range(n - 1, -1, -1):
        bound[i] = bound[i + 1]
        if detections > 0:
            bound[i] += max(0.0, score[i].max())
    best = _greedy(score, choices[0])
    scores[0] = best
    count = 1
    taken = np.zeros(detections, dtype=np.bool_)
    choice = np.full(n, -1)  # 0 .. D - 1 a detection, D not seen
    value = np.zeros(n + 1)
    level = steps = 0
    while level >= 0 and steps < MOST_STEPS:
        steps += 1
        now = choice[level]
        if 0 <= now < detections:
            taken[now] = False
        now += 1
        while now < detections and (taken[now] or score[level, now] == -np.inf):
            now += 1
        if now > detections:
            choice[level] = -1
            level -= 1
            continue
        choice[level] = now
        reached = value[level] + (score[level, now] if now < detections else 0.0)
        at_most = reached + bound[level + 1]
        if at_most < best - slack or (count == most and at_most <= scores[count - 1]):
            continue
        if now < detections:
            taken[now] = True
        value[level + 1] = reached
        if level + 1 < n:
            level += 1
            choice[level] = -1
            continue
        best = max(best, reached)
        count = _insert(choice, detections, reached, choices, scores, count)
    while count > 1 and scores[count - 1] < best - slack:
        count -= 1
    return count


@numba.njit(cache=True, error_model="numpy")
def _greedy(score, chosen):  # type: ignore[no-untyped-def]
    """Take the largest score again and again: an assignment to begin the search with."""
    n, detections = score.shape
    chosen[:] = -1
    taken = np.zeros(detections, dtype=np.bool_)
    total = 0.0
    for _ in range(min(n, detections)):
        largest, at, to = 0.0, -1, -1
        for i in range(n):
            for d in range(detections):
                if chosen[i] < 0 and not taken[d] and score[i, d] > largest:
                    largest, at, to = score[i, d], i, d
        if at < 0:
            break
        chosen[at] = to
        taken[to] = True
        total += largest
    return total


@numba.njit(cache=True, error_model="numpy")
def _insert(choice, detections, reached, choices, scores, count):  # type: ignore[no-untyped-def]
    """Put an assignment in its place, unless it is there already or the list is full of better ones."""
    n = len(choice)
    for c in range(count):
        same = True
        for i in range(n):
            if choices[c, i] != (choice[i] if choice[i] < detections else -1):
                same = False
                break
        if same:
            return count
    at = count
    while at > 0 and scores[at - 1] < reached:
        at -= 1
    if at == len(scores):
        return count
    last = min(count, len(scores) - 1)
    for c in range(last, at, -1):
        scores[c] = scores[c - 1]
        choices[c] = choices[c - 1]
    scores[at] = reached
    for i in range(n):
        choices[at, i] = choice[i] if choice[i] < detections else -1
    return min(count + 1, len(scores))
