"""Several animals through the real loop, detected in any order: log, replay, what would have differed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.random_session import KEYPOINTS, DrawnAnimals, random_config, write_random_session

from rt_pose.audit.audit import Audit, audit
from rt_pose.audit.hindsight import ANY, score
from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.reference import compare, format_reference
from rt_pose.audit.replay import replay, replay_session
from rt_pose.audit.slot_truth import smoothed_slots
from rt_pose.audit.untriggered_rules import as_json
from rt_pose.audit.what_if import what_if
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError
from rt_pose.offline.smooth import smooth_observations
from rt_pose.package import DriftLimits, DriftSpec
from rt_pose.records import ArrayData
from rt_pose.session.read import Session

SEEDS, FRAMES, ANIMALS = 3, 150, 3
CONDITIONS = (
    "inside(each.nose, left)",
    "inside(any.paw, right) or inside(any.paw, left)",
    "distance(b.nose, c.tail) < 90",
    "facing(a.tail, a.nose, b.paw) < 60 deg",
    "crossing(each.nose, gate, left)",
)


def config_of(seed: int) -> RunConfig:
    config = random_config(np.random.default_rng(seed))
    config.individuals = ["a", "b", "c"]
    config.protocol, config.armed_at_start = [], True
    two = len(config.cameras) == 2
    config.rules = [
        RuleConfig(
            name=f"rule{i}",
            when=when.replace(".nose", ".nose@top").replace(".paw", ".paw@top") if two else when,
            do=ActionConfig(output="laser", pulse="5 ms"),
            refractory="100 ms",
            probability=0.6 if i in (0, 2) else None,
            withhold=0.3 if i == 0 else 0.0,
        )
        for i, when in enumerate(CONDITIONS)
    ]
    return config


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sessions")
    paths = [folder / str(seed) for seed in range(SEEDS)]
    restless = DriftLimits(0.5, 1.0, 0.0, 0.02)
    drift = DriftSpec({"confidence": restless, "innovation": restless}, 0.1, 20.0, 60.0)
    for seed, path in enumerate(paths):
        write_random_session(path, seed, FRAMES, config_of(seed), DrawnAnimals(seed, ANIMALS), drift=drift)
    return paths


def test_replay_is_equal_bit_for_bit(sessions: list[Path]) -> None:
    reasons, alarms = set(), 0
    for path in sessions:
        result = replay(path)
        assert result.identical, result.differences
        assert result.bit_for_bit
        assert result.tracks == FRAMES
        alarms += result.drift_alarms
        reasons |= {event.event.reason for event in Session.read(path).events}
    assert {"condition", "identity"} <= reasons
    assert alarms > 0


def test_the_log_holds_detections_as_they_came_and_who_was_found_in_them(sessions: list[Path]) -> None:
    session = Session.read(sessions[0])
    seen = {one.seq: one for one in session.observations}
    taken = 0
    for record in session.tracks:
        xy, detections = record.xy.array(), seen[record.seq].xy.array()
        assert xy.shape == (ANIMALS, len(KEYPOINTS), 2)
        assert detections.shape == (2 * ANIMALS, len(KEYPOINTS), 2)
        for slot, (alive, p, row) in enumerate(
            zip(record.alive, record.identity_p, record.detection, strict=True)
        ):
            assert (p is not None) == alive
            assert alive or np.isnan(xy[slot]).all()
            taken += row >= 0
            assert row < 0 or np.isfinite(detections[row]).any()
    assert taken > FRAMES


def test_a_log_that_says_otherwise_is_found(sessions: list[Path]) -> None:
    session = Session.read(sessions[0])
    record = next(one for one in session.tracks if all(one.alive))
    record.identity_p[0] = 0.123
    record.detection[1] = 5 - record.detection[1]
    told = "\n".join(replay_session(session).differences)
    assert f"input {record.seq}: identity_p was (0.123" in told
    assert f"input {record.seq}: other individuals are in the slots than the log says" in told


def test_filterpy_comes_to_the_same_tracks_slot_by_slot(sessions: list[Path]) -> None:
    session = Session.read(sessions[0])
    del session.observations[60:], session.tracks[60:]
    found = compare(session)
    assert found.agrees, format_reference(found)
    assert found.n > 60 * len(KEYPOINTS)
    record = next(one for one in reversed(session.tracks) if all(one.alive))
    xy = record.xy.array().copy()
    xy[1, 1, 0] += 1e-4
    record.xy = ArrayData.of(xy)
    record.detection[2] += 1
    (worst,) = (one for one in compare(session).cameras if not one.agrees)
    assert worst.position_px == pytest.approx(1e-4, rel=1e-3)
    assert worst.where == f"frame {record.index}, b.{KEYPOINTS[1]}"
    assert worst.contradictions == 1


def test_hindsight_smooths_each_animal_by_itself(sessions: list[Path]) -> None:
    for path in sessions:
        session = Session.read(path)
        setup = ReplaySetup.of(session)
        truth = smoothed_slots(session, setup, smooth_observations)
        causal, smoothed = [], []
        tracks = {(one.camera, one.index): one for one in session.tracks}
        known = {(one.camera, one.index): one.xy.array() for one in session.truths}
        for series in truth:
            assert series.cuts is not None
            for f, index in enumerate(series.index.tolist()):
                there = known[series.camera, index]
                for found, errors in (
                    (tracks[series.camera, index].xy.array(), causal),
                    (series.xy[f], smoothed),
                ):
                    apart = np.linalg.norm(found[:, None] - there, axis=-1).mean(axis=-1)  # (slots, animals)
                    errors.extend(np.nan_to_num(apart, nan=np.inf).min(axis=1).tolist())
        both = np.isfinite(causal) & np.isfinite(smoothed)
        assert both.sum() > FRAMES
        assert np.mean(np.array(smoothed)[both]) < 0.9 * np.mean(np.array(causal)[both])
        scores = score(session, truth).scores
        for one in scores:
            of_rule = [record.event for record in session.events if record.event.rule == one.rule]
            assert len(one.events) == len(of_rule)
        whose = [{curve.individual for curve in one.curves} for one in scores]
        assert whose == [{0, 1, 2}, {ANY}, {1}, {0}, {0, 1, 2}]


def test_what_if_knows_them_and_what_knows_one_animal_says_so(sessions: list[Path]) -> None:
    unsure = [
        (session, record.event)
        for session in map(Session.read, sessions)
        for record in session.events
        if record.event.reason == "identity"
    ]
    session, event = unsure[0]
    comparison, changes = what_if(session, [f"rules.{event.rule}.identity=0.001"])
    assert len(changes) == 1
    first = comparison.differences[0].before
    assert first is not None
    assert first.event == event
    assert as_json(session) is None
    with pytest.raises(UserError, match=r"--truth a\.csv: 3 individuals were tracked"):
        audit(sessions[0], Audit(smooth=smooth_observations, truth=["a.csv"]))


def test_a_session_that_claims_too_many_is_refused(sessions: list[Path], tmp_path: Path) -> None:
    info = json.loads((sessions[0] / "session.json").read_text())
    info["config"]["individuals"] = 10**9
    (tmp_path / "session.json").write_text(json.dumps(info))
    (tmp_path / "log.mcap").write_bytes((sessions[0] / "log.mcap").read_bytes())
    with pytest.raises(UserError, match="individuals: expected 1 to 16, got 1000000000"):
        replay(tmp_path)
