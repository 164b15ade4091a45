"""Quantities with a memory: phase and amplitude of a rhythm, crossing of a line."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest

from rt_pose.rules.bind import bind
from rt_pose.rules.memory import LineCrossing, PhaseTracker, Signal, WindowMean
from rt_pose.rules.samples import StateSamples
from rt_pose.rules.zones import Line
from rt_pose.types import FloatArray, Track

RATE_HZ = 100.0


def samples_at(x: float, y: float = 0.0, t_s: float = 0.0, unseen_s: float = 0.0) -> StateSamples:
    made = StateSamples.of(np.array([[[x], [y], [0.0], [0.0]]]))
    made.t_s, made.unseen_s = t_s, [unseen_s]
    return made


def oscillation(frequency_hz: float = 8.0, at_least: float = 0.0) -> PhaseTracker:
    return PhaseTracker(Signal(lambda m: m.x[0], (0,)), frequency_hz, at_least)


def errors_deg(
    made: PhaseTracker, phase: FloatArray, signal: FloatArray, rate_hz: float, ahead_s: float = 0.0
) -> FloatArray:
    """Phase estimate minus truth after each sample, deg, asked `ahead_s` past it."""
    out = np.full(len(phase), np.nan)
    step = np.gradient(phase) * rate_hz
    for i, value in enumerate(signal):
        made.observe(samples_at(float(value), t_s=i / rate_hz))
        got = made.phase_deg(i / rate_hz + ahead_s)
        want = np.degrees(phase[i] + step[i] * ahead_s)
        out[i] = (got - want + 180.0) % 360.0 - 180.0
    return out


@pytest.mark.parametrize("rate_hz", [60.0, 100.0, 500.0])
@pytest.mark.parametrize("off", [0.75, 1.0, 1.3])
def test_phase_of_a_noisy_movement_whose_frequency_is_roughly_known(rate_hz: float, off: float) -> None:
    rng = np.random.default_rng(1)
    t = np.arange(int(6 * rate_hz)) / rate_hz
    phase = 2 * np.pi * 8.0 * off * t + 1.0
    signal = 200.0 + 30.0 * t + 6.0 * np.cos(phase) + rng.normal(0.0, 0.6, len(t))
    errors = errors_deg(oscillation(), phase, signal, rate_hz, ahead_s=0.010)[t > 2.0]
    assert abs(np.mean(errors)) < 8.0
    assert np.std(errors) < 12.0


def test_phase_of_a_movement_that_speeds_up() -> None:
    rng = np.random.default_rng(2)
    t = np.arange(600) / RATE_HZ
    frequency = 5.0 + 0.8 * t
    phase = 2 * np.pi * np.cumsum(frequency) / RATE_HZ
    signal = 8.0 * np.cos(phase) + rng.normal(0.0, 0.5, len(t))
    made = oscillation(7.0)
    errors = errors_deg(made, phase, signal, RATE_HZ)[t > 2.0]
    assert np.sqrt(np.mean(errors**2)) < 20.0
    assert made.frequency_hz == pytest.approx(frequency[-1], rel=0.1)


def test_amplitude_is_in_the_signals_unit_and_gates_the_phase() -> None:
    made = oscillation(at_least=3.0)
    for i in range(200):
        made.observe(samples_at(5.0 * math.cos(2 * math.pi * 8 * i / RATE_HZ), t_s=i / RATE_HZ))
    assert made.amplitude() == pytest.approx(5.0, rel=0.05)
    assert not math.isnan(made.phase_deg(2.0))
    for i in range(200, 300):
        made.observe(samples_at(0.4 * math.cos(2 * math.pi * 8 * i / RATE_HZ), t_s=i / RATE_HZ))
    assert made.amplitude() < 1.0
    assert math.isnan(made.phase_deg(3.0))


def test_scale_does_not_matter() -> None:
    t = np.arange(300) / RATE_HZ
    wave = np.cos(2 * np.pi * 8.0 * t)
    found = []
    for scale in (1e-3, 1.0, 1e3):
        made = oscillation()
        for time, value in zip(t, wave, strict=True):
            made.observe(samples_at(scale * float(value), t_s=float(time)))
        found.append(made.phase_deg(3.0))
    assert found == pytest.approx([found[0]] * 3)


def test_it_needs_cycles_to_settle_and_is_stale_after_one_without() -> None:
    made = oscillation(10.0)
    for i in range(100):
        made.observe(samples_at(math.cos(2 * math.pi * i / 10), t_s=i / RATE_HZ))
        if i != 15:  # a cycle and a half, but for rounding
            assert math.isnan(made.phase_deg(i / RATE_HZ)) == (i < 15)
    assert not math.isnan(made.phase_deg(0.99 + 0.09))
    assert math.isnan(made.phase_deg(0.99 + 0.11))
    made.observe(samples_at(math.nan, t_s=1.05))
    made.observe(samples_at(1.0, t_s=1.06, unseen_s=0.2))
    assert math.isnan(made.phase_deg(1.12))  # neither was a sight


def test_a_phase_in_a_rule() -> None:
    condition = bind("150 deg < phase(x(paw), 8 Hz, 2 px) < 210", ["paw"], {}, "r")
    evaluator = condition.evaluator(0)
    held = []
    for i in range(400):
        x = 50.0 + 5.0 * math.cos(2 * math.pi * 8 * i / RATE_HZ)
        t_ns = round(i / RATE_HZ * 1e9)
        track = Track(
            "cam",
            i,
            t_ns,
            np.array([[[x, 0.0]]]),
            np.zeros((1, 1, 2)),
            np.zeros((1, 1, 4, 4)),
            np.zeros((1, 1)),
            np.zeros((1, 1), bool),
        )
        evaluator.observe(track)
        evaluator.observe(track)  # the same frame twice changes nothing
        evaluator.set_track(track)
        held.append(evaluator.holds())
        assert evaluator.probability() == held[-1]
    cycles = np.flatnonzero(np.diff(np.array(held[200:], int)) == 1)
    assert len(cycles) == 16  # once in each of the last 2 s' cycles
    at = (200 + cycles + 1) / RATE_HZ * 8 % 1
    assert np.all((at > 0.38) & (at < 0.56))


GATE = Line(10.0, 0.0, 10.0, 20.0)  # downward on the screen: its right is where x is smaller


def walk(side: str, *places: tuple[float, float]) -> list[bool]:
    made = LineCrossing(0, GATE, side)
    held = []
    for x, y in places:
        held.append(bool(made.beyond(samples_at(x, y))[0] >= 0.0))
        made.observe(samples_at(x, y))
    return held


def test_crossing_holds_from_the_passage_until_the_return() -> None:
    places = [(5.0, 10.0), (9.0, 10.0), (11.0, 10.0), (15.0, 10.0), (12.0, 30.0), (8.0, 10.0), (12.0, 10.0)]
    assert walk("left", *places) == [False, False, True, True, True, False, True]
    assert walk("right", *places) == [False, False, False, False, False, True, False]


def test_around_the_end_is_no_crossing() -> None:
    assert walk("left", (5.0, 10.0), (5.0, 25.0), (15.0, 25.0), (15.0, 10.0)) == [False] * 4


def test_who_begins_beyond_has_not_crossed() -> None:
    assert walk("left", (15.0, 10.0), (16.0, 10.0)) == [False, False]


def test_nan_changes_nothing() -> None:
    assert walk("left", (5.0, 10.0), (math.nan, math.nan), (12.0, 10.0), (13.0, 10.0)) == [
        False,
        False,
        True,
        True,
    ]


def test_who_was_lost_has_crossed_nothing() -> None:
    """Seen again beyond the line: it may have gone around."""

    def crossed(across_losses: bool) -> bool:
        made = LineCrossing(0, GATE, "left", across_losses)
        for x, lost in ((5.0, False), (5.0, True), (12.0, False)):
            seen = samples_at(x, 10.0)
            seen.lost = [lost]
            made.observe(seen)
        return bool(made.beyond(samples_at(12.0, 10.0))[0] >= 0.0)

    assert (crossed(False), crossed(True)) == (False, True)


class Unread(deque[tuple[float, float]]):
    """A window that is too long to be looked at whole."""

    def __iter__(self) -> Iterator[tuple[float, float]]:
        raise AssertionError("the whole window was looked at")


def test_a_mean_is_that_of_its_whole_window_to_the_last_bit_without_a_look_at_it() -> None:
    """So that a minute at 200 frames a second costs no more than a tenth of a second."""
    rng = np.random.default_rng(3)
    values = rng.normal(0.0, 1.0, 3000) * 10.0 ** rng.integers(-320, 300, 3000)
    values[::7] = rng.normal(200.0, 30.0, len(values[::7]))
    made = WindowMean(Signal(lambda m: m.x[0], (0,)), 0.5)
    made._seen = Unread()
    times = np.arange(len(values)) / 200.0
    for i, (t_s, value) in enumerate(zip(times.tolist(), values.tolist(), strict=True)):
        made.observe(samples_at(value, t_s=t_s))
        inside = values[: i + 1][times[: i + 1] >= t_s - 0.5]
        if t_s > 0.5:
            assert made.mean() == math.fsum(inside) / len(inside)
        else:
            assert math.isnan(made.mean())


def test_a_mean_of_what_no_number_can_hold_is_infinite() -> None:
    made = WindowMean(Signal(lambda m: m.x[0], (0,)), 0.1)
    for i in range(30):
        made.observe(samples_at(-1.7e308, t_s=i / RATE_HZ))
    assert made.mean() == -math.inf
