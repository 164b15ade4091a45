"""`rt-pose view`: open the window, and say clearly why not where it cannot be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rt_pose.clock import HostClock
from rt_pose.errors import UserError
from rt_pose.extras import need

QT_PACKAGES = (
    "libegl1 libgl1 libglib2.0-0 libfontconfig1 libdbus-1-3 libxkbcommon-x11-0 libxcb-cursor0 "
    "libxcb-icccm4 libxcb-keysyms1 libxcb-shape0"
)
"""Debian packages that Qt loads and its wheel does not bring."""
PAINTING_NICE = 10
"""Where loop and window share a machine, the loop goes first."""
_TRY_QT = (
    "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "  # Qt aborts: leave no core file
    "from PySide6.QtWidgets import QApplication; QApplication([])"
)
_TRY_TIMEOUT_S = 30.0


def screen_problem(environment: Mapping[str, str] | None = None) -> str | None:
    """Find out why no window can be opened here.

    Qt ends the whole process where a library or the screen is missing, so another process tries first.

    Parameters
    ----------
    environment
        Environment variables; None for those of this process.

    Returns
    -------
    str | None
        The reason and what to do; None where a window can be opened.
    """
    if lack := need("viewer"):
        return f"it {lack}"
    environment = os.environ if environment is None else environment
    named = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(environment.get(name) for name in named):
        return (
            "no screen: neither DISPLAY nor WAYLAND_DISPLAY is set; run it on the desktop, "
            "over `ssh -X`, or under `xvfb-run`"
        )
    command = [sys.executable, "-c", _TRY_QT]
    try:
        tried = subprocess.run(
            command,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=_TRY_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the screen did not answer within {_TRY_TIMEOUT_S:g} s"
    if tried.returncode == 0:
        return None
    messages = next(
        (line for line in reversed(tried.stderr.splitlines()) if line.strip()), "Qt gave no reason"
    )
    screens = ", ".join(f"{name}={environment[name]}" for name in named if environment.get(name))
    return (
        f"Qt cannot open a window ({screens}): {messages.strip()}; check the screen, and on Debian or Ubuntu "
        f"that these are installed: {QT_PACKAGES}"
    )


def main(address: str, keys: Path | None = None) -> int:
    """Show what is published at an address until the window is closed.

    Parameters
    ----------
    address
        ZeroMQ address of the publisher, such as tcp://127.0.0.1:5790.
    keys
        Key file of the run; None looks for it by the port of the control socket.

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    UserError
        Where there is no screen, or `address` is not a ZeroMQ address.
    """
    problem = screen_problem()
    if problem is not None:
        raise UserError(f"view: {problem}")

    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from rt_pose.viewer.subscribe import Subscription
    from rt_pose.viewer.window import ViewerWindow

    if hasattr(os, "nice"):
        os.nice(PAINTING_NICE)
    app = QApplication.instance() or QApplication(["rt-pose"])
    window = ViewerWindow(Subscription(address, keys), HostClock(), keys)
    # Python's own handler would raise inside a Qt callback, where nothing catches it; closing at once could
    # take the socket away from under the code that was interrupted.
    previous = signal.signal(signal.SIGINT, lambda *_: QTimer.singleShot(0, window.close))
    try:
        window.show()
        return app.exec()
    finally:
        signal.signal(signal.SIGINT, previous)
        window.close()
