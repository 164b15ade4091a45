"""The chain from frames to keypoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.inference.engine import engines, open_engine
from rt_pose.inference.estimator import CpuEstimator, Estimator
from rt_pose.package import PRECISION_NETWORKS, Package

AT = np.array([[40.0, 60.0], [120.0, 200.0], [200.0, 90.0], [280.0, 140.0]])


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"))


def estimator_of(package: Package, backend: str, precision: str = "float32") -> Estimator:
    manifest = package.manifest
    return CpuEstimator(open_engine(backend, package.path, manifest.input, precision, 1), manifest.decode)


@pytest.mark.parametrize("channels", [1, 3])
def test_discs_are_found_in_frame_pixels(package: Package, channels: int) -> None:
    found = estimator_of(package, "openvino").estimate(disc_frame(AT, 320, 256, channels, radius=16.0))
    assert found.xy.shape == (1, 4, 2)
    assert np.linalg.norm(found.xy[0] - AT, axis=1).max() < 3.0
    assert found.confidence.min() > 0.5


def test_frames_of_another_size_land_in_their_own_pixels(package: Package) -> None:
    estimator = estimator_of(package, "openvino")
    for scale in (1.0, 2.0, 1.5):
        frame = disc_frame(
            (AT + 0.5) * scale - 0.5, round(320 * scale), round(256 * scale), 1, radius=16.0 * scale
        )
        found = estimator.estimate(frame).xy[0]
        np.testing.assert_allclose((found + 0.5) / scale - 0.5, AT, atol=3.0)


def test_a_region_of_the_sensor_is_shifted_to_its_place(package: Package) -> None:
    estimator = estimator_of(package, "openvino")
    heatmaps = estimator.infer(estimator.preprocess(disc_frame(AT, 320, 256, 1, radius=16.0)))
    here, there = (estimator.decode(heatmaps, (320, 256), offset) for offset in ((0, 0), (100, 50)))
    np.testing.assert_allclose(there.xy - here.xy, np.broadcast_to([100.0, 50.0], (1, 4, 2)))
    np.testing.assert_array_equal(there.cov, here.cov)


@pytest.mark.parametrize(
    ("backend", "precision"),
    [
        (b, p)
        for b, cls in engines().items()
        if cls.device == "cpu"
        for p in cls.precisions()
        if p not in PRECISION_NETWORKS
    ],
)
def test_stamped_steps_and_whole_chain_are_equal_to_the_bit(
    package: Package, backend: str, precision: str
) -> None:
    """What the loop does frame by frame, and what offline prediction does."""
    frames = package.golden.frames
    live = estimator_of(package, backend, precision)
    offline = estimator_of(package, backend, precision).estimate_all(frames)
    for i, frame in enumerate(frames):
        pixels = live.preprocess(frame)
        heatmaps = live.infer(pixels)
        found = live.decode(heatmaps, (frame.shape[1], frame.shape[0]))
        np.testing.assert_array_equal(found.xy[0], offline.xy[i])
        np.testing.assert_array_equal(found.cov[0], offline.cov[i])
        np.testing.assert_array_equal(found.confidence[0], offline.confidence[i])


@pytest.mark.parametrize("preprocess", ["dali", "compiled"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_window_is_the_frame_cut_there(package: Package, preprocess: str, channels: int) -> None:
    estimator = CpuEstimator(
        estimator_of(package, "openvino").engine, package.manifest.decode, preprocess=preprocess
    )
    frame = np.random.default_rng(0).integers(0, 256, (300, 400, channels), np.uint8)
    cut = np.ascontiguousarray(frame[30:230, 50:370])
    window = estimator.preprocess(frame, (50, 30, 320, 200)).copy()
    np.testing.assert_array_equal(window, estimator.preprocess(cut))


def test_keypoints_found_in_a_window_are_in_the_frames_pixels(package: Package) -> None:
    estimator = estimator_of(package, "openvino")
    frame = disc_frame(AT + 100.0, 640, 512, 1, radius=16.0)
    found = estimator.estimate(frame, (100, 100, 320, 256))
    assert np.linalg.norm(found.xy[0] - (AT + 100.0), axis=1).max() < 3.0


def test_frames_of_several_cameras_in_one_call_are_found_as_in_calls_of_their_own(package: Package) -> None:
    estimator = estimator_of(package, "openvino")
    frames = [disc_frame(AT + shift, 320, 256, 1, radius=16.0) for shift in (0.0, 10.0, 25.0)]
    alone = [estimator.estimate(frame) for frame in frames]
    maps = estimator.infer(estimator.preprocess_all(frames, [None] * 3))
    for i, expected in enumerate(alone):
        found = estimator.decode(maps[i : i + 1], (320, 256))
        np.testing.assert_allclose(found.xy, expected.xy, atol=1e-3)
        np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-4)


def test_live_and_offline_are_equal_on_a_real_video(package: Package, mirror_mouse: Path) -> None:
    from rt_pose.video import VideoReader, read_frames

    video = mirror_mouse / "videos" / "test_vid.mp4"
    live, offline = estimator_of(package, "openvino"), estimator_of(package, "openvino")
    slot = np.empty((406, 396, 1), np.uint8)
    with VideoReader(video, 1) as reader:
        for expected in read_frames(video, 1):
            frame = reader.read(into=slot)
            assert frame is not None
            np.testing.assert_array_equal(live.estimate(slot).xy, offline.estimate(expected.image).xy)
            if expected.index == 20:
                break
