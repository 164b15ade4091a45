"""Which board is behind a port that drivers share. What the system lists cannot be had without boards."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from serial.tools import list_ports

import rigs
from rigs.firmware.simulate import SimulatedBox
from rt_pose.clock import HostClock
from rt_pose.drivers import DriverContext, make_input, make_output

rigs.register()
pytestmark = pytest.mark.alone  # the box answers in time, or the driver gives up


def plug(monkeypatch: pytest.MonkeyPatch, **paths: str) -> None:
    """Let the system list boards, the path of each by its serial number."""
    boards = [SimpleNamespace(serial_number=number, device=path) for number, path in paths.items()]
    monkeypatch.setattr(list_ports, "comports", lambda: boards)


def test_boards_that_come_back_at_each_others_paths_keep_their_outputs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SimulatedBox() as one, SimulatedBox() as two:
        plug(monkeypatch, A=one.port, B=two.port)
        context = DriverContext(HostClock())
        outputs: list[Any] = [make_output(n, "serial_ttl", {"serial": n}, context) for n in ("A", "B")]
        for output in outputs:
            output.open()
            output.close()
        plug(monkeypatch, A=two.port, B=one.port)
        details = [output.open().detail for output in outputs]
        assert details[0].endswith(f"at {two.port}")
        assert details[1].endswith(f"at {one.port}")
        for output in outputs:
            output.close()


def test_a_board_at_a_new_path_is_still_one_for_output_and_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The input names its path, the output its serial number; both are the same board, wherever it is."""
    with SimulatedBox() as box, SimulatedBox() as again:
        named = tmp_path / "box"
        named.symlink_to(box.port)
        plug(monkeypatch, A=box.port)
        context = DriverContext(HostClock())
        lick: Any = make_input("lick", "serial_ttl", {"port": str(named)}, context)
        output: Any = make_output("laser", "serial_ttl", {"serial": "A"}, context)
        lick.open()
        output.open()
        box.order("pull")
        plug(monkeypatch, A=again.port, C="/dev/none")
        output.close()
        for _ in range(500):  # until its reader has noticed
            if lick._shared._link.fault:
                break
            threading.Event().wait(0.01)
        assert output.open().detail.endswith(f"at {again.port}")
        assert lick._shared is output._port
        lick.close()
        output.close()
