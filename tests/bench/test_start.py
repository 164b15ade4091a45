"""From command to first decision: the figures, and one real `--help`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.start import KINDS, first_decision_ns, format_table, help_s, main
from rt_pose.loop.latency import summary
from rt_pose.session.read import Session

ROOT = Path(__file__).resolve().parents[2]


def test_the_first_decision_is_the_earliest_of_the_log(synthetic_session: Path) -> None:
    observations = Session.read(synthetic_session).observations
    first = first_decision_ns(synthetic_session)
    assert first == min(o.stages.t_decided_ns for o in observations)


def test_the_table_says_which_goals_are_held() -> None:
    starts = {"installed": None, "first": summary([14.0, 15.0, 16.0]), "second": summary([5.5, 6.0])}
    figures = {
        "machine": {"cpu": "a processor", "cores_usable": 2, "features": []},
        "first_decision_s": {"after": {kind: found for kind, found in starts.items() if found}},
        "help_s": {"after": summary([0.2, 0.5])},
        "slowest_help": {"after": ["train fit", 0.5]},
    }
    rows = [line.split("|")[1:-1] for line in format_table(figures).splitlines() if line.startswith("|")]
    cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows[2:]}
    assert cells["first start"] == ["after", "3", "15.00", "15.80", "16.00", "15: held"]
    assert cells["second start"][-1] == "5: not held"
    assert cells["`--help` of 2 verbs, medians; slowest: train fit"][-1] == "0.4: not held"
    assert KINDS.keys() == starts.keys()


def test_a_help_is_timed() -> None:
    assert help_s(ROOT, "rules words") > 0


def test_a_folder_that_is_no_checkout_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--before", str(tmp_path), "--model", "m", "--video", "v"]) == 2
    assert "no checkout" in capsys.readouterr().err
