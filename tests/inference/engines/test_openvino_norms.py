"""Group norms written anew are the same norms."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

from rt_pose.inference.engines.openvino import openvino_core
from rt_pose.inference.engines.openvino_norms import rewrite_group_norms

CHANNELS, GROUPS, SIDE = 24, 6, 12
SHAPE = (2, 3, SIDE, SIDE)


class Normed(nn.Module):
    """A convolution, and norms of what it gives; its maps lie far from zero, as some do."""

    def __init__(self, affine: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, CHANNELS, affine=affine)
        self.conv.bias.data.normal_(2.0)
        if affine:
            self.norm.weight.data.uniform_(0.5, 1.5)
            self.norm.bias.data.normal_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.norm(self.conv(x)))


def exported(network: nn.Module) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, which is what its exporter does
        torch.onnx.export(
            network,
            (torch.zeros(SHAPE),),
            out,
            input_names=["image"],
            dynamic_axes={"image": {0: "batch"}},
            opset_version=18,
            dynamo=False,
        )
    return out.getvalue()


def operation(network: Normed, opset: int) -> bytes:
    """The convolution and ONNX's own GroupNormalization; before opset 21 its scale is one a group."""
    weight, bias = network.norm.weight.data.numpy(), network.norm.bias.data.numpy()
    if opset < 21:
        weight, bias = (values[:: CHANNELS // GROUPS].copy() for values in (weight, bias))
        for parameter, values in ((network.norm.weight, weight), (network.norm.bias, bias)):
            parameter.data.copy_(torch.from_numpy(np.repeat(values, CHANNELS // GROUPS)))
    tensors = {
        "w": network.conv.weight.data.numpy(),
        "b": network.conv.bias.data.numpy(),
        "scale": weight,
        "shift": bias,
    }
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node(
            "GroupNormalization", ["maps", "scale", "shift"], ["norm"], num_groups=GROUPS, epsilon=1e-5
        ),
        helper.make_node("Relu", ["norm"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "norm",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *SHAPE[1:]])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return bytes(model.SerializeToString())


def read(network: bytes) -> Any:
    model = openvino_core().read_model(io.BytesIO(network))
    model.reshape(list(SHAPE))
    return model


def run(model: Any, image: NDArray[np.float32]) -> NDArray[np.float32]:
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return np.asarray(openvino_core().compile_model(model, "CPU", hint)(image)[0])


@pytest.mark.parametrize("form", ["exported", "without affine", "opset 18", "opset 21"])
def test_a_group_norm_is_rewritten_and_stays_what_it_is(form: str) -> None:
    torch.manual_seed(0)
    network = Normed(affine=form != "without affine").eval()
    data = operation(network, int(form[-2:])) if form.startswith("opset") else exported(network)
    model = read(data)
    assert rewrite_group_norms(model) == 1
    assert not {op.get_type_name() for op in model.get_ops()} & {"MVN", "GroupNormalization"}
    image = np.random.default_rng(0).normal(0.5, 2, SHAPE).astype(np.float32)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(image)).numpy()
    assert np.abs(run(model, image) - wanted).max() < 1e-5 * np.abs(wanted).max()


class OfPixels(nn.Module):
    """Norms that are not of groups: of each channel, and over the channels of each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.channel = nn.InstanceNorm2d(3)
        self.layer = nn.LayerNorm(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.channel(x)
        return self.layer(x.permute(0, 2, 3, 1))


def test_other_norms_are_left_alone() -> None:
    data = exported(OfPixels().eval())
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    model = read(data)
    assert rewrite_group_norms(model) == 0
    np.testing.assert_array_equal(run(model, image), run(read(data), image))


def test_a_network_without_norms_is_not_touched() -> None:
    model = read(exported(nn.Conv2d(3, 2, 3)))
    before = [op.get_friendly_name() for op in model.get_ordered_ops()]
    assert rewrite_group_norms(model) == 0
    assert [op.get_friendly_name() for op in model.get_ordered_ops()] == before


def test_the_exporter_writes_group_norm_as_an_instance_norm() -> None:
    """What the rewriting looks for is what is there: were it not, nothing would be rewritten."""
    nodes = onnx.load_from_string(exported(Normed())).graph.node
    assert "InstanceNormalization" in {node.op_type for node in nodes}
