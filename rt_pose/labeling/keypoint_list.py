"""The keypoints of an animal beside the picture, each with what is known of it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QListWidget, QListWidgetItem

from rt_pose.labeling.animal_points import AnimalPoints
from rt_pose.labeling.frame_labels import FrameLabels, Mark
from rt_pose.labeling.point_colors import point_colors
from rt_pose.viewer import style

WORDS = {
    Mark.OPEN: "",
    Mark.PROPOSED: "proposed",
    Mark.PLACED: "placed",
    Mark.HIDDEN: "occluded",
    Mark.ABSENT: "not visible",
}


STYLE = """
QListWidget {{ background: {0.panel}; border: 1px solid {0.edge}; border-radius: 6px; }}
QListWidget::item {{ padding: 3px; }}
QListWidget::item:selected {{ background: {0.edge}; border-left: 2px solid {0.accent}; }}
"""


class KeypointList(QListWidget):
    """A line for each keypoint of the current animal; a click makes it the current one (`itemClicked`)."""

    def __init__(self, points: AnimalPoints) -> None:
        """Make the lines.

        Parameters
        ----------
        points
            The animals and keypoints.
        """
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setStyleSheet(STYLE.format(style.palette()))
        self._points, self._colors = points, point_colors(points)
        self._shown = -1
        """Number of the animal whose lines these are."""
        for _ in range(max(len(group.parts) for group in points.groups)):
            self.addItem(QListWidgetItem())

    def show_labels(self, labels: FrameLabels, cursor: int) -> None:
        """Show what is known of each keypoint of the current animal.

        Parameters
        ----------
        labels
            Of the frame.
        cursor
            The current point.
        """
        colors, animal = style.palette(), self._points.owners[cursor]
        group = self._points.groups[animal]
        if animal != self._shown:
            self._show_animal(animal)
        for row, (k, name) in enumerate(zip(group.points, group.parts, strict=True)):
            mark = Mark(int(labels.marks[k]))
            item = self.item(row)
            item.setText(f"{name}   {WORDS[mark]}".rstrip())
            open_ = mark in (Mark.OPEN, Mark.PROPOSED)
            item.setForeground(QColor(colors.text if open_ else colors.muted))
        self.setCurrentRow(group.points.index(cursor))

    def _show_animal(self, animal: int) -> None:
        points = self._points.groups[animal].points
        for row in range(self.count()):
            self.item(row).setHidden(row >= len(points))
        for row, k in enumerate(points):
            swatch = QPixmap(12, 12)
            swatch.fill(self._colors[k])
            self.item(row).setIcon(QIcon(swatch))
        self._shown = animal
