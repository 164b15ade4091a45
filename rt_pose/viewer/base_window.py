"""What the live window and that of a recording share: pictures, panels, alerts, and the palette."""

from __future__ import annotations

from collections.abc import Mapping

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMainWindow, QPushButton, QSplitter, QVBoxLayout, QWidget

from rt_pose.viewer import style
from rt_pose.viewer.camera_grid import CameraGrid
from rt_pose.viewer.flow import FlowLayout
from rt_pose.viewer.group_state import Group, GroupState, describe_group, reprojection
from rt_pose.viewer.messages import GroupBody
from rt_pose.viewer.side_panel import SidePanel


def central_column(window: QMainWindow) -> QVBoxLayout:
    """Give a window the style sheet, and the column that its parts stand in.

    Parameters
    ----------
    window
        The window, still empty.

    Returns
    -------
    QVBoxLayout
        The column.
    """
    window.setStyleSheet(style.style_sheet())
    window.setMinimumSize(560, 420)
    body = QWidget()
    body.setObjectName("body")
    column = QVBoxLayout(body)
    column.setContentsMargins(8, 8, 8, 8)
    column.setSpacing(6)
    window.setCentralWidget(body)
    return column


class BaseWindow(QMainWindow):
    """A bar of buttons, alerts, and below them what the window itself adds to `column`."""

    def __init__(self, title: str) -> None:
        """Build what is shared.

        Parameters
        ----------
        title
            Of the window.
        """
        super().__init__()
        colors = style.palette()
        pg.setConfigOptions(background=colors.background, foreground=colors.muted)
        self.setWindowTitle(title)
        self.column = central_column(self)
        holder = QWidget()
        self.bar = FlowLayout(holder)
        self.column.addWidget(holder)
        self.alert = style.label("", "alert")
        self.alert.setWordWrap(True)
        self.alert.hide()
        self.column.addWidget(self.alert)
        self.answer = style.label("", "muted")
        self.answer.hide()
        self.grid, self.side = CameraGrid(), SidePanel()
        self.grid.changed.connect(self.redraw)

    @property
    def camera(self) -> str:
        """Name of the camera whose figures are shown: the one alone, or the first; empty for none."""
        alone = self.grid.alone
        return alone if alone in self.grid.arenas else next(iter(self.grid.arenas), "")

    def split(self) -> QSplitter:
        """Put pictures and panels side by side.

        Returns
        -------
        QSplitter
            Both, with a handle between them.
        """
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.grid)
        split.addWidget(self.side)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setSizes([760, 500])
        split.setChildrenCollapsible(False)
        split.setHandleWidth(8)  # side by side without a gap, the panels would be painted with each picture
        return split

    def toggles(self) -> list[QPushButton]:
        """Make the buttons that say what is drawn.

        Returns
        -------
        list[QPushButton]
            The buttons, to be added to the bar.
        """
        self.prediction_button = self._toggle(
            "prediction", "rings: where the animal will be when it takes effect", True
        )
        self.ellipse_button = self._toggle("uncertainty", "ellipses that hold 95 %", True)
        self.names_button = self._toggle("names", "names of the keypoints", False)
        self.reprojection_button = self._toggle(
            "reprojection", "crosses: where a camera should see what its group has placed in space", True
        )
        self.reprojection_button.hide()
        fit = style.button("fit", "show the whole frames again, after zooming with the wheel", self._fit)
        self.theme_button = style.button("", "dark or light window", self.switch_palette)
        self._name_palette()
        what = [self.prediction_button, self.ellipse_button, self.names_button, self.reprojection_button]
        return [*what, fit, self.theme_button]

    def switch_palette(self) -> None:
        """Show the window in the other palette."""
        style.use("light" if style.palette().name == "dark" else "dark")
        self.setStyleSheet(style.style_sheet())
        self._name_palette()
        self.grid.restyle()
        self.side.restyle()
        self.redraw()

    def show_alerts(self, lines: list[str]) -> None:
        """Show what must be seen at once.

        Parameters
        ----------
        lines
            A line each; none hides the place.
        """
        text = "\n".join(lines)
        if self.alert.text() != text:
            self.alert.setText(text)
        self.alert.setVisible(bool(lines))

    def say(self, text: str) -> None:
        """Show a short answer beside the buttons.

        Parameters
        ----------
        text
            The answer; empty for none.
        """
        if self.answer.text() != text:
            self.answer.setText(text)
        self.answer.setVisible(bool(text))

    def set_options(self) -> None:
        """Draw what the buttons say."""
        for picture in self.grid.pictures().values():
            pose = picture.pose
            pose.show_cov = self.ellipse_button.isChecked()
            pose.show_prediction = self.prediction_button.isChecked()
            pose.show_names = self.names_button.isChecked()
        self.redraw()

    def redraw(self) -> None:
        """Paint everything anew."""

    def set_groups(self, groups: Mapping[str, Group]) -> list[str]:
        """Take the groups of cameras of a session.

        Parameters
        ----------
        groups
            By name.

        Returns
        -------
        list[str]
            Those that are new.
        """
        self.reprojection_button.setVisible(bool(groups))
        return self.grid.set_groups(groups)

    def draw_groups(
        self,
        groups: Mapping[str, Group],
        states: Mapping[str, GroupState],
        figures: Mapping[str, GroupBody],
        force: bool = False,
    ) -> None:
        """Show what groups of cameras have placed in space, there and on the cameras' pictures.

        Parameters
        ----------
        groups, states, figures
            By name.
        force
            Whether to paint although nothing is new.
        """
        alone = self.grid.alone
        self.side.expression.setEnabled(alone not in groups)  # of a group the curves are fixed
        for name, space in self.grid.spaces.items():
            if alone in ("", name):
                space.redraw(states.get(name, GroupState()), force)
                space.say("\n".join(filter(None, (describe_group(figures.get(name)), space.scale_text))))
        crosses = self.reprojection_button.isChecked()
        for name, arena in self.grid.arenas.items():
            if groups and alone in ("", name):
                xy = reprojection(groups, states, name, arena.t_shown_ns) if crosses else None
                arena.reprojection.draw(xy)

    def _fit(self) -> None:
        for picture in self.grid.pictures().values():
            picture.fit()

    def _name_palette(self) -> None:
        self.theme_button.setText("light" if style.palette().name == "dark" else "dark")

    def _toggle(self, text: str, hint: str, on: bool) -> QPushButton:
        button = QPushButton(text)
        button.setCheckable(True)
        button.setChecked(on)
        button.setToolTip(hint)
        button.toggled.connect(lambda _: self.set_options())
        return button
