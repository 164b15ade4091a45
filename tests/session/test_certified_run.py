"""What a latency certificate does to a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.certificates import certificate, percentiles
from support.live_run import ScriptedObserver, config, run, send_orders
from support.tiny_package import make_tiny_package

from rt_pose.audit.replay import replay
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.certificate import write_certificate
from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError
from rt_pose.package import read_package
from rt_pose.reports.session_report import make_report
from rt_pose.session.read import Session


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path, keypoints=3)
    return path


def certified(package: Path, file: Path, mode: str = "warn", **of: Any) -> RunConfig:
    """A run with a certificate of today that says 40 ms."""
    made = config(package, certificate=mode, certificate_file=str(file))
    of = {"delay_ms": 40.0, "now_ns": HostClock().utc_ns(), "days": 0.1} | of
    write_certificate(file, certificate(made, read_package(package).sha256, **of))
    return made


@pytest.fixture(scope="module")
def session(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("certified")
    result = run(certified(package, folder / "rig.certificate.json"), folder / "session")
    assert result.ok
    assert result.warnings == []
    return Session.read(folder / "session")


def test_its_delay_replaces_the_stated_one_and_both_are_recorded(session: Session) -> None:
    output = session.info.outputs["stimulus"]
    assert (output.delay_ms, output.stated_delay_ms) == (40.0, 1.0)
    assert session.info.certificate.used["stimulus"].delay_ms == 40.0
    assert session.info.certificate.mode == "warn"


def test_decisions_are_made_for_the_time_at_which_it_says_they_act(session: Session) -> None:
    ahead = {e.event.t_effect_ns - e.event.t_judged_ns for e in session.events}
    assert ahead == {40 * NS_PER_MS}
    assert session.events


def test_the_session_replays_bit_for_bit(session: Session) -> None:
    found = replay(session.path)
    assert found.identical
    assert found.events == len(session.events)


def test_the_report_shows_it(session: Session, tmp_path: Path) -> None:
    made = make_report(session.path, tmp_path)
    assert made["certificate"]["used"]["stimulus"]["n"] == 200
    assert json.loads((tmp_path / "report.json").read_text())["certificate"]["mode"] == "warn"
    page = (tmp_path / "report.html").read_text()
    assert "acts 40.00 ms after the command (n 200, measured 2026-01-01 00:00:00 UTC" in page
    assert "light to light P50 17.00, P99 19.00 ms" in page
    assert "(stated: 1 ms)" in page


@pytest.mark.parametrize(
    ("of", "says"),
    [
        ({"days": 60.0}, "is 60 days old"),
        ({"loop_ms": percentiles(900.0)}, "over budget_ms 500"),
        ({"settings": {"model": "another"}}, "is of other settings"),
    ],
)
def test_what_does_not_hold_refuses_to_arm(
    package: Path, tmp_path: Path, of: dict[str, Any], says: str
) -> None:
    made = certified(package, tmp_path / "c.json", "require", **of)
    with pytest.raises(UserError, match=f"armed_at_start: certificate: require: .*{says}"):
        run(made, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_without_one_orders_to_arm_are_refused_and_nothing_fires(package: Path, tmp_path: Path) -> None:
    answers: dict[str, Any] = {}

    def order(description: dict[str, Any]) -> None:
        answers.update(send_orders(description, "arm", "disarm", "stop"))

    observer = ScriptedObserver(order)
    wanted = {"certificate": "require", "certificate_file": str(tmp_path / "none.json")}
    made = config(package, armed_at_start=False, seconds=60.0, **wanted)
    result = run(made, tmp_path / "session", observer)
    assert answers["arm"]["ok"] is False
    assert "output 'stimulus' has no latency certificate" in answers["arm"]["error"]
    assert answers["disarm"]["ok"] is True
    assert any("the run will not arm" in warning for warning in observer.warnings)
    assert result.ok
    session = Session.read(tmp_path / "session")
    assert [c.do for c in session.controls] == ["disarm", "stop"], "an order that changed nothing is no input"
    assert session.commands == []
    assert replay(session.path).identical


def test_a_warning_is_a_warning(package: Path, tmp_path: Path) -> None:
    observer = ScriptedObserver()
    made = config(package, certificate="warn", certificate_file=str(tmp_path / "none.json"), seconds=0.4)
    assert run(made, tmp_path / "session", observer).ok
    assert [w for w in observer.warnings if "has no latency certificate" in w]
    assert Session.read(tmp_path / "session").info.outputs["stimulus"].stated_delay_ms is None
