"""Ensemble smoothing: equal to another implementation, and right where the truth is known."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ornstein import discretised

from rt_pose.cli.main import main
from rt_pose.errors import UserError
from rt_pose.offline.ensemble import (
    FLOOR_PX2,
    TAU_FRAMES,
    Ensemble,
    ensemble_of,
    smooth_single,
    write_smoothed,
)
from rt_pose.offline.latents import smooth_multiview, smooth_pupil
from rt_pose.offline.prediction_files import (
    FIELDS,
    SMOOTHED_FIELDS,
    Predictions,
    read_predictions,
    write_predictions,
)
from rt_pose.offline.rows import UNKNOWN_PX2
from rt_pose.types import FloatArray

FRAMES = 300


def predictions(xy: FloatArray, names: list[str], likelihood: float = 0.9) -> Predictions:
    return Predictions(names, [str(i) for i in range(len(xy))], xy, np.full(xy.shape[:2], likelihood))


def members(truth: FloatArray, noise: float, seed: int, names: list[str]) -> list[Predictions]:
    random = np.random.default_rng(seed)
    return [predictions(truth + random.normal(0, noise, truth.shape), names) for _ in range(5)]


def circling(frames: int = FRAMES) -> FloatArray:
    """(F, 1, 2)."""
    phase = np.arange(frames) / 20
    return (100 + 40 * np.stack([np.cos(phase), np.sin(phase)], axis=1))[:, None]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), hidden=st.lists(st.integers(1, 11), max_size=5))
def test_single_view_equals_filterpy(seed: int, hidden: list[int]) -> None:
    random = np.random.default_rng(seed)
    z, var = 50 + random.normal(0, 5, (12, 1, 2)), random.uniform(0.01, 9, (12, 1, 2))
    z[hidden] = np.nan
    ensemble = Ensemble(["k"], [str(i) for i in range(12)], z, var, np.ones((12, 1)))
    found = smooth_single(ensemble, q=np.array([0.5]))
    F, Q = discretised(1.0, 0.5, TAU_FRAMES)
    for axis in (0, 1):
        kalman = KalmanFilter(dim_x=2, dim_z=1)
        kalman.F, kalman.Q, kalman.H = F, Q, np.array([[1.0, 0.0]])
        kalman.x, kalman.P = np.array([z[0, 0, axis], 0.0]), np.diag([UNKNOWN_PX2, 0.5 * TAU_FRAMES / 2])
        means, covs = [], []
        for i in range(12):
            if i:
                kalman.predict()
            if np.isfinite(z[i, 0, axis]):
                kalman.update(z[i, 0, axis], R=np.array([[var[i, 0, axis] + FLOOR_PX2]]))
            means.append(kalman.x.copy())
            covs.append(kalman.P.copy())
        smoothed, P, _, _ = kalman.rts_smoother(np.array(means), np.array(covs))
        np.testing.assert_allclose(found.xy[:, 0, axis], smoothed[:, 0], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found.var[:, 0, axis], P[:, 0, 0], rtol=1e-6, atol=1e-6)


def test_the_smoothed_is_nearer_to_the_truth_than_the_median() -> None:
    ensemble = ensemble_of(members(circling(), 3.0, 0, ["k"]))
    found = smooth_single(ensemble)
    apart = np.linalg.norm(found.xy - circling(), axis=-1).mean()
    assert apart < 0.7 * np.linalg.norm(ensemble.median - circling(), axis=-1).mean()
    inside = np.abs(found.xy - circling()) < 2.0 * np.sqrt(found.var)
    assert inside.mean() > 0.9


def test_where_members_disagree_the_neighbours_decide() -> None:
    ensemble = ensemble_of(members(circling(), 1.0, 1, ["k"]))
    ensemble.median[150:154] += 60.0
    ensemble.var[150:154] = 2500.0
    found = smooth_single(ensemble)
    assert np.abs(found.xy[150:154] - circling()[150:154]).max() < 12.0


def test_frames_that_nobody_saw_are_filled_in_and_uncertain() -> None:
    truth = circling()
    seen = members(truth, 1.0, 2, ["k"])
    for member in seen:
        member.xy[100:105] = np.nan
    found = smooth_single(ensemble_of(seen))
    assert np.abs(found.xy[100:105] - truth[100:105]).max() < 5.0
    assert found.var[102].min() > 2 * found.var[90].max()


def in_views(frames: int = FRAMES) -> FloatArray:
    """(F, 2, 2): a point in space from the side and from below."""
    t = np.arange(frames) / 15
    x, y, z = 60 * np.sin(t), 20 * np.cos(2 * t), 15 * np.sin(3 * t)
    return np.stack([np.stack([x, y], axis=1), np.stack([x, z + 200], axis=1)], axis=1)


def test_in_two_views_one_corrects_the_other() -> None:
    seen = members(in_views(), 1.0, 3, ["side", "below"])
    for member in seen[:3]:
        member.xy[100:110, 0, 0] += 50.0  # the median with them
    ensemble = ensemble_of(seen)
    alone, together = smooth_single(ensemble), smooth_multiview(ensemble, [["side", "below"]])
    error = [np.abs(s.xy[100:110, 0, 0] - in_views()[100:110, 0, 0]).max() for s in (alone, together)]
    assert error[1] < 0.8 * error[0]
    assert (
        np.abs(together.xy[:90] - in_views()[:90]).mean()
        < np.abs(ensemble.median[:90] - in_views()[:90]).mean()
    )
    assert (together.var[:, 0] != together.var[:, 1]).any(), "each view has its own variance"


def pupil(frames: int = FRAMES) -> tuple[FloatArray, FloatArray]:
    """(F, 4, 2) top, bottom, left, right; and the diameter (F,)."""
    t = np.arange(frames) / 40
    diameter = 20 + 3 * np.sin(t)
    centre = np.stack([50 + 5 * np.sin(2 * t), 40 + 2 * np.cos(t)], axis=1)
    offset = np.array([[0, -0.5], [0, 0.5], [-0.5, 0], [0.5, 0]])
    return centre[:, None] + offset * diameter[:, None, None], diameter


def test_a_pupil_has_one_diameter_and_one_centre() -> None:
    truth, diameter = pupil()
    ensemble = ensemble_of(members(truth, 0.8, 4, ["t", "b", "l", "r"]))
    points = {"top": "t", "bottom": "b", "left": "l", "right": "r"}
    found, size, centre = smooth_pupil(ensemble, points)
    assert np.abs(size - diameter).mean() < 0.3
    np.testing.assert_allclose(found.xy[:, 1, 1] - found.xy[:, 0, 1], size, rtol=1e-9)
    np.testing.assert_allclose(found.xy[:, 2:].mean(axis=1), centre, rtol=1e-9)
    assert np.abs(found.xy - truth).mean() < 0.6 * np.abs(ensemble.median - truth).mean()


def test_files_in_and_out_are_the_smoothers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for i, member in enumerate(members(np.repeat(circling(40), 2, axis=1), 1.0, 5, ["a", "b"])):
        values = np.concatenate([member.xy, member.likelihood[..., None]], axis=-1)
        values[7, 0] = np.nan
        write_predictions(tmp_path / f"{i}.csv", ["a", "b"], member.frames, FIELDS, values)
        files.append(str(tmp_path / f"{i}.csv"))
    assert main(["smooth", *files, "--out", str(tmp_path / "out.csv")]) == 0
    rows = list(csv.reader((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[1] == ["bodyparts", *["a"] * 9, *["b"] * 9]
    assert rows[2] == ["coords", *SMOOTHED_FIELDS, *SMOOTHED_FIELDS]
    assert rows[10][4] == rows[10][5] == "", "no member saw it"
    assert rows[10][1] != ""
    again = read_predictions(tmp_path / "out.csv")
    assert again.keypoints == ["a", "b"]
    assert np.isfinite(again.xy).all()
    assert main(["smooth", *files, "--out", str(tmp_path / "x.csv"), "--mode", "multiview"]) == 2
    assert "needs `--parts`" in capsys.readouterr().err
    arguments = ["--mode", "multiview", "--parts", "a=c"]
    assert main(["smooth", *files, "--out", str(tmp_path / "x.csv"), *arguments]) == 2
    assert "no keypoint 'c'" in capsys.readouterr().err
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the header rows"),
        ("scorer,a,a,a\nbodyparts,k,k,k\ncoords,x,y,likelihood\n", "not one frame"),
        ("scorer,a,a\nbodyparts,k,k\ncoords,x,y\n0,1,2\n", "no column likelihood"),
        ("scorer,a,a,a\nbodyparts,k,k,k\ncoords,x,y,likelihood\n0,1,2,oops\n", "oops"),
        (
            "scorer,a,a,a\nbodyparts,k,k,k\ncoords,x,y,likelihood\n0,1,2,3,4\n",
            "4 cells where the header has 3",
        ),
        (
            "scorer,a,a,a\nbodyparts,k,k,k\ncoords,x,y,likelihood\n0,1,2,1\n1,3,1e19,1\n",
            r"row 5: y of 'k' is 1e\+19 px, which is no place in an image",
        ),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_predictions(tmp_path / "bad.csv")


def numbered(xy: FloatArray, names: list[str], frames: list[str]) -> Predictions:
    return Predictions(names, frames, xy, np.full(xy.shape[:2], 0.9))


def test_members_are_aligned_by_the_numbers_of_their_frames() -> None:
    truth = circling(60)
    late = numbered(truth[3:], ["k"], [f"{i}.0" for i in range(3, 60)])
    short = numbered(truth[:57], ["k"], [str(i) for i in range(57)])
    ensemble = ensemble_of([late, short])
    assert ensemble.frames == [*short.frames, *late.frames[54:]]
    np.testing.assert_allclose(ensemble.median, truth)
    assert "lacks 3 of the 60 frames" in ensemble.notes[0]
    assert len(ensemble.notes) == 2


def test_frames_that_no_file_has_take_their_time_and_are_not_written(tmp_path: Path) -> None:
    truth = circling(60)
    kept = [i for i in range(60) if not 20 <= i < 30]
    members = [numbered(truth[kept], ["k"], [str(i) for i in kept]) for _ in range(2)]
    ensemble = ensemble_of(members)
    smoothed = smooth_single(ensemble)
    np.testing.assert_allclose(smoothed.xy[kept], truth[kept], atol=1.0)
    write_smoothed(tmp_path / "out.csv", ensemble, smoothed)
    assert read_predictions(tmp_path / "out.csv").frames == [str(i) for i in kept]


def test_members_name_their_keypoints_in_any_order() -> None:
    truth = in_views(20)
    turned = predictions(truth[:, ::-1], ["below", "side"])
    np.testing.assert_allclose(ensemble_of([predictions(truth, ["side", "below"]), turned]).median, truth)


@pytest.mark.parametrize("mode", [["single"], ["pupil", "top=t", "bottom=b", "left=l", "right=r"]])
def test_a_keypoint_that_nobody_ever_saw_is_blank(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: list[str]
) -> None:
    truth, _ = pupil(40)
    truth[:, 2] = np.nan
    files = []
    for i, member in enumerate(members(truth, 0.5, 6, ["t", "b", "l", "r"])):
        values = np.concatenate([member.xy, member.likelihood[..., None]], axis=-1)
        write_predictions(tmp_path / f"{i}.csv", member.keypoints, member.frames, FIELDS, values)
        files.append(str(tmp_path / f"{i}.csv"))
    parts = ["--parts", *mode[1:]] if mode[1:] else []
    assert main(["smooth", *files, "--out", str(tmp_path / "out.csv"), "--mode", mode[0], *parts]) == 0
    rows = list(csv.reader((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()))
    assert all(row[19:28] == [""] * 9 for row in rows[3:])
    assert all("" not in [*row[1:4], *row[28:31]] for row in rows[3:])
    assert "never seen, so left blank: l" in capsys.readouterr().out


def test_a_part_never_seen_in_one_view_is_told() -> None:
    seen = members(in_views(), 1.0, 3, ["side", "below"])
    for member in seen:
        member.xy[:, 1] = np.nan
    with pytest.raises(UserError, match=r"side=below is seen in all its views in 0 frames"):
        smooth_multiview(ensemble_of(seen), [["side", "below"]])


def test_names_and_paths_come_out_as_they_went_in(tmp_path: Path) -> None:
    keypoints = ["nose, tip", 'ear "left"', "nan"]
    paths = [f"labeled-data/nanny, 2/nan_img{i:03d}.png" for i in range(12)]
    truth = np.repeat(circling(12), 3, axis=1)
    files = []
    for i in range(2):
        values = np.concatenate([truth, np.full((12, 3, 1), 0.9)], axis=-1)
        values[4, 1] = np.nan
        write_predictions(tmp_path / f"{i}.csv", keypoints, paths, FIELDS, values)
        files.append(str(tmp_path / f"{i}.csv"))
    assert main(["smooth", *files, "--out", str(tmp_path / "out.csv")]) == 0
    again = read_predictions(tmp_path / "out.csv")
    assert (again.keypoints, again.frames) == (keypoints, paths)
    np.testing.assert_allclose(again.xy[:, 0], truth[:, 0], atol=1.0)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (["7"] * 10, "frame 7 stands in more than one row"),
        ([str(i) for i in range(50, 60)], "none of which another member has"),
        ([f"img{i}.png" for i in range(10)], "none of which another member has"),
        (["0", *(str(10**12 + i) for i in range(9))], "expected numbers of frames"),
    ],
)
def test_first_columns_that_cannot_be_aligned_are_told(frames: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ensemble_of([predictions(circling(10), ["k"]), numbered(circling(10), ["k"], frames)])


def test_members_of_different_keypoints_are_told() -> None:
    with pytest.raises(UserError, match="keypoints differ"):
        ensemble_of([predictions(circling(10), ["k"]), predictions(circling(10), ["l"])])
