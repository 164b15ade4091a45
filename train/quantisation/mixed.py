"""The `mixed` precision: bf16, except that the first layers of the network stay in float32.

bf16 keeps 8 bits of a number. What that does to a keypoint falls steeply with the depth of the layer it is
done in: the frame itself and the maps of the first layers, at half of its resolution, hold the edges that a
keypoint is placed by to a fraction of a pixel, and later layers only say which edge. The first layers are
therefore kept in float32, as few as it takes (figures, layer by layer: `bench/results/`).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from rt_pose.inference.engine import NETWORK_INPUT
from rt_pose.inference.engines.openvino import input_shapes, openvino_core
from rt_pose.package import InputSpec

FLOAT32_CONVOLUTIONS = 3
"""So many, from the input on, stay in float32: of EfficientNet-Lite0 the stem and the first block."""

CONVOLUTIONS = ("Convolution", "GroupConvolution")
_KEEP_FLOAT32 = {"name": "DisablePrecisionConversion", "version": "0", "value": "dynamic:f16"}
"""The runtime attribute by which OpenVINO's own passes tell the CPU plug-in to leave a layer's precision
alone, be it fp16 or bf16 that it would lower it to."""


def write_first_in_float32(
    onnx: Path, spec: InputSpec, path: Path, count: int = FLOAT32_CONVOLUTIONS
) -> None:
    """Write the mixed network of an ONNX file.

    Parameters
    ----------
    onnx
        The network, with a free batch.
    spec
        Its input.
    path
        The .xml file to write; its weights go beside it in .bin.
    count
        Convolutions, from the input on, that stay in float32 with what follows them.
    """
    model = fold_constants(onnx, spec)
    _write_marked(model, first_layers(model, count), path)


def fold_constants(onnx: Path, spec: InputSpec) -> Any:
    """Read a network with its shape fixed and every constant (paddings, batch norms) folded in.

    What is folded later is created again, and a mark upon it is lost.

    Parameters
    ----------
    onnx
        The network, with a free batch.
    spec
        Its input; the batch becomes 1.

    Returns
    -------
    openvino.Model
        The folded model.
    """
    from openvino._offline_transformations import apply_moc_transformations

    model = openvino_core().read_model(onnx)
    model.reshape(input_shapes(spec, 1))
    apply_moc_transformations(model, cf=True)
    return model


def convolutions(model: Any) -> list[str]:
    """Return the names of the convolutions that the image passes through, in the order in which they run.

    Those over a network's past frames alone do not wait for the image, and may come first.

    Parameters
    ----------
    model
        OpenVINO's model.
    """
    seen: set[str] = set()
    found = []
    for op in model.get_ordered_ops():
        name = op.get_friendly_name()
        before = {value.get_node().get_friendly_name() for value in op.input_values()}
        if name == NETWORK_INPUT or before & seen:
            seen.add(name)
            if op.get_type_name() in CONVOLUTIONS:
                found.append(name)
    return found


def first_layers(model: Any, count: int) -> set[str]:
    """Return the names of the first convolutions and of all that follows them up to the next one.

    Parameters
    ----------
    model
        OpenVINO's model.
    count
        Number of convolutions.
    """
    order = {name: i for i, name in enumerate(convolutions(model))}
    depth: dict[str, int] = {}
    for op in model.get_ordered_ops():
        name = op.get_friendly_name()
        before = [depth[value.get_node().get_friendly_name()] for value in op.input_values()]
        depth[name] = order.get(name, max(before, default=-1))
    return {name for name, layer in depth.items() if 0 <= layer < count}


def _write_marked(model: Any, float32: set[str], path: Path) -> None:
    """Write a folded network to `path` (.xml, its weights beside it in .bin), the layers `float32` marked."""
    import openvino

    openvino.serialize(model, str(path), str(path.with_suffix(".bin")))
    tree = ET.parse(path)
    for layer in tree.iter("layer"):
        if layer.get("name") in float32:
            notes = layer.find("rt_info")
            if notes is None:
                notes = ET.SubElement(layer, "rt_info")
            ET.SubElement(notes, "attribute", _KEEP_FLOAT32)
    tree.write(path)
