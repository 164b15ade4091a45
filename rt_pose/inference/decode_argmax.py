"""Decoders of networks that were trained elsewhere: the peak's pixel, refined as their own code refines it.

Where a keypoint is follows the original to the last digit that matters; its covariance and confidence come
from the same window as ours (`rt_pose.inference.decode`), since the originals know none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.decode import Decoder, Keypoints, to_input_px
from rt_pose.inference.decode_centre_offsets import CentreOffsetsDecoder
from rt_pose.package import DecodeSpec
from rt_pose.types import FloatArray

INTEGRAL_RADIUS = 2
"""SLEAP's integral refinement looks at 5x5 heatmap pixels."""
LOCREF_MAPS = 3
"""Maps a keypoint has where the network gives offsets: its heatmap, x and y."""

Decode = Callable[[NDArray[np.float32]], Keypoints[FloatArray]]


def make_decoder(spec: DecodeSpec, detections: int = 1) -> Decode:
    """Make the decoder of a package.

    Parameters
    ----------
    spec
        Decoding of the package.
    detections
        How many animals a frame gives, D, for a package that finds several.

    Returns
    -------
    Decode
        Maps network output (..., C, h, w) to keypoints (..., K), of several animals (..., D, K), in pixels
        of the network's input; not thread safe.
    """
    if spec.decoder == "centre_offsets":
        return CentreOffsetsDecoder(spec, detections)
    return Decoder(spec) if spec.decoder == "soft_argmax" else ArgmaxDecoder(spec)


class ArgmaxDecoder:
    """The peak's pixel, alone, with the network's own offset, or with the centroid around it.

    Not thread safe: one instance a thread.
    """

    def __init__(self, spec: DecodeSpec) -> None:
        """Prepare the window that covariance and confidence come from.

        Parameters
        ----------
        spec
            Decoding of a package; `decoder` is one of the argmax kinds.
        """
        self.spec = spec
        self._window = Decoder(spec)

    def __call__(self, maps: NDArray[np.float32]) -> Keypoints[FloatArray]:
        """Decode network output.

        Never raises or warns on values: a map with NaN or infinity gives NaN and confidence 0.

        Parameters
        ----------
        maps
            Heatmaps (..., K, h, w); with location refinement (..., 3 K, h, w).

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (..., K) in pixels of the network's input.
        """
        *lead, channels, height, width = maps.shape
        keypoints = channels // LOCREF_MAPS if self.spec.decoder == "argmax_locref" else channels
        heatmaps = maps[..., :keypoints, :, :]
        found = self._window(heatmaps)
        flat = heatmaps.reshape(-1, height * width)
        at = flat.argmax(axis=1)
        cell = np.stack([at % width, at // width], axis=1).astype(np.float64)
        if self.spec.decoder == "argmax_integral":
            cell += _centroids(flat, at, height, width)
        xy = to_input_px(cell, self.spec).reshape(*lead, keypoints, 2)
        if self.spec.decoder == "argmax_locref":
            offsets = maps[..., keypoints:, :, :].reshape(len(flat), 2, height * width)
            xy += (offsets[np.arange(len(flat)), :, at] * self.spec.locref_std).reshape(xy.shape)
        # Broken: not finite in the window, or with an offset that is not finite.
        broken = ~(np.isfinite(found.xy) & np.isfinite(xy)).all(axis=-1)
        xy[broken] = np.nan
        found.cov[broken] = np.nan
        found.confidence[broken] = 0.0
        return Keypoints(xy, found.cov, found.confidence)


def _centroids(flat: NDArray[np.float32], at: NDArray[np.intp], height: int, width: int) -> FloatArray:
    """(M, 2) centroids in heatmap px, relative to the pixels `at`, of the values around them.

    Values outside the map count as 0, and so do negative ones: the original takes them as they are, and a
    window whose values add up to nothing then moves the keypoint out of the frame.
    """
    span = np.arange(-INTEGRAL_RADIUS, INTEGRAL_RADIUS + 1)
    dy, dx = (d.reshape(-1) for d in np.meshgrid(span, span, indexing="ij"))
    x, y = at[:, None] % width + dx, at[:, None] // width + dy  # (M, 25)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    values = flat[np.arange(len(flat))[:, None], np.where(inside, y * width + x, at[:, None])]
    values = np.where(inside, np.maximum(values, 0.0), 0.0).astype(np.float64)
    mass = np.maximum(values.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    with np.errstate(invalid="ignore"):  # the window's decoder finds a map with infinity
        centroids: FloatArray = (values @ np.stack([dx, dy], axis=1)) / mass
    return centroids
