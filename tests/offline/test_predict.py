"""Offline prediction of a video."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.cli.main import main
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.offline.predict import predict_video
from rt_pose.offline.prediction_files import COVARIANCE_FIELDS
from rt_pose.package import Package, write_manifest
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import FrameStamps, Pose
from rt_pose.video import read_frames

AT_FIRST = np.array([[40.0, 60.0], [120.0, 200.0], [200.0, 90.0], [270.0, 140.0]])
FLOAT32 = EngineConfig(precision="float32")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames in which the discs move to the right by 2 px a frame."""
    path = tmp_path_factory.mktemp("video") / "discs.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=50)
        stream.width, stream.height, stream.pix_fmt = 320, 256, "gray"
        for i in range(12):
            image = disc_frame(truth(i), 320, 256, 1, radius=16.0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image[:, :, 0], format="gray")))
        container.mux(stream.encode())
    return path


def truth(index: int) -> np.ndarray:
    """Middle of the discs (4, 2) px in a frame."""
    return AT_FIRST + np.array([2.0 * index, 0.0])


def test_the_csv_is_lightning_poses(package: Package, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "discs.csv"
    choice = predict_video(package, video, out, FLOAT32)
    assert choice.engine.precision == "float32"
    rows = list(csv.reader(out.read_text().splitlines()))
    assert [row[0] for row in rows[:3]] == ["scorer", "bodyparts", "coords"]
    assert rows[1][1:] == [f"k{i}" for i in range(4) for _ in range(3)]
    assert rows[2][1:] == ["x", "y", "likelihood"] * 4
    assert [row[0] for row in rows[3:]] == [str(i) for i in range(12)]
    values = np.array(rows[3:], float)[:, 1:].reshape(12, 4, 3)
    expected = np.stack([truth(i) for i in range(12)])
    assert np.linalg.norm(values[..., :2] - expected, axis=-1).max() < 3.0
    assert not list(out.parent.glob("*.part"))


def test_its_numbers_are_the_estimators(package: Package, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "discs.csv"
    choice = predict_video(package, video, out, FLOAT32)
    images = [frame.image for frame in read_frames(video, 1)]
    found = choice.estimator.estimate_all(images)
    values = np.loadtxt(out, delimiter=",", skiprows=3)[:, 1:].reshape(12, 4, 3)
    np.testing.assert_allclose(values[..., :2], found.xy, atol=5.1e-5)
    np.testing.assert_allclose(values[..., 2], found.confidence, atol=5.1e-7)


def test_its_covariances_are_those_that_the_live_filter_takes(
    package: Package, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = dataclasses.replace(
        package.manifest.tracking,
        gain=[1.5] * 4,
        floor_px2=[0.3, 0.4, 0.5, 0.6],
        bias_px2=[[[2.0, 0.5], [0.5, 1.0]]] * 4,
    )
    calibrated = Path(shutil.copytree(package.path, tmp_path / "package"))
    write_manifest(calibrated, dataclasses.replace(package.manifest, tracking=spec))
    plain, out = tmp_path / "plain.csv", tmp_path / "discs.csv"
    verb = ["predict", "--model", str(calibrated), "--video", str(video), "--engine.precision", "float32"]
    assert main([*verb, "--out", str(plain)]) == 0
    assert not list(tmp_path.glob("*covariance*")), "only where it is asked for"
    assert main([*verb, "--out", str(out), "--covariance"]) == 0
    assert "the package is not calibrated, so they are a guess" in capsys.readouterr().out
    assert out.read_bytes() == plain.read_bytes(), "readers of the old table see no difference"
    rows = list(csv.reader((tmp_path / "discs_covariance.csv").read_text().splitlines()))
    assert rows[2] == ["coords", *COVARIANCE_FIELDS * 4]
    assert [row[0] for row in rows[3:]] == [str(i) for i in range(12)]
    found = np.array(rows[3:], float)[:, 1:].reshape(12, 4, 3)
    estimator = choose_engine(package, FLOAT32).estimator
    for i, frame in enumerate(read_frames(video, 1)):
        seen = estimator.estimate(frame.image)
        live = CausalFilter(spec, 1, 4)
        stamps = FrameStamps(index=i, t_exposure_ns=i, t_arrival_ns=i, t_scene_ns=i)
        track = live.step(Pose("", stamps, seen.xy, seen.cov, seen.confidence))  # it begins with R
        np.testing.assert_allclose(found[i], track.cov[0, :, [0, 0, 1], [0, 1, 1]].T, rtol=1e-5)


def test_bad_videos_leave_nothing_behind(package: Package, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        predict_video(package, tmp_path / "none.mp4", tmp_path / "out.csv", FLOAT32)
    (tmp_path / "notes.txt").write_text("no video")
    with pytest.raises(UserError, match="not a video"):
        predict_video(package, tmp_path / "notes.txt", tmp_path / "out.csv", FLOAT32)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_fault_in_mid_video_leaves_an_earlier_csv_as_it_was(
    package: Package, video: Path, tmp_path: Path
) -> None:
    with av.open(str(video)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        data = bytearray(video.read_bytes())
        start = data.index(bytes(packets[6]))
    # The container stays readable, the frame's data does not.
    data[start + 60 : start + 100] = bytes(40)
    broken = tmp_path / "broken.avi"
    broken.write_bytes(data)
    out = tmp_path / "out.csv"
    out.write_text("an earlier prediction")
    with pytest.raises(UserError, match="breaks off after frame"):
        predict_video(package, broken, out, FLOAT32)
    assert out.read_text() == "an earlier prediction"
    assert not (tmp_path / "out.csv.part").exists()


def test_out_must_be_a_file(package: Package, video: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        predict_video(package, video, tmp_path, FLOAT32)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        predict_video(package, video, tmp_path / "file" / "out.csv", FLOAT32)
