"""Several networks over videos, and one smoothed table of each."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.disc_videos import write_disc_video
from support.tiny_package import DeepDiscFinder, make_tiny_package

from rt_pose.cli.main import main
from rt_pose.errors import UserError
from rt_pose.offline.members import find_members
from rt_pose.offline.poses_csv import read_poses
from rt_pose.offline.prediction_files import SMOOTHED_FIELDS
from rt_pose.package import read_package, write_manifest

NETWORK = ["--engine.precision", "float32", "--engine.preprocess", "dali"]


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `train fit --seeds` fills it."""
    folder = tmp_path_factory.mktemp("ensemble")
    make_tiny_package(folder / "seed-0" / "package")
    make_tiny_package(folder / "seed-10" / "package", network=DeepDiscFinder)
    make_tiny_package(folder / "seed-2" / "package", seed=1)
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a.avi", "b/c.avi"):
        write_disc_video(folder / name, frames=12)
    return folder


def test_one_command_from_the_members_to_a_smoothed_table(
    ensemble: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "poses.csv"
    assert (
        main(
            [
                "predict",
                "--model",
                str(ensemble),
                "--video",
                str(videos / "a.avi"),
                "--out",
                str(out),
                *NETWORK,
            ]
        )
        == 0
    )
    own = sorted((tmp_path / "poses.members").rglob("*.csv"))
    assert [path.parent.name for path in own] == ["seed-0", "seed-10", "seed-2"]
    assert main(["smooth", *map(str, own), "--out", str(tmp_path / "smooth.csv")]) == 0
    assert out.read_bytes() == (tmp_path / "smooth.csv").read_bytes()
    header = out.read_text().splitlines()[2].split(",")[1:10]
    assert tuple(header) == SMOOTHED_FIELDS
    assert {"x_posterior_var", "y_posterior_var"} < set(header)
    members = np.stack([read_poses(path).xy for path in own])
    assert np.nanmax(np.abs(members[0] - members[1])) > 0.01, "the networks differ"
    assert np.nanmax(np.abs(read_poses(out).xy - np.nanmedian(members, axis=0))) < 3
    assert "3 members smoothed, 12 frames, posterior standard deviation" in capsys.readouterr().out


def test_many_videos_are_each_done_once_and_one_that_fails_is_told(
    ensemble: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = shutil.copytree(videos, tmp_path / "videos")
    (bad / "b" / "cut.avi").write_bytes((bad / "a.avi").read_bytes()[:40])
    models = [str(ensemble / "seed-0" / "package"), str(ensemble / "seed-10")]
    command = ["predict", "--model", *models, "--videos", str(bad), "--out", str(tmp_path / "out"), *NETWORK]
    assert main(command) == 1
    messages = capsys.readouterr().out
    assert "2 predicted, 0 done before, 1 failed" in messages
    assert "failed: b/cut.avi: seed-0: " in messages
    tables = sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.csv"))
    names = [
        "a.csv",
        "b/c.csv",
        *(f"members/{m}/{t}" for m in ("seed-0", "seed-10") for t in ("a.csv", "b/c.csv")),
        "overview.csv",
    ]
    assert [str(t) for t in tables] == names
    (bad / "b" / "cut.avi").unlink()
    (tmp_path / "out" / "a.csv").unlink()
    kept = (tmp_path / "out" / "b" / "c.csv").stat().st_mtime_ns
    assert main(command) == 0
    assert "1 predicted, 1 done before, 0 failed" in capsys.readouterr().out
    assert (tmp_path / "out" / "b" / "c.csv").stat().st_mtime_ns == kept


def test_members_are_in_order_of_their_seeds_and_named_apart(ensemble: Path, tmp_path: Path) -> None:
    assert [m.name for m in find_members([ensemble], "--model")] == ["seed-0", "seed-2", "seed-10"]
    shutil.copytree(ensemble / "seed-2" / "package", tmp_path / "seed-0" / "package")
    both = find_members([ensemble / "seed-0", tmp_path / "seed-0" / "package"], "--model")
    assert [m.name for m in both] == ["seed-0", "seed-0.2"]


def test_what_is_no_ensemble_is_refused(ensemble: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--model .*nowhere|no such folder"):
        find_members([ensemble, tmp_path / "nowhere"], "--model")
    with pytest.raises(
        UserError, match=r"neither a package nor the folder of an ensemble; expected manifest\.json"
    ):
        find_members([tmp_path], "--model")
    with pytest.raises(UserError, match=r"are one network; give it once"):
        find_members([ensemble, ensemble / "seed-2"], "--model")
    unfinished = shutil.copytree(ensemble, tmp_path / "unfinished")
    shutil.rmtree(unfinished / "seed-2" / "package")
    with pytest.raises(UserError, match=r"no package of seed-2: its training failed or has not ended"):
        find_members([unfinished], "--model")
    other = make_tiny_package(tmp_path / "other", keypoints=3)
    with pytest.raises(UserError, match=r"has 3 keypoints, not the 4 of .*: 'k3' is in one of them only"):
        find_members([ensemble, other.path], "--model")
    package = read_package(shutil.copytree(ensemble / "seed-0", tmp_path / "turned") / "package")
    package.manifest.keypoints.reverse()
    write_manifest(package.path, package.manifest)
    with pytest.raises(UserError, match=r"has the keypoints of .* in another order"):
        find_members([ensemble, package.path], "--model")
