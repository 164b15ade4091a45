"""A line of text that changes often, for which the window is not laid out anew each time."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

ALIGNED = (Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value


class TextLine(QWidget):
    """One line of plain text, cut where there is no room.

    Qt lays out the whole window anew for every new text of a label. This one asks for room only where a text
    is longer than all before it.
    """

    def __init__(self, role: str, *, yields: bool = False) -> None:
        """Show nothing yet.

        Parameters
        ----------
        role
            `title` or `value`, of the style sheet.
        yields
            Whether it is cut rather than that anything else is.
        """
        super().__init__()
        self.setObjectName(role)
        self._text, self._color = "", ""
        self._yields = yields
        self._widest = 0

    def text(self) -> str:
        """Get what it says.

        Returns
        -------
        str
            The text, whole.
        """
        return self._text

    def write(self, text: str, color: str = "", hint: str = "") -> None:
        """Say something else; nothing is painted where nothing is new.

        Parameters
        ----------
        text
            The text.
        color
            Its colour; empty for the role's.
        hint
            The tooltip.
        """
        if self.toolTip() != hint:
            self.setToolTip(hint)
        if (self._text, self._color) == (text, color):
            return
        self._text, self._color = text, color
        width = self.fontMetrics().horizontalAdvance(text)
        if width > self._widest:
            self._widest = width
            self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QWidget.sizeHint`."""
        return QSize(self._widest, self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QWidget.minimumSizeHint`."""
        return QSize(1 if self._yields else self._widest, self.fontMetrics().height())

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.changeEvent`: another font needs other room."""
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._widest = self.fontMetrics().horizontalAdvance(self._text)
            self.updateGeometry()
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name
        """See `QWidget.paintEvent`."""
        painter = QPainter(self)
        if self._color:
            painter.setPen(QColor(self._color))
        shown = self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), ALIGNED, shown)
        painter.end()
