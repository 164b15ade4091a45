"""A camera's ticks on the host's clock."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pytest
from numpy.typing import NDArray

from rigs.camera_clock import JUMP_NS, KEPT, RESIDUALS, CameraClock
from rt_pose.clock import NS_PER_MS, NS_PER_S

TICK_HZ = 125_000_000.0
SETTLED_S = 5.0
WITHIN_NS = NS_PER_MS // 5


@dataclass
class Camera:
    """A camera whose quartz drifts and whose frames are late by chance."""

    rate_hz: float = 60.0
    ppm: float = 50.0
    jitter_ms: float = 2.0
    spike_ms: float = 20.0
    spikes: float = 0.01
    constant_ns: int = 3 * NS_PER_MS
    """The fastest journey."""
    tick_hz: float = TICK_HZ
    first_ticks: int = 7_000_000_000
    start_ns: int = 5_000 * NS_PER_S

    def frames(self, seconds: float, seed: int) -> list[tuple[int, int, int]]:
        """(ticks, arrival, truth) of each frame; they arrive in order."""
        rng, found, newest_ns = random.Random(seed), [], 0
        for i in range(round(seconds * self.rate_hz)):
            truth_ns = self.start_ns + round(i / self.rate_hz * NS_PER_S)
            ticks = self.first_ticks + round(i / self.rate_hz * (1 + self.ppm * 1e-6) * self.tick_hz)
            late_ms = rng.uniform(0.0, self.jitter_ms)
            if rng.random() < self.spikes:
                late_ms += self.spike_ms
            newest_ns = max(newest_ns + 1000, truth_ns + self.constant_ns + round(late_ms * NS_PER_MS))
            found.append((ticks, newest_ns, truth_ns))
        return found


def mapped(clock: CameraClock, frames: list[tuple[int, int, int]]) -> tuple[NDArray[np.int64], ...]:
    """What the clock says of each frame, by how much that is too late, and the bound that it states."""
    given, errors, bounds = [], [], []
    for ticks, arrival_ns, truth_ns in frames:
        host_ns = clock.host_ns(ticks, arrival_ns)
        assert host_ns is not None
        given.append(host_ns)
        errors.append(host_ns - truth_ns)
        bounds.append(clock.error_ns)
    return np.array(given), np.array(errors), np.array(bounds)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ppm", [50.0, -50.0])
@pytest.mark.parametrize("rate_hz", [30.0, 60.0, 200.0])
def test_drift_jitter_and_spikes_stay_within_a_fifth_of_a_millisecond(
    seed: int, ppm: float, rate_hz: float
) -> None:
    camera = Camera(rate_hz, ppm)
    given, errors, _ = mapped(CameraClock(TICK_HZ), camera.frames(120.0, seed))
    settled = errors[round(SETTLED_S * rate_hz) :]
    constant = np.median(settled)  # what the loopback measures
    assert np.abs(settled - constant).max() <= WITHIN_NS
    assert abs(constant - camera.constant_ns) <= WITHIN_NS
    assert (np.diff(given) > 0).all()


@pytest.mark.parametrize("ppm", [190.0, -190.0, 0.0])
def test_any_quartz_is_followed(ppm: float) -> None:
    clock = CameraClock(TICK_HZ)
    _, errors, _ = mapped(clock, Camera(ppm=ppm).frames(120.0, 3))
    assert np.abs(errors[60 * 30 :] - np.median(errors[60 * 30 :])).max() <= WITHIN_NS
    assert clock.slope_ppm == pytest.approx(-ppm, abs=5.0)


@pytest.mark.parametrize("seed", range(20))
def test_the_stated_bound_holds_from_the_first_frame_on(seed: int) -> None:
    camera = Camera(rate_hz=60.0, ppm=random.Random(seed).uniform(-80, 80))
    _, errors, bounds = mapped(CameraClock(TICK_HZ), camera.frames(60.0, seed))
    beyond = np.abs(errors - camera.constant_ns) > bounds
    assert beyond.mean() <= 0.002
    assert bounds[0] >= 20 * NS_PER_MS, "one frame says little"
    assert bounds[60 * 30] < WITHIN_NS, "half a minute says much"


def test_a_first_frame_that_is_late_is_made_up_for_without_going_back() -> None:
    """Three frames waited in a buffer while the host was busy."""
    frames = Camera(rate_hz=200.0, jitter_ms=0.1, spikes=0.0).frames(2.0, 1)
    backlog_ns = frames[0][2] + 300 * NS_PER_MS
    frames = [(t, max(a, backlog_ns + i * 1000), truth) for i, (t, a, truth) in enumerate(frames)]
    clock = CameraClock(TICK_HZ)
    given, errors, bounds = mapped(clock, frames)
    assert (np.diff(given) > 0).all()
    assert (given <= [arrival for _, arrival, _ in frames]).all(), "nothing is exposed after its arrival"
    assert abs(errors[-1] - 3 * NS_PER_MS) < WITHIN_NS
    assert (np.abs(errors - 3 * NS_PER_MS)[70:] <= bounds[70:]).all()
    assert clock.resets == 0, "the device has done nothing"


def test_a_busy_host_moves_nothing() -> None:
    """For three seconds every frame is late; the line knows better."""
    frames = Camera(rate_hz=60.0).frames(60.0, 4)
    busy = [a + (30 * NS_PER_MS if 30 * 60 <= i < 33 * 60 else 0) for i, (_, a, _) in enumerate(frames)]
    in_order = accumulate(busy, max)
    frames = [(t, a, truth) for (t, _, truth), a in zip(frames, in_order, strict=True)]
    clock = CameraClock(TICK_HZ)
    given, errors, _ = mapped(clock, frames)
    assert np.abs(errors[600:] - np.median(errors[600:])).max() <= WITHIN_NS
    assert (np.diff(given) > 0).all()
    assert clock.resets == 0


@pytest.mark.parametrize("bits", [16, 32])
def test_ticks_that_wrap_are_unwrapped(bits: int) -> None:
    """At 1 MHz and 16 bits the count begins again every 65 ms: the arrival tells how often."""
    camera = Camera(rate_hz=50.0, tick_hz=1e6, jitter_ms=1.0, spikes=0.001)
    frames = [f for i, f in enumerate(camera.frames(60.0, 2)) if not 1000 <= i < 1100]  # two seconds are lost
    clock = CameraClock(1e6, tick_modulo=2**bits)
    given, errors, _ = mapped(clock, [(t % 2**bits, a, truth) for t, a, truth in frames])
    assert clock.resets == 0
    assert np.abs(errors[500:] - np.median(errors[500:])).max() <= WITHIN_NS
    assert (np.diff(given) > 0).all()


@pytest.mark.parametrize("set_to", [0, 3_000_000_000, 90_000_000_000])
def test_a_device_that_sets_its_clock_begins_anew(set_to: int) -> None:
    """Back to zero, back by some seconds, and far ahead."""
    camera = Camera()
    before = camera.frames(20.0, 1)
    later = Camera(first_ticks=set_to, start_ns=camera.start_ns + 20 * NS_PER_S)
    clock = CameraClock(TICK_HZ)
    mapped(clock, before)
    assert clock.resets == 0
    newest = clock.host_ns(*before[-1][:2]) or 0
    given, errors, bounds = mapped(clock, later.frames(60.0, 2))
    assert clock.resets == 1
    assert bounds[0] >= 20 * NS_PER_MS, "after the reset little is known again"
    assert (np.diff(given) > 0).all()
    assert given[0] > newest
    assert np.abs(errors[600:] - np.median(errors[600:])).max() <= WITHIN_NS


def test_a_clock_that_is_set_back_by_less_than_a_frame_is_noticed() -> None:
    """Ticks still rise, but all frames are late from then on."""
    frames = Camera(rate_hz=20.0).frames(60.0, 5)
    lost = round(0.04 * TICK_HZ)
    shifted = [(t - (lost if i >= 400 else 0), a, truth) for i, (t, a, truth) in enumerate(frames)]
    clock = CameraClock(TICK_HZ)
    _, errors, _ = mapped(clock, shifted)
    assert 0.04 * NS_PER_S > JUMP_NS
    assert clock.resets == 1
    assert np.abs(errors[700:] - np.median(errors[700:])).max() <= WITHIN_NS


def test_a_clock_that_stands_still_is_no_clock() -> None:
    clock = CameraClock(TICK_HZ)
    assert clock.host_ns(5, 100) == 100
    assert clock.host_ns(5, 200) is None
    assert clock.resets == 0


def test_nothing_grows_while_frames_come() -> None:
    frames = Camera(rate_hz=500.0).frames(100.0, 1)
    clock = CameraClock(TICK_HZ)
    for ticks, arrival_ns, _ in frames[:35_000]:
        clock.host_ns(ticks, arrival_ns)
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for ticks, arrival_ns, _ in frames[35_000:]:
        clock.host_ns(ticks, arrival_ns)
    grown = sum(s.size_diff for s in tracemalloc.take_snapshot().compare_to(before, "filename"))
    tracemalloc.stop()
    assert grown < 64_000
    assert len(clock.residuals_ns()) == RESIDUALS
    assert KEPT == 128
