"""Aimed light: where it goes, and that it goes only where the animal certainly will be."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.aimed_session import aimed_session

from rt_pose.audit.replay import replay
from rt_pose.audit.what_if import what_if
from rt_pose.config.build import build
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.decide import Decider, Rule, make_rules
from rt_pose.decisions.explain import explain
from rt_pose.decisions.limits import make_limits
from rt_pose.errors import UserError
from rt_pose.outputs.actuators import command_for
from rt_pose.package import TrackingSpec
from rt_pose.rules.ellipse import squared_radius
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Event, FrameStamps, Pose

MS = 1_000_000
FRAME_MS = 10
RIG = """
cameras: {top: {driver: simulated}}
outputs:
  galvo: {driver: simulated, aim: {top: {unit: V, homography: [[0.1, 0, -10], [0, 0.1, -5], [0, 0, 1]]}}}
  other: {driver: simulated}
zones:
  disc: {circle: [100, 100, 30]}
  tent: {polygon: [[60, 60], [140, 60], [140, 140], [60, 140]]}
  in_mm: {box: [40, 40, 60, 60], unit: mm}
  door: {line: [[0, 0], [1, 1]]}
"""


def run_config(aim: str = "", **more: Any) -> RunConfig:
    plain = yaml.safe_load(RIG)
    aim = aim or "{keypoint: nose, spot: 8 px, certainty: 0.9, duration: 5 ms}"
    rule = {"name": "shot", "when": "x(nose) > 0", "do": {"output": "galvo", "aim": yaml.safe_load(aim)}}
    rule |= more.pop("rule", {})
    return build(RunConfig, {**plain, "rules": [rule], "budget_ms": 100.0, **more}, "test")


SPOT = {"keypoint": "nose", "spot": "5 px", "duration": "5 ms"}


def galvo(calibration: dict[str, Any]) -> dict[str, Any]:
    return {"outputs": {"galvo": {"driver": "simulated", "aim": {"top": calibration}}}}


class Rig:
    """A filter and a decider, fed with one keypoint at rest: at first it might move at 1000 px/s."""

    def __init__(self, config: RunConfig, delay_ms: float = 0.0) -> None:
        tracking = TrackingSpec([4e7], [0.05], [1.0], [0.0], lost_ms=50.0, gate_chi2=1e12)
        self.tracker = CausalFilter(tracking, 1, 1)
        self.rules = make_rules(config, ["nose"], {"galvo": delay_ms, "other": delay_ms})
        limits = make_limits(config, {rule.name: rule.plan for rule in self.rules})
        self.decider = Decider(self.rules, config.seed, limits=limits)
        self.index = 0

    def see(
        self, x: float, y: float = 100.0, var: tuple[float, float] = (0.04, 0.04), **how: Any
    ) -> list[tuple[Event, Rule]]:
        t_ns = self.index * FRAME_MS * MS
        stamps = FrameStamps(self.index, t_ns, t_ns + MS, t_ns)
        pose = Pose("top", stamps, np.array([[[x, y]]]), np.diag(var)[None, None], np.ones((1, 1)))
        self.tracker.step(pose)
        self.index += 1
        judged_ns = t_ns + round(how.get("latency_ms", 5.0) * MS)
        return self.decider.decide(self.tracker, "top", stamps, judged_ns, how.get("armed", True))

    def observe_many(self, x: float, frames: int = 20, **how: Any) -> list[tuple[Event, Rule]]:
        return [decided for _ in range(frames) for decided in self.see(x, **how)]


def test_a_shot_goes_through_the_homography_to_the_predicted_place() -> None:
    rig = Rig(run_config(), delay_ms=3.0)
    ((event, rule),) = rig.observe_many(120.0)[:1]
    assert (event.outcome, event.reason) == ("suppressed", "aim"), "nothing is known of its velocity yet"
    rig = Rig(run_config(rule={"repeat": "10 ms"}), delay_ms=3.0)
    event, rule = rig.observe_many(120.0)[-1]
    assert event.outcome == "fired"
    assert event.xy_px is not None
    assert event.cov_px2 is not None
    ahead = rig.decider.predictions[3 * MS]
    assert event.xy_px == pytest.approx(ahead.xy[0, 0].tolist(), abs=1e-12)
    assert event.cov_px2 == pytest.approx(
        (ahead.cov[0, 0, 0, 0], ahead.cov[0, 0, 0, 1], ahead.cov[0, 0, 1, 1])
    )
    assert event.xy_px == pytest.approx((120.0, 100.0), abs=0.2)
    command = command_for(event, rule)
    assert (command.action, command.duration_us) == ("aim", 5000)
    assert (command.x, command.y) == (event.x, event.y)
    assert (command.x, command.y) == pytest.approx((2.0, 5.0), abs=0.05)


def test_it_fires_just_where_the_ellipse_fits_the_spot() -> None:
    """The spot's radius that lets it fire is the long axis of the ellipse at the time of effect."""
    rig = Rig(run_config(rule={"repeat": "10 ms"}))
    event, _ = rig.observe_many(100.0, var=(4.0, 1.0))[-1]
    assert event.cov_px2 is not None
    xx, xy, yy = event.cov_px2
    long = math.sqrt(squared_radius(0.9) * float(np.linalg.eigvalsh([[xx, xy], [xy, yy]])[-1]))
    for radius, expected in ((long * 1.001, ("fired", "condition")), (long * 0.999, ("suppressed", "aim"))):
        aim = f"{{keypoint: nose, spot: {radius!r} px, certainty: 0.9, duration: 5 ms}}"
        event, _ = Rig(run_config(aim, rule={"repeat": "10 ms"})).observe_many(100.0, var=(4.0, 1.0))[-1]
        assert (event.outcome, event.reason) == expected


@pytest.mark.parametrize(
    ("target", "x", "expected"),
    [
        ("disc", 100.0, "fired"),
        ("disc", 128.0, "suppressed"),
        ("disc", 140.0, "suppressed"),
        ("tent", 100.0, "fired"),
        ("tent", 138.9, "suppressed"),
        ("tent", 150.0, "suppressed"),
    ],
)
def test_a_target_holds_the_whole_ellipse(target: str, x: float, expected: str) -> None:
    aim = f"{{keypoint: nose, target: {target}, certainty: 0.99, duration: 5 ms}}"
    event, _ = Rig(run_config(aim, rule={"repeat": "10 ms"})).observe_many(x)[-1]
    assert event.outcome == expected


def test_at_certainty_0_the_centre_decides() -> None:
    aim = "{keypoint: nose, spot: 0.001 px, target: disc, certainty: 0, duration: 5 ms}"
    assert Rig(run_config(aim)).see(128.0)[0][0].outcome == "fired"
    assert Rig(run_config(aim)).see(131.0)[0][0].reason == "aim"


def test_spot_and_target_may_be_in_mm() -> None:
    geometry = {"top": {"mm_per_px": 0.5}}
    for spot, target, x, expected in (
        ("4 mm", "in_mm", 100.0, "fired"),  # 100 px are 50 mm
        ("4 mm", "in_mm", 122.0, "suppressed"),
        ("0.1 cm", "in_mm", 100.0, "suppressed"),  # 2 px
    ):
        aim = f"{{keypoint: nose, spot: {spot}, target: {target}, certainty: 0.9, duration: 5 ms}}"
        rig = Rig(run_config(aim, rule={"repeat": "10 ms"}, geometry=geometry))
        assert rig.observe_many(x, var=(1.0, 1.0))[-1][0].outcome == expected


def test_an_output_may_take_px_or_mm_of_its_own() -> None:
    for unit, expected in (("px", (120.0, 100.0)), ("mm", (60.0, 50.0))):
        outputs = {"galvo": {"driver": "simulated", "aim": {"top": {"unit": unit}}}}
        config = run_config(outputs=outputs, geometry={"top": {"mm_per_px": 0.5}}, rule={"repeat": "10 ms"})
        event, _ = Rig(config).observe_many(120.0)[-1]
        assert (event.x, event.y) == pytest.approx(expected, abs=0.2)


def test_nothing_is_aimed_outside_what_was_calibrated() -> None:
    calibration = {"unit": "px", "field": [[50, 50], [150, 50], [150, 150], [50, 150]]}
    outputs = {"galvo": {"driver": "simulated", "aim": {"top": calibration}}}
    for x, expected in ((100.0, ("fired", "condition")), (160.0, ("suppressed", "aim"))):
        event, _ = Rig(run_config(outputs=outputs, rule={"repeat": "10 ms"})).observe_many(x)[-1]
        assert (event.outcome, event.reason) == expected
        assert event.x == pytest.approx(x, abs=0.2), "the place is logged all the same"


def test_behind_the_horizon_there_is_nothing_to_aim_at() -> None:
    calibration = {"unit": "V", "homography": [[1, 0, 0], [0, 1, 0], [-0.01, 0, 1]]}
    outputs = {"galvo": {"driver": "simulated", "aim": {"top": calibration}}}
    event, _ = Rig(run_config(outputs=outputs, rule={"repeat": "10 ms"})).observe_many(140.0)[-1]
    assert (event.outcome, event.reason, event.x, event.xy_px) == ("suppressed", "aim", None, None)


def test_without_repeat_a_shot_that_was_held_back_is_used_up() -> None:
    decided = Rig(run_config()).observe_many(100.0, 30)
    assert [(e.outcome, e.reason) for e, _ in decided] == [("suppressed", "aim")]
    repeated = Rig(run_config(rule={"repeat": "10 ms"})).observe_many(100.0, 30)
    reasons = [e.reason for e, _ in repeated]
    assert reasons[0] == "aim"
    assert reasons[-1] == "condition"
    assert reasons == sorted(reasons), "held back until it is certain, and fired from then on"


def test_controls_are_held_back_like_shots() -> None:
    """Which events are held back does not depend on whether the others are controls."""
    rule = {"repeat": "10 ms", "withhold": 0.5}
    decided = Rig(run_config(rule=rule)).observe_many(100.0, 60)
    plain = Rig(run_config(rule={"repeat": "10 ms"})).observe_many(100.0, 60)
    assert {e.outcome for e, _ in decided} == {"fired", "withheld", "suppressed"}
    assert [e.reason == "aim" for e, _ in decided] == [e.reason == "aim" for e, _ in plain]
    assert [(e.x, e.y, e.cov_px2) for e, _ in decided] == [(e.x, e.y, e.cov_px2) for e, _ in plain]


@pytest.mark.parametrize(("how", "reason"), [({"armed": False}, "disarmed"), ({"latency_ms": 101.0}, "late")])
def test_what_forbids_a_shot_comes_before_its_aim(how: dict[str, Any], reason: str) -> None:
    assert Rig(run_config()).see(100.0, **how)[0][0].reason == reason


def test_an_unseen_keypoint_is_no_aim() -> None:
    rig = Rig(run_config(rule={"repeat": "10 ms", "when": "unseen(nose) >= 0"}))
    rig.observe_many(100.0)
    decided = rig.observe_many(float("nan"), 12)
    reasons = [event.reason for event, _ in decided]
    assert reasons[-1] == "lost"
    assert "aim" in reasons, "the ellipse outgrows the spot before the keypoint is lost"


def test_a_yoked_shot_needs_its_aim_too() -> None:
    rig = Rig(run_config(rule={"yoke": "sessions/x", "yoke_times_s": [0.0, 0.15]}))
    assert [e.reason for e, _ in rig.observe_many(100.0)] == ["aim", "yoked"]


@pytest.mark.parametrize(
    ("aim", "more", "expected"),
    [
        ("{keypoint: nose, duration: 5 ms}", {}, "expected `spot`"),
        ("{keypoint: nose, spot: 5, duration: 5 ms}", {}, "a length of time has a unit"),
        ("{keypoint: nose, spot: '5', duration: 5 ms}", {}, "do.aim.spot: expected a length above 0"),
        ("{keypoint: nose, spot: 5 ms, duration: 5 ms}", {}, "do.aim.spot: expected a length above 0"),
        ("{keypoint: nose, spot: 0 px, duration: 5 ms}", {}, "do.aim.spot: expected a length above 0"),
        ("{keypoint: nose, spot: 5 px}", {}, "'duration' is missing"),
        ("{keypoint: nose, spot: 5 px, duration: 0 ms}", {}, "do.aim.duration: expected 1 us to 60 s"),
        ("{keypoint: nose, spot: 5 px, duration: 5 ms, certainty: 1}", {}, "do.aim.certainty: expected 0 to"),
        ("{keypoint: nose, spot: 5 px, duration: 5 ms, certainty: .nan}", {}, "do.aim.certainty: expected"),
        ("{keypoint: nos, spot: 5 px, duration: 5 ms}", {}, "unknown keypoint 'nos', did you mean 'nose'"),
        ("{keypoint: nose, spot: 5 px, duration: 5 ms, target: dics}", {}, "no zone 'dics', did you mean"),
        ("{keypoint: nose, target: door, duration: 5 ms}", {}, "but 'door' is a line"),
        ("{keypoint: nose, spot: 5 mm, duration: 5 ms}", {}, "`rt-pose rig scale` measures them"),
        ("{keypoint: nose, target: in_mm, duration: 5 ms}", {}, "`rt-pose rig scale` measures them"),
        ("{keypoint: nose@side, spot: 5 px, duration: 5 ms}", {}, "'side', the rule may fire on others"),
        ("", {"cameras": {"side": {"driver": "simulated"}}}, "outputs.galvo.aim: there is no camera 'top'"),
        (
            "",
            {"cameras": {"top": {"driver": "simulated"}, "side": {"driver": "simulated"}}},
            "output 'galvo' is not calibrated for camera 'side'",
        ),
        (
            "",
            {"rule": {"do": {"output": "other", "aim": SPOT}}},
            "output 'other' is not calibrated for camera 'top'",
        ),
        ("", galvo({"unit": "V"}), "`homography` is missing"),
        ("", galvo({"unit": ""}), "expected a unit such as V"),
        ("", galvo({"unit": "mm"}), "mm need the measures"),
        (
            "",
            galvo({"unit": "V", "homography": [[1, 0], [0, 1]]}),
            "expected three rows of three numbers",
        ),
        (
            "",
            galvo({"unit": "px", "field": [[0, 0], [1, 1]]}),
            "aim.top.field: expected",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_aimed(aim: str, more: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        make_rules(run_config(aim, **more), ["nose"], {"galvo": 1.0, "other": 1.0})
    assert expected in str(caught.value)


def test_one_camera_of_several_may_be_calibrated_where_the_rule_names_it() -> None:
    cameras = {"top": {"driver": "simulated"}, "side": {"driver": "simulated"}}
    config = run_config(cameras=cameras, rule={"camera": "top"})
    assert make_rules(config, ["nose"], {"galvo": 1.0, "other": 1.0})[0].aim is not None


def test_it_is_explained() -> None:
    config = run_config("{keypoint: nose, spot: 8 px, target: disc, certainty: 0.9, duration: 5 ms}")
    (rule,) = make_rules(config, ["nose"], {"galvo": 1.0, "other": 1.0})
    assert (
        "galvo aims light for 5 ms at nose and only while its 90 % ellipse lies wholly inside the spot of "
        "8 px and disc" in explain(rule, config)
    )


def test_caps_and_busy_lines_count_aimed_light() -> None:
    outputs = yaml.safe_load(RIG)["outputs"]
    outputs["galvo"]["limits"] = {"max_pulses_per_minute": 2}
    aim = "{keypoint: nose, spot: 8 px, certainty: 0.9, duration: 15 ms}"
    decided = Rig(run_config(aim, outputs=outputs, rule={"repeat": "10 ms"})).observe_many(100.0, 40)
    reasons = [e.reason for e, _ in decided if e.reason != "aim"]
    assert reasons[:3] == ["condition", "busy", "condition"]
    assert set(reasons[3:]) <= {"cap", "busy"}


# ---------------------------------------------------------------- sessions


@pytest.mark.parametrize("seed", range(6))
def test_sessions_of_aimed_light_replay_bit_for_bit(seed: int, tmp_path: Path) -> None:
    session = aimed_session(tmp_path / "session", seed)
    result = replay(tmp_path / "session")
    assert result.bit_for_bit
    assert result.identical, result.differences[:5]
    fired = {r.event.id: r.event for r in session.events if r.event.outcome == "fired"}
    assert [(r.command.x, r.command.y) for r in session.commands] == [
        (fired[r.command.id].x, fired[r.command.id].y) for r in session.commands
    ]


def test_these_sessions_hold_shots_of_every_kind(tmp_path: Path) -> None:
    found = {
        (record.event.outcome, record.event.reason)
        for seed in range(6)
        for record in aimed_session(tmp_path / str(seed), seed).events
    }
    assert found >= {("fired", "condition"), ("withheld", "control"), ("suppressed", "aim")}


def test_a_changed_certainty_changes_what_would_have_fired(tmp_path: Path) -> None:
    session = aimed_session(tmp_path / "session", 1)
    less, _ = what_if(session, ["rules.middle.do.aim.certainty=0"])
    more, _ = what_if(session, ["rules.middle.do.aim.certainty=0.999"])

    def shots(trials: list[Any]) -> int:
        return sum(trial.event.outcome != "suppressed" for trial in trials if trial.event.rule == "middle")

    assert shots(less.after) > shots(less.before) > shots(more.after)
    assert shots(less.before) == shots(more.before)
