"""Rules over several individuals: each, any, named ones, and how sure a rule must be of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rt_pose.config.check import check_run
from rt_pose.config.rules import ActionConfig, AimAction, RuleConfig, ZoneConfig
from rt_pose.config.schema import (
    AimCalibrationConfig,
    CameraConfig,
    CropConfig,
    OutputConfig,
    ProcessorConfig,
    RunConfig,
)
from rt_pose.decisions.check import check
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.errors import UserError
from rt_pose.package import TrackingSpec
from rt_pose.tracking.individuals import IndividualTracker
from rt_pose.types import Event, FrameStamps, Pose, confidence_of

MS = 1_000_000
KEYPOINTS = ["nose", "tail"]
TRACKING = TrackingSpec([6e4] * 2, [0.3] * 2, [1.0] * 2, [1.0] * 2)
PULSE = ActionConfig(output="laser", pulse="1 ms")


def configuration(*rules: dict[str, Any], individuals: int | list[str] = 2, **more: Any) -> RunConfig:
    made = [RuleConfig(**({"name": f"rule{i}", "do": PULSE} | rule)) for i, rule in enumerate(rules)]
    zones = {
        "corner": ZoneConfig(box=[0.0, 0.0, 100.0, 300.0]),
        "wall": ZoneConfig(line=[[100.0, 0.0], [100.0, 300.0]]),
    }
    outputs = {"laser": OutputConfig(driver="simulated")}
    return RunConfig(
        **({"zones": zones, "outputs": outputs, "rules": made, "individuals": individuals} | more)
    )


class Rig:
    """Animals that face right at 100 frames a second; the one that is seen first is the first individual."""

    def __init__(self, *rules: dict[str, Any], individuals: int | list[str] = 2) -> None:
        config = configuration(*rules, individuals=individuals)
        rule_set = RuleSet.of(config, KEYPOINTS, {"laser": 0.0})
        self.decider = rule_set.decider(0, 1)
        self.tracker = IndividualTracker(TRACKING, config.individual_count, 2, (320, 256))
        self.index, self.t_ms = 0, 0.0

    def observe(self, *middles: tuple[float, float], dt_ms: float = 10.0) -> list[Event]:
        self.t_ms += dt_ms
        t_ns = round(self.t_ms * MS)
        stamps = FrameStamps(self.index, t_ns, t_ns + MS, t_ns)
        self.index += 1
        xy = np.array([[[x + 10.0, y], [x - 10.0, y]] for x, y in middles]).reshape(-1, 2, 2)
        pose = Pose("top", stamps, xy, np.tile(np.eye(2), (len(xy), 2, 1, 1)), np.ones((len(xy), 2)))
        track = self.tracker.step(pose)
        decided = self.decider.decide(
            self.tracker, "top", stamps, t_ns + 2 * MS, True, confidence_of(pose, track)
        )
        return [event for event, _ in decided]

    def run(self, *path: tuple[tuple[float, float], ...]) -> list[Event]:
        return [event for middles in path for event in self.observe(*middles)]


def outcomes(events: list[Event]) -> list[tuple[int, str, str]]:
    return [(event.individual, event.outcome, event.reason) for event in events]


FAR = (200.0, 60.0)
BOTH_ENTER = [
    ((200.0 - 3.0 * max(0, i - 10), 60.0), (200.0 - 3.0 * max(0, i - 20), 200.0)) for i in range(70)
]
"""One comes into the corner 100 ms after the other."""


def test_each_of_them_comes_true_by_itself() -> None:
    events = Rig({"when": "inside(each.nose, corner)"}).run(*BOTH_ENTER)
    assert outcomes(events) == [(0, "fired", "condition"), (1, "fired", "condition")]


def test_refractory_time_and_controls_are_those_of_the_rule() -> None:
    each = {"when": "inside(each.nose, corner)", "refractory": "1 s"}
    assert outcomes(Rig(each).run(*BOTH_ENTER)) == [
        (0, "fired", "condition"),
        (1, "suppressed", "refractory"),
    ]
    balanced = {"when": "inside(each.nose, corner)", "withhold": 0.5, "withhold_block": 2}
    assert sorted(outcome for _, outcome, _ in outcomes(Rig(balanced).run(*BOTH_ENTER))) == [
        "fired",
        "withheld",
    ]
    yoked = {"when": "inside(each.nose, corner)", "yoke_times_s": [0.1]}
    assert outcomes(Rig(yoked).run(*BOTH_ENTER)) == [(0, "fired", "yoked")]


def test_any_of_them_is_one_event() -> None:
    assert outcomes(Rig({"when": "inside(any.nose, corner)"}).run(*BOTH_ENTER)) == [(0, "fired", "condition")]
    likely = {"when": "inside(any.nose, corner)", "probability": 0.9}
    assert outcomes(Rig(likely).run(*BOTH_ENTER)) == [(0, "fired", "condition")]


def test_one_by_its_name() -> None:
    rig = Rig(
        {"when": "inside(b.nose, corner)"},
        {"when": "inside(a.nose, corner)"},
        {"when": "inside(nose, corner)", "individual": 1},
        individuals=["a", "b"],
    )
    events = rig.run(*BOTH_ENTER)
    assert [(event.rule, event.individual) for event in events] == [("rule1", 0), ("rule0", 1), ("rule2", 1)]


def test_a_slot_that_is_empty_fires_nothing() -> None:
    rules = [f"not inside({whose}.nose, corner)" for whose in ("each", "any", "individual1")]
    events = Rig(*({"when": when} for when in rules)).run(*[(FAR,)] * 10)
    assert [(event.rule, event.individual) for event in events] == [("rule0", 0), ("rule1", 0)]


def test_between_an_animal_and_any_other() -> None:
    """The second comes to the third; who they are is not asked, so it does not matter how often they met."""
    path = [((40.0, 40.0), (100.0, 200.0), (240.0 - 2.0 * max(0, i - 10), 200.0)) for i in range(70)]
    near = "distance(any.nose, other.nose) < 60"
    rig = Rig(
        {"when": near},
        {"when": near.replace("any", "each")},
        {"when": "facing(any.tail, any.nose, other.nose) < 20 deg and " + near, "probability": 0.6},
        individuals=3,
    )
    found = [(event.rule, event.individual, event.reason) for event in rig.run(*path)]
    assert ("rule0", 1, "condition") in found
    assert [who for rule, who, _ in found if rule == "rule1"] == [1, 2]
    assert [who for rule, who, _ in found if rule == "rule0"] == [1]
    assert [who for rule, who, _ in found if rule == "rule2"] == [1], "the third one looks away"


def test_an_individual_that_may_be_another_is_suppressed() -> None:
    off = ActionConfig(output="laser", level="off")
    rig = Rig(
        {"when": "inside(individual0.nose, corner)"},
        {"when": "inside(individual0.nose, corner)", "identity": 0.2},
        {"when": "inside(individual0.nose, corner)", "do": off},
        {"when": "inside(each.nose, corner)"},
        {"when": "distance(individual0.nose, individual1.nose) > 60"},
    )
    apart = [((150.0, 60.0), (150.0, 180.0))] * 10
    together = [((150.0, 60.0), (150.0, 180.0 - 2.0 * i)) for i in range(53)] + [((150.0, 60.0),)] * 200
    leaving = [((150.0 - 3.0 * i, 60.0), (150.0 + 0.5 * i, 76.0)) for i in range(40)]
    before = rig.run(*apart)
    assert [(event.rule, event.reason) for event in before] == [("rule4", "condition")]
    rig.run(*together)
    p = rig.tracker.newest.identity_p
    assert (p < 0.95).all()
    events = rig.run(*leaving)
    found = {event.rule: (event.outcome, event.reason) for event in events}
    assert found["rule0"] == found["rule4"] == ("suppressed", "identity")
    assert found["rule1"] == found["rule2"] == ("fired", "condition")
    assert found["rule3"][1] != "identity"


def test_what_was_seen_of_another_animal_in_a_slot_does_not_count() -> None:
    """The first one vanishes on one side of the wall; another is born in its slot on the other side."""
    rig = Rig({"when": "crossing(each.nose, wall, left) or crossing(each.nose, wall, right)"})
    rig.run(*[((40.0, 60.0), FAR)] * 10)
    for _ in range(40):
        assert rig.observe(FAR, dt_ms=250.0) == []
    assert rig.tracker.newest.alive.tolist() == [False, True]
    assert rig.run(*[((160.0, 200.0), FAR)] * 10) == []
    assert rig.tracker.newest.alive.all()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            {"when": "inside(nose, corner)"},
            "whose nose? There are individual0, individual1; write each.nose, any.nose or individual0.nose",
        ),
        ({"when": "speed(each.nose) > 30", "release": "speed(tail) < 9"}, "release: whose tail?"),
        ({"when": "distance(any.nose, individual1.tail) < 9"}, "'any' and 'individual1' in one condition"),
        ({"when": "distance(any.nose, each.tail) < 9"}, "'any' and 'each' in one condition"),
        ({"when": "distance(individual0.nose, tail) < 9"}, "whose tail?"),
        (
            {"when": "distance(each.nose, tail) < 9 and x(other.nose) > 9"},
            "whose tail? The condition names several",
        ),
        ({"when": "speed(other.nose) > 9"}, "'other': than which one?"),
        (
            {"when": "speed(each.nose) > 9", "individual": "any"},
            "individuals each (when) and any (individual)",
        ),
        (
            {"when": "speed(each.nose) > 9", "identity": 0.9},
            "identity: only a rule that names one of several",
        ),
        (
            {"when": "speed(individual1.nose) > 9", "identity": 1.0},
            "identity: expected more than 0, less than 1",
        ),
        ({"when": "speed(individual2.nose) > 9"}, "there is no individual 'individual2'"),
        (
            {"when": "speed(nose) > 9", "individual": 2},
            "the model tracks 2 individuals; expected each, any or 0",
        ),
    ],
)
def test_a_rule_that_does_not_say_who_is_refused_at_load(rule: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        RuleSet.of(configuration(rule), KEYPOINTS, {"laser": 0.0})
    assert expected in str(caught.value)


def test_every_camera_numbers_its_own() -> None:
    cameras = {name: CameraConfig(driver="simulated") for name in ("top", "side")}
    for when in ("speed(any.nose) > 9", "speed(each.nose@side) > 9", "speed(individual0.nose@top) > 9"):
        RuleSet.of(configuration({"when": when}, cameras=cameras), KEYPOINTS, {"laser": 0.0})
    with pytest.raises(UserError, match=r"every camera numbers its animals by itself.*nose@top"):
        RuleSet.of(
            configuration({"when": "speed(each.nose) > 9"}, cameras=cameras), KEYPOINTS, {"laser": 0.0}
        )


def test_light_goes_to_the_animal_of_the_event() -> None:
    aim = ActionConfig(output="laser", aim=AimAction("individual0.nose", "5 ms", spot="9 px"))
    laser = OutputConfig(driver="simulated", aim={"top": AimCalibrationConfig(unit="px")})
    config = configuration(
        {"when": "speed(each.nose) > 9", "do": aim},
        outputs={"laser": laser},
        cameras={"top": CameraConfig(driver="simulated")},
    )
    with pytest.raises(UserError, match="light goes to the animal of the event"):
        RuleSet.of(config, KEYPOINTS, {"laser": 0.0})


def test_what_a_run_of_several_cannot_do_is_said_at_once() -> None:
    camera = CameraConfig(driver="simulated", crop=CropConfig(64, 64))
    check_run(configuration(individuals=2, cameras={"top": camera}, drift="warn"))
    config = configuration(
        individuals=["a", "any", "a"], processors={"mine": ProcessorConfig("os:sep", individual=3)}
    )
    with pytest.raises(UserError) as caught:
        check_run(config)
    for part in (
        "processors.mine.individual: expected 0 to 2, got 3",
        "two animals are called 'a'",
        "'any' is a word of the rules",
    ):
        assert part in str(caught.value)
    for count in (0, 17):
        with pytest.raises(UserError, match=f"individuals: expected 1 to 16 animals, got {count}"):
            check_run(configuration(individuals=count))


def test_the_rules_are_explained() -> None:
    config = configuration(
        {"when": "speed(each.nose) > 9"},
        {"when": "speed(any.nose) > 9"},
        {"when": "distance(a.nose, b.tail) < 9", "identity": 0.8},
        {"when": "distance(any.nose, other.tail) < 9"},
        individuals=["a", "b"],
    )
    lines = check(config, details=True)
    assert "judged for each of the 2 individuals by itself" in lines[0]
    assert "judged for any individual" in lines[1]
    assert (
        "judged for a and b; not while it is less than 80 % sure that each of a and b is still itself"
        in lines[2]
    )
    assert "judged for any individual and any other" in lines[3]
    assert any("names of keypoints are as written: nose, tail" in line for line in lines)
