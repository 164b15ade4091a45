"""A network from elsewhere, as an importer returns it, and the program that it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rt_pose.package import Decoder, DecodeSpec, InputSpec
from rt_pose.types import FloatArray


class Original(Protocol):
    """The program that trained the network, or its own graph, finding keypoints by itself."""

    name: str
    """With its version, for people."""
    decoder: Decoder | None
    """How it decodes, where that differs from how the package does."""

    def poses(self, images: list[NDArray[np.uint8]]) -> FloatArray:
        """Find the keypoints of frames.

        Parameters
        ----------
        images
            F frames (H, W, C) uint8.

        Returns
        -------
        FloatArray
            (F, K, 3): x, y in pixels of the frames given, and confidence; NaN where a keypoint is not seen.
        """
        ...


@dataclass
class ImportedNetwork:
    """A network from elsewhere with all that a package must say of it."""

    name: str
    """Where it came from, for people."""
    spec: InputSpec
    decode: DecodeSpec
    keypoints: list[str]
    bones: list[tuple[str, str]]
    write_onnx: Callable[[Path], object]
    """Write the network with our input's and output's names."""
    provenance: dict[str, Any] = field(default_factory=dict)
