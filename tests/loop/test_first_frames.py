"""A camera that gives no first frame has failed; one that is triggered from outside has not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rt_pose.loop.first_frames import FirstFrames


def camera(name: str, captured: int = 0) -> Any:
    return SimpleNamespace(name=name, counts=SimpleNamespace(captured=captured))


def test_cameras_that_deliver_are_no_longer_waited_for() -> None:
    top, side = camera("top"), camera("side", 1)
    waiting = FirstFrames([top, side], 1000)
    waiting.begin(50)
    assert list(waiting.overdue(60)) == []
    assert [one.name for one in waiting.waiting] == ["top"]
    top.counts.captured = 1
    assert list(waiting.overdue(2000)) == []
    assert waiting.waiting == []


def test_one_that_does_not_is_named_once() -> None:
    waiting = FirstFrames([camera("top"), camera("side", 5)], 2_000_000_000)
    waiting.begin(0)
    assert list(waiting.overdue(1_999_999_999)) == []
    ((name, why),) = waiting.overdue(2_000_000_000)
    assert name == "top"
    assert "no frame came within 2 s of its start" in why
    assert list(waiting.overdue(3_000_000_000)) == []
