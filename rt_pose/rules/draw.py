"""Zones, lines and points of a configuration on a frame, with the keypoints where they were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.rules.geometry import Geometry
from rt_pose.rules.zones import Line, Point, Zone

Image = NDArray[np.uint8]
ZONE, LINE, POINT, KEYPOINT = (255, 208, 77), (80, 160, 255), (120, 255, 160), (90, 90, 255)
"""BGR."""
ARROW_PX = 22.0
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass
class RulesPicture:
    """What is drawn."""

    zones: dict[str, Zone]
    geometry: Geometry | None = None
    """For zones in mm."""
    keypoints: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Where they were found, px; the confident ones."""
    caption: Sequence[str] = ()


def draw(frame: Image, picture: RulesPicture) -> Image:
    """Draw zones and keypoints on a frame, at least 480 px wide.

    Parameters
    ----------
    frame
        (H, W, 1 or 3) uint8, gray or RGB.
    picture
        What is drawn.

    Returns
    -------
    Image
        A BGR copy, scaled up by a whole number where it was small, with the caption below.
    """
    image = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR if frame.shape[2] == 1 else cv2.COLOR_RGB2BGR)
    scale = max(1, -(-480 // image.shape[1]))
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    for name, zone in picture.zones.items():
        _zone(image, name, zone, picture.geometry, scale)
    for name, (x, y) in picture.keypoints.items():
        if np.isfinite(x + y):
            at = (round(x * scale), round(y * scale))
            cv2.circle(image, at, 3, KEYPOINT, -1, cv2.LINE_AA)
            _label(image, name, at[0] + 5, at[1] + 4, KEYPOINT)
    return _with_caption(image, picture.caption)


def _zone(image: Image, name: str, zone: Zone, geometry: Geometry | None, scale: int) -> None:
    outline = zone.outline()
    if zone.metric and geometry is not None:
        outline = [geometry.to_px(x, y) for x, y in outline]
    px = np.array(outline) * scale
    if not np.isfinite(px).all():  # the camera does not see all of it
        return
    corners = np.round(px).astype(np.int32)
    if isinstance(zone, Point):
        cv2.drawMarker(image, corners[0].tolist(), POINT, cv2.MARKER_CROSS, 14, 2, cv2.LINE_AA)
        _label(image, name, corners[0][0] + 8, corners[0][1] - 6, POINT)
        return
    if isinstance(zone, Line):
        _line(image, name, px)
        return
    cv2.polylines(image, [corners], True, ZONE, 2, cv2.LINE_AA)
    highest = corners[np.argmin(corners[:, 1])]
    _label(image, name, int(highest[0]) + 4, int(highest[1]) + 16, ZONE)


def _line(image: Image, name: str, px: NDArray[np.float64]) -> None:
    """Draw a line with an arrow and its sides named: the right is to the right as one looks along it."""
    start, stop = px
    cv2.arrowedLine(
        image,
        np.round(start).astype(int).tolist(),
        np.round(stop).astype(int).tolist(),
        LINE,
        2,
        cv2.LINE_AA,
        tipLength=0.06,
    )
    along = (stop - start) / np.hypot(*(stop - start))
    right = np.array([-along[1], along[0]]) * ARROW_PX
    middle = 0.5 * (start + stop)
    for text, place in (("right", middle + right), ("left", middle - right)):
        _label(image, text, int(place[0]) - 14, int(place[1]) + 4, LINE)
    _label(image, name, int(start[0]) + 6, int(start[1]) - 6, LINE)


def _label(image: Image, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    """Text with a dark rim, kept inside the picture."""
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.42, 1)
    at = (int(np.clip(x, 2, image.shape[1] - width - 2)), int(np.clip(y, height + 2, image.shape[0] - 4)))
    cv2.putText(image, text, at, _FONT, 0.42, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, text, at, _FONT, 0.42, colour, 1, cv2.LINE_AA)


def _with_caption(image: Image, lines: Sequence[str]) -> Image:
    """The picture above its lines."""
    width = (image.shape[1] - 12) // 8
    wrapped = [part for line in lines for part in _wrapped(line, max(width, 20))]
    below = np.full((18 * len(wrapped) + 10, image.shape[1], 3), 24, np.uint8) if wrapped else image[:0]
    for i, line in enumerate(wrapped):
        cv2.putText(below, line, (6, 18 * i + 18), _FONT, 0.42, (225, 225, 225), 1, cv2.LINE_AA)
    return np.vstack((image, below))


def _wrapped(line: str, width: int) -> list[str]:
    lines = [""]
    for word in line.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("  ")
        lines[-1] += (" " if lines[-1].strip() else "") + word
    return lines
