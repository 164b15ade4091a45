"""The `int8` precision: NNCF's post-training quantisation, calibrated on frames as the network sees them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.engines.openvino_norms import rewrite_group_norms

FLOAT_CONVOLUTIONS = 3
"""So many, from the input on, are not quantised: the frame and the maps at half of its resolution say where a
keypoint is to a fraction of a pixel."""
LAYERS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData")
_BARE = ("Constant", "Parameter", "Result")
"""What is no layer, and cannot be left out either."""


def write_int8(model: Any, inputs: Sequence[NDArray[np.float32]], float_layers: set[str], path: Path) -> int:
    """Write the quantised network.

    Parameters
    ----------
    model
        OpenVINO's model; it is changed.
    inputs
        Network inputs (1, C, h, w), which give the ranges of the maps.
    float_layers
        Names of layers that stay in float32.
    path
        The .xml file; its weights go beside it in .bin.

    Returns
    -------
    int
        Number of group norms in the network.

    Notes
    -----
    Weights are quantised by channel, maps by tensor, symmetric unless the map itself is one-sided. Where
    group norms are, nothing but convolutions is quantised: norms stay in float32, and so do the sums after
    them.
    """
    import nncf
    import openvino

    norms = rewrite_group_norms(model, to_quantise=True)
    kinds = {op.get_friendly_name(): op.get_type_name() for op in model.get_ordered_ops()}
    float_layers = float_layers | _behind_the_last(model)
    if norms:
        float_layers |= {name for name, kind in kinds.items() if kind not in LAYERS}
    float_layers = {name for name in float_layers if kinds.get(name, _BARE[0]) not in _BARE}
    nncf.set_log_level(logging.ERROR)
    quantised = nncf.quantize(
        model,
        nncf.Dataset(list(inputs)),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        fast_bias_correction=True,
        ignored_scope=nncf.IgnoredScope(names=sorted(float_layers)),
    )
    openvino.serialize(quantised, str(path), str(path.with_suffix(".bin")))
    return norms


def _behind_the_last(model: Any) -> set[str]:
    """Names of what lies between the last convolutions and the output: there a map is what is measured."""
    found: set[str] = set()
    waiting = [value.get_node() for op in model.get_results() for value in op.input_values()]
    while waiting:
        op = waiting.pop()
        name = op.get_friendly_name()
        if op.get_type_name() not in LAYERS and name not in found:
            found.add(name)
            waiting += [value.get_node() for value in op.input_values()]
    return found
