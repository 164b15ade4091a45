"""Conditions that are judged in space: their values, and what they may not say."""

from __future__ import annotations

import numpy as np
import pytest
from support.space_rig import ZONES, spatial_track

from rt_pose.errors import UserError
from rt_pose.rules.bind import bind
from rt_pose.rules.condition import Condition
from rt_pose.rules.quantities_in_space import IN_SPACE
from rt_pose.rules.space import Space
from rt_pose.rules.zones import make_zones
from rt_pose.rules.zones_in_space import make_zones_in_space

KEYPOINTS = ["nose", "neck", "tail"]
IN = make_zones_in_space(ZONES, "test")
FLAT = make_zones({"corner": ZONES["corner"]}, "test")
PLACES = np.array([[30.0, 40.0, 50.0], [0.0, 0.0, 50.0], [0.0, -20.0, 50.0]])
VELOCITY = np.array([[3.0, 4.0, 12.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def bound(text: str, *, has_up: bool = True) -> Condition:
    return bind(text, KEYPOINTS, IN, "rule 'r'", space=Space("arena", has_up, FLAT))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x(nose) > 0", 30.0),
        ("y(nose) > 0 mm", 40.0),
        ("z(nose) > 0 cm", 5.0),
        ("height(nose) > 60 mm", 50.0),
        ("speed(nose) > 1 cm/s", 1.3),
        ("distance(nose, neck) > 0", 50.0),
        ("distance(nose, spout) > 0", np.hypot(40.0, 40.0)),
        ("distance(nose, ball) > 0", 30.0),
        ("distance(neck, ball) < 1", 0.0),
        ("distance(neck, shelf) < 1", 10.0),
        ("inside(neck, ball)", 20.0),
        ("inside(nose, shelf)", -np.linalg.norm([20.0, 30.0, 10.0])),
        ("approach(nose, neck) < 0", -(3.0 * 30.0 + 4.0 * 40.0) / 50.0),
        ("approach(neck, nose) < 0", -(3.0 * 30.0 + 4.0 * 40.0) / 50.0),
        ("approach(nose, ball) < 0", -(3.0 * 30.0 + 4.0 * 40.0) / 50.0),
        ("angle(nose, neck, tail) > 90 deg", np.degrees(np.arccos(-0.8))),
        ("facing(tail, neck, nose) < 90 deg", np.degrees(np.arccos(0.8))),
        ("z(centroid(nose, neck)) > 0", 50.0),
        ("x(centroid) > 0", 10.0),
        ("confidence(nose) > 0.5", 0.75),
        ("unseen(nose) < 50 ms", 0.0),
    ],
)
def test_values(text: str, expected: float) -> None:
    evaluator = bound(text).evaluator(0)
    evaluator.set_track(spatial_track(PLACES, VELOCITY), np.full((1, 3), 0.75))
    assert evaluator.value() == pytest.approx(expected)


def test_a_mean_over_time_is_one_in_space() -> None:
    evaluator = bound("mean(height(nose), 35 ms) > 55").evaluator(0)
    for i in range(8):
        track = spatial_track(PLACES + np.array([0.0, 0.0, 10.0 * (i % 2)]), t_ns=10_000_000 * i)
        evaluator.observe(track)
        evaluator.set_track(track)
    assert evaluator.value() == pytest.approx(55.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("heading(tail, nose) > 10 deg", f"heading has no meaning in space; there are {', '.join(IN_SPACE)}"),
        ("inside(nose, corner)", "zone 'corner' is a circle of a camera's frame"),
        ("inside(nose, corner)", "here can stand ball, shelf"),
        ("distance(nose, corner) > 1", "here can stand ball, shelf, spout"),
        ("inside(nose, spout)", "expected a sphere, or a box of six numbers, but 'spout' is a point"),
        ("inside(nose, bal)", "unknown zone 'bal', did you mean 'ball'?"),
        ("hight(nose) > 5", "unknown quantity 'hight', did you mean 'height'?"),
        ("height(nose) > 60 px", "px in a rule that is judged in space: write mm, cm or m"),
        ("speed(nose) > 60 mm", "cannot compare mm/s with mm"),
        ("elongation(nose) > 1", "unknown quantity 'elongation'"),
    ],
)
def test_what_has_no_meaning_is_refused_with_what_there_is(text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        bound(text)
    assert expected in str(caught.value)
    assert "^" in str(caught.value)


def test_without_up_there_is_no_height() -> None:
    assert bound("z(nose) > 5", has_up=False).value(spatial_track(PLACES)) == 50.0
    with pytest.raises(UserError, match=r"Add `up: \[x, y, z\]`, .* to views.arena"):
        bound("height(nose) > 5", has_up=False)
    with pytest.raises(UserError) as caught:
        bound("heading(tail, nose) > 5 deg", has_up=False)
    assert "height" not in str(caught.value)


def test_rules_of_frames_are_told_what_is_in_space() -> None:
    def flat(text: str) -> None:
        bind(text, KEYPOINTS, FLAT, "rule 'r'", space=Space(elsewhere=IN))

    with pytest.raises(UserError, match="height has a meaning in space alone: name a group of views"):
        flat("height(nose) > 5")
    with pytest.raises(UserError, match=r"'ball' is a sphere in space, for rules with a `view`; here can st"):
        flat("inside(nose, ball)")
    with pytest.raises(UserError, match=r"zone 'shelf' is a box in space"):
        flat("distance(nose, shelf) > 5")
