"""A picture on which zones are drawn and moved with the mouse."""

from __future__ import annotations

import copy

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QGraphicsItem

from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.placed_zones import place_zones
from rt_pose.viewer import style
from rt_pose.viewer.arena import Arena
from rt_pose.viewer.pose_items import scatter
from rt_pose.viewer.zone_edit import Grip, Place, ZoneEditor
from rt_pose.viewer.zones import light, zone_items

CLICKS = {"circle": 2, "box": 2, "line": 2, "point": 1}
"""Clicks that make a shape; a polygon ends with a double click or Enter."""


class ZoneCanvas(Arena):
    """The picture, with the zones of an editor."""

    edited = Signal()
    """A zone has been added, moved or selected."""
    refused = Signal(str)
    """Why a shape could not be made."""

    def __init__(self, editor: ZoneEditor, geometry: Geometry | None) -> None:
        """Show the zones of an editor.

        Parameters
        ----------
        editor
            The zones.
        geometry
            From px of the picture to mm; None where the camera has none.
        """
        super().__init__()
        self.editor = editor
        self._from_px = geometry
        self.shape = ""
        """What is drawn; empty while zones are moved."""
        self._unit = "px"
        self._corners: list[Place] = []
        self._grip: Grip | None = None
        self._start: Place = (0.0, 0.0)
        self._before = ZoneConfig()
        self._drawn: list[QGraphicsItem] = []
        self._handles = scatter(self.view, size=11)
        self.draw()

    def draw(self) -> None:
        """Draw the zones as they are."""
        for item in self._drawn:
            self.view.removeItem(item)
        self._drawn = []
        editor = self.editor
        for name, (zone, outline) in place_zones(editor.zones, self._from_px).items():
            items = zone_items(name, zone, outline)
            if items:
                light(items[0], lit=name == editor.selected)
            for item in items:
                self.view.addItem(item, ignoreBounds=True)
            self._drawn += items
        places = [*self._corners]
        if editor.selected in editor.shown():
            places += editor.handles(editor.selected)
        x, y = [place[0] for place in places], [place[1] for place in places]
        self._handles.setData(x=x, y=y, brush=style.ZONE_LIT, pen="#101318")

    def set_unit(self, unit: str) -> None:
        """Choose the unit in which a new zone is written.

        Parameters
        ----------
        unit
            px or mm.
        """
        self._unit = unit

    def draw_shape(self, shape: str) -> None:
        """Begin to draw a shape, or go back to moving.

        Parameters
        ----------
        shape
            One of the shapes of zones; empty for moving.
        """
        self.shape, self._corners = shape, []
        self.draw()

    def end_polygon(self) -> None:
        """Close the polygon that is drawn."""
        if self.shape == "polygon" and self._corners:
            self._finish()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.mousePressEvent`."""
        if event.button() != Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
            return
        place = self._place(event)
        if self.shape:
            self._add_corner(place)
            return
        self._grip = self.editor.grip_at(*place, self.mouse_radius())
        self.editor.selected = self._grip.zone if self._grip is not None else ""
        if self._grip is not None:
            self._start, self._before = place, copy.deepcopy(self.editor.zones[self._grip.zone])
            self.editor.note()
        self.draw()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.mouseMoveEvent`."""
        if self._grip is None:
            super().mouseMoveEvent(event)
            return
        # From the beginning anew: a corner may be drawn over the one that lies opposite.
        self.editor.zones[self._grip.zone] = copy.deepcopy(self._before)
        self.editor.move(self._grip, self._start, self._place(event))
        self.draw()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.mouseReleaseEvent`."""
        if event.button() != Qt.MouseButton.LeftButton:
            super().mouseReleaseEvent(event)
            return
        grip, self._grip = self._grip, None
        if grip is not None and self.editor.zones[grip.zone] == self._before:
            self.editor.undo()  # it was only selected
            self.editor.selected = grip.zone
        self.edited.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802, ARG002 - Qt's name
        """See `QWidget.mouseDoubleClickEvent`: its first click has placed the last corner."""
        self.end_polygon()

    def describe(self, x: float, y: float) -> str:  # noqa: ARG002
        """See `Arena.describe`; nothing while zones are edited."""
        return ""

    def _place(self, event: QMouseEvent) -> Place:
        at = self.view.mapSceneToView(self.mapToScene(event.position().toPoint()))
        return at.x(), at.y()

    def _add_corner(self, place: Place) -> None:
        self._corners.append(place)
        if len(self._corners) == CLICKS.get(self.shape, 0):
            self._finish()
        else:
            self.draw()

    def _finish(self) -> None:
        shape, corners, problem = self.shape, self._corners, ""
        try:
            self.editor.add(shape, corners, self._unit)
        except UserError as error:
            problem = str(error)
        self.draw_shape("")
        self.edited.emit()
        if problem:
            self.refused.emit(problem)
