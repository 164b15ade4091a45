"""The report's figures are those of the log, and what the log does not hold is not measured."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.small_disk import mounted
from support.synthetic_session import (
    BARE_MS,
    BUDGET_MS,
    ERROR_PX,
    KEYPOINTS,
    PAW_HIDDEN,
    write_info,
)

from rt_pose.cli.main import main
from rt_pose.errors import UserError
from rt_pose.records import End
from rt_pose.reports.session_report import deadline, figures, frame_counts, latencies, make_report
from rt_pose.session.log_file import LogWriter
from rt_pose.session.read import KILLED, Session

DECIDED = [i for i in range(600) if i % 25 != 24]
LATE = [i for i in DECIDED if i % 100 == 0]


@pytest.fixture
def session(synthetic_session: Path) -> Session:
    return Session.read(synthetic_session)


def test_report_is_written_whole(synthetic_session: Path, tmp_path: Path) -> None:
    copy = tmp_path / "session"
    shutil.copytree(synthetic_session, copy)
    found = make_report(copy)
    written = json.loads((copy / "report.json").read_text())
    assert written == json.loads(json.dumps(found))
    assert {"schema", "frames", "latency_ms", "deadline", "events", "accuracy"} <= set(written)
    assert {"machine", "versions", "package", "engine"} <= set(written)
    assert written["engine"]["precision"] == "float32"
    assert (copy / "report.html").read_text().startswith("<!doctype html>")
    assert not list(copy.glob("*.part"))


def test_frames(session: Session) -> None:
    frames = frame_counts(session)
    top = frames["cameras"]["top"]
    filmed_less = top["dropped"].pop("recorder", 0)
    frames["dropped"].pop("recorder", 0)
    assert filmed_less < 600
    counts = {"captured": 600, "processed": 576, "dropped": {"capture": 24}, "device_gaps": 2}
    assert top == counts | {"failed": 0, "unmatched": 0, "losses": 0, "silences": 0}
    assert {k: frames[k] for k in counts} == counts


def test_the_loops_own_counts_win_over_records_that_may_be_lost(session: Session) -> None:
    counts = {"captured": 700, "superseded": 30, "device_gaps": 5, "processed": 670}
    session.end = End(t_ns=1, reason="", counts={"cameras": {"top": counts}})
    frames = frame_counts(session)
    assert (frames["captured"], frames["processed"], frames["device_gaps"]) == (700, 670, 5)
    assert frames["dropped"]["capture"] == 30


def test_latencies(session: Session) -> None:
    found = latencies(session)
    wobble = np.array([(i * 7919) % 1000 * 4e-4 + 8 * (i in LATE) for i in DECIDED])
    for name, fixed in (("image_to_pose", 4.2), ("image_to_decision", 4.5), ("engine", 3.5)):
        assert found[name]["n"] == 576
        assert found[name]["p50"] == pytest.approx(np.median(wobble) + fixed, abs=1e-3)
        assert found[name]["max"] == pytest.approx(wobble.max() + fixed, abs=1e-3)
        assert found[name]["p99_9"] is None
    assert found["overhead"]["p50"] == pytest.approx(found["image_to_decision"]["p50"] - BARE_MS, abs=1e-3)
    assert found["exposure_to_decision"]["p50"] == pytest.approx(np.median(wobble) + 6.5, abs=1e-3)
    assert found["decision_to_ack"] | {"p99_9": 0} == dict.fromkeys(
        ("p50", "p90", "p99", "max"), pytest.approx(2.0)
    ) | {"n": 4, "p99_9": 0}
    assert found["half_round_trip"]["p50"] == pytest.approx(0.75)


def test_deadline(session: Session) -> None:
    assert deadline(session) == {"budget_ms": BUDGET_MS, "missed": len(LATE), "n": 576}


def test_unknown_exposures_are_not_measured(session: Session) -> None:
    for observation in session.observations:
        observation.stamps = msgspec.structs.replace(observation.stamps, t_exposure_ns=None)
    assert deadline(session) == {"budget_ms": BUDGET_MS, "missed": None, "n": 0}
    assert latencies(session)["exposure_to_decision"] is None
    assert latencies(session)["loop"] is None
    assert latencies(session)["image_to_pose"]["n"] == 576


def test_no_bare_forward_no_overhead(session: Session) -> None:
    session.info.bare_forward_ms = None
    assert latencies(session)["overhead"] is None


def test_events(session: Session) -> None:
    session.info.config["rules"].append({"name": "silent"})
    assert figures(session)["events"] == {
        "corner": {"fired": 4, "withheld": 3, "suppressed": 3},
        "silent": {"fired": 0, "withheld": 0, "suppressed": 0},
    }


def test_accuracy_is_of_visible_keypoints(session: Session) -> None:
    found = figures(session)
    hidden = sum(i in PAW_HIDDEN for i in DECIDED)
    assert found["accuracy"]["n"] == 576 * len(KEYPOINTS) - hidden
    assert found["accuracy"]["median_px"] == pytest.approx(ERROR_PX)
    assert found["accuracy"]["per_keypoint"]["paw"]["n"] == 576 - hidden
    assert found["accuracy_tracks"]["mean_px"] == pytest.approx(ERROR_PX / 2)


def test_why_poses_were_not_compared_with_the_calibration(session: Session) -> None:
    found = figures(session)["drift"]
    assert found["cameras"] == {}
    assert "rt-pose train calibrate --model PACKAGE" in found["not_compared"]
    session.info.config["drift"] = "off"
    assert "switched off" in figures(session)["drift"]["not_compared"]
    quiet = {"alarm": [], "level": {}, "alarms": 0, "compared_s": 0.0, "in_alarm_s": 0.0, "episodes": []}
    session.end = End(t_ns=1, reason="", counts={"drift": {"top": quiet}})
    assert figures(session)["drift"] == {"cameras": {"top": quiet}, "not_compared": "the run was too short"}


def test_no_truth_no_accuracy(session: Session) -> None:
    session.truths.clear()
    assert figures(session)["accuracy"] is None


def test_a_session_without_a_single_frame_has_a_report(tmp_path: Path) -> None:
    write_info(tmp_path)
    LogWriter(tmp_path / "log.mcap").close()
    found = make_report(tmp_path)
    assert found["frames"]["captured"] == 0
    assert set(found["latency_ms"].values()) == {None}
    assert found["accuracy"] is None
    assert "No frame got through the loop" in (tmp_path / "report.html").read_text()


def test_a_killed_session_has_a_report_that_says_so(synthetic_session: Path, tmp_path: Path) -> None:
    copy = tmp_path / "session"
    shutil.copytree(synthetic_session, copy)
    log = (copy / "log.mcap").read_bytes()
    (copy / "log.mcap").write_bytes(log[: len(log) // 2])
    found = make_report(copy)
    assert 0 < found["frames"]["captured"] < 600
    assert found["session"]["log_cut"]
    assert found["session"]["ended"] is None
    assert "The log was cut" in (copy / "report.html").read_text()


def test_no_session(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is this the folder of a session"):
        make_report(tmp_path)


def test_what_is_not_a_number_is_null(synthetic_session: Path, tmp_path: Path) -> None:
    """A model whose training error is infinite must not cost the report."""
    copy = tmp_path / "session"
    shutil.copytree(synthetic_session, copy)
    info = json.loads((copy / "session.json").read_text())
    info["package"]["training"] = {"errors": {"mean_px": float("inf"), "all": [float("nan"), 1.0]}}
    (copy / "session.json").write_text(json.dumps(info))
    make_report(copy)
    errors = json.loads((copy / "report.json").read_text())["package"]["training"]["errors"]
    assert errors == {"mean_px": None, "all": [None, 1.0]}


def test_a_read_only_session_is_reported_elsewhere(synthetic_session: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=16m") as disk:
        shutil.copytree(synthetic_session, disk / "session")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(UserError, match=r"report\.json: cannot be written: Read-only .* --out FOLDER"):
            make_report(disk / "session")
        assert main(["report", str(disk / "session"), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report.html").is_file()
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written["session"]["status"] == KILLED, "nobody runs it any more"
