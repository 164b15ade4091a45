"""A network as the files that engines read: ONNX, and a torch program. Both take any number of frames."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

from rt_pose.inference.engine import NETWORK_INPUT, NETWORK_NEXT, NETWORK_OUTPUT, NETWORK_PAST
from rt_pose.package import InputSpec

ONNX_OPSET = 18


def write_onnx(network: nn.Module, spec: InputSpec, path: Path) -> None:
    """Write a network as ONNX.

    Parameters
    ----------
    network
        On the CPU, in evaluation mode; with context it takes a past and returns the next one as well.
    spec
        Its input.
    path
        The file to write.
    """
    inputs, outputs = [NETWORK_INPUT], [NETWORK_OUTPUT]
    if spec.context is not None:
        inputs, outputs = [*inputs, NETWORK_PAST], [*outputs, NETWORK_NEXT]
    with warnings.catch_warnings():
        # The exporter by tracing is deprecated; its successor needs another package and gives the same graph.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # It cannot fold the order of the paddings; the engine does that when it loads the network.
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            network,
            _example(spec),
            str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)},
            opset_version=ONNX_OPSET,
            dynamo=False,
        )


def write_program(network: nn.Module, spec: InputSpec, path: Path) -> None:
    """Write a network as a torch program.

    Parameters
    ----------
    network, spec, path
        As in `write_onnx`.
    """
    batch = torch.export.Dim("batch", min=1)
    example = _example(spec)
    program = torch.export.export(network, example, dynamic_shapes=tuple({0: batch} for _ in example))
    # The archive would keep the example as a pickle.
    program.example_inputs = None
    torch.export.save(program, path)


def _example(spec: InputSpec) -> tuple[torch.Tensor, ...]:
    # Two frames: with one, the exporter would take the batch for a constant.
    image = torch.zeros(2, spec.channels, spec.height, spec.width)
    return (image,) if spec.context is None else (image, torch.zeros(2, *spec.context.shape))
