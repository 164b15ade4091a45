"""The picture that is labeled: the frame, its keypoints and skeleton, and what the mouse does on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPixmap, QTransform, QWheelEvent
from PySide6.QtWidgets import QGraphicsPixmapItem

from rt_pose.labeling.animal_points import AnimalPoints
from rt_pose.labeling.frame_labels import FrameLabels, Mark
from rt_pose.labeling.point_colors import point_colors
from rt_pose.types import FloatArray
from rt_pose.viewer import style

GRAB_PX = 10.0
"""So near a keypoint (px of the screen) the mouse takes hold of it."""
DRAG_PX = 3.0
"""A press that moves further than this is a drag."""
ZOOM_STEP = 1.2
SIZE, OTHER_SIZE = 11, 8
"""Of a point, px of the screen; of those of other animals than the current one."""
PREFERRED_PX = 3.0
"""So much nearer (px of the screen) a point of another animal must be to be taken hold of."""
_SOLID = (Mark.PLACED, Mark.HIDDEN)


class LabelCanvas(pg.GraphicsLayoutWidget):
    """One frame. It changes nothing itself: it says what was done with the mouse."""

    clicked = Signal(float, float)
    """At a place, frame px."""
    moved = Signal(int, float, float)
    """A point was dragged to a place, frame px."""
    right_clicked = Signal()
    pressed = Signal()
    """Any button, of the mouse: clicks are counted."""

    def __init__(self, animals: AnimalPoints, skeleton: Sequence[Sequence[str]]) -> None:
        """Make an empty picture.

        Parameters
        ----------
        animals
            The animals and keypoints: P points.
        skeleton
            Pairs of keypoints.
        """
        super().__init__()
        self.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.view = self.addViewBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0.0)
        self.view.setMouseEnabled(False, False)
        self.picture = QGraphicsPixmapItem()
        self.view.addItem(self.picture, ignoreBounds=True)
        self._animals, self._owners = animals, np.array(animals.owners)
        self._bones = animals.bones(skeleton)
        self._colors = point_colors(animals)
        self.bones = [self._bone_curve(i) for i in range(len(animals.groups))]
        """A curve for each animal."""
        self.predicted = pg.ScatterPlotItem(size=SIZE, symbol="x", pxMode=True)
        self.current = pg.ScatterPlotItem(size=2 * SIZE, pxMode=True)
        self.points = pg.ScatterPlotItem(size=SIZE, pxMode=True, antialias=True)
        for item in (*self.bones, self.predicted, self.current, self.points):
            self.view.addItem(item, ignoreBounds=True)
        parts = [part for group in animals.groups for part in group.parts]
        self._names = [self._text(part, self._colors[k], (-0.12, 0.5)) for k, part in enumerate(parts)]
        self.animal_names = self._animal_names()
        """Of each animal, where there are several."""
        self.show_names = True
        self._image: NDArray[np.uint8] | None = None
        self._labels = FrameLabels.empty(len(parts))
        self._cursor = 0
        self._gamma = 1.0
        self._pressed_at: QPointF | None = None
        self._panned_at: QPointF | None = None
        self._grabbed: int | None = None
        self._dragging = False

    # ---- what is shown ----

    def show_image(self, image: NDArray[np.uint8] | None) -> None:
        """Show a frame; the zoom stays where its size does.

        Parameters
        ----------
        image
            (H, W, C), C 1 or 3 (RGB); None for one that cannot be read.
        """
        before = None if self._image is None else self._image.shape[:2]
        self._image = image
        self._paint()
        if image is not None and image.shape[:2] != before:
            self.fit()

    def set_brightness(self, brightness: float) -> None:
        """Show the frame brighter or darker; what is written of it does not change.

        Parameters
        ----------
        brightness
            0 for the image as it is; 1 brightens the dark half of its levels twofold.
        """
        self._gamma = 2.0**-brightness
        self._paint()

    def show_labels(self, labels: FrameLabels, cursor: int, predicted: FloatArray | None) -> None:
        """Show labels.

        Parameters
        ----------
        labels
            Of the frame.
        cursor
            The current point.
        predicted
            (P, 2) frame px, what a network found; None for nothing.
        """
        self._labels, self._cursor = labels, cursor
        self._draw(labels)
        if predicted is None:
            self.predicted.clear()
            return
        seen = np.flatnonzero(np.isfinite(predicted).all(axis=-1))
        pens = [pg.mkPen(self._colors[k], width=2) for k in seen]
        self.predicted.setData(
            pos=predicted[seen], pen=pens, brush=[pg.mkBrush(self._colors[k]) for k in seen]
        )

    def fit(self) -> None:
        """Show the whole frame."""
        if self._image is not None:
            height, width = self._image.shape[:2]
            self.view.setRange(QRectF(-0.5, -0.5, width, height), padding=0.0)

    def zoom(self, factor: float, centre: QPointF | None = None) -> None:
        """Zoom about a place.

        Parameters
        ----------
        factor
            More than 1 magnifies.
        centre
            Frame px; None for the middle of what is shown.
        """
        self.view.scaleBy((1 / factor, 1 / factor), centre or self.view.viewRect().center())

    def pan(self, dx: float, dy: float) -> None:
        """Move what is shown.

        Parameters
        ----------
        dx, dy
            Shares of what is shown.
        """
        part = self.view.viewRect()
        self.view.translateBy(x=dx * part.width(), y=dy * part.height())

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of what is shown, frame px."""
        centre = self.view.viewRect().center()
        return centre.x(), centre.y()

    def screen_point(self, x: float, y: float) -> QPointF:
        """Return where a place is shown.

        Parameters
        ----------
        x, y
            Frame px.

        Returns
        -------
        QPointF
            Px of this widget.
        """
        return self.viewportTransform().map(self.view.mapViewToScene(QPointF(x, y)))

    def _paint(self) -> None:
        if self._image is None:
            self.picture.setPixmap(QPixmap())
            return
        levels = (255.0 * (np.arange(256) / 255.0) ** self._gamma).round().astype(np.uint8)
        shown = np.ascontiguousarray(levels[self._image])
        height, width = shown.shape[:2]
        kind = QImage.Format.Format_Grayscale8 if shown.shape[2] == 1 else QImage.Format.Format_RGB888
        self.picture.setPixmap(QPixmap.fromImage(QImage(shown.data, width, height, shown.strides[0], kind)))
        self.picture.setTransform(QTransform.fromTranslate(-0.5, -0.5))  # (0, 0) is the centre of a pixel

    def _draw(self, labels: FrameLabels) -> None:
        seen = np.flatnonzero(np.isfinite(labels.xy).all(axis=-1))
        solid = [Mark(int(labels.marks[k])) in _SOLID for k in seen]
        own = self._owners[seen] == self._owners[self._cursor]
        self.points.setData(
            pos=labels.xy[seen],
            size=np.where(own, SIZE, OTHER_SIZE),
            brush=[
                pg.mkBrush(self._colors[k]) if full else pg.mkBrush(None)
                for k, full in zip(seen, solid, strict=True)
            ],
            pen=[
                pg.mkPen("#101318" if full else self._colors[k], width=1 if full else 2)
                for k, full in zip(seen, solid, strict=True)
            ],
            symbol=["s" if labels.marks[k] == Mark.HIDDEN else "o" for k in seen],
        )
        here = labels.xy[self._cursor : self._cursor + 1]
        self.current.setData(
            pos=here[np.isfinite(here).all(axis=-1)], brush=pg.mkBrush(None), pen=pg.mkPen("w", width=1)
        )
        for curve, bones in zip(self.bones, self._bones, strict=True):
            ends = labels.xy[np.array(bones, int).reshape(-1, 2)]
            whole = ends[np.isfinite(ends).all(axis=(1, 2))].reshape(-1, 2)
            curve.setData(whole[:, 0], whole[:, 1], connect="pairs")
        self._place_names(labels, seen[own])

    def _place_names(self, labels: FrameLabels, named: NDArray[np.intp]) -> None:
        """The keypoints of the current animal have their names, every animal has its own above it."""
        shown = set(named.tolist()) if self.show_names else set()
        for k, name in enumerate(self._names):
            name.setVisible(k in shown)
            if k in shown:
                name.setPos(*labels.xy[k].tolist())
        for name, group in zip(self.animal_names, self._animals.groups, strict=False):
            xy = labels.xy[group.points]
            xy = xy[np.isfinite(xy).all(axis=-1)]
            name.setVisible(self.show_names and len(xy) > 0)
            if len(xy):
                name.setPos(float(xy[:, 0].mean()), float(xy[:, 1].min()))

    def _animal_names(self) -> list[pg.TextItem]:
        groups = [group for group in self._animals.groups if group.is_animal and self._animals.several]
        return [self._text(g.name, self._colors[g.points.start], (0.5, 1.4)) for g in groups]

    def _bone_curve(self, animal: int) -> pg.PlotCurveItem:
        color = QColor("#ffffff")
        if self._animals.several:
            color = QColor(self._colors[self._animals.groups[animal].points.start])
        color.setAlpha(0xC0)
        return pg.PlotCurveItem(pen=pg.mkPen(color, width=1.5), antialias=True)

    def _text(self, text: str, color: QColor, anchor: tuple[float, float]) -> pg.TextItem:
        name = pg.TextItem(text, color=color, anchor=anchor, fill=style.SHADE)
        name.setVisible(False)
        self.view.addItem(name, ignoreBounds=True)
        return name

    # ---- the mouse ----

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.mousePressEvent`."""
        self.pressed.emit()
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed_at, self._dragging = event.position(), False
            self._grabbed = self._nearest(event.position())
        else:
            self._panned_at, self._pressed_at, self._dragging = event.position(), event.position(), False

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.mouseDoubleClickEvent`. Two keypoints close by are two clicks."""
        self.mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.mouseMoveEvent`."""
        at = event.position()
        if self._pressed_at is not None and (at - self._pressed_at).manhattanLength() > DRAG_PX:
            self._dragging = True
        if not self._dragging:
            return
        if self._panned_at is not None:
            step = self._place(self._panned_at) - self._place(at)
            self.view.translateBy(x=step.x(), y=step.y())
            self._panned_at = at
        elif self._grabbed is not None:
            place = self._inside(at)
            if place is not None:
                self._draw(self._labels.with_keypoint(self._grabbed, Mark.PLACED, place))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.mouseReleaseEvent`."""
        if self._panned_at is not None:
            if not self._dragging and event.button() == Qt.MouseButton.RightButton:
                self.right_clicked.emit()
        elif self._pressed_at is not None:
            place = self._inside(event.position())
            if place is None:
                self._draw(self._labels)
            elif self._grabbed is not None and self._dragging:
                self.moved.emit(self._grabbed, *place)
            else:
                self.clicked.emit(*place)
        self._pressed_at = self._panned_at = self._grabbed = None
        self._dragging = False

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.wheelEvent`. Zooms about the pointer."""
        self.zoom(ZOOM_STEP ** (event.angleDelta().y() / 120), self._place(event.position()))
        event.accept()

    def _place(self, at: QPointF) -> QPointF:
        """Frame px of a place in this widget."""
        inverse, _ = self.viewportTransform().inverted()
        return self.view.mapSceneToView(inverse.map(at))

    def _inside(self, at: QPointF) -> tuple[float, float] | None:
        """Frame px of a place in this widget; None beside the frame."""
        if self._image is None:
            return None
        place = self._place(at)
        height, width = self._image.shape[:2]
        if not (-0.5 <= place.x() <= width - 0.5 and -0.5 <= place.y() <= height - 0.5):
            return None
        return min(max(place.x(), 0.0), width - 1.0), min(max(place.y(), 0.0), height - 1.0)

    def _nearest(self, at: QPointF) -> int | None:
        """The point that the mouse takes hold of; of two as near that of the current animal."""
        place = self._place(at)
        across, _ = self.view.viewPixelSize()
        far = np.hypot(*(self._labels.xy - [place.x(), place.y()]).T) / across
        far = np.where(np.isfinite(far), far, np.inf)
        k = int(np.argmin(far + PREFERRED_PX * (self._owners != self._owners[self._cursor])))
        return k if far[k] <= GRAB_PX else None
