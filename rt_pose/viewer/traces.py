"""Curves over one time axis: chosen quantities, and latency against the budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGraphicsItem, QGraphicsScene, QVBoxLayout, QWidget

from rt_pose.clock import NS_PER_S
from rt_pose.viewer import style
from rt_pose.viewer.curves import Curve
from rt_pose.viewer.histogram import BUDGET_SHOWN_FROM, nice_ceiling
from rt_pose.viewer.text_line import TextLine

LIVE_SPAN_S = (-10.0, 0.0)
"""Shown of a run: before the newest pose."""
AXIS_WIDTH_PX = 46
MINIMUM_HEIGHT_PX = 44
FAINT = 0.35
"""Opacity of curves that no longer go on."""


def value_range(values: NDArray[np.float32]) -> tuple[float, float]:
    """Choose the ends of a scale: round, and with 0 on it.

    Parameters
    ----------
    values
        What is shown, of any shape.

    Returns
    -------
    tuple[float, float]
        Lower and upper end.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    lower = -nice_ceiling(-low) if low < 0 else 0.0
    if high > 0:
        return lower, nice_ceiling(high)
    return lower, 0.0 if low < 0 else 1.0


def format_value(value: float, unit: str) -> str:
    """Write a value with three digits.

    Parameters
    ----------
    value
        The value.
    unit
        Its unit; empty for none.

    Returns
    -------
    str
        A dash where it is not finite.
    """
    if not np.isfinite(value):
        return "–"
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


class TracePlot(QWidget):
    """One plot, its title in a line of its own above it."""

    clicked = Signal(float)
    """A place on the time axis, s from the present 0."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.title = TextLine("title", yields=True)
        self.plot = pg.PlotWidget()
        self.plot.setMinimumHeight(MINIMUM_HEIGHT_PX)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(x=False, y=False)
        for side in (
            "left",
            "bottom",
        ):  # the grid would be drawn with every curve
            self.plot.getAxis(side).setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)
        self.plot.getAxis("left").setWidth(AXIS_WIDTH_PX)
        self.plot.getAxis("bottom").setStyle(showValues=False)
        self.plot.showGrid(x=True, y=True, alpha=0.15)
        self.plot.getViewBox().disableAutoRange()
        self.plot.scene().setItemIndexMethod(
            QGraphicsScene.ItemIndexMethod.NoIndex
        )  # curves move all the time
        self._has_times = False
        self._ranges: tuple[float, ...] = ()
        """Of the axes: y, then x."""
        self.lines: list[pg.PlotCurveItem] = []
        """One an individual."""
        self.budget = pg.InfiniteLine(angle=0)
        self.cursor_line = pg.InfiniteLine(angle=90)
        for line in (self.budget, self.cursor_line):
            self.plot.addItem(line, ignoreBounds=True)
            line.setVisible(False)
        self.plot.scene().sigMouseClicked.connect(
            lambda event: self.clicked.emit(self.plot.getViewBox().mapSceneToView(event.scenePos()).x())
        )
        column.addWidget(self.title)
        column.addWidget(self.plot, stretch=1)
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the palette in use."""
        colors = style.palette()
        self.plot.setBackground(colors.background)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setTextPen(colors.muted)
            self.plot.getAxis(side).setPen(colors.edge)
        self.budget.setPen(pg.mkPen(colors.bad, width=1, style=Qt.PenStyle.DashLine))
        self.cursor_line.setPen(pg.mkPen(colors.muted, width=1))
        for i, line in enumerate(self.lines):
            line.setPen(pg.mkPen(style.curve_color(i), width=1))

    def show_times(self, on: bool) -> None:
        """Write times below the plot.

        Parameters
        ----------
        on
            Whether to.
        """
        if on != self._has_times:
            self._has_times = on
            self.plot.getAxis("bottom").setStyle(showValues=on)

    def show_curve(self, curve: Curve, now_ns: int, span_s: tuple[float, float]) -> None:
        """Show values around a time.

        Parameters
        ----------
        curve
            The values.
        now_ns
            Where 0 of the time axis is, ns.
        span_s
            Ends of the time axis, s.
        """
        t_s = (curve.t_ns - now_ns) / NS_PER_S
        while len(self.lines) < len(curve.values):
            pen = pg.mkPen(style.curve_color(len(self.lines)), width=1)
            self.lines.append(pg.PlotCurveItem(pen=pen, connect="finite"))
            self.plot.addItem(self.lines[-1], ignoreBounds=True)
        for i, line in enumerate(self.lines):
            if i < len(curve.values):
                line.setData(t_s, curve.values[i])
            else:
                line.setData([], [])
        low, high = value_range(curve.values)
        drawn = curve.budget is not None and high >= BUDGET_SHOWN_FROM * curve.budget
        self.budget.setVisible(drawn)
        if drawn and curve.budget is not None:
            self.budget.setValue(curve.budget)
            high = max(high, nice_ceiling(1.1 * curve.budget))
        self._show_ranges(low, high, *span_s)
        self.cursor_line.setVisible(span_s[1] > 0.0)
        self.cursor_line.setValue(0.0)
        self._entitle(curve, int(np.searchsorted(curve.t_ns, now_ns, side="right")) - 1)

    def _show_ranges(self, low: float, high: float, start_s: float, end_s: float) -> None:
        """Set the axes, which are drawn anew for it even where nothing is new."""
        if self._ranges != (low, high, start_s, end_s):
            self._ranges = (low, high, start_s, end_s)
            view = self.plot.getViewBox()
            view.setYRange(low, high, padding=0.04)
            view.setXRange(start_s, end_s, padding=0)

    def _entitle(self, curve: Curve, at: int) -> None:
        """The title, with the values of the present."""
        values = curve.values[:, at].tolist() if 0 <= at < curve.values.shape[1] else []
        now = ", ".join(format_value(value, curve.unit) for value in values)
        budget = "" if curve.budget is None else f"   budget {curve.budget:g} {curve.unit}"
        self.title.write(f"{curve.title}   {now}{budget}", hint=curve.hint)
        if self.plot.toolTip() != curve.hint:
            self.plot.setToolTip(curve.hint)


class Traces(QWidget):
    """Plots one below the other over the same time axis."""

    chosen_time = Signal(float)
    """A place on the time axis was clicked, s from the present 0."""

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self.plots: list[TracePlot] = []

    def show_curves(
        self, curves: Sequence[Curve], now_ns: int, span_s: tuple[float, float] = LIVE_SPAN_S
    ) -> None:
        """Show curves around a time.

        Parameters
        ----------
        curves
            A plot each.
        now_ns
            Where 0 of the time axis is, ns.
        span_s
            Ends of the time axis, s.
        """
        while len(self.plots) < len(curves):
            plot = TracePlot()
            plot.clicked.connect(self.chosen_time)
            self._column.addWidget(plot, stretch=1)
            self.plots.append(plot)
        for i, plot in enumerate(self.plots):
            plot.setVisible(i < len(curves))
            plot.show_times(i == len(curves) - 1)
            if i < len(curves):
                plot.show_curve(curves[i], now_ns, span_s)

    def clear_session(self) -> None:
        """As before the first message."""
        for plot in self.plots:
            plot.setVisible(False)

    def dim(self, stale: bool) -> None:
        """Dim the curves where they no longer go on.

        Parameters
        ----------
        stale
            Whether they are stale.
        """
        for plot in self.plots:
            plot.plot.getPlotItem().setOpacity(FAINT if stale else 1.0)

    def restyle(self) -> None:
        """Take the colours of the palette in use."""
        for plot in self.plots:
            plot.restyle()
