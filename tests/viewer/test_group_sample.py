"""What is traced of a group."""

from __future__ import annotations

import numpy as np

from rt_pose.viewer.group_sample import FIXED, LATENCY, SPEED, Z, sample

PLACE, VELOCITY = np.array([1.0, 2.0, 3.0]), np.array([3.0, 0.0, 4.0])


def test_an_error_stays_until_the_camera_has_another() -> None:
    """Else the curve of a camera would be points without a line between them."""
    first = sample(PLACE, VELOCITY, False, 6.5, [1.5, None], None)
    assert first[[Z, SPEED, LATENCY]].tolist() == [3.0, 5.0, 6.5]
    np.testing.assert_array_equal(first[FIXED:], [1.5, np.nan])
    second = sample(PLACE, VELOCITY, True, None, [None, 2.0], first)
    assert np.isnan(second[[Z, SPEED, LATENCY]]).all()
    assert second[FIXED:].tolist() == [1.5, 2.0]
    np.testing.assert_array_equal(sample(PLACE, VELOCITY, True, None, [None], second)[FIXED:], [np.nan])
