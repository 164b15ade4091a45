"""The arithmetic of `decode.py`, compiled: one pass over each map, one over the window around its peak."""

from __future__ import annotations

import numba
import numpy as np

WEIGHT_FLOOR = 1e-6
"""Of the peak's weight, added to every pixel of the window: a flat window has the window's own centroid
and spread instead of 0 / 0, and a sharp peak is not affected."""

QUANTISATION_PX2 = 1.0 / 12.0
"""Variance of a uniform error within one heatmap pixel. A spike of one pixel has no second moment, yet says
where the keypoint is only to that pixel."""

_LOWEST = np.float32(-87.0)
"""Below it exp leaves single precision."""
_FAST = {"contract", "reassoc", "nsz"}
"""Multiply-add and the order of sums may be the processor's; NaN and infinity keep their meaning."""


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def softmax_mass(logits, peak):  # type: ignore[no-untyped-def]
    """Sum exp(logit - peak) over one map.

    Parameters
    ----------
    logits
        One map, (h * w,) float32.
    peak
        Its largest value.

    Returns
    -------
    float32
        The sum; NaN where a logit is not finite.

    Notes
    -----
    exp by argument reduction and a polynomial of degree 6 (Moshier's Cephes, `expf`): within 2e-7 of the true
    value, and, unlike a call of the mathematical library, eight or sixteen at a time.
    """
    total, not_finite = np.float32(0.0), np.float32(0.0)
    for i in range(len(logits)):
        not_finite += logits[i] * np.float32(0.0)  # NaN of NaN and of infinity
        # Argument reduction: x = n ln 2 + r, with ln 2 in two parts to keep the digits of r.
        x = max(logits[i] - peak, _LOWEST)
        n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
        r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
        # exp(r) by Horner's scheme.
        p = np.float32(1.9875691500e-4)
        p = p * r + np.float32(1.3981999507e-3)
        p = p * r + np.float32(8.3334519073e-3)
        p = p * r + np.float32(4.1665795894e-2)
        p = p * r + np.float32(1.6666665459e-1)
        p = p * r + np.float32(5.0000001201e-1)
        p = p * r * r + r + np.float32(1.0)
        # Times 2^n: n is written into the exponent of a float.
        total += p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return total + not_finite


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def all_finite(values):  # type: ignore[no-untyped-def]
    """Check that no value is NaN or infinite.

    Parameters
    ----------
    values
        One map, (h * w,) float32.

    Returns
    -------
    bool
        Whether all are finite.
    """
    nothing = np.float32(0.0)
    for i in range(len(values)):
        nothing += values[i] * np.float32(0.0)
    return nothing == 0.0


@numba.njit(cache=True, error_model="numpy")
def moments(maps, at, width, radius, stride, softmax, window, xy, cov, confidence):  # type: ignore[no-untyped-def]
    """Decode maps into `xy`, `cov` and `confidence`, in place.

    Parameters
    ----------
    maps
        Heatmaps (M, h * w) float32.
    at
        Index of each map's largest value, (M,).
    width
        Width w of a map, heatmap px.
    radius
        Radius of the window, heatmap px.
    stride
        Input pixels per heatmap pixel.
    softmax
        Whether the maps are logits; otherwise they are weights.
    window
        Room for (2 radius + 1)^2 weights, float64.
    xy
        Written: positions (M, 2), px of the network's input.
    cov
        Written: covariances (M, 2, 2), px^2.
    confidence
        Written: (M,) 0..1; 0, with NaN in the others, where a map is not finite.
    """
    for m in range(len(maps)):
        # The mass of the whole map, and whether all of it is finite.
        peak = maps[m, at[m]]
        if softmax:
            mass = softmax_mass(maps[m], peak)
            finite = np.isfinite(mass)
        else:
            mass, finite = np.float32(1.0), all_finite(maps[m])
        if not finite:
            xy[m] = np.nan
            cov[m] = np.nan
            confidence[m] = 0.0
            continue
        # The window around the peak.
        confidence[m] = _decode_one(
            maps[m], at[m], width, radius, stride, softmax, mass, window, xy[m], cov[m]
        )


@numba.njit(cache=True, error_model="numpy")
def _decode_one(logits, at, width, radius, stride, softmax, mass, window, xy, cov):  # type: ignore[no-untyped-def]
    """One map's keypoint into `xy` and `cov`; its confidence.

    In double precision: the moments of a flat map are differences of nearly equal numbers.
    """
    height = len(logits) // width
    x0, y0 = at % width, at // width
    left, right = max(x0 - radius, 0), min(x0 + radius, width - 1)
    top, bottom = max(y0 - radius, 0), min(y0 + radius, height - 1)
    peak = np.float64(logits[at])
    scale = max(peak, np.float64(np.finfo(np.float32).tiny))
    # The weights, their sum, and the smallest, which is the background.
    total, background, n = 0.0, np.inf, 0
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            value = np.float64(logits[y * width + x])
            weight = np.exp(value - peak) if softmax else max(value, 0.0) / scale
            total += weight
            background = min(background, weight)
            window[n] = weight
            n += 1
    write_moments(window, background, left, right, top, bottom, x0, y0, stride, xy, cov)
    # The window's share of the whole map, or the peak itself.
    return min(max(total / mass if softmax else peak, 0.0), 1.0)


@numba.njit(cache=True, error_model="numpy")
def write_moments(window, background, left, right, top, bottom, x0, y0, stride, xy, cov):  # type: ignore[no-untyped-def]
    """Write the place and the spread of the weights above the background, in place.

    Parameters
    ----------
    window
        The window's weights, row by row; pixels with a negative one do not count.
    background
        The smallest weight that counts.
    left, right, top, bottom
        First and last column and row of the window, heatmap px.
    x0, y0
        The peak's pixel, heatmap px.
    stride
        Input pixels per heatmap pixel.
    xy
        Written: centroid (2,), px of the network's input.
    cov
        Written: central second moment (2, 2), px^2.
    """
    s, sx, sy, sxx, sxy, syy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    n = 0
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            if window[n] >= 0.0:
                # Relative to the peak: of coordinates in the whole map the squares would lose digits.
                weight = window[n] - background + WEIGHT_FLOOR
                dx, dy = np.float64(x - x0), np.float64(y - y0)
                s += weight
                sx += weight * dx
                sy += weight * dy
                sxx += weight * dx * dx
                sxy += weight * dx * dy
                syy += weight * dy * dy
            n += 1
    mx, my = sx / s, sy / s
    xy[0] = (x0 + mx + 0.5) * stride - 0.5
    xy[1] = (y0 + my + 0.5) * stride - 0.5
    area = stride * stride
    cov[0, 0] = (sxx / s - mx * mx + QUANTISATION_PX2) * area
    cov[1, 1] = (syy / s - my * my + QUANTISATION_PX2) * area
    cov[0, 1] = cov[1, 0] = (sxy / s - mx * my) * area


@numba.njit(cache=True, error_model="numpy")
def to_frame(affine, offset_x, offset_y, xy, cov):  # type: ignore[no-untyped-def]
    """Carry keypoints from the network's input to the frame, in place.

    Parameters
    ----------
    affine
        (2, 3), from pixels of the network's input to those of the frame.
    offset_x, offset_y
        Shift that is added afterwards, px.
    xy
        Positions (M, 2), px.
    cov
        Covariances (M, 2, 2), px^2.
    """
    a, b, c, d = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
    for m in range(len(xy)):
        # Position: the affine and the shift.
        x, y = xy[m, 0], xy[m, 1]
        xy[m, 0] = a * x + b * y + affine[0, 2] + offset_x
        xy[m, 1] = c * x + d * y + affine[1, 2] + offset_y
        # Covariance: A cov A'.
        xx, xy_, yy = cov[m, 0, 0], cov[m, 0, 1], cov[m, 1, 1]
        cov[m, 0, 0] = a * a * xx + 2.0 * a * b * xy_ + b * b * yy
        cov[m, 1, 1] = c * c * xx + 2.0 * c * d * xy_ + d * d * yy
        cov[m, 0, 1] = cov[m, 1, 0] = a * c * xx + (a * d + b * c) * xy_ + b * d * yy
