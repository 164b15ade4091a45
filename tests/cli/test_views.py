"""`rt-pose rig calibrate-cameras`, `rig check-calibration` and `triangulate`, as they are typed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from support.filmed_board import board_poses, cameras_around, film
from support.two_views import write_covariances, write_files, write_session
from support.views_motion import moving, seen

from bench.calibration import FAULTS, make_animal, make_rig, observe
from rt_pose.cli.main import main
from rt_pose.offline.points3d_csv import FIELDS, VELOCITY_FIELDS
from rt_pose.types import FloatArray
from rt_pose.views.board import checkerboard
from rt_pose.views.calibration_file import read_calibration, write_calibration

FRAMES = 10
Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], FloatArray]:
    """A folder with a right calibration and a wrong one, the words of --poses, and the truth (F, K, 3)."""
    folder = tmp_path_factory.mktemp("rig")
    random = np.random.default_rng(21)
    cameras = make_rig(random, 4)
    xyz = make_animal(random, FRAMES)
    xy = observe(cameras, xyz, 2.0, random)
    write_calibration(folder / "right.toml", cameras, 0.0)
    wrong, _, _ = FAULTS["one tilted by 2 deg"](cameras, xy)
    write_calibration(folder / "wrong.toml", wrong, 0.0)
    return folder, write_files(folder, cameras, xy), xyz


Rig = tuple[Path, list[str], FloatArray]


def test_a_board_calibrates_cameras_and_checks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    monkeypatch.chdir(tmp_path)
    board, cameras = checkerboard("6x5", 15.0), cameras_around((0, 30))
    recordings = film(tmp_path, board, cameras, board_poses(board, 9, seed=4))
    given = ["--recordings", *recordings, "--checkerboard", "6x5", "--square", "15 mm"]
    assert main(["rig", "calibrate-cameras", *given]) == 0
    text = capsys.readouterr().out
    assert "a: the board is in 9 of 9 frames" in text
    assert "calibration: calibration.toml; origin and axes are those of camera 'a', lengths in mm" in text
    found = read_calibration(tmp_path / "calibration.toml")
    assert [camera.name for camera in found] == ["a", "b"]
    apart = np.linalg.norm(found[1].position - found[0].position)
    assert apart == pytest.approx(np.linalg.norm(cameras[1].position), rel=0.03)
    check = ["rig", "check-calibration", "calibration.toml"]
    assert main([*check, *given]) == 0
    text = capsys.readouterr().out
    assert "scale: a square is " in text
    assert "calibration.toml is right" in text
    assert main([*check, *given[:-1], "16 mm"]) == 1
    assert "lengths are 0.93" in capsys.readouterr().out


def test_poses_say_whether_a_calibration_is_right(rig: Rig, capsys: Out) -> None:
    folder, poses, xyz = rig
    length = float(np.median(np.linalg.norm(xyz[:, 0] - xyz[:, 1], axis=1)))
    check = ["rig", "check-calibration", str(folder / "right.toml"), "--poses", *poses]
    assert main([*check, "--length", "k0", "k1", f"{length:.1f} mm"]) == 0
    assert "right.toml is right" in capsys.readouterr().out
    assert main([*check, "--length", "k0", "k1", f"{length:.1f} cm"]) == 1
    assert "it is in cm, not in mm" in capsys.readouterr().out
    check[2] = str(folder / "wrong.toml")
    assert main([*check[:4], *poses[:1], *poses[2:]]) == 0, "the wrong one is left out"
    text = capsys.readouterr().out
    assert "not checked, nothing was given of them: b" in text
    assert "scale: not checked, it takes a known length" in text


def test_keypoints_in_space(rig: Rig, tmp_path: Path, capsys: Out) -> None:
    folder, poses, xyz = rig
    out = tmp_path / "points.csv"
    words = ["triangulate", str(folder / "right.toml"), "--poses", *poses, "--out", str(out)]
    assert main(words) == 0
    assert "by the reprojection errors themselves" in capsys.readouterr().out
    rows = list(csv.reader(out.read_text().splitlines()))
    assert rows[1][1 : 1 + len(FIELDS)] == ["k0"] * len(FIELDS)
    assert rows[2][1 : 1 + len(FIELDS)] == list(FIELDS)
    table = np.array([[float(cell or "nan") for cell in row] for row in rows[3:]])
    assert table[:, 0].tolist() == list(range(FRAMES))
    found = table[:, 1:].reshape(FRAMES, -1, len(FIELDS))
    placed = np.isfinite(found[..., 0])
    assert placed.mean() > 0.9
    assert np.median(np.linalg.norm(found[..., :3] - xyz, axis=-1)[placed]) < 3.0, "mm"
    assert set(np.unique(found[placed][:, -1])) <= {2, 3, 4}
    assert (found[placed][:, [3, 6, 8]] > 0).all()
    words[1] = str(folder / "wrong.toml")
    assert main(words) == 2
    assert "wrong.toml is wrong: camera b: as if it had been turned" in capsys.readouterr().err
    assert main([*words, "--although-wrong"]) == 0, "over its own earlier result"


def test_keypoints_in_space_over_time(tmp_path: Path, capsys: Out) -> None:
    random = np.random.default_rng(6)
    cameras = make_rig(random, 3)
    places = moving(random, 60, 3, 0.02, 4e4, 0.2)
    xy = seen(cameras, places, 2.0, random)
    xy[:, 30, 0] = np.nan
    write_calibration(tmp_path / "rig.toml", cameras, 0.0)
    poses = write_files(tmp_path, cameras, xy)
    out = tmp_path / "points.csv"
    words = ["triangulate", str(tmp_path / "rig.toml"), "--poses", *poses, "--out", str(out)]
    errors = {}
    for kind in ("causal", "smooth"):
        assert main([*words, "--filter", kind, "--fps", "50"]) == 0
        text = capsys.readouterr().out
        assert "filter: fitted to what was seen, medians of the keypoints: speeds of " in text
        assert "180 keypoints placed in 60 frames" in text or kind == "causal"
        rows = list(csv.reader(out.read_text().splitlines()))
        fields = (*FIELDS, *VELOCITY_FIELDS)
        assert rows[2][1 : 1 + len(fields)] == list(fields)
        table = np.array([[float(cell or "nan") for cell in row] for row in rows[3:]])[:, 1:]
        found = table.reshape(60, 3, len(fields))
        assert (found[5:, :, -3:] > 0).all(), "variances of the velocity"
        assert found[30, 0, FIELDS.index("cameras")] == 0
        errors[kind] = np.median(np.linalg.norm(found[5:, :, :3] - places[5:], axis=-1))
    assert errors["smooth"] < errors["causal"] < 3.0, "mm"
    for more, expected in (
        (["--filter", "causal"], "files of poses have no times; give the rate of their frames, --fps 100"),
        (["--filter", "smooth", "--fps", "-3"], "--fps: expected frames a second, above 0, got -3"),
        (["--fps", "50"], "--fps: only --filter causal and --filter smooth need times"),
    ):
        assert main([*words, *more]) == 2, more
        assert expected in capsys.readouterr().err, more


def test_a_session_is_filtered_by_its_own_times(tmp_path: Path, capsys: Out) -> None:
    random = np.random.default_rng(7)
    cameras = make_rig(random, 3)
    xy = seen(cameras, moving(random, 40, 3, 0.01, 4e4, 0.2), 2.0, random)
    write_calibration(tmp_path / "rig.toml", cameras, 0.0)
    write_session(tmp_path / "session", cameras, xy)
    out = tmp_path / "points.csv"
    words = [
        "triangulate",
        str(tmp_path / "rig.toml"),
        "--poses",
        str(tmp_path / "session"),
        "--filter",
        "causal",
    ]
    assert main([*words, "--out", str(out)]) == 0
    assert "120 keypoints placed in 40 frames" in capsys.readouterr().out
    assert main([*words, "--out", str(out), "--fps", "100"]) == 2
    assert "a session knows when its frames were exposed" in capsys.readouterr().err


def test_covariances_beside_the_poses_are_used(rig: Rig, tmp_path: Path, capsys: Out) -> None:
    folder, _, xyz = rig
    cameras = read_calibration(folder / "right.toml")
    xy = np.stack([camera.project(xyz) for camera in cameras])
    poses = write_files(tmp_path, cameras, xy)
    for camera in cameras:
        write_covariances(tmp_path, camera.name, np.broadcast_to(9.0 * np.eye(2), (*xyz.shape[:2], 2, 2)))
    out = tmp_path / "points.csv"
    assert main(["triangulate", str(folder / "right.toml"), "--poses", *poses, "--out", str(out)]) == 0
    assert "covariances: those of the poses" in capsys.readouterr().out
    values = [float(cell) for cell in out.read_text().splitlines()[3].split(",")[1:10]]
    assert values[:3] == pytest.approx(xyz[0, 0], abs=1e-3)
    assert 0.1 < values[3] < 100, "mm^2"


def test_mistakes_are_said(rig: Rig, capsys: Out) -> None:
    folder, poses, _ = rig
    check = ["rig", "check-calibration", str(folder / "right.toml")]
    board = ["--checkerboard", "6x5", "--square", "15 mm"]
    for words, expected in (
        (check, "give either --poses, or --recordings of a board"),
        ([*check, "--recordings", "a=x.mp4"], "give either --poses, or --recordings of a board"),
        ([*check, "--poses", *poses, "--checkerboard", "6x5", "--square", "9 mm"], "give either --poses"),
        ([*check, "--poses", *poses[:1], poses[1].replace("b=", "bee=")], "has no camera 'bee'"),
        ([*check, "--poses", *poses, "--noise-px", "0"], "--noise-px: expected more than 0 px"),
        ([*check, "--poses", *poses, "--length", "k0", "k99", "9 mm"], "there is no keypoint 'k99'"),
        ([*check, "--poses", *poses, "--length", "k0", "k1", "9 px"], "expected a length in mm, cm or m"),
        ([*check, "--recordings", "a=x.mp4", "b=y.mp4", *board], "video x.mp4: no such file"),
        ([*check, "--recordings", "a=x.mp4", "z=y.mp4", *board], "has no camera 'z'"),
        (["rig", "calibrate-cameras", "--recordings", "a=x.mp4"], "give the board"),
        (
            ["rig", "calibrate-cameras", "--recordings", "a=x", *board, "--frames", "0"],
            "--frames: expected 1",
        ),
        (["rig", "calibrate-cameras", "--recordings", "a=x", *board[:2]], "--square: expected a length"),
        (
            ["rig", "calibrate-cameras", "--recordings", "a=x", *board, "--charuco", "8x11"],
            "give either --check",
        ),
    ):
        assert main(words) == 2, words
        assert expected in capsys.readouterr().err, words


def test_the_real_wrong_file_is_refused_with_the_cameras_name(data_dir: Path, capsys: Out) -> None:
    """Four cameras around a mouse, its keypoints proofread: of one file a camera is a copy of another."""
    pytest.importorskip("h5py")
    folder = data_dir / "mouse-4cam-sleap"
    names = ("back", "mid", "side", "top")
    poses = [f"{name}={folder / name / f'minimal_{name}_proofread.analysis.h5'}" for name in names]
    check = ["rig", "check-calibration", str(folder / "calibration.toml"), "--poses", *poses]
    assert main(check) == 0
    check[2] = str(folder / "calibration_bad_side.toml")
    assert main(check) == 1
    assert "WRONG: camera side: its pose is a copy of that of 'top'" in capsys.readouterr().out
