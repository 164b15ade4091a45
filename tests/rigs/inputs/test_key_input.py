"""An input that the operator switches: pulses, toggles, orders."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.patience import assert_below

import rigs
from rigs.inputs.key import KeyInput
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.contracts.inputs import EdgeCollector
from rt_pose.drivers import DriverContext, OperatedInput, make_input
from rt_pose.errors import UserError

rigs.register()


def make(context: DriverContext | None = None, name: str = "cue", **options: Any) -> KeyInput:
    made = make_input(name, "key", options, context or DriverContext(HostClock()))
    assert isinstance(made, KeyInput)
    return made


@pytest.fixture
def edges() -> EdgeCollector:
    return EdgeCollector()


@pytest.fixture
def pulse(edges: EdgeCollector) -> Iterator[KeyInput]:
    made = make(key="l", on_ms=100.0)
    made.open()
    made.start(edges)
    yield made
    made.close()


def test_a_press_is_a_pulse_from_the_moment_of_the_press(pulse: KeyInput, edges: EdgeCollector) -> None:
    def lasted_ns() -> int:
        t_ns = HostClock().now_ns()
        pulse.switch("press", t_ns)
        *_, on, off = edges.wait_for(len(edges.found) + 2)
        assert (on.input, on.on, on.t_ns) == ("cue", True, t_ns)
        assert not off.on
        assert off.t_ns - on.t_ns >= 100 * NS_PER_MS
        return off.t_ns - on.t_ns

    assert_below(200 * NS_PER_MS, lasted_ns)
    assert isinstance(pulse, OperatedInput)


def test_a_key_that_is_held_down_prolongs_the_pulse(pulse: KeyInput, edges: EdgeCollector) -> None:
    t_ns = HostClock().now_ns()
    for number in range(10):
        pulse.switch("press", t_ns + number * 30 * NS_PER_MS)
    on, off = edges.wait_for(2)
    assert off.t_ns - on.t_ns >= 350 * NS_PER_MS
    threading.Event().wait(0.15)
    assert len(edges.found) == 2


def test_each_press_of_a_toggle_changes_it(edges: EdgeCollector) -> None:
    line, clock = make(mode="toggle"), HostClock()
    assert "`rt-pose order input` changes it" in line.open().detail
    line.start(edges)
    for _ in range(3):
        line.switch("press", clock.now_ns())
    assert [edge.on for edge in edges.wait_for(3)] == [True, False, True]
    line.close()


def test_orders_say_on_and_off(pulse: KeyInput, edges: EdgeCollector) -> None:
    clock = HostClock()
    for order in ("on", "on", "off", "off", "on"):
        pulse.switch(order, clock.now_ns())
    assert [edge.on for edge in edges.wait_for(3)] == [True, False, True]
    threading.Event().wait(0.15)
    assert len(edges.found) == 3, "what an order turned on stays on"
    pulse.switch("press", clock.now_ns())
    assert not edges.wait_for(4)[3].on, "until a press makes a pulse of it"


def test_edges_are_in_order_of_time_whatever_the_stamps(pulse: KeyInput, edges: EdgeCollector) -> None:
    clock = HostClock()
    now_ns = clock.now_ns()
    for order, t_ns in (("on", now_ns + 10**12), ("off", now_ns - 10**9), ("on", now_ns)):
        pulse.switch(order, t_ns)  # type: ignore[arg-type]
    times = [edge.t_ns for edge in edges.wait_for(3)]
    assert times == sorted(times)
    assert times[-1] <= clock.now_ns()


def test_nothing_comes_before_the_start_or_after_the_stop(edges: EdgeCollector) -> None:
    line, clock = make(key="l"), HostClock()
    line.open()
    line.switch("on", clock.now_ns())
    line.start(edges)
    line.stop()
    line.switch("on", clock.now_ns())
    threading.Event().wait(0.05)
    assert not edges.found
    line.close()


def test_a_key_belongs_to_one_input() -> None:
    context = DriverContext(HostClock())
    assert make(context, key="l").open().key == "l"
    assert make(context, key="l").open().key == "l", "the same one may be opened again"
    with pytest.raises(UserError, match=r"inputs\.other\.options\.key: 'l' is the key of 'cue' already"):
        make(context, "other", key="l").open()
    assert make(context, "third").open().key == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"key": "lick"}, "key: expected one letter, digit or sign of ASCII, got 'lick'"),
        ({"key": "\x1b"}, "key: expected one letter"),
        ({"key": "ä"}, "key: expected one letter"),
        ({"key": " "}, "key: space and x are the emergency stop"),
        ({"key": "x"}, "key: space and x are the emergency stop"),
        ({"on_ms": 0.0}, "on_ms: expected 1 to 3600000, got 0"),
        ({"mode": "flip"}, "mode"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(
        UserError, match=rf"inputs\.cue\.options\.?{expected}|inputs\.cue\.options: {expected}"
    ):
        make(**options)
