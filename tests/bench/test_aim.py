"""The benchmark of aimed light, small: its rig scores a perfect aim as a hit, and its figures add up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.aim import GATES, RADII_PX, Rig, Tally, calibrate_rig, row, rules_of, table, wilson
from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.galvo import px_to_volts
from rt_pose.decisions.decide import make_rules
from rt_pose.rules.homography import project

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"


def test_a_perfect_aim_hits_the_keypoint() -> None:
    rig = Rig(1000)
    for t_ns in (0, 10**9, 7 * 10**9):
        nose = rig.truth(t_ns, KEYPOINTS.index("nose"))
        volts = project(px_to_volts(rig.scene.view), np.array([nose]))[0]
        assert rig.light((float(volts[0]), float(volts[1]))) == pytest.approx(nose, abs=0.5)
        assert rig.place((float(volts[0]), float(volts[1]))) == pytest.approx(nose, abs=1e-6)


def test_the_mirrors_are_calibrated_from_spots() -> None:
    calibration, residual_px = calibrate_rig(Rig(1000))
    assert residual_px < 0.5
    rules = make_rules(rules_of(calibration), KEYPOINTS, {n: 3.0 for n in rules_of(calibration).outputs})
    assert len(rules) == len(GATES) * len(RADII_PX)
    assert {rule.aim.certainty for rule in rules if rule.aim} == set(GATES)


def test_a_row_counts_what_became_of_tries() -> None:
    tally = Tally(tries=10, held_back=4, lost=1, apart_px=[1.0, 2.0, 5.0, 1.0, 1.0])
    tally.by_seed[1] += [True, True, False]
    tally.by_seed[2] += [True, True]
    found = row(3.0, 0.9, tally)
    assert (found["shots"], found["hits"], found["share"], found["median_px"]) == (5, 4, 0.8, 1.0)
    assert found["share_by_seed"] == {1: 0.6667, 2: 1.0}
    assert found["low"] < 0.8 < found["high"]
    assert row(3.0, 0.99, Tally(tries=3))["share"] is None


@pytest.mark.parametrize(("hits", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (8, 10, 0.4902, 0.9433)])
def test_wilson(hits: int, n: int, low: float, high: float) -> None:
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-3)


def test_the_recorded_result_has_its_table() -> None:
    (path,) = RESULTS.glob("*-aim.json")
    figures = json.loads(path.read_text())
    text = table(figures)
    assert path.with_suffix(".md").read_text() == text + "\n"
    assert text.count("\n|") == 2 + len(GATES) * len(RADII_PX)
