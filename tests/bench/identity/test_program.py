"""The benchmark of identities, small: its crossings, its scores and its tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.accuracy.statistics import draws
from bench.identity import program
from bench.identity.detections import NOBODY, Detections, Recording, record
from bench.identity.program import OURS, Options, format_tables, measure
from bench.identity.scores import Score, calibration, find_crossings, log_score, score, summarise
from bench.identity.trackers import Assigned, CentroidTracker, run_tracker
from rigs.simulated.animal import KEYPOINTS
from rt_pose.package import TrackingSpec


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record(0, 3, 6.0, 30.0)


def scripted() -> tuple[Recording, Assigned]:
    """Two animals that touch in frames 10 to 14 of 60; their numbers 0 and 1 are exchanged in frame 12."""
    frames, who, p = [], [], []
    touching = np.zeros((60, 2, 2), dtype=bool)
    touching[10:15] = ~np.eye(2, dtype=bool)
    for i in range(60):
        label = np.array([1, 0, NOBODY])
        frames.append(Detections(np.zeros((3, 2, 2)), np.zeros((3, 2, 2, 2)), np.ones((3, 2)), label))
        who.append(np.array([1, 0, -1] if i < 12 else [0, 1, -1]))
        p.append(np.array([1.0, 1.0, np.nan] if i < 12 else [0.6, 0.6, np.nan]))
    return Recording(30.0, frames, touching), Assigned(who, p, [0.1] * 60)


def test_an_exchange_is_found_and_so_is_what_was_said_of_it() -> None:
    found = score(*scripted())
    assert (found.crossings, found.exchanged, found.switches) == (1, 1, 2)
    assert found.since_birth == found.of_crossing == [(0.6, False)] * 2
    assert found.suspected == [0.6, 0.6]
    assert (found.detections, found.assigned, found.matched) == (120, 120, 2 * 48)
    assert found.idf1 == pytest.approx(0.8)
    drawn = draws(3, 50)
    total = summarise([found] * 3, drawn)
    assert total["switches_per_crossing"] == {"value": 2.0, "low": 2.0, "high": 2.0}
    assert total["exchanged_value"] == 1.0
    (row,) = calibration([found] * 3, "since_birth", drawn)
    assert (row["low"], row["n"], row["right"]) == (0.6, 6, {"value": 0.0, "low": 0.0, "high": 0.0})


def test_a_crossing_ends_when_they_have_been_apart() -> None:
    touching = np.zeros((100, 2, 2), dtype=bool)
    for i in (10, 11, 15, 40, 99):
        touching[i] = ~np.eye(2, dtype=bool)
    found = find_crossings(touching, 30.0)
    assert [(one.begin, one.end) for one in found] == [(10, 15), (40, 40), (99, 99)]


def test_detections_are_of_the_animals_and_the_same_again(recording: Recording) -> None:
    again = record(0, 3, 1.0, 30.0)
    for one, other in zip(recording.frames, again.frames, strict=False):
        np.testing.assert_array_equal(one.xy, other.xy)
        np.testing.assert_array_equal(one.label, other.label)
    for frame in recording.frames:
        animals = frame.label[frame.label != NOBODY]
        assert len(set(animals.tolist())) == len(animals) <= 3
        assert np.isfinite(frame.cov).all()
    counts = [len(frame.label) for frame in recording.frames]
    assert 2.0 < np.mean(counts) < 3.0
    assert recording.touching.any()


def test_centroids_keep_animals_that_stay_apart() -> None:
    random = np.random.default_rng(0)
    frames = []
    for _ in range(20):
        label = random.permutation(2)
        xy = np.array([[[50.0, 50.0], [60.0, 50.0]], [[200.0, 50.0], [210.0, 50.0]]])[label]
        frames.append(
            Detections(xy + random.normal(0, 1, xy.shape), np.ones((2, 2, 2, 2)), np.ones((2, 2)), label)
        )
    still = Recording(30.0, frames, np.zeros((20, 2, 2), dtype=bool))
    for hungarian in (True, False):
        found = score(still, run_tracker(CentroidTracker(2, hungarian), still))
        assert (found.switches, found.idf1) == (0, 1.0)


def test_probabilities_are_scored_by_what_came_true() -> None:
    sure, unsure = (
        Score(since_birth=[(1.0, True), (1.0, False)]),
        Score(since_birth=[(0.7, True), (0.7, False)]),
    )
    assert log_score([unsure]) == pytest.approx(np.log([0.7, 0.3]).mean())
    assert log_score([unsure]) > log_score([sure])
    assert np.isnan(log_score([Score()]))


def test_the_program_measures_and_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(KEYPOINTS)
    spec = TrackingSpec([2e6] * count, [0.1] * count, [1.0] * count, [0.5] * count)
    monkeypatch.setattr(program, "fit_spec", lambda _rate_hz: spec)  # the fit takes many rounds
    monkeypatch.setattr(program, "RATES_HZ", ((0.0, 0.5), (0.2, 0.5)))
    figures = measure(Options(seeds=2, minutes=0.1, animals=4, fit=1))
    found = figures["trackers"]
    assert list(found) == [OURS, program.SINGLE, program.HUNGARIAN, program.GREEDY]
    assert found[OURS]["frame_ms"]["n"] == 2 * (180 - 1)
    assert found[OURS]["idf1"]["value"] > 0.5
    assert figures["choice"]["first_seed"] == program.CHOICE_SEED >= 2
    assert tuple(figures["exchanges_hz"]) in program.RATES_HZ
    text = format_tables(figures)
    assert all(name in text for name in found)
    assert "seeds 100 to 100, of which none is scored below" in text
    assert json.loads(json.dumps(figures)) == figures
