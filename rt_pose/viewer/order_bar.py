"""Buttons that give orders to the run."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QWidget

HINTS = {
    "start": "take frames, in a run that waits for it (`start_on: control`)",
    "stop": "end the run; click twice",
    "arm": "let commands out",
    "disarm": "lines low, commands held back",
    "mark": "write the note beside it into the session's log (Enter)",
}
NOTE_WIDTH_PX = 110
CONFIRM_MS = 3000
"""Within this the second click ends the run."""


class OrderBar(QWidget):
    """start, stop, arm, disarm, mark, and the emergency stop; each order is a signal.

    Nothing here opens a dialogue: Esc must stay the emergency stop.
    """

    ordered = Signal(str, dict)
    """(order, arguments)."""

    def __init__(self) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        self.buttons = {do: QPushButton(do) for do in HINTS}
        for do, button in self.buttons.items():
            button.setToolTip(HINTS[do])
            row.addWidget(button)
        for do in ("start", "arm", "disarm"):
            self.buttons[do].clicked.connect(lambda _=False, do=do: self.ordered.emit(do, {}))
        self.buttons["stop"].clicked.connect(self._stop)
        self.buttons["mark"].clicked.connect(self._mark)
        self.note = QLineEdit()
        self.note.setPlaceholderText("note")
        self.note.setToolTip(HINTS["mark"])
        self.note.setFixedWidth(NOTE_WIDTH_PX)
        self.note.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.note.returnPressed.connect(self._mark)
        row.addWidget(self.note)
        self.emergency = QPushButton("STOP (Esc)")
        self.emergency.setObjectName("stop")
        self.emergency.setToolTip("emergency stop: all outputs low at once, and disarmed")
        self.emergency.clicked.connect(lambda _=False: self.ordered.emit("emergency", {}))
        row.addWidget(self.emergency)
        self._confirming = QTimer(self)
        self._confirming.setSingleShot(True)
        self._confirming.timeout.connect(self._calm)

    def enable(self, reachable: bool) -> None:
        """Enable the orders of a run that can be reached; the emergency stop is always enabled.

        Parameters
        ----------
        reachable
            Whether the run has a control socket, and is there.
        """
        self.note.setEnabled(reachable)
        for do, button in self.buttons.items():
            button.setEnabled(reachable)
            button.setToolTip(HINTS[do] if reachable else "no run is connected that takes orders")

    def _mark(self) -> None:
        text = self.note.text().strip()
        if text:
            self.ordered.emit("mark", {"text": text})
        self.note.clear()
        self.note.clearFocus()

    def _stop(self) -> None:
        if self._confirming.isActive():
            self._calm()
            self.ordered.emit("stop", {})
        else:
            self.buttons["stop"].setText("end the run?")
            self._confirming.start(CONFIRM_MS)

    def _calm(self) -> None:
        self._confirming.stop()
        self.buttons["stop"].setText("stop")
