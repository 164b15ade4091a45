"""A pattern search (Hooke and Jeeves 1961) for many small problems at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rt_pose.types import FloatArray

FIRST_STEP, LAST_STEP = 1.5, 0.1
"""Of the search, in natural logarithms."""
MOST_ROUNDS = 60


def pattern_search(
    score: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    least: FloatArray,
    most: FloatArray,
    report_progress: Callable[[int], None],
) -> tuple[FloatArray, FloatArray]:
    """Find the parameters of most score, P of each of K problems, by steps in their logarithms.

    Parameters
    ----------
    score
        Of C candidates (P, C, K) the scores, (C, K).
    start
        (P, K) where to begin, above 0.
    least, most
        (P,) bounds.
    report_progress
        Called with the number of each round, at most MOST_ROUNDS.

    Returns
    -------
    best : FloatArray
        (P, K).
    reached : FloatArray
        Their scores, (K,).
    """
    count, problems = start.shape
    low, high = np.log(least)[:, None, None], np.log(most)[:, None, None]
    best = np.log(start)
    step = np.full(problems, FIRST_STEP)
    moves = np.concatenate([np.zeros((count, 1)), np.eye(count), -np.eye(count)], axis=1)[:, :, None]
    reached = np.full(problems, -np.inf)
    for turn in range(MOST_ROUNDS):
        tried = np.clip(best[:, None] + moves * step, low, high)  # (P, 2 P + 1, K)
        scores = score(np.exp(tried))
        chosen = scores.argmax(axis=0)
        best = tried[:, chosen, np.arange(problems)]
        reached = scores.max(axis=0)
        step = np.where(chosen == 0, step / 2, step)
        report_progress(turn + 1)
        if (step < LAST_STEP).all():
            break
    return np.exp(best), reached
