"""bf16 with its first layers in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.inference.engine import open_engine
from rt_pose.inference.engines.openvino import OpenVINOEngine, openvino_core
from rt_pose.package import NETWORK, PRECISION_NETWORKS, InputSpec
from train.config import NetworkConfig
from train.export import _plain
from train.models.files import write_onnx
from train.models.network import PoseNetwork, input_spec
from train.quantisation.mixed import convolutions, first_layers, fold_constants, write_first_in_float32

pytestmark = pytest.mark.skipif(
    "mixed" not in OpenVINOEngine.precisions(), reason="this processor has no bf16"
)
CONFIG = NetworkConfig(backbone="tiny", width=96, height=64, head_width=16)
SPEC = input_spec(CONFIG, 1)
MIXED = PRECISION_NETWORKS["mixed"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mixed")
    write_onnx(_plain(PoseNetwork(CONFIG, 1, 3)), SPEC, path / NETWORK)
    return path


def heatmaps(folder: Path, precision: str, spec: InputSpec = SPEC, batch: int = 1) -> NDArray[np.float32]:
    x = np.random.default_rng(0).standard_normal((batch, 1, spec.height, spec.width)).astype(np.float32)
    return open_engine("openvino", folder, spec, precision, 1).infer(x).copy()


def test_no_layer_in_float32_is_bf16_and_every_layer_is_float32(folder: Path) -> None:
    reference = heatmaps(folder, "float32")
    away = []
    for count in (0, len(convolutions(fold_constants(folder / NETWORK, SPEC)))):
        write_first_in_float32(folder / NETWORK, SPEC, folder / MIXED, count)
        away.append(np.abs(heatmaps(folder, "mixed") - reference).max())
    assert away[0] == np.abs(heatmaps(folder, "bf16") - reference).max() > 0
    assert away[1] < 1e-5, "every layer is marked, and every mark is heeded"


def test_it_takes_batches(folder: Path) -> None:
    write_first_in_float32(folder / NETWORK, SPEC, folder / MIXED)
    assert heatmaps(folder, "mixed", batch=3).shape == (3, 3, 16, 24)
    np.testing.assert_allclose(heatmaps(folder, "mixed", batch=3)[:1], heatmaps(folder, "mixed"), atol=0.05)


def test_what_follows_a_convolution_goes_with_it(folder: Path) -> None:
    model = fold_constants(folder / NETWORK, SPEC)
    names = first_layers(model, 2)
    kinds = [op.get_type_name() for op in model.get_ordered_ops() if op.get_friendly_name() in names]
    assert kinds.count("Convolution") == 2
    assert "Clamp" in kinds
    assert "Parameter" not in kinds


def test_the_processor_runs_the_first_layers_in_float32_and_the_last_not(folder: Path) -> None:
    write_first_in_float32(folder / NETWORK, SPEC, folder / MIXED)
    compiled = openvino_core().compile_model(
        openvino_core().read_model(folder / MIXED), "CPU", {"INFERENCE_PRECISION_HINT": "bf16"}
    )
    precisions = [
        op.get_rt_info()["runtimePrecision"].astype(str)
        for op in compiled.get_runtime_model().get_ordered_ops()
        if op.get_rt_info()["layerType"].astype(str) == "Convolution"
    ]
    assert precisions[:3] == ["f32"] * 3
    assert set(precisions[3:]) == {"bf16"}
