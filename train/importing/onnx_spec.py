"""The YAML that says of a network what its ONNX file does not. Nothing heavy: `--help` shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rt_pose.package import DecodeSpec, InputSpec

Layout = Literal["NCHW", "NHWC"]
EXAMPLE = """\
keypoints: [nose, left_ear, right_ear, tail]   # in the order of the heatmaps
skeleton: [[nose, tail]]                       # may be left out
input: {width: 256, height: 256, channels: 3, mean: [123.7, 116.3, 103.5], std: [58.4, 57.1, 57.4]}
decode: {stride: 4, activation: sigmoid}       # input pixels in one of a heatmap; or softmax, none
maps: heatmap                                  # the output with the heatmaps; may be left out if there is one
image: input                                   # the network's input; may be left out if there is one
layout: NCHW                                   # or NHWC, of input and outputs
# locref: offsets                              # an output with offsets, with `decode.decoder: argmax_locref`
"""


@dataclass
class OnnxSpec:
    """What an ONNX file does not say by itself."""

    keypoints: list[str]
    """In the order of the heatmaps."""
    input: InputSpec
    """What the network wants to see; mean and std per channel in grey levels 0..255."""
    decode: DecodeSpec
    """How its output becomes keypoints."""
    skeleton: list[tuple[str, str]] = field(default_factory=list)
    """Bones, as pairs of keypoints."""
    image: str | None = None
    """The graph's input."""
    maps: str | None = None
    """The output with one heatmap a keypoint."""
    locref: str | None = None
    """The output with x and y offsets of each keypoint in turn."""
    layout: Layout = "NCHW"
    """Of the graph's input and outputs."""
