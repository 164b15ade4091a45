"""Two flies: the split by time, the labels of both trainings, one evaluator, the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.several_package import TWO, animals_frame, make_several_package

from bench.headtohead import fly_scores, fly_table
from bench.headtohead.flies import FULL_SHARE, VALIDATIONS, our_settings, steps_in, their_settings
from bench.headtohead.fly_data import (
    OURS,
    SPLIT,
    TRAIN,
    VALIDATION,
    FlyTruth,
    TimeSplit,
    chosen_frames,
    number_of,
    read_truth,
    write_labels,
)
from bench.headtohead.fly_scores import (
    TITLES,
    compare_poses,
    crossings,
    frames_of_identities,
    pose_figures,
    surest,
    touching,
)
from bench.headtohead.our_chain import our_chain, time_ours, track_ours
from bench.headtohead.tracks import NO_IDENTITY, Tracks, read_tracks, tracks_of, write_tracks
from rt_pose.clock import HostClock
from rt_pose.types import FloatArray
from train.data.labels import read_labels
from train.data.sleap_labels import open_slp
from train.data.split import split_frames

FRAMES = 100


def labels() -> FloatArray:
    """(F, 2, 3, 2) px: two animals of 60 px that stand apart, and meet once."""
    one = np.array([[0.0, 0.0], [60.0, 10.0], [30.0, 40.0]])
    xy = np.stack([one + 100, one + 300])[None] + np.zeros((FRAMES, 1, 1, 1))
    xy[40:50, 1] = one + 120
    return xy


def truth() -> FlyTruth:
    return FlyTruth(0, labels(), ["a", "b", "c"], [], 25.0)


def tracks(xy: FloatArray) -> Tracks:
    identity = np.broadcast_to(np.arange(2), xy.shape[:2]).copy()
    return Tracks(xy, np.where(np.isfinite(xy).all(axis=-1), 0.9, 0.0), identity)


def test_what_is_measured_is_far_from_what_is_learned_from() -> None:
    first, last = SPLIT.test
    for part in (*SPLIT.train, SPLIT.validation):
        assert part[1] <= first - 50 or part[0] >= last + 50


def test_frames_that_look_alike_are_learned_from_once() -> None:
    xy = np.zeros((40, 1, 2, 2))
    xy[20:] += np.arange(20.0)[:, None, None, None]
    xy[25, 0, 1] = np.nan
    split = TimeSplit(((0, 10), (16, 30)), (30, 40), (10, 12))
    assert chosen_frames(split, 2, xy) == ([0, 16, 22, 24, 26, 28], [30, 32, 34, 36, 38])


def test_both_trainings_have_the_same_labels_and_none_that_is_measured(
    data_dir: Path, tmp_path: Path
) -> None:
    split = TimeSplit(((0, 20), (1200, 1240)), (1260, 1280), (100, 120))
    assert write_labels(data_dir, tmp_path, split, 10)["train"] == 5
    numbers = {
        name: [number_of(frame) for frame in open_slp(tmp_path / name).table.names]
        for name in (TRAIN, VALIDATION, OURS)
    }
    assert numbers == {
        TRAIN: [0, 1200, 1210, 1220, 1230],
        VALIDATION: [1260, 1270],
        OURS: [0, 1200, 1210, 1220, 1230, 1260, 1270],
    }
    folder = (tmp_path / OURS).parent
    frames = read_labels(folder, Path(OURS).name, several=True)
    assert frames.xy.shape == (7, 2, 13, 2)
    assert split_frames(folder, frames.names, 0.0, 0).validation.tolist() == [5, 6]
    measured = read_truth(data_dir, split)
    assert measured.xy.shape == (20, 2, 13, 2)
    assert len(measured.images) == 20


def test_both_networks_see_frames_at_the_same_scale() -> None:
    ours, theirs = our_settings(own_weights=False), their_settings()
    assert ours["network"]["width"] == 1024 * theirs["data_config"]["preprocessing"]["scale"]
    assert ours["optimiser"]["backbone_factor"] == 1.0
    assert our_settings(own_weights=True)["optimiser"]["backbone_factor"] < 1.0


def test_our_chain_keeps_identities_and_is_timed(tmp_path: Path) -> None:
    make_several_package(tmp_path)
    images = [animals_frame(TWO + step) for step in range(6)]
    truth = FlyTruth(0, TWO + np.arange(6.0)[:, None, None, None], ["k0", "k1"], images, 25.0)
    chain = our_chain(tmp_path, truth.rate_hz, 1)
    found = track_ours(chain, truth)
    identity, xy = found.identity[-1], found.xy[-1]
    assert sorted(identity[identity != NO_IDENTITY]) == [0, 1]
    assert np.abs(surest(found).xy[-1][:, 0] - xy[:2, 0]).max() == 0.0
    for row, last in enumerate(xy[:2]):
        assert np.linalg.norm(truth.xy[-1] - last, axis=-1).max(axis=1).min() < 2.0
        assert identity[row] == found.identity[-2, row]
    tracker = chain.tracker((160, 128))
    assert len(time_ours(chain, tracker, truth, HostClock(), range(-2, 3))) == 5


def test_steps_fill_the_time() -> None:
    steps = steps_in(3600.0, 0.7)
    assert steps % VALIDATIONS == 0
    assert 0.98 * FULL_SHARE * 3600.0 < steps * 0.7 < FULL_SHARE * 3600.0
    assert steps_in(1.0, 100.0) == VALIDATIONS


def test_another_programs_answers_become_tracks(tmp_path: Path) -> None:
    seen = {"xy": [[1.0, 2.0], [None, None]], "score": [0.5, None], "identity": "track_7"}
    nobody = {"xy": [[3.0, 4.0], [5.0, 6.0]], "score": [0.4, 0.6], "identity": None}
    found = tracks_of([[seen], [], [nobody, seen]], 2)
    assert found.identity.tolist() == [[0, NO_IDENTITY], [NO_IDENTITY] * 2, [NO_IDENTITY, 0]]
    np.testing.assert_array_equal(found.confidence[0], [[0.5, 0.0], [0.0, 0.0]])
    assert np.isnan(found.xy[0, 0, 1]).all()
    write_tracks(found, tmp_path / "tracks.npz")
    np.testing.assert_array_equal(read_tracks(tmp_path / "tracks.npz").xy, found.xy)


def test_a_perfect_program_has_no_error_and_finds_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fly_scores, "MAP_DRAWS", 5)
    found = pose_figures(tracks(labels()[:, ::-1]), truth())
    assert {key: drawn[0] for key, drawn in found.items()} == {
        "median_px": 0.0,
        "mean_px": 0.0,
        "p90_px": 0.0,
        "mean_with_missed_px": 0.0,
        "found": 1.0,
        "oks_map": pytest.approx(1.0),
    }


def test_the_better_program_is_shown_to_be_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fly_scores, "MAP_DRAWS", 10)
    near, far = labels(), labels()
    near += 0.5
    far += np.random.default_rng(0).normal(0, 4.0, far.shape)
    far[::3, 0, 1] = np.nan
    apart = compare_poses(pose_figures(tracks(near), truth()), pose_figures(tracks(far), truth()))
    assert all(one["better"] for one in apart.values())
    figures = pose_figures(tracks(far), truth())
    same = compare_poses(figures, figures)
    assert not any(one["better"] for one in same.values())


def test_an_identity_is_matched_only_where_it_is_near() -> None:
    own = tracks(labels())
    own.identity[1, 0] = NO_IDENTITY
    own.xy[2, 1] += 100.0
    first, second, third, *_ = frames_of_identities(own, truth())
    assert first == {"objects": [0, 1], "found": [0, 1], "distances": [[0.0, None], [None, 0.0]]}
    assert second["found"] == [1]
    assert third["distances"] == [[0.0, None], [None, None]]
    json.dumps([first, second, third])


def test_a_crossing_is_counted_once() -> None:
    assert crossings(truth()) == 1
    assert touching(labels())[45].tolist() == [[False, True], [True, False]]
    assert not touching(labels())[0].any()


def test_the_table_has_both_programs() -> None:
    names = ("sleap, local_queues", "rt-pose")
    interval = {"value": 1.0, "low": 0.5, "high": 1.5}
    poses = {name: dict.fromkeys(TITLES, interval) for name in names}
    times: dict[str, Any] = {"n": 40, "p50": 10.0, "p99": 20.0}
    found = {
        "clip": "clip.slp",
        "split": {"train": [[0, 930], [1180, 1400]], "validation": [1430, 1500], "test": [980, 1130]},
        "learned": 100,
        "frames": 450,
        "crossings": 3,
        "training": {"sleap": {"wall_s": 600.0, "steps": 100}, "rt-pose": {}},
        "poses": poses,
        "differences": {"rt-pose": dict.fromkeys(TITLES, interval | {"better": False})},
        "identities": dict.fromkeys(names, dict.fromkeys(fly_table.IDENTITY_TITLES, 2.0)),
        "times": [
            {
                "settings": {"threads": 2, "rounds": 3, "block": 20, "precision": "float32"},
                "left_out": 1,
                "engines": {"sleap": "theirs", "rt-pose": "ours"},
                "times": {
                    "sleap": {"ms": times, "all_ms": [10.0, 30.0]},
                    "rt-pose": {"ms": times | {"p50": 5.0}, "all_ms": [5.0]},
                },
            }
        ],
    }
    text = "\n".join(table.markdown() for table in fly_table.tables(found))
    assert "rt-pose minus sleap" in text
    assert "overlap 3 times" in text
    assert "50.0" in text  # frames a second of theirs: the mean of 10 and 30 ms
    assert "2.00" in text
