"""Scales from rulers and checkerboards: made pictures of known measures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.config.rules import GeometryConfig, LensConfig
from rt_pose.errors import UserError
from rt_pose.rules.geometry import make_geometry
from rt_pose.session.scale import checkerboard_scale, draw_scale, ruler_scale

SQUARE_MM = 12.0


def board(
    columns: int = 7, rows: int = 5, tilt: float = 0.0
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A frame (480, 640, 1) with a board, and the homography from mm to its px."""
    squares = (np.indices((rows + 1, columns + 1)).sum(axis=0) % 2 * 200 + 30).astype(np.uint8)
    size = 40
    flat = np.pad(np.kron(squares, np.ones((size, size), np.uint8)), size, constant_values=230)
    # From mm of the first inner corner on to px of the flat picture, whose pixels' centres are whole numbers.
    to_flat = np.array(
        [[size / SQUARE_MM, 0, 2 * size - 0.5], [0, size / SQUARE_MM, 2 * size - 0.5], [0, 0, 1]]
    )
    view = np.array([[1.1, 0.06, 60.0], [-0.04, 1.05, 50.0], [tilt, -0.5 * tilt, 1.0]])
    frame = cv2.warpPerspective(flat, view, (640, 480), flags=cv2.INTER_AREA, borderValue=230)
    return cv2.GaussianBlur(frame, (3, 3), 0.7)[..., None], view @ to_flat


@pytest.mark.parametrize("tilt", [0.0, 3e-4])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_board_gives_the_homography(tilt: float, channels: int) -> None:
    frame, to_px = board(tilt=tilt)
    scale, fitted = checkerboard_scale(np.repeat(frame, channels, axis=2), (7, 5), SQUARE_MM, 0.5, None)
    assert fitted.largest < 0.3
    geometry = make_geometry(scale.geometry, "test")
    true = make_geometry(GeometryConfig(homography=np.linalg.inv(to_px).tolist()), "test")

    def apart_mm(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
        """As both geometries measure it; the board may be read from either end."""
        return tuple(  # type: ignore[return-value]
            float(np.hypot(*np.subtract(g.to_mm([*a, 0, 0])[0][:2], g.to_mm([*b, 0, 0])[0][:2])))
            for g in (geometry, true)
        )

    for a, b in (((150.0, 150.0), (400.0, 160.0)), ((200.0, 120.0), (220.0, 300.0))):
        found, expected = apart_mm(a, b)
        assert found == pytest.approx(expected, rel=0.01)
    assert "35 corners" in scale.says


def test_a_lens_is_taken_out_before() -> None:
    frame, _ = board()
    lens = LensConfig([[600.0, 0.0, 320.0], [0.0, 600.0, 240.0], [0.0, 0.0, 1.0]], [-0.3, 0.1, 0.0, 0.0])
    with pytest.raises(UserError, match="px off"):  # of a lens that this picture was not taken with
        checkerboard_scale(frame, (7, 5), SQUARE_MM, 0.5, GeometryConfig(1.0, lens=lens))
    weak = LensConfig(lens.matrix, [1e-6, 0.0, 0.0, 0.0])
    scale, _ = checkerboard_scale(frame, (7, 5), SQUARE_MM, 0.5, GeometryConfig(1.0, lens=weak))
    assert scale.geometry.lens == weak, "it is kept"
    assert scale.geometry.mm_per_px is None


def test_no_board_is_said() -> None:
    frame, _ = board()
    with pytest.raises(UserError, match="no board of 9x6 inner corners"):
        checkerboard_scale(frame, (9, 6), SQUARE_MM, 0.5, None)
    with pytest.raises(UserError, match="expected 3x3 inner corners or more"):
        checkerboard_scale(frame, (2, 5), SQUARE_MM, 0.5, None)
    with pytest.raises(UserError, match="--square: expected more than 0 mm"):
        checkerboard_scale(frame, (7, 5), 0.0, 0.5, None)


def test_a_ruler_gives_a_scale() -> None:
    scale = ruler_scale([10.0, 20.0, 10.0 + 300.0, 20.0 + 400.0], 100.0, None)
    assert scale.geometry == GeometryConfig(0.2)
    assert "0.2 mm a pixel" in scale.says


@pytest.mark.parametrize(
    ("ends", "length_mm", "expected"),
    [
        ([10.0, 10.0, 10.5, 10.0], 100.0, "--ruler: expected two places"),
        ([10.0, 10.0, float("nan"), 10.0], 100.0, "--ruler: expected two places"),
        ([10.0, 10.0, 90.0, 10.0], 0.0, "--length: expected more than 0 mm"),
        ([10.0, 10.0, 90.0, 10.0], float("nan"), "--length: expected more than 0 mm"),
    ],
)
def test_what_is_no_ruler(ends: list[float], length_mm: float, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        ruler_scale(ends, length_mm, None)


def test_the_grid_lies_on_the_squares() -> None:
    """Drawn lines of 50 mm cross where the true homography has them."""
    frame, to_px = board(tilt=3e-4)
    scale, _ = checkerboard_scale(frame, (7, 5), SQUARE_MM, 0.5, None)
    picture = draw_scale(frame, scale)
    assert picture.shape == (480, 640, 3)
    changed = (picture != np.repeat(frame, 3, axis=2)).any(axis=2)
    assert changed.sum() > 500
    corner = to_px @ (0.0, 0.0, 1.0)
    x, y = corner[:2] / corner[2]
    assert changed[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].any(), (
        "the first corner is marked"
    )


def test_without_a_scale_a_grid_of_pixels_is_drawn() -> None:
    frame, _ = board()
    picture = draw_scale(frame, None)
    changed = (picture != np.repeat(frame, 3, axis=2)).any(axis=2)
    assert changed[:, 100].mean() > 0.5, "a line each 100 px"
