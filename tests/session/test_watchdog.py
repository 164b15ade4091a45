"""When a loop counts as hung, second by second."""

from __future__ import annotations

import pytest

from rt_pose.clock import NS_PER_S
from rt_pose.session.watchdog import END_TIMEOUT_S, START_TIMEOUT_S, LoopWatchdog


class Time:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.s = 100.0

    def now_ns(self) -> int:
        return round(self.s * NS_PER_S)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def watchdog(time: Time) -> LoopWatchdog:
    return LoopWatchdog(time, 3 * NS_PER_S, outputs=2)  # type: ignore[arg-type]


def check_each_second(watchdog: LoopWatchdog, time: Time, seconds: float) -> str:
    """Ask five times a second; the first complaint."""
    for _ in range(round(seconds * 5)):
        time.s += 0.2
        if messages := watchdog.hang_reason():
            return messages
    return ""


def test_nobody_waits_before_it_is_told_to_begin(watchdog: LoopWatchdog, time: Time) -> None:
    assert check_each_second(watchdog, time, 1000.0) == ""
    assert not watchdog.began


def test_a_start(watchdog: LoopWatchdog, time: Time) -> None:
    watchdog.expect_start()
    assert check_each_second(watchdog, time, START_TIMEOUT_S) == ""
    assert check_each_second(watchdog, time, 0.4).startswith("the loop hung: no word of a start for 30.")


def test_before_its_first_turn_its_words_are_enough(watchdog: LoopWatchdog, time: Time) -> None:
    watchdog.expect_start()
    for _ in range(100):
        watchdog.heartbeat(0)
        assert check_each_second(watchdog, time, 0.6) == ""
    assert watchdog.began
    assert check_each_second(watchdog, time, 3.2).startswith("the loop hung: no turn for 3.")


def test_words_without_turns_are_not(watchdog: LoopWatchdog, time: Time) -> None:
    heartbeat_ns = time.now_ns()
    messages = ""
    for _ in range(10):
        watchdog.heartbeat(heartbeat_ns)
        messages = messages or check_each_second(watchdog, time, 0.6)
    assert messages.startswith("the loop hung: no turn for 3.")


def test_who_was_held_up_blames_nobody(watchdog: LoopWatchdog, time: Time) -> None:
    old_ns = time.now_ns()
    watchdog.heartbeat(old_ns)
    assert check_each_second(watchdog, time, 1.0) == ""
    time.s += 60.0  # nobody asked
    assert watchdog.hang_reason() == ""
    watchdog.heartbeat(old_ns + NS_PER_S)  # news that had waited meanwhile
    assert check_each_second(watchdog, time, 2.4) == ""
    assert check_each_second(watchdog, time, 0.8).startswith("the loop hung: no turn for 3."), (
        "not for ever, though"
    )


def test_an_end_has_its_own_time(watchdog: LoopWatchdog, time: Time) -> None:
    watchdog.heartbeat(time.now_ns())
    watchdog.expect_stop()
    watchdog.heartbeat(time.now_ns() - 10 * NS_PER_S)  # older news behind it
    assert check_each_second(watchdog, time, 8.8) == "", "5 s, and 2 for each output"
    assert check_each_second(watchdog, time, 0.6).startswith(
        "the loop hung: its outputs were not safe for 9."
    )
    watchdog.expect_end()
    assert check_each_second(watchdog, time, END_TIMEOUT_S - 1.0) == ""
    watchdog.expect_exit()
    assert check_each_second(watchdog, time, END_TIMEOUT_S - 1.0) == ""
    assert check_each_second(watchdog, time, 2.0).startswith("the loop hung: its process did not end for 60.")
