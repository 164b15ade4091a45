"""Scrubbing through a session, and editing zones, with mouse and keyboard in real windows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import recorded_session as session
from support.qt import QtCore, QtTest, QtWidgets

from rt_pose.clock import FakeClock
from rt_pose.config.rules import ZoneConfig
from rt_pose.session.individuals import individual_colour
from rt_pose.viewer.backgrounds import picture_of_session
from rt_pose.viewer.raw_frame import raw_frame
from rt_pose.viewer.recording import open_recording
from rt_pose.viewer.session_window import LEAP, SessionWindow
from rt_pose.viewer.zone_file import ZoneFile
from rt_pose.viewer.zone_window import ZoneWindow

RIG = """\
cameras: {left: {driver: simulated}}
zones:
  # where the water is
  plate: {circle: [30.0, 20.0, 8.0]}  # by hand
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return session.write_recorded_session(tmp_path_factory.mktemp("scrub") / "session")


@pytest.fixture(scope="module")
def window(qt_app: Any, folder: Path) -> Iterator[SessionWindow]:
    window = SessionWindow(open_recording(folder), FakeClock(0), ["speed(nose)"])
    window.show()
    window.activateWindow()
    assert QtTest.QTest.qWaitForWindowActive(window)
    yield window
    window.close()


def press(window: SessionWindow, key: Any, shift: bool = False) -> None:
    held = QtCore.Qt.KeyboardModifier.ShiftModifier if shift else QtCore.Qt.KeyboardModifier.NoModifier
    QtTest.QTest.keyClick(window, key, held)


def test_keys_step_by_frame_and_by_event(window: SessionWindow) -> None:
    keys = QtCore.Qt.Key
    press(window, keys.Key_Home)
    for key, shift, place in (
        (keys.Key_Right, False, 1),
        (keys.Key_Right, True, 1 + LEAP),
        (keys.Key_Left, False, LEAP),
        (keys.Key_End, False, 2 * session.FRAMES - 1),
        (keys.Key_Right, False, 2 * session.FRAMES - 1),
        (keys.Key_Home, False, 0),
    ):
        press(window, key, shift)
        assert window.recording.frame_at(window.t_ns) == place
        assert window.slider.value() == place
    press(window, keys.Key_Down)
    assert window.t_ns == session.exposure(10)
    assert window.answer.text() == "visit of ada fired: acknowledged"
    assert window.grid.arenas["left"].lit == {"plate"}
    press(window, keys.Key_Down)
    assert "note: water given" in window.answer.text()
    press(window, keys.Key_Up)
    assert window.t_ns == session.exposure(10)


def test_slider_list_and_curve_go_to_a_time(window: SessionWindow) -> None:
    window.slider.setValue(60)
    assert window.t_ns == session.exposure(30)
    assert window.place.text().startswith("0.600 of 1.185 s   frame 61 of 120")
    left, right = window.grid.arenas["left"], window.grid.arenas["right"]
    assert left.pose.points.data["x"][0] == pytest.approx(session.keypoints(30)[0, 0, 0], abs=1e-3)
    assert right.pose.points.data["x"][0] == pytest.approx(session.keypoints(29)[0, 0, 0], abs=1e-3)
    plot = window.side.traces.plots[0]
    assert plot.title.text() == "speed(nose)   25 mm/s, 12.5 mm/s"
    assert plot.cursor_line.isVisible()
    (row,) = window.side.rules.rows
    assert [outcome for _, outcome in row.ticks] == ["fired", "withheld", "suppressed", "fired"]
    item = next(
        window.incidents.item(i)
        for i in range(window.incidents.count())
        if "refused" in window.incidents.item(i).text()
    )
    window.incidents.itemClicked.emit(item)
    assert window.t_ns == session.exposure(40)
    window.side.traces.chosen_time.emit(-0.2)
    assert window.t_ns == session.exposure(30)


def test_each_animal_has_its_colour_and_its_name(window: SessionWindow) -> None:
    window.show_time(session.exposure(session.BO_UNSURE[0]))
    pose = window.grid.arenas["left"].pose
    assert [label.toPlainText() for label in pose.labels] == ["ada", "bo 0.80"]
    colours = [brush.color().name() for brush in pose.points.data["brush"]]
    assert colours == [individual_colour(0)] * 2 + [individual_colour(1)] * 2
    assert "ada: nose" in window.grid.arenas["left"].describe(*session.keypoints(session.BO_UNSURE[0])[0, 0])
    window.show_time(session.exposure(session.BO_EMPTY[0]))
    assert [label.isVisible() for label in pose.labels] == [True, False]
    assert len(pose.points.data) == 2


def test_it_plays_at_the_pace_at_which_it_happened(window: SessionWindow) -> None:
    clock = window._clock
    assert isinstance(clock, FakeClock)
    window.show_frame(0)
    begun = window.t_ns
    window.play(on=True)
    for _ in range(4):
        clock.advance_ms(50)
        window.play_on()
    assert window.t_ns - begun == 200_000_000
    clock.advance_ms(10_000)
    window.play_on()
    assert window.t_ns == window.recording.t_ns[-1]
    assert not window.play_button.isChecked()


def test_a_zone_is_moved_drawn_and_saved_with_the_mouse(qt_app: Any, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(RIG, encoding="utf-8")
    assert picture_of_session(folder, "left").header.width == session.WIDTH
    picture = raw_frame(np.zeros((session.HEIGHT, session.WIDTH, 3), np.uint8))
    window = ZoneWindow(ZoneFile.read(str(path)), "left", picture)
    window.show()
    QtWidgets.QApplication.processEvents()
    canvas = window.canvas

    def drag(*places: tuple[float, float]) -> None:
        points = [canvas.mapFromScene(canvas.view.mapViewToScene(QtCore.QPointF(*p))) for p in places]
        viewport, left = canvas.viewport(), QtCore.Qt.MouseButton.LeftButton
        QtTest.QTest.mousePress(viewport, left, pos=points[0])
        for point in points[1:]:
            QtTest.QTest.mouseMove(viewport, point)
        QtTest.QTest.mouseRelease(viewport, left, pos=points[-1])

    drag((30.0, 24.0), (35.0, 25.0), (40.0, 34.0))
    moved = window.editor.zones["plate"].circle
    assert moved == pytest.approx([40.0, 30.0, 8.0], abs=0.3)
    assert window.changed
    window.tools["box"].click()
    drag((5.0, 5.0))
    drag((15.0, 12.0))
    assert window.editor.zones["box1"].box == pytest.approx([5.0, 5.0, 15.0, 12.0], abs=0.3)
    assert window.names.currentItem().text() == "box1"
    window.rename("feeder")
    window.save()
    assert (path.parent / "rig.yaml.bak").read_text(encoding="utf-8") == RIG
    text = path.read_text(encoding="utf-8")
    assert "# where the water is\n" in text
    assert "# by hand\n" in text
    assert ZoneFile.read(str(path)).config.zones == window.editor.zones
    assert not window.changed
    window.delete()
    window.undo()
    assert isinstance(window.editor.zones["feeder"], ZoneConfig)
    window.close()
