"""From heatmaps to keypoints with a covariance and a confidence.

A map becomes weights that are not negative (softmax of logits). Around its peak, in a window of
(2 r + 1)^2 heatmap pixels, the background (the window's smallest weight) is taken off; the centroid of what
is left is the keypoint, its second central moment the covariance: a soft-argmax (integral regression, Sun et
al. 2018) that a second peak elsewhere cannot pull. `rt_pose.inference.decode_torch` is the same,
differentiable. `CandidateDecoder` gives further peaks of a map too, each with a window of its own.

A window that the map's border cuts is one-sided: a keypoint within about a heatmap pixel of the border is
drawn inwards by up to that much. Networks imported from elsewhere have decoders of their own, in
`rt_pose.inference.decode_argmax`.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.decode_compiled import moments
from rt_pose.inference.peaks_compiled import find_peaks
from rt_pose.package import DecodeSpec
from rt_pose.types import FloatArray

A = TypeVar("A")

CANDIDATES = 3
"""Peaks of a map that are kept."""
SEPARATION = 2
"""Heatmap px: peaks are further apart than this along x or along y."""
LEAST_SHARE = 0.01
"""A peak that is kept has at least this share of the highest one's weight."""


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
        # argmax stops at the first NaN, which then is the peak.
        found = self.decode_peaks(self.activate(flat), flat.argmax(axis=1).reshape(-1, 1), width)
        return Keypoints(
            found.xy.reshape(*lead, 2), found.cov.reshape(*lead, 2, 2), found.confidence.reshape(lead)
        )

    def activate(self, flat: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apply the activation that comes before the peaks are decoded.

        Parameters
        ----------
        flat
            Heatmaps (M, h * w).

        Returns
        -------
        NDArray[np.float32]
            Weights for a sigmoid, otherwise the maps as they are.
        """
        return sigmoid(flat) if self.spec.activation == "sigmoid" else flat

    def decode_peaks(
        self, flat: NDArray[np.float32], peaks: NDArray[np.intp], width: int
    ) -> Keypoints[FloatArray]:
        """Decode given peaks of heatmaps.

        Parameters
        ----------
        flat
            What `activate` gave, (M, h * w).
        peaks
            Indices (M, C) of each map's peaks, its largest value first; -1 where it has no further one.
        width
            Width w of a map, heatmap px.

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (M, C) in pixels of the network's input; NaN and confidence 0 where there is no peak.
        """
        shape = peaks.shape
        xy, cov, confidence = np.empty((*shape, 2)), np.empty((*shape, 2, 2)), np.empty(shape)
        moments(
            flat,
            peaks,
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
        return Keypoints(xy, cov, confidence)


class CandidateDecoder:
    """The best few peaks of each heatmap, the highest first, which is `Decoder`'s to the bit.

    Not thread safe: one instance a thread.
    """

    def __init__(
        self,
        spec: DecodeSpec,
        candidates: int = CANDIDATES,
        separation: int = SEPARATION,
        least_share: float = LEAST_SHARE,
    ) -> None:
        """Allocate the window and the room for local maxima.

        Parameters
        ----------
        spec
            Decoding of a package; its `decoder` must be `soft_argmax`.
        candidates
            C, the most peaks of a map.
        separation
            Half the side of the square that a peak keeps for itself, heatmap px, at least 1.
        least_share
            A peak's least weight, as a share of the highest one's.
        """
        self._decoder = Decoder(spec)
        self._candidates, self._separation = candidates, separation
        self._least_share = least_share
        self._places = np.empty(candidates * (separation + 1) ** 2, np.int64)

    def __call__(self, maps: NDArray[np.float32]) -> Keypoints[FloatArray]:
        """Decode heatmaps.

        Never raises or warns on values: a map with NaN or infinity has no candidate.

        Parameters
        ----------
        maps
            Heatmaps (..., K, h, w).

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (..., K, C) in pixels of the network's input; NaN and confidence 0 where a map has no
            further peak. With softmax the confidence is the share of the map's mass in the window.
        """
        *lead, height, width = maps.shape
        flat = maps.reshape(-1, height * width)
        at = flat.argmax(axis=1)
        weights = self._decoder.activate(flat)
        peaks = np.empty((len(flat), self._candidates), np.intp)
        find_peaks(weights, at, width, self._floor(weights, at), self._separation, self._places, peaks)
        found = self._decoder.decode_peaks(weights, peaks, width)
        shape = (*lead, self._candidates)
        return Keypoints(
            found.xy.reshape(*shape, 2), found.cov.reshape(*shape, 2, 2), found.confidence.reshape(shape)
        )

    def _floor(self, weights: NDArray[np.float32], at: NDArray[np.intp]) -> NDArray[np.float32]:
        """(M,) the value below which there is no further peak."""
        highest = weights[np.arange(len(at)), at]
        if self._decoder.spec.activation == "softmax":
            return highest + np.log(np.float32(self._least_share))
        return np.maximum(highest * np.float32(self._least_share), np.finfo(np.float32).tiny)


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
