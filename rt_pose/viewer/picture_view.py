"""A view in the grid of pictures: what a camera's picture and the pane of space share."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QCursor, QMouseEvent
from PySide6.QtWidgets import QGraphicsScene, QGridLayout, QLabel, QToolTip

from rt_pose.viewer import style
from rt_pose.viewer.pose_items import PoseItems

FAINT = 0.35
"""Opacity of what can no longer be trusted."""
REACH_PX = 12
"""How near the mouse must be to what it asks about, px of the screen."""


class PictureView(pg.GraphicsLayoutWidget):
    """One view with a caption, and over it what must be said of it."""

    doubled = Signal()
    """It was clicked twice."""
    pose: PoseItems
    """What is drawn of the animal."""

    def __init__(self, name: str, view: pg.ViewBox) -> None:
        """Show nothing yet.

        Parameters
        ----------
        name
            What stands on it; empty for one that stands alone.
        view
            What it shows.
        """
        super().__init__()
        self.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.scene().setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)  # poses move all the time
        self.setMinimumSize(160, 120)
        self.notice, self.badge = style.label("", "notice"), style.label("", "badge")
        self.caption, self.figures = _shaded(name), _shaded("")
        self._lay_over()
        self.view = view
        self.addItem(view)
        self.scene().sigMouseMoved.connect(self._hover)
        self.restyle()

    def dim(self, stale: bool, why: str = "") -> None:
        """Dim the picture where it can no longer be trusted, and say so on it.

        Parameters
        ----------
        stale
            Whether what is shown is stale.
        why
            What then stands on the picture.
        """
        self.view.setOpacity(FAINT if stale else 1.0)
        if self.badge.text() != why:
            self.badge.setText(why)
        self.badge.setVisible(stale and bool(why))

    def notify(self, text: str) -> None:
        """Show a line over the picture.

        Parameters
        ----------
        text
            The line; empty for none.
        """
        _write(self.notice, text)

    def say(self, text: str) -> None:
        """Show figures at the foot of the picture.

        Parameters
        ----------
        text
            The figures; empty for none.
        """
        _write(self.figures, text)

    def fit(self) -> None:
        """Show all of it again, after zooming."""

    def restyle(self) -> None:
        """Take the colours of the palette in use."""
        self.setBackground(style.palette().background)

    def mouse_radius(self) -> float:
        """Compute how near the mouse must be to what it asks about.

        Returns
        -------
        float
            In the unit of the view.
        """
        return REACH_PX * float(self.view.viewPixelSize()[0])

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.mouseDoubleClickEvent`."""
        self.doubled.emit()
        super().mouseDoubleClickEvent(event)

    def describe(self, x: float, y: float) -> str:
        """Describe what lies at a place of the view; the text is shown under the mouse."""
        raise NotImplementedError

    def _hover(self, place: QPointF) -> None:
        at = self.view.mapSceneToView(place)
        text = self.describe(at.x(), at.y())
        if text:
            QToolTip.showText(QCursor.pos(), text, self)
        else:
            QToolTip.hideText()

    def _lay_over(self) -> None:
        """Texts over the picture, each in its own place, so that none is drawn over another."""
        over = QGridLayout(self)
        over.setContentsMargins(8, 8, 8, 8)
        flags = Qt.AlignmentFlag
        over.addWidget(self.caption, 0, 0, flags.AlignLeft | flags.AlignTop)
        over.addWidget(self.badge, 0, 1, flags.AlignRight | flags.AlignTop)
        over.addWidget(self.notice, 1, 0, 1, 2, flags.AlignCenter)
        over.addWidget(self.figures, 2, 0, 1, 2, flags.AlignLeft | flags.AlignBottom)
        over.setRowStretch(1, 1)
        for text in (self.notice, self.badge, self.caption, self.figures):
            text.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.notice.setWordWrap(True)
        self.notice.hide()
        self.badge.hide()
        self.figures.hide()
        self.caption.setVisible(bool(self.caption.text()))


def _shaded(text: str) -> QLabel:
    """A text that can be read on any picture."""
    made = style.label(text, "title")
    made.setStyleSheet(
        f"background: {style.SHADE}; color: {style.ON_SHADE}; padding: 1px 6px; border-radius: 3px"
    )
    return made


def _write(label: QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)
    label.setVisible(bool(text))
