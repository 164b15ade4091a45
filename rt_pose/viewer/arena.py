"""The picture: the camera's frame, and over it zones, skeleton, keypoints, covariance and prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPixmap, QTransform
from PySide6.QtWidgets import QGraphicsItem, QGraphicsPixmapItem, QVBoxLayout

from rt_pose.viewer import style
from rt_pose.viewer.messages import FrameHeader, FrameMessage, Meta, PoseMessage
from rt_pose.viewer.view_state import CameraState
from rt_pose.viewer.zones import place_zones, zone_items

CHI2_95 = 5.991
"""95 % of chi-square with 2 degrees of freedom."""
_ANGLES = np.linspace(0.0, 2.0 * np.pi, 33)
UNIT_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)


def ellipses(xy: NDArray[np.float32], cov: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute outlines that hold 95 % of normal distributions, by their Cholesky factors.

    Parameters
    ----------
    xy
        Means, (P, 2) px.
    cov
        Covariances, (P, 3) sxx, sxy, syy, px^2.

    Returns
    -------
    NDArray[np.float64]
        (P, 34, 2), the last point NaN so that one curve draws them all; a distribution that is not one (NaN,
        not positive definite) is all NaN.
    """
    sxx, sxy, syy = np.moveaxis(cov.astype(np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        l11 = np.sqrt(sxx)
        l21 = sxy / l11
        l22 = np.sqrt(syy - l21**2)
    out = np.full((len(xy), len(UNIT_CIRCLE) + 1, 2), np.nan)
    radius = np.sqrt(CHI2_95)
    out[:, :-1, 0] = xy[:, :1] + radius * l11[:, None] * UNIT_CIRCLE[:, 0]
    out[:, :-1, 1] = xy[:, 1:] + radius * (
        l21[:, None] * UNIT_CIRCLE[:, 0] + l22[:, None] * UNIT_CIRCLE[:, 1]
    )
    out[np.isnan(out[:, :-1]).any(axis=(1, 2))] = np.nan
    return out


def decode_image(frame: FrameMessage) -> QImage | None:
    """Decode the published picture.

    Parameters
    ----------
    frame
        The message.

    Returns
    -------
    QImage | None
        The picture; None where its bytes do not agree with its header.
    """
    header = frame.header
    if header.encoding == "jpeg":
        image = QImage.fromData(frame.pixels)
        return None if image.isNull() else image
    formats = {1: QImage.Format.Format_Grayscale8, 3: QImage.Format.Format_RGB888}
    stride = header.width * header.channels
    if (
        header.encoding != "raw"
        or header.channels not in formats
        or len(frame.pixels) != stride * header.height
    ):
        return None
    return QImage(frame.pixels, header.width, header.height, stride, formats[header.channels])


def frame_transform(header: FrameHeader) -> QTransform:
    """Make the transform from the picture's corner coordinates to px of the sensor, in which poses are.

    Parameters
    ----------
    header
        Header of the picture.

    Returns
    -------
    QTransform
        Maps to px of the sensor, where (0, 0) is the centre of its first pixel.
    """
    x, y = header.offset_x - 0.5, header.offset_y - 0.5
    return QTransform(header.scale_x, 0.0, 0.0, header.scale_y, x, y)


class Arena(pg.GraphicsLayoutWidget):
    """The picture of one camera."""

    def __init__(self) -> None:
        super().__init__()
        self.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.notice = style.label("", "notice")
        self.notice.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        over = QVBoxLayout(self)
        over.addWidget(self.notice, alignment=Qt.AlignmentFlag.AlignCenter)
        self.view = self.addViewBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0.0)
        self.picture = QGraphicsPixmapItem()
        self.picture.setTransformationMode(Qt.TransformationMode.SmoothTransformation)
        self.view.addItem(self.picture, ignoreBounds=True)
        self._zones: list[QGraphicsItem] = []
        self._names: list[pg.TextItem] = []
        self.lead = self._curve(pg.mkPen("#ffffff90", width=1))
        self.cov = self._curve(pg.mkPen("#ffffff90", width=1))
        self.bones = self._curve(pg.mkPen("#ffffffc0", width=1.5))
        self.ghost = self._scatter(size=15)
        self.points = self._scatter(size=9)
        self.show_cov = True
        self.show_prediction = True
        self.show_names = False
        self._shown_frame: FrameMessage | None = None
        self._shown_pose: PoseMessage | None = None
        self._shown_part: QRectF | None = None

    def set_meta(self, meta: Meta | None, camera: str) -> None:
        """Lay out zones, names and the size of the camera's frame.

        Parameters
        ----------
        meta
            The session's description; None removes them.
        camera
            Name of the camera.
        """
        for item in (*self._zones, *self._names):
            self.view.removeItem(item)
        self._zones, self._names = [], []
        if meta is None:
            return
        for name, (zone, outline) in place_zones(meta, camera).items():
            self._zones += zone_items(name, zone, outline)
        for item in self._zones:
            self.view.addItem(item, ignoreBounds=True)
        self._names = [self._name(text, i, len(meta.keypoints)) for i, text in enumerate(meta.keypoints)]
        if camera in meta.cameras:
            shown = meta.cameras[camera]
            x, y = shown.offset_xy
            self._fit(QRectF(x - 0.5, y - 0.5, shown.width, shown.height))

    def clear_session(self) -> None:
        """Show nothing, as before the first message."""
        self._shown_frame = self._shown_pose = None
        self._shown_part = None
        self.picture.setPixmap(QPixmap())
        self.set_meta(None, "")
        self._clear_pose()

    def dim(self, stale: bool) -> None:
        """Dim the picture where it can no longer be trusted.

        Parameters
        ----------
        stale
            Whether what is shown is stale.
        """
        self.view.setOpacity(0.35 if stale else 1.0)

    def redraw(self, state: CameraState, meta: Meta | None, force: bool = False) -> None:
        """Show the newest of a camera; without anything new nothing is painted.

        Parameters
        ----------
        state
            What is known of the camera.
        meta
            The session's description, for the skeleton; None where it has not come.
        force
            Whether to paint although nothing is new.
        """
        frame, pose = state.frame, state.shown_pose()
        if frame is not None and frame is not self._shown_frame:
            self._draw_frame(frame)
        if pose is not None and (force or pose is not self._shown_pose):
            self._draw_pose(pose, state.predictions.get(pose.header.frame), meta)
        self._shown_frame, self._shown_pose = frame, pose

    def _draw_frame(self, frame: FrameMessage) -> None:
        image = decode_image(frame)
        if image is None:
            return
        header = frame.header
        self.picture.setPixmap(QPixmap.fromImage(image))
        self.picture.setTransform(frame_transform(header))
        if self._shown_part is None:
            size = header.width * header.scale_x, header.height * header.scale_y
            self._fit(QRectF(header.offset_x - 0.5, header.offset_y - 0.5, *size))

    def _draw_pose(self, pose: PoseMessage, prediction: PoseMessage | None, meta: Meta | None) -> None:
        n, k = pose.lost.shape
        xy = pose.xy.reshape(n * k, 2)
        lost = pose.lost.reshape(n * k)
        seen = np.isfinite(xy[:, 0] + xy[:, 1])
        colors = [style.keypoint_color(i % k, k) for i in range(n * k)]
        self.points.setData(
            pos=xy[seen],
            brush=[pg.mkBrush(None) if lost[i] else pg.mkBrush(colors[i]) for i in np.flatnonzero(seen)],
            pen=[pg.mkPen(colors[i] if lost[i] else "#101318", width=1) for i in np.flatnonzero(seen)],
        )
        alive = seen & ~lost
        self._draw_bones(pose, alive.reshape(n, k), meta.skeleton if meta else [])
        if self.show_cov:
            outline = ellipses(xy[alive], pose.cov.reshape(n * k, 3)[alive]).reshape(-1, 2)
            self.cov.setData(outline[:, 0], outline[:, 1], connect="finite")
        else:
            self.cov.clear()
        self._draw_prediction(xy, alive, prediction if self.show_prediction else None, colors)
        self._place_names(xy, seen)

    def _draw_bones(self, pose: PoseMessage, alive: NDArray[np.bool_], bones: list[tuple[int, int]]) -> None:
        k = alive.shape[1]
        ends = np.array([bone for bone in bones if max(bone) < k], dtype=int).reshape(-1, 2)
        whole = alive[:, ends].all(axis=-1)  # (N, B)
        points = pose.xy[:, ends][whole].reshape(-1, 2)
        self.bones.setData(points[:, 0], points[:, 1], connect="pairs")

    def _draw_prediction(
        self,
        xy: NDArray[np.float32],
        alive: NDArray[np.bool_],
        prediction: PoseMessage | None,
        colors: Sequence[QColor],
    ) -> None:
        if prediction is None or prediction.lost.size != len(alive):
            self.ghost.clear()
            self.lead.clear()
            return
        ahead = prediction.xy.reshape(-1, 2)
        drawn = alive & np.isfinite(ahead).all(axis=-1)
        pens = [pg.mkPen(color, width=2) for color, shown in zip(colors, drawn, strict=True) if shown]
        self.ghost.setData(pos=ahead[drawn], pen=pens, brush=pg.mkBrush(None))
        lead = np.stack([xy[drawn], ahead[drawn]], axis=1).reshape(-1, 2)
        self.lead.setData(lead[:, 0], lead[:, 1], connect="pairs")

    def _place_names(self, xy: NDArray[np.float32], seen: NDArray[np.bool_]) -> None:
        for i, name in enumerate(self._names):
            visible = self.show_names and i < len(xy) and bool(seen[i])
            name.setVisible(visible)
            if visible:
                name.setPos(float(xy[i, 0]), float(xy[i, 1]))

    def _clear_pose(self) -> None:
        for item in (self.points, self.ghost, self.bones, self.lead, self.cov):
            item.clear()

    def _fit(self, part: QRectF) -> None:
        self._shown_part = part
        self.view.setRange(part, padding=0.0)

    def fit(self) -> None:
        """Show the whole frame again, after zooming."""
        if self._shown_part is not None:
            self._fit(self._shown_part)

    def _curve(self, pen: object) -> pg.PlotCurveItem:
        curve = pg.PlotCurveItem(pen=pen, antialias=True)
        self.view.addItem(curve, ignoreBounds=True)
        return curve

    def _scatter(self, size: int) -> pg.ScatterPlotItem:
        scatter = pg.ScatterPlotItem(size=size, pxMode=True, antialias=True)
        self.view.addItem(scatter, ignoreBounds=True)
        return scatter

    def _name(self, text: str, index: int, count: int) -> pg.TextItem:
        color = style.keypoint_color(index, count)
        label = pg.TextItem(text, color=color, anchor=(-0.15, 0.5), fill=style.SHADE)
        label.setVisible(False)
        self.view.addItem(label, ignoreBounds=True)
        return label
