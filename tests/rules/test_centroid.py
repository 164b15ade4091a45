"""The centroid of keypoints: their mean, with the covariance that follows from theirs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.rules.bind import bind
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.unit_resolver import MetricScale
from rt_pose.rules.zones import Box, Circle, Line, Polygon, Zone
from rt_pose.types import FloatArray, Track

KEYPOINTS = ["nose", "neck", "tail"]
ZONES: dict[str, Zone] = {
    "spot": Circle(4.0, 2.0, 3.0),
    "box": Box(0.0, 0.0, 6.0, 4.0),
    "tent": Polygon(((0.0, 6.0), (4.0, -4.0), (9.0, 6.0))),
    "wall": Line(0.0, -10.0, 20.0, -10.0),
}
DRAWS = 1 << 16
WITHIN = 0.01


def track(spread: float = 0.0) -> Track:
    """A nose, a neck and a tail, with a covariance of their own each."""
    xy = np.array([[[0.0, 0.0], [6.0, 3.0], [6.0, 6.0]]])
    velocity = np.array([[[30.0, 40.0], [0.0, 0.0], [0.0, 20.0]]])
    roots = spread * np.random.default_rng(5).normal(0.0, 1.0, (3, 4, 4))
    cov = (roots @ roots.transpose(0, 2, 1))[None]
    unseen = np.array([[0.0, 25.0, 0.0]])
    return Track("top", 0, 0, xy, velocity, cov, unseen, np.zeros((1, 3), bool))


def draws(of: Track) -> FloatArray:
    """(n, K, 4): keypoints drawn from the track's Gaussians, each independent of the others."""
    rng = np.random.default_rng(7)
    means = np.concatenate([of.xy[0], of.velocity[0]], axis=1)
    return np.stack(
        [rng.multivariate_normal(m, c, DRAWS) for m, c in zip(means, of.cov[0], strict=True)], axis=1
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x(centroid(nose, neck)) > 0", 3.0),
        ("y(centroid(nose, neck)) > 0", 1.5),
        ("x(centroid) > 0", 4.0),
        ("y(centroid) > 0", 3.0),
        ("speed(centroid(nose, neck)) > 0", 25.0),
        ("speed(centroid) > 0", math.hypot(10.0, 20.0)),
        ("direction(centroid(nose, neck)) > 0", math.degrees(math.atan2(20.0, 15.0))),
        ("distance(nose, centroid(neck, tail)) > 0", math.hypot(6.0, 4.5)),
        ("distance(nose, centroid(nose, neck)) > 0", math.hypot(3.0, 1.5)),
        ("distance(centroid(neck, tail), wall) > 0", 14.5),
        ("angle(nose, centroid(neck, tail), tail) > 0", 180.0 - math.degrees(math.atan2(6.0, 4.5))),
        ("heading(nose, centroid(neck, tail)) > 0", math.degrees(math.atan2(4.5, 6.0))),
        ("unseen(centroid(nose, neck)) > 0", 25.0),
        ("unseen(centroid(nose, tail)) > 0", 0.0),
        ("confidence(centroid) > 0", 0.2),
        ("x(centroid(neck)) > 0", 6.0),
    ],
)
def test_it_stands_where_a_keypoint_does(text: str, value: float) -> None:
    evaluator = bind(text, KEYPOINTS, ZONES, "r").evaluator(0)
    evaluator.set_track(track(), np.array([[0.9, 0.2, 1.0]]))
    assert evaluator.value() == pytest.approx(value)


def test_inside_is_asked_of_the_mean() -> None:
    condition = bind("inside(centroid(nose, tail), spot)", KEYPOINTS, ZONES, "r")
    assert condition.holds(track()), "neither of the two is inside, their centroid is"
    assert not bind("inside(nose, spot) or inside(tail, spot)", KEYPOINTS, ZONES, "r").holds(track())


def mean(drawn: FloatArray, *members: int) -> FloatArray:
    return drawn[:, list(members)].mean(axis=1)


def between(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.hypot(a[:, 0] - b[:, 0], a[:, 1] - b[:, 1])


@pytest.mark.parametrize("spread", [0.5, 1.5])
@pytest.mark.parametrize(
    "text",
    [
        "x(centroid(nose, neck)) > 2.5",
        "x(centroid(nose, neck)) - x(nose) > 3.4",
        "speed(centroid) > 22",
        "distance(nose, centroid(nose, neck)) < 3",
        "distance(nose, centroid(neck, tail)) < 7",
        "inside(centroid(nose, tail), spot)",
        "inside(centroid, box)",
        "inside(centroid(nose, tail), tent)",
        "inside(centroid(nose, neck), box) and x(nose) > -0.3",
        "y(centroid(nose, neck)) > 1.4 and y(centroid(neck, tail)) > 4.4",
        "heading(nose, centroid(nose, neck)) > 25 deg",
    ],
)
def test_its_probability_is_that_of_keypoints_drawn_from_their_covariances(text: str, spread: float) -> None:
    of = track(spread)
    drawn = draws(of)
    nose = drawn[:, 0]
    truth = {
        "x(centroid(nose, neck)) > 2.5": lambda: mean(drawn, 0, 1)[:, 0] > 2.5,
        "x(centroid(nose, neck)) - x(nose) > 3.4": lambda: mean(drawn, 0, 1)[:, 0] - nose[:, 0] > 3.4,
        "speed(centroid) > 22": lambda: np.hypot(*mean(drawn, 0, 1, 2)[:, 2:].T) > 22,
        "distance(nose, centroid(nose, neck)) < 3": lambda: between(nose, mean(drawn, 0, 1)) < 3,
        "distance(nose, centroid(neck, tail)) < 7": lambda: between(nose, mean(drawn, 1, 2)) < 7,
        "inside(centroid(nose, tail), spot)": lambda: ZONES["spot"].depth(*mean(drawn, 0, 2)[:, :2].T) >= 0,
        "inside(centroid, box)": lambda: ZONES["box"].depth(*mean(drawn, 0, 1, 2)[:, :2].T) >= 0,
        "inside(centroid(nose, tail), tent)": lambda: ZONES["tent"].depth(*mean(drawn, 0, 2)[:, :2].T) >= 0,
        "inside(centroid(nose, neck), box) and x(nose) > -0.3": lambda: (
            (ZONES["box"].depth(*mean(drawn, 0, 1)[:, :2].T) >= 0) & (nose[:, 0] > -0.3)
        ),
        "y(centroid(nose, neck)) > 1.4 and y(centroid(neck, tail)) > 4.4": lambda: (
            (mean(drawn, 0, 1)[:, 1] > 1.4) & (mean(drawn, 1, 2)[:, 1] > 4.4)
        ),
        "heading(nose, centroid(nose, neck)) > 25 deg": lambda: (
            np.degrees(np.arctan2(*(mean(drawn, 0, 1) - nose)[:, 1::-1].T)) > 25
        ),
    }[text]()
    got = bind(text, KEYPOINTS, ZONES, "r").probability(of)
    assert got == pytest.approx(float(truth.mean()), abs=WITHIN)


def test_in_millimetres_each_keypoint_is_mapped_by_itself() -> None:
    """A tilted plane: the centroid of what is mapped is not what maps the centroid."""
    geometry = Geometry(np.array([[0.5, 0.1, 3.0], [0.0, 0.6, -2.0], [0.02, 0.01, 1.0]]))
    of = track(0.4)
    condition = bind("x(centroid(nose, tail)) > 3.2 mm", KEYPOINTS, ZONES, "r", MetricScale(available=True))
    evaluator = condition.evaluator(0, geometry)
    evaluator.set_track(of)
    mapped = [geometry.to_mm([*of.xy[0, k], *of.velocity[0, k]]) for k in (0, 2)]
    expected = np.mean([state for state, _ in mapped], axis=0)
    assert evaluator.value() == pytest.approx(expected[0])
    variance = (
        sum((to_mm @ of.cov[0, k] @ to_mm.T)[0, 0] for k, (_, to_mm) in zip((0, 2), mapped, strict=True)) / 4
    )
    z = (3.2 - expected[0]) / math.sqrt(variance)
    assert evaluator.probability() == pytest.approx(0.5 * math.erfc(z / math.sqrt(2.0)))


def test_what_is_not_known_of_one_is_not_known_of_all() -> None:
    of = track(0.5)
    of.xy[0, 1] = np.nan
    condition = bind("inside(centroid, tent) and x(nose) > -9", KEYPOINTS, ZONES, "r")
    assert math.isnan(condition.probability(of))
    assert not condition.holds(of)
    assert condition.keypoints == (0, 1, 2)


def test_a_memory_follows_it() -> None:
    condition = bind("crossing(centroid(nose, neck), wall, left)", KEYPOINTS, ZONES, "r")
    evaluator = condition.evaluator(0)
    found = []
    for i, y in enumerate((0.0, -8.0, -12.0)):
        of = track()
        of.xy[0, :, 1] = y
        of.t_valid_ns = i
        evaluator.observe(of)
        evaluator.set_track(of)
        found.append(evaluator.holds())
    assert found == [False, False, True]


def test_a_keypoint_of_that_name_and_a_zone_of_that_name_come_first() -> None:
    of = track()
    assert bind("x(centroid) > 0", ["nose", "centroid", "tail"], ZONES, "r").value(of) == 6.0
    zones: dict[str, Zone] = {"centroid": Circle(0.0, 10.0, 1.0)}
    assert bind("distance(nose, centroid) > 0", KEYPOINTS, zones, "r").value(of) == 9.0
    assert bind("x(centroid) > 0", KEYPOINTS, zones, "r").value(of) == 4.0


def test_it_may_name_camera_and_individual() -> None:
    condition = bind("x(centroid(nose@top, individual0.tail)) > 0", KEYPOINTS, {}, "r", cameras=["top"])
    assert (condition.camera, condition.individual, condition.keypoints) == ("top", 0, (0, 2))
    whole = bind("x(centroid@top) > 0", KEYPOINTS, {}, "r", cameras=["top"])
    assert (whole.camera, whole.keypoints) == ("top", (0, 1, 2))


def test_it_is_said_in_words() -> None:
    text = "speed(centroid(nose, neck, tail)) > 3 and inside(centroid, box)"
    says = bind(text, KEYPOINTS, ZONES, "r").says
    assert says == (
        "the speed of the centroid of nose, neck and tail is above 3 px/s and the centroid of all keypoints "
        "is inside box"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("centroid(nose, tail) > 3", "a centroid stands where a keypoint does"),
        ("inside(centroid(nose, nase), box)", "unknown keypoint 'nase', did you mean 'nose'?"),
        ("x(centroid(nose, nose)) > 1", "the centroid has 'nose' twice"),
        ("x(centroid(nose, box)) > 1", "unknown keypoint 'box'"),
        ("x(centroid(nose, x(tail))) > 1", "expected a keypoint of the centroid, got a number or condition"),
        ("x(centroid(nose, 3)) > 1", "expected a keypoint of the centroid"),
        ("x(centroid()) > 1", "expected a quantity"),
        ("inside(nose, centroid(nose, tail))", "expected a circle, box or polygon"),
        ("x(centroid(nose@top, tail@side)) > 1", "looks at 'top' already"),
    ],
)
def test_what_is_no_centroid_is_named(text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        bind(text, KEYPOINTS, ZONES, "rule 'r'")
    assert expected in str(caught.value)
