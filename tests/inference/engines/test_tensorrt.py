"""What of TensorRT needs no GPU: when it is refused, and what a kept plan depends on."""

from __future__ import annotations

import importlib
import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.tiny_package import make_tiny_package

from rt_pose.errors import UserError
from rt_pose.files import cache_folder
from rt_pose.inference.engine import open_engine
from rt_pose.inference.engines.tensorrt import TensorRTEngine, plan_facts
from rt_pose.inference.gpu.plan_cache import cached_plan, plan_key
from rt_pose.package import NETWORK, InputSpec

SPEC = InputSpec(64, 48, 1, [110.0], [55.0])
H200: dict[str, str | int] = {"gpu": "NVIDIA H200", "capability": "9.0", "driver": 13000}


@pytest.fixture
def network(tmp_path: Path) -> Path:
    file = tmp_path / NETWORK
    file.write_bytes(b"a network")
    return file


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rt-pose" / "tensorrt"


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="tensorrt is installed")
def test_without_tensorrt_it_says_what_to_install(tmp_path: Path) -> None:
    package = make_tiny_package(tmp_path)
    with pytest.raises(UserError, match=r"tensorrt is not installed; `pip install tensorrt`.*torch_cuda"):
        open_engine("tensorrt", package.path, package.manifest.input, "fp16", 1)


def test_a_plan_depends_on_network_precision_version_and_hardware(network: Path) -> None:
    keys = [plan_key(plan_facts(network, SPEC, "fp16", "10.9", H200))]
    assert keys == [plan_key(plan_facts(network, SPEC, "fp16", "10.9", dict(reversed(H200.items()))))]
    keys.append(plan_key(plan_facts(network, SPEC, "bf16", "10.9", H200)))
    keys.append(plan_key(plan_facts(network, SPEC, "fp16", "10.13", H200)))
    keys.append(plan_key(plan_facts(network, SPEC, "fp16", "10.9", H200 | {"gpu": "NVIDIA H100"})))
    keys.append(plan_key(plan_facts(network, SPEC, "fp16", "10.9", H200 | {"driver": 12080})))
    keys.append(plan_key(plan_facts(network, InputSpec(96, 48, 1, [0.0], [1.0]), "fp16", "10.9", H200)))
    network.write_bytes(b"another network")
    keys.append(plan_key(plan_facts(network, SPEC, "fp16", "10.9", H200)))
    assert len(set(keys)) == len(keys)


def test_a_plan_is_built_once(cache: Path) -> None:
    built: list[bytes] = []

    def build() -> bytes:
        built.append(b"plan %d" % len(built))
        return built[-1]

    assert cached_plan({"gpu": "a"}, build, lambda _: True) == b"plan 0"
    assert cached_plan({"gpu": "a"}, build, lambda _: True) == b"plan 0"
    assert cached_plan({"gpu": "b"}, build, lambda _: True) == b"plan 1"
    assert sorted(p.suffix for p in cache.iterdir()) == [".json", ".json", ".plan", ".plan"]
    assert {json.loads(p.read_text())["gpu"] for p in cache.glob("*.json")} == {"a", "b"}


def test_a_plan_that_cannot_be_used_any_more_is_built_again(cache: Path) -> None:
    cached_plan({"gpu": "a"}, lambda: b"old", lambda _: True)
    assert cached_plan({"gpu": "a"}, lambda: b"new", lambda plan: plan != b"old") == b"new"
    assert cached_plan({"gpu": "a"}, lambda: b"newer", lambda _: True) == b"new"


def test_the_cache_is_where_the_desktop_specification_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder("tensorrt") == Path("/home/someone/.cache/rt-pose/tensorrt")


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set XDG_CACHE_HOME"):
        cached_plan({"gpu": "a"}, lambda: b"plan", lambda _: True)


class _Context:
    """TensorRT's, as far as an engine's recordings ask it."""

    def __init__(self) -> None:
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, _name: str, shape: tuple[int, ...]) -> bool:
        self.count = shape[0]
        return True

    def get_tensor_shape(self, _name: str) -> tuple[int, ...]:
        return (self.count, 17, 12, 16)


def _engine(contexts: object) -> TensorRTEngine:
    """Without TensorRT: its contexts come from `contexts`."""
    engine = object.__new__(TensorRTEngine)
    engine.spec, engine._contexts = SPEC, {}
    engine.cuda_stream = SimpleNamespace(device=torch.device("cpu"))  # type: ignore[assignment]
    engine._engine = SimpleNamespace(create_execution_context=contexts)
    return engine


def test_every_recording_has_a_context_and_an_output_of_its_own() -> None:
    """A graph keeps using its context's state: another input's address would change what it does."""
    engine = _engine(_Context)
    first, second = (torch.zeros(4, 1, 48, 64) for _ in range(2))
    found = [engine._context(inputs) for inputs in (first[:1], first[:2], second[:1], first[:1])]
    assert len({id(context) for context, _ in found}) == 3
    assert found[0] is found[3]
    assert len({output.data_ptr() for _, output in found}) == 3
    assert [len(output) for _, output in found] == [1, 2, 1, 1]


def test_no_room_for_a_context_is_said() -> None:
    with pytest.raises(UserError, match=r"no room on the GPU for input of 1 frames.*torch_cuda"):
        _engine(lambda: None)._context(torch.zeros(1, 1, 48, 64))


def test_a_library_that_does_not_load_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from rt_pose.inference.engines.tensorrt import _library

    def broken(_name: str) -> None:
        raise OSError("libnvinfer.so.10: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(UserError, match=r"cannot be loaded: libnvinfer.*torch_cuda"):
        _library()
