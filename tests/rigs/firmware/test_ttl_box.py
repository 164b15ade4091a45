"""The box's own code, compiled for this machine: what its lines do, and when it drops them.

Times are the simulator's, taken where a line changes; they are held to no more than the box can promise on a
busy machine: nothing is earlier than it should be, and lengths differ by less than a few turns.
"""

from __future__ import annotations

import threading

import pytest

from rigs.firmware import protocol
from rigs.firmware.framing import frame
from rigs.firmware.link import BoxLink
from rigs.firmware.simulate import Edge, SimulatedBox
from rt_pose.clock import NS_PER_MS

pytestmark = pytest.mark.alone
HIGH = 65535
OK, INTERLOCK_OPEN, NO_SUCH_LINE, BAD_VALUE = range(4)
SLACK_NS = 30 * NS_PER_MS
"""What a turn of the simulator may be late by on a machine that does other things."""


def hello(link: BoxLink, watchdog_ms: int = 60_000) -> protocol.Welcome:
    """Begin; with a watchdog that no test waits for, where not told otherwise."""
    answer = link.exchange(protocol.Hello(link.next_seq(), protocol.VERSION, watchdog_ms), 5.0).answer
    assert isinstance(answer, protocol.Welcome)
    return answer


def ask(link: BoxLink, message: protocol.Message) -> int:
    """Result of a command."""
    answer = link.exchange(message, 5.0).answer
    assert isinstance(answer, protocol.Ack)
    assert answer.seq == message.seq
    return answer.result


def status(link: BoxLink) -> protocol.Status:
    answer = link.exchange(protocol.Heartbeat(link.next_seq()), 5.0).answer
    assert isinstance(answer, protocol.Status)
    return answer


def edges(box: SimulatedBox, count: int, line: int = 0) -> list[Edge]:
    """The first edges of a line, waited for."""
    for number in range(count):
        after = [e for e in box.edges if e.line == line]
        if len(after) <= number:
            last = after[-1].t_ns if after else 0
            high = not (after and after[-1].level)
            assert box.wait_for(line, high, last) is not None
    return [e for e in box.edges if e.line == line][:count]


def test_it_says_who_it_is(link: BoxLink) -> None:
    welcome = hello(link)
    assert (welcome.version, welcome.lines) == (protocol.VERSION, 4)
    assert welcome.name.rstrip(b"\0").decode() == protocol.NAME


def test_a_pulse(box: SimulatedBox, link: BoxLink) -> None:
    hello(link)
    assert ask(link, protocol.Pulse(9, 1, HIGH, 20_000)) == OK
    up, down = edges(box, 2, line=1)
    assert (up.level, down.level) == (HIGH, 0)
    assert 20 * NS_PER_MS <= down.t_ns - up.t_ns + 1000 < 20 * NS_PER_MS + SLACK_NS


def test_the_echo_bears_the_devices_time_of_the_effect(box: SimulatedBox, link: BoxLink) -> None:
    hello(link)
    exchange = link.exchange(protocol.Pulse(9, 0, HIGH, 1000), 5.0)
    assert isinstance(exchange.answer, protocol.Ack)
    (up,) = edges(box, 1)
    late_us = (up.t_ns // 1000 - exchange.answer.t_us) % 2**32
    assert 0 <= late_us < SLACK_NS // 1000
    assert exchange.t_sent_ns <= exchange.t_answer_ns


def test_a_train_does_not_drift(box: SimulatedBox, link: BoxLink) -> None:
    """What one pulse is late by the next is not: the last begins count periods after the first."""
    hello(link)
    assert ask(link, protocol.Train(1, 0, HIGH, 5_000, 15_000, 5)) == OK
    got = edges(box, 10)
    assert [e.level for e in got] == [HIGH, 0] * 5
    length = got[8].t_ns - got[0].t_ns
    assert abs(length - 4 * 15 * NS_PER_MS) < SLACK_NS
    threading.Event().wait(0.05)
    assert len([e for e in box.edges if e.line == 0]) == 10


def test_a_level_stays_until_it_is_ended(box: SimulatedBox, link: BoxLink) -> None:
    hello(link)
    assert ask(link, protocol.Level(1, 0, HIGH, 0)) == OK
    assert ask(link, protocol.Level(2, 2, 30_000, 20_000)) == OK
    up, down = edges(box, 2, line=2)
    assert up.level == 30_000
    assert down.t_ns - up.t_ns >= 19 * NS_PER_MS
    assert box.level(0) == HIGH
    assert ask(link, protocol.Level(3, 0, 0, 0)) == OK
    edges(box, 2)


@pytest.mark.parametrize("end", [protocol.Stop(5, 0), protocol.Safe(5), protocol.Level(5, 0, 0, 0)])
def test_what_ends_a_train(box: SimulatedBox, link: BoxLink, end: protocol.Message) -> None:
    hello(link)
    assert ask(link, protocol.Train(1, 0, HIGH, 20_000, 40_000, 100)) == OK
    assert ask(link, end) == OK
    assert edges(box, 2)[1].level == 0
    threading.Event().wait(0.08)
    assert len(box.edges) == 2


def test_an_analog_value_rises_stays_and_falls(box: SimulatedBox, link: BoxLink) -> None:
    hello(link)
    assert ask(link, protocol.Analog(1, 0, 40_000, 30_000, 20_000, 30_000)) == OK
    assert box.wait_for(0, high=False) is not None
    levels = [e.level for e in box.edges]
    top = levels.index(40_000)
    assert levels[: top + 1] == sorted(levels[: top + 1])
    assert levels[top:] == sorted(levels[top:], reverse=True)
    assert levels[-1] == 0
    assert len(levels) > 10, "a ramp is no step"


def test_a_new_command_takes_the_place_of_the_old(box: SimulatedBox, link: BoxLink) -> None:
    hello(link)
    assert ask(link, protocol.Level(1, 0, HIGH, 0)) == OK
    assert ask(link, protocol.Pulse(2, 0, HIGH, 10_000)) == OK
    assert box.wait_for(0, high=False) is not None
    assert [e.level for e in box.edges] == [HIGH, 0]


@pytest.mark.parametrize(
    ("message", "result"),
    [
        (protocol.Pulse(1, 4, HIGH, 1000), NO_SUCH_LINE),
        (protocol.Stop(1, 200), NO_SUCH_LINE),
        (protocol.Pulse(1, 0, HIGH, 0), BAD_VALUE),
        (protocol.Train(1, 0, HIGH, 10, 10, 2), BAD_VALUE),
        (protocol.Train(1, 0, HIGH, 10, 20, 0), BAD_VALUE),
    ],
)
def test_what_makes_no_sense_is_refused_and_moves_nothing(
    box: SimulatedBox, link: BoxLink, message: protocol.Message, result: int
) -> None:
    hello(link)
    assert ask(link, message) == result
    assert box.edges == []


def test_the_watchdog_drops_all_lines_and_says_which(box: SimulatedBox, link: BoxLink) -> None:
    hello(link, watchdog_ms=60)
    assert ask(link, protocol.Level(1, 1, HIGH, 0)) == OK
    assert ask(link, protocol.Train(2, 3, HIGH, 1000, 30_000, 1000)) == OK
    down = box.wait_for(1, high=False)
    assert down is not None
    up = next(e for e in box.edges if e.line == 1)
    assert down.t_ns - up.t_ns >= 60 * NS_PER_MS
    after = status(link)
    assert (after.dropped, after.trips) == (0b1010, 1)
    assert status(link).dropped == 0, "it is said once"
    assert ask(link, protocol.Pulse(3, 0, HIGH, 1000)) == OK, "it can be used again"


def test_heartbeats_keep_a_level_up_and_only_whole_messages_are_heartbeats(
    box: SimulatedBox, link: BoxLink
) -> None:
    hello(link, watchdog_ms=100)
    assert ask(link, protocol.Level(1, 0, HIGH, 0)) == OK
    for _ in range(10):
        assert status(link).trips == 0
        threading.Event().wait(0.02)
    assert box.level(0) == HIGH
    heartbeat = bytearray(frame(protocol.Heartbeat(1)))
    heartbeat[1] ^= 0x10
    for _ in range(12):
        link._serial.write(bytes(heartbeat) + b"\x55\x55\0")
        threading.Event().wait(0.02)
    assert box.level(0) == 0
    assert status(link).bad_frames >= 12


def test_an_open_interlock_drops_the_lines_and_refuses(box: SimulatedBox, link: BoxLink) -> None:
    hello(link)
    assert ask(link, protocol.Level(1, 0, HIGH, 0)) == OK
    box.order("interlock open")
    assert box.wait_for(0, high=False) is not None
    assert status(link).flags == protocol.Flag.INTERLOCK
    assert ask(link, protocol.Pulse(2, 0, HIGH, 1000)) == INTERLOCK_OPEN
    assert ask(link, protocol.Stop(3, 0)) == OK
    box.order("interlock closed")
    for _ in range(200):
        if not status(link).flags:
            break
    assert ask(link, protocol.Pulse(4, 0, HIGH, 1000)) == OK
    assert [e.level for e in box.edges[:2]] == [HIGH, 0]


def test_nothing_begins_without_a_watchdog_and_a_reset_forgets_it(box: SimulatedBox, link: BoxLink) -> None:
    assert ask(link, protocol.Level(1, 0, HIGH, 0)) == protocol.NO_WATCHDOG
    assert status(link).flags == protocol.Flag.NO_WATCHDOG
    hello(link)
    assert ask(link, protocol.Level(2, 0, HIGH, 0)) == OK
    box.order("restart")
    assert box.wait_for(0, high=False) is not None
    assert ask(link, protocol.Pulse(3, 0, HIGH, 1000)) == protocol.NO_WATCHDOG
    assert ask(link, protocol.Stop(4, 0)) == ask(link, protocol.Safe(5)) == OK
    assert box.level(0) == 0


def test_a_new_hello_makes_everything_low(box: SimulatedBox, link: BoxLink) -> None:
    hello(link)
    assert ask(link, protocol.Level(1, 0, HIGH, 0)) == OK
    hello(link)
    assert box.wait_for(0, high=False) is not None


def test_noise_is_survived(box: SimulatedBox, link: BoxLink) -> None:
    """Bytes of any kind, longer than any message, and half messages: the next whole one is understood."""
    hello(link)
    link._serial.write(bytes(range(1, 200)) * 3)
    link._serial.write(b"\0" + frame(protocol.Pulse(1, 0, HIGH, 1000))[:6] + b"\0")
    assert ask(link, protocol.Pulse(7, 1, HIGH, 1000)) == OK
    assert {e.line for e in box.edges} <= {1}
    assert status(link).bad_frames == 2


def test_the_sketch_is_thin_glue(tmp_path: object) -> None:
    """It compiles for this machine against a stand-in of what the Arduino brings, without a warning."""
    import shutil
    import subprocess
    from pathlib import Path

    from rigs.firmware.simulate import HERE

    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler: apt install g++")
    folder = Path(str(tmp_path))
    stand_in = """
        #include <stddef.h>
        #include <stdint.h>
        enum { LOW, HIGH, INPUT, OUTPUT, INPUT_PULLUP };
        void digitalWrite(uint8_t, uint8_t); void analogWrite(uint8_t, int); void pinMode(uint8_t, uint8_t);
        int digitalRead(uint8_t); unsigned long micros();
        struct Port {
          void begin(unsigned long); int available(); int read(); void write(const uint8_t *, size_t);
        };
        extern Port Serial;
    """
    (folder / "Arduino.h").write_text(stand_in)
    include = ["-include", str(folder / "Arduino.h"), "-I", str(HERE)]
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fsyntax-only"]
    for source in (["-x", "c++", str(HERE / "ttl_box.ino")], [str(HERE / "ttl_box.cpp")]):
        subprocess.run([compiler, *flags, *include, *source], check=True)
