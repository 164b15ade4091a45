"""The benchmark of aimed light, small: its rig scores a perfect aim as a hit, and its figures add up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.tiny_package import make_tiny_package

from bench.aim.figures import row, table, wilson
from bench.aim.observers import KEYPOINT, make_observer
from bench.aim.program import FIRST_SEED, Options, measure
from bench.aim.rig import Rig, calibrate_rig
from bench.aim.shots import GATES, RADII_PX, Tally, rules_of
from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.galvo import px_to_volts
from rt_pose.decisions.decide import make_rules
from rt_pose.errors import UserError
from rt_pose.package import write_manifest
from rt_pose.rules.homography import project

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"


def test_a_perfect_aim_hits_the_keypoint() -> None:
    rig = Rig(FIRST_SEED)
    for t_ns in (0, 10**9, 7 * 10**9):
        nose = rig.truth(t_ns, KEYPOINTS.index(KEYPOINT))
        volts = project(px_to_volts(rig.scene.view), np.array([nose]))[0]
        assert rig.light((float(volts[0]), float(volts[1]))) == pytest.approx(nose, abs=0.5)
        assert rig.place((float(volts[0]), float(volts[1]))) == pytest.approx(nose, abs=1e-6)


def test_the_mirrors_are_calibrated_from_spots() -> None:
    calibration, residual_px = calibrate_rig(Rig(FIRST_SEED))
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


def recorded() -> Path:
    (path,) = RESULTS.glob("*-aim.json")
    return path


def test_the_recorded_result_has_its_table() -> None:
    text = table(json.loads(recorded().read_text()))
    assert recorded().with_suffix(".md").read_text() == text + "\n"
    assert text.count("\n|") == 2 + len(GATES) * len(RADII_PX)


def test_a_second_of_one_animal_gives_the_figures_that_were_recorded() -> None:
    found, kept = measure(Options(seeds=1, seconds=1.0)), json.loads(recorded().read_text())
    assert list(found) == list(kept)
    assert [list(row) for row in found["rows"]] == [list(row) for row in kept["rows"]]
    always = found["rows"][0]
    assert always["gate"] == 0.0
    assert always["shots"] == always["tries"] - always["lost"] > 0
    assert table(found).count("\n|") == 2 + len(found["rows"])


def test_a_network_aims_too_where_it_knows_the_keypoint(tmp_path: Path) -> None:
    package = make_tiny_package(tmp_path / "package", keypoints=3)
    with pytest.raises(UserError, match="a keypoint 'nose', got one of k0, k1, k2; give that of"):
        make_observer(str(package.path), 1.0)
    package.manifest.keypoints[1], package.manifest.skeleton = KEYPOINT, []
    write_manifest(package.path, package.manifest)
    found = measure(Options(model=str(package.path), seeds=1, seconds=0.5))
    assert found["keypoints"].startswith("network ")
    for one in found["rows"]:
        assert one["tries"] == one["held_back"] + one["lost"] + one["shots"] > 0
    with pytest.raises(UserError, match="--seeds: expected 1 or more, got 0"):
        measure(Options(seeds=0))
