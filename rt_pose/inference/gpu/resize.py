"""The resize of `preprocess_compiled.py` as two matrix products, for a device and inside a graph.

A separable filter is a matrix along each axis. Dense, they hold mostly zeros; a GPU multiplies these in a few
microseconds, less than a second library's launch costs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.inference.preprocess_compiled import taps
from rt_pose.package import InputSpec


class MatrixResize:
    """Frames of one shape to the network's input."""

    def __init__(self, spec: InputSpec, shape: tuple[int, int, int], device: torch.device) -> None:
        """Compute the matrices and copy them to the device.

        Parameters
        ----------
        spec
            The network's input.
        shape
            (H, W, C) of the frames: as many channels as the network has, or one.
        device
            Where the frames lie.

        Raises
        ------
        ValueError
            Where the channels do not fit.
        """
        height, width, channels = shape
        if channels not in (1, spec.channels):
            raise ValueError(f"MatrixResize: {channels} channels cannot become {spec.channels}")
        down, across = (
            torch.from_numpy(matrix).to(device)
            for matrix in (
                filter_matrix(height, spec.height, spec.antialias),
                filter_matrix(width, spec.width, spec.antialias).T.copy(),
            )
        )
        self._down, self._across = down, across  # (h, H), (W, w)
        std = np.asarray(spec.std, np.float64)[:, None, None]
        mean = np.asarray(spec.mean, np.float64)[:, None, None]
        self._scale, self._offset = (
            torch.from_numpy(values.astype(np.float32)).to(device) for values in (1.0 / std, -mean / std)
        )

    def __call__(self, frame: Tensor) -> Tensor:
        """Resize and normalise one frame.

        Parameters
        ----------
        frame
            (H, W, C) uint8, on the device.

        Returns
        -------
        Tensor
            (C, h, w) float32, on the device.
        """
        planes = frame.permute(2, 0, 1).float()
        resized = self._down @ planes @ self._across  # rows first, as on the CPU
        return resized * self._scale + self._offset


def filter_matrix(n_in: int, n_out: int, antialias: bool) -> NDArray[np.float32]:
    """Compute the matrix of a linear resize of one axis; see `preprocess_compiled.taps`.

    Parameters
    ----------
    n_in, n_out
        Sizes of the axis before and after, px.
    antialias
        Whether the filter is as wide as an output pixel.

    Returns
    -------
    NDArray[np.float32]
        (n_out, n_in): each output pixel's weights on the input's.
    """
    axis = taps(n_in, n_out, antialias)
    matrix = np.zeros((n_out, n_in), np.float32)
    columns = axis.first[:, None] + np.arange(axis.weight.shape[1])
    np.put_along_axis(matrix, columns, axis.weight, axis=1)
    return matrix
