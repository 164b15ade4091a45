"""The live window: drains the subscription on a timer, repaints what is new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QComboBox

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.errors import UserError
from rt_pose.viewer.alerts import alerts
from rt_pose.viewer.base_window import BaseWindow
from rt_pose.viewer.camera_grid import ALL
from rt_pose.viewer.curves import Curve, curves_of
from rt_pose.viewer.expressions import split_expressions
from rt_pose.viewer.group_curves import group_curves
from rt_pose.viewer.group_state import flatten, pose_age_ns
from rt_pose.viewer.messages import EventBody, Meta, PoseMessage
from rt_pose.viewer.order_bar import OrderBar
from rt_pose.viewer.order_link import EMERGENCY, OrderLink, as_seen_from
from rt_pose.viewer.orthographic import Projection
from rt_pose.viewer.rule_rows import rule_rows
from rt_pose.viewer.status import StatusStrip, readings
from rt_pose.viewer.subscribe import Subscription
from rt_pose.viewer.trace import time_of
from rt_pose.viewer.traces import LIVE_SPAN_S
from rt_pose.viewer.view_state import STALE_NS, ViewState

REPAINT_MS = 33
PANELS_NS = 125 * NS_PER_MS
"""The curves cost most of the painting, and the loop needs the processor more."""
STATUS_NS = 200 * NS_PER_MS
"""Figures that change faster cannot be read."""


class ViewerWindow(BaseWindow):
    """One session, live. Takes the subscription over and closes it with the window."""

    def __init__(
        self,
        subscription: Subscription,
        clock: Clock,
        keys: Path | None = None,
        expressions: Sequence[str] = (),
    ) -> None:
        """Build the window and start its timer.

        Parameters
        ----------
        subscription
            What is shown; it is closed with the window.
        clock
            Host clock.
        keys
            Key file of the run's control socket; None looks for it by the port.
        expressions
            What is traced, in the rules' language; the speed of the first keypoint where there is none.
        """
        super().__init__("rt-pose")
        self.state = ViewState(expressions)
        self._subscription = subscription
        self._clock = clock
        self._session: str | None = None
        self._meta: Meta | None = None
        self._link = OrderLink(clock, keys)
        self._status_ns = self._panels_ns = -STATUS_NS
        self._build()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(REPAINT_MS)
        self.refresh()

    def refresh(self) -> None:
        """Take in what has come and repaint what is new; the timer calls it, tests may."""
        messages = self._subscription.drain()
        now_ns = self._clock.now_ns()
        for message in messages:
            self.state.apply(message, now_ns)
        if messages:
            self._follow_session()
            self._redraw_pictures()
        lit = self.state.lit_zones(now_ns)
        for picture in (*self.grid.arenas.values(), *self.grid.spaces.values()):
            picture.light(lit)
        if now_ns - self._panels_ns >= PANELS_NS:
            self._panels_ns = now_ns
            self._redraw_panels()
        if now_ns - self._status_ns >= STATUS_NS:
            self._status_ns = now_ns
            self._show_status(now_ns)

    @property
    def notice(self) -> str:
        """What stands over the picture; empty for nothing."""
        shown = self.grid.shown()[0].notice
        return shown.text() if shown.isVisible() else ""

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.closeEvent`. Closes the subscription and the way to the run."""
        self._timer.stop()
        self._subscription.close()
        self._link.close()
        super().closeEvent(event)

    def order(self, do: str, args: dict[str, Any] | None = None) -> None:
        """Give the run that is shown an order.

        Parameters
        ----------
        do
            The order.
        args
            Its arguments.
        """
        control = self.state.meta.control if self.state.meta is not None else ""
        self._link.send(do, as_seen_from(self._subscription.address, control), args)
        self._show_status(self._clock.now_ns())

    def stop_at_once(self) -> None:
        """The immediate stop: all outputs of the run that is shown go low."""
        self.order(EMERGENCY)

    def choose_expressions(self, text: str) -> None:
        """Trace something else.

        Parameters
        ----------
        text
            Expressions with semicolons between them.
        """
        try:
            self.state.choose_expressions(split_expressions(text))
        except UserError as error:
            self.side.refuse(str(error))
            return
        self.side.refuse("")
        self._redraw_panels()

    def redraw(self) -> None:
        """See `BaseWindow.redraw`."""
        self._redraw_pictures(force=True)
        self._redraw_panels()
        self._show_status(self._clock.now_ns())
        chosen = self.grid.alone or ALL
        if self.cameras.findText(chosen) >= 0:
            self.cameras.setCurrentText(chosen)

    def _follow_session(self) -> None:
        if self.state.session != self._session:
            self._session = self.state.session
            self._meta = None
            self.grid.set_cameras([])
            self.set_groups({})
            self.side.clear_session()
        new = [*self.grid.set_cameras(self.state.cameras), *self.set_groups(self.state.groups)]
        meta = self.state.meta
        if meta is not None and (new or meta is not self._meta):
            self._take_meta(meta, new)
        if new:
            names = list(self.grid.pictures())
            self.cameras.clear()
            self.cameras.addItems([ALL, *names] if len(names) > 1 else names)
            self.cameras.setVisible(len(names) > 1)
            self.set_options()

    def _take_meta(self, meta: Meta, new: list[str]) -> None:
        previous, self._meta = self._meta, meta
        # It is sent repeatedly; only a difference costs a new layout.
        changed = previous is None or _scene(previous) != _scene(meta)
        for name, arena in self.grid.arenas.items():
            if changed or name in new:
                arena.set_meta(meta, name)
        for name, space in self.grid.spaces.items():
            if changed or name in new:
                space.set_group(meta, self.state.groups[name])
        bound = self.state.expressions
        traced = [] if bound is None else [member.text for member in bound.members]
        self.side.expression.offer(meta.keypoints, "; ".join(traced))
        if changed:
            self.side.refuse(self.state.expression_problem)

    def _redraw_pictures(self, force: bool = False) -> None:
        for name, arena in self.grid.arenas.items():
            state = self.state.cameras.get(name)
            if state is not None and self.grid.alone in ("", name):
                arena.redraw(state, self.state.meta, force)
        figures = self.state.stats.views if self.state.stats is not None else {}
        self.draw_groups(self.state.groups, self.state.group_states, figures, force)

    def _redraw_panels(self) -> None:
        meta = self.state.meta
        budget_ms = meta.budget_ms if meta is not None else None
        if self.grid.alone in self.state.groups:
            self._redraw_group(self.grid.alone, budget_ms)
            return
        state = self.state.cameras.get(self.camera)
        if state is None or state.pose is None:
            return
        now_ns = time_of(state.pose)
        start_ns = now_ns + round(LIVE_SPAN_S[0] * NS_PER_S)
        curves = curves_of(state, self.state.expressions, budget_ms, start_ns, now_ns)
        self._show_side(curves, state.pose, now_ns)

    def _redraw_group(self, name: str, budget_ms: float | None) -> None:
        state = self.state.group_states.get(name)
        if state is None or state.pose is None or state.trace is None:
            return
        info, now_ns = self.state.groups[name].info, time_of(state.pose)
        t_ns, values = state.trace.between(now_ns + round(LIVE_SPAN_S[0] * NS_PER_S), now_ns)
        curves = group_curves(t_ns, values, info, budget_ms, *state.pose.header.individuals[:1])
        self._show_side(curves, flatten(state.pose, Projection()), now_ns)

    def _show_side(self, curves: list[Curve], pose: PoseMessage, now_ns: int) -> None:
        """Show curves, with the rules and confidences of the time."""
        meta = self.state.meta
        rules = meta.rules if meta is not None else []
        individuals = self.state.individual_names()
        rows = rule_rows(rules, self._events(), self.state.stats, now_ns, LIVE_SPAN_S, individuals)
        names = self.state.keypoint_names()
        self.side.show_now(curves, rows, names, pose, now_ns, LIVE_SPAN_S)

    def _events(self) -> list[EventBody]:
        """Those of the cameras that are shown, and of the groups that these belong to."""
        alone = self.grid.alone
        groups = [name for name, group in self.state.groups.items() if alone in group.info.cameras]
        shown = ("", alone, *groups)
        return [event for event in self.state.events if not alone or event.camera in shown]

    def _show_status(self, now_ns: int) -> None:
        state = self.state
        self.strip.show_readings(readings(state, self.camera, self._subscription.unreadable, now_ns))
        begun = state.received_ns is not None
        for name, arena in self.grid.arenas.items():
            age_ns = state.age_ns(name, now_ns)
            arena.dim(age_ns is not None and state.stale(name, now_ns), _stale_text(age_ns))
        for name, space in self.grid.spaces.items():
            age_ns = pose_age_ns(state.group_states.get(name), now_ns)
            space.dim(age_ns is not None and age_ns > STALE_NS, _stale_text(age_ns))
        self.side.traces.dim(begun and state.stale(self.camera, now_ns))
        connected = state.connected(now_ns)
        self.show_alerts(alerts(state.stats) if connected else [])
        self.orders.enable(connected and state.meta is not None and bool(state.meta.control))
        self.say(self._link.order_text())
        first, *others = self.grid.shown()
        first.notify(self._notice(now_ns))
        for picture in others:
            picture.notify("")

    def _notice(self, now_ns: int) -> str:
        emergency = self._link.emergency_text()
        if emergency:
            return emergency
        address = self._subscription.address
        if self.state.received_ns is None and self._subscription.unreadable:
            return f"{address} cannot be read: {self._subscription.last_problem}"
        if self.state.received_ns is None:
            return f"waiting for {address}"
        if not self.state.connected(now_ns):
            return f"the publisher is gone; waiting for {address}"
        return "" if self.state.pose_received_ns is not None else "connected; no frames yet"

    def _switch_camera(self) -> None:
        chosen = self.cameras.currentText()
        self.grid.show_alone("" if chosen == ALL else chosen)

    def _build(self) -> None:
        self.resize(1280, 760)
        self.cameras = QComboBox()
        self.cameras.setToolTip("which camera or group is shown; a double click on a picture does the same")
        self.cameras.hide()
        self.cameras.activated.connect(lambda _: self._switch_camera())
        self.orders = OrderBar()
        self.orders.ordered.connect(self.order)
        self.orders.enable(reachable=False)
        QShortcut(QKeySequence(Qt.Key.Key_Escape), self, self.stop_at_once)
        self.side.expression.chosen.connect(self.choose_expressions)
        self.strip = StatusStrip()
        for widget in (self.cameras, *self.toggles(), self.orders, self.answer):
            self.bar.addWidget(widget)
        self.column.addWidget(self.split(), stretch=1)
        self.column.addWidget(self.strip)


def _stale_text(age_ns: int | None) -> str:
    """What stands on a picture that no longer is of now."""
    if age_ns is None:
        return ""
    return "STALE" if age_ns < 0 else f"STALE {age_ns / NS_PER_S:.1f} s"


def _scene(meta: Meta) -> tuple[object, ...]:
    """The parts of `meta` that the pictures are laid out by."""
    return meta.zones, meta.geometry, meta.keypoints, meta.cameras, meta.views
