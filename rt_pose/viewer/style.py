"""Colours and the style sheet of the window, in one place."""

from __future__ import annotations

from functools import cache

from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel

BACKGROUND = "#14171c"
PANEL = "#1c2027"
EDGE = "#2c323c"
TEXT = "#e4e7ec"
MUTED = "#8b94a3"
GOOD = "#4ade80"
WARN = "#fbbf24"
BAD = "#fb6a6a"
ACCENT = "#60a5fa"
ZONE = "#f8fafc"
ZONE_FILL = "#60a5fa20"
SHADE = "#14171cb0"
"""Behind texts that lie on the picture."""

STYLE = f"""
QMainWindow, QWidget#body {{ background: {BACKGROUND}; }}
QWidget {{ color: {TEXT}; font-size: 13px; }}
QLabel {{ background: transparent; }}
QFrame#card {{ background: {PANEL}; border: 1px solid {EDGE}; border-radius: 6px; }}
QLabel#caption {{ color: {MUTED}; font-size: 10px; }}
QLabel#notice {{ background: {PANEL}; border: 1px solid {EDGE}; border-radius: 6px; padding: 10px 18px; }}
QLabel#muted {{ color: {MUTED}; }}
QComboBox, QPushButton {{
    background: {PANEL}; border: 1px solid {EDGE}; border-radius: 5px; padding: 4px 10px;
}}
QComboBox:hover, QPushButton:hover {{ border-color: {MUTED}; }}
QPushButton:checked {{ border-color: {ACCENT}; color: {ACCENT}; }}
QComboBox QAbstractItemView {{
    background: {PANEL}; border: 1px solid {EDGE}; selection-background-color: {EDGE};
}}
QSplitter::handle {{ background: transparent; width: 6px; }}
QToolTip {{ background: {PANEL}; color: {TEXT}; border: 1px solid {EDGE}; }}
"""


@cache
def keypoint_color(index: int, count: int) -> QColor:
    """Choose the colour of a keypoint: hues spread evenly, bright enough for gray frames.

    Parameters
    ----------
    index
        Number of the keypoint, from 0.
    count
        How many keypoints there are.

    Returns
    -------
    QColor
        The colour.
    """
    return QColor.fromHsvF(index / max(count, 1), 0.62, 1.0)


def label(text: str, role: str) -> QLabel:
    """Make a text in one of the style sheet's roles.

    Parameters
    ----------
    text
        The text.
    role
        `caption`, `muted` or `notice`.

    Returns
    -------
    QLabel
        The label.
    """
    made = QLabel(text)
    made.setObjectName(role)
    return made
