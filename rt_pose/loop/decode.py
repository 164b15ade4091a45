"""From heatmaps to keypoints with a covariance and a confidence, in numpy.

A map becomes weights that are not negative (softmax of logits). Around its peak, in a window of
(2 r + 1)^2 heatmap pixels, the background (the window's smallest weight) is taken off; the centroid of what
is left is the keypoint, its second central moment the covariance: a soft-argmax (integral regression, Sun et
al. 2018) that a second peak elsewhere cannot pull. `rt_pose.loop.decode_torch` is the same, differentiable.

A window that the map's border cuts is one-sided: a keypoint within about a heatmap pixel of the border is
drawn inwards by up to that much.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rt_pose.package import DecodeSpec
from rt_pose.types import FloatArray

A = TypeVar("A")

WEIGHT_FLOOR = 1e-6
"""Of the peak's weight, added to every pixel of the window: a flat window has the window's own centroid
and spread instead of 0 / 0, and a sharp peak does not feel it."""

QUANTISATION_PX2 = 1.0 / 12.0
"""Variance of a uniform error within one heatmap pixel. A spike of one pixel has no second moment, yet says
where the keypoint is only to that pixel."""


class Keypoints(NamedTuple, Generic[A]):
    """Decoded keypoints."""

    xy: A
    """(..., K, 2) px; NaN where the map is not finite."""
    cov: A
    """(..., K, 2, 2) px^2; NaN where the map is not finite."""
    confidence: A
    """(..., K) 0..1: with softmax the window's share of the whole map, else the map's peak."""


class Decoder:
    """`decode` with its buffers kept from call to call. Not thread safe: one instance a thread."""

    def __init__(self, spec: DecodeSpec) -> None:
        self.spec = spec
        span = np.arange(-spec.window_radius, spec.window_radius + 1)
        dy, dx = (d.reshape(-1) for d in np.meshgrid(span, span, indexing="ij"))
        self._dx, self._dy = dx, dy  # (P,)
        # One product with the weights gives all their moments about the peak's pixel.
        self._monomials = np.stack([np.ones_like(dx), dx, dy, dx * dx, dx * dy, dy * dy], axis=1).astype(
            np.float64
        )  # (P, 6)
        self._weights = np.empty((0, 0), np.float32)

    def __call__(self, maps: NDArray[np.float32]) -> Keypoints[FloatArray]:
        """Keypoints in pixels of the network's input from `maps` (..., K, h, w). Never raises or warns on
        values: a map with NaN or infinity gives NaN and confidence 0."""
        *lead, height, width = maps.shape
        flat = maps.reshape(-1, height * width)
        rows = np.arange(len(flat))
        at = flat.argmax(axis=1)
        peak = flat[rows, at]
        # argmax stops at the first NaN, so peak and minimum together see every value that is not finite.
        finite = np.isfinite(peak) & np.isfinite(flat.min(axis=1))
        peak = np.where(finite, peak, np.float32(0.0))

        x = at[:, None] % width + self._dx  # (M, P)
        y = at[:, None] // width + self._dy
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        index = np.where(inside, y * width + x, at[:, None])
        window = flat[rows[:, None], index].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            weights, confidence = self._weigh(flat, peak, window, inside)
            mean, cov = _moments(weights @ self._monomials)
        xy = mean + np.stack([at % width, at // width], axis=1)
        xy[~finite] = np.nan
        cov[~finite] = np.nan
        confidence[~finite] = 0.0

        stride = self.spec.stride
        xy = (xy + 0.5) * stride - 0.5
        cov *= stride**2
        return Keypoints(xy.reshape(*lead, 2), cov.reshape(*lead, 2, 2), confidence.reshape(lead))

    def _weigh(
        self,
        flat: NDArray[np.float32],
        peak: NDArray[np.float32],
        window: FloatArray,
        inside: NDArray[np.bool_],
    ) -> tuple[FloatArray, FloatArray]:
        """Weights of the window's pixels (M, P), background off, peak about 1; and confidence (M,)."""
        top = peak.astype(np.float64)
        if self.spec.activation == "softmax":
            weights = np.where(inside, np.exp(window - top[:, None]), 0.0)
            confidence = weights.sum(axis=1) / self._softmax_mass(flat, peak)
        else:
            scale = np.maximum(top, np.finfo(np.float32).tiny)
            weights = np.where(inside, np.maximum(window, 0.0) / scale[:, None], 0.0)
            confidence = top
        background = np.where(inside, weights, np.inf).min(axis=1, keepdims=True)
        weights = np.where(inside, weights - background + WEIGHT_FLOOR, 0.0)
        return weights, np.clip(confidence, 0.0, 1.0)

    def _softmax_mass(self, flat: NDArray[np.float32], peak: NDArray[np.float32]) -> FloatArray:
        """Sum over each map of exp(value - peak)."""
        if self._weights.shape != flat.shape:
            self._weights = np.empty(flat.shape, np.float32)
        np.subtract(flat, peak[:, None], out=self._weights)
        np.exp(self._weights, out=self._weights)
        return self._weights.sum(axis=1).astype(np.float64)


def decode(maps: NDArray[np.float32], spec: DecodeSpec) -> Keypoints[FloatArray]:
    """Keypoints in pixels of the network's input from heatmaps (..., K, h, w)."""
    return Decoder(spec)(maps)


def _moments(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (M, 2) and covariance (M, 2, 2) from sums (M, 6) of weight times 1, x, y, xx, xy, yy."""
    moments = sums[:, 1:] / sums[:, :1]
    mean, second = moments[:, :2], moments[:, [2, 3, 3, 4]].reshape(-1, 2, 2)
    cov = second - mean[:, :, None] * mean[:, None, :]
    return mean, cov + QUANTISATION_PX2 * np.eye(2)
