"""Scores of candidates against what is known: swaps that were put in are counted, and undone by the views."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.candidates.found import Found, agreed_median
from bench.candidates.page import table
from bench.candidates.program import paws_of
from bench.candidates.score import compare, impossible, percentiles, reliability
from bench.candidates.ways import Rules, take_nearest, variants
from bench.output import conditions
from rt_pose.errors import UserError
from rt_pose.offline.prediction_files import FIELDS, write_predictions
from rt_pose.package import Subspace, TrackingSpec
from rt_pose.tracking.candidate_choice import ChoiceSpec
from rt_pose.types import FloatArray

KEYPOINTS = ["paw1_top", "paw2_top", "nose_top", "paw1_bot", "paw2_bot"]
PAWS = [[0, 1], [3, 4]]
F, K = 60, len(KEYPOINTS)
SWAPPED = slice(20, 31)


def truth() -> FloatArray:
    """(F, K, 2) px: two paws apart along x, a nose, and the paws from below."""
    at = np.array([[100.0, 50.0], [160.0, 55.0], [220.0, 40.0], [100.0, 250.0], [160.0, 240.0]])
    return at + np.arange(F)[:, None, None] * np.array([0.5, 0.0])


def found() -> Found:
    """Right but for the first paw from the side, whose highest peak lies for a while on the other paw."""
    xy = np.full((F, K, 3, 2), np.nan)
    xy[:, :, 0] = truth()
    xy[:, 0, 1] = truth()[:, 1]
    xy[SWAPPED, 0, :2] = xy[SWAPPED, 0, 1::-1]
    mass = np.where(np.isfinite(xy[..., 0]), [0.8, 0.15, 0.05], 0.0)
    mass[:, 1:, 0] = 0.99
    cov = np.where(np.isfinite(xy)[..., None], 2.0 * np.eye(2), np.nan)
    return Found(xy, cov, mass, np.ones((F, 2)))


def tracking() -> TrackingSpec:
    components = [[np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    spaces = [
        Subspace(f"{a}={b}", [a, b], [0.0] * 4, components, [0.5, 0.5]) for a, b in zip(*PAWS, strict=True)
    ]
    return TrackingSpec([1e6] * K, [0.1] * K, [0.5] * K, [1.0] * K, subspaces=spaces)


def test_swaps_are_counted_and_undone() -> None:
    every = variants(found(), Rules(tracking(), PAWS, ChoiceSpec()), 250.0)
    every["best candidate"] = take_nearest(found(), truth())
    ways = {name: compare(v, truth(), PAWS) for name, v in every.items()}
    peak = ways["highest peak"]
    assert peak["all"]["far"] == pytest.approx(11 / (4 * F))
    assert (peak["side"]["far"], peak["below"]["far"]) == (pytest.approx(11 / (2 * F)), 0.0)
    assert peak["all"]["on_another"] == 1.0
    assert (peak["all"]["n_confident"], peak["all"]["far_confident"]) == (3 * F, 0.0)
    assert ways["highest peak, filtered"]["all"]["n"] == 4 * F
    for name in list(ways)[2:]:
        assert ways[name]["all"]["far"] == 0.0, name
        assert ways[name]["all"]["on_another"] is None
    assert impossible(every["highest peak"], PAWS) == {
        "steps_side": pytest.approx(2 / (2 * (F - 1))),
        "steps_below": 0.0,
        "views_apart": pytest.approx(11 / (2 * F)),
    }
    assert sum(impossible(every["candidates, prior, prediction"], PAWS).values()) == 0.0
    figures = {
        **conditions(), "package": "0" * 64, "spec": vars(ChoiceSpec()), "subspaces": ["a"],
        "candidates": 1.2,
        "time_us": {"choose": percentiles(np.array(every["candidates, prior, prediction"].choose_us))},
        "video": {name: impossible(v, PAWS) for name, v in every.items()}, "video_frames": F,
        "labels": ways, "labeled_frames": F, "other": {"frames": F, "left_out": 0.25, "ways": ways},
    }  # fmt: skip
    text = table(json.loads(json.dumps(figures)))
    assert text.count("| highest peak ") == 3
    assert "in 25.00 % of the points they do not agree" in text


def test_a_confidence_that_is_right_as_often_as_it_says_has_no_error() -> None:
    apart = np.array([0.0] * 9 + [50.0] + [np.nan])
    assert reliability(np.full(11, 0.9), apart)["expected_calibration_error"] == pytest.approx(0.0)
    sure = reliability(np.full(11, 1.0), apart)
    assert sure["expected_calibration_error"] == pytest.approx(0.1)
    assert sure["bins"] == [{"n": 10, "confidence": 1.0, "right": 0.9}]


def test_networks_agree_where_all_but_one_are_near(tmp_path: Path) -> None:
    names = ["paw1_top", "paw1_bot"]
    for i in range(5):
        values = np.full((4, 2, 3), 100.0)
        values[..., 2] = 0.9
        values[0, 0, 0] += 500.0 * (i == 0)
        values[1, 0, 0] += 30.0 * (i < 2)
        write_predictions(tmp_path / f"{i}.csv", names, list("0123"), FIELDS, values)
    reference, left_out = agreed_median(tmp_path, KEYPOINTS, 3)
    assert reference.shape == (3, K, 2)
    assert np.isfinite(reference[:, 0, 0]).tolist() == [True, False, True]
    assert np.isfinite(reference[:, 3, 0]).all()
    assert np.isnan(reference[:, 1]).all()
    assert left_out == pytest.approx(1 / 6)
    with pytest.raises(UserError, match="expected three networks or more"):
        agreed_median(tmp_path / "none", KEYPOINTS, 3)
    with pytest.raises(UserError, match="agree nowhere"):
        compare(take_nearest(found(), truth()), np.full((F, K, 2), np.nan), PAWS)


def test_paws_are_found_by_their_names_in_both_views() -> None:
    assert paws_of(KEYPOINTS) == PAWS
    for names in (["nose"], ["paw1_top", "nose"]):
        with pytest.raises(UserError, match="no paws in two views"):
            paws_of(names)
