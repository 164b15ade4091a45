"""Conditions bound to keypoints and zones."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.rules.bind import bind
from rt_pose.rules.zones import Circle, Zone
from rt_pose.types import Track

KEYPOINTS = ["nose", "tail_base"]
ZONES: dict[str, Zone] = {"corner": Circle(10.0, 20.0, 5.0)}


def track(nose: tuple[float, float], nose_velocity: tuple[float, float] = (0.0, 0.0)) -> Track:
    xy = np.array([[nose, (100.0, 100.0)]])
    velocity = np.array([[nose_velocity, (0.0, 0.0)]])
    return Track("cam", 0, 0, xy, velocity, np.zeros((1, 2, 4, 4)), np.zeros((1, 2)), np.zeros((1, 2), bool))


@pytest.mark.parametrize(
    ("text", "nose", "velocity", "expected"),
    [
        ("inside(nose, corner)", (13, 24), (0, 0), True),
        ("inside(nose, corner)", (13.1, 24), (0, 0), False),
        ("not inside(nose, corner)", (13.1, 24), (0, 0), True),
        ("speed(nose) > 5", (0, 0), (3, 4), False),
        ("speed(nose) >= 5", (0, 0), (3, 4), True),
        ("speed(nose) < 5.1", (0, 0), (3, 4), True),
        ("inside(nose, corner) and speed(nose) > 4", (10, 20), (3, 4), True),
        ("inside(nose, corner) and speed(nose) > 6", (10, 20), (3, 4), False),
        ("inside(nose, corner) or speed(nose) > 4", (50, 50), (3, 4), True),
        ("inside(nose, corner)", (np.nan, np.nan), (0, 0), False),
        ("speed(nose) < 5", (0, 0), (np.nan, 0), False),
    ],
)
def test_conditions(
    text: str, nose: tuple[float, float], velocity: tuple[float, float], expected: bool
) -> None:
    condition = bind(text, KEYPOINTS, ZONES, "rule 'r'")
    assert condition.holds(track(nose, velocity), 0) is expected


def test_value_is_that_of_the_first_quantity_and_keypoints_are_all_that_is_looked_at() -> None:
    condition = bind("speed(nose) > 1 or inside(tail_base, corner)", KEYPOINTS, ZONES, "r")
    assert condition.value(track((0, 0), (3, 4)), 0) == 5.0
    assert condition.keypoints == (0, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("speed(noze) > 2", "unknown keypoint 'noze', did you mean 'nose'?"),
        ("inside(nose, corners)", "unknown zone 'corners', did you mean 'corner'?"),
        ("sped(nose) > 2", "unknown quantity 'sped', did you mean 'speed'?"),
        ("__import__('os') > 2", "unknown quantity '__import__'"),
        ("speed(nose)", "number in px/s: compare it"),
        ("inside(nose, corner) > 2", "true or false"),
        ("inside(nose)", "takes (keypoint, zone), got 1"),
    ],
)
def test_wrong_names_are_errors_with_the_nearest_name(text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        bind(text, KEYPOINTS, ZONES, "rule 'r'")
    assert expected in str(caught.value)
    assert "^" in str(caught.value)
