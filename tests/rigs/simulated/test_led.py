"""The light in the simulated camera's view."""

from __future__ import annotations

import numpy as np
import pytest

import rigs
from rigs.cameras.simulated import SimulatedCamera
from rigs.outputs.simulated import SimulatedOutput, SimulatedOutputOptions
from rigs.simulated.led import KEPT, Led, LedOptions
from rigs.simulated.options import SimulatedOptions
from rt_pose.clock import NS_PER_MS, FakeClock
from rt_pose.drivers import DriverContext, make_camera
from rt_pose.errors import UserError
from rt_pose.types import Action, Command

MS = NS_PER_MS


def command(
    action: Action, *, amplitude: float = 1.0, ms: float = 0.0, period_ms: float = 0.0, count: int = 1
) -> Command:
    return Command(
        id=1,
        event_id=None,
        output="o",
        line=0,
        action=action,
        duration_us=round(ms * 1000),
        period_us=round(period_ms * 1000),
        count=count,
        amplitude=amplitude,
    )


def on_at(led: Led, *times_ms: float) -> list[bool]:
    return [led.is_on(round(t * MS)) for t in times_ms]


def test_a_pulse_shines_from_its_beginning_to_before_its_end() -> None:
    led = Led()
    led.take(command("pulse", ms=5), 10 * MS)
    assert on_at(led, 9.999, 10, 14.999, 15) == [False, True, True, False]


def test_a_train_flashes() -> None:
    led = Led()
    led.take(command("train", ms=2, period_ms=10, count=3), 0)
    assert on_at(led, 0, 1, 3, 10, 12, 21, 23, 30) == [True, True, False, True, False, True, False, False]


def test_a_level_shines_until_it_is_ended() -> None:
    led = Led()
    led.take(command("level"), 5 * MS)
    assert on_at(led, 4, 5, 1000) == [False, True, True]
    led.take(command("level", amplitude=0.0), 50 * MS)
    assert on_at(led, 49, 50, 1000) == [True, False, False]
    led.take(command("level", ms=10), 100 * MS)
    assert on_at(led, 109, 110) == [True, False]


def test_a_stop_and_a_safe_state_put_it_out() -> None:
    led = Led()
    led.take(command("pulse", ms=100), 0)
    led.take(command("stop"), 10 * MS)
    assert on_at(led, 9, 10) == [True, False]
    led.take(command("pulse", ms=100), 20 * MS)
    led.end(30 * MS)
    assert on_at(led, 29, 30) == [True, False]


def test_only_the_last_commands_are_kept() -> None:
    led = Led()
    for i in range(3 * KEPT):
        led.take(command("pulse", ms=1), i * 2 * MS)
    assert on_at(led, 2 * (3 * KEPT - 1), 0) == [True, False]


def test_frames_show_the_light_by_their_exposure_however_late_they_come() -> None:
    """The light goes on 7 ms after the command; at 100 frames a second every frame is 12 ms late."""
    clock = FakeClock()
    context = DriverContext(clock)
    options = SimulatedOptions(
        width=64, height=48, rate_hz=100.0, noise=0.0, light=0.0, led=LedOptions([10.0, 12.0], 3.0)
    )
    options.faults.late, options.faults.late_ms = 1.0, 12.0
    camera = SimulatedCamera("top", options, context)
    output = SimulatedOutput("led", SimulatedOutputOptions(delay_ms=7.0), context)
    camera.open()
    output.open()
    into = np.zeros((48, 64, 1), np.uint8)
    shown = []
    for i in range(12):
        stamps = camera.grab(into)
        assert stamps is not None
        if i == 4:
            begin = clock.now_ns()
            output.send(command("pulse", ms=20))  # its thread waits: here the clock moves by 7 ms
        shown.append((stamps.t_exposure_ns, bool(into[12, 10, 0] == 250)))
    camera.close()
    output.close()
    lit = [t for t, on in shown if on]
    assert lit
    assert all((begin + 7 * MS <= t < begin + 27 * MS) == on for t, on in shown)


def test_a_wrong_light_is_an_error() -> None:
    rigs.register()
    for led, text in (
        ({"xy": [1.0]}, "led: xy must be two numbers"),
        ({"radius_px": 0.0}, "led: radius_px must be between 0.5 and 1000"),
        ({"level": 300}, "led: level must be between 0 and 255"),
    ):
        with pytest.raises(UserError, match=text):
            make_camera("top", "simulated", {"led": led}, DriverContext(FakeClock()))


def test_a_light_beyond_the_frame_draws_what_is_within() -> None:
    into = np.zeros((10, 10, 3), np.uint8)
    LedOptions([-2.0, 4.0], 3.0, 200).draw(into)
    assert into[4, 0].tolist() == [200, 200, 200]
    assert into[4, 2].tolist() == [0, 0, 0]
    LedOptions([500.0, 4.0], 3.0, 200).draw(into)
    LedOptions([-500.0, -4.0], 3.0, 200).draw(into)
    assert (into > 0).sum() < 40
