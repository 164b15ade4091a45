"""Zones over the picture: areas, lines with their two sides, and points, where the camera sees them."""

from __future__ import annotations

import math

import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QPainterPath, QPolygonF
from PySide6.QtWidgets import QGraphicsItem, QGraphicsPathItem

from rt_pose.rules.placed_zones import Corners, arrow_head
from rt_pose.rules.zones import Line, Point, Zone
from rt_pose.viewer import style

POINT_PX = 7.0
"""Half of the cross that stands for a point, frame px."""
SIDE_PX = 6.0
"""How far from a line the names of its sides stand."""
_FILLED = 0
"""Key of an item's data: whether it is an area."""


def zone_items(name: str, zone: Zone, outline: Corners) -> list[QGraphicsItem]:
    """Make what is drawn of a zone.

    Parameters
    ----------
    name
        Its name.
    zone
        The zone.
    outline
        Its outline in px of the camera's full frame.

    Returns
    -------
    list[QGraphicsItem]
        Its shape first, then its texts.
    """
    if isinstance(zone, Point):
        return [_shape(_cross(*outline[0])), _text(name, *outline[0], anchor=(-0.2, 1.0))]
    if isinstance(zone, Line):
        return _line_items(name, *outline)
    path = QPainterPath()
    path.addPolygon(QPolygonF([QPointF(x, y) for x, y in outline]))
    path.closeSubpath()
    top = min(outline, key=lambda corner: corner[1])
    return [_shape(path, filled=True), _text(name, *top, anchor=(0.5, 1.0))]


def light(shape: QGraphicsItem, *, lit: bool) -> None:
    """Light a zone, or let it go out.

    Parameters
    ----------
    shape
        The first of its items.
    lit
        Whether it is lit.
    """
    if not isinstance(shape, QGraphicsPathItem):
        return
    filled = bool(shape.data(_FILLED))
    line = Qt.PenStyle.DashLine if filled else Qt.PenStyle.SolidLine
    color, width = (style.ZONE_LIT, 3.0) if lit else (style.ZONE, 1.5)
    shape.setPen(pg.mkPen(color, width=width, style=line))
    if filled:
        shape.setBrush(pg.mkBrush(style.ZONE_LIT_FILL if lit else style.ZONE_FILL))


def _line_items(name: str, start: tuple[float, float], stop: tuple[float, float]) -> list[QGraphicsItem]:
    """Make a line with a head, and its sides named: the right is to the right as one looks along it."""
    (x1, y1), (x2, y2) = start, stop
    length = math.hypot(x2 - x1, y2 - y1)
    if length == 0.0:
        return []
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    path = QPainterPath(QPointF(x1, y1))
    path.lineTo(x2, y2)
    for end in arrow_head(start, stop):
        path.moveTo(x2, y2)
        path.lineTo(*end)
    mx, my = 0.5 * (x1 + x2), 0.5 * (y1 + y2)
    sides = []
    for text, side in (("right", 1.0), ("left", -1.0)):
        nx, ny = -side * uy, side * ux
        # Each text lies beyond its place as seen from the line, so that the two never meet.
        anchor = (0.5 * (1.0 - nx), 0.5 * (1.0 - ny))
        sides.append(_text(text, mx + SIDE_PX * nx, my + SIDE_PX * ny, anchor))
    return [_shape(path), _text(name, x1, y1, anchor=(0.5, 1.0)), *sides]


def _cross(x: float, y: float) -> QPainterPath:
    path = QPainterPath(QPointF(x - POINT_PX, y))
    path.lineTo(x + POINT_PX, y)
    path.moveTo(x, y - POINT_PX)
    path.lineTo(x, y + POINT_PX)
    return path


def _shape(path: QPainterPath, *, filled: bool = False) -> QGraphicsPathItem:
    item = QGraphicsPathItem(path)
    item.setData(_FILLED, filled)
    light(item, lit=False)
    return item


def _text(text: str, x: float, y: float, anchor: tuple[float, float]) -> QGraphicsItem:
    label = pg.TextItem(text, color=style.ZONE, anchor=anchor, fill=style.SHADE)
    label.setPos(x, y)
    item: QGraphicsItem = label
    return item
