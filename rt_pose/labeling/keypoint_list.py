"""The keypoints of the frame beside the picture, each with what is known of it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QListWidget, QListWidgetItem

from rt_pose.labeling.frame_labels import FrameLabels, Mark
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
    """A line for each keypoint; a click makes it the current one (`itemClicked`)."""

    def __init__(self, keypoints: Sequence[str]) -> None:
        """Make the lines.

        Parameters
        ----------
        keypoints
            Names of the K keypoints.
        """
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setStyleSheet(STYLE.format(style.palette()))
        self._keypoints = list(keypoints)
        for k, name in enumerate(keypoints):
            swatch = QPixmap(12, 12)
            swatch.fill(style.keypoint_color(k, len(keypoints)))
            self.addItem(QListWidgetItem(QIcon(swatch), name))

    def show_labels(self, labels: FrameLabels, cursor: int) -> None:
        """Show what is known of each keypoint.

        Parameters
        ----------
        labels
            Of the frame.
        cursor
            The current keypoint.
        """
        colors = style.palette()
        for k, name in enumerate(self._keypoints):
            mark = Mark(int(labels.marks[k]))
            item = self.item(k)
            item.setText(f"{name}   {WORDS[mark]}".rstrip())
            open_ = mark in (Mark.OPEN, Mark.PROPOSED)
            item.setForeground(QColor(colors.text if open_ else colors.muted))
        self.setCurrentRow(cursor)
