"""The window of `rt-pose label`: the picture, the keypoints beside it, and the keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMainWindow, QSlider, QVBoxLayout, QWidget

from rt_pose.errors import UserError
from rt_pose.labeling.animal_list import KEYS, AnimalList
from rt_pose.labeling.canvas import ZOOM_STEP, LabelCanvas
from rt_pose.labeling.keypoint_list import KeypointList
from rt_pose.labeling.label_task import LabelTask
from rt_pose.viewer import style

NUDGE_PX, NUDGE_FAR_PX = 1.0, 10.0
PAN_SHARE = 0.1
"""Of what is shown, with a key."""
BRIGHTNESS_STEPS = 4
"""Of the slider, for twofold brightness."""
MOST_BRIGHTNESS = 3 * BRIGHTNESS_STEPS
KEYS_TEXT = """<b>Mouse</b><br>
click: place the current keypoint<br>
drag a keypoint: move it<br>
right click: not visible<br>
wheel: zoom; right drag: pan<br>
<b>Keys</b><br>
Space: accept, next open frame<br>
PgDn, PgUp: next, previous frame<br>
Tab, Shift+Tab: keypoint<br>
arrows (Shift: far): move it<br>
N: not visible; Shift+N: all the rest<br>
O: occluded; Del: open again<br>
C: copy from the frame before<br>
P: take the prediction<br>
Ctrl+Z, Ctrl+Y: undo, redo<br>
+, -, F: zoom, whole frame<br>
Ctrl+arrows: pan; [ ]: brightness<br>
H: names; F1: these keys"""
ANIMAL_KEYS_TEXT = """<br>
<b>Animals</b><br>
A, Shift+A, 1 to 9: another animal<br>
N, Shift+N, C: of this animal<br>
Shift+C: copy all animals<br>
X: exchange with another animal<br>
Shift+Del: it is not in the frame"""


class LabelWindow(QMainWindow):
    """Labels one folder."""

    def __init__(self, labeling: LabelTask) -> None:
        """Build the window and show the first frame that is not done.

        Parameters
        ----------
        labeling
            Frames and their labels.
        """
        super().__init__()
        self.labeling, self.editor = labeling, labeling.editor
        self.clicks = self.keys = 0
        """Counted while labeling."""
        self.done_before = len(self.editor.names) - len(self.editor.open_frames)
        self._shown: str | None = None
        self._occluded = labeling.opened.has_visible()
        self._close_anyway = False
        self._exchanging = self._chosen_to_exchange = False
        """Whether the next animal that is chosen is exchanged with the current one."""
        self._build()
        self.refresh()

    def refresh(self) -> None:
        """Show the current frame and its labels."""
        editor, name = self.editor, self.editor.name
        if name != self._shown:
            self._shown = name
            worst = self.labeling.worst_keypoint(name)
            if worst is not None:
                editor.select(worst)
            image, problem = None, f"{name}: cannot be read as an image; go to another frame"
            try:
                image = self.labeling.image(name)
            except UserError as error:
                problem = str(error)
            self.canvas.show_image(image)
            self.say("" if image is not None else problem)
        self.canvas.show_labels(editor.labels, editor.cursor, self.labeling.predicted(name))
        self.keypoint_list.show_labels(editor.labels, editor.cursor)
        if self.animal_list is not None:
            self.animal_list.show_labels(editor.labels, editor.animal)
        open_frames = len(editor.open_frames)
        finished = not open_frames and self.done_before < len(editor.names)
        left = "none is open any more: close the window" if finished else f"{open_frames} open"
        self.frame_label.setText(f"{name}\n{editor.index + 1} of {len(editor.names)}; {left}")
        self.about_label.setText(self.labeling.about(name))

    def say(self, text: str) -> None:
        """Show a message until the next one.

        Parameters
        ----------
        text
            The message; empty for none.
        """
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def summary(self) -> str:
        """Describe what was done, with the clicks and keys that it took."""
        done = len(self.editor.names) - len(self.editor.open_frames)
        fresh = done - self.done_before
        text = f"{done} of {len(self.editor.names)} frames done"
        if fresh > 0:
            share = (self.clicks + self.keys) / fresh
            text += f"; {fresh} now, with {self.clicks} clicks and {self.keys} keys: {share:.1f} a frame"
        return text

    # ---- what a person does ----

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.keyPressEvent`."""
        pressed = QKeySequence(event.keyCombination()).toString().replace("Num+", "")
        action = self._actions.get(pressed)
        if action is None:
            super().keyPressEvent(event)
            return
        self.keys += 1
        self._do(action)

    def focusNextPrevChild(self, _forward: bool) -> bool:  # noqa: N802 - Qt's name
        """See `QWidget.focusNextPrevChild`. Tab goes to the next keypoint, not to another widget."""
        return False

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.closeEvent`. Writes what has changed; if that fails only a second close loses it."""
        try:
            self.editor.write()
        except UserError as error:
            if not self._close_anyway:
                self._close_anyway = True
                self.say(f"not written: {error}; close once more to lose the last changes")
                event.ignore()
                return
        super().closeEvent(event)

    def _do(self, action: Callable[[], object]) -> None:
        self.say("")
        self._chosen_to_exchange, self._exchanging = self._exchanging, False
        try:
            action()
        except UserError as error:
            self.refresh()
            self.say(f"not written: {error}")
        else:
            self._close_anyway = False
            self.refresh()

    def _click(self, x: float, y: float) -> None:
        self._do(lambda: self.editor.place(x, y))

    def _move(self, k: int, x: float, y: float) -> None:
        self._do(lambda: self.editor.move(k, x, y))

    def _count_click(self) -> None:
        self.clicks += 1

    def _nudge(self, dx: float, dy: float) -> None:
        self.editor.nudge(dx, dy, self.canvas.middle)

    def _take_prediction(self) -> None:
        predicted = self.labeling.predicted(self.editor.name)
        if predicted is not None:
            x, y = predicted[self.editor.cursor].tolist()
            if np.isfinite(x + y):
                self.editor.place(x, y)

    def _toggle_hidden(self) -> None:
        if self._occluded:
            self.editor.toggle_hidden()
        else:
            self.say("these labels have no column 'visible': an occluded keypoint is placed, or not visible")

    def _choose_animal(self, animal: int) -> None:
        """Of its number: the current one from now on, or the one that is exchanged."""
        if animal >= len(self.editor.points.groups):
            return
        if self._chosen_to_exchange:
            self.editor.exchange(animal)
        else:
            self.editor.select_animal(animal)

    def _exchange(self) -> None:
        """Exchange two animals; of more than two the other one is then asked for."""
        editor = self.editor
        groups = editor.points.groups
        others = [i for i, group in enumerate(groups) if group.is_animal and i != editor.animal]
        if not editor.group.is_animal or not others:
            self.say("there is no other animal that these keypoints could be exchanged with")
        elif len(others) == 1:
            editor.exchange(others[0])
        elif not self._chosen_to_exchange:
            self._exchanging = True
            self.say(f"exchange {editor.group.name} with: a number, or a click in the list; X: with none")

    def _toggle_names(self) -> None:
        self.canvas.show_names = not self.canvas.show_names

    def _toggle_help(self) -> None:
        self.help.setVisible(not self.help.isVisible())

    def _key_actions(self) -> dict[str, Callable[[], object]]:
        editor = self.editor
        actions: dict[str, Callable[[], object]] = {
            "Space": editor.accept,
            "PgDown": lambda: editor.go_to(editor.index + 1),
            "PgUp": lambda: editor.go_to(editor.index - 1),
            "Tab": lambda: editor.next_keypoint(1),
            "Shift+Backtab": lambda: editor.next_keypoint(-1),
            "N": editor.mark_absent,
            "Shift+N": editor.mark_rest_absent,
            "O": self._toggle_hidden,
            "Del": editor.clear,
            "C": editor.copy_previous,
            "P": self._take_prediction,
            "Ctrl+Z": editor.undo,
            "Ctrl+Y": editor.redo,
            "F": self.canvas.fit,
            "-": lambda: self.canvas.zoom(1 / ZOOM_STEP),
            "[": lambda: self.brightness.setValue(self.brightness.value() - 1),
            "]": lambda: self.brightness.setValue(self.brightness.value() + 1),
            "H": self._toggle_names,
            "F1": self._toggle_help,
        }
        for key in ("+", "Shift++", "="):
            actions[key] = lambda: self.canvas.zoom(ZOOM_STEP)
        for same, key in (("Return", "Space"), ("Enter", "Space"), ("Backtab", "Shift+Backtab")):
            actions[same] = actions[key]
        actions["Shift+Tab"] = actions["Backtab"]
        actions["Ctrl+Shift+Z"] = actions["Ctrl+Y"]
        for key, dx, dy in (("Left", -1, 0), ("Right", 1, 0), ("Up", 0, -1), ("Down", 0, 1)):
            actions[key] = partial(self._nudge, dx * NUDGE_PX, dy * NUDGE_PX)
            actions[f"Shift+{key}"] = partial(self._nudge, dx * NUDGE_FAR_PX, dy * NUDGE_FAR_PX)
            actions[f"Ctrl+{key}"] = partial(self.canvas.pan, dx * PAN_SHARE, dy * PAN_SHARE)
        return actions | (self._animal_actions() if editor.points.several else {})

    def _animal_actions(self) -> dict[str, Callable[[], object]]:
        editor = self.editor
        numbers = {str(i + 1): partial(self._choose_animal, i) for i in range(KEYS)}
        return {
            **numbers,
            "A": lambda: editor.select_animal(editor.animal + 1),
            "Shift+A": lambda: editor.select_animal(editor.animal - 1),
            "X": self._exchange,
            "Shift+Del": editor.remove_animal,
            "Shift+C": lambda: editor.copy_previous(every_animal=True),
        }

    # ---- the parts ----

    def _build(self) -> None:
        colors = style.palette()
        pg.setConfigOptions(background=colors.background, foreground=colors.muted)
        self.setWindowTitle(f"rt-pose label: {self.labeling.opened.folder}")
        self.setStyleSheet(style.style_sheet())
        self.resize(1280, 800)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.canvas = LabelCanvas(self.editor.points, self.labeling.opened.skeleton)
        self._actions = self._key_actions()
        self.canvas.clicked.connect(self._click)
        self.canvas.moved.connect(self._move)
        self.canvas.right_clicked.connect(lambda: self._do(self.editor.mark_absent))
        self.canvas.pressed.connect(self._count_click)
        body = QWidget()
        body.setObjectName("body")
        row = QHBoxLayout(body)
        row.addWidget(self.canvas, stretch=1)
        row.addLayout(self._side())
        self.setCentralWidget(body)
        self.setFocus()

    def _side(self) -> QVBoxLayout:
        column = QVBoxLayout()
        self.frame_label, self.about_label = QLabel(), style.label("", "muted")
        self.message = style.label("", "notice")
        points = self.editor.points
        self.help = style.label(KEYS_TEXT + ANIMAL_KEYS_TEXT * points.several, "muted")
        for text in (self.frame_label, self.about_label, self.message):
            text.setWordWrap(True)
            text.setFixedWidth(SIDE_PX)
        self.animal_list = AnimalList(points) if points.several else None
        self.keypoint_list = KeypointList(points)
        self.keypoint_list.setFixedWidth(SIDE_PX)
        self.keypoint_list.itemClicked.connect(self._select_item)
        self.brightness = QSlider(Qt.Orientation.Horizontal)
        self.brightness.setRange(-MOST_BRIGHTNESS, MOST_BRIGHTNESS)
        self.brightness.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.brightness.setToolTip("brightness of the picture, [ and ]")
        self.brightness.valueChanged.connect(
            lambda value: self.canvas.set_brightness(value / BRIGHTNESS_STEPS)
        )
        column.addWidget(self.frame_label)
        column.addWidget(self.about_label)
        column.addWidget(self.message)
        if self.animal_list is not None:
            self.animal_list.setFixedWidth(SIDE_PX)
            self.animal_list.itemClicked.connect(self._select_animal_item)
            column.addWidget(self.animal_list)
        column.addWidget(self.keypoint_list, stretch=1)
        column.addWidget(style.label("brightness", "caption"))
        column.addWidget(self.brightness)
        column.addLayout(self._buttons())
        column.addWidget(self.help)
        return column

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for text, key, hint in (
            ("previous", "PgUp", "the frame before (PgUp)"),
            ("accept", "Space", "accept what is proposed, go to the next open frame (Space)"),
            ("undo", "Ctrl+Z", "take the last change back (Ctrl+Z)"),
            ("copy", "C", "propose the places of the frame before (C)"),
            ("keys", "F1", "show the keys (F1)"),
        ):
            button = style.button(text, hint, self._pressed(self._actions[key]))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            row.addWidget(button)
        return row

    def _pressed(self, action: Callable[[], object]) -> Callable[[], None]:
        def press() -> None:
            self.clicks += 1
            self._do(action)

        return press

    def _select_item(self) -> None:
        self.clicks += 1
        row = self.keypoint_list.currentRow()
        self._do(lambda: self.editor.select(self.editor.group.points[row]))

    def _select_animal_item(self) -> None:
        self.clicks += 1
        row = self.animal_list.currentRow() if self.animal_list is not None else 0
        self._do(lambda: self._choose_animal(row))


SIDE_PX = 330
"""Width of what stands beside the picture."""
