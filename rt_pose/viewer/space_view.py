"""The pane of space: the animals, the floor and the cameras, in a projection that the mouse turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor

from rt_pose.rules.zones_in_space import SpatialZone
from rt_pose.types import FloatArray
from rt_pose.viewer import style
from rt_pose.viewer.group_state import Group, GroupState, describe_in_space, flatten
from rt_pose.viewer.hover import nearest_keypoint
from rt_pose.viewer.messages import Meta, Pose3DMessage, PoseMessage
from rt_pose.viewer.orthographic import Projection, Surroundings, axis_lines, camera_lines
from rt_pose.viewer.picture_view import PictureView
from rt_pose.viewer.pose_items import PoseItems
from rt_pose.viewer.space_zones import zone_lines, zones_in_space

RAD_PER_PX = 0.008
"""By how much a px of the mouse turns."""
SHOWN = 1.15
"""Half the width of what is shown, of the radius of the floor."""
AXES = ("x", "y", "z")
AXIS_COLORS = ("#fb6a6a", "#4ade80", "#60a5fa")
AXIS_SHARE = 0.3
"""Length of an axis, of the radius of the floor."""


class TurningBox(pg.ViewBox):
    """A view that the left button turns; the wheel and the right button zoom as in any."""

    turned = Signal(float, float)
    """By how many px of the screen the mouse was dragged, to the right and down."""

    def mouseDragEvent(self, event: object, axis: int | None = None) -> None:  # noqa: N802 - pyqtgraph's name
        """See `ViewBox.mouseDragEvent`."""
        if event.button() != Qt.MouseButton.LeftButton:  # type: ignore[attr-defined]
            super().mouseDragEvent(event, axis)
            return
        event.accept()  # type: ignore[attr-defined]
        way = event.pos() - event.lastPos()  # type: ignore[attr-defined]
        self.turned.emit(float(way.x()), float(way.y()))


class SpaceView(PictureView):
    """The pane of one group of cameras."""

    def __init__(self, name: str = "") -> None:
        """Show nothing yet.

        Parameters
        ----------
        name
            Name of the group, which stands on the pane.
        """
        box = TurningBox(lockAspect=True, enableMenu=False, defaultPadding=0.0)
        super().__init__(name, box)
        box.turned.connect(self.turn)
        self.projection = Projection()
        self._surroundings = Surroundings(np.zeros(3), 100.0, 0.0)
        self._group: Group | None = None
        self._keypoints: list[str] = []
        self._skeleton: Sequence[tuple[int, int]] = []
        self._floor, self._cameras = self._lines("#ffffff28"), self._lines("#ffffff70")
        self._axes = [self._lines(color) for color in AXIS_COLORS]
        self._shadow = self._lines("#ffffff40", width=3)
        self._texts: list[tuple[pg.TextItem, FloatArray]] = []
        """What stands in space, and where."""
        self._zones: dict[str, tuple[SpatialZone, pg.PlotCurveItem]] = {}
        self.lit: set[str] = set()
        """Zones whose rules have just acted."""
        self.pose = PoseItems(self.view)
        self._shown: Pose3DMessage | None = None
        self._shown_prediction: Pose3DMessage | None = None
        self._flat: PoseMessage | None = None

    def set_group(self, meta: Meta, group: Group) -> None:
        """Lay out the surroundings.

        Parameters
        ----------
        meta
            The session's description.
        group
            The group.
        """
        self._group, self._surroundings = group, group.surroundings
        self._keypoints, self._skeleton = meta.keypoints, meta.skeleton
        self.projection = Projection(upright=group.upright)
        self.pose.set_names(meta.keypoints)
        for item in (*(text for text, _ in self._texts), *(curve for _, curve in self._zones.values())):
            self.view.removeItem(item)
        found = zones_in_space(meta.zones)
        self._zones = {name: (zone, self._lines(style.ZONE)) for name, zone in found.items()}
        self.lit = set()
        around = self._surroundings
        named: list[tuple[str, FloatArray, str]]
        named = [(camera.name, camera.position, style.ON_SHADE) for camera in group.cameras.values()]
        ends = axis_lines(around.middle, AXIS_SHARE * around.radius)[:, 1]
        named += list(zip(AXES, ends, AXIS_COLORS, strict=True))
        named += [(name, np.array(zone.centre), style.ZONE) for name, zone in found.items()]
        self._texts = [(self._text(text, color), place) for text, place, color in named]
        self.fit()

    def light(self, zones: set[str]) -> None:
        """Light zones whose rules have just acted.

        Parameters
        ----------
        zones
            Their names; the others go out.
        """
        for name in zones ^ self.lit:
            if name in self._zones:
                lit = name in zones
                color, width = (style.ZONE_LIT, 3) if lit else (style.ZONE, 1)
                self._zones[name][1].setPen(pg.mkPen(color, width=width))
        self.lit = set(zones)

    def redraw(self, state: GroupState, force: bool = False) -> None:
        """Show the newest of the group; without anything new nothing is painted.

        Parameters
        ----------
        state
            What is known of it.
        force
            Whether to paint although nothing is new.
        """
        if not force and state.pose is self._shown and state.prediction is self._shown_prediction:
            return
        self._shown, self._shown_prediction = state.pose, state.prediction
        self._draw_pose()

    def restyle(self) -> None:
        """See `PictureView.restyle`: what lies on it stays bright, so it stays dark."""
        self.setBackground(style.DARK.background)

    @property
    def scale_text(self) -> str:
        """How large the squares of the floor are."""
        unit = self._group.info.unit if self._group is not None else ""
        return f"squares of {self._surroundings.cell:g} {unit}"

    def turn(self, right_px: float, down_px: float) -> None:
        """Turn what is seen as the mouse drags it.

        Parameters
        ----------
        right_px, down_px
            By how much, px of the screen.
        """
        self.projection = self.projection.turned(-RAD_PER_PX * right_px, RAD_PER_PX * down_px)
        self._draw_surroundings()
        self._draw_pose()

    def fit(self) -> None:
        """See `PictureView.fit`; the direction is as at first, too."""
        self.projection = Projection(upright=self.projection.upright)
        half = SHOWN * self._surroundings.radius
        x, y = self.projection.project(self._surroundings.middle).tolist()
        self.view.setRange(QRectF(x - half, y - half, 2 * half, 2 * half), padding=0.0)
        self._draw_surroundings()
        self._draw_pose()

    def describe(self, x: float, y: float) -> str:
        """Describe what lies at a place of the pane.

        Parameters
        ----------
        x, y
            The place.

        Returns
        -------
        str
            The keypoint there; empty for none.
        """
        if self._flat is None or self._shown is None or self._group is None:
            return ""
        found = nearest_keypoint(self._flat, x, y, self.mouse_radius())
        if found is None:
            return ""
        return describe_in_space(self._shown, *found, self._keypoints, self._group.info.unit)

    def _draw_surroundings(self) -> None:
        if self._group is None:
            return
        around, project = self._surroundings, self.projection.project
        _set(self._floor, project(around.grid(self.projection)))
        lines = [camera_lines(camera, around.middle) for camera in self._group.cameras.values()]
        _set(self._cameras, project(np.concatenate(lines)) if lines else np.empty((0, 2)))
        for curve, ends in zip(
            self._axes, axis_lines(around.middle, AXIS_SHARE * around.radius), strict=True
        ):
            _set(curve, project(ends))
        for zone, curve in self._zones.values():
            _set(curve, zone_lines(zone, self.projection, around.radius))
        for item, place in self._texts:
            item.setPos(*project(place).tolist())

    def _draw_pose(self) -> None:
        if self._shown is None:
            self._flat = None
            self.pose.clear()
            self._shadow.clear()
            return
        self._flat = flatten(self._shown, self.projection)
        ahead = self._shown_prediction
        self.pose.draw(self._flat, None if ahead is None else flatten(ahead, self.projection), self._skeleton)
        self._draw_shadow(self._shown)

    def _draw_shadow(self, pose: Pose3DMessage) -> None:
        """The bones on the floor: how high they are is seen by it."""
        alive = ~pose.lost & np.isfinite(pose.xyz).all(axis=-1)
        n, k = pose.header.shape[:2]
        bones = np.array([bone for bone in self._skeleton if max(bone) < k], int).reshape(-1, 2)
        ends = (k * np.arange(n)[:, None, None] + bones).reshape(-1, 2)  # of each animal
        xyz = pose.xyz[ends[alive[ends].all(axis=-1)]].reshape(-1, 3).astype(np.float64)
        dropped = self._surroundings.on_floor(xyz, self.projection.axes[2])
        _set(self._shadow, self.projection.project(dropped))

    def _lines(self, color: str, width: int = 1) -> pg.PlotCurveItem:
        curve = pg.PlotCurveItem(pen=pg.mkPen(color, width=width), antialias=True)
        self.view.addItem(curve, ignoreBounds=True)
        return curve

    def _text(self, text: str, color: str) -> pg.TextItem:
        item = pg.TextItem(text, color=QColor(color), anchor=(0.5, 0.5), fill=style.SHADE)
        self.view.addItem(item, ignoreBounds=True)
        return item


def _set(curve: pg.PlotCurveItem, xy: FloatArray) -> None:
    curve.setData(xy[:, 0], xy[:, 1], connect="pairs")
