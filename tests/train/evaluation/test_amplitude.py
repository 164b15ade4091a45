"""How far keypoints step: what stands still has no amplitude, whatever else it has."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.types import FloatArray
from train.evaluation.amplitude import fast_speed, step_amplitude

RATE_HZ, FRAMES = 250.0, 500
SHARE = np.sin(0.45 * np.pi)  # of a sinusoid's amplitude that lies between its P5 and P95
SEEN = np.ones((FRAMES, 1), bool)


def walking(amplitude_px: float = 20.0, frequency_hz: float = 8.0) -> FloatArray:
    """(T, 1, 2) px: strides along x."""
    t = np.arange(FRAMES) / RATE_HZ
    x = 100 + amplitude_px * np.sin(2 * np.pi * frequency_hz * t)
    return np.stack([x, np.full(FRAMES, 50.0)], axis=-1)[:, None]


def test_it_is_the_range_of_a_stride() -> None:
    assert step_amplitude(walking(20.0), SEEN, RATE_HZ) == pytest.approx(2 * 20 * SHARE, rel=0.03)
    assert step_amplitude(walking(10.0), SEEN, RATE_HZ) == pytest.approx(
        step_amplitude(walking(20.0), SEEN, RATE_HZ) / 2, rel=1e-6
    )


def test_a_frozen_pose_has_none() -> None:
    frozen = np.broadcast_to(walking().mean(axis=0), (FRAMES, 1, 2))
    assert step_amplitude(frozen, SEEN, RATE_HZ) == 0
    assert fast_speed(frozen, SEEN) == 0
    trembling = frozen + np.random.default_rng(0).normal(0, 0.4, frozen.shape)
    assert step_amplitude(trembling, SEEN, RATE_HZ) < 0.1 * step_amplitude(walking(), SEEN, RATE_HZ)


def test_a_pose_that_drifts_along_without_stepping_has_none() -> None:
    drifting = walking(0.0) + np.linspace(0, 40, FRAMES)[:, None, None]
    assert step_amplitude(drifting, SEEN, RATE_HZ) < 0.5 * step_amplitude(walking(), SEEN, RATE_HZ)


def test_who_freezes_for_a_third_of_the_time_loses_a_third() -> None:
    xy = walking()
    xy[: FRAMES // 3] = xy[FRAMES // 3]
    ratio = step_amplitude(xy, SEEN, RATE_HZ) / step_amplitude(walking(), SEEN, RATE_HZ)
    assert ratio == pytest.approx(2 / 3, abs=0.08)


def test_single_misses_are_no_steps() -> None:
    xy = walking()
    xy[::40] += 300.0
    ratio = step_amplitude(xy, SEEN, RATE_HZ) / step_amplitude(walking(), SEEN, RATE_HZ)
    assert ratio == pytest.approx(1, abs=0.05)
    assert (
        step_amplitude(walking(0.0) + 300.0 * (np.arange(FRAMES) % 40 == 0)[:, None, None], SEEN, RATE_HZ)
        == 0
    )


def test_frames_in_which_it_is_not_seen_do_not_count() -> None:
    xy, seen = walking(), SEEN.copy()
    xy[200:350] = np.random.default_rng(1).uniform(0, 400, (150, 1, 2))
    seen[200:350] = False
    found, right = step_amplitude(xy, seen, RATE_HZ), step_amplitude(walking(), SEEN, RATE_HZ)
    assert found == pytest.approx(right, rel=0.05)
    assert fast_speed(xy, seen) == pytest.approx(fast_speed(walking(), SEEN), rel=0.05)
    assert np.isnan(step_amplitude(xy, ~SEEN, RATE_HZ))
    assert np.isnan(fast_speed(xy, ~SEEN))


def test_a_speed_is_px_a_frame() -> None:
    running = np.zeros((FRAMES, 1, 2))
    running[:, 0] = 3.0 * np.arange(FRAMES)[:, None] / np.sqrt(2)
    assert fast_speed(running, SEEN) == pytest.approx(3.0)


def test_a_recording_shorter_than_a_window_is_one_window() -> None:
    few = walking()[:40]
    assert np.isfinite(step_amplitude(few, SEEN[:40], RATE_HZ)).all()
