"""The pictures of all cameras side by side, or of one of them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from rt_pose.viewer.arena import Arena

ALL = "all cameras"


class CameraGrid(QWidget):
    """A picture a camera. A double click shows one alone, another one all again."""

    changed = Signal()
    """Other cameras are shown."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        self.arenas: dict[str, Arena] = {}
        self.alone = ""
        """The camera that is shown alone; empty for all."""
        self.empty = Arena()
        """Shown before any camera is known."""
        self._grid.addWidget(self.empty, 0, 0)

    def set_cameras(self, cameras: Iterable[str]) -> list[str]:
        """Take the cameras of a session.

        Parameters
        ----------
        cameras
            Their names.

        Returns
        -------
        list[str]
            Those that are new.
        """
        names = list(cameras)
        gone = [name for name in self.arenas if name not in names]
        new = [name for name in names if name not in self.arenas]
        for name in gone:
            arena = self.arenas.pop(name)
            self._grid.removeWidget(arena)
            arena.hide()
            arena.deleteLater()
        for name in new:
            self.arenas[name] = Arena(name)
            self.arenas[name].doubled.connect(lambda name=name: self.toggle(name))
        if new or gone:
            self._lay_out()
        return new

    def toggle(self, camera: str) -> None:
        """Show a camera alone, or all again.

        Parameters
        ----------
        camera
            Its name.
        """
        self.show_alone("" if self.alone == camera else camera)

    def show_alone(self, camera: str) -> None:
        """Show one camera alone.

        Parameters
        ----------
        camera
            Its name; empty for all.
        """
        self.alone = camera if camera in self.arenas and len(self.arenas) > 1 else ""
        self._hide_others()
        self.changed.emit()

    def shown(self) -> list[Arena]:
        """List the pictures that are shown.

        Returns
        -------
        list[Arena]
            In the order of the cameras; the empty one where there are none.
        """
        return [arena for name, arena in self.arenas.items() if self.alone in ("", name)] or [self.empty]

    def restyle(self) -> None:
        """Take the colours of the palette in use."""
        for arena in (self.empty, *self.arenas.values()):
            arena.restyle()

    def _lay_out(self) -> None:
        self.alone = self.alone if self.alone in self.arenas else ""
        self.empty.setVisible(not self.arenas)
        count = len(self.arenas)
        columns = max(1, math.ceil(math.sqrt(count)))
        for i, arena in enumerate(self.arenas.values()):
            arena.caption.setVisible(count > 1)
            # Two stand one above the other: beside the curves there is more height than width.
            place = (i, 0) if count == 2 else divmod(i, columns)
            self._grid.addWidget(arena, *place)
        self._hide_others()

    def _hide_others(self) -> None:
        for name, arena in self.arenas.items():
            arena.setVisible(self.alone in ("", name))
