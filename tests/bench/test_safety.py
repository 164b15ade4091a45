"""Ways out of a run, each on a whole run with the box's own code: the line falls, and the session says why.

How fast it falls is the bench's business; here it must fall, or stay where it should.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from support.patience import TRIES
from support.tiny_package import make_tiny_package

import rigs
from bench.safety import SafetyOutcome, _figures, _holds, page, try_once
from bench.safety_scenarios import SCENARIOS, SafetyRig
from rigs.firmware.link import BoxFault
from rigs.firmware.simulate import SimulatedBox
from rt_pose.clock import HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.types import Command

pytestmark = pytest.mark.usefixtures("warm_programs")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path, keypoints=3)
    return str(path)


def try_while_high(name: str, package: str) -> SafetyOutcome:
    """The first try whose line was high when the fault came: on a busy machine heartbeats are late."""
    for _ in range(TRIES):
        outcome = try_once(SCENARIOS[name], package)
        if not outcome.early:
            return outcome
    raise AssertionError(f"low before the fault in each of {TRIES} tries")


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("loop killed (SIGKILL)", "the loop died (exit code -9)", "no last record"),
        ("supervisor killed (SIGKILL)", "", "order emergency (the supervisor is gone)"),
        (
            "exception in the loop",
            "the loop failed: RuntimeError: an exception in the loop",
            "the loop failed",
        ),
        (
            "loop hangs, its threads live",
            "the loop hung: no turn for",
            "no last record",
        ),
        ("loop's process stopped (SIGSTOP)", "the loop hung: no turn for", "no last record"),
        ("emergency ordered", "complete", "order emergency (control)"),
    ],
)
def test_every_way_out_leaves_the_line_low(package: str, name: str, status: str, expected: str) -> None:
    outcome = try_while_high(name, package)
    assert outcome.ms is not None
    assert outcome.status.startswith(status)
    assert any(expected in entry for entry in outcome.log), outcome.log
    if name == "emergency ordered":
        assert "event suppressed: disarmed" in outcome.log
    if "hangs" in name:
        assert any("the loop hung" in warning for warning in outcome.warnings)
    if name == "loop killed (SIGKILL)":
        assert "the loop died with its outputs open; they were made safe" in outcome.warnings


def test_what_holds_and_what_does_not() -> None:
    low, high = SafetyOutcome(20.0, "complete"), SafetyOutcome(None, "complete")
    killed, well = "loop killed (SIGKILL)", "nothing goes wrong"

    def holds(name: str, *outcomes: SafetyOutcome) -> bool:
        return _holds(name, {"n": len(outcomes), "bound_ms": 100.0, **_figures(list(outcomes))})

    assert holds(killed, low, low)
    assert not holds(killed, low, high)
    assert not holds(killed, low, SafetyOutcome(120.0, "complete"))
    assert holds(well, high)
    assert not holds(well, high, low)
    assert not _holds(killed, {"n": 1, "bound_ms": 100.0, "untold": 1, **_figures([low])})
    assert SafetyOutcome(1.0, "", ["output 'box' failed: the box has begun again"]).says("has begun again")
    assert not SafetyOutcome(1.0, "").says("has begun again")
    assert SafetyOutcome(1.0, "").says("")


def test_a_box_that_is_reset_has_low_lines_and_says_so() -> None:
    """Here without the run around it: the driver alone, as the bench's row asks it of a whole run."""
    rigs.register()
    scenario = SCENARIOS["box reset"]
    with SimulatedBox() as box:
        output: Any = make_output(
            "box",
            "serial_ttl",
            {"port": box.port, "watchdog_ms": 5000, "answer_ms": 4000},
            DriverContext(HostClock()),
        )
        output.open()
        assert output.send(Command(1, 1, "box", 0, "level")).ok
        scenario.does(SafetyRig(box, 0, 0, ""))
        assert box.wait_for(0, high=False) is not None
        with pytest.raises(BoxFault, match=scenario.says):
            _send_heartbeats(output)
        output.close()


def _send_heartbeats(output: Any) -> None:
    for _ in range(200):
        output.heartbeat(True)
        threading.Event().wait(0.005)


def test_the_page_names_every_scenario(tmp_path: Path) -> None:
    first = {"status": "complete", "warnings": ["told"], "log": ["logged"]}
    row = {"n": 1, "p50": 20.0, "max": 30.0, "stayed": 0, "bound_ms": 100.0, "first": first}
    text = page({"machine": {"cpu": "a machine", "cores_usable": 2}, "rows": {"cable pulled": row}})
    assert "| cable pulled | 1 | 20.0 | 30.0 | 100 | complete |" in text
    assert "- reported at once: told" in text
    assert "- log: logged" in text
