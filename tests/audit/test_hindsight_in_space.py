"""Rules in space scored against an animal whose way is known: smoothed, known to the rig, and neither."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support.html_page import check_page
from support.random_session import KEYPOINTS, PERIOD_MS, write_random_session
from support.random_views import DrawnPlaces, looking_down, views_config

from rt_pose.audit.audit import score_hindsight
from rt_pose.audit.hindsight import Hindsight, Score
from rt_pose.audit.hindsight_format import format_hindsight
from rt_pose.audit.other_truth import read_truth
from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.truth_in_space import truths_in_space
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import InputConfig
from rt_pose.inference.decode import Keypoints
from rt_pose.offline.smooth import smooth_observations
from rt_pose.records import ArrayData
from rt_pose.reports.hindsight_page import write
from rt_pose.session.read import Session
from rt_pose.types import FloatArray

FRAMES, SWING, NOISE_PX = 800, 100, 0.5
UP = np.array([0.0, 0.0, 1.0])
LOWER_MM = 5.0
"""The group's origin lies so much lower than the calibration's (`views_config`)."""
SWINGS = FRAMES // SWING
TURNS = {"back": 0.0, "side": 100.0, "top": 200.0}
"""By camera, from where it looks, as `views_config` places them."""


def places(frame: int) -> FloatArray:
    """(K, 3) mm in the calibration's axes: all keypoints swing up and down, once in `SWING` frames."""
    still = np.array([[10.0 * k, -5.0 * k, 0.0] for k in range(len(KEYPOINTS))])
    return still + 40.0 * np.sin(2 * np.pi * frame / SWING) * UP


class Swinging(DrawnPlaces):
    """Every camera sees them with some noise."""

    frame = 0

    def see(self, camera: Any) -> Keypoints[Any]:
        self.frame += 1
        self.truth = camera.project(places(self.frame))
        xy = self.truth + self._random.normal(0, NOISE_PX, self.truth.shape)
        k = len(KEYPOINTS)
        spread = NOISE_PX**2 * np.tile(np.eye(2), (1, k, 1, 1))
        return Keypoints(xy[None], spread, np.full((1, k), 0.9))


@pytest.fixture(scope="module")
def swinging(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """8 s: the nose is high once a second."""
    folder = tmp_path_factory.mktemp("swinging")
    config = views_config(1, folder / "calibration.toml")
    do = ActionConfig("laser", "5 ms")
    config.rules = [
        RuleConfig("high", "height(nose) > 25 mm", do, view="arena"),
        RuleConfig("deaf", "height(nose) > 25 mm and x(paw) > 500 mm", do, view="arena"),
        RuleConfig("seen", "x(nose@top) > -1000", dataclasses.replace(do, line=1)),
        RuleConfig("pressed", "line(lever)", dataclasses.replace(do, line=2)),
    ]
    config.inputs = {"lever": InputConfig("zmq", {"address": "tcp://127.0.0.1:5795"})}
    config.protocol, config.armed_at_start, config.budget_ms = [], True, 500.0
    write_random_session(folder / "session", 1, FRAMES, config, Swinging(1, config), calm=True)
    return Session.read(folder / "session")


def knowing(session: Session, lower_mm: float = 0.0) -> Session:
    """The session of a rig that knows where in space the animal was, in axes that begin so much lower."""

    def known(truth: Any) -> Any:
        place = places(truth.index)
        xy = looking_down(truth.camera, TURNS[truth.camera]).project(place)
        xyz = ArrayData.of((place + lower_mm * UP)[None])
        return msgspec.structs.replace(truth, xy=ArrayData.of(xy[None]), xyz=xyz)

    return dataclasses.replace(session, truths=[known(truth) for truth in session.truths])


def scored(session: Session) -> list[Hindsight]:
    return score_hindsight(session, smooth_observations, 100.0)


def figures(of: Score) -> tuple[int, int, int, int]:
    return of.onsets, of.count("hit"), of.misses, of.count("false alarm")


def test_the_truth_in_space_is_where_the_animal_was(swinging: Session) -> None:
    session = knowing(swinging)
    smoothed, known = truths_in_space(session, ReplaySetup.of(session))
    assert set(smoothed.stamps) == {record.seq for record in session.groups if record.used}
    for truth, off_mm in ((smoothed, 2.0), (known, 1e-6)):
        (series,) = truth.series
        assert (series.camera, series.epoch, truth.reasons) == ("arena", 0, {})
        frames = series.t_ns // (PERIOD_MS * 1_000_000)
        there = np.stack([places(int(frame)) for frame in frames]) + LOWER_MM * UP
        off = np.linalg.norm(series.xyz - there, axis=-1)[20:-20]
        assert np.median(off) <= off_mm
        speed = np.sqrt(np.square(series.velocity[20:-20, 0, 2]).mean())
        assert speed == pytest.approx(40 * 2 * np.pi / np.sqrt(2), rel=0.1)


def test_a_rule_in_space_that_works_hits_every_onset(swinging: Session) -> None:
    for found in scored(knowing(swinging)):
        high, deaf, seen, pressed = found.scores
        assert figures(high) == (SWINGS, SWINGS, 0, 0)
        assert high.unscored == seen.unscored == deaf.unscored == ""
        assert figures(deaf) == (0, 0, 0, 0)
        assert np.abs(np.median(high.delays_ms)) < 30
        (curve,) = high.curves
        assert curve.says == "views arena, in space"
        assert curve.value[np.isfinite(curve.value)].max() == pytest.approx(45.0, abs=5.0)
        assert pressed.unscored == "of the input lever there is no other truth than its edges"
        events = sum(record.event.rule != "pressed" for record in swinging.events)
        assert sum(len(of.events) for of in (high, deaf, seen)) == events


def test_what_it_did_not_say_is_a_miss(swinging: Session) -> None:
    first, *others = [record for record in swinging.events if record.event.rule == "high"]
    others = [one for one in others if one.event.frame_index > first.event.frame_index + SWING // 2]
    smoothed, _ = scored(dataclasses.replace(swinging, events=others))
    assert figures(smoothed.scores[0]) == (SWINGS, SWINGS - 1, 1, 0)
    away = msgspec.structs.replace(first, seq=10**6)
    smoothed, _ = scored(dataclasses.replace(swinging, events=[away, *others]))
    assert (smoothed.scores[0].misses, smoothed.scores[0].left_out) == (1, 1)
    assert any("high: 1 of its events are left out" in line for line in format_hindsight(smoothed))


def test_what_cannot_be_scored_says_why(swinging: Session, tmp_path: Path) -> None:
    smoothed, known = scored(swinging)  # this rig knows frames alone
    why = "the rig knows where the animal is in the frames of its cameras, not in space"
    assert [of.unscored for of in known.scores[:2]] == [why, why]
    assert any(line.startswith("high") and f"not scored: {why}" in line for line in format_hindsight(known))
    plain = write(tmp_path, [smoothed, known])["scores"]
    assert "unscored" not in plain[0]["rules"]["high"]
    assert (plain[0]["rules"]["high"]["hits"], plain[1]["rules"]["high"]["unscored"]) == (SWINGS, why)
    page = (tmp_path / "hindsight.html").read_text()
    check_page(page)
    assert page.count(f"Not scored: {why}.") == 2
    assert f"<td>not scored: {why}</td>" in page
    assert "views arena, in space" in page
    _, elsewhere = scored(knowing(swinging, lower_mm=300.0))
    assert "the axes of the rig's own places are not those" in elsewhere.scores[0].unscored
    nothing = dataclasses.replace(swinging, groups=[], tracks3d=[])
    assert scored(nothing)[0].scores[0].unscored == "no frame of 'arena' is in the log"
    blind = [msgspec.structs.replace(one, confidence=_none(one.confidence)) for one in swinging.observations]
    unseen, _ = scored(dataclasses.replace(swinging, observations=blind))
    assert unseen.scores[0].unscored == "nowhere in this truth all its keypoints are known"


def test_a_table_of_one_camera_is_no_truth_in_space(swinging: Session, tmp_path: Path) -> None:
    """It need not even have the keypoints that rules in space look at."""
    rows = ["scorer,a,a,a", "bodyparts,nose,nose,nose", "coords,x,y,likelihood"]
    rows += [f"{i},100,100,1" for i in range(FRAMES)]
    (tmp_path / "top.csv").write_text("\n".join(rows) + "\n")
    other = read_truth(swinging, [f"top={tmp_path / 'top.csv'}"])
    *_, found = score_hindsight(swinging, smooth_observations, 100.0, other)
    high, _, seen, _ = found.scores
    assert high.unscored == "this truth is of cameras' frames, the rule is judged in space by 'arena'"
    assert seen.unscored == ""


def _none(confidence: ArrayData) -> ArrayData:
    return ArrayData.of(np.zeros(confidence.shape))
