"""Boards for calibration, and their corners in a frame: checkerboards and ChArUco boards (OpenCV).

A corner must be the same one in every camera. ChArUco's markers say which it is. A checkerboard looks the
same upside down unless one of its sides has an odd and the other an even number of inner corners: then the
square between the first four corners is always a dark one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import FloatArray

Image = NDArray[np.uint8]
LEAST_CORNERS = 6
"""In a frame; with fewer the board's pose is not sure."""
MOST_CORNERS = 10_000


@dataclass(frozen=True, eq=False)
class SeenBoard:
    """Corners of a board in one frame."""

    ids: NDArray[np.intp]
    """(m,) which of the board's corners they are."""
    px: FloatArray
    """(m, 2)."""


@dataclass(frozen=True, eq=False)
class Board:
    """A flat board with corners."""

    columns: int
    """Inner corners in a row."""
    rows: int
    square_mm: float
    markers: Any = field(default=None, repr=False)
    """ChArUco's detector; None for a checkerboard."""

    @property
    def corners(self) -> FloatArray:
        """Places of the inner corners on the board, row by row, (n, 3) mm."""
        x, y = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        flat = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
        return flat.astype(np.float64) * self.square_mm

    @property
    def neighbours(self) -> list[tuple[int, int]]:
        """Pairs of corners that are a square's side apart."""
        number = np.arange(self.columns * self.rows).reshape(self.rows, self.columns)
        across = zip(number[:, :-1].ravel().tolist(), number[:, 1:].ravel().tolist(), strict=True)
        down = zip(number[:-1].ravel().tolist(), number[1:].ravel().tolist(), strict=True)
        return [*across, *down]

    def find(self, gray: Image) -> SeenBoard | None:
        """Find the board in a frame.

        Parameters
        ----------
        gray
            (H, W) uint8.

        Returns
        -------
        SeenBoard | None
            Its corners; None where there is no board, or too few of its corners, or all on a line.
        """
        found = self._checkerboard(gray) if self.markers is None else self._charuco(gray)
        if found is None or len(found.ids) < LEAST_CORNERS:
            return None
        places = self.corners[found.ids, :2] / self.square_mm
        flat = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)[-1] < 0.5
        return None if flat else found

    def _checkerboard(self, gray: Image) -> SeenBoard | None:
        px = find_corners(gray, (self.columns, self.rows), quick=True)
        if px is None:
            return None
        return SeenBoard(np.arange(len(px)), px if _dark_first(gray, px, self.columns) else px[::-1].copy())

    def _charuco(self, gray: Image) -> SeenBoard | None:
        corners, ids, _, _ = self.markers.detectBoard(gray)
        if ids is None or corners is None:
            return None
        return SeenBoard(np.asarray(ids, np.intp).ravel(), np.asarray(corners, np.float64).reshape(-1, 2))


def checkerboard(inner: str, square_mm: float) -> Board:
    """Make a checkerboard.

    Parameters
    ----------
    inner
        Inner corners such as 9x6: one fewer than squares.
    square_mm
        Side of a square, mm.

    Returns
    -------
    Board
        The board.

    Raises
    ------
    UserError
        Where it is none, or looks the same upside down.
    """
    columns, rows = _two(inner, "--checkerboard", "inner corners such as 9x6", 3)
    if (columns + rows) % 2 == 0:
        raise UserError(
            f"--checkerboard: a board of {columns}x{rows} inner corners looks the same upside down, so that "
            "cameras would mistake its corners; use one with an odd number on one side, an even one on the "
            "other, such as 9x6, or a ChArUco board"
        )
    return Board(columns, rows, square_mm)


def charuco(squares: str, square_mm: float, marker_mm: float, dictionary: str, *, legacy: bool) -> Board:
    """Make a ChArUco board.

    Parameters
    ----------
    squares
        Squares such as 8x11.
    square_mm, marker_mm
        Sides of a square and of a marker, mm.
    dictionary
        The markers' dictionary: their bits and number, such as 4x4_1000.
    legacy
        Whether it was drawn by OpenCV before 4.6, which began boards of an even number of rows otherwise.

    Returns
    -------
    Board
        The board.

    Raises
    ------
    UserError
        Where it is none.
    """
    columns, rows = _two(squares, "--charuco", "squares such as 8x11", 4)
    match = re.fullmatch(r"([4-7])x\1_(50|100|250|1000)", dictionary.strip().lower())
    if match is None:
        raise UserError(
            f"--dictionary: expected bits and number of the markers such as 4x4_1000 (4 to 7; 50, 100, 250 "
            f"or 1000 markers), got '{dictionary}'"
        )
    if columns * rows // 2 > int(match[2]):
        raise UserError(f"--dictionary: a board of {squares} squares has more markers than {dictionary}")
    if not 0 < marker_mm < square_mm:
        raise UserError(f"--marker: expected less than a square's {square_mm:g} mm, got {marker_mm:g} mm")
    bits, number = match[1], match[2]
    known = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{bits}X{bits}_{number}"))
    drawn = cv2.aruco.CharucoBoard((columns, rows), square_mm, marker_mm, known)
    drawn.setLegacyPattern(legacy)
    return Board(columns - 1, rows - 1, square_mm, cv2.aruco.CharucoDetector(drawn))


def find_corners(gray: Image, inner: tuple[int, int], *, quick: bool = False) -> FloatArray | None:
    """Find the inner corners of a checkerboard.

    Parameters
    ----------
    gray
        (H, W) uint8, contiguous.
    inner
        Inner corners in a row and in a column.
    quick
        Whether frames that show no board are passed over by a quick look.

    Returns
    -------
    FloatArray | None
        (n, 2) px to fractions of a pixel, row by row; None where there is no such board.
    """
    flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
    found, corners = cv2.findChessboardCorners(gray, inner, flags=flags | cv2.CALIB_CB_FAST_CHECK * quick)
    if not found or corners is None:
        return None
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 40, 1e-3)
    refined = cv2.cornerSubPix(gray, corners, _half_window(corners, inner[0]), (-1, -1), criteria)
    return refined.reshape(-1, 2).astype(np.float64)


def _half_window(corners: NDArray[np.float32], columns: int) -> tuple[int, int]:
    """A search window that no second corner lies in."""
    rows = corners.reshape(-1, columns, 2)
    apart = min(float(np.linalg.norm(np.diff(rows, axis=axis), axis=-1).min()) for axis in (0, 1))
    half = max(2, min(11, int(0.4 * apart)))
    return half, half


def _dark_first(gray: Image, px: FloatArray, columns: int) -> bool:
    """Whether the square between the first four corners is darker than the next one."""
    grid = px.reshape(-1, columns, 2)
    height, width = gray.shape
    levels = []
    for i in (0, 1):
        x, y = np.round(grid[:2, i : i + 2].mean(axis=(0, 1))).astype(int)
        near = gray[max(y - 1, 0) : min(y + 2, height), max(x - 1, 0) : min(x + 2, width)]
        levels.append(float(near.mean()))
    return levels[0] < levels[1]


def _two(text: str, option: str, expected: str, least: int) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,3})x(\d{1,3})", text.strip())
    columns, rows = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(columns, rows) < least or columns * rows > MOST_CORNERS:
        raise UserError(
            f"{option}: expected {expected}, {least} or more in a row and in a column, got '{text}'"
        )
    return columns, rows
