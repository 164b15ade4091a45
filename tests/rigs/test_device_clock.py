"""A device's microseconds on the host's clock."""

from __future__ import annotations

import random

from rigs.device_clock import DeviceClock, hold_between

MS = 1_000_000


def test_before_anything_was_measured_nothing_is_known() -> None:
    clock = DeviceClock()
    assert clock.host_ns(5) is None
    assert clock.error_ns(5) is None


def test_the_best_of_the_samples_counts_and_bounds_the_error() -> None:
    """The device's clock is 7 s behind; answers take unequal ways there and back."""
    clock, rng = DeviceClock(), random.Random(1)
    for i in range(50):
        asked = 10_000_000_000 + i * 20 * MS
        there, back = rng.randrange(MS // 10, 3 * MS), rng.randrange(MS // 10, 3 * MS)
        clock.sample((asked + there - 7_000_000_000) // 1000, asked, asked + there + back)
    device_us = clock.unwrap(3_500_000)
    host_ns, error_ns = clock.host_ns(device_us), clock.error_ns(device_us)
    assert host_ns is not None
    assert error_ns is not None
    assert abs(host_ns - 10_500_000_000) <= error_ns + 1000
    assert error_ns < MS


def test_a_clock_that_runs_off_is_known_by_what_was_heard_of_it_lately() -> None:
    """A ceramic resonator, 0.5 % fast: the sample with the shortest way is a second old by now."""
    clock, way_ns = DeviceClock(), MS // 10
    for i in range(51):
        asked_ns = i * 20 * MS
        clock.sample((asked_ns + way_ns) * 1005 // 1_000_000, asked_ns, asked_ns + 2 * way_ns)
        way_ns = MS // 2
    device_us = clock.unwrap(1_000_000 * 1005 // 1000)
    host_ns, error_ns = clock.host_ns(device_us), clock.error_ns(device_us)
    assert host_ns is not None
    assert error_ns is not None
    assert abs(host_ns - 1000 * MS) <= error_ns + 1000
    assert error_ns < MS
    assert (hold_between(host_ns, 999 * MS, 999 * MS + 1), hold_between(None, 1, 2)) == (999 * MS + 1, None)
    assert hold_between(host_ns, 1500 * MS, 1600 * MS) == 1500 * MS, "no effect before its command"


def test_time_goes_on_when_32_bits_are_full() -> None:
    clock = DeviceClock()
    assert clock.unwrap(2**32 - 10) == 2**32 - 10
    assert clock.unwrap(5) == 2**32 + 5
    assert clock.unwrap(2**32 - 3) == 2**32 - 3, "an answer that was overtaken is of before"
    assert clock.unwrap(7) == 2**32 + 7


def test_a_clock_that_was_reset_is_known_from_one_that_drifts_or_wraps() -> None:
    clock, begun_ns = DeviceClock(), 3_600_000 * MS
    assert not clock.begun_again(5, 0, 0), "nothing is known yet"
    for age_ms in (0, 20, 40):
        clock.sample(2**32 - 50_000 + age_ms * 1000, begun_ns + age_ms * MS, begun_ns + (age_ms + 1) * MS)
    for later_ms in (100, 60_000, 20 * 60_000):
        t_us = (2**32 - 50_000 + later_ms * 1005) % 2**32  # half a percent fast, as a ceramic resonator
        now_ns = begun_ns + later_ms * MS
        assert not clock.begun_again(t_us, now_ns, now_ns + MS)
    now_ns = begun_ns + 1000 * MS
    assert clock.begun_again(4_000, now_ns, now_ns + MS)
    assert not clock.begun_again(950_000, now_ns, now_ns + MS), "the same as it was asked"
