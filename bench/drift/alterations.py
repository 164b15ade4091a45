"""What is changed in recordings: the light, the place of the camera, the animal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.offline.innovations import Recorded
from rt_pose.types import FloatArray

Image = NDArray[np.uint8]
Alter = Callable[[Image], Image]


def relit(gain: float = 1.0, gamma: float = 1.0, contrast: float = 1.0) -> Alter:
    """Make what changes the light of frames.

    Parameters
    ----------
    gain
        Factor of the grey levels; what exceeds white is white.
    gamma
        Power that they are raised to first, of their share of white.
    contrast
        Factor of their distance from middle grey, at last.

    Returns
    -------
    Alter
        Frames (H, W, C) to frames of that size.
    """
    levels = gain * np.linspace(0.0, 1.0, 256) ** gamma
    table = np.rint(255.0 * np.clip(0.5 + contrast * (levels - 0.5), 0.0, 1.0)).astype(np.uint8)
    return lambda image: table[image]


def transform(
    size: tuple[int, int], shift_px: float = 0.0, turn_deg: float = 0.0, scale: float = 1.0
) -> FloatArray:
    """Make the map of a camera that was moved.

    Parameters
    ----------
    size
        Width and height of the frames, px.
    shift_px
        To the right and as far down.
    turn_deg
        About the middle of the frame.
    scale
        About the middle of the frame.

    Returns
    -------
    FloatArray
        (2, 3), px to px.
    """
    matrix = cv2.getRotationMatrix2D(((size[0] - 1) / 2, (size[1] - 1) / 2), turn_deg, scale)
    matrix[:, 2] += shift_px
    return np.asarray(matrix, dtype=np.float64)


def moved(shift_px: float = 0.0, turn_deg: float = 0.0, scale: float = 1.0) -> Alter:
    """Make what moves the camera of frames; what it did not see repeats the margin.

    Parameters
    ----------
    shift_px, turn_deg, scale
        As of `transform`.

    Returns
    -------
    Alter
        Frames (H, W, C) to frames of that size.
    """

    def alter(image: Image) -> Image:
        height, width, channels = image.shape
        matrix = transform((width, height), shift_px, turn_deg, scale)
        warped = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return warped.reshape(height, width, channels).astype(np.uint8)

    return alter


LIGHT: dict[str, Alter] = {
    "half the light": relit(gain=0.5),
    "1.6 times the light": relit(gain=1.6),
    "gamma 0.5": relit(gamma=0.5),
    "gamma 2": relit(gamma=2.0),
    "half the contrast": relit(contrast=0.5),
}
MOVES: dict[str, dict[str, float]] = {
    "10 px aside and down": {"shift_px": 10.0},
    "30 px aside and down": {"shift_px": 30.0},
    "turned by 5 degrees": {"turn_deg": 5.0},
    "turned by 15 degrees": {"turn_deg": 15.0},
}
SIZES: dict[str, dict[str, float]] = {
    "1.3 times as large": {"scale": 1.3},
    "0.7 times as large": {"scale": 0.7},
}


def moved_poses(recorded: Recorded, size: tuple[int, int], **move: float) -> Recorded:
    """Move poses as a moved camera would, by a network that finds the same.

    Parameters
    ----------
    recorded
        What a network saw.
    size
        Width and height of the frames, px.
    **move
        As of `transform`.

    Returns
    -------
    Recorded
        The poses where they would be.
    """
    matrix = transform(size, **move)
    return replace(recorded, xy=recorded.xy @ matrix[:, :2].T + matrix[:, 2])
