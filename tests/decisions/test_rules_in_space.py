"""Rules that a group of views judges: one code path in time, what may be said, and how it is explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.space_rig import MS, NAMES, SpaceRig, configuration

from rt_pose.config.rules import ActionConfig, AfterConfig, AimAction
from rt_pose.config.schema import LimitsConfig, OutputConfig
from rt_pose.decisions.check import check
from rt_pose.decisions.rule import make_rules
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.errors import UserError
from rt_pose.types import Event, Track3D

LOW, HIGH = (0.0, 0.0, 30.0), (0.0, 0.0, 90.0)
Heights = list[tuple[float, float, float]]


def play(rig: SpaceRig, places: Heights, **how: bool) -> list[tuple[int, str, str]]:
    return [(i, e.outcome, e.reason) for i, place in enumerate(places) for e in rig.step(place, **how)]


def test_it_fires_once_on_rearing_and_again_after_coming_down() -> None:
    rig = SpaceRig(configuration())
    got = play(rig, [LOW] * 5 + [HIGH] * 5 + [LOW] * 10 + [HIGH] * 5)
    assert [(outcome, reason) for _, outcome, reason in got] == [("fired", "condition")] * 2
    assert got[0][0] == pytest.approx(5, abs=1)
    assert got[1][0] == pytest.approx(20, abs=1)


def test_its_event_bears_the_group_and_the_value_in_mm() -> None:
    rig = SpaceRig(configuration())
    (event,) = [e for place in [LOW] * 5 + [HIGH] * 8 for e in rig.step(place)]
    assert (event.camera, event.rule, event.individual) == ("arena", "rearing", 0)
    assert 60.0 < event.value < 200.0
    assert event.id == len(NAMES) + 1
    assert event.t_judged_ns - event.t_cause_ns == 8 * MS


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"hold": "30 ms"}, [(8, "fired", "condition"), (28, "fired", "condition")]),
        ({"refractory": "1 s"}, [(5, "fired", "condition"), (25, "suppressed", "refractory")]),
        ({"withhold": 0.5, "withhold_block": 2}, None),
        ({"late": "suppress", "deadline": "5 ms"}, [(5, "suppressed", "late"), (25, "suppressed", "late")]),
        ({"enabled": False}, [(5, "suppressed", "disabled"), (25, "suppressed", "disabled")]),
        ({"repeat": "40 ms"}, [(5, "fired", "condition"), (9, "fired", "condition")]),
    ],
)
def test_the_policy_in_time_is_that_of_every_rule(rule: dict[str, Any], expected: Any) -> None:
    got = play(SpaceRig(configuration(rule)), [LOW] * 5 + [HIGH] * 8 + [LOW] * 12 + [HIGH] * 6)
    if expected is None:
        assert sorted(outcome for _, outcome, _ in got) == ["fired", "withheld"]
        return
    for (i, *what), (wanted, *wanted_what) in zip(got, expected, strict=False):
        assert what == wanted_what
        assert i == pytest.approx(wanted, abs=1)
    assert len(got) >= len(expected)


def test_caps_and_arming_count_for_it() -> None:
    config = configuration()
    config.outputs["laser"] = OutputConfig(driver="simulated", limits=LimitsConfig(max_pulses_per_minute=1))
    places = ([LOW] * 10 + [HIGH] * 5) * 2
    assert [reason for *_, reason in play(SpaceRig(config), places)] == ["condition", "cap"]
    assert [reason for *_, reason in play(SpaceRig(configuration()), places, armed=False)] == ["disarmed"] * 2


def test_what_is_hidden_from_all_but_one_camera_before_it_was_placed_is_lost() -> None:
    rig, events = SpaceRig(configuration()), list[Event]()
    for _ in range(8):
        rig.observe(np.array([HIGH]), views=(1,))
        events += rig.decide()
    assert not [e for e in events if e.outcome == "fired"]


def test_one_camera_alone_keeps_a_track_that_two_have_begun() -> None:
    rig, events = SpaceRig(configuration()), list[Event]()
    for i in range(20):
        rig.observe(np.array([HIGH if i >= 10 else LOW]), views=(0, 1, 2) if i < 12 else (i % 3,))
        events += rig.decide()
    assert [e.outcome for e in events] == ["fired"]


def test_it_is_judged_where_the_animal_will_be_by_the_covariance_in_space() -> None:
    """Rising at 1 m/s, judged 48 ms before the effect: it comes true well below the threshold."""
    rise: Heights = [(0.0, 0.0, min(float(h), 100.0)) for h in range(0, 300, 10)]
    by_mean = SpaceRig(configuration(), delay_ms=40.0, inert=True)
    (first,) = play(by_mean, rise)
    assert first[0] == pytest.approx(2, abs=2)
    likely = SpaceRig(configuration({"probability": 0.95, "release": 0.5}), delay_ms=40.0, inert=True)
    (event,) = [e for place in rise for e in likely.step(place)]
    assert event.probability is not None
    assert 0.95 <= event.probability <= 1.0
    assert event.frame_index > first[0]
    ahead = likely.decider.predictions[40 * MS]
    assert isinstance(ahead, Track3D)
    assert ahead.t_valid_ns == (likely.index - 1) * 10 * MS + 48 * MS


def test_a_release_is_judged_in_space_too() -> None:
    rule = {"release": "height(nose) < 40 mm"}
    middle = (0.0, 0.0, 50.0)
    places = [LOW] * 5 + [HIGH] * 8 + [middle] * 8 + [HIGH] * 8 + [LOW] * 12 + [HIGH] * 8
    assert len(play(SpaceRig(configuration(rule)), places)) == 2
    assert len(play(SpaceRig(configuration()), places)) == 3


def test_the_rules_begin_again_with_a_new_epoch() -> None:
    rig, events = SpaceRig(configuration({"hold": "50 ms"})), list[Event]()
    for i in range(24):
        if i == 12:
            rig.index = 0  # the recordings are wound back
        rig.observe(np.array([HIGH if i >= 9 else LOW]), epoch=int(i >= 12))
        events += rig.decide()
    assert [(e.outcome, e.frame_index) for e in events] == [("fired", pytest.approx(5, abs=1))]


def test_rules_of_cameras_and_of_the_group_each_have_their_decider() -> None:
    config = configuration({}, {"name": "near", "view": "", "when": "x(nose) < 200"})
    rules = RuleSet.of(config, ["nose"], {"laser": 0.0})
    decider = rules.view_decider("arena", 3, 4)
    assert decider is not None
    assert [rule.name for rule in decider.rules] == ["rearing"]
    assert rules.view_decider("other", 3, 4) is None
    rearing, near = rules.rules
    assert (rearing.camera, rearing.views, near.views) == ("arena", NAMES, ())
    assert list(rearing.cameras_of(["back", "lid"])) == list(NAMES)
    assert list(near.cameras_of(["back", "lid"])) == ["back", "lid"]


def test_it_can_follow_a_rule_of_a_camera_s_decisions() -> None:
    cue = {"name": "cue", "when": "z(nose) < 40 mm"}
    after = {"name": "then", "when": "height(nose) > 60 mm", "after": AfterConfig("cue", within="80 ms")}
    rig = SpaceRig(configuration(cue, after))
    events = [e.rule for place in [LOW] * 4 + [HIGH] * 4 for e in rig.step(place)]
    assert events == ["cue", "then"]
    late = SpaceRig(configuration(cue, after))
    assert [e.rule for place in [LOW] * 14 + [HIGH] * 4 for e in late.step(place)] == ["cue"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"view": "aren"}, "view: there is no group of views 'aren', did you mean 'arena'?"),
        ({"camera": "top"}, "camera: a rule with a `view` is judged by all cameras of 'arena' together"),
        ({"when": "height(nose@top) > 5"}, "when: it looks at camera 'top', but a rule with a `view` is"),
        ({"release": "z(nose@top) < 5"}, "release: it looks at camera 'top'"),
        (
            {"do": ActionConfig(output="laser", aim=AimAction("nose", "5 ms", spot="3 mm"))},
            "do.aim: light is aimed in the frame of a camera; expected a rule without `view`",
        ),
        ({"when": "inside(nose, corner)"}, "zone 'corner' is a circle of a camera's frame"),
        ({"view": "", "when": "inside(nose, ball)"}, "zone 'ball' is a sphere in space, for rules with a"),
        ({"view": "", "when": "height(nose) > 5"}, "height has a meaning in space alone"),
    ],
)
def test_what_a_rule_may_not_say_is_refused_at_load(rule: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match="rule 'rearing'") as caught:
        make_rules(configuration(rule), ["nose"], {"laser": 0.0})
    assert expected in str(caught.value)


def test_without_groups_there_is_nothing_to_name() -> None:
    config = configuration()
    config.views = {}
    with pytest.raises(UserError, match="'arena'; the configuration has no `views`"):
        make_rules(config, ["nose"], {"laser": 0.0})


def test_rules_check_explains_it() -> None:
    rules = ({"probability": 0.9}, {"name": "licking", "when": "inside(nose, ball)"})
    rearing, licking, *more = check(configuration(*rules), details=True)
    assert rearing == (
        "rearing: when the height of nose is above 60 mm with a probability of at least 90 %, laser line 0 "
        "gives a pulse of 1 ms; later than 20 ms after the exposure not at all; judged in space, by the "
        "cameras back, side and top together (arena)."
    )
    assert "licking: when nose is inside ball by the predicted mean" in licking
    assert sum("ms a decision here" in line for line in more) == 2
    assert (
        "views arena: back, side and top place the animal in space, in mm, by calibration.toml; z is the "
        "height above its origin."
    ) in more
    assert more[-1].endswith("names of keypoints are as written: nose.")


def test_a_picture_says_which_zones_it_cannot_show(tmp_path: Path) -> None:
    said = check(configuration(), out=str(tmp_path / "rules.png"))
    assert "Zones in space are in no camera's picture, and not drawn: ball, shelf, spout." in said
