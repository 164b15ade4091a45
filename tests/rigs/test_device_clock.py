"""A device's microseconds on the host's clock."""

from __future__ import annotations

import random

from rigs.device_clock import DeviceClock

MS = 1_000_000


def test_before_anything_was_measured_nothing_is_known() -> None:
    clock = DeviceClock()
    assert clock.host_ns(5) is None
    assert clock.error_ns is None


def test_the_best_of_the_samples_counts_and_bounds_the_error() -> None:
    """The device's clock is 7 s behind; answers take unequal ways there and back."""
    clock, rng = DeviceClock(), random.Random(1)
    for i in range(50):
        asked = 10_000_000_000 + i * 20 * MS
        there, back = rng.randrange(MS // 10, 3 * MS), rng.randrange(MS // 10, 3 * MS)
        clock.sample((asked + there - 7_000_000_000) // 1000, asked, asked + there + back)
    messages = clock.host_ns(clock.unwrap(3_500_000))
    assert messages is not None
    assert clock.error_ns is not None
    assert abs(messages - 10_500_000_000) <= clock.error_ns + 1000
    assert clock.error_ns < MS


def test_time_goes_on_when_32_bits_are_full() -> None:
    clock = DeviceClock()
    assert clock.unwrap(2**32 - 10) == 2**32 - 10
    assert clock.unwrap(5) == 2**32 + 5
    assert clock.unwrap(2**32 - 3) == 2**32 - 3, "an answer that was overtaken is of before"
    assert clock.unwrap(7) == 2**32 + 7
