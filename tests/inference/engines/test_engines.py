"""One suite over every engine: the same network gives the same heatmaps."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.tiny_package import DiscFinder, make_tiny_package

from rt_pose.clock import FakeClock, HostClock
from rt_pose.errors import UserError
from rt_pose.inference.engine import engine_backend, engines, open_engine
from rt_pose.inference.engines.openvino import OpenVINOEngine
from rt_pose.package import NETWORK, PRECISION_NETWORKS, Package

ON_CPU = {backend: cls for backend, cls in engines().items() if cls.device == "cpu"}
"""Those of the GPU have a suite of their own (tests/gpu)."""
BACKENDS = list(ON_CPU)
PRECISIONS = [
    (backend, p) for backend, cls in ON_CPU.items() for p in cls.precisions() if p not in PRECISION_NETWORKS
]
"""Those of the network itself; the others have networks of their own (tests/train/test_quantise.py)."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"))


def batch_of(size: int, seed: int = 0) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return random.uniform(-2, 2, (size, 1, 128, 160)).astype(np.float32)


def reference(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """The network itself, not exported."""
    with torch.inference_mode():
        return DiscFinder(4).eval()(torch.from_numpy(batch)).numpy()


def test_the_engines_of_the_house_are_registered_in_auto_order() -> None:
    assert BACKENDS == ["openvino", "torch"]
    assert [name for name in engines() if name not in ON_CPU] == ["torch_cuda", "tensorrt"]


def test_engines_beside_each_other_each_have_a_stream_and_agree(package: Package) -> None:
    alone = OpenVINOEngine(package.path, package.manifest.input, "float32", 1)
    twins = alone.replicas(3, cores=2)
    request, _ = twins[0]._requests[1]
    # Apart, on one core, they would wait for each other.
    assert request.get_compiled_model().get_property("NUM_STREAMS") == 2
    batches = [batch_of(1, seed) for seed in range(3)]

    def found(i: int) -> list[NDArray[np.float32]]:
        return [twins[i].infer(batches[i]).copy() for _ in range(20)]

    with ThreadPoolExecutor(3) as pool:
        for batch, results in zip(batches, pool.map(found, range(3)), strict=True):
            wanted = alone.infer(batch)
            for result in results:
                np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32_equals_the_network(package: Package, backend: str) -> None:
    engine = open_engine(backend, package.path, package.manifest.input, "float32", 1)
    batch = batch_of(1)
    found = engine.infer(batch)
    assert found.shape == (1, 4, 32, 40)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference(batch), atol=1e-4)


@pytest.mark.parametrize(("backend", "precision"), PRECISIONS)
def test_the_output_is_that_of_the_batch_just_given(package: Package, backend: str, precision: str) -> None:
    engine = open_engine(backend, package.path, package.manifest.input, precision, 1)
    first = engine.infer(batch_of(1, seed=1)).copy()
    second = engine.infer(batch_of(1, seed=2)).copy()
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_array_equal(engine.infer(batch_of(1, seed=1)), first)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_bare_forward_takes_input_that_is_ready(package: Package, backend: str) -> None:
    engine = open_engine(backend, package.path, package.manifest.input, "float32", 1)
    forward = engine.ready(2)
    engine.infer(batch_of(2))
    expected = engine.infer(np.zeros_like(batch_of(2))).copy()
    engine.infer(batch_of(2))
    np.testing.assert_array_equal(np.asarray(forward()), expected)


@pytest.mark.parametrize(("backend", "precision"), PRECISIONS)
def test_lower_precision_stays_near(package: Package, backend: str, precision: str) -> None:
    engine = open_engine(backend, package.path, package.manifest.input, precision, 1)
    batch = batch_of(1)
    expected = reference(batch)
    assert np.abs(engine.infer(batch) - expected).max() < 0.05 * np.abs(expected).max()


class Stopwatch(FakeClock):
    """A clock by which a forward takes as long as the test says, whatever the machine does."""

    def __init__(self, engine: OpenVINOEngine, ms: dict[tuple[int, bool], float]) -> None:
        super().__init__(now_ns=0)
        compile_one = engine._tuned

        def arranged(threads: int, pinned: bool):  # type: ignore[no-untyped-def]
            request, heatmaps = compile_one(threads, pinned)
            return TimedRequest(request, self, ms[threads, pinned]), heatmaps

        engine._tuned = arranged  # type: ignore[method-assign]


class TimedRequest:
    """A real request, each of whose forwards takes a stated time on a fake clock."""

    def __init__(self, request: Any, clock: FakeClock, ms: float) -> None:
        self._request, self._clock, self._ms = request, clock, ms

    def infer(self, **options: Any) -> None:
        self._request.infer(**options)
        self._clock.sleep_until_ns(self._clock.now_ns() + round(self._ms * 1e6))

    def set_tensor(self, *arguments: Any) -> None:
        self._request.set_tensor(*arguments)


@pytest.mark.parametrize(
    ("ms", "taken"),
    [
        ({(2, True): 5.0, (2, False): 4.9, (1, True): 8.0}, (2, "pinned")),
        ({(2, True): 5.0, (2, False): 4.0, (1, True): 8.0}, (2, "free")),
        ({(2, True): 5.0, (2, False): 5.0, (1, True): 3.0}, (1, "pinned")),
    ],
    ids=["hardly better is not taken", "not pinned", "fewer threads"],
)
def test_threads_are_arranged_by_measurement(
    package: Package, ms: dict[tuple[int, bool], float], taken: tuple[int, str]
) -> None:
    engine = OpenVINOEngine(package.path, package.manifest.input, "float32", 2)
    clock = Stopwatch(engine, ms)
    messages = engine.tune(clock)
    assert engine.threads == taken[0]
    assert taken[1] in engine.description
    assert "2 threads pinned 5.00" in messages
    batch = batch_of(1)
    np.testing.assert_allclose(engine.infer(batch), reference(batch), atol=1e-4)


def test_one_thread_is_arranged_on_a_real_clock(package: Package) -> None:
    engine = OpenVINOEngine(package.path, package.manifest.input, "float32", 1)
    assert engine.tune(HostClock()).count("1 thread ") == 2
    assert engine.threads == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_larger_batches_may_come_in_between(package: Package, backend: str) -> None:
    engine = open_engine(backend, package.path, package.manifest.input, "float32", 1)
    for size in (1, 3, 1):
        batch = batch_of(size, seed=size)
        np.testing.assert_allclose(engine.infer(batch), reference(batch), atol=1e-4)


@pytest.mark.parametrize(("backend", "precision"), PRECISIONS)
def test_an_engine_says_what_it_is(package: Package, backend: str, precision: str) -> None:
    engine = open_engine(backend, package.path, package.manifest.input, precision, 1)
    assert (engine.backend, engine.precision, engine.threads) == (backend, precision, 1)
    assert precision in engine.description
    assert backend in engine.description


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_that_is_no_network_is_refused(package: Package, tmp_path: Path, backend: str) -> None:
    for name in (NETWORK, "network.pt2"):
        (tmp_path / name).write_bytes(b"no network")
    with pytest.raises(UserError, match="export the package again"):
        open_engine(backend, tmp_path, package.manifest.input, "float32", 1)


def test_an_unknown_backend_is_told_the_nearest(package: Package) -> None:
    with pytest.raises(UserError, match="no backend 'openvina', did you mean 'openvino'"):
        open_engine("openvina", package.path, package.manifest.input, "float32", 1)


def test_a_backend_has_one_engine() -> None:
    class Second(OpenVINOEngine):
        pass

    with pytest.raises(ValueError, match="two engines are called 'openvino'"):
        engine_backend(Second)


def test_signals_are_survived_when_engines_have_come_and_gone(tmp_path: Path) -> None:
    """Engines made and dropped in any order must leave the process able to take a signal."""
    make_tiny_package(tmp_path / "package", keypoints=2)
    program = f"""
import faulthandler, gc, os, pathlib, signal
faulthandler.enable()
from rt_pose.inference.engine import open_engine
from rt_pose.package import read_package
package = read_package({str(tmp_path / "package")!r})
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
def engine():
    return open_engine("openvino", package.path, package.manifest.input, "float32", 1)
first = engine(); second = engine()
del first; gc.collect(); third = engine()
del second, third; gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
assert heard == [1]
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
