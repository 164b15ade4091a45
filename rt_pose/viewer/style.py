"""Colours and the style sheet of the windows, in one place: a dark palette and a light one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel, QPushButton

from rt_pose.session.individuals import individual_colour


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a window."""

    name: str
    background: str
    panel: str
    edge: str
    text: str
    muted: str
    good: str
    warn: str
    bad: str
    accent: str


DARK = Palette(
    name="dark",
    background="#14171c",
    panel="#1c2027",
    edge="#2c323c",
    text="#e4e7ec",
    muted="#8b94a3",
    good="#4ade80",
    warn="#fbbf24",
    bad="#fb6a6a",
    accent="#60a5fa",
)
LIGHT = Palette(
    name="light",
    background="#f3f4f6",
    panel="#ffffff",
    edge="#cfd4dc",
    text="#171a20",
    muted="#596273",
    good="#15803d",
    warn="#b45309",
    bad="#c81e1e",
    accent="#1d4ed8",
)
PALETTES = {palette.name: palette for palette in (DARK, LIGHT)}

# What lies on the picture stays as it is: frames are not lighter in a light window.
ZONE = "#f8fafc"
ZONE_FILL = "#60a5fa20"
ZONE_LIT = "#facc15"
ZONE_LIT_FILL = "#facc1560"
SHADE = "#14171cb0"
"""Behind texts that lie on the picture."""
ON_SHADE = "#f8fafc"

_STYLE = """
QMainWindow, QDialog, QWidget#body {{ background: {background}; }}
QWidget {{ color: {text}; font-size: 13px; }}
QLabel {{ background: transparent; }}
QScrollArea, QScrollArea > QWidget > QWidget {{ background: transparent; border: none; }}
QFrame#card {{ background: {panel}; border: 1px solid {edge}; border-radius: 6px; }}
QLabel#caption {{ color: {muted}; font-size: 10px; }}
#title {{ color: {muted}; font-size: 12px; }}
#value {{ font-weight: 600; }}
QLabel#notice {{
    background: {panel}; border: 1px solid {edge}; border-radius: 6px; padding: 10px 18px;
}}
QLabel#badge, QLabel#alert {{ background: {bad}; color: {background}; border-radius: 4px; font-weight: 600; }}
QLabel#badge {{ padding: 2px 8px; }}
QLabel#alert {{ padding: 4px 10px; }}
QLabel#muted {{ color: {muted}; }}
QComboBox, QPushButton, QLineEdit, QListWidget {{
    background: {panel}; border: 1px solid {edge}; border-radius: 5px; padding: 4px 10px;
}}
QComboBox:hover, QPushButton:hover {{ border-color: {muted}; }}
QPushButton:checked {{ border-color: {accent}; color: {accent}; }}
QPushButton:disabled {{ color: {edge}; }}
QPushButton#stop {{ background: {bad}; color: {background}; border-color: {bad}; font-weight: 600; }}
QComboBox QAbstractItemView {{
    background: {panel}; border: 1px solid {edge}; selection-background-color: {edge};
    selection-color: {text};
}}
QSplitter::handle {{ background: transparent; }}
QToolTip {{ background: {panel}; color: {text}; border: 1px solid {edge}; }}
"""


class Theme:
    """The palette in use. Widgets ask it as they paint, so that another one is seen at the next painting."""

    palette: Palette = DARK


def use(name: str) -> Palette:
    """Choose the palette.

    Parameters
    ----------
    name
        `dark` or `light`.

    Returns
    -------
    Palette
        That palette.
    """
    Theme.palette = PALETTES[name]
    return Theme.palette


def palette() -> Palette:
    """Get the palette in use.

    Returns
    -------
    Palette
        The palette.
    """
    return Theme.palette


def style_sheet() -> str:
    """Make the style sheet of a window.

    Returns
    -------
    str
        In Qt's language.
    """
    colors = Theme.palette
    return _STYLE.format(**{name: getattr(colors, name) for name in Palette.__slots__})


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


BONES = "#f8fafc"
"""Of the bones of one individual; of several each has its own colour."""


def individual_color(index: int) -> QColor:
    """Choose the colour of one of several individuals.

    Parameters
    ----------
    index
        Number of the individual, from 0.

    Returns
    -------
    QColor
        The colour.
    """
    return QColor(individual_colour(index))


def curve_color(index: int) -> QColor:
    """Choose the colour of an individual's curve, which can be seen on either background.

    Parameters
    ----------
    index
        Number of the individual, from 0.

    Returns
    -------
    QColor
        The colour.
    """
    return QColor(Theme.palette.accent) if index == 0 else individual_color(index).darker(115)


def label(text: str, role: str) -> QLabel:
    """Make a text in one of the style sheet's roles.

    Parameters
    ----------
    text
        The text.
    role
        `caption`, `title`, `muted`, `notice`, `badge` or `alert`.

    Returns
    -------
    QLabel
        The label.
    """
    made = QLabel(text)
    made.setObjectName(role)
    return made


def button(text: str, hint: str, act: Callable[[], object]) -> QPushButton:
    """Make a button.

    Parameters
    ----------
    text
        The text on it.
    hint
        What it does, under the mouse.
    act
        Called when it is clicked.

    Returns
    -------
    QPushButton
        The button.
    """
    made = QPushButton(text)
    made.setToolTip(hint)
    made.clicked.connect(lambda _=False: act())
    return made
