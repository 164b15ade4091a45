"""`rt-pose rig scale` and `rig aim-calibrate`: measured on the simulated rig, written into its file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.basler import emulated_cameras

import rigs
from rigs.simulated.galvo import px_to_volts
from rigs.simulated.scene import View
from rt_pose.cli.main import main
from rt_pose.clock import HostClock
from rt_pose.config.build import load
from rt_pose.config.schema import RunConfig
from rt_pose.drivers import DriverContext
from rt_pose.errors import UserError
from rt_pose.rules.homography import project
from rt_pose.session import aim_calibration
from rt_pose.session.aim_calibration import opened_camera

RIG = """\
# my rig
cameras:
  top: {driver: simulated, options: {world: arena, rate_hz: 100}}  # the only one
outputs:
  galvo:
    driver: simulated
    options: {world: arena, delay_ms: 2}  # mirrors
  # and nothing else
seed: 4
"""
PAIRS = np.array([[30.0, 30.0], [290.0, 28.0], [285.0, 230.0], [35.0, 225.0], [160.0, 120.0]])


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "rig.yaml"
    path.write_text(RIG)
    return path


def write_pairs(path: Path, px: np.ndarray = PAIRS, noise: float = 0.0) -> Path:
    volts = project(px_to_volts(View(320, 256)), px + noise)
    lines = [f"{x!r},{y!r},{u!r},{v!r}" for (x, y), (u, v) in zip(px.tolist(), volts.tolist(), strict=True)]
    path.write_text("x_px,y_px,x,y\n" + "\n".join(lines) + "\n")
    return path


def test_the_mirrors_are_calibrated_by_the_light_that_the_camera_sees(
    rig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["rig", "aim-calibrate", str(rig), "--grid", "-3.5", "-3.5", "3.5", "3.5", "--steps", "3"]
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert "9 of 9 spots were found in the frame" in shown
    assert "px of top to V of galvo" in shown
    text = rig.read_text()
    assert all(
        comment in text for comment in ("# my rig", "# the only one", "# mirrors", "# and nothing else")
    )
    found = load(RunConfig, rig).outputs["galvo"].aim["top"]
    assert found.unit == "V"
    assert found.residual_px is not None
    assert found.residual_px < 0.5
    places = np.random.default_rng(0).uniform((40.0, 40.0), (280.0, 216.0), (50, 2))
    exact = project(px_to_volts(View(320, 256)), places)
    assert project(np.array(found.homography), places) == pytest.approx(exact, abs=0.02), "0.02 V are 0.6 px"
    assert main(argv) == 2
    assert "outputs.galvo.aim.top is there already; --overwrite replaces it" in capsys.readouterr().err
    assert rig.read_text() == text


def test_pairs_of_a_table_do_too(rig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pairs(rig.with_name("pairs.csv"))
    assert main(["rig", "aim-calibrate", str(rig), "--pairs", "pairs.csv", "--unit", "counts"]) == 0
    found = load(RunConfig, rig).outputs["galvo"].aim["top"]
    assert found.unit == "counts"
    assert np.array(found.homography) == pytest.approx(px_to_volts(View(320, 256)), rel=1e-5, abs=1e-8)
    assert found.field is not None
    assert sorted(map(tuple, found.field)) == sorted(map(tuple, PAIRS[:4].tolist())), "the fifth lies inside"
    assert "prove nothing" not in capsys.readouterr().out
    write_pairs(rig.with_name("pairs.csv"), PAIRS[:4])
    assert main(["rig", "aim-calibrate", str(rig), "--pairs", "pairs.csv", "--overwrite"]) == 0
    assert "4 pairs fit any homography" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", "expected a CSV whose first line is x_px,y_px,x,y, got nothing"),
        ("a,b\n1,2\n", "got a,b"),
        ("x_px,y_px,x,y\n1,2,3,four\n", "pairs.csv:2: y: expected a number, got 'four'"),
        ("x_px,y_px,x,y\n1,2,3\n", "pairs.csv:2: y: expected a number, got None"),
        ("x_px,y_px,x,y\n1,2,3,nan\n", "pairs.csv:2: y: expected a number"),
        ("x_px,y_px,x,y\n1,2,3,4\n5,6,7,8\n", "expected 4 pairs or more, got 2"),
        ("x_px,y_px,x,y\n1,1,1,1\n2,2,2,2\n3,3,3,3\n4,4,4,4\n", "lie on a line"),
        ("\x00\x01,\n\x00", "expected a CSV"),
    ],
)
def test_what_is_no_table(rig: Path, table: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    rig.with_name("pairs.csv").write_text(table)
    assert main(["rig", "aim-calibrate", str(rig), "--pairs", "pairs.csv"]) == 2
    assert expected in capsys.readouterr().err
    assert rig.read_text() == RIG


def test_a_wrong_pair_is_refused(rig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    px = np.random.default_rng(1).uniform((20.0, 20.0), (300.0, 236.0), (12, 2))
    noise = np.zeros_like(px)
    noise[3] = (20.0, 0.0)
    path = rig.with_name("pairs.csv")
    volts = project(px_to_volts(View(320, 256)), px + noise)
    rows = [",".join(map(repr, (*a, *b))) for a, b in zip(px.tolist(), volts.tolist(), strict=True)]
    path.write_text("x_px,y_px,x,y\n" + "\n".join(rows))
    assert main(["rig", "aim-calibrate", str(rig), "--pairs", str(path)]) == 2
    assert "pair 4 is" in capsys.readouterr().err
    assert rig.read_text() == RIG


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "give either --pairs FILE.csv, or --grid"),
        (["--pairs", "nowhere.csv"], "nowhere.csv: cannot be read as a CSV"),
        (["--grid", "1", "1", "1", "2"], "--grid: expected two corners that span an area"),
        (["--grid", "1", "1", "2", "2", "--steps", "1"], "--steps: expected 2 to 20"),
        (["--grid", "1", "1", "2", "2", "--camera", "tpo"], "--camera: expected one of the rig's cameras"),
        (["--grid", "1", "1", "2", "2", "--output", "box"], "--output: expected one of the rig's outputs"),
        (["--grid", "40", "40", "90", "90"], "the mirrors turn within +-10 V"),
        (
            ["--grid", "8", "8", "9", "9", "--steps", "2"],
            "0 of 4 spots were found in the frame: expected 4 pairs",
        ),
    ],
)
def test_mistakes_are_said(
    rig: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rig", "aim-calibrate", str(rig), *words]) == 2
    assert expected in capsys.readouterr().err
    assert rig.read_text() == RIG


def test_a_rig_that_comes_with_the_program_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["rig", "aim-calibrate", "rigs/simulated.yaml", "--pairs", "pairs.csv"]
    assert main(argv) == 2
    assert "is not changed; make a copy" in capsys.readouterr().err


def test_a_ruler_in_the_picture_gives_the_scale(rig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite("frame.png", np.full((256, 320), 90, np.uint8))
    argv = ["rig", "scale", str(rig), "--image", "frame.png", "--out", "scale.png"]
    assert main(argv) == 0
    assert "read the ends of a ruler from it" in capsys.readouterr().out
    assert rig.read_text() == RIG
    ruler = ["--ruler", "40", "100", "240", "100", "--length", "5 cm"]
    assert main([*argv, *ruler]) == 0, capsys.readouterr().err
    assert load(RunConfig, rig).geometry["top"].mm_per_px == 0.25
    assert "geometry.top: written into" in capsys.readouterr().out
    assert cv2.imread("scale.png").shape == (256, 320, 3)
    assert main([*argv, *ruler]) == 2
    assert "geometry.top is there already" in capsys.readouterr().err
    assert main([*argv, *ruler, "--overwrite"]) == 0


def test_a_checkerboard_before_the_camera_gives_the_homography(rig: Path) -> None:
    squares = (np.indices((6, 8)).sum(axis=0) % 2 * 200 + 30).astype(np.uint8)
    picture = np.pad(np.kron(squares, np.ones((24, 24), np.uint8)), 20, constant_values=230)
    cv2.imwrite("board.png", picture)
    argv = ["rig", "scale", str(rig), "--image", "board.png", "--checkerboard", "7x5", "--square", "12 mm"]
    assert main(argv) == 0
    assert Path("rig-top-scale.png").is_file()
    homography = np.array(load(RunConfig, rig).geometry["top"].homography)
    corners = project(homography, np.array([[20.0, 20.0], [20.0 + 24.0 * 8, 20.0]]))
    assert np.hypot(*(corners[1] - corners[0])) == pytest.approx(96.0, rel=0.01)


def test_the_camera_itself_gives_the_frame(rig: Path) -> None:
    assert main(["rig", "scale", str(rig)]) == 0
    picture = cv2.imread("rig-top-scale.png")
    assert picture.shape == (256, 320, 3)
    assert picture.std() > 10.0, "an arena is to be seen"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--ruler", "1", "1", "9", "9", "--length", "5"],
            "--length: expected a length above 0 with its unit",
        ),
        (["--ruler", "1", "1", "9", "9", "--length", "5 px"], "--length: expected a length in mm, cm or m"),
        (["--ruler", "1", "1", "1", "1", "--length", "5 mm"], "--ruler: expected two places"),
        (["--checkerboard", "9", "--square", "5 mm"], "--checkerboard: expected inner corners such as 9x6"),
        (["--checkerboard", "9x6", "--square", "5 mm"], "no board of 9x6 inner corners in the frame"),
        (["--checkerboard", "9x6", "--ruler", "1", "1", "9", "9"], "give either --ruler or --checkerboard"),
        (["--out", "scale.jpg"], "expected the name of a PNG"),
        (["--image", "nowhere.png"], "nowhere.png: cannot be read as a picture"),
    ],
)
def test_mistakes_of_a_scale_are_said(
    rig: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite("frame.png", np.full((256, 320), 90, np.uint8))
    picture = [] if "--image" in words else ["--image", "frame.png"]
    assert main(["rig", "scale", str(rig), *picture, *words]) == 2
    assert expected in capsys.readouterr().err
    assert rig.read_text() == RIG


BASLER = """
cameras:
  top:
    driver: basler
    options: {serial: 0815-0000, roi: [32, 16, 128, 96], exposure_us: 2000, rate_hz: 50, pixel_format: Mono8}
"""


def test_a_cameras_part_of_its_sensor_keeps_its_place_in_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places that are read from the picture are px of the sensor, as those of poses are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rig.yaml").write_text(BASLER)
    with emulated_cameras():
        assert main(["rig", "scale", "rig.yaml", "--out", "picture.png"]) == 0
    picture = cv2.imread("picture.png")
    assert picture is not None
    assert picture.shape[:2] == (16 + 96, 32 + 128)


def test_a_camera_is_started_and_tells_its_place_on_the_sensor(tmp_path: Path) -> None:
    (tmp_path / "rig.yaml").write_text(BASLER)
    rigs.register()
    with emulated_cameras(), ExitStack() as stack:
        config = load(RunConfig, tmp_path / "rig.yaml")
        offset_xy, frames = opened_camera(config, "top", DriverContext(HostClock()), stack)
        assert offset_xy == (32, 16)
        first = next(frames).copy()
        assert first.shape == (96, 128, 1)
        assert first.max() > 0


def test_a_camera_that_brings_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a trigger that nobody gives."""
    monkeypatch.setattr(aim_calibration, "NO_FRAME_S", 1)
    (tmp_path / "rig.yaml").write_text(BASLER.replace("rate_hz: 50", "trigger: line"))
    rigs.register()
    with emulated_cameras(), ExitStack() as stack:
        config = load(RunConfig, tmp_path / "rig.yaml")
        _, frames = opened_camera(config, "top", DriverContext(HostClock()), stack)
        with pytest.raises(UserError, match="no whole frame came within 1 s; is it triggered"):
            next(frames)
