"""The picture: the camera's frame, and over it zones, poses, and what lies under the mouse."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QBuffer, QRectF, Qt
from PySide6.QtGui import QImage, QImageReader, QPixmap, QTransform
from PySide6.QtWidgets import QGraphicsItem, QGraphicsPixmapItem

from rt_pose.rules.geometry import Geometry
from rt_pose.rules.placed_zones import Corners
from rt_pose.rules.zones import Zone
from rt_pose.viewer.hover import describe_keypoint, describe_zone, nearest_keypoint, zone_under
from rt_pose.viewer.messages import FrameHeader, FrameMessage, Meta, PoseMessage
from rt_pose.viewer.picture_view import PictureView
from rt_pose.viewer.placement import camera_geometry, place_zones
from rt_pose.viewer.pose_items import PoseItems
from rt_pose.viewer.reprojection_items import ReprojectionItems
from rt_pose.viewer.trace import time_of
from rt_pose.viewer.view_state import CameraState
from rt_pose.viewer.zones import light, zone_items


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
        return _decode_jpeg(frame)
    formats = {1: QImage.Format.Format_Grayscale8, 3: QImage.Format.Format_RGB888}
    stride = header.width * header.channels
    if (
        header.encoding != "raw"
        or header.channels not in formats
        or len(frame.pixels) != stride * header.height
    ):
        return None
    return QImage(frame.pixels, header.width, header.height, stride, formats[header.channels])


def _decode_jpeg(frame: FrameMessage) -> QImage | None:
    """By OpenCV, which takes a fifth of the time of Qt's own decoder for a picture in colour."""
    import cv2  # after Qt has begun: some builds of it tell Qt to look for its plug-ins elsewhere

    size = (frame.header.width, frame.header.height)
    buffer = QBuffer()
    buffer.setData(frame.pixels)
    if QImageReader(buffer, b"jpeg").size().toTuple() != size:  # before any memory is taken for its pixels
        return None
    cv2.setNumThreads(1)
    pixels = cv2.imdecode(np.frombuffer(frame.pixels, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        return None
    if pixels.ndim == 2:
        return QImage(pixels.data, *size, pixels.strides[0], QImage.Format.Format_Grayscale8).copy()
    pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA)
    return QImage(pixels.data, *size, pixels.strides[0], QImage.Format.Format_RGB32).copy()


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


class Arena(PictureView):
    """The picture of one camera."""

    def __init__(self, camera: str = "") -> None:
        """Show nothing yet.

        Parameters
        ----------
        camera
            Its name, which stands on the picture; empty for one that stands alone.
        """
        super().__init__(
            camera, pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0.0)
        )
        self.picture = QGraphicsPixmapItem()
        self.picture.setTransformationMode(Qt.TransformationMode.SmoothTransformation)
        self.view.addItem(self.picture, ignoreBounds=True)
        self.pose = PoseItems(self.view)
        self.reprojection = ReprojectionItems(self.view)
        self._placed: dict[str, tuple[Zone, Corners]] = {}
        self._zones: dict[str, list[QGraphicsItem]] = {}
        self.lit: set[str] = set()
        """Zones whose rules have just acted."""
        self._geometry: Geometry | None = None
        self._meta: Meta | None = None
        self._shown_frame: FrameMessage | None = None
        self._shown_pose: PoseMessage | None = None
        self._shown_prediction: PoseMessage | None = None
        """It may come later than its pose."""
        self._shown_part: QRectF | None = None

    @property
    def t_shown_ns(self) -> int | None:
        """Time of the pose that is shown, ns; None for none."""
        return None if self._shown_pose is None else time_of(self._shown_pose)

    def set_meta(self, meta: Meta | None, camera: str) -> None:
        """Lay out zones, names and the size of the camera's frame.

        Parameters
        ----------
        meta
            The session's description; None removes them.
        camera
            Name of the camera.
        """
        for items in self._zones.values():
            for item in items:
                self.view.removeItem(item)
        self._zones, self._placed, self.lit = {}, {}, set()
        self._meta, self._geometry = meta, None
        self.pose.set_names(meta.keypoints if meta is not None else [])
        if meta is None:
            return
        self._geometry = camera_geometry(meta, camera)
        self._placed = place_zones(meta, camera)
        for name, (zone, outline) in self._placed.items():
            self._zones[name] = zone_items(name, zone, outline)
            for item in self._zones[name]:
                self.view.addItem(item, ignoreBounds=True)
        if camera in meta.cameras:
            shown = meta.cameras[camera]
            x, y = shown.offset_xy
            self._fit(QRectF(x - 0.5, y - 0.5, shown.width, shown.height))

    def light(self, zones: set[str]) -> None:
        """Light zones whose rules have just acted.

        Parameters
        ----------
        zones
            Their names; the others go out.
        """
        for name in zones ^ self.lit:
            if self._zones.get(name):
                light(self._zones[name][0], lit=name in zones)
        self.lit = set(zones)

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
        prediction = None if pose is None else state.predictions.get(pose.header.frame)
        if frame is not None and frame is not self._shown_frame:
            self._draw_frame(frame)
        if pose is None:
            self.pose.clear()
        elif force or pose is not self._shown_pose or prediction is not self._shown_prediction:
            self.pose.draw(pose, prediction, meta.skeleton if meta is not None else [])
        self._shown_frame, self._shown_pose, self._shown_prediction = frame, pose, prediction

    def fit(self) -> None:
        """Show the whole frame again, after zooming."""
        if self._shown_part is not None:
            self._fit(self._shown_part)

    def describe(self, x: float, y: float) -> str:
        """Describe what lies at a place.

        Parameters
        ----------
        x, y
            The place, px of the sensor.

        Returns
        -------
        str
            The keypoint there, else the zone; empty for neither.
        """
        reach = self.mouse_radius()
        pose = self._shown_pose
        found = None if pose is None else nearest_keypoint(pose, x, y, reach)
        if pose is not None and found is not None:
            names = self._meta.keypoints if self._meta is not None else []
            return describe_keypoint(pose, *found, names, self._geometry)
        zone = zone_under(self._placed, x, y, reach)
        return describe_zone(zone, self._placed[zone][0]) if zone else ""

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

    def _fit(self, part: QRectF) -> None:
        self._shown_part = part
        self.view.setRange(part, padding=0.0)
