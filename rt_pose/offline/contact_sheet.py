"""A picture of a video's worst frames, side by side, with what was found in them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import FloatArray

Image = NDArray[np.uint8]

TILE = (320, 240)
"""(width, height) px of a frame."""
CAPTION_PX, COLUMNS = 20, 4
CROP_MARGIN, LEAST_CROP = 1.5, 0.35
"""A frame is shown 1.5 times as large as what its seen keypoints span, and not below 35 % of its size."""
JPEG_QUALITY = 85
_FONT, _WHITE, _SUBPIXEL = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255), 4


def write_contact_sheet(
    path: Path,
    images: Sequence[Image],
    poses: Sequence[FloatArray],
    seen: Sequence[NDArray[np.bool_]],
    captions: Sequence[str],
    bones: Sequence[tuple[int, int]],
) -> None:
    """Draw frames with their keypoints into one JPEG, which appears when it is whole.

    Parameters
    ----------
    path
        The file.
    images
        (H, W, 3) RGB each.
    poses
        (K, 2) px of each.
    seen
        (K,) keypoints that count as seen: discs; the others are small rings.
    captions
        A line for each.
    bones
        Pairs of keypoints.

    Raises
    ------
    UserError
        Where the file cannot be written.
    """
    tiles = [_tile(*frame, bones) for frame in zip(images, poses, seen, captions, strict=True)]
    blank = np.zeros_like(tiles[0])
    columns = min(COLUMNS, len(tiles))
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    sheet = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(encoded.tobytes())
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; choose another `--out`") from error
    finally:
        part.unlink(missing_ok=True)


def _tile(
    image: Image, xy: FloatArray, seen: NDArray[np.bool_], caption: str, bones: Sequence[tuple[int, int]]
) -> Image:
    """(TILE height + CAPTION_PX, TILE width, 3): the part of a frame around what was seen."""
    left, top, width, height = _crop(image, xy[seen])
    scale = min(TILE[0] / width, TILE[1] / height)
    part = np.ascontiguousarray(image[top : top + height, left : left + width])
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    shown = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR)
    # Pixel centres are whole numbers before and after.
    _draw(shown, (xy - (left, top) + 0.5) * scale - 0.5, seen, bones)
    tile = np.zeros((TILE[1] + CAPTION_PX, TILE[0], 3), np.uint8)
    x, y = (TILE[0] - size[0]) // 2, (TILE[1] - size[1]) // 2
    tile[y : y + size[1], x : x + size[0]] = shown
    text = caption.encode("ascii", "replace").decode()  # OpenCV's font has no other letters
    cv2.putText(tile, text, (4, TILE[1] + 14), _FONT, 0.4, _WHITE, 1, cv2.LINE_AA)
    return tile


def _crop(image: Image, xy: FloatArray) -> tuple[int, int, int, int]:
    """Left, top, width and height, px, of the frame's shape; the whole frame where nothing was seen."""
    size = np.array([image.shape[1], image.shape[0]], np.float64)
    if not len(xy):
        return 0, 0, int(size[0]), int(size[1])
    low, high = np.clip(xy.min(axis=0), 0.0, size - 1.0), np.clip(xy.max(axis=0), 0.0, size - 1.0)
    share = float(np.clip(CROP_MARGIN * ((high - low) / size).max(), LEAST_CROP, 1.0))
    extent = np.maximum(np.rint(size * share), 1.0)
    corner = np.rint(np.clip((low + high) / 2.0 - extent / 2.0, 0.0, size - extent))
    return int(corner[0]), int(corner[1]), int(extent[0]), int(extent[1])


def _draw(image: Image, xy: FloatArray, seen: NDArray[np.bool_], bones: Sequence[tuple[int, int]]) -> None:
    known = np.isfinite(xy).all(axis=-1)
    at = np.rint(np.nan_to_num(np.clip(xy, -1e4, 1e4)) * (1 << _SUBPIXEL)).astype(int).tolist()
    for a, b in bones:
        if seen[a] and seen[b]:
            cv2.line(image, at[a], at[b], _WHITE, 1, cv2.LINE_AA, _SUBPIXEL)
    for k in np.flatnonzero(known).tolist():
        colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(k / len(xy), 0.8, 1.0))
        radius, thickness = (3 << _SUBPIXEL, -1) if seen[k] else (2 << _SUBPIXEL, 1)
        cv2.circle(image, at[k], radius, colour, thickness, cv2.LINE_AA, _SUBPIXEL)
