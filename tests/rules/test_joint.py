"""Conditions between two individuals: `distance(individual0.nose, individual1.tail)`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.rules.bind import bind
from rt_pose.rules.condition import Condition
from rt_pose.rules.zones import Circle
from rt_pose.types import Track

KEYPOINTS = ["nose", "tail"]
DRAWS = 1 << 16
WITHIN = 0.01


def track(spread: float = 0.0, lost: tuple[int, int] | None = None) -> Track:
    """The first animal runs to the right, towards the second."""
    xy = np.array([[[10.0, 0.0], [0.0, 0.0]], [[40.0, 40.0], [40.0, 0.0]]])
    velocity = np.array([[[30.0, 0.0], [30.0, 0.0]], [[0.0, 0.0], [0.0, -5.0]]])
    roots = spread * np.random.default_rng(5).normal(0.0, 1.0, (2, 2, 4, 4))
    gone = np.zeros((2, 2), bool)
    if lost is not None:
        gone[lost] = True
    return Track("top", 0, 0, xy, velocity, roots @ roots.swapaxes(-1, -2), np.zeros((2, 2)), gone)


def condition(text: str) -> Condition:
    return bind(text, KEYPOINTS, {"spot": Circle(40.0, 0.0, 5.0)}, "rule", individuals=2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("distance(individual0.nose, individual1.tail) > 0", 30.0),
        ("distance(individual1.nose, individual0.nose) > 0", 50.0),
        ("approach(individual0.nose, individual1.tail) > 0", 30.0),
        ("distance(individual0.centroid, individual1.centroid) > 0", math.hypot(35.0, 20.0)),
        (
            "distance(centroid(individual0.nose, individual1.tail), individual1.nose) > 0",
            math.hypot(15.0, 40.0),
        ),
        ("heading(individual0.nose, individual1.nose) > 0", math.degrees(math.atan2(40.0, 30.0))),
        (
            "facing(individual0.tail, individual0.nose, individual1.nose) > 0",
            math.degrees(math.atan2(40.0, 30.0)),
        ),
        ("facing(individual0.nose, individual0.tail, individual1.tail) > 0", 180.0),
        ("facing(individual0.tail, individual0.nose, spot) > 0", 0.0),
        ("following(individual0.nose, individual1.tail) > 0", 0.0),
        ("following(individual1.tail, individual0.nose) > 0", -30.0),
        (
            "abs(heading(individual0.tail, individual0.nose) - heading(individual0.nose, individual1.tail))"
            " < 30 deg",
            0.0,
        ),
    ],
)
def test_quantities_between_two(text: str, value: float) -> None:
    assert condition(text).value(track()) == pytest.approx(value)


def test_each_part_is_about_whom_it_names() -> None:
    both = condition("inside(individual1.tail, spot) and speed(individual0.nose) > 20")
    assert both.holds(track())
    assert not condition("inside(individual0.tail, spot) and speed(individual1.nose) > 20").holds(track())
    assert (both.individual, both.joint) == (1, True), "an event is the first one's"
    one = condition("inside(individual1.tail, spot) and y(individual1.nose) > 20")
    assert (one.individual, one.joint, one.keypoints) == (1, False, (0, 1))


@pytest.mark.parametrize(
    "text",
    [
        "distance(individual0.nose, individual1.tail) < 30",
        "approach(individual0.nose, individual1.tail) > 25",
        "inside(individual1.tail, spot) and x(individual0.nose) > x(individual0.tail) + 9",
        "x(individual0.centroid) < x(individual1.nose) - 35",
    ],
)
def test_their_probability_is_that_of_draws(text: str) -> None:
    of, rng = track(3.0), np.random.default_rng(7)
    states = np.concatenate([of.xy, of.velocity], axis=-1)
    drawn = np.stack(
        [
            [rng.multivariate_normal(m, c, DRAWS) for m, c in zip(means, covs, strict=True)]
            for means, covs in zip(states, of.cov, strict=True)
        ]
    )  # (individuals, keypoints, draws, 4)
    (ax, ay), (bx, by) = (drawn[0, 0, :, 0], drawn[0, 0, :, 1]), (drawn[1, 1, :, 0], drawn[1, 1, :, 1])
    apart = np.hypot(bx - ax, by - ay)
    velocity = drawn[1, 1, :, 2:] - drawn[0, 0, :, 2:]
    holds: dict[str, NDArray[np.bool_]] = {
        "distance": apart < 30,
        "approach": -((bx - ax) * velocity[:, 0] + (by - ay) * velocity[:, 1]) / apart > 25,
        "inside": (np.hypot(bx - 40, by) < 5) & (ax > drawn[0, 1, :, 0] + 9),
        "x": drawn[0, :, :, 0].mean(axis=0) < drawn[1, 0, :, 0] - 35,
    }
    expected = holds[text.partition("(")[0]].mean()
    assert 0.05 < expected < 0.95
    assert condition(text).probability(of) == pytest.approx(expected, abs=WITHIN)


def test_it_is_lost_while_a_keypoint_of_either_is() -> None:
    both = condition("distance(individual0.nose, individual1.tail) < 30")
    for lost, expected in (((0, 0), True), ((1, 1), True), ((0, 1), False), ((1, 0), False)):
        assert both.is_lost(track(lost=lost).lost, 0) == expected


def test_what_it_remembers_is_of_both() -> None:
    slow = condition("mean(distance(individual0.nose, individual1.tail), 100 ms) < 25")
    evaluator = slow.evaluator(0)
    found = []
    for t_ms in range(0, 400, 20):
        now = track()
        now.t_valid_ns = t_ms * 10**6
        now.xy[0, 0, 0] = 10.0 + t_ms / 40
        evaluator.observe(now)
        evaluator.set_track(now)
        found.append(evaluator.holds())
    assert found[0] is False
    assert found[-1] is True
    assert found == sorted(found)
