"""Sessions are read whole, and a folder that is none says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.synthetic_session import ERROR_PX, KEYPOINTS, T0_NS, keypoints_at, write_info

from rt_pose.errors import UserError
from rt_pose.session.log_file import LogWriter
from rt_pose.session.read import Session, stamp_columns
from rt_pose.types import StageStamps


def test_round_trip(synthetic_session: Path) -> None:
    session = Session.read(synthetic_session)
    assert session.cut == ""
    assert session.info.package.keypoints == KEYPOINTS
    assert session.info.cameras["top"].width == 256
    assert session.info.outputs["laser"].echoes
    observation = session.observations[10]
    index = observation.stamps.index
    np.testing.assert_array_equal(observation.xy.array()[0], keypoints_at(index) + np.array([ERROR_PX, 0]))
    assert session.tracks[10].index == index
    assert [e.event.outcome for e in session.events[:4]] == ["fired", "withheld", "suppressed", "fired"]
    assert session.acks[0].ack.command_id == session.commands[0].command.id
    assert session.end is not None
    assert session.end.reason == "time is up"


def test_inputs_are_in_the_order_the_loop_took_them(synthetic_session: Path) -> None:
    inputs = Session.read(synthetic_session).inputs
    assert inputs[0].seq == 0
    assert [i.seq for i in inputs] == sorted(i.seq for i in inputs)


def test_stamp_columns(synthetic_session: Path) -> None:
    session = Session.read(synthetic_session)
    columns = stamp_columns(session.observations)
    np.testing.assert_array_equal(columns.t_arrival_ns - columns.t_exposure_ns, 2e6)
    assert columns.t_scene_ns[0] == T0_NS
    pose = columns.stages["t_pose_ns"] - columns.stages["t_inferred_ns"]
    np.testing.assert_array_equal(pose, 2e5)


def test_stamps_that_were_never_taken_are_unknown(synthetic_session: Path) -> None:
    observation = Session.read(synthetic_session).observations[0]
    observation.stages = StageStamps(t_pose_ns=5)
    observation.stamps = msgspec.structs.replace(observation.stamps, t_exposure_ns=None)
    columns = stamp_columns([observation])
    assert columns.stages["t_pose_ns"][0] == 5
    assert np.isnan([columns.stages["t_published_ns"][0], columns.stages["t_decided_ns"][0]]).all()
    assert np.isnan(columns.t_exposure_ns[0])
    assert stamp_columns([]).t_arrival_ns.shape == (0,)


def test_records_of_a_newer_program_are_left_aside(tmp_path: Path) -> None:
    write_info(tmp_path)
    log = LogWriter(tmp_path / "log.mcap")
    log.write(b"hologram", 1, b"\x80")
    log.close()
    assert Session.read(tmp_path).frames == []


def test_what_drivers_once_said_of_devices_is_left_aside(synthetic_session: Path, tmp_path: Path) -> None:
    copy = tmp_path / "session"
    shutil.copytree(synthetic_session, copy)
    info = json.loads((copy / "session.json").read_bytes())
    info["cameras"]["top"] |= {"exposure_estimated": False, "hardware": False}
    info["outputs"]["laser"] |= {"hardware": False}
    (copy / "session.json").write_text(json.dumps(info))
    assert Session.read(copy).info == Session.read(synthetic_session).info


def test_what_is_no_session_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        Session.read(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is this the folder of a session"):
        Session.read(tmp_path)
    write_info(tmp_path)
    with pytest.raises(UserError, match="ended before its recorder began"):
        Session.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ("[]", "schema None"),
        ('{"schema": 99}', "schema 99, this program reads 1"),
        ('{"schema": 1, "cameras": 5}', "is damaged: .*cameras"),
    ],
)
def test_a_bad_description_says_why(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "session.json").write_text(content)
    with pytest.raises(UserError, match=message):
        Session.read(tmp_path)


def test_a_record_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    write_info(tmp_path)
    log = LogWriter(tmp_path / "log.mcap")
    log.write(b"end", 1, b"\x93\x01\x02\x03")
    log.close()
    with pytest.raises(UserError, match="holds a record `end` that this program cannot read"):
        Session.read(tmp_path)


def test_only_the_schema_is_required(tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text(json.dumps({"schema": 1, "news": True}))
    LogWriter(tmp_path / "log.mcap").close()
    session = Session.read(tmp_path)
    assert session.info.package.keypoints == []
    assert session.info.bare_forward_ms is None
