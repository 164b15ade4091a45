"""A window from its first showing to its end, whatever ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from PySide6.QtWidgets import QMainWindow

SIGNALS_MS = 200
"""How often Python gets to see a signal while Qt waits."""
Window = TypeVar("Window", bound="QMainWindow")


def show(make: Callable[[], Window]) -> tuple[int, Window]:
    """Open a window, and return when it is closed: by its user, Ctrl-C or SIGTERM.

    Parameters
    ----------
    make
        Makes the window, once Qt is ready.

    Returns
    -------
    status : int
        The exit status.
    window : Window
        The window, closed.
    """
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    app = QApplication.instance() or QApplication(["rt-pose"])
    window = make()
    ticks = QTimer()
    ticks.timeout.connect(lambda: None)  # Python runs, and with it the handler of a signal
    ticks.start(SIGNALS_MS)
    # Python's own handler would raise inside a Qt callback, where nothing catches it; closing at once could
    # take what is in use away from under the code that was interrupted.
    ends = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: QTimer.singleShot(0, window.close)) for number in ends}
    try:
        window.show()
        return int(app.exec()), window
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if window.isVisible():
            window.close()
