"""Edits of ONNX graphs: one float32 image in, one tensor of maps out, whatever the original looks like."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper
from onnx.compose import add_prefix_graph

from rt_pose.errors import UserError, nearest
from rt_pose.inference.engine import NETWORK_INPUT, NETWORK_OUTPUT
from rt_pose.onnx_file import external_files
from rt_pose.package import file_sha256
from train.importing.onnx_spec import Layout

_PREFIX = "original/"
"""Before every name of the original graph, so that none can collide with a new one."""


def load_graph(path: Path) -> Any:
    """Load the ONNX model in a file, weights and all.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    onnx.ModelProto
        The model, checked by ONNX.

    Raises
    ------
    UserError
        Where it cannot be read, or takes weights from outside its folder.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a network as ONNX")
    weight_files(path)
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "not an ONNX file"
        raise UserError(f"{path}: not a network that can be read as ONNX: {reason}") from error
    return model


def weight_files(path: Path) -> dict[str, str]:
    """Find the files beside an ONNX file that it takes weights from.

    Parameters
    ----------
    path
        The ONNX file.

    Returns
    -------
    dict[str, str]
        Their sha256 by name. The package itself gets one file with all weights inside.

    Raises
    ------
    UserError
        Where one is missing, or lies or leads elsewhere than beside the ONNX file.
    """
    try:
        names = sorted(external_files(path.read_bytes()))
    except ValueError as error:
        raise UserError(f"{path}: not a network that can be read as ONNX: {error}") from error
    for name in names:
        file = path.parent / name
        if not name or Path(name).name != name or "\\" in name or file.is_symlink():
            raise UserError(
                f"{path}: it takes weights from {name!r}, which is no file beside it; save it with its "
                "weights inside, or with `location` a plain name"
            )
        if not file.is_file():
            raise UserError(f"{path}: its weights in {name} are not there; copy that file beside it")
    return {name: file_sha256(path.parent / name) for name in names}


def inputs_of(model: Any) -> list[str]:
    """Return the names of the graph's inputs, without initialisers.

    Parameters
    ----------
    model
        An ONNX model.
    """
    known = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in known]


def outputs_of(model: Any) -> list[str]:
    """Return the names of the graph's outputs.

    Parameters
    ----------
    model
        An ONNX model.
    """
    return [value.name for value in model.graph.output]


def check_name(given: str | None, there: list[str], path: Path, what: str) -> str:
    """Return the name given, or the only one there.

    Parameters
    ----------
    given
        A name of the specification; None: none was given.
    there
        The graph's own names.
    path, what
        File and kind of name (input, output), for the error.

    Raises
    ------
    UserError
        Where the name is not there, or where none was given and there are several.
    """
    if given is None and len(there) == 1:
        return there[0]
    if given is None:
        raise UserError(f"{path}: it has the {what}s {', '.join(there)}; say in the spec which one to take")
    if given not in there:
        raise UserError(f"{path}: no {what} '{given}'{nearest(given, there)}")
    return given


def keep_maps(
    model: Any, source: str, maps: Iterable[str], shape: tuple[int, int, int], layout: Layout = "NCHW"
) -> Any:
    """Cut out the part of a model from a tensor to some maps, which are joined along their channels.

    Parameters
    ----------
    model
        An ONNX model.
    source
        Name of the tensor that takes the image; what lies before it is cut off.
    maps
        Names of the tensors with the maps; what lies behind them is cut off.
    shape
        (C, h, w) of the image.
    layout
        How the original's tensors are laid out.

    Returns
    -------
    onnx.ModelProto
        A model that takes `image`, float32 (B, C, h, w), and gives `heatmaps` (B, M, h', w').

    Raises
    ------
    UserError
        Where the maps need another input as well, or where the part holds branches or loops.
    """
    maps = list(maps)
    nodes = _needed(model, source, maps)
    if any(attribute.type == onnx.AttributeProto.GRAPH for node in nodes for attribute in node.attribute):
        raise UserError(
            "the network holds branches or loops (ONNX If, Loop or Scan), which cannot be taken apart; "
            "export it again with a fixed input size"
        )
    used = {name for node in nodes for name in node.input}
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in used]
    entry = helper.make_tensor_value_info(source, TensorProto.FLOAT, None)
    kept = add_prefix_graph(helper.make_graph(nodes, "original", [entry], [], initializers), _PREFIX)
    before, behind = _joints(source, maps, layout)
    graph = helper.make_graph(
        [*before, *kept.node, *behind],
        "rt-pose",
        [helper.make_tensor_value_info(NETWORK_INPUT, TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info(NETWORK_OUTPUT, TensorProto.FLOAT, ["batch", None, None, None])],
        kept.initializer,
    )
    cut = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    cut.functions.extend(model.functions)
    return cut


def producers(model: Any) -> dict[str, Any]:
    """Return the node that produces each tensor, by the tensor's name.

    Parameters
    ----------
    model
        An ONNX model.
    """
    return {name: node for node in model.graph.node for name in node.output if name}


def _needed(model: Any, source: str, maps: list[str]) -> list[Any]:
    """The nodes between, in the graph's own order. UserError where the maps need more than `source`."""
    made_by = producers(model)
    given = {tensor.name for tensor in model.graph.initializer} | {source, ""}
    needed: set[int] = set()
    waiting = [name for name in maps if name != source]
    while waiting:
        name = waiting.pop()
        if name in given:
            continue
        node = made_by.get(name)
        if node is None:
            raise UserError(
                f"the network also needs '{name}'; only networks fed with one image can be imported"
            )
        if id(node) not in needed:
            needed.add(id(node))
            waiting += node.input
    return [node for node in model.graph.node if id(node) in needed]


def _joints(source: str, maps: list[str], layout: Layout) -> tuple[list[Any], list[Any]]:
    """Return nodes that lead the new input in and the new output out."""
    before, behind, ready = [], [], [_PREFIX + name for name in maps]
    if layout == "NHWC":
        before.append(helper.make_node("Transpose", [NETWORK_INPUT], [_PREFIX + source], perm=[0, 2, 3, 1]))
        ready = [f"turned/{name}" for name in maps]
        behind += [
            helper.make_node("Transpose", [_PREFIX + name], [turned], perm=[0, 3, 1, 2])
            for name, turned in zip(maps, ready, strict=True)
        ]
    else:
        before.append(helper.make_node("Identity", [NETWORK_INPUT], [_PREFIX + source]))
    behind.append(helper.make_node("Concat", ready, [NETWORK_OUTPUT], axis=1))
    return before, behind
