"""From a decision to its output, and from the output's answer back to the log and to subscribers.

A rule that withholds sends for some events and not for others, and no observer may learn which while the run
goes on. So nothing of an output on which such a rule acts is shown: neither its answers, nor how many it
refused, nor what it reports, nor the answers to other rules' commands, which wait behind those of the rule
that withholds or fail because of them. That one of these outputs has failed is shown, once and for all of
them alike. The log holds everything.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from rt_pose.clock import Clock
from rt_pose.decisions.decide import Rule
from rt_pose.delivery import DELIVERIES, FAILURES, Delivery, delivery_of, delivery_of_refusal
from rt_pose.loop.publish import Publisher
from rt_pose.loop.sync import SyncSignals
from rt_pose.outputs.actuators import Actuators, command_for
from rt_pose.records import AckRecord, CommandRecord, NoticeRecord, Sink
from rt_pose.types import Ack, Event


class Commands:
    """Sends the commands of fired events, and counts what became of events and commands."""

    def __init__(
        self,
        rules: list[Rule],
        actuators: Actuators,
        publisher: Publisher,
        clock: Clock,
        sync: SyncSignals | None = None,
    ) -> None:
        """Begin with all counts at 0.

        Parameters
        ----------
        rules
            The run's rules.
        actuators
            Take the commands.
        publisher
            Publishes the acks.
        clock
            Stamps the records.
        sync
            Sync signals, whose pulses are answered with the commands; None where there are none.
        """
        self.events = {rule.name: {"fired": 0, "withheld": 0, "suppressed": 0} for rule in rules}
        """Counts by rule and outcome."""
        self.deliveries: dict[str, dict[str, int]] = {
            rule.name: dict.fromkeys(DELIVERIES, 0) for rule in rules
        }
        """Answered commands by rule and delivery."""
        self._actuators, self._publisher, self._clock = actuators, publisher, clock
        self.sync = sync
        self._blind = {rule.name for rule in rules if rule.blind}
        self._blind_outputs = {rule.plan.output for rule in rules if rule.blind}
        self._shown_rules = [rule.name for rule in rules if rule.plan.output not in self._blind_outputs]
        self._unanswered: dict[int, str] = {}
        """Rules of the commands that their outputs have taken and not answered, by id."""
        self._refused: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._notices: Counter[str] = Counter()
        """By output: commands that it did not take, acks that are not ok, notices."""
        self._hidden_acks: deque[Ack] = deque()
        self._blind_output_failed = False
        self._last_failure = self._last_notice = ""
        self._shown_notices: dict[str, tuple[int, str]] = {}
        """Of outputs that are not hidden and of inputs: how many there were, and the last one."""

    def send(self, event: Event, rule: Rule, seq: int) -> CommandRecord | None:
        """Count an event, and hand the command of a fired one to its output.

        Parameters
        ----------
        event
            The event.
        rule
            Its rule.
        seq
            Sequence number of the observation that caused it.

        Returns
        -------
        CommandRecord or None
            The record for the log, also where the output refused; None for an event that did not fire.
        """
        self.events[event.rule][event.outcome] += 1
        if event.outcome == "suppressed":
            return None
        command = command_for(event, rule)
        if event.outcome == "withheld":  # with as much work as a stimulus: what is published later is timed
            refusal = self._actuators.pretend(command)
        elif refusal := self._actuators.submit(command):
            self._refused[command.output] += 1
            self._count(rule.name, command.output, delivery_of_refusal(refusal), refusal)
        else:
            self._unanswered[command.id] = rule.name
        record = CommandRecord(
            t_ns=self._clock.now_ns(),
            seq=seq,
            command=command,
            accepted=not refusal,
            reason=refusal,
        )
        return record if event.outcome == "fired" else None

    def drain(self, sink: Sink) -> None:
        """Publish and record what outputs have answered since the last turn.

        Parameters
        ----------
        sink
            Where acks and notices are recorded.
        """
        self._drain_acks(sink)
        self._drain_notices(sink)
        if self.sync is not None:
            self.sync.drain(sink)

    def finish(self, sink: Sink) -> None:
        """Publish and record the last answers, after the outputs have stopped.

        Parameters
        ----------
        sink
            Where they are recorded.
        """
        self.drain(sink)
        if self.sync is not None:
            self.sync.drain(sink, ended=True)

    def live_counts(self) -> dict[str, Any]:
        """Count events and deliveries for those who watch the run.

        Returns
        -------
        dict[str, Any]
            A part of the `stats` topic. Fired and withheld events of a rule that withholds are added up as
            `decided`; of the outputs on which such rules act there is only `output_failed`.
        """
        faults, hidden = self._actuators.faults(), self._blind_outputs
        if any(name in hidden for name in faults):
            self._blind_output_failed = True
        return {
            "events": {rule: self._shown_events(rule, counts) for rule, counts in self.events.items()},
            "deliveries": {rule: dict(self.deliveries[rule]) for rule in self._shown_rules},
            "last_failure": self._last_failure,
            "output_failed": self._blind_output_failed,
            "output_faults": {name: fault for name, fault in faults.items() if name not in hidden},
            "output_notices": _total(self._notices, hidden),
            "last_output_notice": self._last_notice,
            "notices": self._shown_notices.copy(),
            "commands_refused": _total(self._refused, hidden),
            "commands_failed": _total(self._failed, hidden),
        }

    def final_counts(self) -> dict[str, Any]:
        """Count all events and deliveries, at the end of the run.

        Returns
        -------
        dict[str, Any]
            A part of the log's last record. Commands that were never answered are of unknown delivery.
        """
        deliveries = {rule: dict(counts) for rule, counts in self.deliveries.items()}
        for rule in self._unanswered.values():
            deliveries[rule]["unknown"] += 1
        return {
            "events": self.events,
            "deliveries": deliveries,
            "commands_refused": self._refused.total(),
            "commands_failed": self._failed.total(),
            "output_notices": self._notices.total(),
            **({} if self.sync is None else {"sync": self.sync.counts()}),
        }

    def _shown_events(self, rule: str, counts: dict[str, int]) -> dict[str, int]:
        if rule not in self._blind:
            return dict(counts)
        return {"decided": counts["fired"] + counts["withheld"], "suppressed": counts["suppressed"]}

    def _count(self, rule: str, output: str, delivery: Delivery, why: str) -> None:
        self.deliveries[rule][delivery] += 1
        if delivery not in FAILURES:
            return
        if output in self._blind_outputs:
            self._blind_output_failed = True
        else:
            self._last_failure = f"rule '{rule}', output '{output}': {delivery}: {why}"

    def _drain_acks(self, sink: Sink) -> None:
        """Take in all answers, those that are published first: no time passes with the others before them."""
        acks, hidden = self._actuators.acks, self._hidden_acks
        while acks:
            ack = acks.popleft()
            if ack.output in self._blind_outputs:
                hidden.append(ack)
            else:
                self._take_ack(ack, sink)
        while hidden:
            self._take_ack(hidden.popleft(), sink)

    def _take_ack(self, ack: Ack, sink: Sink) -> None:
        if self.sync is not None and self.sync.take(ack, sink):
            return
        self._failed[ack.output] += not ack.ok
        rule = self._unanswered.pop(ack.command_id, None)
        if rule is not None:
            self._count(rule, ack.output, delivery_of(ack), ack.detail)
        if ack.output not in self._blind_outputs:
            self._publisher.ack(ack)
        sink.send(AckRecord(t_ns=self._clock.now_ns(), ack=ack))

    def _drain_notices(self, sink: Sink) -> None:
        notices = self._actuators.notices
        while notices:
            notice = notices.popleft()
            of_input = notice.source == "input"
            self._notices[f"input {notice.output}" if of_input else notice.output] += 1
            if notice.output in self._blind_outputs and not of_input:
                self._blind_output_failed = True
            else:
                who = f"{notice.source} '{notice.output}'"
                self._last_notice = f"{who}: {notice.text}"
                self._shown_notices[who] = (self._shown_notices.get(who, (0, ""))[0] + 1, notice.text)
            sink.send(
                NoticeRecord(t_ns=notice.t_ns, output=notice.output, text=notice.text, source=notice.source)
            )


def _total(counts: Counter[str], hidden: set[str]) -> int:
    """Add up the counts of the outputs that are not hidden."""
    return sum(n for output, n in list(counts.items()) if output not in hidden)
