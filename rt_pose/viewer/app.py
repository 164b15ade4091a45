"""`rt-pose view`: open a window, and say clearly why not where it cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rt_pose.clock import HostClock
from rt_pose.errors import UserError
from rt_pose.extras import need

if TYPE_CHECKING:
    from PySide6.QtWidgets import QMainWindow

THEMES = ("dark", "light")
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
        f"Qt cannot open a window ({screens}): is the screen there? On Debian or Ubuntu what Qt loads is "
        f"installed by `sudo apt install {QT_PACKAGES}`. Qt's last words: {messages.strip()}"
    )


@dataclass(frozen=True)
class ViewRequest:
    """What is to be shown: a run, a recorded session, or the zones of a configuration."""

    address: str
    """ZeroMQ address of the run's publisher, such as tcp://127.0.0.1:5790."""
    keys: Path | None = None
    """Key file of the run; None looks for it by the port of the control socket."""
    session: Path | None = None
    """Folder of a recorded session; None for the run."""
    zones: str = ""
    """Configuration whose zones are edited; empty for none."""
    camera: str = ""
    """Of the zones; empty for the first."""
    video: str = ""
    """Recording on whose first frame zones are drawn."""
    image: str = ""
    """Picture on which zones are drawn."""
    traces: Sequence[str] = ()
    """Expressions of the rules' language; the speed of the first keypoint where there is none."""
    theme: str = "dark"
    """`dark` or `light`."""


def main(view: ViewRequest) -> int:
    """Show what was asked for until the window is closed.

    Parameters
    ----------
    view
        What is shown.

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    UserError
        Where there is no screen, or what was asked for cannot be shown.
    """
    _check(view)
    problem = screen_problem()
    if problem is not None:
        raise UserError(f"view: {problem}")

    from rt_pose.viewer import style
    from rt_pose.viewer.show import show

    _give_way()

    def make() -> QMainWindow:
        style.use(view.theme)
        return _open(view)

    status, _ = show(make)
    return status


def _give_way() -> None:
    """Let a loop on this machine go first, also where a timer or a message wakes the window."""
    if hasattr(os, "nice"):
        os.nice(PAINTING_NICE)
    if hasattr(os, "SCHED_BATCH"):  # a batch process does not take the core from the loop as it wakes
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _check(view: ViewRequest) -> None:
    if view.theme not in THEMES:
        raise UserError(f"view: --theme: expected dark or light, got '{view.theme}'")
    for option, value in (("--camera", view.camera), ("--video", view.video), ("--image", view.image)):
        if value and not view.zones:
            raise UserError(f"view: {option} is of editing zones: give `--zones CONFIG.yaml`, too")
    if sum(map(bool, (view.session, view.video, view.image))) > 1:
        raise UserError("view: give one picture: a session, --video or --image")


def _open(view: ViewRequest) -> QMainWindow:
    from rt_pose.viewer.backgrounds import choose_camera, picture_of_file, picture_of_session
    from rt_pose.viewer.recording import open_recording
    from rt_pose.viewer.session_window import SessionWindow
    from rt_pose.viewer.subscribe import Subscription
    from rt_pose.viewer.window import ViewerWindow
    from rt_pose.viewer.zone_file import ZoneFile
    from rt_pose.viewer.zone_window import ZoneWindow

    if view.zones:
        file = ZoneFile.read(view.zones)
        camera = choose_camera(list(file.config.cameras), view.camera)
        picture = (
            picture_of_file(view.video, view.image)
            if view.session is None
            else picture_of_session(view.session, camera)
        )
        return ZoneWindow(file, camera, picture)
    if view.session is not None:
        return SessionWindow(open_recording(view.session), HostClock(), view.traces)
    return ViewerWindow(Subscription(view.address, view.keys), HostClock(), view.keys, view.traces)
