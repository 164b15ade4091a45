"""The animals of the frame beside the picture, each with what is known of it, and their colours."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QListWidget, QListWidgetItem

from rt_pose.labeling.animal_points import AnimalPoints, PointGroup
from rt_pose.labeling.frame_labels import UNSETTLED, FrameLabels, Mark
from rt_pose.labeling.keypoint_list import STYLE
from rt_pose.labeling.point_colors import animal_color
from rt_pose.viewer import style

ROW_PX, AROUND_PX, MOST_ROWS = 24, 16, 6
"""Height of a line, of what is around the list, and how many lines are shown without scrolling."""
KEYS = 9
"""So many animals have the key of their number."""


class AnimalList(QListWidget):
    """A line for each animal, and one for body parts of none; a click makes it the current one."""

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
        self.setFixedHeight(ROW_PX * min(len(points.groups), MOST_ROWS) + AROUND_PX)
        self._groups = points.groups
        for i, group in enumerate(points.groups):
            swatch = QPixmap(12, 12)
            swatch.fill(animal_color(i, group))
            self.addItem(QListWidgetItem(QIcon(swatch), ""))

    def show_labels(self, labels: FrameLabels, animal: int) -> None:
        """Show what is known of each animal.

        Parameters
        ----------
        labels
            Of the frame.
        animal
            The current animal.
        """
        colors = style.palette()
        for i, group in enumerate(self._groups):
            item = self.item(i)
            number = f"{i + 1}  " if i < KEYS else ""
            name = group.name if group.is_animal else "of no animal"
            item.setText(f"{number}{name}   {count_of(labels, group)}")
            open_ = any(labels.marks[k] in UNSETTLED for k in group.points)
            item.setForeground(QColor(colors.text if open_ else colors.muted))
        self.setCurrentRow(animal)


def count_of(labels: FrameLabels, group: PointGroup) -> str:
    """Describe how far the labels of an animal are.

    Parameters
    ----------
    labels
        Of the frame.
    group
        The animal's points.

    Returns
    -------
    str
        Such as `3 placed, 2 open`.
    """
    marks = [Mark(int(labels.marks[k])) for k in group.points]
    if all(mark == Mark.ABSENT for mark in marks):
        return "not in the frame" if group.is_animal else "not visible"
    placed = sum(mark in (Mark.PLACED, Mark.HIDDEN) for mark in marks)
    found = [(placed, "placed"), (marks.count(Mark.PROPOSED), "proposed"), (marks.count(Mark.OPEN), "open")]
    return ", ".join(f"{count} {word}" for count, word in found if count)
