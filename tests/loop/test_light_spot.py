"""A light is found by its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.loop.light_spot import LightSpot


def frame(seed: int, light: float, animal: int, channels: int = 1) -> NDArray[np.float64]:
    """Noise, a light in a corner, and a bright animal somewhere."""
    image = np.random.default_rng(seed).normal(60.0, 3.0, (40, 50, channels))
    image[2:6, 3:8] += light
    image[20:30, animal : animal + 10] += 150.0
    return image


@pytest.mark.parametrize("channels", [1, 3])
def test_the_light_is_found_and_not_the_animal(channels: int) -> None:
    lit = [frame(i, 80.0, 5 * i, channels) for i in range(3)]
    dark = [frame(9 + i, 0.0, 15 + 5 * i, channels) for i in range(3)]
    spot = LightSpot.find(lit, dark, "camera 'top'")
    rows, columns, _ = np.unravel_index(spot.places, lit[0].shape)
    assert set(rows) == set(range(2, 6))
    assert set(columns) == set(range(3, 8))
    assert spot.contrast == pytest.approx(80.0, abs=5.0)
    assert spot.lit(np.clip(frame(50, 80.0, 30, channels), 0, 255).astype(np.uint8))
    assert spot.lit(np.clip(frame(51, 45.0, 30, channels), 0, 255).astype(np.uint8))
    assert not spot.lit(np.clip(frame(52, 35.0, 3, channels), 0, 255).astype(np.uint8))


def test_without_a_light_the_error_says_so() -> None:
    frames = [frame(i, 0.0, 5 * i) for i in range(6)]
    with pytest.raises(
        UserError, match="camera 'top': no place in the picture gets brighter by 12 grey levels"
    ):
        LightSpot.find(frames[:3], frames[3:], "camera 'top'")
