"""Delays of which each is only known to lie between two frames."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS
from rt_pose.loop.interval_delays import IntervalDelays, add_up
from rt_pose.loop.loopback import GOLDEN


def seen(delays_ms: NDArray[np.float64], period_ms: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Between which frames lights go on, for commands spread evenly over the frame period."""
    command = (np.arange(len(delays_ms)) * GOLDEN) % 1.0 * period_ms
    frame = np.ceil((command + delays_ms) / period_ms) * period_ms
    high = frame - command
    return np.round((high - period_ms) * NS_PER_MS).astype(int), np.round(high * NS_PER_MS).astype(int)


@pytest.mark.parametrize("period_ms", [33.3, 16.7, 5.0])
@pytest.mark.parametrize("delay_ms", [0.4, 3.0, 21.7])
def test_a_delay_that_is_always_the_same_is_found_to_a_fraction_of_a_period(
    delay_ms: float, period_ms: float
) -> None:
    fitted = IntervalDelays.fit(*seen(np.full(100, delay_ms), period_ms)).summary()
    assert fitted["p50"] == pytest.approx(delay_ms, abs=2 * period_ms / 100)
    assert fitted["p99"] == pytest.approx(delay_ms, abs=2 * period_ms / 100)
    assert fitted["n"] == 100
    assert fitted["p99_9"] is None


def test_a_spread_of_delays_is_found_although_the_period_is_longer() -> None:
    rng = np.random.default_rng(2)
    delays = 12.0 + rng.gamma(2.0, 2.0, 5000)
    fitted = IntervalDelays.fit(*seen(delays, 16.7)).summary()
    p50, p90, p99 = np.percentile(delays, [50, 90, 99])
    assert fitted["p50"] == pytest.approx(p50, abs=0.7)
    assert fitted["p90"] == pytest.approx(p90, abs=1.0)
    assert fitted["p99"] == pytest.approx(p99, abs=3.0)


def test_one_interval_is_taken_at_its_middle() -> None:
    fitted = IntervalDelays.fit([2 * NS_PER_MS], [4 * NS_PER_MS]).summary()
    assert (fitted["n"], fitted["p50"], fitted["max"]) == (1, 3.0, pytest.approx(3.98, abs=0.03))


def test_intervals_that_contradict_each_other_are_weighed() -> None:
    """Nine say 1 to 2 ms, one says 5 to 6 ms."""
    low = np.array([1] * 9 + [5]) * NS_PER_MS
    fitted = IntervalDelays.fit(low, low + NS_PER_MS)
    assert fitted.quantiles([0.5, 0.95]) == pytest.approx([1.56, 5.5], abs=0.1)


def test_the_999th_permille_is_stated_from_ten_thousand_on() -> None:
    low, high = seen(np.full(10_000, 3.0), 5.0)
    assert IntervalDelays.fit(low, high).summary()["p99_9"] == pytest.approx(3.0, abs=0.01)


def test_two_delays_add_up() -> None:
    light = IntervalDelays.fit(*seen(np.full(200, 10.0), 5.0))
    decisions = np.random.default_rng(1).uniform(2.0, 4.0, 500)
    both = add_up(light, decisions)
    assert both["n"] == 200
    assert both["p50"] == pytest.approx(13.0, abs=0.15)
    assert both["p99"] == pytest.approx(13.98, abs=0.15)
    assert both["max"] == pytest.approx(10.0 + decisions.max(), abs=0.1)
    assert both["p99_9"] is None
