"""Angles on the circle: differences wrap, thresholds lie on the circle, sessions of before keep theirs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.rules.bind import bind
from rt_pose.rules.semantics import FIRST
from rt_pose.rules.zones import Line
from rt_pose.types import Track

KEYPOINTS = ["tail", "nose", "ear"]


def track(nose_deg: float, ear_deg: float, variance: float = 0.01) -> Track:
    """An animal at (100, 100) whose nose and ear lie in these directions, 50 px from its tail."""
    xy = [[100.0, 100.0]]
    xy += [
        [100 + 50 * math.cos(math.radians(d)), 100 + 50 * math.sin(math.radians(d))]
        for d in (nose_deg, ear_deg)
    ]
    cov = np.broadcast_to(variance * np.eye(4), (1, 3, 4, 4))
    return Track(
        "cam", 0, 0, np.array([xy]), np.zeros((1, 3, 2)), cov, np.zeros((1, 3)), np.zeros((1, 3), bool)
    )


@pytest.mark.parametrize(
    ("when", "nose", "ear", "holds"),
    [
        ("abs(heading(tail, nose) - heading(tail, ear)) < 30 deg", 175, -175, True),
        ("abs(heading(tail, nose) - heading(tail, ear)) < 30 deg", 10, -10, True),
        ("abs(heading(tail, nose) - heading(tail, ear)) < 30 deg", 90, -90, False),
        ("heading(tail, nose) - heading(tail, ear) > 0 deg", -175, 175, True),
        ("heading(tail, nose) - heading(tail, ear) < 0 deg", 175, -175, True),
        ("abs(heading(tail, nose) - 180 deg) < 10 deg", -175, 0, True),
        ("abs(heading(tail, nose) + 180 deg) < 10 deg", 175, 0, True),
        ("abs(heading(tail, nose) - heading(tail, ear) - 180 deg) < 10 deg", 95, -80, True),
        ("abs(3.1416 rad - heading(tail, nose)) < 0.2 rad", -178, 0, True),
        ("abs(-heading(tail, nose) - 180 deg) < 10 deg", 175, 0, True),
    ],
)
def test_differences_wrap(when: str, nose: float, ear: float, holds: bool) -> None:
    condition = bind(when, KEYPOINTS, {}, "rule")
    assert condition.holds(track(nose, ear)) is holds
    assert condition.probability(track(nose, ear)) == pytest.approx(float(holds), abs=0.01)


def test_before_the_number_they_did_not() -> None:
    when = "abs(heading(tail, nose) - heading(tail, ear)) < 30 deg"
    assert not bind(when, KEYPOINTS, {}, "rule", semantics=FIRST).holds(track(175, -175))
    bind("heading(tail, nose) > 190 deg", KEYPOINTS, {}, "rule", semantics=FIRST)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("heading(tail, nose) > 190 deg", "lies between -180 and 180 deg, never at 190 deg"),
        ("heading(tail, nose) < 4 rad", "lies between -3.14159 and 3.14159 rad, never at 4 rad"),
        ("170 deg < heading(tail, nose) < 190 deg", "never at 190 deg; for a range across its end"),
        ("direction(nose) < -200", "never at -200 deg"),
        ("abs(heading(tail, nose)) > 200 deg", "lies between 0 and 180 deg"),
        ("abs(heading(tail, nose) - heading(tail, ear)) > 190 deg", "lies between 0 and 180 deg"),
        ("angle(nose, tail, ear) > 181 deg", "lies between 0 and 180 deg"),
        ("phase(y(nose), 8 Hz) > 400 deg", "lies between 0 and 360 deg"),
        ("confidence(nose) > 1.5", "lies between 0 and 1, never at 1.5"),
        ("heading(tail, nose) < heading(tail, ear)", "two angles on the circle have no order"),
        ("max(heading(tail, nose), heading(tail, ear)) > 10 deg", "of which none is the maximum"),
    ],
)
def test_what_cannot_depend_on_the_animal_is_refused(when: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        bind(when, KEYPOINTS, {}, "rule")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "when",
    [
        "heading(tail, nose) > 180 deg",
        "heading(tail, nose) >= -180 deg",
        "heading(tail, nose) < 3.1416 rad",
        "angle(nose, tail, ear) > 179 deg",
        "confidence(nose) >= 1",
        "phase(y(nose), 8 Hz) < 360 deg",
        "abs(turning(tail, nose)) > 400 deg/s",
    ],
)
def test_thresholds_on_the_circle_are_taken(when: str) -> None:
    condition = bind(when, KEYPOINTS, {}, "rule")
    assert condition.text == when


@pytest.mark.parametrize(
    ("when", "probability"),
    [
        ("x(nose) < x(nose)", 0.0),
        ("x(nose) <= x(nose)", 1.0),
        ("x(nose) - x(nose) > 0", 0.0),
        ("0 < x(nose) - x(nose) < 5", 0.0),
        ("0 < distance(nose, nose) < 5", 0.0),
        ("distance(nose, nose) < 5", 1.0),
        ("not x(nose) < x(nose)", 1.0),
    ],
)
def test_what_is_certain_has_the_probability_of_its_signs(when: str, probability: float) -> None:
    condition = bind(when, KEYPOINTS, {}, "rule")
    assert condition.probability(track(10, 20, variance=4.0)) == probability


def test_a_rhythm_of_an_angle_is_followed_across_the_end_of_the_circle() -> None:
    """A head that nods by 20 deg about the direction to the left: the heading jumps, the rhythm does not."""
    condition = bind("amplitude(heading(tail, nose), 4 Hz) > 0 deg", KEYPOINTS, {}, "rule")
    evaluator = condition.evaluator(0)
    for i in range(200):
        t_s = i / 100
        seen = track(180 + 20 * math.sin(2 * math.pi * 4 * t_s), 0)
        seen.t_valid_ns = round(t_s * 1e9)
        evaluator.observe(seen)
        evaluator.set_track(seen)
    assert evaluator.value() == pytest.approx(20.0, abs=2.0)


def test_a_condition_may_not_be_too_long_to_be_evaluated() -> None:
    with pytest.raises(UserError, match="expected at most 100"):
        bind(" + ".join(["x(nose)"] * 1000) + " > 5", KEYPOINTS, {}, "rule")
    bind(" + ".join(["x(nose)"] * 40) + " > 5", KEYPOINTS, {}, "rule").holds(track(0, 0))


def test_the_angle_to_a_line_is_0_along_it_and_90_across_it() -> None:
    zones = {"wall": Line(0, 0, 100, 0)}
    condition = bind("angle_to(tail, nose, wall) > 45 deg", KEYPOINTS, zones, "rule")
    for degrees, expected in ((0, 0), (180, 0), (90, 90), (-90, 90), (30, 30), (-150, 30)):
        assert condition.value(track(degrees, 0)) == pytest.approx(expected, abs=1e-6)


def test_a_mean_is_of_the_window_and_unknown_before_it() -> None:
    condition = bind("mean(x(nose), 100 ms) > 0", KEYPOINTS, {}, "rule")
    evaluator = condition.evaluator(0)
    values = []
    for i in range(30):
        seen = track(0, 0)
        seen.xy[0, 1, 0] = float(i)
        seen.t_valid_ns = i * 10_000_000
        evaluator.observe(seen)
        evaluator.set_track(seen)
        values.append(evaluator.value())
    assert all(math.isnan(value) for value in values[:11])
    assert values[29] == pytest.approx(24.0)


def test_a_mean_of_an_angle_on_the_circle_is_refused() -> None:
    with pytest.raises(UserError, match="has no mean of its numbers"):
        bind("mean(heading(tail, nose), 1 s) > 5 deg", KEYPOINTS, {}, "rule")
    bind("mean(abs(heading(tail, nose) - 90 deg), 1 s) < 5 deg", KEYPOINTS, {}, "rule")
