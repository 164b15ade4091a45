"""Light on the simulated rig: it falls where the mirrors point, while it is on, and can be found there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import rigs
from rigs.simulated.galvo import place_of, px_to_volts
from rigs.simulated.path import ARENA
from rigs.simulated.scene import View
from rigs.simulated.world import World
from rt_pose.clock import NS_PER_MS, FakeClock
from rt_pose.drivers import Camera, DriverContext, Output, make_camera, make_output
from rt_pose.rules.homography import project
from rt_pose.session.aim_calibration import find_spot
from rt_pose.types import Command, FrameStamps

rigs.register()
VIEW = View(320, 256)


class Bench:
    """A camera and a galvo of one world, on a clock that only waiting moves."""

    def __init__(self, delay_ms: float = 4.0) -> None:
        context = DriverContext(FakeClock(now_ns=10**9), seed=3)
        self.clock = context.clock
        self.camera: Camera = make_camera("top", "simulated", {}, context)
        self.galvo: Output = make_output("galvo", "simulated", {"delay_ms": delay_ms}, context)
        self.camera.open()
        self.galvo.open()
        self.pixels = np.zeros((256, 320, 1), np.uint8)

    def grab(self) -> FrameStamps:
        stamps = self.camera.grab(self.pixels)
        assert stamps is not None
        return stamps

    def spot(self) -> tuple[float, float] | None:
        return find_spot(self.pixels, np.zeros_like(self.pixels), 250)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.camera.close()
    made.galvo.close()


def aim(x: float | None, y: float | None, duration_ms: float = 100.0) -> Command:
    return Command(1, None, "galvo", 0, "aim", duration_us=round(duration_ms * 1000), x=x, y=y)


def test_the_exact_calibration_is_the_inverse_of_the_mirrors() -> None:
    places = np.random.default_rng(0).uniform((0.0, 0.0), ARENA, (50, 2))
    volts = project(px_to_volts(VIEW), VIEW.pixels(places))
    assert np.array([place_of((x, y)) for x, y in volts.tolist()]) == pytest.approx(places, abs=1e-9)
    assert np.abs(volts).max() < 6.0


@pytest.mark.parametrize("volts", [(0.0, 0.0), (3.0, -2.0), (-3.5, 2.5)])
def test_a_spot_is_seen_where_the_mirrors_point(bench: Bench, volts: tuple[float, float]) -> None:
    bench.grab()
    assert bench.spot() is None
    assert bench.galvo.send(aim(*volts)).ok
    bench.grab()
    assert bench.spot() == pytest.approx(VIEW.pixels(np.array(place_of(volts))).tolist(), abs=0.5)


def test_it_is_seen_in_the_frames_exposed_while_it_is_on(bench: Bench) -> None:
    first = bench.grab()
    ack = bench.galvo.send(aim(1.0, 1.0, duration_ms=40.0))
    assert ack.t_sent_ns is not None
    lit_ns = ack.t_sent_ns + 4 * NS_PER_MS
    for _ in range(8):
        stamps = bench.grab()
        assert stamps.t_exposure_ns is not None
        assert stamps.t_exposure_ns > (first.t_exposure_ns or 0)
        on = lit_ns <= stamps.t_exposure_ns < lit_ns + 40 * NS_PER_MS
        assert (bench.spot() is not None) == on


def test_an_output_lights_one_place_at_a_time(bench: Bench) -> None:
    bench.grab()
    bench.galvo.send(aim(-3.0, 0.0))
    bench.galvo.send(aim(3.0, 0.0))
    bench.grab()
    assert bench.spot() == pytest.approx(VIEW.pixels(np.array(place_of((3.0, 0.0)))).tolist(), abs=0.5)


@pytest.mark.parametrize("how", ["safe", "stop"])
def test_the_safe_state_and_a_stop_put_it_out(bench: Bench, how: str) -> None:
    bench.grab()
    bench.galvo.send(aim(1.0, 1.0, duration_ms=10_000.0))
    bench.grab()
    assert bench.spot() is not None
    if how == "safe":
        bench.galvo.safe_state()
    else:
        assert bench.galvo.send(Command(2, None, "galvo", 0, "stop")).ok
    bench.grab()
    assert bench.spot() is None


def test_the_safe_state_before_any_light_does_not_start_the_world() -> None:
    context = DriverContext(FakeClock(now_ns=10**9))
    galvo = make_output("galvo", "simulated", {}, context)
    galvo.open()
    galvo.safe_state()
    world = World.of(context, "world")
    assert world._epoch_ns is None


@pytest.mark.parametrize(
    ("x", "y"),
    [(None, 1.0), (1.0, None), (10.5, 0.0), (0.0, -11.0), (float("nan"), 0.0), (float("inf"), 0.0)],
)
def test_what_the_mirrors_cannot_do_is_refused(bench: Bench, x: float | None, y: float | None) -> None:
    bench.grab()
    ack = bench.galvo.send(aim(x, y))
    assert not ack.ok
    assert "the mirrors turn within +-10 V" in ack.detail
    bench.grab()
    assert bench.spot() is None


def test_the_animal_feels_nothing_of_light(bench: Bench) -> None:
    bench.grab()
    bench.galvo.send(aim(1.0, 1.0))
    plain = Bench()
    plain.grab()
    for _ in range(30):
        at = bench.grab().index
        while plain.grab().index < at:
            pass
        ours, theirs = bench.camera.truth(at), plain.camera.truth(at)
        assert ours is not None
        assert theirs is not None
        assert np.array_equal(ours[0], theirs[0])
    plain.camera.close()
