"""What a TTL box reports between its answers: dropped lines, its interlock, late answers."""

from __future__ import annotations

import threading

from rigs.device_clock import DeviceClock
from rigs.firmware import protocol
from rt_pose.clock import NS_PER_MS

REMEMBERED = 64


class BoxMonitor:
    """Turns the box's unasked messages into notices. The link's reader calls `take`, the driver the rest."""

    def __init__(self, clock: DeviceClock, watchdog_ms: int) -> None:
        self._clock, self._watchdog_ms = clock, watchdog_ms
        self._lock = threading.Lock()
        self._notices: list[str] = []
        self._asked_ns: dict[int, int] = {}
        """Heartbeats that wait for their status, by number."""
        self._given_up_ns: dict[int, int] = {}
        """Commands whose answer did not come in time."""
        self._flags, self._trips = 0, -1
        self.begun_again = False
        """Whether the box was reset, and has forgotten its watchdog."""

    def asked(self, seq: int, t_ns: int) -> None:
        """Remember a heartbeat that is about to be sent, so that its status gives a sample of the clocks.

        Parameters
        ----------
        seq
            Number of the heartbeat.
        t_ns
            Host time, ns.
        """
        _remember(self._asked_ns, seq, t_ns)

    def gave_up(self, seq: int, t_sent_ns: int) -> None:
        """Remember a command whose answer did not come in time, so that a late one is recognised.

        Parameters
        ----------
        seq
            Number of the command's message.
        t_sent_ns
            Host time at which it was sent, ns.
        """
        _remember(self._given_up_ns, seq, t_sent_ns)

    def notice(self, text: str) -> None:
        """Add a line to what `notices` returns next; from any thread.

        Parameters
        ----------
        text
            One line for the user.
        """
        with self._lock:
            self._notices.append(text)

    def notices(self) -> list[str]:
        """Return, and forget, the notices since the last call, in order."""
        with self._lock:
            notices, self._notices = self._notices, []
        return notices

    def take(self, message: protocol.Message, now_ns: int) -> None:
        """Take in a message that nobody waits for any more, or that answers no command.

        Parameters
        ----------
        message
            A status gives a sample of the clocks and is compared with the last one, unless it shows that the
            box was reset; any other message is noticed where it answers a command that was given up.
        now_ns
            Host time of its arrival, ns.
        """
        if isinstance(message, protocol.Status):
            asked_ns = self._asked_ns.pop(message.seq, None)
            if asked_ns is not None and self._was_reset(message, asked_ns, now_ns):
                self.begun_again = True
                return
            if asked_ns is not None:
                self._clock.sample(message.t_us, asked_ns, now_ns)
            self._compare(message)
            return
        sent_ns = self._given_up_ns.pop(message.seq, None)
        if sent_ns is not None:
            self.notice(f"an answer came late, {(now_ns - sent_ns) / NS_PER_MS:.1f} ms after its command")

    def _was_reset(self, status: protocol.Status, asked_ns: int, now_ns: int) -> bool:
        if status.flags & protocol.Flag.NO_WATCHDOG:
            return True
        return self._clock.begun_again(status.t_us, asked_ns, now_ns)  # an older box does not say so

    def _compare(self, status: protocol.Status) -> None:
        dropped = [i for i in range(protocol.MAX_LINES) if status.dropped >> i & 1]
        cut = f"; it dropped line {', '.join(map(str, dropped))}" if dropped else ""
        is_open, was_open = (bool(flags & protocol.Flag.INTERLOCK) for flags in (status.flags, self._flags))
        if is_open and not was_open:
            self.notice(f"its interlock is open{cut}")
        elif was_open and not is_open:
            self.notice("its interlock is closed again")
        elif self._trips not in (-1, status.trips):
            self.notice(f"it received nothing for {self._watchdog_ms} ms{cut}")
        self._flags, self._trips = status.flags, status.trips


def _remember(table: dict[int, int], seq: int, t_ns: int) -> None:
    table[seq] = t_ns
    if len(table) > REMEMBERED:
        table.pop(next(iter(table)), None)
