"""What a run prints, as it is."""

from __future__ import annotations

from typing import Any

import pytest

from rt_pose.session.console import RunConsole, format_alive, format_events, format_views

DESCRIPTION: dict[str, Any] = {
    "bare_forward_ms": {"p50": 1.0, "p99": 2.0, "n": 3},
    "engine": {"description": "openvino"},
    "cameras": {},
    "outputs": {"a": {"name": "laser[red]", "driver": "test", "serial": "", "delay_ms": 1.0}},
    "addresses": {"publish": "tcp://one", "control": "tcp://two"},
}


class Keys:
    active = True

    def close(self) -> None:
        pass


def test_square_brackets_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The keys of the emergency stop stand in them, and so may names and what a device says."""
    with RunConsole() as console:
        console._keys = Keys()  # type: ignore[assignment]
        console.ready(DESCRIPTION)
        console.warn("output 'laser[red]' failed: [/dev/ttyACM0] is gone")
    shown = capsys.readouterr().err
    assert "space, x or Esc is the emergency stop" in shown
    assert "output laser[red]: test" in shown
    assert "warning: output 'laser[red]' failed: [/dev/ttyACM0] is gone" in shown


def test_events_in_the_live_line() -> None:
    stats: dict[str, Any] = {"events": {"a": {"fired": 6, "withheld": 0, "suppressed": 2}}, "deliveries": {}}
    stats |= {"output_failed": False, "output_faults": {}}
    assert format_events(stats) == "fired 6"
    stats["deliveries"] = {"a": {"acknowledged": 4, "refused": 2}}
    assert format_events(stats) == "fired 6 (4 acknowledged, 2 refused)"
    stats["events"]["b"] = {"decided": 3, "suppressed": 0}
    stats["output_failed"] = True
    assert format_events(stats) == "fired 6 (4 acknowledged, 2 refused), decided 3, an output failed"


def test_several_animals_in_the_live_line() -> None:
    assert format_alive({}) == ""
    assert format_alive({"individuals": 4, "alive": {"top": 3}}) == "3 of 4 animals, "
    assert format_alive({"individuals": 4, "alive": {"top": 3, "side": 4}}) == "top 3, side 4 of 4 animals, "


def test_groups_of_views_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    group = {"cameras": ["back", "top"], "calibration": "rig.toml", "unit": "mm", "up": [0.0, 0.0, 1.0]}
    with RunConsole() as console:
        console.ready(DESCRIPTION | {"views": {"arena": group}})
    assert "views arena: back, top; calibration rig.toml, places in mm, z is up" in capsys.readouterr().err
    assert format_views({}) == ""
    stats = {"views": {"arena": {"used": 1200, "late": 3, "wrong": []}}}
    assert format_views(stats) == "arena: 1200 views, 3 late, "
    stats["views"]["arena"]["wrong"] = ["top"]
    assert format_views(stats) == "arena: 1200 views, 3 late, WRONG: top, "
