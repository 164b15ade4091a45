"""`rt-pose rig`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rt_pose.cli.main import main
from rt_pose.config.certificate import read_certificates
from rt_pose.errors import ExitCode

RIG = """\
cameras:
  top:
    driver: simulated
    options: {width: 64, height: 48, rate_hz: 200, world: w, led: {xy: [8, 8], radius_px: 3}}
outputs:
  light: {driver: simulated, options: {world: w, delay_ms: 4}}
"""


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    path = tmp_path / "my.yaml"
    path.write_text(RIG)
    return path


def test_loopback_writes_the_certificate_beside_the_rig(
    rig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rig", "loopback", str(rig), "--flashes", "25", "--every", "4"]) == ExitCode.DONE
    shown = capsys.readouterr()
    path = rig.with_name("my.certificate.json")
    assert f"certificate: {path}" in shown.out
    assert "flashes, " in shown.out
    assert "25 of 25 flashes" in shown.err
    (found,) = read_certificates(path)
    assert 3.0 < found.delay_ms < 40.0, "later only where others have the processor"
    assert found.loop_ms is None, "no model, no decisions"


def test_the_group_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rig", "--help"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "usage: rt-pose rig VERB" in shown
    assert "rig loopback" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--flashes", "0"], "--flashes: expected 1 to 100000, got 0"),
        (["--every", "2"], "--every: expected 4 to 10000, got 2"),
        (["--decisions", "-1"], "--decisions: expected 0 to 3600, got -1"),
        (["--line", "-1"], "--line: expected 0 to 255, got -1"),
        (["--camera", "tip"], "--camera tip: the configuration has no such camera"),
        (["--output", "ligth"], "did you mean 'light'?"),
        (["--cameras.top.options.led.level", "999"], "level must be between 0 and 255"),
    ],
)
def test_mistakes_are_one_message(
    rig: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rig", "loopback", str(rig), *words]) == ExitCode.MISTAKE
    shown = capsys.readouterr().err
    assert says in shown
    assert "Traceback" not in shown
    assert not rig.with_name("my.certificate.json").exists()


def test_without_a_file_the_place_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rig", "loopback"]) == ExitCode.MISTAKE
    assert "give the rig's YAML file, or --out for the certificate" in capsys.readouterr().err


def test_a_file_that_is_no_certificate_stays(rig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = rig.with_name("my.certificate.json")
    other.write_text("my notes")
    assert main(["rig", "loopback", str(rig)]) == ExitCode.MISTAKE
    assert "is damaged" in capsys.readouterr().err
    assert other.read_text() == "my notes"
