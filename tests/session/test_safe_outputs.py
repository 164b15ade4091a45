"""Outputs made safe from outside, on the TTL box's own code."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.patience import PATIENCE_S

import rigs
from rigs.firmware.simulate import SimulatedBox
from rt_pose.clock import HostClock
from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.drivers import DriverContext, make_output
from rt_pose.session.safe_outputs import MOST_DEATHS, SafeStandby
from rt_pose.types import Command

HIGH = 65535
NO_WATCHDOG = {"watchdog_ms": 10_000, "answer_ms": 9_000}
"""So long that what is seen here is not the box's own doing."""


@pytest.fixture
def box() -> Iterator[SimulatedBox]:
    with SimulatedBox() as box:
        yield box


def config(*ports: str) -> RunConfig:
    outputs = {
        f"box{i}": OutputConfig("serial_ttl", {"port": port, **NO_WATCHDOG}) for i, port in enumerate(ports)
    }
    return RunConfig(outputs=outputs)


def leave_high(box: SimulatedBox) -> None:
    """As a process leaves it that dies: the line high, the port free."""
    rigs.register()
    output = make_output("box", "serial_ttl", {"port": box.port, **NO_WATCHDOG}, DriverContext(HostClock()))
    output.open()
    assert output.send(Command(1, None, "box", 0, "level")).ok
    # Closing the file under it: no last word reaches the box.
    link: Any = output._link  # type: ignore[attr-defined]
    os.close(link._serial.fd)
    link._closing.set()
    link._reader.join()
    link._serial.fd = None  # by then the number may be another's, which would be closed with it
    link._serial.close()
    # The box acknowledges at once; what it did is read by a thread of its own.
    edge = box.wait_for(0, high=True)
    assert edge is not None
    assert edge.level == HIGH


def test_every_output_is_made_safe_and_what_failed_is_named(box: SimulatedBox) -> None:
    standby = SafeStandby(config("/dev/none", box.port), rigs.register, None)
    leave_high(box)
    # A box that is slow in confirming, where others have the processor, is low all the same.
    (problem,) = [text for text in standby.make_safe() if "did not confirm its safe state" not in text]
    assert problem.startswith("an output may not be in its safe state: outputs.box0: the port /dev/none")
    assert box.wait_for(0, high=False) is not None
    standby.close()


def test_one_that_does_not_answer_keeps_no_other_line_high(box: SimulatedBox) -> None:
    """It is the first of both, and waited for by four seconds."""
    ours, theirs = pty.openpty()
    try:
        standby = SafeStandby(config(os.ttyname(theirs), box.port), rigs.register, None)
        leave_high(box)
        found: list[str] = []
        asking = threading.Thread(target=lambda: found.extend(standby.make_safe()))
        asking.start()
        assert box.wait_for(0, high=False, timeout_s=3.5) is not None
        asking.join(PATIENCE_S)
        assert "outputs.box0" in found[0]
    finally:
        os.close(ours)
        os.close(theirs)


def test_without_outputs_there_is_nothing_to_do() -> None:
    standby = SafeStandby(config(), rigs.register, None)
    assert standby.make_safe() == []
    standby.close()


def test_closed_it_leaves_the_outputs_alone(box: SimulatedBox) -> None:
    standby = SafeStandby(config(box.port), rigs.register, None)
    standby.close()
    leave_high(box)
    assert box.wait_for(0, high=False, timeout_s=0.3) is None


def test_where_the_supervisor_dies_it_waits_for_the_loop_and_acts_by_itself(box: SimulatedBox) -> None:
    """The supervisor is a process of its own here, and so is what stands for the loop."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as loop:
        code = (
            "import os, sys, rigs; from rt_pose.session.safe_outputs import SafeStandby\n"
            "from rt_pose.config.schema import *\n"
            "if __name__ == '__main__':\n"
            f"    SafeStandby({config(box.port)!r}, rigs.register, {loop.pid})\n"
            "    os.kill(os.getpid(), 9)\n"
        )
        subprocess.run([sys.executable, "-c", code], check=False)
        leave_high(box)
        assert box.wait_for(0, high=False, timeout_s=2.0) is None, "the loop lives and holds its ports"
        loop.communicate(b"\n")
    assert box.wait_for(0, high=False) is not None


def test_one_that_died_is_told_and_another_takes_its_place(box: SimulatedBox) -> None:
    standby = SafeStandby(config(box.port), rigs.register, None)
    leave_high(box)
    assert list(standby.news()) == []
    kill(standby)
    (message,) = standby.news()
    assert message.endswith("stands by for safe outputs died (exit code -9); another one was started")
    assert list(standby.news()) == []
    kill(standby)  # together with the loop: nobody has noticed when it is needed
    assert standby.make_safe() == []
    assert box.wait_for(0, high=False) is not None


def test_one_that_dies_again_and_again_is_not_replaced_for_ever(box: SimulatedBox) -> None:
    standby = SafeStandby(config(box.port), rigs.register, None)
    told = []
    for _ in range(MOST_DEATHS + 2):
        kill(standby)
        told.extend(standby.news())
    standby.close()
    assert len(told) == MOST_DEATHS + 1
    assert "nothing makes outputs safe" in told[-1]


def kill(standby: SafeStandby) -> None:
    standby._process.kill()
    standby._process.join()
