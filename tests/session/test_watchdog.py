"""When a loop counts as hung, second by second."""

from __future__ import annotations

import pytest

from rt_pose.clock import NS_PER_S
from rt_pose.session.watchdog import ENDS_WITHIN_S, STARTS_WITHIN_S, LifeSigns


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
def life(time: Time) -> LifeSigns:
    return LifeSigns(time, 3 * NS_PER_S, outputs=2)  # type: ignore[arg-type]


def watch(life: LifeSigns, time: Time, seconds: float) -> str:
    """Ask five times a second; the first complaint."""
    for _ in range(round(seconds * 5)):
        time.s += 0.2
        if said := life.hangs():
            return said
    return ""


def test_nobody_waits_before_it_is_told_to_begin(life: LifeSigns, time: Time) -> None:
    assert watch(life, time, 1000.0) == ""
    assert not life.began


def test_a_start(life: LifeSigns, time: Time) -> None:
    life.told_to_begin()
    assert watch(life, time, STARTS_WITHIN_S) == ""
    assert watch(life, time, 0.4).startswith("the loop hung: no word of a start for 30.")


def test_before_its_first_turn_its_words_are_enough(life: LifeSigns, time: Time) -> None:
    life.told_to_begin()
    for _ in range(100):
        life.turned(0)
        assert watch(life, time, 0.6) == ""
    assert life.began
    assert watch(life, time, 3.2).startswith("the loop hung: no turn for 3.")


def test_words_without_turns_are_not(life: LifeSigns, time: Time) -> None:
    beat_ns = time.now_ns()
    said = ""
    for _ in range(10):
        life.turned(beat_ns)
        said = said or watch(life, time, 0.6)
    assert said.startswith("the loop hung: no turn for 3.")


def test_who_was_held_up_blames_nobody(life: LifeSigns, time: Time) -> None:
    old_ns = time.now_ns()
    life.turned(old_ns)
    assert watch(life, time, 1.0) == ""
    time.s += 60.0  # nobody asked
    assert life.hangs() == ""
    life.turned(old_ns + NS_PER_S)  # news that had waited meanwhile
    assert watch(life, time, 2.4) == ""
    assert watch(life, time, 0.8).startswith("the loop hung: no turn for 3."), "not for ever, though"


def test_an_end_has_its_own_time(life: LifeSigns, time: Time) -> None:
    life.turned(time.now_ns())
    life.stopping()
    life.turned(time.now_ns() - 10 * NS_PER_S)  # older news behind it
    assert watch(life, time, 8.8) == "", "5 s, and 2 for each output"
    assert watch(life, time, 0.6).startswith("the loop hung: its outputs were not safe for 9.")
    life.ending()
    assert watch(life, time, ENDS_WITHIN_S - 1.0) == ""
    life.ended()
    assert watch(life, time, ENDS_WITHIN_S - 1.0) == ""
    assert watch(life, time, 2.0).startswith("the loop hung: its process did not end for 60.")
