"""The pictures of all cameras side by side, with a pane of space for each group of them; or one of these."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from rt_pose.viewer.arena import Arena
from rt_pose.viewer.picture_view import PictureView
from rt_pose.viewer.space_view import SpaceView

ALL = "all cameras"
P = TypeVar("P", bound=PictureView)


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
        self.spaces: dict[str, SpaceView] = {}
        """By group of cameras; no camera has its name."""
        self.alone = ""
        """The camera or group that is shown alone; empty for all."""
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
        return self._set(self.arenas, Arena, list(cameras))

    def set_groups(self, groups: Iterable[str]) -> list[str]:
        """Take the groups of cameras of a session.

        Parameters
        ----------
        groups
            Their names.

        Returns
        -------
        list[str]
            Those that are new.
        """
        return self._set(self.spaces, SpaceView, list(groups))

    def toggle(self, name: str) -> None:
        """Show a camera or group alone, or all again.

        Parameters
        ----------
        name
            Its name.
        """
        self.show_alone("" if self.alone == name else name)

    def show_alone(self, name: str) -> None:
        """Show one camera or group alone.

        Parameters
        ----------
        name
            Its name; empty for all.
        """
        pictures = self.pictures()
        self.alone = name if name in pictures and len(pictures) > 1 else ""
        self._hide_others()
        self.changed.emit()

    def pictures(self) -> dict[str, PictureView]:
        """List the pictures of the cameras, then the panes of the groups.

        Returns
        -------
        dict[str, PictureView]
            By name.
        """
        return {**self.arenas, **self.spaces}

    def shown(self) -> list[PictureView]:
        """List the pictures that are shown.

        Returns
        -------
        list[PictureView]
            In the order of the cameras, then of the groups; the empty one where there are none.
        """
        found = [one for name, one in self.pictures().items() if self.alone in ("", name)]
        return found or [self.empty]

    def restyle(self) -> None:
        """Take the colours of the palette in use."""
        for picture in (self.empty, *self.pictures().values()):
            picture.restyle()

    def _set(self, kept: dict[str, P], make: Callable[[str], P], names: list[str]) -> list[str]:
        gone = [name for name in kept if name not in names]
        new = [name for name in names if name not in kept]
        for name in gone:
            picture = kept.pop(name)
            self._grid.removeWidget(picture)
            picture.hide()
            picture.deleteLater()
        for name in new:
            kept[name] = picture = make(name)
            picture.doubled.connect(lambda name=name: self.toggle(name))
        if new or gone:
            self._lay_out()
        return new

    def _lay_out(self) -> None:
        pictures = self.pictures()
        self.alone = self.alone if self.alone in pictures else ""
        self.empty.setVisible(not pictures)
        count = len(pictures)
        columns = max(1, math.ceil(math.sqrt(count)))
        for i, picture in enumerate(pictures.values()):
            picture.caption.setVisible(count > 1)
            # Two stand one above the other: beside the curves there is more height than width.
            place = (i, 0) if count == 2 else divmod(i, columns)
            self._grid.addWidget(picture, *place)
        self._hide_others()

    def _hide_others(self) -> None:
        for name, picture in self.pictures().items():
            picture.setVisible(self.alone in ("", name))
