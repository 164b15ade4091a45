"""The comparison of a DeepLabCut project's networks: consensus, who is the outlier, and the whole program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.labeled_folder import make_discs_video, make_labeled_folder, read_rows, write_rows
from support.tiny_package import make_tiny_package

from bench.openfield.consensus import (
    Limits,
    NetworkPoses,
    by_likelihood,
    consensus,
    consensus_distances,
    leave_one_out,
    outlier_frames,
    pooled_by_likelihood,
    spread,
)
from bench.openfield.program import find, main
from rt_pose.errors import UserError
from rt_pose.offline.prediction_files import FIELDS, read_predictions, write_predictions
from rt_pose.types import FloatArray

NAMES = ["k0", "k1", "k2"]
LIMITS = Limits(agree_px=5.0, outlier_px=20.0)
TRUTH = np.random.default_rng(0).uniform(50, 400, (60, 2, 2))


def found(name: str, shift: float = 0.0, likelihood: float = 0.9) -> NetworkPoses:
    """A network that is `shift` px right of the truth everywhere."""
    return NetworkPoses(name, TRUTH + np.array([shift, 0.0]), np.full(TRUTH.shape[:2], likelihood))


def test_the_consensus_is_the_median_and_is_silent_where_they_disagree() -> None:
    networks = [found("a"), found("b", 1.0), found("c", 2.0)]
    networks[2].xy[7, 1] += 300.0
    agreed = consensus(networks, LIMITS.agree_px)
    np.testing.assert_allclose(agreed[0], TRUTH[0] + [1.0, 0.0])
    assert np.isnan(agreed[7, 1]).all()
    assert np.isfinite(agreed).all(axis=-1).sum() == TRUTH.shape[0] * 2 - 1


def test_a_network_is_judged_by_the_others_only() -> None:
    """One that is far off neither judges itself nor spoils the figures of ours."""
    others = [found("a"), found("b", 1.0), found("c", 0.0), found("far", 40.0)]
    rows = leave_one_out(found("ours", 3.0), others, ["nose", "tail"], LIMITS)
    assert rows["far"]["theirs"]["all"]["median_px"] == pytest.approx(40.0)
    assert rows["far"]["theirs"]["nose"]["outliers"] == 1.0
    assert rows["far"]["ours"]["all"]["median_px"] == pytest.approx(3.0)
    assert rows["far"]["ours"]["all"]["n"] == 120
    # With it among the judges nobody agrees.
    assert rows["a"]["theirs"]["all"] == {"n": 0}


def test_a_keypoint_that_was_not_given_is_an_outlier_and_keeps_the_quantiles_finite() -> None:
    ours = found("ours", 1.0)
    ours.xy[3, 0] = np.nan
    apart = consensus_distances(ours, consensus([found("a"), found("b"), found("c")], LIMITS.agree_px))
    assert np.isinf(apart[3, 0])
    figures = spread(apart, LIMITS)
    assert figures["p99_px"] == pytest.approx(1.0)
    assert figures["outliers"] == pytest.approx(1 / 120)
    assert outlier_frames(apart, LIMITS) == {"judged": 60, "outliers": 1}


def test_bins_of_likelihood_hold_every_keypoint_once() -> None:
    ours = found("ours", 2.0)
    ours.likelihood[:, 0] = np.linspace(0.0, 1.0, 60)
    apart = np.full((60, 2), 2.0)
    apart[:, 0] = np.where(ours.likelihood[:, 0] < 0.3, 30.0, 1.0)
    rows = by_likelihood(ours.likelihood, apart, LIMITS)
    assert sum(row["n"] for row in rows) == 120
    assert [row["outliers"] for row in rows if row["to"] <= 0.3] == [1.0, 1.0]
    assert all(row["outliers"] == 0 for row in rows if row["from"] >= 0.3)
    networks = [found("a"), found("b"), found("c"), found("d", 30.0, likelihood=0.05)]
    pooled = pooled_by_likelihood(networks, LIMITS)
    assert pooled == [{"from": 0.0, "to": 0.1, **spread(np.full((60, 2), 30.0), LIMITS)}]


def write_network(path: Path, xy: FloatArray, likelihood: float = 0.9) -> None:
    values = np.concatenate([xy, np.full((*xy.shape[:2], 1), likelihood)], axis=-1)
    write_predictions(path, NAMES, [str(i) for i in range(len(xy))], FIELDS, values)


def test_hdf_and_csv_say_the_same(tmp_path: Path) -> None:
    import pandas

    xy = np.random.default_rng(1).uniform(0, 90, (5, 3, 2))
    write_network(tmp_path / "net.csv", xy)
    pandas.read_csv(tmp_path / "net.csv", header=[0, 1, 2], index_col=0).to_hdf(tmp_path / "net.h5", key="df")
    csv, hdf = (read_predictions(tmp_path / f"net.{kind}") for kind in ("csv", "h5"))
    assert hdf.keypoints == csv.keypoints == NAMES
    assert hdf.frames == csv.frames
    np.testing.assert_allclose(hdf.xy, csv.xy)
    np.testing.assert_allclose(hdf.likelihood, csv.likelihood)
    reordered = find(tmp_path / "net.h5", NAMES[::-1], "net")
    np.testing.assert_allclose(reordered.xy, csv.xy[:, ::-1])
    (tmp_path / "none.h5").write_text("no table")
    with pytest.raises(UserError, match=r"predictions .*none\.h5: not a table"):
        read_predictions(tmp_path / "none.h5")


def test_the_program_measures_a_package_beside_three_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_labeled_folder(tmp_path / "project", frames=8)
    rows = read_rows(data)
    rows[1] = ["bodyparts", *[name for name in NAMES for _ in "xy"]]
    write_rows(data, rows)
    make_discs_video(data / "videos" / "other.avi", frames=12)
    make_tiny_package(tmp_path / "package", keypoints=3)
    arguments = ["--data", str(data), "--work", str(tmp_path / "work"), "--model", str(tmp_path / "package")]
    (data / "predictions").mkdir()
    assert main(arguments) == 2
    assert "0 prediction files" in capsys.readouterr().err
    for i in range(3):
        write_network(data / "predictions" / f"net{i}.csv", np.full((12, 3, 2), 50.0) + i)
    assert main([*arguments, "--note", "Of <discs>.", "--out", str(tmp_path / "result")]) == 0
    poses = read_predictions(tmp_path / "work" / "poses.csv")
    apart = np.linalg.norm(poses.xy - 51.0, axis=-1)
    figures = json.loads((tmp_path / "result.json").read_text())
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == figures
    assert figures["ours"]["all"]["n"] == 36
    assert figures["ours"]["all"]["median_px"] == pytest.approx(np.percentile(apart, 50, method="lower"))
    assert figures["left_out"]["net0"]["theirs"]["all"]["median_px"] == pytest.approx(1.5 * np.sqrt(2))
    assert figures["validation"]["n"] == 24
    assert "Of <discs>." in (tmp_path / "result.md").read_text()
    assert "Of &lt;discs&gt;." in (tmp_path / "result.html").read_text()
    assert "<svg" in (tmp_path / "result.html").read_text()
    assert "data:image" not in (tmp_path / "result.html").read_text()
    assert "data:image/png" in (tmp_path / "work" / "worst.html").read_text()
