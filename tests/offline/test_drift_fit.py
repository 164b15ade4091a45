"""Fitting the drift detector: its rate of false alarms is that of recordings whose frames are alike."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rt_pose.offline.drift_fit import LEAST_SHIFT, LEAST_THRESHOLD, fit_drift
from rt_pose.offline.innovations import Recorded
from rt_pose.package import DriftLimits, DriftSpec, TrackingSpec
from rt_pose.types import FloatArray

TRACKING = TrackingSpec([10.0], [0.1], [1.0], [1.0])
HOURS = 400


def autoregressive(random: np.random.Generator, seconds: int, series: int, memory_s: float) -> FloatArray:
    """(seconds, series) of standard deviation 1 that forget what they were in `memory_s`."""
    keep = np.exp(-1.0 / memory_s)
    values = np.empty((seconds, series))
    values[0] = random.normal(0, 1, series)
    for before, now in pairwise(range(seconds)):
        values[now] = keep * values[before] + np.sqrt(1 - keep * keep) * random.normal(0, 1, series)
    return values


def unsure(log_odds: FloatArray) -> Recorded:
    """A frame a second of one keypoint at rest, whose confidence has these log odds of being unsure."""
    xy = np.zeros((len(log_odds), 1, 2))
    cov = np.tile(np.eye(2), (len(log_odds), 1, 1, 1))
    return Recorded(1.0, xy, cov, 1 - 1 / (1 + np.exp(-log_odds[:, None])))


def limits(spec: DriftSpec | None) -> DriftLimits:
    assert spec is not None
    return spec.limits["confidence"]


def hours_with_an_alarm(found: DriftLimits, log_odds: FloatArray) -> int:
    """How many of the series (3600, H) give alarm."""
    value, alarmed = np.zeros(log_odds.shape[1]), np.zeros(log_odds.shape[1], dtype=bool)
    for now in np.clip((log_odds - found.mean) / found.spread, -6, 6):
        value = np.maximum(0.0, value + now - found.allowance)
        alarmed |= value > found.threshold
    return int(alarmed.sum())


@pytest.mark.parametrize("memory_s", [0.1, 10.0])
def test_false_alarms_are_as_rare_as_stated(memory_s: float) -> None:
    """Calibrated on 20 minutes; 400 fresh hours of the same. A statistic may alarm in one of 60."""
    random = np.random.default_rng(1)
    calm = autoregressive(random, 1200, 1, memory_s)[:, 0]
    found = limits(fit_drift([unsure(-2.0 + 0.8 * calm)], TRACKING))
    assert found.mean == pytest.approx(-2.0, abs=0.25)
    assert found.spread == pytest.approx(0.8, abs=0.15)
    fresh = -2.0 + 0.8 * autoregressive(random, 3600, HOURS, memory_s)
    assert hours_with_an_alarm(found, fresh) <= 2 * HOURS / 60
    assert hours_with_an_alarm(found, fresh + 0.8 * (found.allowance + 1.5)) == HOURS, "a drift is told"
    # What is like the second before needs more patience than what is not.
    assert (found.threshold > 3 * LEAST_THRESHOLD) == (memory_s > 1.0)


def test_a_day_of_the_calibration_is_no_drift() -> None:
    """Recordings of two days that differ: neither gives alarm in itself, however long it goes on."""
    random = np.random.default_rng(2)
    days = [center + 0.3 * autoregressive(random, 600, 1, 2.0)[:, 0] for center in (-3.0, -1.0)]
    found = limits(fit_drift([unsure(day) for day in days], TRACKING))
    assert found.allowance > LEAST_SHIFT + (days[1].mean() - found.mean) / found.spread - 1e-9
    fresh = -1.0 + 0.3 * autoregressive(random, 3600, 100, 2.0)
    assert hours_with_an_alarm(found, fresh) <= 2
    alone = limits(fit_drift([unsure(days[0])], TRACKING))
    assert hours_with_an_alarm(alone, fresh) == 100


def test_too_little_says_nothing() -> None:
    random = np.random.default_rng(3)
    assert fit_drift([unsure(random.normal(-2, 0.5, 11))], TRACKING) is None
    found = fit_drift([unsure(random.normal(-2, 0.5, 40)), unsure(random.normal(-2, 0.5, 5))], TRACKING)
    assert found is not None
    assert (found.space, "pose" in found.limits) == (None, False), "one keypoint makes no pose"
    assert (found.block_s, found.calibration_s) == (1.0, 45.0)


def test_what_is_always_the_same_keeps_a_spread() -> None:
    found = limits(fit_drift([unsure(np.full(60, -2.0))], TRACKING))
    assert (found.spread, found.allowance, found.threshold) == (0.2, LEAST_SHIFT, LEAST_THRESHOLD)
