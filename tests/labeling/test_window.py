"""The window itself: clicks, keys, and what they leave in the files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.labeled_folder import KEYPOINTS
from support.qt import QtCore, QtGui, QtTest

from rt_pose.clock import FakeClock
from rt_pose.labeling.frame_labels import Mark
from rt_pose.labeling.prepare import LabelOptions, prepare
from rt_pose.labeling.window import LabelWindow
from rt_pose.viewer import screen_problem, style
from train.data.labels import read_labels

Qt = QtCore.Qt
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NOTHING = Qt.KeyboardModifier.NoModifier
BONES = [["large", "small"]]


def opened(options: LabelOptions) -> LabelWindow:
    window = LabelWindow(prepare(options, FakeClock()))
    window.show()
    assert QtTest.QTest.qWaitForWindowExposed(window)
    window.canvas.fit()
    return window


@pytest.fixture
def window(qt_app: Any, discs_video: Path, tmp_path: Path) -> Iterator[LabelWindow]:
    options = LabelOptions(
        tmp_path / "f",
        [discs_video],
        frames=3,
        keypoints=KEYPOINTS,
        skeleton=[["large", "small"]],
        scorer="anna",
    )
    window = opened(options)
    yield window
    window.close()


@pytest.fixture
def of_three(qt_app: Any, discs_video: Path, tmp_path: Path) -> Iterator[LabelWindow]:
    """Two frames of three animals of two keypoints."""
    options = LabelOptions(
        tmp_path / "f",
        [discs_video],
        frames=2,
        keypoints=["nose", "tail"],
        individuals=["ann", "bob", "cid"],
        skeleton=[["nose", "tail"]],
        scorer="anna",
    )
    window = opened(options)
    yield window
    window.close()


def at(window: LabelWindow, x: float, y: float) -> QtCore.QPoint:
    return window.canvas.screen_point(x, y).toPoint()


def click(window: LabelWindow, x: float, y: float, button: Qt.MouseButton = LEFT) -> None:
    none = Qt.KeyboardModifier.NoModifier
    QtTest.QTest.mouseClick(window.canvas.viewport(), button, none, at(window, x, y))


def drag(
    window: LabelWindow, start: QtCore.QPoint, end: QtCore.QPoint, button: Qt.MouseButton = LEFT
) -> None:
    none, pane = Qt.KeyboardModifier.NoModifier, window.canvas.viewport()
    QtTest.QTest.mousePress(pane, button, none, start)
    for share in (0.3, 0.7, 1.0):
        point = start + (end - start) * share
        event = QtGui.QMouseEvent(
            QtCore.QEvent.Type.MouseMove,
            QtCore.QPointF(point),
            QtCore.QPointF(pane.mapToGlobal(point)),
            button,
            button,
            none,
        )
        QtCore.QCoreApplication.sendEvent(pane, event)
    QtTest.QTest.mouseRelease(pane, button, none, end)


def key(
    window: LabelWindow, code: Qt.Key, held: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    QtTest.QTest.keyClick(window, code, held)


def test_a_frame_is_labeled_with_a_click_each_and_one_key(window: LabelWindow) -> None:
    editor, folder = window.editor, window.labeling.opened.folder
    first = editor.name
    for x, y in ((30, 40), (31, 41), (80, 20)):  # two of them close by: no double click, no drag
        click(window, x, y)
    np.testing.assert_allclose(editor.labels.xy, [[30, 40], [31, 41], [80, 20]], atol=0.2)
    assert len(window.canvas.bones[0].getData()[0]) == 2
    key(window, Qt.Key.Key_Space)
    assert (editor.index, window.clicks, window.keys) == (1, 3, 1)
    assert "2 of 3; 2 open" in window.frame_label.text()
    assert "1 now, with 3 clicks and 1 keys: 4.0 a frame" in window.summary()
    frames = read_labels(folder, "")  # written already
    assert frames.names == [first]
    np.testing.assert_allclose(frames.xy[0], [[30, 40], [31, 41], [80, 20]], atol=0.2)


def test_it_says_that_no_frame_is_open_any_more(window: LabelWindow) -> None:
    for left in ("3 open", "2 open", "1 open"):
        assert window.frame_label.text().endswith(left)
        key(window, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
        key(window, Qt.Key.Key_Space)
    assert window.frame_label.text().endswith("3 of 3; none is open any more: close the window")


def test_mouse_and_keys_do_what_they_say(window: LabelWindow) -> None:
    editor = window.editor
    click(window, 30, 40)
    drag(window, at(window, 30, 40), at(window, 50, 60))
    np.testing.assert_allclose(editor.labels.xy[0], [50, 60], atol=0.2)
    assert editor.cursor == 0
    key(window, Qt.Key.Key_Tab)
    assert window.keypoint_list.currentRow() == 1
    click(window, 0, 0, RIGHT)
    assert editor.labels.marks.tolist() == [Mark.PLACED, Mark.ABSENT, Mark.OPEN]
    assert window.keypoint_list.item(1).text().endswith("not visible")
    key(window, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    x, y = editor.labels.xy[2]
    assert (x, y) == pytest.approx((window.canvas.middle[0] + 10, window.canvas.middle[1]), abs=0.01)
    key(window, Qt.Key.Key_O)
    assert "no column 'visible'" in window.message.text()
    key(window, Qt.Key.Key_Delete)
    assert editor.labels.marks[2] == Mark.OPEN
    key(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert editor.labels.marks[2] == Mark.PLACED
    key(window, Qt.Key.Key_PageDown)
    key(window, Qt.Key.Key_C)
    assert editor.labels.marks.tolist() == [Mark.PROPOSED, Mark.OPEN, Mark.PROPOSED]
    key(window, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    assert editor.labels.marks.tolist() == [Mark.ABSENT] * 3
    key(window, Qt.Key.Key_PageUp)
    assert editor.index == 0
    key(window, Qt.Key.Key_F5)
    assert window.keys == 9


def test_the_picture_is_zoomed_moved_and_brightened(window: LabelWindow) -> None:
    canvas = window.canvas
    whole = canvas.view.viewRect()
    assert whole.width() >= 120
    assert whole.height() >= 90
    key(window, Qt.Key.Key_Plus)
    assert canvas.view.viewRect().width() == pytest.approx(whole.width() / 1.2)
    before = canvas.view.viewRect().center()
    drag(window, at(window, 60, 45), at(window, 50, 45), RIGHT)
    assert canvas.view.viewRect().center().x() == pytest.approx(before.x() + 10, abs=0.5)
    assert window.editor.labels.marks[0] == Mark.OPEN  # panning marks nothing
    click(window, 20, 30)
    np.testing.assert_allclose(window.editor.labels.xy[0], [20, 30], atol=0.2)
    key(window, Qt.Key.Key_F)
    assert canvas.view.viewRect().width() == pytest.approx(whole.width())
    level = canvas.picture.pixmap().toImage().pixelColor(5, 5).red()
    key(window, Qt.Key.Key_BracketRight)
    assert canvas.picture.pixmap().toImage().pixelColor(5, 5).red() > level
    assert window.brightness.value() == 1


def test_what_cannot_be_written_is_said_and_kept(window: LabelWindow) -> None:
    click(window, 30, 40)
    folder = window.labeling.opened.folder / window.editor.name
    blocked = folder.parent / "CollectedData_anna.csv.part"
    blocked.mkdir()
    key(window, Qt.Key.Key_PageDown)
    assert window.message.text().startswith("not written: ")
    assert window.editor.index == 0
    assert not window.close()
    assert "close once more to lose the last changes" in window.message.text()
    blocked.rmdir()
    key(window, Qt.Key.Key_PageDown)
    assert (window.editor.index, window.message.text()) == (1, "")


def rows_of(window: LabelWindow) -> list[str]:
    assert window.animal_list is not None
    return [window.animal_list.item(i).text() for i in range(window.animal_list.count())]


def test_several_animals_take_a_click_for_each_keypoint_and_one_key(of_three: LabelWindow) -> None:
    window, editor = of_three, of_three.editor
    assert rows_of(window) == ["1  ann   2 open", "2  bob   2 open", "3  cid   2 open"]
    for x in (20, 40, 60, 80):
        click(window, x, 30)
    assert editor.group.name == "cid"
    key(window, Qt.Key.Key_Delete, Qt.KeyboardModifier.ShiftModifier)
    assert rows_of(window) == ["1  ann   2 placed", "2  bob   2 placed", "3  cid   not in the frame"]
    colors = [point.brush().color().name() for point in window.canvas.points.points()]
    assert colors == [style.individual_color(i).name() for i in (0, 0, 1, 1)]
    assert [len(bones.getData()[0]) for bones in window.canvas.bones] == [2, 2, 0]
    assert [name.isVisible() for name in window.canvas.animal_names] == [True, True, False]
    key(window, Qt.Key.Key_Space)
    assert (editor.index, window.clicks, window.keys) == (1, 4, 2)
    frames = read_labels(window.labeling.opened.folder, "", several=True)  # written already
    assert (frames.animals, frames.keypoints) == (["ann", "bob", "cid"], ["nose", "tail"])
    np.testing.assert_allclose(frames.xy[0, :, :, 0], [[20, 40], [60, 80], [np.nan] * 2], atol=0.2)


def test_keys_choose_exchange_and_copy_animals(of_three: LabelWindow) -> None:
    window, editor = of_three, of_three.editor
    shift = Qt.KeyboardModifier.ShiftModifier
    key(window, Qt.Key.Key_2)
    click(window, 60, 30)
    key(window, Qt.Key.Key_A)
    assert editor.group.name == "cid"
    key(window, Qt.Key.Key_A, shift)
    assert (editor.group.name, window.keypoint_list.currentRow()) == ("bob", 1)
    click(window, 80, 30)
    key(window, Qt.Key.Key_1)
    drag(window, at(window, 60, 30), at(window, 50, 30))  # whose point is moved is the current one
    assert (editor.group.name, editor.cursor) == ("bob", 2)
    key(window, Qt.Key.Key_X)
    assert window.message.text().startswith("exchange bob with: a number")
    key(window, Qt.Key.Key_3)
    np.testing.assert_allclose(editor.labels.xy[4:, 0], [50, 80], atol=0.2)
    assert editor.labels.marks.tolist() == [*[Mark.OPEN] * 4, *[Mark.PLACED] * 2]
    key(window, Qt.Key.Key_X)
    key(window, Qt.Key.Key_X)
    key(window, Qt.Key.Key_3)  # with none, after all
    assert (editor.group.name, editor.labels.marks[4]) == ("cid", Mark.PLACED)
    assert window.animal_list is not None
    place = window.animal_list.visualItemRect(window.animal_list.item(0)).center()
    QtTest.QTest.mouseClick(window.animal_list.viewport(), LEFT, NOTHING, place)
    assert editor.group.name == "ann"
    key(window, Qt.Key.Key_N, shift)
    assert editor.labels.marks[:2].tolist() == [Mark.ABSENT] * 2
    key(window, Qt.Key.Key_PageDown)
    key(window, Qt.Key.Key_C)
    assert editor.labels.done is False
    assert Mark.PROPOSED not in editor.labels.marks  # of ann there was nothing
    key(window, Qt.Key.Key_C, shift)
    assert editor.labels.marks.tolist() == [*[Mark.OPEN] * 4, *[Mark.PROPOSED] * 2]


RUN = """
import os, signal, sys
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from rt_pose.labeling import window
ends = [signal.SIGINT, signal.SIGKILL]
class Eager(window.LabelWindow):
    def showEvent(self, event):
        super().showEvent(event)
        QTimer.singleShot(0, self.work)
    def work(self):
        assert QTest.qWaitForWindowExposed(self)
        at = self.canvas.screen_point(12.0, 34.0).toPoint()
        QTest.mouseClick(self.canvas.viewport(), Qt.MouseButton.LeftButton, pos=at)
        self.editor.write()
        self.editor.place(1.0, 1.0)
        os.kill(os.getpid(), ends.pop(0))
window.LabelWindow = Eager
from rt_pose.cli.main import main
assert main(sys.argv[1:]) == 0
main(sys.argv[1:])
"""


@pytest.fixture
def screen() -> Iterator[dict[str, str]]:
    """The environment of a real screen; of none where Xvfb, or what Qt needs for it, is not installed."""
    none = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    if shutil.which("Xvfb") is None:
        yield none
        return
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as server:
        os.close(write)
        with open(read) as numbers:
            display = numbers.readline().strip()
        real = os.environ | {"QT_QPA_PLATFORM": "xcb", "DISPLAY": f":{display}"}
        yield none if screen_problem(real) else real
        server.terminate()


def test_ctrl_c_writes_the_rest_and_a_kill_loses_nothing_that_was_written(
    window: LabelWindow, screen: dict[str, str]
) -> None:
    folder = window.labeling.opened.folder
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, "label", "--out", str(folder)],
        env=screen,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert "Traceback" not in ended.stderr
    (table,) = folder.glob("labeled-data/*/*.csv")
    (row,) = table.read_text().splitlines()[3:]
    first, second, third = np.array([float(cell) for cell in row.split(",")[3:]]).reshape(3, 2)
    np.testing.assert_allclose(first, [12, 34], atol=0.2)
    assert second.tolist() == [1.0, 1.0]  # was placed last before Ctrl-C
    np.testing.assert_allclose(third, [12, 34], atol=0.2)  # and not where it was when the kill came
    assert "train on it: rt-pose train fit --data" in ended.stdout
