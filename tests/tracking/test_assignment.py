"""The best assignments, against all there are."""

from __future__ import annotations

from itertools import product

import numpy as np

from rt_pose.tracking.assignment import best_assignments
from rt_pose.types import FloatArray


def every_assignment(score: FloatArray) -> list[tuple[float, tuple[int, ...]]]:
    """All that are possible with their scores, best first."""
    found = []
    for choice in product(range(-1, score.shape[1]), repeat=len(score)):
        seen = [d for d in choice if d >= 0]
        value = float(sum(score[i, d] for i, d in enumerate(choice) if d >= 0))
        if len(set(seen)) == len(seen) and np.isfinite(value):
            found.append((value, choice))
    return sorted(found, key=lambda one: -one[0])


def test_all_that_are_likely_are_found_best_first() -> None:
    random = np.random.default_rng(0)
    for case in range(120):
        n, d = int(random.integers(1, 5)), int(random.integers(0, 5))
        score = random.normal(0, 4, (n, d))
        score[random.random((n, d)) < 0.3] = -np.inf
        choices, scores = np.zeros((6, n), dtype=np.int64), np.zeros(6)
        count = best_assignments(score, 5.0, choices, scores)
        best = every_assignment(score)
        expected = [one for one in best if one[0] >= best[0][0] - 5.0][:6]
        assert count == len(expected), case
        np.testing.assert_allclose(scores[:count], [value for value, _ in expected])
        assert [tuple(row) for row in choices[:count].tolist()] == [choice for _, choice in expected]


def test_a_crowd_in_which_all_fit_everywhere_ends() -> None:
    choices, scores = np.zeros((8, 8), dtype=np.int64), np.zeros(8)
    assert best_assignments(np.zeros((8, 12)) + 3.0, 9.0, choices, scores) == 8
    np.testing.assert_allclose(scores, 24.0)
    assert all(len(set(row)) == 8 for row in choices.tolist())
