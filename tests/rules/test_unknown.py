"""What is not known is neither true nor false, and so is `not` of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.rules.bind import bind
from rt_pose.rules.semantics import KNOWN
from rt_pose.rules.zones import Circle, Zone
from rt_pose.types import Track

BEFORE = KNOWN - 1
KEYPOINTS = ["nose", "tail"]
ZONES: dict[str, Zone] = {"corner": Circle(10.0, 20.0, 5.0)}
NAN = math.nan


def track(nose: tuple[float, float], velocity: tuple[float, float] = (0.0, 0.0)) -> Track:
    xy, speeds = np.array([[nose, (14.0, 22.0)]]), np.array([[velocity, (0.0, 0.0)]])
    cov = np.broadcast_to(np.diag([9.0, 4.0, 25.0, 25.0]), (1, 2, 4, 4)).copy()
    cov[..., 0, 1] = cov[..., 1, 0] = 3.0
    return Track("cam", 0, 0, xy, speeds, cov, np.zeros((1, 2)), np.zeros((1, 2), bool))


def test_not_of_what_is_not_known_does_not_hold() -> None:
    """Once it held, so that a rule fired while nothing was known: in the first half second of a mean, say."""
    nowhere, unmoved = track((NAN, NAN)), track((10.0, 20.0), (NAN, 0.0))
    unknown = [
        ("not inside(nose, corner)", nowhere),
        ("not speed(nose) > 5", unmoved),
        ("not 1 < speed(nose) < 5", unmoved),
        ("not (inside(nose, corner) and speed(nose) > 5)", unmoved),
        ("not (not inside(nose, corner) or speed(nose) > 5)", unmoved),
        ("not mean(speed(nose), 500 ms) > 5", track((10.0, 20.0))),
        ("not phase(x(nose), 8 Hz) < 90 deg", track((10.0, 20.0))),
    ]
    for text, seen in unknown:
        assert not bind(text, KEYPOINTS, ZONES, "rule").holds(seen), text
        assert bind(text, KEYPOINTS, ZONES, "rule", semantics=BEFORE).holds(seen), text
    settled = bind("not (inside(nose, corner) and speed(nose) > 5)", KEYPOINTS, ZONES, "rule")
    assert settled.holds(track((50.0, 20.0), (NAN, 0.0))), "whatever the speed may be"


def test_its_probability_is_none_either() -> None:
    text = "not mean(speed(nose), 500 ms) > 5 and inside(nose, corner)"
    seen = track((10.0, 20.0))
    assert bind(text, KEYPOINTS, ZONES, "rule").probability(seen) == 0.0
    assert bind(text, KEYPOINTS, ZONES, "rule", semantics=BEFORE).probability(seen) > 0.5


@pytest.mark.parametrize(
    "text",
    [
        "inside(nose, corner)",
        "5 < speed(nose) < 9",
        "x(nose) > x(tail) and speed(nose) > 3",
        "inside(nose, corner) and x(nose) > 10",
        "inside(nose, corner) or heading(tail, nose) > 90 deg",
        "distance(nose, tail) < 5 and inside(tail, corner)",
    ],
)
def test_of_what_is_known_it_is_the_contrary(text: str) -> None:
    seen = track((12.0, 21.0), (3.0, 4.0))
    condition, negated = (bind(t, KEYPOINTS, ZONES, "rule") for t in (text, f"not ({text})"))
    before, twice = (
        bind(f"not ({text})", KEYPOINTS, ZONES, "rule", semantics=BEFORE),
        bind(f"not not ({text})", KEYPOINTS, ZONES, "rule"),
    )
    assert negated.holds(seen) is not condition.holds(seen)
    assert twice.holds(seen) is condition.holds(seen)
    assert negated.probability(seen) == pytest.approx(1.0 - condition.probability(seen), abs=0.01)
    assert before.probability(seen) == 1.0 - condition.probability(seen)
    assert negated.says == before.says == f"it is not so that {condition.says}"
    assert negated.value(seen) == condition.value(seen)


def test_a_name_of_two_things_is_no_place() -> None:
    zones = ZONES | {"tail": Circle(0.0, 0.0, 5.0)}
    with pytest.raises(UserError, match="'tail' is a keypoint of the model and a zone: rename the zone"):
        bind("distance(nose, tail) < 5", KEYPOINTS, zones, "rule")
    assert bind("inside(tail, tail)", KEYPOINTS, zones, "rule").keypoints == (1,)
    before = bind("distance(nose, tail) < 5", KEYPOINTS, zones, "rule", semantics=BEFORE)
    assert before.value(track((14.0, 22.0))) == 0.0
