"""Whole runs in which an output fails its commands: what is said of them while the run goes on, and after."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.faulty_output import register
from support.live_run import ScriptedObserver, config
from support.tiny_package import make_tiny_package

from rt_pose.cli.live import _conclude
from rt_pose.clock import HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import OutputConfig
from rt_pose.delivery import deliveries
from rt_pose.errors import ExitCode
from rt_pose.reports.session_report import make_report
from rt_pose.session.console import format_events
from rt_pose.session.read import Session
from rt_pose.session.run import RunResult, run_session
from rt_pose.session.run_result import with_deliveries
from rt_pose.session.stats_warnings import HIDDEN_FAILURE


class LiveObserver(ScriptedObserver):
    """Keeps apart what was said before the run ended."""

    def __init__(self) -> None:
        super().__init__()
        self.live: list[str] | None = None

    def ending(self) -> None:
        self.live = list(self.warnings)


def observed_run(folder: Path, withhold: float, driver: str) -> tuple[RunResult, LiveObserver]:
    make_tiny_package(folder / "package", keypoints=3)
    rule = RuleConfig("often", "speed(k1) < 80", ActionConfig("stimulus", "5 ms"), withhold=withhold)
    settings = config(
        folder / "package",
        outputs={"stimulus": OutputConfig(driver, {"world": "w"})},
        rules=[rule],
        seconds=3.0,
    )
    observer = LiveObserver()
    result = run_session(settings, folder / "session", register, HostClock(), observer)
    return result, observer


@pytest.fixture(scope="module")
def open_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, LiveObserver]:
    return observed_run(tmp_path_factory.mktemp("open"), 0.0, "interlocked")


@pytest.fixture(scope="module")
def blind_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, LiveObserver]:
    return observed_run(tmp_path_factory.mktemp("blind"), 0.5, "interlocked")


def logged(result: RunResult) -> dict[str, int]:
    assert result.session is not None
    session = Session.read(result.session)
    return dict(Counter(found for found, _ in deliveries(session.commands, session.acks).values()))


def known(counts: dict[str, int]) -> dict[str, int]:
    return {name: n for name, n in counts.items() if n}


def test_a_run_in_which_a_stimulus_failed_has_its_own_exit_code(
    open_run: tuple[RunResult, LiveObserver], capsys: pytest.CaptureFixture[str]
) -> None:
    result, observer = open_run
    assert (result.status, result.ok) == ("complete", True)
    found = known(result.summary["deliveries"]["often"])
    assert found == logged(result)
    assert found["refused"] > 0 < found["acknowledged"]
    assert result.exit_code == ExitCode.STIMULUS_FAILED == _conclude(result, plot=True)
    messages = capsys.readouterr()
    assert f"({found['acknowledged']} acknowledged, {found['refused']} refused" in messages.out
    assert "FAILED: " in messages.out
    assert "interlock open" in messages.out
    assert "the run ended well, but outputs failed commands" in messages.err
    assert observer.live == [
        "a stimulus failed: rule 'often', output 'stimulus': refused: interlock open; further ones are "
        "counted"
    ]
    assert f"{found['refused']} refused" in observer.warnings[-1]


def test_the_live_line_tells_decisions_from_deliveries(open_run: tuple[RunResult, LiveObserver]) -> None:
    stats = open_run[1].last
    counts = stats["deliveries"]["often"]
    shown = format_events(stats)
    assert shown.startswith(f"fired {stats['events']['often']['fired']} (")
    assert f"{counts['refused']} refused" in shown


def test_the_report_has_a_red_head_and_every_delivery(open_run: tuple[RunResult, LiveObserver]) -> None:
    result, _ = open_run
    assert result.session is not None
    figures = make_report(result.session)
    refused = logged(result)["refused"]
    assert figures["commands"]["failed"] == figures["commands"]["by_rule"]["often"]["refused"] == refused
    assert figures["commands"]["delivery"] == figures["commands"]["by_rule"]["often"]
    page = (result.session / "report.html").read_text()
    assert f'<p class="alarm">{refused} of ' in page
    assert "<td>refused: interlock open</td>" in page


def test_of_a_rule_that_withholds_all_is_told_only_after_the_run(
    blind_run: tuple[RunResult, LiveObserver],
) -> None:
    result, observer = blind_run
    assert observer.live == [HIDDEN_FAILURE], "no event, no rule, no count"
    stats = observer.last
    assert stats["deliveries"] == {}
    assert (stats["commands_refused"], stats["commands_failed"], stats["output_notices"]) == (0, 0, 0)
    assert (stats["last_failure"], stats["last_output_notice"], stats["output_faults"]) == ("", "", {})
    assert stats["output_failed"] is True
    assert set(stats["events"]["often"]) == {"decided", "suppressed"}
    assert format_events(stats).startswith("fired 0, decided ")
    found = known(result.summary["deliveries"]["often"])
    assert found == logged(result)
    assert result.exit_code == ExitCode.STIMULUS_FAILED
    assert f"{found['refused']} refused" in observer.warnings[-1]


@pytest.mark.parametrize(
    ("status", "counts", "code"),
    [
        ("complete", {"acknowledged": 3, "cut": 2}, ExitCode.DONE),
        ("complete", {"acknowledged": 3, "unknown": 1}, ExitCode.STIMULUS_FAILED),
        ("the loop died (exit code -9)", {"refused": 3}, ExitCode.FAILED),
    ],
)
def test_what_failed_first_of_all(status: str, counts: dict[str, Any], code: ExitCode) -> None:
    ended, summary = ExitCode.DONE if status == "complete" else ExitCode.FAILED, {"deliveries": {"a": counts}}
    result = RunResult(None, status, status == "complete", {}, summary)
    result.exit_code = with_deliveries(ended, summary)
    assert result.exit_code == code
    assert bool(result.problem) == (code != ExitCode.DONE)
