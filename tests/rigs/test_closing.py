"""What is closed though its device holds on to it: ports that never drain, inputs that never return."""

from __future__ import annotations

import os
import termios
import threading
from collections.abc import Callable
from typing import Any

import pytest
import serial
from support.patience import PATIENCE_S

from rigs.firmware import protocol
from rigs.firmware.link import BoxLink
from rigs.harp import HarpLink
from rigs.input_thread import InputThread
from rigs.outputs.serial_json import SerialJson, SerialJsonOptions
from rt_pose.clock import HostClock
from rt_pose.drivers import DriverContext
from rt_pose.errors import UserError
from rt_pose.types import Edge

CLOCK = HostClock()


class StuckPort(serial.Serial):
    """A port whose device takes nothing, so that what was written waits; a flush would wait with it."""

    cleared = False

    @property
    def out_waiting(self) -> int:
        return 0 if self.cleared else 20

    def flush(self) -> None:
        threading.Event().wait()

    def reset_output_buffer(self) -> None:
        self.cleared = True
        raise termios.error(5, "Input/output error")


def json_board(port: Any) -> SerialJson:
    made = SerialJson("galvo", SerialJsonOptions(port="/dev/none"), DriverContext(CLOCK))
    made._port = port
    return made


CLOSERS: list[Callable[[Any], Callable[[], None]]] = [
    lambda port: lambda: BoxLink(port, CLOCK, "test", lambda *_: None).close(protocol.Safe(1)),
    lambda port: HarpLink(port, CLOCK, "test", lambda *_: None).close,
    lambda port: json_board(port).close,
]


def test_a_port_whose_device_is_stuck_is_closed_all_the_same() -> None:
    for closer in CLOSERS:
        device, host = os.openpty()
        port = StuckPort(os.ttyname(host), timeout=0.02, write_timeout=0.1)
        thread = threading.Thread(target=closer(port), daemon=True)
        thread.start()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert port.cleared, "or the system waits for it when the port is closed"
        assert not port.is_open
        os.close(device)
        os.close(host)


class HangingInput(InputThread):
    """Its device's library does not return until it is let go, and delivers then."""

    def __init__(self) -> None:
        super().__init__("lick")
        self.let_go = threading.Event()

    def _run(self, deliver: Callable[[Edge], None]) -> None:
        self.let_go.wait()
        deliver(Edge(self._name, True, 1))
        raise RuntimeError("its device was closed under it")


def test_an_input_that_hangs_does_not_hold_up_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rigs.input_thread.STOP_S", 0.02)
    line, edges = HangingInput(), list[Edge]()
    line.start(edges.append)
    thread = line._thread
    assert thread is not None
    line.stop()
    assert thread.is_alive()
    with pytest.raises(UserError, match=r"inputs\.lick: its device has not answered since it was stopped"):
        line.start(edges.append)
    line.let_go.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert edges == [], "nothing comes after stop"
