"""The YAML that says of a network what its ONNX file does not. An example: `train.importing.onnx_example`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rt_pose.package import DecodeSpec, InputSpec

Layout = Literal["NCHW", "NHWC"]


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
