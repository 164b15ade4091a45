"""The window in which zones of a configuration are drawn and moved with the mouse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QComboBox,
    QInputDialog,
    QListWidget,
    QMainWindow,
    QMessageBox,
    QPushButton,
    QSplitter,
    QWidget,
)

from rt_pose.errors import UserError
from rt_pose.rules.geometry import make_geometry
from rt_pose.rules.zones import SHAPES
from rt_pose.viewer import style
from rt_pose.viewer.base_window import central_column
from rt_pose.viewer.flow import FlowLayout
from rt_pose.viewer.messages import FrameMessage
from rt_pose.viewer.view_state import CameraState
from rt_pose.viewer.zone_canvas import ZoneCanvas
from rt_pose.viewer.zone_edit import ZoneEditor
from rt_pose.viewer.zone_file import ZoneFile

HOW = {
    "": "take a zone or one of its handles with the mouse; the wheel zooms, the middle button pans",
    "circle": "click its centre, then a place on its border",
    "box": "click two opposite corners",
    "polygon": "click its corners; a double click or Enter ends it",
    "line": "click where it begins and where it ends; its right is to the right as one looks along it",
    "point": "click its place",
}
AT_NEXT = "a run takes it up at its next start"


class ZoneWindow(QMainWindow):
    """Draws, moves, names, deletes and saves the zones of a configuration."""

    def __init__(self, file: ZoneFile, camera: str, picture: FrameMessage | None) -> None:
        """Show the zones on a picture.

        Parameters
        ----------
        file
            The configuration.
        camera
            The camera whose picture it is, for its measures.
        picture
            What they are drawn on; None for nothing.

        Raises
        ------
        UserError
            Where the camera's measures are not valid.
        """
        super().__init__()
        self._file, self._camera = file, camera
        measures = file.config.geometry.get(camera)
        geometry = None if measures is None else make_geometry(measures, f"geometry.{camera}")
        self.editor = ZoneEditor(file.config.zones, geometry, file.named_by())
        self.canvas = ZoneCanvas(self.editor, geometry)
        if picture is None:
            self.canvas.view.setRange(xRange=(0, 640), yRange=(0, 480))
        else:
            self.canvas.redraw(CameraState(frame=picture), None)
        self._build(["mm", "px"] if geometry is not None else ["px"])
        self.refresh()

    @property
    def changed(self) -> bool:
        """Whether there is something to save."""
        return self.editor.zones != self._file.config.zones

    def save(self) -> None:
        """Write the zones into the configuration, after a copy of it."""
        try:
            backup = self._file.save(self.editor.zones)
        except UserError as error:
            self.say(str(error))
            return
        self.refresh()
        self.say("nothing had changed" if backup is None else f"saved; before: {backup.name}; {AT_NEXT}")

    def delete(self) -> None:
        """Delete the selected zone."""
        if not self.editor.selected:
            self.say("select a zone first")
            return
        self._try(lambda: self.editor.delete(self.editor.selected))

    def rename(self, name: str) -> None:
        """Give the selected zone another name.

        Parameters
        ----------
        name
            The new name.
        """
        self._try(lambda: self.editor.rename(self.editor.selected, name))

    def undo(self) -> None:
        """Take the last change back."""
        undone = self.editor.undo()
        self.refresh()
        if not undone:
            self.say("nothing to undo")

    def say(self, text: str) -> None:
        """Show a line below the picture.

        Parameters
        ----------
        text
            The line.
        """
        self.line.setText(text)

    def choose_tool(self, shape: str) -> None:
        """Begin to draw a shape; the same one again goes back to moving.

        Parameters
        ----------
        shape
            One of `SHAPES`; empty for moving.
        """
        self.canvas.draw_shape("" if self.canvas.shape == shape else shape)
        self.refresh()

    def refresh(self) -> None:
        """Bring list, buttons and picture up to the zones."""
        shown, names = self.editor.shown(), list(self.editor.zones)
        self.names.blockSignals(True)
        self.names.clear()
        self.names.addItems([name if name in shown else f"{name} (not on this camera)" for name in names])
        self.names.setCurrentRow(names.index(self.editor.selected) if self.editor.selected in names else -1)
        self.names.blockSignals(False)
        self.canvas.draw()
        for shape, button in self.tools.items():
            button.setChecked(self.canvas.shape == shape)
        self.save_button.setEnabled(self.changed)
        star = "* " if self.changed else ""
        self.setWindowTitle(f"{star}{self._file.path.name}: zones of {self._camera or 'the rig'}")
        self.say(HOW[self.canvas.shape])

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.closeEvent`: what was not saved is asked about."""
        if self.changed and self.isVisible() and not self._may_close():
            event.ignore()
            return
        super().closeEvent(event)

    def _may_close(self) -> bool:
        buttons = QMessageBox.StandardButton
        kinds = buttons.Save | buttons.Discard | buttons.Cancel
        answer = QMessageBox.question(self, "zones", f"Save the zones in {self._file.path}?", kinds)
        if answer == buttons.Save:
            self.save()
            return not self.changed
        return answer == buttons.Discard

    def _try(self, change: Callable[[], None]) -> None:
        try:
            change()
        except UserError as error:
            self.say(str(error))
        else:
            self.refresh()

    def _select(self, row: int) -> None:
        names = list(self.editor.zones)
        self.editor.selected = names[row] if 0 <= row < len(names) else ""
        self.refresh()

    def _ask_name(self) -> None:
        if not self.editor.selected:
            self.say("select a zone first")
            return
        name, ok = QInputDialog.getText(self, "zone", "name:", text=self.editor.selected)
        if ok:
            self.rename(name.strip())

    def _build(self, units: list[str]) -> None:
        column = central_column(self)
        self.resize(1100, 760)
        self.names = QListWidget()
        self.names.setMinimumWidth(120)
        self.names.currentRowChanged.connect(self._select)
        self.line = style.label("", "muted")
        self.line.setWordWrap(True)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.canvas)
        split.addWidget(self.names)
        split.setSizes([900, 200])
        split.setHandleWidth(8)
        column.addWidget(self._bar(units))
        column.addWidget(split, stretch=1)
        column.addWidget(self.line)
        self.canvas.edited.connect(self.refresh)
        self.canvas.refused.connect(self.say)
        self._shortcuts()

    def _bar(self, units: list[str]) -> QWidget:
        """Shapes, the unit of a new zone, and what is done to the selected one."""
        holder = QWidget()
        bar = FlowLayout(holder)
        self.tools: dict[str, QPushButton] = {}
        for shape in SHAPES:
            button = style.button(shape, HOW[shape], partial(self.choose_tool, shape))
            button.setCheckable(True)
            self.tools[shape] = button
            bar.addWidget(button)
        self.units = QComboBox()
        self.units.addItems(units)
        self.units.setToolTip("unit in which a new zone is written")
        self.units.currentTextChanged.connect(self.canvas.set_unit)
        self.canvas.set_unit(self.units.currentText())
        bar.addWidget(self.units)
        actions: list[tuple[str, str, Callable[[], None]]] = [
            ("rename", "give the selected zone another name (F2)", self._ask_name),
            ("delete", "delete the selected zone (Del)", self.delete),
            ("undo", "take the last change back (Ctrl+Z)", self.undo),
            ("fit", "show the whole picture again", self.canvas.fit),
        ]
        for text, hint, act in actions:
            bar.addWidget(style.button(text, hint, act))
        into = f"into {self._file.path}, after a copy beside it (Ctrl+S); {AT_NEXT}"
        self.save_button = style.button("save", into, self.save)
        bar.addWidget(self.save_button)
        return holder

    def _shortcuts(self) -> None:
        actions: list[tuple[str, Callable[[], None]]] = [
            ("Ctrl+S", self.save),
            ("Ctrl+Z", self.undo),
            ("Del", self.delete),
            ("F2", self._ask_name),
            ("Return", self.canvas.end_polygon),
            ("Esc", lambda: self.choose_tool(self.canvas.shape)),
        ]
        for key, act in actions:
            QShortcut(QKeySequence(key), self, act)
