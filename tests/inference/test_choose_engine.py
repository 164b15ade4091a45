"""Which engine is taken, and what is said when none can be."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from support.tiny_package import make_tiny_package

from rt_pose.clock import HostClock
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference import choose_engine as infer
from rt_pose.inference.bare_forward import bare_forward_ms, warm_up
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.device import cuda_devices, physical_cores
from rt_pose.inference.engines.openvino import OpenVINOEngine
from rt_pose.package import Package, PrecisionReport, precision_report

needs_bf16 = pytest.mark.skipif(
    "bf16" not in OpenVINOEngine.precisions(), reason="this processor has no bf16"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def package(written: Package) -> Package:
    """A copy whose manifest a test may change."""
    return copy.deepcopy(written)


@needs_bf16
def test_auto_takes_the_faster_precision_where_it_is_as_good(package: Package) -> None:
    """Which one that is depends on the processor: some have bf16 and are slower in it."""
    choice = choose_engine(package, EngineConfig())
    taken, other = choice.engine.precision, {"bf16": "float32", "float32": "bf16"}[choice.engine.precision]
    assert choice.engine.backend == "openvino"
    assert choice.displacement_p95_px == (1.0 if taken == "bf16" else 0.0)
    (reason,) = choice.refused
    assert reason.startswith(f"{other} not taken: ")


@needs_bf16
@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (PrecisionReport(1.06, 0.5, 1.0), "validation error 1.06 px, float32 1.00 px"),
        (PrecisionReport(float("nan"), 0.5, 1.0), "validation error nan px"),
        (PrecisionReport(1.0, 0.0, 0.0), "moves the golden keypoints by"),
        (None, "not measured at export"),
    ],
    ids=["worse", "not a number", "golden frames move", "never tried"],
)
def test_auto_takes_float32_and_says_why(
    package: Package, report: PrecisionReport | None, reason: str
) -> None:
    if report is None:
        del package.manifest.precisions["bf16"]
    else:
        package.manifest.precisions["bf16"] = report
    choice = choose_engine(package, EngineConfig())
    assert choice.engine.precision == "float32"
    assert choice.displacement_p95_px == 0.0
    assert len(choice.refused) == 1
    assert reason in str(choice)


@needs_bf16
def test_auto_says_why_no_error_is_known(package: Package) -> None:
    for report in package.manifest.precisions.values():
        report.validation_error_px = None
    messages = str(choose_engine(package, EngineConfig()))
    assert "trained on every label, so its error is not known; it puts keypoints 1.00 px (P95)" in messages
    assert "`--engine.precision bf16`" in messages
    assert "import" not in messages
    package.manifest.training["imported"] = "ONNX"
    messages = str(choose_engine(package, EngineConfig()))
    assert "imported without labels, so its error is not known; import with `--labels`" in messages


def test_what_was_asked_for_is_taken(package: Package) -> None:
    choice = choose_engine(package, EngineConfig(backend="torch", precision="float32", threads=1))
    assert (choice.engine.backend, choice.engine.precision, choice.engine.threads) == ("torch", "float32", 1)
    assert choice.golden_px < 0.01


def test_zero_threads_means_the_physical_cores(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer, "physical_cores", physical_cores)  # other tests have engines of one thread
    assert choose_engine(package, EngineConfig(precision="float32")).engine.threads == physical_cores()


def test_a_precision_the_backend_does_not_have_is_refused(package: Package) -> None:
    with pytest.raises(UserError, match="torch has no 'bf16' on this processor; it has float32"):
        choose_engine(package, EngineConfig(backend="torch", precision="bf16"))


def test_a_backend_without_its_file_is_refused(package: Package, tmp_path: Path) -> None:
    package.path = tmp_path
    with pytest.raises(UserError, match=r"'torch' cannot run .*holds no network.pt2"):
        choose_engine(package, EngineConfig(backend="torch"))
    with pytest.raises(UserError, match=r"no engine can run it here \(openvino: .*; torch: "):
        choose_engine(package, EngineConfig())


@pytest.mark.skipif(cuda_devices() > 0, reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(package: Package) -> None:
    with pytest.raises(UserError, match="'gpu' was asked for"):
        choose_engine(package, EngineConfig(device="gpu"))


@pytest.mark.parametrize(
    ("backend", "device", "messages"),
    [("torch_cuda", "cpu", "runs on the gpu"), ("tensorrt", "cpu", "runs on the gpu")],
)
def test_a_backend_belongs_to_its_device(package: Package, backend: str, device: str, messages: str) -> None:
    with pytest.raises(UserError, match=f"'{backend}' {messages}, engine.device is '{device}'"):
        choose_engine(package, EngineConfig(backend=backend, device=device))  # type: ignore[arg-type]


def test_on_a_gpu_auto_takes_none_of_the_cpus_engines(package: Package, tmp_path: Path) -> None:
    package.path = tmp_path
    with pytest.raises(UserError, match=r"no engine can run it here \(torch_cuda: .*; tensorrt: "):
        infer._choose_backend(package, EngineConfig(device="gpu"))


def test_fp16_goes_by_bf16s_figures_until_it_has_its_own(package: Package) -> None:
    bf16 = package.manifest.precisions["bf16"]
    assert precision_report(package.manifest, "fp16") is bf16
    own = package.manifest.precisions["fp16"] = PrecisionReport(1.0, 0.1, 0.2)
    assert precision_report(package.manifest, "fp16") is own
    assert precision_report(package.manifest, "int8") is None


@needs_bf16
def test_a_precision_beyond_the_golden_tolerance_is_refused_where_asked_for(package: Package) -> None:
    package.manifest.precisions["bf16"] = PrecisionReport(1.0, 0.0, 0.0)
    with pytest.raises(UserError, match=r"moves the golden keypoints by .* px \(P95\), tolerance 0.050 px"):
        choose_engine(package, EngineConfig(precision="bf16"))


def test_float32_beyond_the_golden_tolerance_refuses_to_start(package: Package) -> None:
    package.golden.xy[0, 0, 0] += 1.0
    with pytest.raises(UserError, match=r"by 1\.\d+ px \(largest\), tolerance 0.050 px"):
        choose_engine(package, EngineConfig(precision="float32"))


def test_the_bare_forward_is_measured(package: Package) -> None:
    engine = choose_engine(package, EngineConfig(precision="float32")).engine
    warm_up(engine, runs=2)
    bare = bare_forward_ms(engine, HostClock(), n=20)
    assert bare.n == 20
    assert 0 < bare.p50 <= bare.p99
    assert 0 < bare_forward_ms(engine, HostClock(), n=10**9, longest_s=0.05).n < 10**6
