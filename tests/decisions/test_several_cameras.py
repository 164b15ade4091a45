"""Rules on several cameras: one refractory time, one control, one event, whoever sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import CameraConfig, LimitsConfig, OutputConfig, RunConfig
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.decisions.rule_state import CAMERA_SILENT_NS
from rt_pose.errors import UserError
from rt_pose.package import TrackingSpec
from rt_pose.rules.semantics import CURRENT, FIRST
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Event, FrameStamps, Pose

MS = 1_000_000
TRACKING = TrackingSpec([1e13], [1e-4], [1.0], [0.01], lost_ms=50.0, gate_chi2=1e12)
OUT, IN, UNSEEN = 300.0, 100.0, float("nan")


def configuration(cameras: tuple[str, ...] = ("top", "side"), **rule: Any) -> RunConfig:
    values: dict[str, Any] = {"name": "near", "when": "x(nose) < 200"}
    values |= {"do": ActionConfig(output="laser", pulse="1 ms")}
    return RunConfig(
        cameras={name: CameraConfig(driver="simulated") for name in cameras},
        outputs={"laser": OutputConfig(driver="simulated")},
        rules=[RuleConfig(**(values | rule))],
        budget_ms=20.0,
    )


class Rig:
    """Several cameras at 100 frames a second, each frame given at its time in ms."""

    def __init__(self, config: RunConfig, semantics: int = CURRENT, scene_ms: dict[str, float] | None = None):
        rules = RuleSet.of(config, ["nose"], {"laser": 0.0}, semantics=semantics)
        names = list(config.cameras)
        self.deciders = {name: rules.decider(i, len(names)) for i, name in enumerate(names)}
        self.trackers = {name: CausalFilter(TRACKING, 1, 1) for name in names}
        self.rules, self._index, self._scene_ms = rules, dict.fromkeys(names, 0), scene_ms or {}

    def observe(self, camera: str, t_ms: float, x: float, epoch: int = 0) -> list[Event]:
        """`scene_ms` of a camera: how far its scene clock is ahead of the host's."""
        index = self._index[camera]
        self._index[camera] = index + 1
        t_ns = round(t_ms * MS)
        scene_ns = t_ns + round(self._scene_ms.get(camera, 0.0) * MS)
        stamps = FrameStamps(index, t_ns, t_ns + MS, scene_ns, epoch=epoch)
        pose = Pose(camera, stamps, np.array([[[x, 100.0]]]), 0.01 * np.eye(2)[None, None], np.ones((1, 1)))
        tracker = self.trackers[camera]
        tracker.step(pose)
        decided = self.deciders[camera].decide(tracker, camera, stamps, t_ns + 8 * MS, armed=True)
        return [event for event, _ in decided]


def play(rig: Rig, frames: list[tuple[str, float, float]]) -> list[tuple[str, float, str, str]]:
    return [(c, t, e.outcome, e.reason) for c, t, x in frames for e in rig.observe(c, t, x)]


BOTH_SEE_IT = [("top", 0, OUT), ("side", 1, OUT), ("top", 10, IN), ("side", 11, IN), ("top", 20, IN)]


def test_what_two_cameras_see_is_one_event() -> None:
    assert play(Rig(configuration()), BOTH_SEE_IT) == [("top", 10, "fired", "condition")]


def test_before_the_number_each_camera_made_its_own() -> None:
    got = play(Rig(configuration(), FIRST), BOTH_SEE_IT)
    assert got == [("top", 10, "fired", "condition"), ("side", 11, "fired", "condition")]


def test_the_refractory_time_is_the_rules() -> None:
    frames = [*BOTH_SEE_IT[:3], ("top", 20, OUT), ("side", 21, IN), ("side", 31, OUT), ("side", 1500, IN)]
    rig = Rig(configuration(refractory="1 s"))
    assert play(rig, frames) == [
        ("top", 10, "fired", "condition"),
        ("side", 21, "suppressed", "refractory"),
        ("side", 1500, "fired", "condition"),
    ]


def test_it_is_measured_across_cameras_whose_scene_clocks_differ() -> None:
    """Two recordings begin anywhere: only what passes in them counts, not what their clocks read."""
    frames = [*BOTH_SEE_IT[:3], ("top", 20, OUT), ("side", 500, IN), ("side", 510, OUT), ("side", 1200, IN)]
    rig = Rig(configuration(refractory="1 s"), scene_ms={"top": 7000.0, "side": -300.0})
    assert [(t, reason) for _, t, _, reason in play(rig, frames)] == [
        (10, "condition"),
        (500, "refractory"),
        (1200, "condition"),
    ]


def test_no_control_is_stimulated_by_the_other_camera() -> None:
    """A thousand entries that both see, in turn first: a control stays one, and no entry has two events."""
    rig = Rig(configuration(withhold=0.2))
    outcomes = []
    for entry in range(1000):
        first, second = ("top", "side") if entry % 2 else ("side", "top")
        t = 100.0 * entry
        frames = [(first, t, IN), (second, t + 2, IN), (first, t + 10, OUT), (second, t + 12, OUT)]
        outcomes.append([outcome for _, _, outcome, _ in play(rig, frames)])
    assert all(len(one) == 1 for one in outcomes)
    withheld = outcomes.count(["withheld"])
    assert withheld + outcomes.count(["fired"]) == 1000
    assert 150 < withheld < 250


def test_a_hold_goes_on_while_any_camera_shows_it() -> None:
    frames = [("top", 0, OUT), ("side", 0, OUT)]
    frames += [("top", 10, IN), ("side", 12, IN), ("top", 20, OUT), ("side", 22, IN), ("side", 42, IN)]
    assert play(Rig(configuration(hold="30 ms")), frames) == [("side", 42, "fired", "condition")]


def test_the_event_is_of_a_frame_that_shows_it() -> None:
    """The hold is over at a frame of the camera that sees nothing: the event waits for the one that does."""
    frames = [("top", 0, IN), ("side", 1, OUT), ("side", 31, OUT), ("top", 35, IN)]
    assert play(Rig(configuration(hold="30 ms")), frames) == [("top", 35, "fired", "condition")]


def test_a_camera_that_lost_the_keypoint_does_not_speak_while_another_sees() -> None:
    rig = Rig(configuration(when="not x(nose) > 200"))
    frames = [("top", 0, UNSEEN), ("side", 1, OUT), ("top", 10, UNSEEN), ("side", 11, IN)]
    got = play(rig, frames)
    assert got[-1] == ("side", 11, "fired", "condition")


def test_all_cameras_must_agree() -> None:
    frames = [("top", 0, IN), ("side", 1, OUT), ("top", 10, IN), ("side", 11, IN), ("top", 20, IN)]
    assert play(Rig(configuration(camera="all")), frames) == [("side", 11, "fired", "condition")]


def test_a_camera_that_falls_silent_agrees_with_nobody() -> None:
    late = 1 + CAMERA_SILENT_NS / MS + 20
    frames = [("top", 0, OUT), ("side", 1, IN), ("top", late, IN)]
    assert play(Rig(configuration(camera="all")), frames) == []
    frames = [("top", 0, OUT), ("side", 1, IN), ("top", late - 30, IN)]
    assert len(play(Rig(configuration(camera="all")), frames)) == 1


def test_what_a_silent_camera_saw_last_does_not_hold_the_rule_true() -> None:
    late = CAMERA_SILENT_NS / MS + 50
    frames = [("top", 0, IN), ("side", 1, OUT), ("side", late, OUT), ("side", late + 10, IN)]
    got = play(Rig(configuration()), frames)
    assert [t for _, t, _, _ in got] == [0, late + 10]


@pytest.mark.parametrize("rule", [{"camera": "side"}, {"when": "x(nose@side) < 200"}])
def test_a_rule_may_name_its_camera(rule: dict[str, str]) -> None:
    assert play(Rig(configuration(**rule)), BOTH_SEE_IT) == [("side", 11, "fired", "condition")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"camera": "sid"}, "no camera 'sid', did you mean 'side'?"),
        ({"when": "x(nose@sid) < 200"}, "no camera 'sid', did you mean 'side'?"),
        ({"when": "x(nose@side) < y(nose@top)"}, "looks at 'side' already; expected one camera a rule"),
        ({"when": "x(nose@side) < 200", "camera": "all"}, "camera: all of them, but its condition looks at"),
        ({"when": "x(nose@side) < 200", "camera": "top"}, "looks at 'top' (camera) and 'side' (when)"),
        ({"when": "x(nose@side) < 200", "release": "x(nose@top) > 250"}, "'side' (when) and 'top' (release)"),
    ],
)
def test_what_cannot_be_judged_is_refused(rule: dict[str, str], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        Rig(configuration(**rule))
    assert expected in str(caught.value)


def test_caps_are_the_rigs() -> None:
    config = configuration()
    config.outputs["laser"].limits = LimitsConfig(max_pulses_per_minute=1)
    frames = [*BOTH_SEE_IT[:3], ("top", 20, OUT), ("side", 30, OUT), ("side", 40, IN)]
    assert [reason for *_, reason in play(Rig(config), frames)] == ["condition", "cap"]


def test_a_yoked_rule_fires_once_for_the_rig() -> None:
    rig = Rig(configuration(yoke_times_s=[0.05], camera="side"))
    frames = [(camera, t + (camera == "side"), OUT) for t in range(0, 100, 10) for camera in ("top", "side")]
    assert play(rig, frames) == [("side", 51, "fired", "yoked")]


def test_a_recording_that_is_wound_back_begins_again_though_the_other_goes_on() -> None:
    rig = Rig(configuration(cameras=("top",)))
    assert len(rig.observe("top", 0, IN)) == 1
    assert len(rig.observe("top", 10, IN, epoch=1)) == 1
