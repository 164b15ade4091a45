from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from support.tiny_package import make_tiny_package
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench import stages
from bench.machine_peak import Peak, copy_bytes_per_s
from bench.operations import count_operations
from bench.stages import (
    Row,
    decode_row,
    infer_row,
    peaked_maps,
    preprocess_rows,
    publish_row,
    timed,
    track_rows,
)
from rt_pose.errors import UserError
from rt_pose.inference.decode import decode
from rt_pose.inference.engine import open_engine
from rt_pose.package import DecodeSpec, InputSpec, Package
from train.config import NetworkConfig
from train.export import _write_onnx
from train.models.network import PoseNetwork


class Mixed(nn.Module):
    """Every kind of arithmetic that is counted: grouped, strided and transposed convolution, product."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 5, padding=2, groups=8),
            nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1),
            nn.Flatten(),
            nn.Linear(4 * 32 * 32, 7),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.body(image)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_operations_are_those_that_torch_counts(tmp_path: Path) -> None:
    network, example = Mixed().eval(), torch.zeros(1, 3, 32, 32)
    file = tmp_path / "network.onnx"
    free = {"image": {0: "batch"}, "out": {0: "batch"}}
    torch.onnx.export(
        network,
        (example,),
        str(file),
        input_names=["image"],
        output_names=["out"],
        dynamic_axes=free,
        dynamo=False,
    )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(example)
    assert count_operations(file) == counter.get_total_flops()


def test_a_network_with_computed_paddings_is_counted(tmp_path: Path) -> None:
    """Those of the real backbone, whose shapes ONNX's own inference does not find."""
    network, example = PoseNetwork(NetworkConfig(head_width=8), 1, 3).eval(), torch.zeros(1, 1, 64, 64)
    _write_onnx(network, InputSpec(64, 64, 1, [0.0], [1.0]), tmp_path / "n.onnx")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(example)
    assert count_operations(tmp_path / "n.onnx") == counter.get_total_flops()


def test_a_shape_that_is_not_known_is_told(tmp_path: Path) -> None:
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "channels", "h", "w"])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 1, 1], [1.0])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, "h", "w"])
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "g", [entry], [out], [weight])
    onnx.save(helper.make_model(graph), str(tmp_path / "n.onnx"))
    with pytest.raises(UserError, match="cannot be derived from the graph"):
        count_operations(tmp_path / "n.onnx")


def test_a_copy_is_faster_than_nothing_and_slower_than_light() -> None:
    assert 1e8 < copy_bytes_per_s(1 << 20) < 1e13


def test_calls_are_counted_and_numbered() -> None:
    seen: list[int] = []
    found = timed(seen.append, calls=30)
    assert found is not None
    assert found["n"] == 30
    assert seen == list(range(30 + stages.WARM_UP))
    cut = timed(lambda i: sum(range(100_000)), calls=10_000, max_s=0.02)
    assert cut is not None
    assert cut["n"] < 10_000


def test_made_maps_have_the_peaks_of_a_trained_network() -> None:
    found = decode(peaked_maps(np.random.default_rng(0), 5, 32, 40), DecodeSpec(stride=4))
    assert (found.confidence > 0.5).all()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package") / "package", keypoints=4)


def test_every_stage_is_timed_beside_its_floor(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "SIZES", ((64, 48),))
    monkeypatch.setattr(timed, "__defaults__", (20, 1.0))
    engine = open_engine("openvino", package.path, package.manifest.input, "float32", 1)
    rows: list[Row] = [
        *preprocess_rows(package, engine),
        infer_row(package, "float32", Peak(1e11, "none")),
        decode_row(package, engine, 4),
        *track_rows(package, 6),
        publish_row(6, package),
    ]
    assert [row.stage for row in rows][-5:] == ["infer", "decode", "track", "decide", "publish"]
    for row in rows:
        assert row.ms is not None
        assert row.ms["n"] == 20
        assert row.floor_ms > 0
        assert row.distance is not None
        assert row.distance == row.ms["p50"] / row.floor_ms
