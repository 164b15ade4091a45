"""How much arithmetic a network is, counted from its graph.

Counted are the convolutions and matrix products, two operations a multiply-add, which in these networks are
all but a few per cent; activations, sums, resizes and normalisations are left out, so a floor made from
this is low. OpenVINO reads the ONNX file: unlike ONNX's own shape inference it works out computed paddings,
and with them every shape.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rt_pose.errors import UserError


def count_operations(path: Path) -> int:
    """Operations of one forward of a batch of one; UserError where a shape stays unknown."""
    from rt_pose.inference.engines.openvino import openvino_core

    model = openvino_core().read_model(path)
    entry = model.inputs[0].get_partial_shape()
    entry[0] = 1
    model.reshape({0: entry})
    return sum(_operations(node, path) for node in model.get_ops())


def _operations(node: Any, path: Path) -> int:
    kind = node.get_type_name()
    if kind in ("Convolution", "GroupConvolution"):
        # Each weight is used once for every value of the map that its filter makes ...
        return 2 * math.prod(_shape(node.input(1), path)) * math.prod(_shape(node.output(0), path)[2:])
    if kind in ("ConvolutionBackpropData", "GroupConvolutionBackpropData"):
        # ... or, transposed, of the map that it spreads.
        return 2 * math.prod(_shape(node.input(1), path)) * math.prod(_shape(node.input(0), path)[2:])
    if kind == "MatMul":
        columns = -2 if node.get_attributes()["transpose_b"] else -1
        return 2 * math.prod(_shape(node.input(0), path)) * _shape(node.input(1), path)[columns]
    return 0


def _shape(port: Any, path: Path) -> list[int]:
    shape = port.get_partial_shape()
    if shape.is_dynamic:
        name = port.get_node().get_friendly_name()
        raise UserError(f"network {path}: the shapes of '{name}' cannot be derived from the graph ({shape})")
    return list(shape.to_shape())
