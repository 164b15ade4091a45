"""A Qt application without a screen, and a publisher for the window to listen to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.fake_publisher import FakePublisher

from rt_pose.clock import NS_PER_S, FakeClock, HostClock

ATTEMPTS = 3000
PAUSE_NS = 10_000_000


@pytest.fixture(scope="session")
def qt_app() -> Any:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from support.qt import QtWidgets

    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(["rt-pose"])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(100 * NS_PER_S)


@pytest.fixture
def fake(clock: FakeClock) -> Iterator[FakePublisher]:
    with FakePublisher(clock, "0190f1e2-7a3b-7c4d-8e5f-000000000001") as publisher:
        yield publisher


@pytest.fixture
def until() -> Callable[..., None]:
    """`until(condition, step)` steps until the condition holds: a socket needs a moment of real time."""

    def wait(condition: Callable[[], Any], step: Callable[[], Any]) -> None:
        host = HostClock()
        for _ in range(ATTEMPTS):
            step()
            if condition():
                return
            host.sleep_until_ns(host.now_ns() + PAUSE_NS)
        raise AssertionError("what was sent never came")

    return wait
