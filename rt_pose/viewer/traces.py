"""The last ten seconds: speed of one keypoint, latency against the budget, and ticks for events."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.viewer import style
from rt_pose.viewer.messages import EventBody, Meta
from rt_pose.viewer.view_state import CameraState

SPAN_S = 10.0
BUDGET_SHOWN_FROM = 0.2
"""A budget is drawn where the data reach this share of it; else only named: the scale stays useful."""
SCALE_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
LABEL_WIDTH_PX = 92
LABEL_CHARACTERS = 13
TITLE_SIZE = "9pt"
LATENCY_LEGEND = f'<span style="color:{style.GOOD}">image</span> and exposure to decision'
EVENT_LEGEND = (
    f'<span style="color:{style.GOOD}">fired or decided</span>, '
    f'<span style="color:{style.WARN}">suppressed</span>'
)


def nice_ceiling(value: float) -> float:
    """Round up to one of `SCALE_STEPS` times a power of ten, so that a moving scale changes seldom.

    Parameters
    ----------
    value
        What must fit below.

    Returns
    -------
    float
        The upper end of the scale; 1 for a value that is not above 0.
    """
    if not value > 0:
        return 1.0
    decade = 10.0 ** np.floor(np.log10(value))
    return float(next(step * decade for step in SCALE_STEPS if step * decade >= value * (1 - 1e-9)))


def event_ticks(
    events: Iterable[EventBody], rows: dict[str, int], outcome: str, now_ns: int
) -> NDArray[np.float64]:
    """Compute the ends of one upright line for each event within the span.

    Parameters
    ----------
    events
        The events.
    rows
        Row of each rule.
    outcome
        Events of another outcome are left out.
    now_ns
        Time at the right end of the span, ns.

    Returns
    -------
    NDArray[np.float64]
        (2 E, 2): seconds before now, and row.
    """
    points: list[tuple[float, float]] = []
    for event in events:
        t_ns = event.t_judged_ns if event.t_cause_ns is None else event.t_cause_ns
        # Of a rule that withholds, the operator may not see whether what was decided was fired.
        shown = "fired" if event.outcome == "decided" else event.outcome
        if shown != outcome or t_ns is None or event.rule not in rows:
            continue
        t_s = (t_ns - now_ns) / NS_PER_S
        if -SPAN_S <= t_s <= 0:
            row = rows[event.rule]
            points += [(t_s, row - 0.36), (t_s, row + 0.36)]
    return np.array(points, dtype=np.float64).reshape(-1, 2)


class Traces(pg.GraphicsLayoutWidget):
    """Three plots over one time axis: seconds before the newest pose."""

    def __init__(self) -> None:
        super().__init__()
        self.ci.layout.setContentsMargins(4, 4, 10, 4)
        self.ci.layout.setSpacing(2)
        self.speed_plot = self._plot(0, "speed, px/s")
        self.latency_plot = self._plot(1, "latency, ms")
        self.event_plot = self._plot(2, "events")
        self.event_plot.setLabel(
            "bottom", "seconds before the newest pose", color=style.MUTED, **{"font-size": TITLE_SIZE}
        )
        self.event_plot.getAxis("bottom").setStyle(showValues=True)
        self.event_plot.getViewBox().setYRange(-0.5, 0.5, padding=0)
        for row, share in enumerate((4, 4, 2)):
            self.ci.layout.setRowStretchFactor(row, share)
        self.speed = self.speed_plot.plot(pen=pg.mkPen(style.ACCENT, width=1), antialias=True)
        self.exposure = self.latency_plot.plot(pen=pg.mkPen(style.MUTED, width=1))
        self.decision = self.latency_plot.plot(pen=pg.mkPen(style.GOOD, width=1))
        self.budget = pg.InfiniteLine(
            angle=0, pen=pg.mkPen(style.BAD, width=1, style=pg.QtCore.Qt.PenStyle.DashLine)
        )
        self.latency_plot.addItem(self.budget, ignoreBounds=True)
        self.fired = self._ticks(style.GOOD)
        self.suppressed = self._ticks(style.WARN)
        self._rows: dict[str, int] = {}
        self.clear_session()

    def set_rules(self, rules: list[str]) -> None:
        """Lay out one row of ticks a rule, the first on top.

        Parameters
        ----------
        rules
            Names of the rules.
        """
        self._rows = {rule: len(rules) - 1 - i for i, rule in enumerate(rules)}
        self.event_plot.getAxis("left").setTicks([[(row, _short(rule)) for rule, row in self._rows.items()]])
        self.event_plot.getViewBox().setYRange(-0.6, max(len(rules), 1) - 0.4, padding=0)

    def redraw(
        self, state: CameraState, meta: Meta | None, events: Iterable[EventBody], keypoint: int, name: str
    ) -> None:
        """Show the last `SPAN_S` seconds of a camera.

        Parameters
        ----------
        state
            What is known of the camera.
        meta
            The session's description, for the budget; None where it has not come.
        events
            The events of the camera, oldest first.
        keypoint
            Number of the keypoint whose speed is shown, from 0.
        name
            Its name.
        """
        now_ns = self._newest_ns(state)
        if now_ns is None:
            return
        start_ns = now_ns - round(SPAN_S * NS_PER_S)
        self._draw_speed(state, keypoint, name, start_ns, now_ns)
        self._draw_latency(state, meta.budget_ms if meta else None, start_ns, now_ns)
        events = list(events)
        for curve, outcome in ((self.fired, "fired"), (self.suppressed, "suppressed")):
            points = event_ticks(events, self._rows, outcome, now_ns)
            curve.setData(points[:, 0], points[:, 1])
        self._draw_event_title(events)

    def clear_session(self) -> None:
        """As before the first message."""
        for curve in (self.speed, self.exposure, self.decision, self.fired, self.suppressed):
            curve.setData([], [])
        self.budget.setVisible(False)
        self.speed_plot.setTitle(_title("speed", ""), size=TITLE_SIZE)
        self.latency_plot.setTitle(_title(LATENCY_LEGEND, ""), size=TITLE_SIZE)
        self.event_plot.setTitle(_title(EVENT_LEGEND, ""), size=TITLE_SIZE)
        self.set_rules([])

    @staticmethod
    def _newest_ns(state: CameraState) -> int | None:
        if state.pose is None:
            return None
        header = state.pose.header
        return header.t_pub_ns if header.t_exposure_ns is None else header.t_exposure_ns

    def _draw_speed(self, state: CameraState, keypoint: int, name: str, start_ns: int, now_ns: int) -> None:
        if state.speed is None or not 0 <= keypoint < state.speed.channels:
            return
        t_ns, speed = state.speed.since(start_ns, keypoint)
        self.speed.setPen(pg.mkPen(style.keypoint_color(keypoint, state.speed.channels), width=1))
        self.speed.setData((t_ns - now_ns) / NS_PER_S, speed)
        self.speed_plot.setTitle(_title(f"speed of {name}", f"{_last(speed):.0f} px/s"), size=TITLE_SIZE)
        self.speed_plot.getViewBox().setYRange(0, nice_ceiling(_largest(speed)), padding=0)

    def _draw_latency(self, state: CameraState, budget_ms: float | None, start_ns: int, now_ns: int) -> None:
        largest = 0.0
        for channel, curve in enumerate((self.decision, self.exposure)):
            t_ns, latency = state.latency.since(start_ns, channel)
            curve.setData((t_ns - now_ns) / NS_PER_S, latency)
            largest = max(largest, _largest(latency))
        shown = budget_ms is not None and largest >= BUDGET_SHOWN_FROM * budget_ms
        self.budget.setVisible(shown)
        if shown and budget_ms is not None:
            self.budget.setValue(budget_ms)
            largest = max(largest, 1.1 * budget_ms)
        self.latency_plot.getViewBox().setYRange(0, nice_ceiling(largest), padding=0)
        budget = (
            "" if budget_ms is None else f'<span style="color:{style.BAD}">budget {budget_ms:g} ms</span>'
        )
        self.latency_plot.setTitle(_title(LATENCY_LEGEND, budget), size=TITLE_SIZE)

    def _draw_event_title(self, events: list[EventBody]) -> None:
        last = ""
        if events:
            event = events[-1]
            last = f"last: {event.rule} {event.outcome}" + (f" ({event.reason})" if event.reason else "")
        self.event_plot.setTitle(_title(EVENT_LEGEND, last), size=TITLE_SIZE)

    def _plot(self, row: int, name: str) -> pg.PlotItem:
        plot = self.addPlot(row=row, col=0, name=name)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)
        plot.showGrid(x=True, y=True, alpha=0.12)
        plot.getAxis("left").setWidth(LABEL_WIDTH_PX)
        plot.getAxis("bottom").setStyle(showValues=False)
        for side in ("left", "bottom"):
            plot.getAxis(side).setTextPen(style.MUTED)
            plot.getAxis(side).setPen(style.EDGE)
        view = plot.getViewBox()
        view.disableAutoRange()
        view.setXRange(-SPAN_S, 0, padding=0)
        return plot

    def _ticks(self, color: str) -> pg.PlotDataItem:
        return self.event_plot.plot(pen=pg.mkPen(color, width=2), connect="pairs")


def _short(name: str) -> str:
    return name if len(name) <= LABEL_CHARACTERS else name[: LABEL_CHARACTERS - 1] + "…"


def _title(left: str, right: str) -> str:
    return f'<span style="color:{style.MUTED}">{left}</span>&nbsp;&nbsp;<b>{right}</b>'


def _largest(values: NDArray[np.float32]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else 0.0


def _last(values: NDArray[np.float32]) -> float:
    return float(values[-1]) if values.size else float("nan")
