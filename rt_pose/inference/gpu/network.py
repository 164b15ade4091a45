"""The package's torch program made ready for a device: batch norms folded, precision and layout set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.passes import move_to_device_pass
from torch.nn.utils.fusion import fuse_conv_bn_weights

from rt_pose.inference.torch_program import read_program

_CONVOLUTION, _BATCH_NORM = torch.ops.aten.conv2d.default, torch.ops.aten.batch_norm.default
_CONV_ARGS = 3
"""Of a convolution's arguments: input, weight, bias."""


def load_program(path: Path, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Load the network of a `network.pt2` onto a device, its weights in channels-last layout.

    Parameters
    ----------
    path
        The file.
    device
        Where it goes.
    dtype
        Type of weights, input and output.

    Returns
    -------
    nn.Module
        Maps (B, C, h, w) of `dtype` to heatmaps of `dtype`.

    Raises
    ------
    UserError
        Where torch cannot load the file.
    """
    module = move_to_device_pass(read_program(path), str(device)).module()
    fold_batch_norms(module)
    module.to(dtype)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def fold_batch_norms(module: fx.GraphModule) -> int:
    """Multiply batch norms into the convolutions before them, in place: the same function up to rounding.

    A convolution whose output something else reads too keeps its batch norm, and so does a sum.

    Parameters
    ----------
    module
        The exported program's graph module.

    Returns
    -------
    int
        How many were folded.
    """
    folded = 0
    for norm in list(module.graph.nodes):
        if norm.target is not _BATCH_NORM:
            continue
        convolution = norm.args[0]
        if convolution.target is not _CONVOLUTION or len(convolution.users) > 1:
            continue
        _fold(module, convolution, norm)
        norm.replace_all_uses_with(convolution)
        module.graph.erase_node(norm)
        folded += 1
    module.graph.eliminate_dead_code()  # weights that nothing reads any more
    module.graph.lint()
    module.recompile()
    _drop_unused(module)
    return folded


def _fold(module: fx.GraphModule, convolution: fx.Node, norm: fx.Node) -> None:
    weight_node, bias_node, *rest = _from_weight_on(convolution)
    # batch_norm(input, weight, bias, mean, variance, training, momentum, eps, ...)
    weight, bias = _value(module, weight_node), _value(module, bias_node)
    gamma, beta, mean, variance = (_value(module, node) for node in norm.args[1:5])
    epsilon: Any = norm.args[7]
    fused = fuse_conv_bn_weights(weight, bias, mean, variance, epsilon, gamma, beta)  # type: ignore[arg-type]
    with module.graph.inserting_before(convolution):
        nodes = [
            _new(module, f"folded_{convolution.name}_{name}", value)
            for name, value in zip(("weight", "bias"), fused, strict=True)
        ]
    convolution.args = (convolution.args[0], *nodes, *rest)


def _drop_unused(module: fx.GraphModule) -> None:
    """Delete the weights that nothing reads any more: they would take memory of the device."""
    used = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    held = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    for name in held:
        if name not in used:
            owner, _, leaf = name.rpartition(".")
            delattr(module.get_submodule(owner), leaf)


def _from_weight_on(convolution: fx.Node) -> list[Any]:
    """Its arguments from the weight on; a bias that was left out is None."""
    arguments = list(convolution.args)[1:]
    if len(arguments) < _CONV_ARGS - 1:
        arguments.append(None)
    return arguments


def _value(module: fx.GraphModule, node: Any) -> Tensor | None:
    """The parameter or buffer that a node stands for."""
    if node is None:
        return None
    found: Any = module
    for name in str(node.target).split("."):
        found = getattr(found, name)
    return found.detach()


def _new(module: fx.GraphModule, name: str, value: Tensor) -> fx.Node:
    module.register_parameter(name, nn.Parameter(value.detach().clone(), requires_grad=False))
    return module.graph.get_attr(name)
