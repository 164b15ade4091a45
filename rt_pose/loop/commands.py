"""From a decision to its output, and from the output's answer back to the log and to subscribers.

A rule that withholds sends for some events and not for others, and no observer may learn which: its acks go
into the log alone, and its counts are shown as one.
"""

from __future__ import annotations

from rt_pose.clock import Clock
from rt_pose.decisions.decide import Rule
from rt_pose.loop.publish import Publisher
from rt_pose.outputs.actuators import Actuators, command_for
from rt_pose.records import AckRecord, CommandRecord, NoticeRecord, Sink
from rt_pose.types import Event


class Commands:
    """Sends the commands of fired events, and counts what became of events and commands."""

    def __init__(self, rules: list[Rule], actuators: Actuators, publisher: Publisher, clock: Clock) -> None:
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
        """
        self.events = {rule.name: {"fired": 0, "withheld": 0, "suppressed": 0} for rule in rules}
        """Counts by rule and outcome."""
        self.refused = 0
        self.failed = 0
        self.output_notices = 0
        """Count of the notices that outputs have sent besides acks; the last one follows."""
        self.last_output_notice = ""
        self._actuators, self._publisher, self._clock = actuators, publisher, clock
        self._blind = {rule.name for rule in rules if rule.blind}
        self._blind_commands: set[int] = set()

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
        if event.outcome != "fired":
            return None
        command = command_for(event, rule)
        refusal = self._actuators.submit(command)
        if rule.blind and not refusal:  # what was refused gets no ack that could tell
            self._blind_commands.add(command.id)
        self.refused += bool(refusal)
        return CommandRecord(
            t_ns=self._clock.now_ns(),
            seq=seq,
            command=command,
            accepted=not refusal,
            reason=refusal,
        )

    def drain(self, sink: Sink) -> None:
        """Publish and record what outputs have answered since the last turn.

        Parameters
        ----------
        sink
            Where acks and notices are recorded.
        """
        self._drain_acks(sink)
        self._drain_notices(sink)

    def count_events(self) -> dict[str, dict[str, int]]:
        """Count events for observers.

        Returns
        -------
        dict[str, dict[str, int]]
            By rule and outcome; fired and withheld events of a rule that withholds are added up as `decided`.
        """
        shown = {}
        for rule, counts in self.events.items():
            decided = {"decided": counts["fired"] + counts["withheld"], "suppressed": counts["suppressed"]}
            shown[rule] = decided if rule in self._blind else dict(counts)
        return shown

    def _drain_acks(self, sink: Sink) -> None:
        acks = self._actuators.acks
        while acks:
            ack = acks.popleft()
            self.failed += not ack.ok
            if ack.command_id in self._blind_commands:
                self._blind_commands.discard(ack.command_id)  # it would tell that the event was not withheld
            else:
                self._publisher.ack(ack)
            sink.send(AckRecord(t_ns=self._clock.now_ns(), ack=ack))

    def _drain_notices(self, sink: Sink) -> None:
        notices = self._actuators.notices
        while notices:
            notice = notices.popleft()
            self.output_notices += 1
            self.last_output_notice = f"output '{notice.output}': {notice.text}"
            sink.send(NoticeRecord(t_ns=notice.t_ns, output=notice.output, text=notice.text))
