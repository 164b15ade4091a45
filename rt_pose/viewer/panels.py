"""Small panels that are painted by hand: rules with their events, latencies in bins, confidences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QScrollArea, QSizePolicy, QToolTip, QWidget

from rt_pose.viewer import style
from rt_pose.viewer.histogram import Histogram
from rt_pose.viewer.rule_rows import RuleRow

ROW_PX = 18
NAME_SHARE, COUNTS_SHARE = 0.34, 0.2
"""Of a row's width."""
FEWEST_ROWS_SHOWN, MOST_ROWS_SHOWN = 3, 10
"""Without scrolling, in a low window and in a high one."""
LEFT = (Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value
RIGHT = (Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value


def outcome_color(outcome: str) -> str:
    """Choose the colour of an outcome.

    Parameters
    ----------
    outcome
        Of an event.

    Returns
    -------
    str
        Its colour: a decided event looks like one that fired.
    """
    colors = style.palette()
    return {"suppressed": colors.warn, "withheld": colors.accent}.get(outcome, colors.good)


class RulePanel(QWidget):
    """A row a rule: its name, its events over time, its counts."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[RuleRow] = []
        self._span_s = (-10.0, 0.0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_rows(self, rows: list[RuleRow], span_s: tuple[float, float]) -> None:
        """Show rules.

        Parameters
        ----------
        rows
            A row a rule.
        span_s
            Ends of the time axis, s.
        """
        if len(rows) != len(self.rows):
            self.setFixedHeight(max(1, len(rows)) * ROW_PX)
            self.updateGeometry()
        self.rows, self._span_s = rows, span_s
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QWidget.sizeHint`."""
        return QSize(220, max(1, len(self.rows)) * ROW_PX)

    def event(self, event: QEvent) -> bool:
        """See `QWidget.event`: a tooltip tells of the rule under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            row = event.pos().y() // ROW_PX
            text = self.rows[row].hint if 0 <= row < len(self.rows) else ""
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name
        """See `QWidget.paintEvent`."""
        painter, colors = QPainter(self), style.palette()
        metrics = QFontMetrics(self.font())
        names, counts = round(NAME_SHARE * self.width()), round(COUNTS_SHARE * self.width())
        begin, end = names + 6, self.width() - counts - 6
        scale = max(end - begin, 1) / (self._span_s[1] - self._span_s[0])
        for i, row in enumerate(self.rows):
            y = i * ROW_PX
            painter.setPen(QColor(colors.edge))
            painter.drawLine(begin, y + ROW_PX // 2, end, y + ROW_PX // 2)
            for t_s, outcome in row.ticks:
                x = begin + scale * (t_s - self._span_s[0])
                painter.setPen(QPen(QColor(outcome_color(outcome)), 2))
                painter.drawLine(QPointF(x, y + 3), QPointF(x, y + ROW_PX - 4))
            painter.setPen(QColor(colors.text))
            name = metrics.elidedText(row.name, Qt.TextElideMode.ElideMiddle, names)
            painter.drawText(QRect(0, y, names, ROW_PX), LEFT, name)
            painter.setPen(QColor(colors.bad if row.failed else colors.muted))
            text = metrics.elidedText(row.counts, Qt.TextElideMode.ElideRight, counts)
            painter.drawText(QRect(self.width() - counts, y, counts, ROW_PX), RIGHT, text)
        painter.end()


def scrolled(panel: RulePanel) -> QScrollArea:
    """Put the rules into an area that scrolls where they are many.

    Parameters
    ----------
    panel
        The rules.

    Returns
    -------
    QScrollArea
        The area, as high as `MOST_ROWS_SHOWN` rows at most.
    """
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(panel)
    limit_height(area, 1)
    return area


def limit_height(area: QScrollArea, rows: int) -> None:
    """Give the rules as much height as they need, within bounds.

    Parameters
    ----------
    area
        Where they are shown.
    rows
        How many there are.
    """
    area.setMinimumHeight(max(1, min(rows, FEWEST_ROWS_SHOWN)) * ROW_PX + 2)
    area.setMaximumHeight(max(1, min(rows, MOST_ROWS_SHOWN)) * ROW_PX + 2)


class HistogramPanel(QWidget):
    """Latencies of the last seconds in bins, the budget as a line."""

    def __init__(self) -> None:
        super().__init__()
        self._found: Histogram | None = None
        self._budget_ms: float | None = None
        self.setMinimumSize(120, 60)

    def show_histogram(self, found: Histogram | None, budget_ms: float | None) -> None:
        """Show latencies.

        Parameters
        ----------
        found
            The latencies; None for none.
        budget_ms
            The budget; None for none.
        """
        self._found, self._budget_ms = found, budget_ms
        self.setToolTip(self.text())
        self.update()

    def text(self) -> str:
        """Describe what is shown.

        Returns
        -------
        str
            Percentiles, and how many were over the budget.
        """
        found = self._found
        if found is None:
            return "latency: no frames"
        budget = "" if self._budget_ms is None else f", {found.over} of {found.n} over {self._budget_ms:g} ms"
        return f"latency P50 {found.p50_ms:.1f}, P99 {found.p99_ms:.1f} ms{budget}"

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name
        """See `QWidget.paintEvent`."""
        painter, colors, found = QPainter(self), style.palette(), self._found
        text = QFontMetrics(self.font()).elidedText(
            self.text(), Qt.TextElideMode.ElideRight, max(self.width() - 4, 1)
        )
        painter.setPen(QColor(colors.muted))
        painter.drawText(QRect(2, 0, self.width() - 4, ROW_PX), LEFT, text)
        if found is not None:
            self._paint_bars(painter, found)
        painter.end()

    def _paint_bars(self, painter: QPainter, found: Histogram) -> None:
        colors = style.palette()
        base, top = self.height() - ROW_PX, ROW_PX + 2
        width, high = self.width() / len(found.counts), max(int(found.counts.max()), 1)
        for i, count in enumerate(found.counts.tolist()):
            begin_ms = i * found.end_ms / len(found.counts)
            late = self._budget_ms is not None and begin_ms >= self._budget_ms
            # The root, so that a few late frames among thousands can be seen.
            bar = (base - top) * (count / high) ** 0.5
            color = QColor(colors.bad if late else colors.good)
            painter.fillRect(QRectF(i * width, base - bar, max(width - 1, 1), bar), color)
        painter.setPen(QColor(colors.edge))
        painter.drawLine(0, base, self.width(), base)
        painter.setPen(QColor(colors.muted))
        painter.drawText(QRect(0, base, self.width(), ROW_PX), LEFT, "0")
        painter.drawText(QRect(0, base, self.width() - 2, ROW_PX), RIGHT, f"{found.end_ms:g} ms")
        if self._budget_ms is not None and self._budget_ms <= found.end_ms:
            x = self._budget_ms / found.end_ms * self.width()
            painter.setPen(QPen(QColor(colors.bad), 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(x, top), QPointF(x, base))


class ConfidencePanel(QWidget):
    """The network's confidence in each keypoint, a bar each, of the least sure individual that is seen."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self.values: list[float] = []
        self.setMinimumSize(100, 60)

    def show_confidence(self, names: list[str], confidence: NDArray[np.float32] | None) -> None:
        """Show the confidences of a frame.

        Parameters
        ----------
        names
            Names of the keypoints.
        confidence
            (N, K) 0..1, NaN of an individual that is not seen; None where they are not known.
        """
        self._names = names
        known = confidence is not None and confidence.size and confidence.shape[1] == len(names)
        self.values = np.fmin.reduce(confidence, axis=0).tolist() if known and confidence is not None else []
        lines = [f"{name}: {p:.2f}" for name, p in zip(names, self.values, strict=False)]
        self.setToolTip("\n".join(["the network's confidence, 0 to 1", *lines]))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 - Qt's name
        """See `QWidget.paintEvent`."""
        painter, colors = QPainter(self), style.palette()
        painter.setPen(QColor(colors.muted))
        title = f"confidence ≥ {np.fmin.reduce(self.values):.2f}" if self.values else "confidence"
        painter.drawText(QRect(2, 0, self.width() - 4, ROW_PX), LEFT, title)
        base, top = self.height() - 4, ROW_PX + 2
        width = self.width() / max(len(self.values), 1)
        for i, value in enumerate(self.values):
            room = QRectF(i * width + 1, top, max(width - 2, 1), base - top)
            painter.fillRect(room, QColor(colors.panel))
            if np.isfinite(value):
                bar = min(max(value, 0.0), 1.0) * room.height()
                color = style.keypoint_color(i, len(self.values))
                painter.fillRect(QRectF(room.x(), base - bar, room.width(), bar), color)
        painter.setPen(QColor(colors.edge))
        painter.drawLine(0, base, self.width(), base)
        painter.end()
