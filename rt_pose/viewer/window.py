"""The window: drains the subscription on a timer, repaints what is new."""

from __future__ import annotations

from pathlib import Path

import pyqtgraph as pg
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QIcon, QKeySequence, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.viewer import style
from rt_pose.viewer.arena import Arena
from rt_pose.viewer.emergency import EmergencyStop, as_seen_from
from rt_pose.viewer.messages import Meta
from rt_pose.viewer.status import StatusStrip, readings
from rt_pose.viewer.subscribe import Subscription
from rt_pose.viewer.traces import Traces
from rt_pose.viewer.view_state import ViewState

REPAINT_MS = 33
TRACES_NS = 100 * NS_PER_MS
"""The curves cost most of the painting, and the loop needs the processor more."""
STATUS_NS = 200 * NS_PER_MS
"""Figures that change faster cannot be read."""


class ViewerWindow(QMainWindow):
    """One session, one camera at a time. Takes the subscription over and closes it with the window."""

    def __init__(self, subscription: Subscription, clock: Clock, keys: Path | None = None) -> None:
        """Build the window and start its timer.

        Parameters
        ----------
        subscription
            What is shown; it is closed with the window.
        clock
            Host clock.
        keys
            Key file of the run's control socket; None looks for it by the port.
        """
        super().__init__()
        self.state = ViewState()
        self._subscription = subscription
        self._clock = clock
        self._session: str | None = None
        self._meta: Meta | None = None
        self._emergency = EmergencyStop(clock, keys)
        self._status_ns = self._traces_ns = -STATUS_NS
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
            self._redraw_arena()
        if now_ns - self._traces_ns >= TRACES_NS:
            self._traces_ns = now_ns
            self._redraw_traces()
        if now_ns - self._status_ns >= STATUS_NS:
            self._status_ns = now_ns
            self._show_status(now_ns)

    @property
    def camera(self) -> str:
        """Name of the camera that is shown; empty before the first is known."""
        return self.cameras.currentText()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.closeEvent`. Closes the subscription and the connection of the emergency stop."""
        self._timer.stop()
        self._subscription.close()
        self._emergency.close()
        super().closeEvent(event)

    def stop_at_once(self) -> None:
        """The immediate stop: all outputs of the run that is shown go low."""
        control = self.state.meta.control if self.state.meta is not None else ""
        self._emergency.request(as_seen_from(self._subscription.address, control))
        self._show_status(self._clock.now_ns())

    def _follow_session(self) -> None:
        if self.state.session != self._session:
            self._session = self.state.session
            self._meta = None
            self.cameras.clear()
            self.keypoints.clear()
            self.arena.clear_session()
            self.traces.clear_session()
        known = [self.cameras.itemText(i) for i in range(self.cameras.count())]
        self.cameras.addItems([name for name in self.state.cameras if name not in known])
        self.cameras.setVisible(self.cameras.count() > 1)
        if self.state.meta is not None and self.state.meta is not self._meta:
            self._take_meta(self.state.meta)
        names = self.state.keypoint_names()
        if [self.keypoints.itemText(i) for i in range(self.keypoints.count())] != names:
            self._fill_keypoints(names)

    def _take_meta(self, meta: Meta) -> None:
        previous, self._meta = self._meta, meta
        # It is sent repeatedly; only a difference costs a new layout.
        if previous is None or previous.rules != meta.rules:
            self.traces.set_rules(meta.rules)
        if previous is None or _scene(previous) != _scene(meta):
            self.arena.set_meta(meta, self.camera)

    def _fill_keypoints(self, names: list[str]) -> None:
        chosen = self.keypoints.currentIndex()
        self.keypoints.clear()
        for i, name in enumerate(names):
            swatch = QPixmap(12, 12)
            swatch.fill(style.keypoint_color(i, len(names)))
            self.keypoints.addItem(QIcon(swatch), name)
        self.keypoints.setCurrentIndex(min(max(chosen, 0), len(names) - 1))

    def _redraw_arena(self, force: bool = False) -> None:
        state = self.state.cameras.get(self.camera)
        if state is not None:
            self.arena.redraw(state, self.state.meta, force)

    def _redraw_traces(self) -> None:
        state = self.state.cameras.get(self.camera)
        if state is None:
            return
        events = [event for event in self.state.events if event.camera in ("", self.camera)]
        index, name = self.keypoints.currentIndex(), self.keypoints.currentText()
        self.traces.redraw(state, self.state.meta, events, index, name)

    def _show_status(self, now_ns: int) -> None:
        cells = readings(self.state, self.camera, self._subscription.unreadable, now_ns)
        self.strip.show_readings(cells)
        self.arena.dim(self.state.received_ns is not None and self.state.stale(self.camera, now_ns))
        notice = self._notice(now_ns)
        self.arena.notice.setText(notice)
        self.arena.notice.setVisible(bool(notice))

    def _notice(self, now_ns: int) -> str:
        emergency = self._emergency.status_text()
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
        self.arena.clear_session()
        if self.camera:
            self.arena.set_meta(self.state.meta, self.camera)
            self._redraw_arena(force=True)
            self._redraw_traces()

    def _set_options(self) -> None:
        self.arena.show_cov = self.ellipse_button.isChecked()
        self.arena.show_prediction = self.prediction_button.isChecked()
        self.arena.show_names = self.names_button.isChecked()
        self._redraw_arena(force=True)

    def _build(self) -> None:
        pg.setConfigOptions(background=style.BACKGROUND, foreground=style.MUTED)
        self.setWindowTitle("rt-pose")
        self.setStyleSheet(style.STYLE)
        self.resize(1280, 760)
        body = QWidget()
        body.setObjectName("body")
        column = QVBoxLayout(body)
        column.setContentsMargins(10, 10, 10, 10)
        column.setSpacing(8)
        self.setCentralWidget(body)

        self.arena, self.traces, self.strip = Arena(), Traces(), StatusStrip()
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.arena)
        split.addWidget(self.traces)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setSizes([760, 500])
        column.addLayout(self._toolbar())
        column.addWidget(split, stretch=1)
        column.addWidget(self.strip)

    def _toolbar(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.cameras = QComboBox()
        self.cameras.setToolTip("camera")
        self.cameras.hide()
        self.cameras.currentIndexChanged.connect(self._switch_camera)
        self.keypoints = QComboBox()
        self.keypoints.setToolTip("keypoint whose speed is drawn")
        self.keypoints.setMinimumContentsLength(10)
        self.keypoints.currentIndexChanged.connect(self._redraw_traces)
        self.prediction_button = self._toggle(
            "prediction", "rings: where the animal will be when it takes effect", True
        )
        self.ellipse_button = self._toggle("uncertainty", "ellipses that hold 95 %", True)
        self.names_button = self._toggle("names", "names of the keypoints", False)
        fit = QPushButton("fit")
        fit.setToolTip("show the whole frame again")
        fit.clicked.connect(self.arena.fit)
        row.addWidget(self.cameras)
        for button in (self.prediction_button, self.ellipse_button, self.names_button, fit):
            row.addWidget(button)
        self.stop_button = QPushButton("STOP (Esc)")
        self.stop_button.setToolTip("emergency stop: all outputs low at once, and disarmed")
        self.stop_button.clicked.connect(self.stop_at_once)
        QShortcut(QKeySequence(Qt.Key.Key_Escape), self, self.stop_at_once)
        row.addWidget(self.stop_button)
        row.addStretch(1)
        row.addWidget(style.label("speed of", "muted"))
        row.addWidget(self.keypoints)
        return row

    def _toggle(self, text: str, hint: str, on: bool) -> QPushButton:
        button = QPushButton(text)
        button.setCheckable(True)
        button.setChecked(on)
        button.setToolTip(hint)
        button.toggled.connect(self._set_options)
        return button


def _scene(meta: Meta) -> tuple[object, ...]:
    """The parts of `meta` that the picture is laid out by."""
    return meta.zones, meta.geometry, meta.keypoints, meta.cameras
