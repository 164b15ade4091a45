"""A row of widgets that goes on in the next line where the window is too narrow for it."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget


class FlowLayout(QLayout):
    """Places widgets from left to right, and begins a new line where one does not fit."""

    def __init__(self, parent: QWidget | None = None, spacing: int = 6, justified: bool = False) -> None:
        """Begin without widgets.

        Parameters
        ----------
        parent
            The widget that is laid out.
        spacing
            Between widgets and between lines, px.
        justified
            Whether the widgets of a line share what room it leaves.
        """
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self._justified = justified
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(spacing)

    def addItem(self, item: QLayoutItem) -> None:  # noqa: N802 - Qt's name
        """See `QLayout.addItem`."""
        self._items.append(item)

    def count(self) -> int:
        """See `QLayout.count`."""
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:  # noqa: N802 - Qt's name
        """See `QLayout.itemAt`."""
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:  # noqa: N802 - Qt's name
        """See `QLayout.takeAt`."""
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:  # noqa: N802 - Qt's name
        """See `QLayout.expandingDirections`."""
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:  # noqa: N802 - Qt's name
        """See `QLayout.hasHeightForWidth`."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802 - Qt's name
        """See `QLayout.heightForWidth`."""
        return self._place(QRect(0, 0, width, 0), move=False)

    def setGeometry(self, rect: QRect) -> None:  # noqa: N802 - Qt's name
        """See `QLayout.setGeometry`."""
        super().setGeometry(rect)
        self._place(rect, move=True)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QLayout.sizeHint`."""
        return self.minimumSize()

    def minimumSize(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QLayout.minimumSize`; as wide as the widest widget."""
        size = QSize(0, 0)
        for item in self._shown():
            size = size.expandedTo(item.minimumSize())
        return size

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _place(self, rect: QRect, *, move: bool) -> int:
        """Place the widgets, or only find out how high they are."""
        y = rect.y()
        for line in self._lines(rect.width()):
            height = max(item.sizeHint().height() for item in line)
            if move:
                self._place_line(line, rect.x(), y, rect.width(), height)
            y += height + self.spacing()
        return max(0, y - self.spacing() - rect.y())

    def _lines(self, width: int) -> list[list[QLayoutItem]]:
        lines: list[list[QLayoutItem]] = []
        used = 0
        for item in self._shown():
            wanted = item.sizeHint().width()
            if not lines or used + self.spacing() + wanted > width:
                lines.append([])
                used = wanted
            else:
                used += self.spacing() + wanted
            lines[-1].append(item)
        return lines

    def _place_line(self, line: list[QLayoutItem], x: int, y: int, width: int, height: int) -> None:
        widths = [item.sizeHint().width() for item in line]
        free = max(0, width - sum(widths) - self.spacing() * (len(line) - 1))
        for i, (item, wanted) in enumerate(zip(line, widths, strict=True)):
            more = (free * (i + 1) // len(line) - free * i // len(line)) if self._justified else 0
            item.setGeometry(QRect(QPoint(x, y), QSize(max(wanted + more, 1), height)))
            x += wanted + more + self.spacing()
