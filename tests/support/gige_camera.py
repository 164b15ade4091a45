"""The GigE Vision camera that Aravis simulates: a process of its own on the loopback interface."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = "arv-fake-gv-camera-0.8"
SERIAL = "RTP7"
GVCP_PORT = ":0F74"
"""As /proc/net/udp writes it."""


def why_no_aravis() -> str:
    """Why cameras cannot be reached through Aravis here; empty where they can."""
    try:
        import gi

        gi.require_version("Aravis", "0.8")
        from gi.repository import Aravis  # noqa: F401
    except (ImportError, ValueError) as error:
        return f"Aravis is not installed: {error}"
    return ""


def why_no_gige() -> str:
    """Why there is no simulated GigE camera here; empty where there is one."""
    return why_no_aravis() or ("" if shutil.which(PROGRAM) else f"{PROGRAM} is not installed (aravis-tools)")


class GigeCamera:
    """The simulated camera, which can be killed and started again."""

    def __init__(self, lost_per_thousand: int = 0) -> None:
        self._arguments = ["-i", "127.0.0.1", "-s", SERIAL, "-r", str(lost_per_thousand)]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Switch it on, and wait until it can be found."""
        program = shutil.which(PROGRAM)
        assert program is not None
        self._process = subprocess.Popen([program, *self._arguments], stdout=subprocess.DEVNULL)
        tick = threading.Event()
        for _ in range(3000):
            if GVCP_PORT in Path("/proc/net/udp").read_text():
                return
            assert self._process.poll() is None, "the simulated camera did not start"
            tick.wait(0.01)
        raise AssertionError("the simulated camera does not listen")

    def kill(self) -> None:
        """Pull its plug."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@contextmanager
def gige_camera(lost_per_thousand: int = 0) -> Iterator[GigeCamera]:
    """A simulated camera; there is one a machine, since its port is given by the standard."""
    program = shutil.which(PROGRAM)
    assert program is not None
    with open(program, "rb") as file:  # locked itself: temporary folders are each process's own
        fcntl.flock(file, fcntl.LOCK_EX)
        camera = GigeCamera(lost_per_thousand)
        try:
            yield camera
        finally:
            camera.kill()


def gige_options(**changes: Any) -> dict[str, Any]:
    """Options of the driver for it: frames small enough to come whole over the loopback interface."""
    values: dict[str, Any] = {"serial": SERIAL, "roi": [8, 4, 160, 128], "rate_hz": 50, "exposure_us": 2000}
    return values | changes


@contextmanager
def listed_once(serial: str = SERIAL) -> Iterator[None]:
    """Within the block Aravis searches the network, which takes it a second, only until it has found the
    camera of that serial number: it opens it from the list of then."""
    from gi.repository import Aravis

    search = Aravis.update_device_list

    def search_unless_listed() -> None:
        if serial not in [Aravis.get_device_serial_nbr(i) for i in range(Aravis.get_n_devices())]:
            search()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Aravis, "update_device_list", search_unless_listed)
        yield
