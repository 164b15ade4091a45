"""The tracking benchmark's figures and its page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.tracking import motion as tracking_motion
from bench.tracking.ensembles import series, smoother_time
from bench.tracking.motion import coverage, covered, occlusion, prediction_table, times
from bench.tracking.page import page, text
from rt_pose.offline.prediction_files import FIELDS, write_predictions


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking_motion, "SECONDS", 4.0)
    monkeypatch.setattr("rt_pose.offline.pattern_search.MOST_ROUNDS", 3)
    monkeypatch.setattr("bench.tracking.ensembles.SMOOTHER_FRAMES", 300)
    monkeypatch.setattr("bench.tracking.ensembles.SMOOTHER_KEYPOINTS", 2)


def test_prediction_at_rest_is_no_worse_than_the_raw_noise(short: None) -> None:
    row = prediction_table(None)["at rest"]
    assert row["200"]["ours"] < 1.0
    assert 0.8 < row["200"]["no filter"] < 1.2


def test_the_hidden_truth_stays_inside() -> None:
    found = occlusion(trials=100)
    assert found["grows"]
    assert found["lost_after_1s"]
    assert found["inside_99_mean_while_hidden"] > 0.95


def test_covered_counts_what_lies_inside() -> None:
    e = np.random.default_rng(0).normal(0, 2, (4000, 2))
    shares = covered(e, np.tile(4.0 * np.eye(2), (4000, 1, 1)))
    np.testing.assert_allclose(list(shares.values()), [0.5, 0.9, 0.99], atol=0.03)


def test_the_page_holds_every_table(short: None, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    names = [f"{paw}_{view}" for view in ("top", "bot") for paw in ("paw1LH", "paw2LF", "paw3RF", "paw4RH")]
    for folder, keypoints in (("mirror-mouse", names), ("ibl-pupil", ["a", "b", "c", "d"])):
        (tmp_path / folder).mkdir()
        truth = 100 + np.cumsum(random.normal(0, 1, (60, len(keypoints), 2)), axis=0)
        for i in range(3):
            xy = truth + random.normal(0, 1, truth.shape)
            values = np.concatenate([xy, np.full((60, len(keypoints), 1), 0.95)], axis=-1)
            write_predictions(
                tmp_path / folder / f"{i}.csv", keypoints, [str(f) for f in range(60)], FIELDS, values
            )
    results = {
        "machine": {"cpu": "some <cpu>", "cores_usable": 2},
        "time_us": {"8": {"calm": times(8, prior=False, frames=50), "wild": times(8, prior=True, frames=50)}},
        "smoother": smoother_time(None, repeats=1),
        "prediction_rmse_px": {
            "frozen": tracking_motion.FROZEN,
            "rows": prediction_table(None),
            "curve_30": tracking_motion.curve_at_30(),
        },
        "occlusion": occlusion(trials=5),
        "coverage_simulated": {"x": next(iter(coverage(frames=300).values()))},
        "ensembles": series(tmp_path),
    }
    html = page(results)
    assert "some &lt;cpu&gt;" in html
    assert "nan" not in html.lower().replace("nano", "")
    for words in ("Prediction 50 ms ahead", "Hidden for a second", "mirror-mouse", "paw1LH_top", "Coverage"):
        assert words in html
        assert words in text(results)
