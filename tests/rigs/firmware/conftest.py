"""A box of one's own, and a bare link to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import serial

from rigs.firmware import protocol
from rigs.firmware.link import BoxLink
from rigs.firmware.simulate import SimulatedBox
from rt_pose.clock import HostClock


@pytest.fixture
def box() -> Iterator[SimulatedBox]:
    with SimulatedBox() as box:
        yield box


@pytest.fixture
def unasked() -> list[protocol.Message]:
    return []


@pytest.fixture
def link(box: SimulatedBox, unasked: list[protocol.Message]) -> Iterator[BoxLink]:
    port = serial.Serial(box.port, timeout=0.02, write_timeout=0.1)
    made = BoxLink(port, HostClock(), "test", lambda message, _: unasked.append(message))
    yield made
    made.close()
