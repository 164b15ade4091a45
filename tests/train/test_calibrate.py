"""Calibration of a package from a recording."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.offline.coverage import coverage_of, coverage_text
from rt_pose.package import Package, read_package
from rt_pose.tracking.causal_filter import CausalFilter
from train.calibrate import bias_covariances, calibrate, crossed_coverage
from train.calibrate_config import CalibrateConfig

FRAMES = 200
ENGINE = EngineConfig(precision="float32", preprocess="torch")


def truth(index: int) -> np.ndarray:
    """Middles of four discs (4, 2) px that swing about, k1 and k2 side by side."""
    phase = 2 * np.pi * index / 50
    at = np.array([[40.0, 128.0], [120.0, 128.0], [200.0, 128.0], [280.0, 128.0]])
    swing = np.array(
        [[np.sin(phase), np.cos(phase)], [0, np.sin(2 * phase)], [0, np.sin(2 * phase)], [0, 0.2]]
    )
    return at + 60.0 * swing * [0.3, 1.0]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def package(original: Package, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original.path, tmp_path / "package"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "discs.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=100)
        stream.width, stream.height, stream.pix_fmt = 320, 256, "gray"
        for i in range(FRAMES):
            image = disc_frame(truth(i), 320, 256, 1, radius=16.0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image[:, :, 0], format="gray")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve labeled frames, all labels of k0 3 px to the right of the discs."""
    folder = tmp_path_factory.mktemp("labels")
    names = [f"img{i:02d}.png" for i in range(12)]
    shift = np.array([[3.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["scorer"] + ["me"] * 8)
        writer.writerow(["bodyparts"] + [f"k{k}" for k in range(4) for _ in range(2)])
        writer.writerow(["coords"] + ["x", "y"] * 4)
        for i, name in enumerate(names):
            cv2.imwrite(str(folder / name), disc_frame(truth(7 * i), 320, 256, 1, radius=16.0))
            writer.writerow([name, *(truth(7 * i) + shift).ravel()])
    return folder / "labels.csv"


def config(package: Path, recording: Path, **changes: object) -> CalibrateConfig:
    values = {"model": str(package), "video": [str(recording)], "engine": ENGINE} | changes
    return CalibrateConfig(**values)  # type: ignore[arg-type]


def test_the_package_is_calibrated_and_still_whole(package: Path, video: Path, labels: Path) -> None:
    before = read_package(package)
    after = calibrate(config(package, video, labels=str(labels), views=["k1=k2"]))
    spec = after.manifest.tracking
    assert spec.calibrated
    assert after.sha256 == read_package(package).sha256 != before.sha256
    assert after.manifest.files == before.manifest.files
    assert after.manifest.training["calibration"]["recordings"] == ["discs.avi"]
    assert after.manifest.training["calibration"]["frames"] == FRAMES
    notes = after.manifest.training["calibration"]["labels"]
    assert "12 of 12 frames; split unknown: nothing says which frames were trained on" in notes
    assert "k1=k2" in [space.name for space in spec.subspaces]
    assert spec.q_px2_s3[0] > 10 * spec.q_px2_s3[3], "the disc that moves moves"
    bias = np.array(spec.bias_px2)
    assert bias.shape == (4, 2, 2)
    assert bias[0, 0, 0] > 2 * bias[0, 1, 1]
    assert CausalFilter(spec, 1, 4).shape == (1, 4)
    drift = after.manifest.drift
    assert drift is not None
    assert list(drift.limits) == ["pose", "confidence", "innovation"]
    assert (drift.block_s, drift.calibration_s) == (0.1, pytest.approx(2.0, abs=0.05))
    assert drift.space is not None
    assert before.manifest.drift is None
    coverage = coverage_of(after.manifest)
    assert coverage is not None
    assert (coverage.n, list(coverage.held)) == (48, ["0.5", "0.9", "0.99"])
    assert coverage.held["0.99"] > 0.9
    assert coverage_text(after.manifest).startswith("of 48 labels (12 of 12 frames; split unknown")
    assert "not calibrated" in coverage_text(before.manifest)
    after.manifest.training["calibration"]["coverage"] = {"n": "many"}
    assert "is not known" in coverage_text(after.manifest), "it is a file of others'"


def test_labels_may_be_given_by_their_folder(package: Path, video: Path, labels: Path) -> None:
    after = calibrate(config(package, video, labels=str(labels.parent), frames=60))
    notes = after.manifest.training["calibration"]["labels"]
    assert notes.startswith(f"48 labels of {labels.parent.name}, 12 of 12 frames")


def test_coverage_is_of_labels_that_did_not_teach_the_bias() -> None:
    random = np.random.default_rng(1)
    noise = np.tile(np.eye(2), (200, 2, 1, 1))
    honest = crossed_coverage(random.normal(0, 2, (200, 2, 2)), noise, "")
    assert honest.n == 400
    for level, found in honest.held.items():
        assert found == pytest.approx(float(level), abs=0.06), "errors twice the noise: the bias holds them"
    one_bad_part = np.zeros((200, 2, 2))
    one_bad_part[:40] = 30.0
    assert crossed_coverage(one_bad_part, noise, "").held["0.99"] < 0.85, "the rest does not know of them"
    assert crossed_coverage(np.zeros((1, 2, 2)), noise[:1], "").n == 0


def test_what_is_wrong_is_told_before_anything_is_written(package: Path, video: Path, tmp_path: Path) -> None:
    before = (package / "manifest.json").read_bytes()
    for changes, message in (
        ({"views": ["k1=paw"]}, "no keypoint 'paw'"),
        ({"views": ["k1"]}, "two keypoints or more"),
        ({"video": []}, "--video"),
        ({"video": [str(tmp_path / "none.mp4")]}, r"none\.mp4"),
        ({"labels": str(tmp_path / "none.csv")}, "no such file"),
    ):
        with pytest.raises(UserError, match=message):
            calibrate(config(package, video, frames=60, **changes))
    assert (package / "manifest.json").read_bytes() == before


def test_a_recording_of_nothing_is_told(package: Path, tmp_path: Path) -> None:
    path = tmp_path / "dark.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=100)
        stream.width, stream.height, stream.pix_fmt = 320, 256, "gray"
        dark = np.zeros((256, 320), np.uint8)
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(dark, format="gray")))
        container.mux(stream.encode())
    with pytest.raises(UserError, match="no keypoint was seen"):
        calibrate(config(package, path))


def test_the_bias_is_the_errors_less_the_noise() -> None:
    random = np.random.default_rng(0)
    e = random.multivariate_normal([0, 0], [[9.0, 2.0], [2.0, 4.0]], (4000, 2))
    e[random.random((4000, 2)) < 0.02] = 200.0
    noise = np.tile(np.eye(2), (4000, 2, 1, 1))
    e[:100, 0] = np.nan
    for found in bias_covariances(e, noise):
        np.testing.assert_allclose(found, [[8.0, 2.0], [2.0, 3.0]], atol=0.9)
