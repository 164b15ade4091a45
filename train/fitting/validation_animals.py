"""Validation of several animals: found by the live decoder, and brought into the order of the labels."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from rt_pose.inference.decode import Keypoints
from rt_pose.inference.decode_centre_offsets import CentreOffsetsDecoder
from rt_pose.inference.preprocess import frame_from_input
from rt_pose.package import DecodeSpec, InputSpec
from rt_pose.types import FloatArray
from train.animals import aligned, found_share, mean_average_precision
from train.data.batches import ValidationBatch


def to_frame_px(xy: FloatArray, spec: InputSpec, size: tuple[int, int]) -> FloatArray:
    """Convert positions from pixels of the network's input to those of a frame.

    Parameters
    ----------
    xy
        Positions (..., 2), px of the network's input.
    spec
        Input of the network.
    size
        (width, height) of the frame, px.

    Returns
    -------
    FloatArray
        Positions (..., 2), frame px.
    """
    affine = frame_from_input(spec, size)
    converted: FloatArray = xy @ affine[:, :2].T + affine[:, 2]
    return converted


class ValidationAnimals:
    """The animals that were found in the frames of one validation."""

    def __init__(self, decode: DecodeSpec, individuals: int) -> None:
        self._decoder = CentreOffsetsDecoder(decode, individuals)
        self._found: list[Keypoints[FloatArray]] = []
        """(D, K) a frame, frame px."""
        self._in_order: list[FloatArray] = []
        """(N, K, 2) a frame."""
        self._labels: list[FloatArray] = []

    def add(self, output: Tensor, batch: ValidationBatch, spec: InputSpec) -> list[FloatArray]:
        """Find the animals of a batch.

        Parameters
        ----------
        output
            What the network gave (B, 3 K + 1, h, w).
        batch
            Labels and sizes of the frames.
        spec
            Input of the network.

        Returns
        -------
        list of FloatArray
            Positions (N, K, 2) of each frame's labeled animals, frame px; NaN for what was not found.
        """
        found = self._decoder(output.float().cpu().numpy())
        added = []
        for b, (labels, size) in enumerate(
            zip(batch.xy.double().cpu().numpy(), batch.frame_sizes, strict=True)
        ):
            own = Keypoints(to_frame_px(found.xy[b], spec, size), found.cov[b], found.confidence[b])
            alone = Keypoints(*(part[None] for part in own))
            self._found.append(own)
            self._labels.append(labels)
            added.append(aligned(alone, labels[None]).xy[0])
        self._in_order += added
        return added

    def figures(self) -> dict[str, float]:
        """Return the share of keypoints found and the mean average precision, and begin anew.

        Returns
        -------
        dict of str to float
            found, and oks_map; 0..1.
        """
        labels = np.stack(self._labels)
        figures = {
            "found": found_share(np.stack(self._in_order), labels),
            "oks_map": mean_average_precision(self._found, labels),
        }
        for part in (self._found, self._in_order, self._labels):
            part.clear()
        return figures
