"""NI cards: what is said where NI's driver is missing, and what goes to a card's tasks, with a stand-in.

Not run on a device. The stand-in shows which values are written to which line, nothing of NI's library.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import rigs
from rigs.outputs.nidaq import NidaqOutput
from rigs.serial_link import DeviceFault
from rt_pose import extras
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command

rigs.register()
nidaqmx = pytest.importorskip("nidaqmx", reason="nidaqmx is not installed: pip install 'rt-pose[nidaq]'")


def has_driver() -> bool:
    from nidaqmx.errors import DaqNotFoundError
    from nidaqmx.system import System

    try:
        list(System.local().devices)
    except DaqNotFoundError:
        return False
    return True


without_driver = pytest.mark.skipif(has_driver(), reason="NI's driver is installed here")


def make(**options: Any) -> NidaqOutput:
    made = make_output("shutter", "nidaq", options, DriverContext(HostClock()))
    assert isinstance(made, NidaqOutput)
    return made


def command(action: str = "level", line: int = 0, **changes: Any) -> Command:
    return Command(1, 1, "shutter", line, action, **changes)  # type: ignore[arg-type]


@without_driver
def test_without_nis_driver_the_remedy_is_named() -> None:
    (found,) = NidaqOutput.find()
    assert not found.usable
    assert "the NI-DAQmx driver is not installed" in found.remedy
    assert "sudo apt install ni-daqmx" in found.remedy
    with pytest.raises(UserError, match=r"outputs\.shutter: the NI-DAQmx driver is not installed: .*ni\.com"):
        make(device="Dev1").open()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "installed", lambda module: module != "nidaqmx")
    (found,) = NidaqOutput.find()
    assert found.remedy == "`pip install 'rt-pose[nidaq]'`"
    with pytest.raises(UserError, match=r"driver nidaq needs nidaqmx, which is not installed; `pip install"):
        make(device="Dev1").open()


class Task:
    """Stands in for a task of NI's library."""

    made: list[Task]
    log: list[tuple[int, str, Any]]
    """Every write of every task, with its time, ns."""
    fails = False

    def __init__(self) -> None:
        self.channel, self.written, self.closed, self.started = "", [], False, False
        self.do_channels = SimpleNamespace(add_do_chan=self._add)
        self.ao_channels = SimpleNamespace(add_ao_voltage_chan=lambda name, **limits: self._add(name))
        Task.made.append(self)

    def _add(self, name: str) -> None:
        self.channel = f"{self.channel} {name}".strip()

    def start(self) -> None:
        self.started = True

    def write(self, value: bool | float, auto_start: bool, timeout: float) -> None:
        if Task.fails and self.channel.endswith("line0"):
            raise nidaqmx.errors.DaqError("the device is gone", -200_220)
        assert self.started
        self.written.append(value)
        Task.log.append((HostClock().now_ns(), self.channel, value))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    cards = [
        SimpleNamespace(name="Dev1", serial_num=0x01A2B3C4, product_type="USB-6001"),
        SimpleNamespace(name="Dev2", serial_num=0x01A2B3C5, product_type="PCIe-6321"),
    ]
    Task.made, Task.log, Task.fails = [], [], False
    monkeypatch.setattr(nidaqmx, "Task", Task)
    monkeypatch.setattr("nidaqmx.system.System.local", lambda: SimpleNamespace(devices=cards))
    return Task.made


def test_cards_are_listed_by_their_serial_number(tasks: list[Task]) -> None:
    found = NidaqOutput.find()
    assert [(d.serial, d.usable) for d in found] == [("01A2B3C4", True), ("01A2B3C5", True)]
    assert found[0].description == "USB-6001, Dev1 (not run on a device yet)"


def test_levels_go_to_the_lines_as_bits_and_volts(tasks: list[Task]) -> None:
    output = make(serial="01a2b3c5", digital=["port0/line0", "port1/line3"], analog=["ao0", "ao1"], volts=4.0)
    info = output.open()
    assert [task.channel for task in tasks] == [
        "Dev2/port0/line0",
        "Dev2/port1/line3",
        "Dev2/ao0",
        "Dev2/ao1",
    ]
    assert [task.written for task in tasks] == [[False], [False], [0.0], [0.0]]
    assert (info.serial, info.lines, info.echoes) == ("01A2B3C5", 4, False)
    assert "no watchdog on the card" in info.detail
    assert output.send(command(line=1)).ok
    assert output.send(command(line=3, amplitude=0.25)).ok
    assert tasks[1].written[-1] is True
    assert tasks[3].written[-1] == 1.0
    refused = output.send(command(line=0, amplitude=0.5))
    assert refused.detail == "a digital line is high or low: leave `amplitude` out, or use one of `analog`"
    output.safe_state()
    assert [task.written[-1] for task in tasks] == [False, False, 0.0, 0.0]
    output.close()
    assert all(task.closed for task in tasks)


def test_an_aim_turns_both_mirrors_together_and_pulses_its_line(tasks: list[Task]) -> None:
    output = make(device="Dev1", mirrors=["ao0", "ao1"], mirror_volts=5.0, settle_ms=5.0)
    info = output.open()
    assert "aim" in info.actions
    assert info.delay_ms == 5.0
    assert "mirrors stand still after 5 ms" in info.detail
    line, mirrors = tasks
    assert mirrors.channel == "Dev1/ao0 Dev1/ao1"
    assert output.send(command()).ok, "its light is on"
    Task.log.clear()
    assert output.send(command("aim", duration_us=2000, x=1.25, y=-3.5)).ok
    (_, dark, low), (turned_ns, moved, place), (lit_ns, light, high) = Task.log[:3]
    assert (dark, moved, light) == (line.channel, mirrors.channel, line.channel)
    assert (low, place, high) == (False, [1.25, -3.5], True), "no light while the mirrors move"
    assert lit_ns - turned_ns >= 5 * NS_PER_MS
    assert mirrors.written == [[1.25, -3.5]]
    beyond = output.send(command("aim", duration_us=2000, x=5.5, y=0.0))
    assert not beyond.ok
    assert beyond.detail == "the mirrors take -5 to 5 V; got x 5.5, y 0.0"
    assert mirrors.written == [[1.25, -3.5]]
    output.close()
    assert mirrors.closed


def test_a_card_that_fails_is_a_fault_and_its_other_lines_go_low(tasks: list[Task]) -> None:
    output = make(device="Dev1", digital=["port0/line0", "port0/line1"])
    output.open()
    assert output.send(command(line=1)).ok
    Task.fails = True
    with pytest.raises(DeviceFault, match="the card cannot be written to: the device is gone"):
        output.send(command())
    with pytest.raises(DeviceFault):
        output.safe_state()
    assert tasks[1].written[-1] is False
    output.close()


def test_a_card_that_is_not_there(tasks: list[Task]) -> None:
    with pytest.raises(
        UserError, match=r"no card 'Dev3', did you mean 'Dev\d'\?; there are: Dev1 \(01A2B3C4\), Dev2"
    ):
        make(device="Dev3").open()
    with pytest.raises(UserError, match="no card '01A2B3C6', did you mean '01A2B3C"):
        make(serial="01A2B3C6").open()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "expected one of `serial` and `device`"),
        (
            {"device": "Dev1", "digital": []},
            "expected different lines in `digital` and `analog`, at least one",
        ),
        ({"device": "Dev1", "digital": ["a", "a"]}, "expected different lines"),
        ({"device": "Dev1", "mirrors": ["ao0"]}, "expected two analog outputs in `mirrors`"),
        ({"device": "Dev1", "mirrors": ["ao0", "ao1"], "analog": ["ao1"]}, "expected two analog outputs"),
        ({"device": "Dev1", "volts": 11.0}, "volts must be above 0 and at most 10, got 11"),
        ({"device": "Dev1", "delay_ms": 2000.0}, "delay_ms must be between 0 and 1000"),
        ({"device": "Dev1", "settle_ms": -1.0}, "settle_ms must be between 0 and 100, got -1"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=rf"outputs\.shutter\.options: {expected}"):
        make(**options)
