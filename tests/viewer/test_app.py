"""`main`: opens where it can, and says what to do where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import support.qt  # noqa: F401 - skips where Qt cannot be loaded

from rt_pose.errors import UserError
from rt_pose.viewer import ViewRequest, main, screen_problem

SHOW = """
import os, signal, sys
from rt_pose.viewer import app, window
class Eager(window.ViewerWindow):
    def showEvent(self, event):
        super().showEvent(event)
        print("batch" if os.sched_getscheduler(0) == os.SCHED_BATCH else "normal")
        os.kill(os.getpid(), signal.SIGINT)
window.ViewerWindow = Eager
sys.exit(app.main(app.ViewRequest(sys.argv[1])))
"""


def test_without_a_screen_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="no screen: neither DISPLAY"):
        main(ViewRequest("tcp://127.0.0.1:5790"))


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (ViewRequest("", theme="pink"), "--theme: expected dark or light, got 'pink'"),
        (ViewRequest("", camera="top"), "--camera is of editing zones"),
        (ViewRequest("", video="a.mp4"), "--video is of editing zones"),
        (ViewRequest("", zones="rig.yaml", video="a.mp4", image="a.png"), "give one picture"),
    ],
)
def test_what_does_not_go_together_is_said(request_: ViewRequest, why: str) -> None:
    with pytest.raises(UserError, match=why):
        main(request_)


def test_a_screen_that_does_not_answer_is_told_with_what_to_install() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    problem = screen_problem(environment | {"DISPLAY": ":987", "QT_QPA_PLATFORM": "xcb"})
    assert problem is not None
    assert "DISPLAY=:987" in problem
    assert "libxcb-cursor0" in problem


def test_offscreen_counts_as_a_screen() -> None:
    assert screen_problem(os.environ | {"QT_QPA_PLATFORM": "offscreen"}) is None


def test_ctrl_c_closes_the_window_in_peace() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", SHOW, "tcp://127.0.0.1:9"],
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout.strip() == "batch", "it gives way to a loop on this machine"
