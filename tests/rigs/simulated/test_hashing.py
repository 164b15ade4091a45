from __future__ import annotations

import math

import numpy as np

from rigs.hashing import angle, hash64, uniform


def test_a_hash_depends_on_every_part_of_its_key() -> None:
    keys = [
        (0, "a", 1),
        (1, "a", 1),
        (0, "b", 1),
        (0, "a", 2),
        (0, "a1"),
        (0, "a", 1, 0),
        (0, "a", "11"),
        (0, "a", 1, 1),
    ]
    assert len({hash64(*key) for key in keys}) == len(keys)


def test_a_hash_is_the_same_for_ever() -> None:
    assert hash64(3, "camera", 17) == 5405380076176092127


def test_uniform_fills_its_range_evenly() -> None:
    values = np.array([uniform(5, "x", i, low=2.0, high=6.0) for i in range(4000)])
    assert values.min() >= 2.0
    assert values.max() < 6.0
    counts, _ = np.histogram(values, 8, (2.0, 6.0))
    assert counts.min() > 400
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.06


def test_angle_lies_on_the_circle() -> None:
    assert all(0.0 <= angle(9, i) < 2.0 * math.pi for i in range(200))
