"""Scales and figures of the curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.qt import QtCore, QtWidgets

from rt_pose.clock import NS_PER_S
from rt_pose.viewer.curves import Curve
from rt_pose.viewer.text_line import TextLine
from rt_pose.viewer.traces import LIVE_SPAN_S, TracePlot, format_value, value_range


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([1.0, 55.0], (0.0, 70.0)),
        ([-1.2, 3.0], (-1.5, 3.0)),
        ([-9.0, -2.0], (-10.0, 0.0)),
        ([0.0, 0.0], (0.0, 1.0)),
        ([np.nan], (0.0, 1.0)),
        ([], (0.0, 1.0)),
    ],
)
def test_a_scale_holds_all_values_and_0(values: list[float], ends: tuple[float, float]) -> None:
    assert value_range(np.array(values, np.float32)) == pytest.approx(ends)


def test_values_are_written_with_three_digits() -> None:
    written = [format_value(v, "mm/s") for v in (0.01234, 12.345, 1234.5, float("nan"))]
    assert written == ["0.0123 mm/s", "12.3 mm/s", "1234 mm/s", "–"]


def test_axes_are_drawn_anew_for_another_scale_alone(qt_app: Any) -> None:
    plot = TracePlot()
    changes: list[object] = []
    plot.plot.getViewBox().sigStateChanged.connect(changes.append)

    def show(*values: float) -> int:
        changes.clear()
        t_ns = np.arange(len(values)) * NS_PER_S
        curve = Curve("speed", "mm/s", t_ns, np.array([values], np.float32))
        plot.show_curve(curve, int(t_ns[-1]), LIVE_SPAN_S)
        return len(changes)

    assert show(1.0, 9.0) > 0
    assert show(2.0, np.nan, 9.5) == 0
    assert plot.title.text() == "speed   9.5 mm/s"
    assert show(1.0, 90.0) > 0
    (line,) = plot.lines
    assert line.getData()[1].tolist() == [1.0, 90.0]


def test_the_window_is_laid_out_anew_only_for_a_longer_text(qt_app: Any) -> None:
    class Holder(QtWidgets.QWidget):
        laid_out = 0

        def event(self, event: QtCore.QEvent) -> bool:
            self.laid_out += event.type() == QtCore.QEvent.Type.LayoutRequest
            return super().event(event)

    holder, line = Holder(), TextLine("value")
    QtWidgets.QVBoxLayout(holder).addWidget(line)
    line.write("12.5 ms")
    holder.show()
    qt_app.processEvents()
    before = line.grab().toImage()
    for text, laid_out in (("9.9 ms", False), ("10.1 ms", False), ("a longer text", True)):
        holder.laid_out = 0
        line.write(text, "#ff0000", "why")
        qt_app.processEvents()
        assert (line.text(), line.toolTip(), holder.laid_out > 0) == (text, "why", laid_out)
    assert line.grab().toImage() != before
    assert line.width() >= line.fontMetrics().horizontalAdvance(line.text())
