"""Hints to the name that was meant."""

from __future__ import annotations

import pytest
from support.patience import assert_below

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import ErrorCollector, UserError, nearest


def test_the_nearest_name_is_hinted_at_and_else_the_names_are_listed() -> None:
    assert nearest("sped", ["speed", "angle"]) == ", did you mean 'speed'?"
    assert nearest("q", ["speed", "angle"]) == "; valid here: speed, angle"
    assert nearest("q", []) == ""


def test_no_word_takes_long() -> None:
    clock = HostClock()

    def took_ns() -> int:
        began_ns = clock.now_ns()
        assert nearest("ab" * 1_000_000, ["speed", "ba" * 1_000_000]).startswith("; valid here: speed")
        assert nearest("x" * 100, [f"keypoint{i}" + "y" * 80 for i in range(50_000)])
        return clock.now_ns() - began_ns

    assert_below(2 * NS_PER_S, took_ns)


def test_what_is_no_text_is_no_name_either() -> None:
    assert nearest(None, ["threads"]) == "; valid here: threads"  # type: ignore[arg-type]


def test_all_mistakes_are_collected() -> None:
    errors = ErrorCollector()
    errors.check()
    assert errors.run(lambda: 7) == 7

    def fail(message: str) -> None:
        raise UserError(message)

    for message in ("first", "second\nthird", "first"):
        assert errors.run(lambda message=message: fail(message)) is None  # type: ignore[misc]
    with pytest.raises(UserError, match=r"^first\nsecond\nthird$"):
        errors.check()
