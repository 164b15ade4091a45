"""On a GPU: the same keypoints as on the CPU, in order, on the device, and words when its memory is full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.gpu import needs_gpu
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.bare_forward import bare_forward_ms
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.engine import open_engine
from rt_pose.inference.engines.torch_cuda import TorchCudaEngine
from rt_pose.inference.estimator import CpuEstimator, Estimator
from rt_pose.inference.gpu.estimator import GpuEstimator
from rt_pose.package import Package

pytestmark = needs_gpu
FRAMES = int(os.environ.get("RT_POSE_GPU_FRAMES", "10000"))
"""Of the tests that look for wrong order."""
WAYS = ["dali", "compiled"]


@pytest.fixture(scope="module", params=[1, 3], ids=["gray", "RGB"])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"), channels=request.param)


def frames(channels: int, count: int, size: tuple[int, int] = (320, 256)) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(3)
    x = (np.arange(4) + 0.5) * size[0] / 4
    return [
        disc_frame(np.stack([x, random.uniform(40, size[1] - 40, 4)], 1), *size, channels, radius=16.0)
        for _ in range(count)
    ]


def on_gpu(package: Package, way: str, precision: str = "float32") -> GpuEstimator:
    engine = open_engine("torch_cuda", package.path, package.manifest.input, precision, 1)
    return GpuEstimator(engine, package.manifest.decode, way)  # type: ignore[arg-type]


def on_cpu(package: Package) -> Estimator:
    engine = open_engine("torch", package.path, package.manifest.input, "float32", 1)
    return CpuEstimator(engine, package.manifest.decode)


@pytest.mark.parametrize("way", WAYS)
def test_float32_gives_the_cpus_keypoints(package: Package, way: str) -> None:
    images = frames(package.manifest.input.channels, 20)
    found, expected = (e.estimate_all(images) for e in (on_gpu(package, way), on_cpu(package)))
    assert np.percentile(np.linalg.norm(found.xy - expected.xy, axis=-1), 99) <= 0.05
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16", "auto"])
def test_every_precision_passes_the_golden_check(package: Package, precision: str) -> None:
    choice = choose_engine(package, EngineConfig(device="gpu", precision=precision))  # type: ignore[arg-type]
    assert choice.engine.device == "gpu"
    assert precision in ("auto", choice.engine.precision)


def test_the_engine_alone_equals_the_cpus(package: Package) -> None:
    spec = package.manifest.input
    engines = [open_engine(name, package.path, spec, "float32", 1) for name in ("torch_cuda", "torch")]
    for size in (1, 3, 1, 2):
        batch = np.random.default_rng(size).uniform(-2, 2, (size, spec.channels, 128, 160)).astype(np.float32)
        found, expected = (engine.infer(batch) for engine in engines)
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", ["waiting", "ours"])
def test_no_pixel_is_read_before_it_is_written(way: str) -> None:
    from bench.gpu.race import Search

    assert Search(way).wrong(FRAMES) == 0  # type: ignore[arg-type]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", WAYS)
def test_one_wait_gives_the_bits_of_waiting_after_every_step(package: Package, way: str) -> None:
    """All of the chain over thousands of frames, in calls of one to four frames, beside other work."""
    estimator = on_gpu(package, way)
    images = frames(package.manifest.input.channels, 16)
    whole: list[None] = [None] * 4

    def rows(which: list[int], waits: bool) -> NDArray[np.float32]:
        batch = estimator.preprocess_all([images[i] for i in which], whole[: len(which)])
        if waits:
            torch.cuda.synchronize()
        return estimator.infer(batch).copy()

    random = np.random.default_rng(0)
    calls = [list(random.integers(0, 16, random.integers(1, 5))) for _ in range(64)]
    expected = [rows(call, waits=True) for call in calls]
    busy, other = torch.randn(2048, 2048, device="cuda"), torch.cuda.Stream()
    done = 0
    while done < FRAMES:
        with torch.cuda.stream(other):
            busy @ busy
        k = int(random.integers(len(calls)))
        np.testing.assert_array_equal(rows(calls[k], waits=False), expected[k])
        done += len(calls[k])


@pytest.mark.parametrize("way", WAYS)
def test_network_and_frames_lie_on_the_device(package: Package, way: str) -> None:
    before = torch.cuda.memory_allocated()
    estimator = on_gpu(package, way)
    estimator.estimate(frames(package.manifest.input.channels, 1)[0])
    engine = estimator.engine
    assert isinstance(engine, TorchCudaEngine)
    held = [*engine._network.parameters(), *engine._network.buffers(), estimator._graphs.inputs]
    held += estimator._frames._held if way == "dali" else []  # type: ignore[attr-defined]
    assert all(tensor.is_cuda for tensor in held)
    assert torch.cuda.memory_allocated() > before
    assert torch.cuda.get_device_name() in engine.description


@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="there is no nvidia-smi")
def test_the_device_is_busy_while_the_network_runs(package: Package) -> None:
    estimator = on_gpu(package, "compiled")
    image = frames(package.manifest.input.channels, 1, (1280, 1024))[0]
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200"]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as watch:
        for _ in range(4000):
            estimator.estimate(image)
        watch.terminate()
        assert watch.stdout is not None
        shares = [float(word) for word in watch.stdout.read().split() if word.isdigit()]
    assert max(shares) > 5


def test_the_bare_forward_is_shorter_than_the_chain(package: Package) -> None:
    from rt_pose.clock import HostClock

    engine = on_gpu(package, "compiled").engine
    assert 0 < bare_forward_ms(engine, HostClock(), 100).p50 < 50


@pytest.fixture
def all_memory_again() -> Iterator[None]:
    """Whatever share of the memory a test allows itself is given back."""
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("all_memory_again")
def test_memory_that_runs_out_is_said_and_nothing_is_lost(package: Package) -> None:
    """What runs goes on as before when another engine finds no room."""
    running = on_gpu(package, "compiled")
    image = frames(package.manifest.input.channels, 1)[0]
    before = running.estimate(image).xy.copy()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(torch.cuda.memory_reserved() / total)
    with pytest.raises(UserError, match="the GPU's memory ran out while"):
        on_gpu(package, "compiled").estimate(image)
    np.testing.assert_array_equal(running.estimate(image).xy, before)


def test_memory_held_by_others_is_said_before_anything_is_loaded(package: Package) -> None:
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(free - (600 << 20), dtype=torch.uint8, device="cuda")
    try:
        with pytest.raises(UserError, match=r"GiB of the .*'s memory is free"):
            on_gpu(package, "compiled")
    finally:
        del held
        torch.cuda.empty_cache()


def test_memory_pinned_in_place_gives_the_same(package: Package) -> None:
    estimator = on_gpu(package, "compiled")
    images = frames(package.manifest.input.channels, 4)
    copied = [estimator.estimate(image).xy.copy() for image in images]
    ring = np.stack(images)
    release = estimator.pin(ring)
    for image, expected in zip(ring, copied, strict=True):
        np.testing.assert_array_equal(estimator.estimate(image).xy, expected)
    release()


def test_tensorrt_gives_the_cpus_keypoints_and_is_built_once(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorrt", reason="tensorrt is not installed")
    from rt_pose.inference.engines.tensorrt import TensorRTEngine

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    images = frames(package.manifest.input.channels, 8)
    expected = on_cpu(package).estimate_all(images).xy
    for _ in range(2):
        engine = open_engine("tensorrt", package.path, package.manifest.input, "float32", 1)
        found = GpuEstimator(engine, package.manifest.decode, "compiled").estimate_all(images)  # type: ignore[arg-type]
        assert np.percentile(np.linalg.norm(found.xy - expected, axis=-1), 99) <= 0.05
        monkeypatch.setattr(TensorRTEngine, "_build", lambda *_: pytest.fail("it was built again"))
