"""The window itself, without a screen, listening to the program's own publisher."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support.fake_publisher import HEIGHT, KEYPOINTS, WIDTH, FakePublisher, body
from support.qt import QtCore, QtGui, QtTest

from rt_pose.clock import FakeClock
from rt_pose.errors import UserError
from rt_pose.loop.control import Control, ControlSocket
from rt_pose.loop.curve import CurveServer
from rt_pose.viewer.emergency import as_seen_from
from rt_pose.viewer.subscribe import Subscription
from rt_pose.viewer.window import ViewerWindow

Until = Callable[..., None]


@pytest.fixture
def window(qt_app: Any, fake: FakePublisher, clock: FakeClock, until: Until) -> Iterator[ViewerWindow]:
    """Connected and shown: the first `meta` has come."""
    window = ViewerWindow(Subscription(fake.address), clock)
    window.show()
    until(lambda: window.state.meta is not None, lambda: (fake.meta(), window.refresh()))
    yield window
    window.close()


def cell(window: ViewerWindow, caption: str) -> str:
    document = QtGui.QTextDocument()
    document.setHtml(window.strip.values[caption].text())
    return document.toPlainText()


def status(window: ViewerWindow, clock: FakeClock, after_ms: float) -> dict[str, str]:
    clock.advance_ms(after_ms)
    window.refresh()
    return {caption: cell(window, caption) for caption in window.strip.values}


def test_without_a_publisher_it_says_what_it_waits_for(qt_app: Any, clock: FakeClock) -> None:
    window = ViewerWindow(Subscription("tcp://127.0.0.1:9"), clock)
    window.show()
    assert window.arena.notice.isVisible()
    assert window.arena.notice.text() == "waiting for tcp://127.0.0.1:9"
    assert cell(window, "link") == "waiting"
    window.close()


def test_frame_pose_and_prediction_are_drawn_where_they_are(
    window: ViewerWindow, fake: FakePublisher, until: Until
) -> None:
    image = np.zeros((HEIGHT // 2, WIDTH // 2), np.uint8)
    image[:, : WIDTH // 4] = 255
    fake.pose(3, 1.5, lost=6)
    fake.pose(4, 1.51)
    fake.frame(3, image, jpeg=False)
    until(lambda: window.state.cameras["top"].frame is not None, window.refresh)
    points = window.arena.points.data
    np.testing.assert_allclose(np.stack([points["x"], points["y"]], axis=-1), body(1.5), atol=1e-3)
    ghosts = window.arena.ghost.data
    np.testing.assert_allclose(np.stack([ghosts["x"], ghosts["y"]], axis=-1), body(1.56)[:6], atol=1e-3)
    bones = window.arena.bones.getData()[0]
    assert len(bones) == 2 * 6  # one of seven bones ends in the lost tail
    picture = window.arena.picture
    assert picture.mapRectToParent(picture.boundingRect()).getRect() == (-0.5, -0.5, WIDTH, HEIGHT)
    grabbed = window.arena.grab().toImage()
    for x, expected in ((40, 255), (WIDTH - 40, 0)):
        at = window.arena.view.mapViewToDevice(picture.mapToParent(x / 2, 20)).toPoint()
        assert grabbed.pixelColor(at).red() == expected


def test_switches_take_things_off_the_picture(
    window: ViewerWindow, fake: FakePublisher, until: Until
) -> None:
    fake.pose(1, 1.0)
    drawn = (window.arena.points, window.arena.ghost)
    until(lambda: all(len(item.data) == len(KEYPOINTS) for item in drawn), window.refresh)
    assert window.arena.cov.getData()[0] is not None
    assert len(window.arena.ghost.data) == len(KEYPOINTS)
    window.prediction_button.click()
    window.ellipse_button.click()
    window.names_button.click()
    assert window.arena.cov.getData()[0] is None
    assert len(window.arena.ghost.data) == 0
    assert window.arena.show_names


def test_curves_and_ticks(window: ViewerWindow, fake: FakePublisher, clock: FakeClock, until: Until) -> None:
    for index in range(50):
        clock.advance_ms(10)
        fake.pose(index, index / 100, decision_ms=60.0)
    fake.event("corner-light", "fired", "")
    fake.event("dart-tone", "withheld", "control")
    fake.event("dart-tone", "suppressed", "late")
    clock.advance_ms(100)
    fake.pose(50, 0.5)
    until(lambda: len(window.state.events) == 2 and 50 in window.state.cameras["top"].poses, window.refresh)
    window.keypoints.setCurrentIndex(KEYPOINTS.index("hips"))
    speed_t, speed = window.traces.speed.getData()
    assert len(speed) == 51
    expected = np.hypot(*(body(0.501)[5] - body(0.499)[5])) / 2e-3
    assert speed[-1] == pytest.approx(expected, rel=1e-3)
    assert speed_t[0] == pytest.approx(-0.59)
    assert window.traces.budget.isVisible()
    assert window.traces.budget.value() == 50.0
    assert len(window.traces.fired.getData()[0]) == 2
    assert len(window.traces.suppressed.getData()[0]) == 2


def test_stale_then_gone_then_a_new_session(
    window: ViewerWindow, fake: FakePublisher, clock: FakeClock, until: Until
) -> None:
    fake.stats(dropped=2, missed=1, armed=True)
    fake.pose(1, 1.0, exposed_ms_ago=30.0)
    until(lambda: window.state.pose_received_ns is not None, window.refresh)
    live = status(window, clock, 300)
    assert (live["link"], live["outputs"], live["age shown"]) == ("live", "ARMED", "330 ms")
    assert (live["rate"], live["dropped"], live["deadlines"]) == ("100.0 Hz", "2 frames", "1 missed")
    assert window.arena.view.opacity() == 1.0
    stale = status(window, clock, 300)
    assert (stale["link"], stale["age shown"]) == ("stale", "630 ms stale")
    assert window.arena.view.opacity() < 0.5
    address = fake.address
    fake.close()
    assert status(window, clock, 3000)["link"] == "gone"
    assert "publisher is gone" in window.arena.notice.text()
    with FakePublisher(clock, "0190f1e2-7a3b-7c4d-8e5f-000000000002", address) as again:
        until(lambda: window.state.session[-1] == "2", lambda: (again.meta(["a"] * 7), window.refresh()))
        assert window.arena.points.data.size == 0
        assert window.keypoints.itemText(0) == "a"
        again.pose(0, 0.0)
        until(lambda: window.state.pose_received_ns is not None, window.refresh)
        assert status(window, clock, 200)["link"] == "live"
        assert not window.arena.notice.isVisible()


def test_missed_messages_are_counted(
    window: ViewerWindow, fake: FakePublisher, clock: FakeClock, until: Until
) -> None:
    fake.pose(0, 0.0)
    fake.publisher._seq["pose/top/"] += 5
    fake.pose(6, 0.1)
    until(lambda: 6 in window.state.cameras["top"].poses, window.refresh)
    assert status(window, clock, 200)["gaps"] == "5"


def test_one_of_several_cameras_is_shown(qt_app: Any, clock: FakeClock, until: Until) -> None:
    with FakePublisher(clock, "s", cameras=("left", "right")) as fake:
        window = ViewerWindow(Subscription(fake.address), clock)
        window.show()
        until(lambda: window.cameras.count() == 2, lambda: (fake.meta(), window.refresh()))
        assert window.cameras.isVisible()
        fake.pose(1, 1.0, camera="left")
        fake.pose(1, 2.0, camera="right")
        until(lambda: window.state.cameras["right"].pose is not None, window.refresh)
        assert window.arena.points.data["x"][0] == pytest.approx(body(1.0)[0, 0], abs=1e-3)
        window.cameras.setCurrentText("right")
        assert window.arena.points.data["x"][0] == pytest.approx(body(2.0)[0, 0], abs=1e-3)
        window.close()


def test_escape_is_the_emergency_stop_of_the_run_that_is_shown(
    window: ViewerWindow, fake: FakePublisher, clock: FakeClock, until: Until
) -> None:
    unsafe: list[str] = []
    control = Control(ControlSocket("tcp://127.0.0.1:*"), deque(), dict, dict, lambda: 10, lambda: unsafe)
    control.start()
    try:
        until(
            lambda: window.state.meta is not None and window.state.meta.control == control.address,
            lambda: (fake.meta(control=control.address), window.refresh()),
        )
        window.activateWindow()  # a key goes to the window in front
        assert QtTest.QTest.qWaitForWindowActive(window)
        QtTest.QTest.keyClick(window, QtCore.Qt.Key.Key_Escape)
        assert window.arena.notice.text().startswith("EMERGENCY STOP")  # sent, or answered already

        def shown(text: str) -> bool:
            return window.arena.notice.text().startswith(text)

        def repaint() -> None:
            status(window, clock, 250)

        until(lambda: shown("EMERGENCY STOP: all outputs low, disarmed"), repaint)
        assert [order.do for order in control.inbox] == ["emergency"]
        unsafe.append("output 'laser': gone")
        window.stop_button.click()
        until(lambda: shown("EMERGENCY STOP: output 'laser': gone: check that the lines are low"), repaint)
        status(window, clock, 7000)
        assert not shown("EMERGENCY")
    finally:
        control.stop()


def test_an_emergency_stop_that_nobody_answers_is_said(qt_app: Any, clock: FakeClock, tmp_path: Path) -> None:
    server = CurveServer()
    keys = tmp_path / "keys.json"
    keys.write_bytes(msgspec.json.encode(server.client))
    server.close()
    window = ViewerWindow(Subscription("tcp://127.0.0.1:9"), clock, keys)
    window.show()
    window.stop_at_once()
    assert window.arena.notice.text() == "no emergency stop: no run is connected"
    window._emergency.request("tcp://127.0.0.1:9")
    status(window, clock, 2500)
    assert window.arena.notice.text() == "EMERGENCY STOP was not answered: check that the lines are low"
    window._emergency.request("nowhere")
    status(window, clock, 250)
    assert "could not be sent to nowhere" in window.arena.notice.text()
    window.close()


def test_an_emergency_stop_without_keys_names_the_file(qt_app: Any, clock: FakeClock) -> None:
    window = ViewerWindow(Subscription("tcp://127.0.0.1:9"), clock)
    window.show()
    window._emergency.request("tcp://127.0.0.1:9")
    status(window, clock, 250)
    assert "EMERGENCY STOP could not be sent to tcp://127.0.0.1:9" in window.arena.notice.text()
    assert "control-9.json" in window.arena.notice.text()
    window.close()


def test_a_run_that_listens_on_every_interface_is_reached_where_it_publishes() -> None:
    assert as_seen_from("tcp://rig:5790", "tcp://0.0.0.0:5791") == "tcp://rig:5791"
    assert as_seen_from("tcp://rig:5790", "tcp://127.0.0.1:5791") == "tcp://127.0.0.1:5791"
    assert as_seen_from("ipc:///a", "ipc:///b") == "ipc:///b"


def test_another_machines_poses_want_keys() -> None:
    with pytest.raises(UserError, match=r"is another machine's and wants keys: give .* `--keys FILE`"):
        Subscription("tcp://192.0.2.1:5790")
