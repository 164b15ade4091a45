"""Hints to the name that was meant."""

from __future__ import annotations

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import nearest


def test_the_nearest_name_is_hinted_at_and_else_the_names_are_listed() -> None:
    assert nearest("sped", ["speed", "angle"]) == ", did you mean 'speed'?"
    assert nearest("q", ["speed", "angle"]) == "; valid here: speed, angle"
    assert nearest("q", []) == ""


def test_no_word_takes_long() -> None:
    clock = HostClock()
    began = clock.now_ns()
    assert nearest("ab" * 1_000_000, ["speed", "ba" * 1_000_000]).startswith("; valid here: speed")
    assert nearest("x" * 100, [f"keypoint{i}" + "y" * 80 for i in range(50_000)])
    assert clock.now_ns() - began < 2 * NS_PER_S


def test_what_is_no_text_is_no_name_either() -> None:
    assert nearest(None, ["threads"]) == "; valid here: threads"  # type: ignore[arg-type]
