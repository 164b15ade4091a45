"""Rules in space about several animals: each, any, named ones, between two, and how sure one must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.herd_in_space import KEYPOINTS, PERIOD_MS, apart, crossing, detections, group_of, observe, owners
from support.space_rig import MS, NAMES, configuration, space_cameras

from rt_pose.decisions.check import check
from rt_pose.decisions.rule import make_rules
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.errors import UserError
from rt_pose.types import Event, FloatArray, FrameStamps

pytestmark = pytest.mark.timeout(300)  # whoever is first compiles all of it
BODY = ("nose", "left", "right", "tail")
assert len(BODY) == KEYPOINTS


class HerdRig:
    """Two animals at 100 frames a second before three cameras; a turn is a frame of each of them."""

    def __init__(self, *rules: dict[str, Any]) -> None:
        config = configuration(*rules, individuals=2)
        decider = RuleSet.of(config, list(BODY), {"laser": 0.0}).view_decider("arena", len(NAMES), 4)
        assert decider is not None
        self.decider, self.cameras, self.index = decider, space_cameras(), 0
        self.group, self.random = group_of(self.cameras), np.random.default_rng(0)

    def step(self, animals: FloatArray) -> list[Event]:
        t_ns = self.index * PERIOD_MS * MS
        self.group.begin_turn()
        for v, camera in enumerate(self.cameras):
            observe(self.group, v, t_ns / MS, detections(camera, animals, self.random))
        stamps = FrameStamps(self.index, t_ns, t_ns + MS, t_ns, epoch=self.group.epoch)
        confidence = self.group.predict(t_ns).confidences
        self.index += 1
        decided = self.decider.decide(self.group, "arena", stamps, t_ns + 8 * MS, True, confidence)
        return [event for event, _ in decided]

    def play(self, places: FloatArray) -> list[tuple[int, Event]]:
        return [(f, event) for f, animals in enumerate(places) for event in self.step(animals)]

    def slots(self, animals: FloatArray) -> list[int]:
        return owners(self.group.predict(0), animals)


PLACES = crossing(120)
"""Animal 0 walks from x = -72 to 72 mm, animal 1 the other way."""


def slot_of_first() -> int:
    rig = HerdRig({"when": "x(each.nose) > 1 m"})
    rig.play(PLACES[:10])
    return rig.slots(PLACES[9]).index(0)


def test_a_rule_of_a_named_animal_fires_for_that_one() -> None:
    first = slot_of_first()
    for slot in (0, 1):
        rig = HerdRig({"when": f"x(individual{slot}.nose) > 60"})
        fired = [(f, e) for f, e in rig.play(PLACES) if e.outcome == "fired"]
        assert rig.slots(PLACES[-1]).index(0) == first, "they have kept their slots"
        if slot != first:
            assert not fired, "the other one never was there"
            continue
        ((f, event),) = fired
        assert event.individual == slot
        assert f == pytest.approx(60 + (60 - 20) / 1.2, abs=2)


def test_each_has_events_of_its_own_and_any_has_one() -> None:
    each = HerdRig({"when": "abs(x(each.nose)) < 10"}).play(PLACES)
    assert sorted(event.individual for _, event in each) == [0, 1]
    anyone = HerdRig({"when": "x(any.nose) > -1 m"}).play(PLACES)
    assert len(anyone) == 1


def test_between_two_lengths_are_in_mm() -> None:
    near = HerdRig({"when": "distance(individual0.left, individual1.left) < 50 mm"}).play(PLACES)
    truth = np.linalg.norm(PLACES[:, 0, 1] - PLACES[:, 1, 1], axis=-1)
    assert near[0][0] == pytest.approx(int(np.argmax(truth < 50)), abs=2)
    meet = HerdRig({"when": "approach(any.nose, other.tail) > 50 mm/s"}).play(PLACES)
    assert meet[0][0] < 20


def test_a_probability_between_two_is_that_of_both() -> None:
    rig = HerdRig({"when": "distance(individual0.left, individual1.left) < 50 mm", "probability": 0.9})
    fired = [e for _, e in rig.play(PLACES) if e.outcome == "fired"]
    assert len(fired) == 1
    assert fired[0].probability is not None
    assert fired[0].probability >= 0.9


def test_one_that_may_be_another_by_now_is_left_alone() -> None:
    """They slide into one another, and part: nobody knows which is which."""
    start = apart(20)
    slide = np.linspace(1.0, 0.0, 40)[:, None, None, None]
    one = np.repeat(start[-1:, :1], 2, axis=1)
    together = np.concatenate([slide * start[-1] + (1 - slide) * one, np.repeat(one, 30, axis=0)])
    part = np.repeat(one, 60, axis=0)
    part[:, 1, :, 1] += np.linspace(0.0, 120.0, 60)[:, None]
    places = np.concatenate([start, together, part])
    rule = {"when": "y(individual0.nose) > 100 or y(individual1.nose) > 100"}
    asked = [e for f, e in HerdRig(rule).play(places) if f > 60]
    assert [(e.outcome, e.reason) for e in asked] == [("suppressed", "identity")]
    lenient = [e for f, e in HerdRig(rule | {"identity": 0.05}).play(places) if f > 60]
    assert [e.outcome for e in lenient] == ["fired"]
    unnamed = [e for f, e in HerdRig({"when": "y(any.nose) > 100"}).play(places) if f > 60]
    assert [e.outcome for e in unnamed] == ["fired"]


def test_whose_keypoint_it_is_must_be_said() -> None:
    config = configuration({"when": "height(nose) > 60 mm"}, individuals=2)
    with pytest.raises(UserError, match="whose nose"):
        make_rules(config, list(BODY), {"laser": 0.0})


def test_they_are_explained_with_what_they_cost() -> None:
    rules = [{"name": "near", "when": "distance(individual0.nose, individual1.tail) < 30 mm"}]
    rules += [{"name": "up", "when": "height(each.nose) > 60 mm", "probability": 0.9}]
    said = "\n".join(check(configuration(*rules, individuals=2), details=True))
    assert "individual0" in said
    assert "near takes" in said
    assert "up takes" in said
