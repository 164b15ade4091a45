"""The size of a camera's pixels in mm, from a ruler or a checkerboard in the animal's plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.config.rules import GeometryConfig
from rt_pose.errors import UserError
from rt_pose.rules.geometry import Geometry, make_geometry
from rt_pose.rules.homography import FittedHomography, fit_homography
from rt_pose.views.board import find_corners

Image = NDArray[np.uint8]
Places = NDArray[np.float64]
MARK, GRID = (90, 90, 255), (255, 208, 77)
"""BGR."""
GRID_LINES = 10
"""About so many lines of the grid lie across what was measured."""
DIGITS = 9
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, slots=True)
class Scale:
    """What was measured of one camera."""

    geometry: GeometryConfig
    marks: Places
    """(n, 2) px: the ends of the ruler, or the corners of the board."""
    says: str
    """For people: what came out, and how well it fits."""


def ruler_scale(ends: Sequence[float], length_mm: float, known: GeometryConfig | None) -> Scale:
    """Measure the scale with a ruler, for a camera that looks straight down.

    Parameters
    ----------
    ends
        x and y of one end, then of the other, px.
    length_mm
        Length between them, mm.
    known
        The camera's geometry so far; its lens is kept, and taken out before.

    Returns
    -------
    Scale
        The scale.

    Raises
    ------
    UserError
        Where the ends are the same, or the length is none.
    """
    marks = np.array(ends, dtype=np.float64).reshape(2, 2)
    flat = _without_lens(marks, known)
    apart = float(np.hypot(*(flat[1] - flat[0])))
    if not math.isfinite(apart) or apart < 1.0:
        raise UserError(f"--ruler: expected two places at least 1 px apart, X Y X Y, got {ends}")
    if not 0.0 < length_mm < math.inf:
        raise UserError(f"--length: expected more than 0 mm, got {length_mm:g}")
    mm_per_px = length_mm / apart
    says = f"{mm_per_px:.5g} mm a pixel, from {length_mm:g} mm over {apart:.1f} px; 1 px off at an end is "
    return Scale(
        _geometry(known, mm_per_px=rounded(mm_per_px)), marks, f"{says}{100 / apart:.2g} % of the scale"
    )


def checkerboard_scale(
    frame: Image,
    inner: tuple[int, int],
    square_mm: float,
    largest_px: float,
    known: GeometryConfig | None,
) -> tuple[Scale, FittedHomography]:
    """Measure a homography with a checkerboard that lies in the animal's plane.

    Parameters
    ----------
    frame
        (H, W, 1 or 3) uint8, gray or RGB, with the whole board in it.
    inner
        Inner corners in a row and in a column: one fewer than squares.
    square_mm
        Side of a square, mm.
    largest_px
        Largest residual of a corner that is allowed, px.
    known
        The camera's geometry so far; its lens is kept, and taken out before.

    Returns
    -------
    tuple[Scale, FittedHomography]
        The scale, whose mm begin at the board's first corner, and the fit from px to mm.

    Raises
    ------
    UserError
        Where no such board is in the frame, or its corners do not fit a plane.
    """
    columns, rows = inner
    if min(inner) < 3 or columns * rows > 10_000:
        raise UserError(f"--checkerboard: expected 3x3 inner corners or more, e.g. 9x6, got {columns}x{rows}")
    if not 0.0 < square_mm < math.inf:
        raise UserError(f"--square: expected more than 0 mm, got {square_mm:g}")
    gray = frame[..., 0] if frame.shape[2] == 1 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    gray = np.ascontiguousarray(gray)
    marks = find_corners(gray, inner)
    if marks is None:
        raise UserError(
            f"--checkerboard: no board of {columns}x{rows} inner corners in the frame; is all of it in view, "
            "with a white rim, sharp and evenly lit? Inner corners are one fewer than squares"
        )
    board = np.array(
        [(c * square_mm, r * square_mm) for r in range(rows) for c in range(columns)], np.float64
    )
    fitted = fit_homography(_without_lens(marks, known), board, largest_px, "--checkerboard")
    matrix = [[rounded(v) for v in row] for row in fitted.matrix.tolist()]
    says = (
        f"homography from {len(marks)} corners, {columns}x{rows} of {square_mm:g} mm: residuals "
        f"{fitted.rms:.2f} px (root mean square), {fitted.largest:.2f} px at most"
    )
    return Scale(_geometry(known, homography=matrix), marks, says), fitted


def draw_scale(frame: Image, scale: Scale | None) -> Image:
    """Draw a grid of mm, and what was measured, on the frame.

    Parameters
    ----------
    frame
        (H, W, 1 or 3) uint8, gray or RGB.
    scale
        What was measured; None draws a grid of pixels, to read places from.

    Returns
    -------
    Image
        A BGR copy.
    """
    image = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR if frame.shape[2] == 1 else cv2.COLOR_RGB2BGR)
    height, width = image.shape[:2]
    geometry = Geometry(np.eye(3)) if scale is None else make_geometry(scale.geometry, "scale")
    border = np.array(
        [(x, y) for x in (0.0, width / 2, width - 1.0) for y in (0.0, height / 2, height - 1.0)]
    )
    places = border if scale is None or len(scale.marks) < 3 else scale.marks
    mm = np.array([geometry.to_mm([x, y, 0.0, 0.0])[0][:2] for x, y in places])
    low, high = mm.min(axis=0), mm.max(axis=0)
    step = _step(float((high - low).max()) / GRID_LINES)
    unit = "px" if scale is None else "mm"
    for axis in (0, 1):
        for at in np.arange(math.ceil(low[axis] / step), math.floor(high[axis] / step) + 1) * step:
            _grid_line(image, geometry, axis, float(at), low, high, f"{at:g}")
    for x, y in () if scale is None else scale.marks:
        cv2.drawMarker(image, (round(x), round(y)), MARK, cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
    cv2.putText(
        image, f"a line each {step:g} {unit}", (6, height - 8), _FONT, 0.42, (0, 0, 0), 3, cv2.LINE_AA
    )
    cv2.putText(image, f"a line each {step:g} {unit}", (6, height - 8), _FONT, 0.42, GRID, 1, cv2.LINE_AA)
    return np.asarray(image, np.uint8)


def rounded(value: float) -> float:
    """Round a measured number to the digits that are written.

    Parameters
    ----------
    value
        The number.

    Returns
    -------
    float
        To `DIGITS` digits.
    """
    return float(f"{value:.{DIGITS}g}")


def _geometry(
    known: GeometryConfig | None,
    *,
    mm_per_px: float | None = None,
    homography: list[list[float]] | None = None,
) -> GeometryConfig:
    return replace(known or GeometryConfig(), mm_per_px=mm_per_px, homography=homography)


def _without_lens(places: Places, known: GeometryConfig | None) -> Places:
    if known is None or known.lens is None:
        return places
    lens = make_geometry(replace(known, mm_per_px=1.0, homography=None), "geometry").lens
    assert lens is not None
    return np.array([lens.undistort(x, y)[0] for x, y in places.tolist()])


def _step(about: float) -> float:
    """The next of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(about))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= about)


def _grid_line(
    image: Image, geometry: Geometry, axis: int, at: float, low: Places, high: Places, name: str
) -> None:
    """One line of the grid, at a place on one axis, over the extent of the other."""
    along = np.linspace(low[1 - axis], high[1 - axis], 24)
    mm = [(at, float(v)) if axis == 0 else (float(v), at) for v in along]
    px = np.array([geometry.to_px(x, y) for x, y in mm])
    if not np.isfinite(px).all():
        return
    corners = np.clip(np.round(px), -10_000, 10_000).astype(np.int32)
    cv2.polylines(image, [corners], False, GRID, 1, cv2.LINE_AA)
    x, y = (int(v) for v in corners[0])
    height, width = image.shape[:2]
    cv2.putText(
        image, name, (min(max(x + 2, 2), width - 30), min(max(y + 11, 11), height - 20)), _FONT, 0.34, GRID, 1
    )
