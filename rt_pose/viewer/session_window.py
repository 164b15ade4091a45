"""A recorded session in a window: scrubbed through by frame, by event, by mouse and by key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent, QColor, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QListWidget, QListWidgetItem, QPushButton, QSlider, QVBoxLayout

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.errors import UserError
from rt_pose.viewer import style
from rt_pose.viewer.base_window import BaseWindow
from rt_pose.viewer.curves import Curve
from rt_pose.viewer.expressions import Expressions, Scope, default_expression, split_expressions
from rt_pose.viewer.group_state import flatten
from rt_pose.viewer.messages import PoseMessage
from rt_pose.viewer.orthographic import Projection
from rt_pose.viewer.placement import zones_of_rules
from rt_pose.viewer.recording import Incident, Recording
from rt_pose.viewer.rule_rows import describe_event, rule_rows

SPAN_S = (-5.0, 5.0)
JUST_NS = 200 * NS_PER_MS
"""What happened within this is told of, and lights its zones."""
PLAY_MS = 33
LEAP = 25
"""Frames that a leap goes."""


class SessionWindow(BaseWindow):
    """A session that is over."""

    def __init__(self, recording: Recording, clock: Clock, expressions: Sequence[str] = ()) -> None:
        """Show the first frame.

        Parameters
        ----------
        recording
            The session.
        clock
            Host clock, for playing.
        expressions
            What is traced, in the rules' language; the speed of the first keypoint where there is none.

        Raises
        ------
        UserError
            Where an expression cannot be traced.
        """
        super().__init__(f"rt-pose: {recording.session.path.name}")
        self.recording, self._clock = recording, clock
        self.t_ns = recording.t_ns[0]
        """The time that is shown, ns."""
        self._zones_of = zones_of_rules(recording.meta)
        self._expressions = self._bound(expressions)
        self._played_ns: int | None = None
        self._build()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.play_on)
        self.show_time(self.t_ns)

    def show_time(self, t_ns: int) -> None:
        """Show the session at a time.

        Parameters
        ----------
        t_ns
            The time, ns; beyond an end of the session it is that end.
        """
        frames = self.recording.t_ns
        self.t_ns = min(max(t_ns, frames[0]), frames[-1])
        self.slider.blockSignals(True)
        self.slider.setValue(self.recording.frame_at(self.t_ns))
        self.slider.blockSignals(False)
        self.redraw()

    def show_frame(self, place: int) -> None:
        """Show a frame.

        Parameters
        ----------
        place
            Among the frames of all cameras, from 0; beyond an end it is that end.
        """
        frames = self.recording.t_ns
        self.show_time(frames[min(max(place, 0), len(frames) - 1)])

    def step(self, frames: int) -> None:
        """Go on or back.

        Parameters
        ----------
        frames
            How many frames; negative for back.
        """
        self.show_frame(self.recording.frame_at(self.t_ns) + frames)

    def step_incident(self, direction: int) -> None:
        """Go to the next event, note, order or fault, or to the one before.

        Parameters
        ----------
        direction
            1 for the next, -1 for the one before.
        """
        found = self.recording.step_incident(self.t_ns, direction)
        if found is not None:
            self.show_time(found.t_ns)

    def play(self, on: bool) -> None:
        """Play at the pace at which it happened, or stop.

        Parameters
        ----------
        on
            Whether to play.
        """
        self.play_button.setChecked(on)
        self._played_ns = self._clock.now_ns() if on else None
        if on:
            self._timer.start(PLAY_MS)
        else:
            self._timer.stop()

    def play_on(self) -> None:
        """Go on by the time that has passed; the timer calls it, tests may."""
        now_ns = self._clock.now_ns()
        since_ns = 0 if self._played_ns is None else now_ns - self._played_ns
        self._played_ns = now_ns
        self.show_time(self.t_ns + since_ns)
        if self.t_ns >= self.recording.t_ns[-1]:
            self.play(on=False)

    def choose_expressions(self, text: str) -> None:
        """Trace something else.

        Parameters
        ----------
        text
            Expressions with semicolons between them.
        """
        try:
            self._expressions = self._bound(split_expressions(text))
        except UserError as error:
            self.side.refuse(str(error))
            return
        self.side.refuse("")
        self.redraw()

    def redraw(self) -> None:
        """See `BaseWindow.redraw`."""
        just = self.recording.shortly_before(self.t_ns, JUST_NS)
        fired = {one.event.rule for one in just if one.event is not None and one.event.outcome == "fired"}
        lit = {zone for rule in fired for zone in self._zones_of.get(rule, [])}
        for name, arena in self.grid.arenas.items():
            camera = self.recording.cameras[name]
            state = camera.state(self.t_ns)
            arena.redraw(state, self.recording.meta, force=True)
            arena.light(lit)
            arena.dim(state.pose is None, "no frame yet")
            arena.notify(camera.film.problem)
            if name == self.camera and self.grid.alone not in self.recording.groups:
                start_ns, end_ns = self._span()
                curves = camera.curves(self._expressions, self.recording.meta.budget_ms, start_ns, end_ns)
                self._show_side(curves, state.pose)
        for space in self.grid.spaces.values():
            space.light(lit)
        groups = self.recording.groups
        states = {name: one.state(self.t_ns) for name, one in groups.items()}
        self.draw_groups(
            {name: one.group for name, one in groups.items()},
            states,
            {name: one.figures(self.t_ns) for name, one in groups.items()},
            force=True,
        )
        if self.grid.alone in groups:
            pose = states[self.grid.alone].pose
            curves = groups[self.grid.alone].curves(self.recording.meta.budget_ms, *self._span())
            self._show_side(curves, None if pose is None else flatten(pose, Projection()))
        self._show_place(just)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.closeEvent`."""
        self._timer.stop()
        super().closeEvent(event)

    def _bound(self, texts: Sequence[str]) -> Expressions:
        meta = self.recording.meta
        if not texts and meta.keypoints:
            texts = [default_expression(meta.keypoints[0])]
        return Expressions(texts, Scope.of(meta, self.recording.individuals))

    def _span(self) -> tuple[int, int]:
        """Ends of what the curves show, ns."""
        begin_s, end_s = SPAN_S
        return self.t_ns + round(begin_s * NS_PER_S), self.t_ns + round(end_s * NS_PER_S)

    def _show_side(self, curves: list[Curve], pose: PoseMessage | None) -> None:
        recording, meta = self.recording, self.recording.meta
        rows = rule_rows(meta.rules, recording.events, None, self.t_ns, SPAN_S, recording.names)
        self.side.show_now(curves, rows, meta.keypoints, pose, self.t_ns, SPAN_S)

    def _show_place(self, just: list[Incident]) -> None:
        recording, frames = self.recording, len(self.recording.t_ns)
        place = recording.frame_at(self.t_ns)
        seconds, whole = recording.seconds(self.t_ns), recording.seconds(recording.t_ns[-1])
        self.place.setText(f"{seconds:.3f} of {whole:.3f} s   frame {place + 1} of {frames}")
        self.say("   ".join(one.text for one in just[-2:]))
        before = sum(one.t_ns <= self.t_ns for one in recording.incidents)
        self.incidents.setCurrentRow(before - 1)

    def _build(self) -> None:
        meta = self.recording.meta
        self.resize(1280, 800)
        self.grid.set_cameras(self.recording.cameras)
        for name, arena in self.grid.arenas.items():
            arena.set_meta(meta, name)
        self.incidents = self._list()
        for widget in (*self.toggles(), self.answer):
            self.bar.addWidget(widget)
        self.prediction_button.hide()  # predictions are not logged
        self.set_groups({name: one.group for name, one in self.recording.groups.items()})
        for name, space in self.grid.spaces.items():
            space.set_group(meta, self.recording.groups[name].group)
        self.column.addWidget(self.split(), stretch=4)
        self.column.addLayout(self._transport())
        self.column.addWidget(self.incidents, stretch=1)
        self.side.expression.offer(meta.keypoints, "; ".join(m.text for m in self._expressions.members))
        self.side.expression.chosen.connect(self.choose_expressions)
        self.side.traces.chosen_time.connect(lambda s: self.show_time(self.t_ns + round(s * NS_PER_S)))
        self._shortcuts()

    def _transport(self) -> QVBoxLayout:
        """The slider, and below it the buttons that step."""
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(self.recording.t_ns) - 1)
        self.slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the arrow keys are the window's
        self.slider.valueChanged.connect(self.show_frame)
        row = QHBoxLayout()
        steps: list[tuple[str, str, Callable[[], None]]] = [
            ("◀ event", "the event, note, order or fault before (↑)", lambda: self.step_incident(-1)),
            ("◀", f"one frame back (←; {LEAP}: Shift ←)", lambda: self.step(-1)),
            ("▶", f"one frame on (→; {LEAP}: Shift →)", lambda: self.step(1)),
            ("event ▶", "the next event, note, order or fault (↓)", lambda: self.step_incident(1)),
        ]
        for text, hint, act in steps:
            button = style.button(text, hint, act)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            row.addWidget(button)
        self.play_button = QPushButton("play")
        self.play_button.setCheckable(True)
        self.play_button.setToolTip("at the pace at which it happened (Space)")
        self.play_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.play_button.clicked.connect(self.play)
        self.place = style.label("", "muted")
        row.addWidget(self.play_button)
        row.addWidget(self.place)
        row.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self.slider)
        column.addLayout(row)
        return column

    def _list(self) -> QListWidget:
        """Every event, note, order and fault; a click goes there."""
        made = QListWidget()
        made.setMinimumHeight(44)
        made.setMaximumHeight(130)
        made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        made.setUniformItemSizes(True)
        for incident in self.recording.incidents:
            made.addItem(self._item(incident))
        made.itemClicked.connect(lambda item: self.show_time(int(item.data(Qt.ItemDataRole.UserRole))))
        return made

    def _item(self, incident: Incident) -> QListWidgetItem:
        item = QListWidgetItem(f"{self.recording.seconds(incident.t_ns):9.3f} s  {incident.text}")
        item.setData(Qt.ItemDataRole.UserRole, incident.t_ns)
        if incident.failed:
            item.setForeground(QColor(style.palette().bad))
        if incident.event is not None:
            item.setToolTip(describe_event(incident.event, self.recording.names))
        return item

    def _shortcuts(self) -> None:
        actions: list[tuple[str, Callable[[], None]]] = [
            ("Left", lambda: self.step(-1)),
            ("Right", lambda: self.step(1)),
            ("Shift+Left", lambda: self.step(-LEAP)),
            ("Shift+Right", lambda: self.step(LEAP)),
            ("Up", lambda: self.step_incident(-1)),
            ("Down", lambda: self.step_incident(1)),
            ("Home", lambda: self.show_frame(0)),
            ("End", lambda: self.show_frame(len(self.recording.t_ns) - 1)),
            ("Space", lambda: self.play(not self.play_button.isChecked())),
        ]
        for key, act in actions:
            QShortcut(QKeySequence(key), self, act)
