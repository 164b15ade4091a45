"""Scales and figures of the curves."""

from __future__ import annotations

import numpy as np
import pytest
import support.qt  # noqa: F401 - skips where Qt cannot be loaded

from rt_pose.viewer.traces import format_value, value_range


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([1.0, 55.0], (0.0, 70.0)),
        ([-1.2, 3.0], (-1.5, 3.0)),
        ([-9.0, -2.0], (-10.0, 0.0)),
        ([0.0, 0.0], (0.0, 1.0)),
        ([np.nan], (0.0, 1.0)),
        ([], (0.0, 1.0)),
    ],
)
def test_a_scale_holds_all_values_and_0(values: list[float], ends: tuple[float, float]) -> None:
    assert value_range(np.array(values, np.float32)) == pytest.approx(ends)


def test_values_are_written_with_three_digits() -> None:
    written = [format_value(v, "mm/s") for v in (0.01234, 12.345, 1234.5, float("nan"))]
    assert written == ["0.0123 mm/s", "12.3 mm/s", "1234 mm/s", "–"]
