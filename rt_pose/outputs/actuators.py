"""From events to commands to outputs. Each output has a thread of its own, so that none delays the loop.

A command that is not sent by its deadline is not sent at all; one that finds its output's queue full is
refused. Disarming ends what is in progress as well: the line goes low with what waits for it. After an
emergency nothing goes out until `arm`. A device with a watchdog gets a heartbeat only while the loop turns,
so that a hung loop drops the line like a dead one. Whatever way the program ends, every output is put into
its safe state.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from rt_pose.clock import Clock
from rt_pose.decisions.decide import Rule
from rt_pose.drivers import Output
from rt_pose.outputs.output_thread import QUEUE_COMMANDS, OutputThread, Recovery
from rt_pose.types import Ack, Command, Event, OutputInfo, OutputNotice

SAFE_TIMEOUT_S = 0.5
"""How long the safe state of all outputs is waited for, in all."""
EMERGENCY = "emergency stop; `arm` lets commands out again"


class Heartbeat:
    """When the loop last turned. It only stores the time; others look at it."""

    __slots__ = ("t_ns",)

    def __init__(self) -> None:
        self.t_ns = 0
        """Host time; 0 before the first turn."""

    def fresh(self, now_ns: int, within_ns: int) -> bool:
        """Check whether the loop has turned recently.

        Parameters
        ----------
        now_ns
            Host time now, ns.
        within_ns
            How recently, ns.

        Returns
        -------
        bool
            Whether it has; false before the first turn.
        """
        return self.t_ns > 0 and now_ns - self.t_ns <= within_ns


def command_for(event: Event, rule: Rule) -> Command:
    """Make the command of a fired event. It has the event's id, so that replay gives the same ones.

    Parameters
    ----------
    event
        The event.
    rule
        Its rule.

    Returns
    -------
    Command
        The command, with a deadline where the rule suppresses what is late.
    """
    do = rule.plan
    return Command(
        id=event.id,
        event_id=event.id,
        output=do.output,
        line=do.line,
        action=do.action,
        duration_us=do.duration_us,
        period_us=do.period_us,
        count=do.count,
        amplitude=do.amplitude,
        t_deadline_ns=event.t_cause_ns + rule.deadline_ns if rule.late == "suppress" else None,
        message=do.message,
        ramp_up_us=do.ramp_up_us,
        ramp_down_us=do.ramp_down_us,
        x=event.x if do.action == "aim" else None,
        y=event.y if do.action == "aim" else None,
    )


class Actuators:
    """All outputs of a run."""

    def __init__(
        self,
        outputs: Iterable[tuple[OutputInfo, Output]],
        clock: Clock,
        heartbeat: Heartbeat | None = None,
        heartbeat_within_ns: int = 0,
        recoveries: Mapping[str, Recovery] = MappingProxyType({}),
    ) -> None:
        """Make a thread for each output; none runs yet.

        Parameters
        ----------
        outputs
            What each opened output reports, and the output.
        clock
            Host clock.
        heartbeat
            The loop's; None where outputs need none.
        heartbeat_within_ns
            When its last turn is older than this, ns, the loop counts as hung, and heartbeats to devices end.
        recoveries
            By output name, what is done about one that has failed; nothing where it is not named.
        """
        self.acks: deque[Ack] = deque()
        """Filled by the outputs' threads, drained by the loop."""
        self.notices: deque[OutputNotice] = deque()
        """What outputs report besides acks: a dropped line, a fault. Filled and drained as `acks`."""
        self._clock = clock

        def alive() -> bool:
            return heartbeat is not None and heartbeat.fresh(clock.now_ns(), heartbeat_within_ns)

        self._threads = {
            info.name: OutputThread(
                info, output, clock, self.acks, self.notices, alive, recoveries.get(info.name, Recovery())
            )
            for info, output in outputs
        }

    def start(self) -> None:
        """Start the threads of all outputs."""
        for thread in self._threads.values():
            thread.start()

    def submit(self, command: Command, most_waiting: int = QUEUE_COMMANDS) -> str:
        """Queue a command for its output's thread. Never waits.

        Parameters
        ----------
        command
            The command.
        most_waiting
            It is refused where its output has this many waiting already.

        Returns
        -------
        str
            Why it was refused; empty where it was taken.
        """
        return self._threads[command.output].submit(command, most_waiting)

    def pretend(self, command: Command) -> str:
        """Do as `submit` does and let nothing reach the output, so that it takes as long. Never waits.

        Parameters
        ----------
        command
            A command that is withheld.

        Returns
        -------
        str
            As of `submit`.
        """
        return self._threads[command.output].pretend()

    def faults(self) -> dict[str, str]:
        """List the outputs that have failed.

        Returns
        -------
        dict[str, str]
            The reasons by output name.
        """
        return {name: thread.fault for name, thread in self._threads.items() if thread.fault}

    def disarm(self) -> None:
        """Refuse what waits, and end pulses, trains and levels in progress. Never waits."""
        for thread in self._threads.values():
            thread.disarm()

    def hold(self, why: str) -> None:
        """Refuse all commands until `release`. Never waits.

        Parameters
        ----------
        why
            The reason, for acks.
        """
        for thread in self._threads.values():
            thread.hold(why)

    def release(self) -> None:
        """Accept commands again, after an emergency."""
        for thread in self._threads.values():
            thread.release()

    def emergency(self) -> list[str]:
        """Put every output into its safe state at once, from any thread; nothing goes out until `release`.

        Returns
        -------
        list[str]
            What went wrong, a line each; also among `notices`, since not everybody who orders it reads this.
        """
        self.hold(EMERGENCY)
        problems = self._all_safe()
        for name, why in problems.items():
            text = f"the emergency stop may not have reached it ({why}): check that its lines are low"
            self.notices.append(OutputNotice(name, self._clock.now_ns(), text))
        return _by_output(problems)

    def stop(self, timeout_s: float = 1.0) -> list[str]:
        """Put every output into its safe state, all of them before any is waited for, and close them.

        Parameters
        ----------
        timeout_s
            How long each output's thread is waited for, s.

        Returns
        -------
        list[str]
            What went wrong, a line each.
        """
        for thread in self._threads.values():
            thread.begin_stop()
        problems = _by_output(self._all_safe())
        for name, thread in self._threads.items():
            try:
                problem = thread.end_stop(timeout_s)
            except Exception as error:  # noqa: BLE001 - the other outputs must still become safe
                problem = f"output '{name}': {type(error).__name__}: {error}"
            if problem and problem not in problems:
                problems.append(problem)
        return problems

    def _all_safe(self) -> dict[str, str]:
        """Make all outputs safe side by side: one that hangs must not keep the others' lines high.

        What went wrong, by output name.
        """
        problems: dict[str, str] = {}
        helpers = {
            name: threading.Thread(
                target=_make_safe, args=(thread, problems), name=f"rt-pose-safe-{name}", daemon=True
            )
            for name, thread in self._threads.items()
        }
        for helper in helpers.values():
            helper.start()
        wait_s = SAFE_TIMEOUT_S / max(len(helpers), 1)
        for name, helper in helpers.items():
            helper.join(wait_s)
            if helper.is_alive():
                problems[name] = f"no safe state within {wait_s:.2g} s"
        return problems.copy()


def _by_output(problems: Mapping[str, str]) -> list[str]:
    return [f"output '{name}': {why}" for name, why in problems.items()]


def _make_safe(thread: OutputThread, problems: dict[str, str]) -> None:
    try:
        thread.make_safe()
    except Exception as error:  # noqa: BLE001 - reported to the caller
        problems[thread.info.name] = f"{type(error).__name__}: {error}"
