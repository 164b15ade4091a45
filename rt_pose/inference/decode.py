"""From heatmaps to keypoints with a covariance and a confidence.

A map becomes weights that are not negative (softmax of logits). Around its peak, in a window of
(2 r + 1)^2 heatmap pixels, the background (the window's smallest weight) is taken off; the centroid of what
is left is the keypoint, its second central moment the covariance: a soft-argmax (integral regression, Sun et
al. 2018) that a second peak elsewhere cannot pull. `rt_pose.inference.decode_torch` is the same,
differentiable.

A window that the map's border cuts is one-sided: a keypoint within about a heatmap pixel of the border is
drawn inwards by up to that much. Networks imported from elsewhere have decoders of their own, in
`rt_pose.inference.decode_argmax`.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.decode_compiled import moments
from rt_pose.package import DecodeSpec
from rt_pose.types import FloatArray

A = TypeVar("A")


class Keypoints(NamedTuple, Generic[A]):
    """Decoded keypoints."""

    xy: A
    """(..., K, 2) px; NaN where the map is not finite."""
    cov: A
    """(..., K, 2, 2) px^2; NaN where the map is not finite."""
    confidence: A
    """(..., K) 0..1: with softmax the window's share of the whole map, else the map's peak."""


class Decoder:
    """Decodes heatmaps, its buffers kept from call to call. Not thread safe: one instance a thread."""

    def __init__(self, spec: DecodeSpec) -> None:
        """Allocate the window.

        Parameters
        ----------
        spec
            Decoding of a package; its `decoder` must be `soft_argmax`.
        """
        self.spec = spec
        side = 2 * spec.window_radius + 1
        self._window = np.empty(side * side, np.float64)
        self._softmax = spec.activation == "softmax"

    def __call__(self, maps: NDArray[np.float32]) -> Keypoints[FloatArray]:
        """Decode heatmaps.

        Never raises or warns on values: a map with NaN or infinity gives NaN and confidence 0.

        Parameters
        ----------
        maps
            Heatmaps (..., K, h, w).

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (..., K) in pixels of the network's input.
        """
        *lead, height, width = maps.shape
        flat = maps.reshape(-1, height * width)
        xy, cov = np.empty((len(flat), 2)), np.empty((len(flat), 2, 2))
        confidence = np.empty(len(flat))
        # argmax stops at the first NaN, which then is the peak.
        at = flat.argmax(axis=1)
        moments(
            sigmoid(flat) if self.spec.activation == "sigmoid" else flat,
            at,
            width,
            self.spec.window_radius,
            self.spec.stride,
            self._softmax,
            self._window,
            xy,
            cov,
            confidence,
        )
        if self.spec.offset_px is not None:
            xy += self.spec.offset_px - 0.5 * (self.spec.stride - 1)
        return Keypoints(xy.reshape(*lead, 2), cov.reshape(*lead, 2, 2), confidence.reshape(lead))


def to_input_px(xy: FloatArray, spec: DecodeSpec) -> FloatArray:
    """Convert heatmap pixels to pixels of the network's input.

    Parameters
    ----------
    xy
        Positions (..., 2), heatmap px.
    spec
        Its stride and offset are used.

    Returns
    -------
    FloatArray
        Positions (..., 2), px of the network's input.
    """
    offset = 0.5 * (spec.stride - 1) if spec.offset_px is None else spec.offset_px
    return xy * spec.stride + offset


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the logistic function of every value.

    Parameters
    ----------
    logits
        Any shape.

    Returns
    -------
    NDArray[np.float32]
        Values 0..1, shape of `logits`; NaN where one is not finite, which would otherwise become a good 0 or
        1.
    """
    with np.errstate(invalid="ignore"):  # inf - inf
        # By tanh: no exponential that could overflow.
        found: NDArray[np.float32] = np.float32(0.5) + np.float32(0.5) * np.tanh(np.float32(0.5) * logits)
        return found + (logits - logits)
