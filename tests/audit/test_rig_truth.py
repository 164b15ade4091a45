"""Rules of several cameras in hindsight: one truth of the rig, judged as the run judges it."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from audit.test_hindsight import Pendulum
from support.html_page import check_page
from support.random_session import write_random_session

from rt_pose.audit.hindsight import Score, score
from rt_pose.audit.hindsight_format import as_json
from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.rig_truth import CameraTruth, RigTimes, combine
from rt_pose.audit.truth import known_truth, smoothed_truth
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import CameraConfig, OutputConfig, PublishConfig, RunConfig
from rt_pose.decisions.rule import Rule, make_rules
from rt_pose.offline.smooth import smooth_observations
from rt_pose.reports.hindsight_page import page
from rt_pose.rules.semantics import CURRENT, FIRST
from rt_pose.session.read import Session
from rt_pose.types import FrameStamps

MS = NS_PER_MS


def configuration() -> RunConfig:
    action = ActionConfig("laser", "5 ms")
    return RunConfig(
        cameras={name: CameraConfig("simulated") for name in ("top", "side")},
        outputs={"laser": OutputConfig("simulated", {"delay_ms": 2.0})},
        zones={"right": ZoneConfig([240.0, 128.0, 40.0])},
        rules=[
            RuleConfig("one", "inside(nose, right)", action),
            RuleConfig("both", "inside(nose, right)", dataclasses.replace(action, line=1), camera="all"),
            RuleConfig("above", "inside(nose@top, right)", dataclasses.replace(action, line=2)),
        ],
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        budget_ms=500.0,
        armed_at_start=True,
    )


@pytest.fixture(scope="module")
def seen_by_two(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """20 s: two cameras see the same nose swing into the zone once a second, each in half of the frames."""
    path = tmp_path_factory.mktemp("two") / "session"
    write_random_session(path, 1, frames=2000, config=configuration(), keypoints=Pendulum(1), calm=True)
    return Session.read(path)


def figures(of: Score) -> tuple[int, int, int, int]:
    return of.onsets, of.count("hit"), of.misses, of.count("false alarm")


def test_what_two_cameras_see_is_one_onset_and_its_event_a_hit(seen_by_two: Session) -> None:
    one, both, above = score(seen_by_two, known_truth(seen_by_two)).scores
    assert figures(one) == (20, 20, 0, 0)
    assert figures(both) == (20, 20, 0, 0)
    assert figures(above) == (20, 20, 0, 0)
    assert [curve.camera for curve in one.curves] == ["any of top, side"] or [
        curve.camera for curve in one.curves
    ] == ["any of side, top"]
    assert [curve.camera for curve in above.curves] == ["top"]
    assert np.median(both.delays_ms) == pytest.approx(np.median(one.delays_ms), abs=20)


def test_smoothed_truth_says_nearly_the_same(seen_by_two: Session) -> None:
    tracking = ReplaySetup.of(seen_by_two).tracking
    smoothed = score(seen_by_two, smoothed_truth(seen_by_two, lambda _: tracking, smooth_observations))
    assert [figures(of)[:3] for of in smoothed.scores] == [(20, 20, 0)] * 3


def test_cameras_whose_scene_clocks_differ_are_placed_on_the_rig(seen_by_two: Session) -> None:
    """A recording of the side that began seven seconds in says the same."""

    def later(record: Any) -> Any:
        if record.camera != "side":
            return record
        stamps = msgspec.structs.replace(record.stamps, t_scene_ns=record.stamps.t_scene_ns + 7 * NS_PER_S)
        return msgspec.structs.replace(record, stamps=stamps)

    session = dataclasses.replace(
        seen_by_two,
        observations=[later(o) for o in seen_by_two.observations],
        frames=[later(f) for f in seen_by_two.frames],
    )
    before, after = (score(s, known_truth(s)).scores for s in (seen_by_two, session))
    for a, b in zip(before, after, strict=True):
        assert figures(a) == figures(b)
        np.testing.assert_allclose(a.delays_ms, b.delays_ms, atol=1e-3)


def test_an_older_session_was_judged_camera_by_camera(seen_by_two: Session) -> None:
    info = dataclasses.replace(seen_by_two.info, semantics=FIRST)
    one, *_ = score(dataclasses.replace(seen_by_two, info=info), known_truth(seen_by_two)).scores
    assert sorted(curve.camera for curve in one.curves) == ["side", "top"]
    assert figures(one)[0] == 40


def test_false_alarms_are_per_minute_of_the_rig(seen_by_two: Session) -> None:
    truth = [dataclasses.replace(t, xy=np.zeros_like(t.xy)) for t in known_truth(seen_by_two)]
    found = as_json(score(seen_by_two, truth))
    one = found["rules"]["one"]
    assert one["false_alarms"] == 20
    assert one["false_alarms_per_minute"] == pytest.approx(60.0, rel=0.02)
    assert found["seconds"] == pytest.approx(40.0, rel=0.02)


def test_the_page_shows_a_line_for_each_camera(seen_by_two: Session) -> None:
    text = page([score(seen_by_two, known_truth(seen_by_two))], "two")
    check_page(text)
    assert "of top, side" in text or "of side, top" in text
    assert 'stroke="var(--orange)"' in text


def rule(camera: str) -> Rule:
    config = configuration()
    config.rules = [RuleConfig("r", "inside(nose, right)", ActionConfig("laser", "5 ms"), camera=camera)]
    return make_rules(config, ["nose"], {"laser": 0.0})[0]


def truth(camera: str, begin_ms: float, holds: str, step_ms: float = 100.0) -> CameraTruth:
    """`1` where it holds, `0` where not, `?` where the keypoint is lost."""
    t_ns = np.array([(begin_ms + i * step_ms) * MS for i in range(len(holds))], np.int64)
    of = np.array(list(holds))
    return CameraTruth(camera, t_ns, of == "1", of == "?", np.zeros(len(of)))


def combined(camera: str, *truths: CameraTruth) -> list[tuple[int, bool]]:
    """When it came true and false again, ms."""
    made = combine(rule(camera), list(truths))
    changes = np.flatnonzero(np.diff(made.holds.astype(int), prepend=0))
    return [(int(made.t_ns[i] // MS), bool(made.holds[i])) for i in changes]


def test_any_camera_or_all_of_them() -> None:
    top, side = truth("top", 0, "001110000"), truth("side", 50, "000111100")
    assert combined("any", top, side) == [(200, True), (750, False)]
    assert combined("all", top, side) == [(350, True), (500, False)]


def test_a_camera_that_has_lost_the_keypoint_is_left_out_of_any_and_leaves_all_unknown() -> None:
    top, side = truth("top", 0, "011??110"), truth("side", 50, "00111110")
    assert combined("any", top, side) == [(100, True), (750, False)]
    assert combined("all", top, side) == [(250, True), (300, False), (500, True), (700, False)]


def test_a_camera_without_frames_shows_nothing() -> None:
    top, side = truth("top", 0, "0" * 20), truth("side", 50, "011")
    assert combined("any", top, side)[0] == (150, True)
    assert combined("any", top, side)[1] == (800, False), "500 ms after its last frame"


def test_truth_keeps_its_place_on_the_rig_after_a_stamp_from_the_future() -> None:
    hour_ms = 3_600_000
    observations = [
        SimpleNamespace(seq=i, camera="top", stamps=FrameStamps(i, t_ms * MS, (10 * i + 1) * MS, t_ms * MS))
        for i, t_ms in enumerate((0, 10, hour_ms, 30, 40))
    ]
    session: Any = SimpleNamespace(info=SimpleNamespace(semantics=CURRENT), observations=observations)
    series: Any = SimpleNamespace(camera="top", epoch=0, t_ns=np.array([0, 35]) * MS)
    placed = RigTimes(session).of_truth(series)
    assert placed is not None
    assert (placed // MS).tolist() == [0, 35]
