"""Zones over the picture: every shape is drawn, where the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from support.fake_publisher import FakePublisher
from support.qt import QtCore, QtWidgets

from rt_pose.clock import FakeClock
from rt_pose.config.rules import ZoneConfig
from rt_pose.rules.zones import Area, Line, make_zones
from rt_pose.viewer.messages import Meta
from rt_pose.viewer.placement import place_zones
from rt_pose.viewer.subscribe import Subscription
from rt_pose.viewer.window import ViewerWindow
from rt_pose.viewer.zones import zone_items

ZONES = {
    "round": ZoneConfig(circle=[50.0, 60.0, 20.0]),
    "plate": ZoneConfig(box=[10.0, 20.0, 40.0, 30.0]),
    "arm": ZoneConfig(polygon=[[100.0, 10.0], [140.0, 10.0], [140.0, 50.0], [120.0, 20.0]]),
    "gate": ZoneConfig(line=[[10.0, 100.0], [60.0, 100.0]]),
    "spout": ZoneConfig(point=[80.0, 90.0]),
}


def meta(zones: dict[str, ZoneConfig], **geometry: Any) -> Meta:
    return Meta(v=1, session="s", seq=0, t_pub_ns=0, zones=zones, config={"geometry": geometry})


def path_of(items: list[Any]) -> Any:
    assert isinstance(items[0], QtWidgets.QGraphicsPathItem)
    return items[0].path()


def texts(items: list[Any]) -> dict[str, tuple[float, float]]:
    return {item.toPlainText(): (item.pos().x(), item.pos().y()) for item in items[1:]}


@pytest.mark.parametrize("name", ["round", "plate", "arm"])
def test_an_area_is_drawn_where_the_rules_see_it(qt_app: Any, name: str) -> None:
    zone, outline = place_zones(meta(ZONES), "top")[name]
    assert isinstance(zone, Area)
    items = zone_items(name, zone, outline)
    path, rule = path_of(items), make_zones(ZONES, "test")[name]
    assert isinstance(rule, Area)

    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(0.5, 160, 3), np.arange(0.5, 110, 3)))
    depth = rule.depth(x, y)
    clear = np.abs(depth) > 0.2  # the drawn circle has corners
    drawn = np.array([path.contains(QtCore.QPointF(a, b)) for a, b in zip(x, y, strict=True)])
    assert (drawn == (depth > 0))[clear].all()
    assert drawn.any()
    assert list(texts(items)) == [name]


def test_a_line_shows_its_way_and_its_sides(qt_app: Any) -> None:
    zone, outline = place_zones(meta(ZONES), "top")["gate"]
    assert isinstance(zone, Line)
    items = zone_items("gate", zone, outline)
    assert path_of(items).boundingRect().getRect() == (10.0, 95.0, 50.0, 10.0)  # a head of 10 px

    where = texts(items)
    assert set(where) == {"gate", "left", "right"}
    sides = {name: float(zone.side(*np.array(where[name])[:, None])[0]) for name in ("left", "right")}
    assert sides == {"left": -6.0, "right": 6.0}


def test_a_point_is_a_cross(qt_app: Any) -> None:
    zone, outline = place_zones(meta(ZONES), "top")["spout"]
    assert path_of(zone_items("spout", zone, outline)).boundingRect().center() == QtCore.QPointF(80.0, 90.0)


def test_zones_in_mm_lie_where_the_camera_sees_them() -> None:
    zones = {"plate": ZoneConfig(box=[10.0, 20.0, 40.0, 30.0], unit="mm")}
    placed = place_zones(meta(zones, top={"mm_per_px": 0.5}), "top")
    assert placed["plate"][1] == [(20.0, 40.0), (80.0, 40.0), (80.0, 60.0), (20.0, 60.0)]
    assert not place_zones(meta(zones, top={"mm_per_px": 0.5}), "side"), "it has no geometry"


@pytest.mark.parametrize("geometry", [{"mm_per_px": 0.0}, {"mm_per_px": "wide"}, {"homography": [[1]]}])
def test_what_cannot_be_placed_is_left_out(geometry: dict[str, Any]) -> None:
    zones = {"odd": ZoneConfig(), "plate": ZoneConfig(box=[1.0, 2.0, 4.0, 3.0], unit="mm")}
    assert not place_zones(meta(zones, top=geometry), "top")


@pytest.fixture
def window(qt_app: Any, fake: FakePublisher, clock: FakeClock) -> Iterator[ViewerWindow]:
    window = ViewerWindow(Subscription(fake.address), clock)
    window.show()
    yield window
    window.close()


def test_they_come_and_go_with_the_run(
    window: ViewerWindow, fake: FakePublisher, until: Callable[..., None]
) -> None:
    def shown(name: str) -> bool:
        items = window.grid.shown()[0].view.allChildren()
        return any(getattr(item, "toPlainText", str)() == name for item in items)

    until(
        lambda: shown("gate"),
        lambda: (fake.meta(zones={"gate": {"line": [[1, 2], [9, 2]]}}), window.refresh()),
    )
    plate = {"plate": {"box": [1, 2, 4, 3], "unit": "mm"}}
    fake.meta(zones=plate)
    until(lambda: not shown("gate"), window.refresh)
    assert not shown("plate")
    fake.meta(zones=plate, geometry={camera: {"mm_per_px": 0.5} for camera in fake.cameras})
    until(lambda: shown("plate"), window.refresh)
