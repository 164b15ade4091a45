"""Spots found in frames by a threshold."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.session.aim_calibration import Pairs, calibrate, find_spot, grid


def frame(*spots: tuple[int, int, int], channels: int = 1) -> NDArray[np.uint8]:
    """Discs (x, y, radius) on a grey ground, (80, 120, channels)."""
    y, x = np.mgrid[:80, :120]
    image = np.full((80, 120, channels), 100, np.uint8)
    for cx, cy, radius in spots:
        image[(x - cx) ** 2 + (y - cy) ** 2 <= radius**2, 0] = 255
    return image


DARK = frame()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_largest_spot_is_found(channels: int) -> None:
    seen = frame((30, 40, 5), (90, 20, 3), channels=channels)
    assert find_spot(seen, frame(channels=channels), 250) == pytest.approx((30.0, 40.0))


def test_what_was_bright_before_is_no_spot() -> None:
    assert find_spot(frame((30, 40, 5)), frame((30, 40, 5)), 250) is None
    assert find_spot(frame((30, 40, 5), (90, 20, 3)), frame((30, 40, 5)), 250) == pytest.approx((90.0, 20.0))


@pytest.mark.parametrize("spot", [(60, 40, 0), (0, 40, 5), (119, 40, 5), (60, 0, 5), (60, 79, 5)])
def test_a_speck_and_a_spot_at_the_border_are_none(spot: tuple[int, int, int]) -> None:
    assert find_spot(frame(spot), DARK, 250) is None


def test_a_grid_spans_its_corners() -> None:
    assert grid((-1.0, 2.0, 1.0, 4.0), 3).tolist() == [
        [x, y] for y in (2.0, 3.0, 4.0) for x in (-1.0, 0.0, 1.0)
    ]


@pytest.mark.parametrize(
    ("corners", "steps", "expected"),
    [
        ((1.0, 1.0, 1.0, 2.0), 3, "span an area"),
        ((1.0, 1.0, float("inf"), 2.0), 3, "span an area"),
        ((1.0, 1.0, 2.0, 2.0), 1, "--steps: expected 2 to 20"),
        ((1.0, 1.0, 2.0, 2.0), 21, "--steps: expected 2 to 20"),
    ],
)
def test_what_is_no_grid(corners: tuple[float, float, float, float], steps: int, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        grid(corners, steps)


def test_a_calibration_keeps_the_region_of_its_pairs_and_its_residual() -> None:
    px = np.array([[10.0, 10.0], [110.0, 12.0], [105.0, 70.0], [12.0, 66.0], [60.0, 40.0]])
    config, fitted = calibrate(Pairs(px, px * 0.05 - 3.0), "V", 2.0, "x")
    assert config.unit == "V"
    assert config.field is not None
    assert len(config.field) == 4
    assert config.residual_px == round(fitted.largest, 3)
    assert fitted.largest < 1e-5
