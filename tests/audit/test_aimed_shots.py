"""Shots against the truth: distances that are computed once more by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.aimed_session import aimed_session
from support.random_session import KEYPOINTS

from rt_pose.audit.aimed_shots import AimedShots, aimed_shots, as_json, format_aimed_shots
from rt_pose.audit.hindsight import score
from rt_pose.audit.hindsight_format import as_json as hindsight_as_json
from rt_pose.audit.hindsight_format import format_hindsight
from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.truth import TruthSeries, known_truth
from rt_pose.decisions.rule import Rule, make_rules
from rt_pose.session.read import Session


def rules_of(session: Session) -> dict[str, Rule]:
    setup = ReplaySetup.of(session)
    return {rule.name: rule for rule in make_rules(setup.config, setup.keypoints, setup.delays_ms)}


def moved(truth: TruthSeries, by: tuple[float, float]) -> TruthSeries:
    return dataclasses.replace(truth, xy=truth.xy + np.array(by))


def test_distances_are_from_the_place_aimed_at_to_the_truth_between_two_frames(tmp_path: Path) -> None:
    session = aimed_session(tmp_path / "session", 2, calm=True)
    truth = known_truth(session)
    shots = aimed_shots(session, truth, rules_of(session)["middle"])
    assert shots is not None
    stamps = {o.seq: o.stamps for o in session.observations}
    expected = []
    for record in session.events:
        event, of_frame = record.event, stamps[record.seq]
        if event.rule != "middle" or event.outcome != "fired":
            continue
        (one,) = [t for t in truth if (t.camera, t.epoch) == (event.camera, of_frame.epoch)]
        t_ns = of_frame.t_scene_ns + event.t_effect_ns - event.t_cause_ns
        middle = one.xy[:, 0, [KEYPOINTS.index("nose"), KEYPOINTS.index("paw")]].mean(axis=1)
        if not one.t_ns[0] < t_ns <= one.t_ns[-1]:
            continue
        at = [np.interp(t_ns, one.t_ns, middle[:, axis]) for axis in (0, 1)]
        assert event.xy_px is not None
        expected.append(np.hypot(*(np.array(event.xy_px) - at)))
    assert len(expected) > 5
    assert shots.distances == pytest.approx(expected, abs=1e-6)
    assert shots.inside == sum(np.array(expected) <= 3.0)


def test_a_truth_that_lies_elsewhere_is_missed(tmp_path: Path) -> None:
    session = aimed_session(tmp_path / "session", 2, calm=True)
    far = [moved(one, (1000.0, 0.0)) for one in known_truth(session)]
    shots = aimed_shots(session, far, rules_of(session)["middle"])
    assert shots is not None
    assert shots.inside == 0
    assert min(shots.distances) > 500.0


def test_hindsight_has_them(tmp_path: Path) -> None:
    session = aimed_session(tmp_path / "session", 2, calm=True)
    found = score(session, known_truth(session))
    plain = hindsight_as_json(found)["rules"]
    assert plain["middle"]["aim"]["spot"] == 3.0
    assert plain["middle"]["aim"]["shots"] == plain["middle"]["aim"]["distance"]["n"] > 5
    assert plain["near"]["aim"]["inside_spot"] is None
    assert any("within the spot of 3 px" in line for line in format_hindsight(found))


def test_without_a_shot_there_is_nothing_to_say() -> None:
    assert format_aimed_shots("r", AimedShots("px", 3.0)) == "r: no shot whose truth is known"
    assert as_json(AimedShots("px", 3.0))["distance"] is None
