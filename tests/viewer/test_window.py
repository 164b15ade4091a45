"""The window itself, without a screen, listening to the program's own publisher."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support.fake_publisher import HEIGHT, KEYPOINTS, WIDTH, ZONE, FakePublisher, body
from support.qt import QtCore, QtGui, QtTest, QtWidgets

from rt_pose.clock import FakeClock
from rt_pose.errors import UserError
from rt_pose.loop.control import Control, ControlSocket
from rt_pose.loop.curve import CurveServer
from rt_pose.viewer import style
from rt_pose.viewer.arena import Arena
from rt_pose.viewer.order_link import as_seen_from
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


def picture_of(window: ViewerWindow) -> Arena:
    """The first camera's."""
    found = window.grid.shown()[0]
    assert isinstance(found, Arena)
    return found


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
    assert window.notice == "waiting for tcp://127.0.0.1:9"
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
    arena = picture_of(window)
    until(lambda: len(arena.pose.ghost.data) > 0, window.refresh)
    points = arena.pose.points.data
    np.testing.assert_allclose(np.stack([points["x"], points["y"]], axis=-1), body(1.5), atol=1e-3)
    ghosts = arena.pose.ghost.data
    np.testing.assert_allclose(np.stack([ghosts["x"], ghosts["y"]], axis=-1), body(1.56)[:6], atol=1e-3)
    bones = arena.pose.bones[0].getData()[0]
    assert len(bones) == 2 * 6  # one of seven bones ends in the lost tail
    picture = arena.picture
    assert picture.mapRectToParent(picture.boundingRect()).getRect() == (-0.5, -0.5, WIDTH, HEIGHT)
    nose = body(1.5)[0]
    assert arena.describe(*nose).startswith("nose\n")
    assert arena.describe(*ZONE[:2]) == "corner: circle at 470, 150, radius 70 px"
    assert arena.describe(5.0, 5.0) == ""
    grabbed = arena.grab().toImage()
    for x, expected in ((40, 255), (WIDTH - 40, 0)):
        at = arena.view.mapViewToDevice(picture.mapToParent(x / 2, 20)).toPoint()
        assert grabbed.pixelColor(at).red() == expected


def test_switches_take_things_off_the_picture(
    window: ViewerWindow, fake: FakePublisher, until: Until
) -> None:
    fake.pose(1, 1.0)
    arena = picture_of(window)
    drawn = (arena.pose.points, arena.pose.ghost)
    until(lambda: all(len(item.data) == len(KEYPOINTS) for item in drawn), window.refresh)
    assert arena.pose.cov.getData()[0] is not None
    assert len(arena.pose.ghost.data) == len(KEYPOINTS)
    window.prediction_button.click()
    window.ellipse_button.click()
    window.names_button.click()
    assert arena.pose.cov.getData()[0] is None
    assert len(arena.pose.ghost.data) == 0
    assert arena.pose.show_names


def test_curves_and_ticks(window: ViewerWindow, fake: FakePublisher, clock: FakeClock, until: Until) -> None:
    for index in range(50):
        clock.advance_ms(10)
        fake.pose(index, index / 100, decision_ms=60.0)
    fake.event("corner-light", "fired", "")
    fake.event("dart-tone", "withheld", "control", blind=True)
    fake.event("dart-tone", "suppressed", "late")
    clock.advance_ms(100)
    fake.pose(50, 0.5)
    until(lambda: len(window.state.events) == 3 and 50 in window.state.cameras["top"].poses, window.refresh)
    window.choose_expressions("speed(hips); inside(nose, corner)")
    speed, inside, latency = window.side.traces.plots
    speed_t, values = speed.lines[0].getData()
    assert len(values) == 51
    expected = np.hypot(*(body(0.501)[5] - body(0.499)[5])) / 2e-3
    assert values[-1] == pytest.approx(expected, rel=1e-3)
    assert speed_t[0] == pytest.approx(-0.59)
    assert speed.title.text() == f"speed(hips)   {values[-1]:.0f} px/s"
    assert set(inside.lines[0].getData()[1]) <= {0.0, 1.0}
    assert latency.budget.isVisible()
    assert latency.budget.value() == 50.0
    assert "50 of 51 over 50 ms" in window.side.histogram.text()
    assert window.side.confidence.values == pytest.approx([0.9] * len(KEYPOINTS))
    corner, dart = window.side.rules.rows
    assert [outcome for _, outcome in corner.ticks] == ["fired"]
    assert [outcome for _, outcome in dart.ticks] == ["decided", "suppressed"]
    window.choose_expressions("sped(hips)")
    assert "unknown quantity 'sped'" in window.side.problem.text()
    assert speed.title.text().startswith("speed(hips)")


def test_stale_then_gone_then_a_new_session(
    window: ViewerWindow, fake: FakePublisher, clock: FakeClock, until: Until
) -> None:
    fake.stats(dropped=2, missed=1, armed=True)
    fake.pose(1, 1.0, exposed_ms_ago=30.0)
    until(lambda: window.state.pose_received_ns is not None, window.refresh)
    live = status(window, clock, 300)
    assert (live["link"], live["outputs"], live["age shown"]) == ("live", "ARMED", "330 ms")
    assert (live["rate"], live["dropped"], live["deadlines"]) == ("100.0 Hz", "2 frames", "1 missed")
    arena = picture_of(window)
    assert (arena.view.opacity(), arena.badge.isVisible()) == (1.0, False)
    stale = status(window, clock, 300)
    assert (stale["link"], stale["age shown"]) == ("stale", "630 ms stale")
    assert (arena.view.opacity() < 0.5, arena.badge.text()) == (True, "STALE 0.6 s")
    address = fake.address
    fake.close()
    assert status(window, clock, 3000)["link"] == "gone"
    assert "publisher is gone" in window.notice
    with FakePublisher(clock, "0190f1e2-7a3b-7c4d-8e5f-000000000002", address) as again:
        until(lambda: window.state.session[-1] == "2", lambda: (again.meta(["a"] * 7), window.refresh()))
        assert picture_of(window).pose.points.data.size == 0
        assert window.side.expression.currentText() == "speed(a)"
        again.pose(0, 0.0)
        until(lambda: window.state.pose_received_ns is not None, window.refresh)
        assert status(window, clock, 200)["link"] == "live"
        assert window.notice == ""


def test_missed_messages_are_counted(
    window: ViewerWindow, fake: FakePublisher, clock: FakeClock, until: Until
) -> None:
    fake.pose(0, 0.0)
    fake.publisher._seq["pose/top/"] += 5
    fake.pose(6, 0.1)
    until(lambda: 6 in window.state.cameras["top"].poses, window.refresh)
    assert status(window, clock, 200)["gaps"] == "5"


def test_all_cameras_are_shown_and_any_alone(qt_app: Any, clock: FakeClock, until: Until) -> None:
    with FakePublisher(clock, "s", cameras=("left", "right")) as fake:
        window = ViewerWindow(Subscription(fake.address), clock)
        window.show()
        until(lambda: window.cameras.count() == 3, lambda: (fake.meta(), window.refresh()))
        assert window.cameras.isVisible()
        fake.pose(1, 1.0, camera="left", individuals=2)
        fake.pose(1, 2.0, camera="right", individuals=2)
        until(lambda: window.state.cameras["right"].pose is not None, window.refresh)
        for name, t_s in (("left", 1.0), ("right", 2.0)):
            arena = window.grid.arenas[name]
            assert arena.isVisible()
            assert arena.caption.text() == name
            first = arena.pose.points.data["x"][:: len(KEYPOINTS)]
            np.testing.assert_allclose(first, [body(t_s)[0, 0], body(t_s + 1.3)[0, 0]], atol=1e-3)
            assert len(arena.pose.bones) == 2
        window.grid.arenas["right"].doubled.emit()
        assert [arena.caption.text() for arena in window.grid.shown()] == ["right"]
        assert window.camera == "right"
        window.cameras.setCurrentText("left")
        window.cameras.activated.emit(window.cameras.currentIndex())
        assert window.camera == "left"
        window.close()


def test_nothing_lies_on_anything_else_in_a_small_window(
    window: ViewerWindow, fake: FakePublisher, clock: FakeClock, until: Until
) -> None:
    rules = {f"a rule with a long name {i}": "inside(nose, corner)" for i in range(8)}

    def repaint() -> None:
        fake.meta(rules=rules)
        fake.stats(armed=False, emergency=True, output_faults={"laser": "gone"}, block="day", trial=2)
        fake.pose(1, 1.0)
        clock.advance_ms(250)
        window.refresh()

    until(lambda: len(window.side.rules.rows) == 8 and window.alert.isVisible(), repaint)
    for size in ((800, 600), (1280, 800)):
        window.resize(*size)
        QtWidgets.QApplication.processEvents()
        assert (window.width(), window.height()) == size
        frame = QtCore.QRect(0, 0, *size)
        shown = [
            *window.side.traces.plots,
            *(label.parentWidget() for label in window.strip.values.values()),
            *(window.side.histogram, window.side.confidence, window.alert, window.orders),
            picture_of(window),
            window.side.rules.parentWidget(),
        ]
        places = [QtCore.QRect(item.mapTo(window, QtCore.QPoint(0, 0)), item.size()) for item in shown]
        for i, place in enumerate(places):
            assert frame.contains(place), (size, shown[i])
            assert not any(place.intersects(other) for other in places[i + 1 :]), (size, shown[i])
    assert "EMERGENCY STOP" in window.alert.text()
    window.switch_palette()
    assert style.palette().name == "light"
    window.switch_palette()


def test_orders_are_given_and_their_answers_shown(
    window: ViewerWindow, fake: FakePublisher, clock: FakeClock, until: Until
) -> None:
    def check(do: str, args: dict[str, Any]) -> None:
        if do == "start":
            raise UserError("start: the run has started already")

    inbox: deque[Any] = deque()
    control = Control(ControlSocket("tcp://127.0.0.1:*"), inbox, dict, dict, lambda: 10, list, check=check)
    control.start()
    try:
        until(
            lambda: window.state.meta is not None and window.state.meta.control == control.address,
            lambda: (fake.meta(control=control.address), window.refresh()),
        )
        clock.advance_ms(250)
        window.refresh()
        buttons = window.orders.buttons
        assert all(button.isEnabled() for button in buttons.values())
        buttons["arm"].click()
        until(lambda: inbox, window.refresh)
        inbox[0].done.set()

        def repaint() -> None:
            fake.stats()  # it goes on
            status(window, clock, 250)

        until(lambda: window.answer.text() == "arm: done", repaint)
        window.orders.note.setText(" water given ")
        buttons["mark"].click()
        until(lambda: len(inbox) == 2, repaint)
        assert (inbox[1].do, inbox[1].args) == ("mark", {"text": "water given"})
        inbox[1].done.set()
        buttons["stop"].click()
        assert buttons["stop"].text() == "end the run?"
        assert len(inbox) == 2, "one click does not end a run"
        buttons["stop"].click()
        until(lambda: len(inbox) == 3, repaint)
        inbox[2].done.set()
        buttons["start"].click()
        until(lambda: window.answer.text() == "start: the run has started already", repaint)
    finally:
        control.stop()
    status(window, clock, 250)
    status(window, clock, 3000)
    assert not buttons["arm"].isEnabled(), "nobody is there"
    assert window.orders.emergency.isEnabled()


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
        window.orders.enable(reachable=True)
        window.orders.note.setFocus()
        QtTest.QTest.keyClick(window.orders.note, QtCore.Qt.Key.Key_Escape)  # also while a note is written
        assert window.notice.startswith("EMERGENCY STOP")  # sent, or answered already

        def shown(text: str) -> bool:
            return window.notice.startswith(text)

        def repaint() -> None:
            status(window, clock, 250)

        until(lambda: shown("EMERGENCY STOP: all outputs low, disarmed"), repaint)
        assert [order.do for order in control.inbox] == ["emergency"]
        unsafe.append("output 'laser': gone")
        window.orders.emergency.click()
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
    assert window.notice == "no emergency stop: no run is connected"
    window._link.send("emergency", "tcp://127.0.0.1:9")
    status(window, clock, 2500)
    assert window.notice == "EMERGENCY STOP was not answered: check that the lines are low"
    window._link.send("emergency", "nowhere")
    status(window, clock, 250)
    assert "could not be sent to nowhere" in window.notice
    window.close()


def test_an_emergency_stop_without_keys_names_the_file(qt_app: Any, clock: FakeClock) -> None:
    window = ViewerWindow(Subscription("tcp://127.0.0.1:9"), clock)
    window.show()
    window._link.send("emergency", "tcp://127.0.0.1:9")
    status(window, clock, 250)
    assert "EMERGENCY STOP could not be sent to tcp://127.0.0.1:9" in window.notice
    assert "control-9.json" in window.notice
    window.close()


def test_a_run_that_listens_on_every_interface_is_reached_where_it_publishes() -> None:
    assert as_seen_from("tcp://rig:5790", "tcp://0.0.0.0:5791") == "tcp://rig:5791"
    assert as_seen_from("tcp://rig:5790", "tcp://127.0.0.1:5791") == "tcp://127.0.0.1:5791"
    assert as_seen_from("ipc:///a", "ipc:///b") == "ipc:///b"


def test_another_machines_poses_want_keys() -> None:
    with pytest.raises(UserError, match=r"is another machine's and wants keys: give .* `--keys FILE`"):
        Subscription("tcp://192.0.2.1:5790")
