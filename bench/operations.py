"""How much arithmetic a network is, counted from its ONNX graph.

Counted are the convolutions and matrix products, two operations a multiply-add, which in these networks are
all but a few per cent; activations, sums, resizes and normalisations are left out, so a floor made from
this is low.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import shape_inference

from rt_pose.errors import UserError


def count_operations(path: Path) -> int:
    """Operations of one forward of a batch of one; UserError where a shape stays unknown."""
    model = onnx.load(str(path))
    for entry in model.graph.input:
        dims = entry.type.tensor_type.shape.dim
        if dims and not dims[0].dim_value:
            dims[0].dim_value = 1
    # What the exporter wrote of inner shapes still has the free batch size.
    del model.graph.value_info[:]
    for entry in model.graph.output:
        entry.type.tensor_type.shape.dim[0].dim_value = 1
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        entry.name: [d.dim_value for d in entry.type.tensor_type.shape.dim]
        for entry in (*graph.input, *graph.value_info, *graph.output)
    }
    shapes |= {weight.name: list(weight.dims) for weight in graph.initializer}
    return sum(_operations(node, shapes, path) for node in graph.node)


def _operations(node: onnx.NodeProto, shapes: dict[str, list[int]], path: Path) -> int:
    if node.op_type in ("Conv", "ConvTranspose"):
        weight = _shape(node.input[1], shapes, path)
        # A kernel's column of weights is used once for each value of the map it slides over.
        places = node.output[0] if node.op_type == "Conv" else node.input[0]
        return 2 * math.prod(weight) * math.prod(_shape(places, shapes, path)[2:])
    if node.op_type in ("MatMul", "Gemm"):
        left, right = (_shape(name, shapes, path) for name in node.input[:2])
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return 2 * math.prod(left) * (right[-2] if transposed else right[-1])
    return 0


def _shape(name: str, shapes: dict[str, list[int]], path: Path) -> Sequence[int]:
    shape = shapes.get(name)
    if not shape or 0 in shape:
        raise UserError(f"network {path}: the shape of '{name}' cannot be told from the graph ({shape})")
    return shape
