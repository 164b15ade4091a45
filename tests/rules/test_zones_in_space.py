"""Zones in space: what is one, and how deep inside one a place is."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.rules.zones_in_space import Cuboid, SpatialPoint, Sphere, is_in_space, make_zones_in_space


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ({"sphere": [0.0, 0.0, 1.0]}, "expected `sphere: [x, y, z, radius]`"),
        ({"sphere": [0.0, 0.0, 0.0, 0.0]}, "radius above 0"),
        ({"sphere": [0.0, float("nan"), 0.0, 1.0]}, "expected `sphere"),
        ({"sphere": [0.0, 0.0, 0.0, 1.0], "circle": [1.0, 1.0, 1.0]}, "got sphere, circle"),
        ({"box": [0.0, 0.0, 5.0, 1.0, 1.0, 5.0]}, "z0 < z1"),
        ({"point": [0.0, float("inf"), 0.0]}, "expected `point: [x, y, z]`"),
    ],
)
def test_what_is_no_zone_in_space(zone: dict[str, list[float]], expected: str) -> None:
    with pytest.raises(UserError, match=r"f.yaml: zones\.z: ") as caught:
        make_zones_in_space({"z": ZoneConfig(**zone, unit="mm")}, "f.yaml")
    assert expected in str(caught.value)


def test_its_unit_is_written() -> None:
    with pytest.raises(UserError, match="write `unit: mm` beside its `sphere`"):
        make_zones_in_space({"z": ZoneConfig(sphere=[0.0, 0.0, 0.0, 1.0])}, "f.yaml")


def test_those_of_frames_are_left_out() -> None:
    zones = {
        "a": ZoneConfig(sphere=[1.0, 2.0, 3.0, 4.0], unit="mm"),
        "b": ZoneConfig(box=[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], unit="mm"),
        "c": ZoneConfig(point=[1.0, 2.0, 3.0], unit="mm"),
        "d": ZoneConfig(box=[0.0, 1.0, 2.0, 3.0]),
        "e": ZoneConfig(point=[1.0, 2.0]),
        "f": ZoneConfig(circle=[1.0, 2.0, 3.0]),
    }
    assert make_zones_in_space(zones, "f") == {
        "a": Sphere((1.0, 2.0, 3.0), 4.0),
        "b": Cuboid((0.0, 1.0, 2.0), (3.0, 4.0, 5.0)),
        "c": SpatialPoint((1.0, 2.0, 3.0)),
    }
    assert [is_in_space(zone) for zone in zones.values()] == [True] * 3 + [False] * 3


def test_depth_is_the_distance_to_the_surface() -> None:
    """Of a box by the nearest of many places on its surface."""
    random = np.random.default_rng(2)
    box = Cuboid((-3.0, -1.0, 0.0), (3.0, 2.0, 4.0))
    surface = random.uniform(box.low, box.high, (200_000, 3))
    side, axis = random.integers(0, 2, len(surface)), random.integers(0, 3, len(surface))
    rows = np.arange(len(surface))
    surface[rows, axis] = np.where(side == 1, np.array(box.high)[axis], np.array(box.low)[axis])
    places = random.uniform(-6.0, 6.0, (40, 3))
    nearest = np.array([np.linalg.norm(surface - place, axis=1).min() for place in places])
    inside = ((places >= box.low) & (places <= box.high)).all(axis=1)
    depth = box.depth((places[:, 0], places[:, 1], places[:, 2]))
    np.testing.assert_allclose(depth, np.where(inside, nearest, -nearest), atol=0.05)
    assert inside.any()
    ball = Sphere((1.0, 0.0, 0.0), 2.0)
    assert ball.depth((np.array([1.0]), np.array([0.0]), np.array([0.5])))[0] == pytest.approx(1.5)
