from __future__ import annotations

import pytest

from rigs.simulated.behaviour import Timing
from rigs.simulated.world import World
from rt_pose.clock import FakeClock
from rt_pose.drivers import DriverContext
from rt_pose.errors import UserError

TIMING = Timing(120.0, 800.0)


def test_drivers_that_name_the_same_world_share_it() -> None:
    context = DriverContext(FakeClock())
    assert World.of(context, "a") is World.of(context, "a")
    assert World.of(context, "a") is not World.of(context, "b")


def test_its_clock_starts_with_what_comes_first() -> None:
    clock, world = FakeClock(5_000_000), World("w")
    assert world.epoch_ns(clock) == 5_000_000
    clock.advance_ms(2.5)
    assert world.epoch_ns(clock) == 5_000_000
    assert world.now_us(clock) == 2500


def test_stimuli_are_answered_in_order() -> None:
    clock, world = FakeClock(), World("w")
    world.attach("top", 0, TIMING)
    world.epoch_ns(clock)
    for _ in range(3):
        clock.advance_ms(1500.0)
        world.stimulate(clock)
    assert world.reactions().starts_us == [1_620_000, 3_120_000, 4_620_000]


def test_the_first_camera_to_look_starts_it_anew() -> None:
    clock, world = FakeClock(), World("w")
    world.attach("top", 0, TIMING)
    world.stimulate(clock)
    world.attach("side", 0, TIMING)
    assert world.reactions().starts_us == [120_000]
    world.detach()
    world.detach()
    clock.advance_ms(50.0)
    world.attach("top", 1, TIMING)
    assert world.reactions().starts_us == []
    assert world.epoch_ns(clock) == clock.now_ns()


@pytest.mark.parametrize("other", [(1, TIMING), (0, Timing(200.0, 800.0))])
def test_two_cameras_must_see_the_same_animal(other: tuple[int, Timing]) -> None:
    world = World("w")
    world.attach("top", 0, TIMING)
    with pytest.raises(UserError, match=r"cameras\.side.*'w'"):
        world.attach("side", *other)
