"""Several views through the real loop: tracks in space, which replay makes again bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.random_session import KEYPOINTS, write_random_session
from support.random_views import DrawnPlaces, views_config

from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.replay import as_json, format_replay, replay, replay_session
from rt_pose.audit.verify import verify_session
from rt_pose.audit.what_if import what_if
from rt_pose.errors import UserError
from rt_pose.records import ArrayData
from rt_pose.session.read import Session

SEEDS, FRAMES = 4, 150


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sessions")
    for seed in range(SEEDS):
        config = views_config(seed, folder / "calibration.toml")
        write_random_session(folder / str(seed), seed, FRAMES, config, DrawnPlaces(seed, config))
    (folder / "calibration.toml").unlink()
    return [folder / str(seed) for seed in range(SEEDS)]


def test_replay_is_equal_bit_for_bit(sessions: list[Path]) -> None:
    late = tracked = 0
    for path in sessions:
        session = Session.read(path)
        result = replay_session(session)
        assert result.identical, result.differences
        assert result.bit_for_bit
        assert result.tracks_in_space == len(session.tracks3d) > FRAMES / 4
        assert as_json(result)["tracks_in_space"] == result.tracks_in_space
        assert f"{result.tracks_in_space} tracks in space" in format_replay(result)
        late += sum(len(record.late) for record in session.groups)
        tracked += sum(not all(record.lost) for record in session.tracks3d)
    assert late > 0
    assert tracked > SEEDS * FRAMES / 4


def test_every_observation_was_taken_in_once(sessions: list[Path]) -> None:
    for session in map(Session.read, sessions):
        taken = [seq for record in session.groups for seq in (*record.used, *record.late)]
        assert sorted(taken) == [seen.seq for seen in sorted(session.observations, key=lambda o: o.seq)]
        judged = {record.seq for record in session.groups if record.used}
        assert judged == {record.seq for record in session.tracks3d}
        numbers = [item.seq for item in session.inputs]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert session.end is not None
        counts = session.end.counts["views"]["arena"]
        assert counts["used"] + counts["late"] == len(taken)
        shape = session.tracks3d[0].xyz.array().shape
        assert shape == (len(KEYPOINTS), 3)


def test_a_log_that_says_otherwise_is_found(sessions: list[Path]) -> None:
    session = Session.read(sessions[0])
    whole = [one for one in session.tracks3d if not any(one.lost)]
    record, moved = whole[-1], whole[-2]
    record.views[0] += 1
    moved.xyz = ArrayData.of(moved.xyz.array() + 1e-9)
    taken = next(one for one in session.groups if len(one.used) > 1)
    taken.used.reverse()
    differences = "\n".join(replay_session(session).differences)
    assert f"input {record.seq}: in space other keypoints are seen or lost than logged" in differences
    assert f"input {moved.seq}: the track in space differs by up to 1e-09 mm" in differences
    assert f"input {taken.seq}: other observations are used than the log says" in differences


def test_a_log_that_was_cut_within_a_turn_is_judged_up_to_the_turn_before(sessions: list[Path]) -> None:
    session = Session.read(sessions[0])
    last = max(session.groups, key=lambda record: record.seq)
    session.end, session.cut = None, "cut"
    session.controls = [one for one in session.controls if one.seq < last.seq]
    session.observations = [one for one in session.observations if one.seq < last.seq]
    session.tracks3d = [one for one in session.tracks3d if one.seq != last.seq]
    assert not replay_session(session).differences


def test_a_session_is_replayed_by_its_description_and_its_copies_are_verified(
    sessions: list[Path], tmp_path: Path
) -> None:
    copy = tmp_path / "session"
    shutil.copytree(sessions[0], copy)
    file = copy / "views" / "arena.toml"
    what = "calibration of views 'arena'"
    assert f"{what}: the one that the run read" in verify_session(copy, replays=False).holds
    file.write_text(file.read_text().replace("400.0", "401.0"))
    assert f"{what}: not the one that the run read" in verify_session(copy, replays=False).fails
    file.unlink()
    assert f"{what}: its copy is not there" in verify_session(copy, replays=False).open
    assert replay(copy).identical
    info = json.loads((copy / "session.json").read_text())
    info["views"]["arena"]["calibrated"].pop()
    (copy / "session.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="does not describe the cameras of views 'arena'"):
        replay(copy)


def test_what_if_takes_in_the_same_observations_with_another_filter(sessions: list[Path]) -> None:
    session = Session.read(sessions[0])
    comparison, changes = what_if(session, ["views.arena.tracking.gate=4", "views.arena.late=60 ms"])
    assert len(changes) == 2
    assert not comparison.problems
    with pytest.raises(UserError, match="views.arena: only `late` and `tracking` can be changed"):
        what_if(session, ["views.arena.unit=cm"])


def test_a_group_is_made_again_from_a_session(sessions: list[Path]) -> None:
    session = Session.read(sessions[0])
    tracker = ReplaySetup.of(session).group_of("arena")
    assert [camera.name for camera in tracker.group.cameras] == session.info.views["arena"].cameras
    assert tracker.group.shape == (1, len(KEYPOINTS))
