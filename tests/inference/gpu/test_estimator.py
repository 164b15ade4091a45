"""The GPU's chain on a lane without a GPU: everything but CUDA, against the CPU's chain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.host_stream import HostStream
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.errors import UserError
from rt_pose.inference.engine import open_engine
from rt_pose.inference.engines.torch_cuda import TorchCudaEngine
from rt_pose.inference.estimator import Estimator
from rt_pose.inference.gpu.estimator import GpuEstimator
from rt_pose.inference.gpu.graphs import MAX_FRAMES
from rt_pose.inference.gpu.staging import Staging
from rt_pose.package import DecodeSpec, InputSpec, Package

WAYS = ["dali", "compiled"]


@pytest.fixture(scope="module", params=[1, 3], ids=["gray", "RGB"])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"), channels=request.param)


def on_stream(package: Package, way: str, precision: str = "float32") -> GpuEstimator:
    engine = TorchCudaEngine(package.path, package.manifest.input, precision, 1, HostStream())
    return GpuEstimator(engine, package.manifest.decode, way)


def on_cpu(package: Package) -> Estimator:
    engine = open_engine("openvino", package.path, package.manifest.input, "float32", 1)
    return Estimator(engine, package.manifest.decode)


def frames(channels: int, count: int = 3, size: tuple[int, int] = (320, 256)) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(3)
    x = (np.arange(4) + 0.5) * size[0] / 4
    return [
        disc_frame(np.stack([x, random.uniform(40, size[1] - 40, 4)], 1), *size, channels, radius=16.0)
        for _ in range(count)
    ]


@pytest.mark.parametrize("way", WAYS)
def test_keypoints_are_those_of_the_cpu(package: Package, way: str) -> None:
    images = frames(package.manifest.input.channels)
    found, expected = (e.estimate_all(images) for e in (on_stream(package, way), on_cpu(package)))
    np.testing.assert_allclose(found.xy, expected.xy, atol=0.01)
    np.testing.assert_allclose(found.cov, expected.cov, atol=0.02)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-3)
    assert found.xy.dtype == np.float64


@pytest.mark.parametrize("way", WAYS)
def test_frames_of_a_call_and_their_windows_keep_their_places(package: Package, way: str) -> None:
    images = [*frames(package.manifest.input.channels, 2), frames(3, 1, (400, 300))[0]]
    if package.manifest.input.channels == 1:
        images[2] = np.ascontiguousarray(images[2][:, :, :1])
    windows = [None, (0, 20, 320, 200), None]
    estimator = on_stream(package, way)
    alone = [
        estimator.estimate(image, window).xy.copy() for image, window in zip(images, windows, strict=True)
    ]
    rows = estimator.infer(estimator.preprocess_all(images, windows)).copy()
    for row, image, window, expected in zip(rows, images, windows, alone, strict=True):
        x, y, width, height = window or (0, 0, image.shape[1], image.shape[0])
        found = estimator.decode(row[None], (width, height), (x, y))
        np.testing.assert_allclose(found.xy, expected, atol=1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_a_result_is_of_the_frame_just_given(package: Package, way: str) -> None:
    estimator = on_stream(package, way)
    images = frames(package.manifest.input.channels, 4)
    first = [estimator.estimate(image).xy.copy() for image in images]
    again = [estimator.estimate(image).xy for image in reversed(images)][::-1]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(first[0] - first[1]).max() > 1


def test_colour_frames_of_a_gray_network_go_through_dali(tmp_path: Path) -> None:
    package = make_tiny_package(tmp_path)
    colour = np.random.default_rng(0).integers(0, 256, (256, 320, 3), np.uint8)
    compiled, dali = (on_stream(package, way).estimate(colour).xy for way in ("compiled", "dali"))
    np.testing.assert_array_equal(compiled, dali)


def test_bf16_stays_near(package: Package) -> None:
    images = frames(package.manifest.input.channels)
    found = on_stream(package, "compiled", "bf16").estimate_all(images).xy
    assert np.abs(found - on_cpu(package).estimate_all(images).xy).max() < 2.0


@pytest.mark.parametrize("decoder", ["argmax", "argmax_integral"])
def test_decoders_from_elsewhere_get_their_maps_on_the_host(package: Package, decoder: str) -> None:
    engine = TorchCudaEngine(package.path, package.manifest.input, "float32", 1, HostStream())
    decode = DecodeSpec(stride=4, decoder=decoder)  # type: ignore[arg-type]
    cpu = open_engine("openvino", package.path, package.manifest.input, "float32", 1)
    images = frames(package.manifest.input.channels)
    found = GpuEstimator(engine, decode).estimate_all(images)
    np.testing.assert_allclose(found.xy, Estimator(cpu, decode).estimate_all(images).xy, atol=0.01)


def test_more_frames_than_there_is_room_for_are_refused(package: Package) -> None:
    estimator = on_stream(package, "compiled")
    with pytest.raises(UserError, match="takes 1 to 16 frames, got 17"):
        estimator.infer(MAX_FRAMES + 1)


def test_the_engine_alone_equals_the_cpus(package: Package) -> None:
    spec: InputSpec = package.manifest.input
    engine = TorchCudaEngine(package.path, spec, "float32", 1, HostStream())
    cpu = open_engine("openvino", package.path, spec, "float32", 1)
    for size in (1, 3, 1):
        batch = np.random.default_rng(size).uniform(-2, 2, (size, spec.channels, 128, 160)).astype(np.float32)
        np.testing.assert_allclose(engine.infer(batch), cpu.infer(batch), atol=1e-4)
    engine.ready(2)()


def test_only_what_is_not_pinned_is_copied() -> None:
    staging = Staging(HostStream())
    ring = np.random.default_rng(0).integers(0, 256, (4, 30, 40, 1), np.uint8)
    copied = staging.stage(0, ring[1], None)
    assert not np.shares_memory(copied, ring)
    release = staging.pin(ring)
    assert staging.stage(0, ring[1], None) is not copied
    assert np.shares_memory(staging.stage(0, ring[1], None), ring)
    window = staging.stage(0, ring[1], (5, 6, 10, 8))
    assert window.flags.c_contiguous
    np.testing.assert_array_equal(window, ring[1, 6:14, 5:15])
    release()
    assert not np.shares_memory(staging.stage(0, ring[1], None), ring)
