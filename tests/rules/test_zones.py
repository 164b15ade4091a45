"""Zones: what is a shape, and how deep inside one a place is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.rules.zones import Box, Circle, Line, Point, Polygon, make_zones

STAR = [[10.0, 0.0], [20.0, 40.0], [-5.0, 15.0], [30.0, 15.0], [0.0, 40.0]]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ({}, "exactly one of circle, box, polygon, line, point, got none"),
        ({"circle": [1.0, 2.0, 3.0], "point": [1.0, 2.0]}, "got circle, point"),
        ({"circle": [1.0, 2.0]}, "expected `circle"),
        ({"circle": [1.0, 2.0, 0.0]}, "radius above 0"),
        ({"circle": [1.0, float("nan"), 3.0]}, "expected `circle"),
        ({"box": [5.0, 0.0, 5.0, 9.0]}, "left < right"),
        ({"box": [5.0, 0.0, 9.0]}, "expected `box"),
        ({"polygon": [[0.0, 0.0], [1.0, 1.0]]}, "at least three corners"),
        ({"polygon": [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]}, "no two neighbours the same"),
        ({"polygon": [[0.0, 0.0], [1.0], [2.0, 1.0]]}, "expected `polygon"),
        ({"line": [[0.0, 0.0], [0.0, 0.0]]}, "two places"),
        ({"line": [[0.0, 0.0]]}, "expected `line"),
        ({"point": [1.0]}, "expected `point"),
    ],
)
def test_what_is_no_zone(zone: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match=r"f.yaml: zones\.z: ") as caught:
        make_zones({"z": ZoneConfig(**zone)}, "f.yaml")  # type: ignore[arg-type]
    assert expected in str(caught.value)


def test_every_shape_is_made() -> None:
    zones = make_zones(
        {
            "a": ZoneConfig(circle=[1.0, 2.0, 3.0], unit="mm"),
            "b": ZoneConfig(box=[0.0, 1.0, 2.0, 3.0]),
            "c": ZoneConfig(polygon=[[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]]),
            "d": ZoneConfig(line=[[0.0, 0.0], [4.0, 0.0]]),
            "e": ZoneConfig(point=[4.0, 0.0]),
        },
        "f",
    )
    assert zones == {
        "a": Circle(1.0, 2.0, 3.0, metric=True),
        "b": Box(0.0, 1.0, 2.0, 3.0),
        "c": Polygon(((0.0, 0.0), (4.0, 0.0), (0.0, 3.0))),
        "d": Line(0.0, 0.0, 4.0, 0.0),
        "e": Point(4.0, 0.0),
    }


def test_depth_in_a_polygon_is_that_of_opencv() -> None:
    corners = np.array([[0, 0], [40, 5], [30, 30], [20, 10], [5, 35]], np.float32)
    polygon = Polygon(tuple((float(x), float(y)) for x, y in corners))
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-10, 50, (2, 500))
    expected = [cv2.pointPolygonTest(corners, (float(a), float(b)), True) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(polygon.depth(x, y), expected, atol=1e-4)


def test_a_polygon_that_crosses_itself_has_a_hole() -> None:
    star = Polygon(tuple((x, y) for x, y in STAR))
    depth = star.depth(np.array([10.0, 10.0]), np.array([5.0, 22.0]))
    assert depth[0] > 0 > depth[1]


def test_depth_in_a_box_and_a_circle() -> None:
    x, y = np.array([5.0, 1.0, -3.0, 13.0]), np.array([5.0, 5.0, 5.0, 14.0])
    np.testing.assert_allclose(Box(0.0, 0.0, 10.0, 10.0).depth(x, y), [5.0, 1.0, -3.0, -5.0])
    np.testing.assert_allclose(Circle(5.0, 5.0, 5.0).depth(x, y)[:3], [5.0, 1.0, -3.0])


def test_the_right_of_a_line_is_as_one_looks_along_it() -> None:
    up = Line(0.0, 10.0, 0.0, 0.0)  # upward on the screen
    assert up.side(np.array([3.0]), np.array([5.0]))[0] == 3.0
    assert up.along(np.array([3.0]), np.array([7.5]))[0] == 0.25
