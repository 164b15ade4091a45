"""Sync signals: pulses for frames and codes of the time, for recordings that run beside the session.

Both go through the outputs' own threads like commands of rules, but no rule sends them: caps do not count
them, disarming does not hold them back (it drops the one that is on its way), and subscribers are not told of
them. A frame's pulse is queued after the commands of the turn's decisions; codes have a thread of their own.
Every pulse becomes one record once its output has answered.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.config.build import duration_ns
from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.config.sync import FramePulsesConfig, SyncCodeConfig
from rt_pose.decisions.action import NS_PER_US, ActionPlan, check_fits, line_name, line_number
from rt_pose.decisions.rule import Rule
from rt_pose.errors import UserError
from rt_pose.outputs.actuators import Actuators
from rt_pose.outputs.barcode import NUMBER_BITS, edges_ms
from rt_pose.records import Sink, SyncRecord
from rt_pose.types import Ack, Command, OutputInfo

FIRST_ID = 1 << 40
"""Ids of the pulses begin here; those of events count from 1."""
NO_ANSWER = "never answered"
MOST_WAITING = 2
"""A pulse is left out where so many commands wait for its output: it must not take a stimulus's place."""


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """The sync signals of a run with their numbers."""

    frames: ActionPlan | None = None
    camera: str = ""
    every: int = 1
    code: ActionPlan | None = None
    code_every_ns: int = 0

    @property
    def any(self) -> bool:
        """Whether there is a signal at all."""
        return self.frames is not None or self.code is not None


def plan_sync(config: RunConfig, rules: Sequence[Rule], outputs: Sequence[OutputInfo]) -> SyncPlan:
    """Plan the sync signals of a run.

    Parameters
    ----------
    config
        The run, checked by itself.
    rules
        Its rules, whose lines are not free.
    outputs
        What its opened outputs report.

    Returns
    -------
    SyncPlan
        The signals.

    Raises
    ------
    UserError
        Where an output has no such line or takes no pulse, or where a line serves something else already.
    """
    found = {info.name: info for info in outputs}
    frames, code = config.sync.frames, config.sync.code
    taken = {(rule.plan.output, rule.plan.line): f"rule '{rule.name}'" for rule in rules}
    plans: dict[str, ActionPlan] = {}
    wanted: dict[str, FramePulsesConfig | SyncCodeConfig | None] = {"frames": frames, "code": code}
    for name, signal in wanted.items():
        if signal is not None:
            where = f"configuration: sync.{name}"
            plan = _pulse(signal, config.outputs, where)
            check_fits(plan, found[plan.output], where)
            if user := taken.get((plan.output, plan.line)):
                line = line_name(plan, config.outputs)
                raise UserError(f"{where}: {line} serves {user} already; give the signal a line of its own")
            taken[plan.output, plan.line] = f"sync.{name}"
            plans[name] = plan
    return SyncPlan(
        plans.get("frames"),
        "" if frames is None else frames.camera or next(iter(config.cameras)),
        1 if frames is None else frames.every,
        plans.get("code"),
        0 if code is None else duration_ns(code.every, "configuration: sync.code.every"),
    )


def _pulse(
    signal: FramePulsesConfig | SyncCodeConfig, outputs: dict[str, OutputConfig], where: str
) -> ActionPlan:
    line = line_number(signal.line, signal.output, outputs.get(signal.output), f"{where}: line")
    length_us = duration_ns(signal.pulse, f"{where}: pulse") // NS_PER_US
    return ActionPlan(signal.output, line, "pulse", length_us)


class SyncSignals:
    """Sends the pulses, and records what became of each."""

    def __init__(self, plan: SyncPlan, actuators: Actuators, clock: Clock) -> None:
        """Send nothing yet.

        Parameters
        ----------
        plan
            The signals.
        actuators
            Take the pulses.
        clock
            Times the codes, and says what time they say.
        """
        self.pulses = self.failed = 0
        """Pulses that were answered for, and those of them that were not carried out."""
        self._plan, self._actuators, self._clock = plan, actuators, clock
        self._ids = itertools.count(FIRST_ID)
        self._sent: dict[int, SyncRecord] = {}
        """What outputs have taken and not answered, by id."""
        self._refused: deque[SyncRecord] = deque()
        self._frames = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send_codes, name="rt-pose-sync-code", daemon=True)

    def start(self) -> None:
        """Begin with the codes."""
        if self._plan.code is not None:
            self._thread.start()

    def stop(self) -> None:
        """Send nothing any more."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(1.0)

    def mark(self, camera: str, index: int) -> None:
        """Send the pulse of a frame where one is due. Never waits.

        Parameters
        ----------
        camera
            The frame's camera.
        index
            Its index, as in its stamps.
        """
        plan = self._plan
        if plan.frames is None or camera != plan.camera:
            return
        if self._frames % plan.every == 0:
            self._send(plan.frames, SyncRecord(t_ns=0, signal="frames", camera=camera, index=index))
        self._frames += 1

    def take(self, ack: Ack, sink: Sink) -> bool:
        """Record the pulse that an output has answered for.

        Parameters
        ----------
        ack
            The answer.
        sink
            Where the pulse is recorded.

        Returns
        -------
        bool
            False where the answer belongs to no sync pulse.
        """
        record = self._sent.pop(ack.command_id, None)
        if record is None:
            return False
        record.t_sent_ns, record.t_ack_ns, record.t_effect_ns = ack.t_sent_ns, ack.t_ack_ns, ack.t_effect_ns
        record.ok, record.detail = ack.ok, ack.detail
        self._record(record, sink)
        return True

    def drain(self, sink: Sink, ended: bool = False) -> None:
        """Record the pulses that outputs did not take.

        Parameters
        ----------
        sink
            Where they are recorded.
        ended
            Whether those that were never answered are recorded as well: no answer will come any more.
        """
        while self._refused:
            self._record(self._refused.popleft(), sink)
        while ended and self._sent:
            _, record = self._sent.popitem()
            record.detail = NO_ANSWER
            self._record(record, sink)

    def counts(self) -> dict[str, int]:
        """Count the pulses so far.

        Returns
        -------
        dict[str, int]
            `pulses`, and how many of them `failed`.
        """
        return {"pulses": self.pulses, "failed": self.failed}

    def _send(self, plan: ActionPlan, record: SyncRecord) -> None:
        command = Command(next(self._ids), None, plan.output, plan.line, "pulse", plan.duration_us)
        record.output, record.line, record.t_asked_ns = plan.output, plan.line, self._clock.now_ns()
        self._sent[command.id] = record  # before the output's thread can answer
        if refusal := self._actuators.submit(command, MOST_WAITING):
            self._sent.pop(command.id, None)
            record.detail = refusal
            self._refused.append(record)

    def _record(self, record: SyncRecord, sink: Sink) -> None:
        self.pulses += 1
        self.failed += not record.ok
        record.t_ns = self._clock.now_ns()
        sink.send(record)

    def _send_codes(self) -> None:
        begin_ns = self._clock.now_ns()
        while not self._wait_until(begin_ns):
            self._send_code(begin_ns)
            # A program that was put aside for a while does not send the codes that it missed.
            begin_ns = max(begin_ns + self._plan.code_every_ns, self._clock.now_ns())

    def _send_code(self, begin_ns: int) -> None:
        """The code of the present second, pulse by pulse."""
        plan = self._plan.code
        assert plan is not None
        number = self._clock.utc_ns() // NS_PER_S % (1 << NUMBER_BITS)
        for place, edge_ms in enumerate(edges_ms(number)):
            if self._wait_until(begin_ns + edge_ms * NS_PER_MS):
                return
            self._send(plan, SyncRecord(t_ns=0, signal="code", code=number, place=place))

    def _wait_until(self, t_ns: int) -> bool:
        """Wait for a host time; True where the run ends before it."""
        return self._stopping.wait(max(0, t_ns - self._clock.now_ns()) / NS_PER_S)
