"""Peaks of maps that several animals share, compiled: where they are, how sure, and their covariance.

A map is one softmax over all animals, so that each of n animals has about the n-th part of it. Around a peak
the window of `rt_pose.inference.decode_compiled` is taken, without the pixels that lie nearer to another
peak.
"""

from __future__ import annotations

import numba
import numpy as np

from rt_pose.inference.decode_compiled import softmax_mass, write_moments

MOST_PEAKS = 32
"""Of one map, the highest of them: twice the most animals of a run."""
APART = 1
"""Heatmap px in x or y; of two maxima that are no further apart the higher one is the peak."""
LEAST_LOGIT = -4.6
"""Peaks of less than a hundredth of the highest one are none."""


@numba.njit(cache=True, error_model="numpy")
def find_peaks(logits, width, found):  # type: ignore[no-untyped-def]
    """Find the local maxima of a map, the highest first.

    Parameters
    ----------
    logits
        One map, (h * w,) float32, finite.
    width
        Its width w, heatmap px.
    found
        Written: their indices; as many as it has room for.

    Returns
    -------
    int
        How many there are.
    """
    least = logits.max() + LEAST_LOGIT
    n = 0
    for i in range(len(logits)):
        if logits[i] < least or not _is_peak(logits, i, width):
            continue
        j = min(n, len(found) - 1)
        if n == len(found) and logits[found[j]] >= logits[i]:
            continue
        while j > 0 and logits[found[j - 1]] < logits[i]:
            found[j] = found[j - 1]
            j -= 1
        found[j] = i
        n = min(n + 1, len(found))
    return n


@numba.njit(cache=True, error_model="numpy")
def _is_peak(logits, i, width):  # type: ignore[no-untyped-def]
    """Whether no pixel around it is higher; of equal ones the first counts."""
    x0, y0 = i % width, i // width
    for y in range(max(y0 - APART, 0), min(y0 + APART, len(logits) // width - 1) + 1):
        for x in range(max(x0 - APART, 0), min(x0 + APART, width - 1) + 1):
            j = y * width + x
            if logits[j] > logits[i] or (j < i and logits[j] == logits[i]):
                return False
    return True


@numba.njit(cache=True, error_model="numpy")
def decode_peaks(maps, width, radius, stride, window, at, count, xy, cov, confidence):  # type: ignore[no-untyped-def]
    """Decode every peak of every map, in place.

    Parameters
    ----------
    maps
        Logits (M, h * w) float32, finite.
    width
        Width w of a map, heatmap px.
    radius
        Radius of the window, heatmap px.
    stride
        Input pixels per heatmap pixel.
    window
        Room for (2 radius + 1)^2 weights, float64.
    at
        Written: indices of the peaks (M, P), the highest of each map first.
    count
        Written: how many peaks each map has, (M,).
    xy, cov
        Written: positions (M, P, 2), px of the network's input, and covariances (M, P, 2, 2), px^2.
    confidence
        Written: (M, P) 0..1, a peak's share of its map times the number of peaks that share it.

    Notes
    -----
    The number of peaks is (sum of shares)^2 / (sum of their squares): n for n equal ones, and hardly more for
    a faint one beside them.
    """
    for m in range(len(maps)):
        count[m] = find_peaks(maps[m], width, at[m])
        highest = maps[m, at[m, 0]]
        mass = np.float64(softmax_mass(maps[m], highest))
        shares, squares = 0.0, 0.0
        for p in range(count[m]):
            share = _decode_peak(
                maps[m], width, radius, stride, window, at[m, : count[m]], p, xy[m, p], cov[m, p]
            )
            share *= np.exp(np.float64(maps[m, at[m, p]]) - np.float64(highest)) / mass
            confidence[m, p] = share
            shares += share
            squares += share * share
        for p in range(count[m]):
            confidence[m, p] = min(confidence[m, p] * shares * shares / squares, 1.0)


@numba.njit(cache=True, error_model="numpy")
def _decode_peak(logits, width, radius, stride, window, at, p, xy, cov):  # type: ignore[no-untyped-def]
    """One peak's keypoint into `xy` and `cov`; the sum of the window's weights, that of the peak being 1."""
    height = len(logits) // width
    x0, y0 = at[p] % width, at[p] // width
    left, right = max(x0 - radius, 0), min(x0 + radius, width - 1)
    top, bottom = max(y0 - radius, 0), min(y0 + radius, height - 1)
    peak = np.float64(logits[at[p]])
    # The weights, their sum, and the smallest, which is the background.
    total, background, n = 0.0, np.inf, 0
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            window[n] = -1.0
            if _is_own(at, p, width, x, y):
                window[n] = np.exp(np.float64(logits[y * width + x]) - peak)
                total += window[n]
                background = min(background, window[n])
            n += 1

    write_moments(window, background, left, right, top, bottom, x0, y0, stride, xy, cov)
    return total


@numba.njit(cache=True, error_model="numpy")
def _is_own(at, p, width, x, y):  # type: ignore[no-untyped-def]
    """Whether no other peak is nearer to a pixel than peak p."""
    own = (x - at[p] % width) ** 2 + (y - at[p] // width) ** 2
    for q in range(len(at)):  # noqa: SIM110 (the compiler knows no generators)
        if (x - at[q] % width) ** 2 + (y - at[q] // width) ** 2 < own:
            return False
    return True
