"""Every registered output driver passes the suite, each with its real part on the other side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest
from support.firmata_board import FirmataBoard
from support.harp_board import HarpBoard
from support.json_board import JsonBoard
from support.null_sink import CARD, null_sink
from support.patience import PATIENCE_S
from support.peers import OpenEphysServer, OscServer, Puller, UdpReceiver

import rigs
from rigs.firmware.simulate import SimulatedBox
from rt_pose.clock import HostClock
from rt_pose.contracts.outputs import (
    LATE_MS,
    IllOutputCase,
    IllOutputContract,
    OutputCase,
    OutputContract,
)
from rt_pose.drivers import DriverContext, make_output, outputs
from rt_pose.errors import UserError

rigs.register()


@contextmanager
def port_of(make: Any) -> Iterator[dict[str, Any]]:
    with make() as real:
        yield {"port": real.port}


@contextmanager
def puller() -> Iterator[dict[str, Any]]:
    with Puller() as peer:
        yield {"address": peer.address}


class SharedSink:
    """One sound server for all tests that need it, and as slow as it likes: to begin it takes seconds."""

    def __init__(self) -> None:
        self._open: ExitStack | None = None

    @contextmanager
    def __call__(self) -> Iterator[dict[str, Any]]:
        if self._open is None:
            with ExitStack() as stack:
                stack.enter_context(null_sink())
                patch = stack.enter_context(pytest.MonkeyPatch.context())
                for name in ("LEAST_PATIENCE_S", "RUNNING_WITHIN_S"):
                    patch.setattr(f"rigs.outputs.sound.{name}", PATIENCE_S)
                self._open = stack.pop_all()
        yield {}

    def close(self) -> None:
        if self._open is not None:
            self._open.close()


sink = SharedSink()


@pytest.fixture(scope="module", autouse=True)
def ended_sink() -> Iterator[None]:
    yield
    sink.close()


@contextmanager
def nothing(why: str) -> Iterator[dict[str, Any]]:
    pytest.skip(why)
    yield {}


# On a pseudo-terminal bytes take no time. The watchdog is the bench's business, not this suite's.
CASES = {
    "firmata": OutputCase(
        {"pins": [9], "pwm": [9], "delay_ms": 0.0, "answer_ms": 1000}, around=partial(port_of, FirmataBoard)
    ),
    "harp": OutputCase(
        {"delay_ms": 0.0, "watchdog_ms": 5000, "answer_ms": 4000},
        around=partial(port_of, HarpBoard),
        device_clock=True,
    ),
    "lsl": OutputCase({"stream": "contract-markers", "needs_recorder": False}),
    "nidaq": OutputCase(
        {"device": "Dev1"},
        around=partial(
            nothing, "not run on a device: NI's driver is not there (see tests/rigs/outputs/test_nidaq.py)"
        ),
    ),
    "open_ephys": OutputCase({"delay_ms": 0.0, "answer_ms": 4000}, around=partial(port_of, OpenEphysServer)),
    "osc": OutputCase({"preset": "open_ephys"}, around=partial(port_of, OscServer)),
    "serial_json": OutputCase({"delay_ms": 0.0, "answer_ms": 4000}, around=partial(port_of, JsonBoard)),
    "serial_ttl": OutputCase(
        {"delay_ms": 0.0, "watchdog_ms": 5000, "answer_ms": 4000},
        around=partial(port_of, SimulatedBox),
        device_clock=True,
    ),
    "simulated": OutputCase({"delay_ms": 2.0}, device_clock=True),
    "sound": OutputCase(
        {"device": CARD, "sounds": ["1000 Hz"], "latency_ms": 50.0},
        around=sink,
        refusals=frozenset({"made safe before it began to sound"}),
    ),
    "udp": OutputCase({}, around=partial(port_of, UdpReceiver)),
    "zmq_push": OutputCase({}, around=puller),
}


def ail_box(box: SimulatedBox, how: str) -> None:
    box.order({"unplugged": "pull", "late": f"late {LATE_MS:.0f}"}.get(how, how))


def ail_board(board: FirmataBoard | HarpBoard, how: str) -> None:
    if how == "unplugged":
        board.unplug()
    else:
        board.ail(how, LATE_MS if how == "late" else 0.0)


class TestOutputs(OutputContract):
    cases = CASES


@pytest.mark.alone  # the device answers in time, or the driver gives up
class TestIllOutputs(IllOutputContract):
    cases = {  # noqa: RUF012 - as the suite's documentation shows it
        "firmata": IllOutputCase({**CASES["firmata"].options, "answer_ms": 100}, FirmataBoard, ail_board),
        "harp": IllOutputCase({"delay_ms": 0.0, "watchdog_ms": 400, "answer_ms": 100}, HarpBoard, ail_board),
        "serial_ttl": IllOutputCase(
            {"delay_ms": 0.0, "watchdog_ms": 400, "answer_ms": 40}, SimulatedBox, ail_box
        ),
    }


def test_every_registered_driver_has_a_case() -> None:
    ours = {name for name, kind in outputs().items() if kind.__module__.startswith("rigs.")}
    assert set(CASES) == ours, "say in CASES of this file how each output driver is opened in tests"


def test_an_unknown_output_option_names_the_nearest() -> None:
    for driver in CASES:
        with pytest.raises(UserError, match=r"outputs\.laser\.options.*'delay', did you mean 'delay_ms'"):
            make_output("laser", driver, {"delay": 1.0}, DriverContext(HostClock()))


def test_an_unknown_output_driver_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"outputs\.laser.*'simulatd', did you mean 'simulated'"):
        make_output("laser", "simulatd", {}, DriverContext(HostClock()))


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(UserError, match="delay_ms must be between 0 and 1000, got -1"):
        make_output("laser", "simulated", {"delay_ms": -1.0}, DriverContext(HostClock()))
