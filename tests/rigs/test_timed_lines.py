"""Lines that are timed by a thread of ours, against a recording device on the real clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from support.patience import PATIENCE_S, assert_below
from support.peers import beat_until_fault

from rigs.timed_lines import ANALOG, RAMP_STEP_US, TimedLines, Undelivered, Written, levels
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.types import Action, Command

LATE_NS = 15 * NS_PER_MS
"""How late a machine may write an edge; one that is busy does so later now and then."""


class Device:
    """Writes down what its lines are told."""

    def __init__(self) -> None:
        self.clock = HostClock()
        self.writes: list[tuple[int, int, float]] = []
        """(host time ns, line, level)."""
        self.all_off = 0
        self.broken: Exception | None = None
        self.delay_s = 0.0
        self._changed = threading.Condition()
        self.lines = TimedLines("laser", 4, self.clock, self.write, self.off, ANALOG)

    def write(self, line: int, level: float) -> Written:
        if self.broken is not None:
            raise self.broken
        threading.Event().wait(self.delay_s)
        now_ns = self.clock.now_ns()
        with self._changed:
            self.writes.append((now_ns, line, level))
            self._changed.notify_all()
        return Written(now_ns)

    def off(self) -> None:
        if self.broken is not None:
            raise self.broken
        self.all_off += 1
        with self._changed:
            self.writes += [(self.clock.now_ns(), line, 0.0) for line in range(4)]

    def of_line(self, line: int, count: int) -> list[tuple[int, float]]:
        """The first writes to a line since `begin`, once there are so many."""

        def found() -> list[tuple[int, float]]:
            return [(t_ns, level) for t_ns, number, level in self.writes if number == line]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, PATIENCE_S), self.writes
            return found()[:count]


@pytest.fixture
def device() -> Iterator[Device]:
    made = Device()
    made.lines.open()
    made.writes.clear()
    yield made
    made.broken = None
    made.lines.close()


def command(action: Action, line: int = 0, **fields: int | float) -> Command:
    return Command(7, 7, "laser", line, action, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (command("pulse", duration_us=500), [(0, 1.0), (500, 0.0)]),
        (command("pulse", duration_us=5, amplitude=0.3), [(0, 0.3), (5, 0.0)]),
        (
            command("train", duration_us=1, period_us=10, count=3),
            [(0, 1.0), (1, 0.0), (10, 1.0), (11, 0.0), (20, 1.0), (21, 0.0)],
        ),
        (command("level"), [(0, 1.0)]),
        (command("level", duration_us=9), [(0, 1.0), (9, 0.0)]),
        (command("level", duration_us=9, amplitude=0.0), [(0, 0.0)]),
        (command("level", amplitude=7.0), [(0, 1.0)]),
        (command("stop"), [(0, 0.0)]),
        (command("analog", duration_us=10, amplitude=0.5), [(0, 0.5), (10, 0.0)]),
        (
            command("analog", ramp_up_us=2 * RAMP_STEP_US, duration_us=10, ramp_down_us=RAMP_STEP_US),
            [
                (0, 0.0),
                (RAMP_STEP_US, 0.5),
                (2 * RAMP_STEP_US, 1.0),
                (2 * RAMP_STEP_US + 10, 1.0),
                (3 * RAMP_STEP_US + 10, 0.0),
            ],
        ),
    ],
)
def test_the_levels_of_a_command(asked: Command, expected: list[tuple[int, float]]) -> None:
    assert list(levels(asked)) == expected


def test_a_pulse_is_as_long_as_asked(device: Device) -> None:
    def late_ns() -> int:
        device.writes.clear()
        ack = device.lines.send(command("pulse", duration_us=30_000))
        assert (ack.ok, ack.command_id, ack.output) == (True, 7, "laser")
        (up_ns, up), (down_ns, down) = device.of_line(0, 2)
        assert (up, down, ack.t_sent_ns) == (1.0, 0.0, up_ns)
        assert down_ns - up_ns >= 30 * NS_PER_MS
        return down_ns - up_ns - 30 * NS_PER_MS

    assert_below(LATE_NS, late_ns)


def test_a_train_keeps_its_phase(device: Device) -> None:
    def least_late_ns() -> int:
        """Of the last pulses of a train: what is late does not add up."""
        device.writes.clear()
        device.lines.send(command("train", duration_us=5000, period_us=20_000, count=5))
        found = device.of_line(0, 10)
        assert [level for _, level in found] == [1.0, 0.0] * 5
        begun_ns = found[0][0]
        late_ns = [t_ns - begun_ns - i * 20 * NS_PER_MS for i, (t_ns, _) in enumerate(found[::2])]
        assert min(late_ns) >= 0
        return min(late_ns[-2:])

    assert_below(LATE_NS, least_late_ns)


def test_what_is_new_takes_the_place_of_what_the_line_was_doing(device: Device) -> None:
    device.lines.send(command("train", duration_us=20_000, period_us=40_000, count=100))
    device.of_line(0, 2)
    ack = device.lines.send(command("pulse", duration_us=50_000))
    before = [t_ns for t_ns, _, _ in device.writes].index(ack.t_sent_ns)
    device.of_line(0, before + 2)
    device.clock.sleep_until_ns(device.clock.now_ns() + 100 * NS_PER_MS)
    since = [(t_ns, level) for t_ns, _, level in device.writes[before:]]
    assert [level for _, level in since] == [1.0, 0.0], "no pulse of the train comes any more"
    assert since[1][0] - since[0][0] >= 50 * NS_PER_MS


def test_lines_are_timed_apart(device: Device) -> None:
    device.lines.send(command("pulse", 1, duration_us=400_000))
    device.lines.send(command("pulse", 2, duration_us=10_000))
    first, second = device.of_line(1, 2), device.of_line(2, 2)
    assert second[1][0] < first[1][0]


def test_stop_and_level_off_end_a_train(device: Device) -> None:
    for action in ("stop", "level"):
        device.writes.clear()
        device.lines.send(command("train", duration_us=5000, period_us=10_000, count=1000))
        device.of_line(0, 3)
        assert device.lines.send(command(action, amplitude=0.0)).ok
        count = len(device.writes)
        device.clock.sleep_until_ns(device.clock.now_ns() + 50 * NS_PER_MS)
        assert len(device.writes) == count
        assert device.writes[-1][2] == 0.0


def test_the_safe_state_ends_everything_from_any_thread(device: Device) -> None:
    device.delay_s = 0.05
    device.lines.send(command("train", 3, duration_us=1000, period_us=2000, count=1000))
    safe = threading.Thread(target=device.lines.all_off)
    sending = threading.Thread(target=device.lines.send, args=(command("level"),))
    sending.start()
    safe.start()
    sending.join()
    safe.join()
    device.lines.all_off()
    count = len(device.writes)
    device.clock.sleep_until_ns(device.clock.now_ns() + 100 * NS_PER_MS)
    assert len(device.writes) == count, "nothing comes after the safe state"
    assert {device.of_line(line, 1)[0][1] for line in (1, 2)} == {0.0}


def test_a_hung_loop_switches_the_lines_off(device: Device) -> None:
    assert device.lines.heartbeat(False) == [], "before the first turn nothing is on"
    assert device.lines.heartbeat(True) == []
    device.lines.send(command("level"))
    off = device.all_off
    assert device.lines.heartbeat(False) == ["the loop does not turn: all lines were switched off"]
    assert device.lines.heartbeat(False) == []
    assert device.all_off == off + 1


def test_a_first_level_that_is_not_confirmed_fails_the_command_and_is_undone(device: Device) -> None:
    device.broken = Undelivered("no answer", t_sent_ns=5)
    ack = device.lines.send(command("train", duration_us=1000, period_us=90_000, count=9))
    device.broken = None
    assert (ack.ok, ack.t_sent_ns, ack.detail) == (False, 5, "no answer")
    device.clock.sleep_until_ns(device.clock.now_ns() + 200 * NS_PER_MS)
    assert all(level == 0.0 for _, _, level in device.writes), "no pulse of a command that failed"


def test_an_edge_that_cannot_be_written_is_a_fault_of_the_output(device: Device) -> None:
    device.lines.send(command("train", duration_us=20_000, period_us=40_000, count=10_000))
    device.broken = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        beat_until_fault(device.lines)
    with pytest.raises(OSError, match="gone"):
        device.lines.heartbeat(True)
    with pytest.raises(OSError, match="gone"):
        device.lines.send(command("pulse", duration_us=20_000))
    device.broken = None
    device.lines.open()
    assert device.lines.heartbeat(True) == []
    assert device.lines.send(command("level")).ok


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        (command("message"), "this output takes no message"),
        (command("level", 4), "no such line: there are 4, from 0"),
        (command("pulse"), "a pulse needs a duration"),
        (
            command("train", duration_us=5, period_us=5),
            "a train needs a count, and a period longer than its pulses",
        ),
        (
            command("train", duration_us=5, period_us=9, count=0),
            "a train needs a count, and a period longer than its pulses",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(device: Device, wrong: Command, detail: str) -> None:
    ack = device.lines.send(wrong)
    assert (ack.ok, ack.t_sent_ns) == (False, None)
    assert ack.detail == detail
    assert device.writes == []


def test_what_cannot_be_reached_is_not_open() -> None:
    device = Device()
    device.broken = Undelivered("nobody there")
    with pytest.raises(Undelivered):
        device.lines.open()
    device.lines.all_off()
    assert device.lines.send(command("level")).detail == "the output is not open"
    device.lines.close()


def test_a_ramp_begins_at_the_level_that_the_line_has(device: Device) -> None:
    device.lines.send(command("level", amplitude=0.5))
    device.lines.send(command("analog", ramp_up_us=2 * RAMP_STEP_US, duration_us=1000))
    assert [level for _, level in device.of_line(0, 5)] == [0.5, 0.5, 0.75, 1.0, 0.0]


def test_a_device_that_cannot_keep_up_is_a_fault_and_still_gets_its_safe_state(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rigs.timed_lines.MOST_LATE_NS", 10 * NS_PER_S)
    device.delay_s = 0.02
    device.lines.send(command("train", duration_us=1000, period_us=2000, count=10_000))
    device.of_line(0, 4)
    before_ns = device.clock.now_ns()
    assert device.lines.send(command("level", 1)).ok, "others get their turn although it is always behind"
    device.lines.send(command("stop", 1))
    assert device.clock.now_ns() - before_ns < 5 * NS_PER_S  # the train would take 400
    monkeypatch.setattr("rigs.timed_lines.MOST_LATE_NS", 100 * NS_PER_MS)
    with pytest.raises(Undelivered, match=r"line 0 is \d+ ms behind: the device cannot keep up"):
        beat_until_fault(device.lines)
    device.lines.all_off()
    count = len(device.writes)
    threading.Event().wait(0.1)
    assert len(device.writes) == count


def test_the_safe_state_is_not_kept_waiting_by_a_train_that_is_behind(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rigs.timed_lines.MOST_LATE_NS", 1000 * NS_PER_S)
    device.delay_s = 0.005
    device.lines.send(command("train", duration_us=100, period_us=200, count=10_000))
    device.of_line(0, 4)
    before_ns = device.clock.now_ns()
    device.lines.all_off()
    assert device.clock.now_ns() - before_ns < 5 * NS_PER_S  # the train would take 100
