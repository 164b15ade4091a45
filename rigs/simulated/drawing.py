"""Shapes on a picture, to fractions of a pixel; and the colours of the animal."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rigs.simulated.scenery import SHIFT, fixed
from rt_pose.types import FloatArray

FUR = ((52.0, 44.0, 40.0), (62.0, 53.0, 48.0), (76.0, 66.0, 59.0), (88.0, 77.0, 69.0), (98.0, 86.0, 77.0))
"""From the flank to the back."""
FUR_SHARES = (1.0, 0.82, 0.64, 0.46, 0.26)
"""Of the body's width, that each tone covers."""
SKIN, INNER_EAR, EYE, NOSE = (
    (190.0, 150.0, 140.0),
    (150.0, 112.0, 104.0),
    (12.0, 12.0, 14.0),
    (214.0, 150.0, 148.0),
)
EAR_SHARE = 0.65
"""Of an ear's radius, that is bare."""
EYE_SIZE, NOSE_SIZE, FOOT_SIZE = 0.020, 0.024, 0.042
"""Radii, body lengths."""
TAIL_SIZE = (0.035, 0.009)
"""Half its width at its base and its end, body lengths."""


def polygon(into: NDArray[np.uint8], xy_px: FloatArray, colour: Sequence[float]) -> None:
    """Fill a polygon.

    Parameters
    ----------
    into
        The picture (H, W, C) uint8.
    xy_px
        Its corners (n, 2), px.
    colour
        C values.
    """
    cv2.fillPoly(into, [fixed(xy_px)], colour, cv2.LINE_AA, SHIFT)


def disc(into: NDArray[np.uint8], xy_px: FloatArray, radius_px: float, colour: Sequence[float]) -> None:
    """Fill a circle.

    Parameters
    ----------
    into
        The picture (H, W, C) uint8.
    xy_px
        Its centre (2,), px.
    radius_px
        Its radius.
    colour
        C values.
    """
    radius = max(1, round(radius_px * (1 << SHIFT)))
    cv2.circle(into, fixed(xy_px).tolist(), radius, colour, -1, cv2.LINE_AA, SHIFT)


def thick_line(xy_px: FloatArray, half_width_px: FloatArray) -> FloatArray:
    """Return the outline of a line that has a width.

    Parameters
    ----------
    xy_px
        Points (n, 2) of the line, px.
    half_width_px
        Half its width (n,) there.

    Returns
    -------
    FloatArray
        Corners (2 n, 2), px.
    """
    step = np.gradient(xy_px, axis=0)
    normal = np.stack([step[:, 1], -step[:, 0]], axis=1) / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
    aside = normal * half_width_px[:, None]
    return np.concatenate([xy_px + aside, (xy_px - aside)[::-1]])


def cast_shadow(
    into: NDArray[np.uint8], outline_px: FloatArray, reach: int, buffer: NDArray[np.uint8]
) -> None:
    """Darken the floor below a body.

    Parameters
    ----------
    into
        The picture (H, W, C) uint8.
    outline_px
        Corners (n, 2) of the shadow, px.
    reach
        Over how many pixels it fades.
    buffer
        Of the picture's shape; it is overwritten.
    """
    height, width = into.shape[:2]
    left, top = np.maximum(np.floor(outline_px.min(axis=0)).astype(int) - reach, 0)
    right, bottom = np.ceil(outline_px.max(axis=0)).astype(int) + reach
    right, bottom = min(right, width), min(bottom, height)
    if right <= left or bottom <= top:
        return
    mask, patch = buffer[top:bottom, left:right], into[top:bottom, left:right]
    mask[:] = 255
    polygon(mask, outline_px - (left, top), (140.0,) * into.shape[2])
    cv2.blur(mask, (reach, reach), dst=mask)
    cv2.multiply(patch, mask, dst=patch, scale=1 / 255)
