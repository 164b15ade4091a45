"""`rt-pose smooth` on files as people give them: gaps of members, one network, several cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rt_pose.cli.main import main
from rt_pose.errors import UserError
from rt_pose.offline.ensemble import bound_notes, ensemble_of, smooth_single
from rt_pose.offline.prediction_files import (
    FIELDS,
    Predictions,
    read_predictions,
    write_predictions,
    write_table,
)
from rt_pose.offline.smooth_files import smooth_files
from rt_pose.types import FloatArray


def circling(frames: int, keypoints: int = 1) -> FloatArray:
    """(F, K, 2) px; each keypoint 60 px to the right of the one before."""
    phase = np.arange(frames) / 20
    circle = 100 + 40 * np.stack([np.cos(phase), np.sin(phase)], axis=1)
    return circle[:, None] + np.array([60.0, 0.0]) * np.arange(keypoints)[:, None]


def write(path: Path, xy: FloatArray, likelihood: float = 0.9) -> Path:
    """A file of predictions with the keypoints a, b, ..."""
    names = [chr(ord("a") + k) for k in range(xy.shape[1])]
    values = np.concatenate([xy, np.full((*xy.shape[:2], 1), likelihood)], axis=-1)
    write_predictions(path, names, [str(i) for i in range(len(xy))], FIELDS, values)
    return path


def test_a_point_that_one_member_has_is_trusted_by_its_likelihood() -> None:
    truth, random = circling(120), np.random.default_rng(0)
    members = [
        Predictions(
            ["k"],
            [str(i) for i in range(120)],
            truth + random.normal(0, 1, truth.shape),
            np.full((120, 1), 0.9),
        )
        for _ in range(3)
    ]
    without = smooth_single(ensemble_of(members))
    for member in members[1:]:
        member.xy[60] = np.nan
    members[0].xy[60] += 60.0
    members[0].likelihood[60] = 0.2
    ensemble = ensemble_of(members)
    assert ensemble.likelihood[60, 0] == pytest.approx(0.2 / 3), "who does not have it counts as 0"
    np.testing.assert_allclose(ensemble.var[60, 0], 1 / ensemble.likelihood[60, 0])
    found = smooth_single(ensemble)
    assert found.q[0] < 10 * without.q[0]
    assert np.linalg.norm(found.xy[60] - truth[60]) < 10.0
    members[0].likelihood[60] = np.nan
    assert np.isfinite(smooth_single(ensemble_of(members)).xy).all(), "a cell without a likelihood is doubted"


def test_strengths_at_the_bounds_of_their_search_are_told() -> None:
    xy = np.repeat(circling(60), 3, axis=1)
    xy[:, 0] = 50.0
    xy[:, 2] = np.random.default_rng(1).uniform(0, 5000, (60, 2))
    members = [
        Predictions(["still", "moving", "wild"], [str(i) for i in range(60)], xy, np.ones((60, 3)))
        for _ in range(2)
    ]
    found = smooth_single(ensemble_of(members))
    assert (found.lowest, found.highest) == (["still"], ["wild"])
    low, high = bound_notes(found)
    assert "lower bound of its search: still" in low
    assert "upper bound of its search: wild" in high


def test_files_of_several_cameras_are_refused_with_those_that_belong_together(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    truth = circling(60, 3)
    cameras = {"left": truth, "right": [400.0, 300.0] - truth[..., ::-1], "top": 0.5 * truth + [90.0, 10.0]}
    files = [
        write(tmp_path / f"{name}{i}.csv", xy + random.normal(0, 2, xy.shape))
        for i in range(3)
        for name, xy in cameras.items()
    ]
    with pytest.raises(UserError, match="not of one view") as refused:
        smooth_files(files, tmp_path / "out.csv", "single", [])
    groups = [[Path(cell).name for cell in line.split(", ")] for line in str(refused.value).splitlines()[1:4]]
    assert [name.strip() for group in groups for name in group] == [
        f"{name}{i}.csv" for name in cameras for i in range(3)
    ]
    assert not (tmp_path / "out.csv").exists()
    smooth_files(files[::3], tmp_path / "out.csv", "single", [])
    assert (tmp_path / "out.csv").exists()


def test_real_cameras_are_told_apart_and_networks_are_not(data_dir: Path, tmp_path: Path) -> None:
    separate = data_dir / "eks-ensembles/mirror-mouse-separate"
    with pytest.raises(UserError, match="not of one view"):
        smooth_files(sorted(separate.glob("*.csv")), tmp_path / "out.csv", "single", [])
    (line,) = (
        line
        for line in smooth_files(sorted(separate.glob("*.top.csv")), tmp_path / "out.csv", "single", [])
        if "members" in line
    )
    assert line.startswith("5 members, 501 frames")


def test_one_networks_file_is_improved_or_it_says_that_it_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keypoint a jitters and jumps twice; b darts about, so that its noise cannot be seen."""
    random = np.random.default_rng(3)
    truth = circling(80, 2)
    truth[:, 1] += np.cumsum(np.random.default_rng(7).normal(0, 20, (80, 2)), axis=0)
    seen = truth + random.normal(0, 2, truth.shape)
    seen[:, 1] = truth[:, 1]
    seen[[30, 60], 0] += 70.0
    file = write(tmp_path / "net.csv", seen)
    twin = write(tmp_path / "again.csv", seen)
    assert main(["smooth", str(file), str(twin), "--out", str(tmp_path / "out.csv")]) == 0
    said = capsys.readouterr().out
    assert "again.csv holds the positions of" in said
    assert "1 member, 80 frames, 2 keypoints" in said
    assert "does not tell their noise from their movement, so they are left as they are: b\n" in said
    found = read_predictions(tmp_path / "out.csv")
    before, after = (np.linalg.norm(xy - truth, axis=-1) for xy in (seen, found.xy))
    assert after[:, 0].mean() < 0.7 * before[:, 0].mean()
    assert after[[30, 60], 0].max() < 10.0
    assert after[:, 1].max() < 1e-4


def test_each_animal_of_a_table_is_smoothed_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(5)
    truth = np.stack([circling(80, 2), circling(80, 2)[::-1] + 300.0], axis=1)  # (F, N, K, 2)
    seen = truth + random.normal(0, 2, truth.shape)
    seen[:10, 1] = seen[40:44, 1] = np.nan  # the second one comes later, and hides for a while
    values = np.concatenate([seen, np.where(np.isnan(seen[..., :1]), np.nan, 0.9)], axis=-1)
    file, out = tmp_path / "two.csv", tmp_path / "out.csv"
    frames = [str(i) for i in range(80)]
    write_table(file, ["a", "b"], FIELDS, zip(frames, values, strict=True), individuals=["ada", "bo"])
    assert main(["smooth", str(file), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 animals, 80 frames, 2 keypoints, each animal by itself" in said
    assert "bo: one network" in said
    found = read_predictions(out, several=True)
    assert (found.individuals, found.frames) == (["ada", "bo"], frames)
    assert np.isnan(found.xy[:10, 1]).all()
    assert np.isfinite(found.xy[10:, 1]).all()
    before, after = (np.linalg.norm(xy - truth, axis=-1) for xy in (seen, found.xy))
    assert (np.nanmean(after, axis=(0, 2)) < 0.7 * np.nanmean(before, axis=(0, 2))).all()
    for more in (["--mode", "multiview", "--parts", "a=b"], [str(write(tmp_path / "one.csv", truth[:, 0]))]):
        assert main(["smooth", str(file), *more, "--out", str(tmp_path / "no.csv")]) == 2
        assert "two.csv holds 2 animals; expected it by itself" in capsys.readouterr().err
