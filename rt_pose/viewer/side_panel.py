"""What stands beside the pictures: curves, latencies, confidences, rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from rt_pose.viewer import style
from rt_pose.viewer.curves import Curve
from rt_pose.viewer.expressions import default_expression, quoted
from rt_pose.viewer.histogram import count_latencies
from rt_pose.viewer.messages import PoseMessage
from rt_pose.viewer.panels import (
    ConfidencePanel,
    HistogramPanel,
    RulePanel,
    limit_height,
    scrolled,
)
from rt_pose.viewer.rule_rows import RuleRow
from rt_pose.viewer.traces import LIVE_SPAN_S, Traces

HINT = (
    "what is traced: any quantity or condition of the rules' language, such as `speed(nose)` or "
    "`distance(nose, tail) < 20 mm`; several with `;` between them; Enter takes it.\n"
    "`rt-pose rules words` lists the words"
)

MOST_HEIGHT_PX = 130
"""Of histogram and confidences; what is left over is for the rules."""


class ExpressionBox(QComboBox):
    """Takes what is traced: a choice of common quantities, or anything that is written."""

    chosen = Signal(str)
    """What was written, or chosen from the list."""

    def __init__(self) -> None:
        super().__init__()
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setMinimumContentsLength(18)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setToolTip(HINT)
        line = QLineEdit()
        self.setLineEdit(line)
        for part in (self, line):  # keys are the window's until somebody writes here
            part.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._names: list[str] = []
        self.activated.connect(lambda _: self._choose())
        line.returnPressed.connect(self._choose)

    def offer(self, keypoints: Sequence[str], text: str) -> None:
        """Offer common quantities.

        Parameters
        ----------
        keypoints
            Names of the keypoints.
        text
            What is traced now.
        """
        if list(keypoints) == self._names:
            return
        self._names = list(keypoints)
        self.clear()
        self.addItems([default_expression(name) for name in keypoints])
        self.addItems([f"confidence({quoted(name)})" for name in keypoints])
        self.setEditText(text)

    def refuse(self, problem: str) -> None:
        """Say why what was written is not traced.

        Parameters
        ----------
        problem
            Why; empty where it is.
        """
        bad = style.palette().bad
        self.setStyleSheet(f"QComboBox {{ border-color: {bad}; color: {bad}; }}" if problem else "")
        self.setToolTip(f"{problem}\n\n{HINT}" if problem else HINT)

    def _choose(self) -> None:
        self.chosen.emit(self.currentText())
        self.clearFocus()


class SidePanel(QWidget):
    """Curves over histogram and confidences over rules."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumWidth(230)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.expression = ExpressionBox()
        self.problem = style.label("", "muted")
        self.problem.setWordWrap(True)
        self.problem.hide()
        self.traces = Traces()
        self.histogram, self.confidence = HistogramPanel(), ConfidencePanel()
        for panel in (self.histogram, self.confidence):
            panel.setMaximumHeight(MOST_HEIGHT_PX)
        self.rules = RulePanel()
        column.addWidget(self.expression)
        column.addWidget(self.problem)
        column.addWidget(self.traces, stretch=5)
        row = QHBoxLayout()
        row.addWidget(self.histogram, stretch=3)
        row.addWidget(self.confidence, stretch=2)
        column.addLayout(row, stretch=2)
        self._rule_area = scrolled(self.rules)
        column.addWidget(self._rule_area, stretch=2)

    def refuse(self, problem: str) -> None:
        """Say why what was written is not traced.

        Parameters
        ----------
        problem
            Why; empty where it is.
        """
        self.expression.refuse(problem)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    def show_now(
        self,
        curves: Sequence[Curve],
        rows: list[RuleRow],
        names: list[str],
        pose: PoseMessage | None,
        now_ns: int,
        span_s: tuple[float, float],
    ) -> None:
        """Show what is known around a time.

        Parameters
        ----------
        curves
            The chosen quantities, and last the latency: from the image, and from the exposure.
        rows
            A row a rule.
        names
            Names of the keypoints.
        pose
            Whose confidences are shown.
        now_ns
            Where 0 of the time axis is, ns.
        span_s
            Ends of the time axis, s.
        """
        self.traces.show_curves(curves, now_ns, span_s)
        latency = curves[-1]
        image, exposure = latency.values
        # The budget is from the exposure; where that is not known, from the image.
        counted = exposure if np.isfinite(exposure).any() else image
        self.histogram.show_histogram(count_latencies(counted, latency.budget), latency.budget)
        self.confidence.show_confidence(names, None if pose is None else pose.confidence)
        if len(rows) != len(self.rules.rows):
            limit_height(self._rule_area, len(rows))
        self.rules.show_rows(rows, span_s)

    def clear_session(self) -> None:
        """As before the first message."""
        self.traces.clear_session()
        self.histogram.show_histogram(None, None)
        self.confidence.show_confidence([], None)
        self.rules.show_rows([], LIVE_SPAN_S)

    def restyle(self) -> None:
        """Take the colours of the palette in use."""
        self.traces.restyle()
        for panel in (self.histogram, self.confidence, self.rules):
            panel.update()
