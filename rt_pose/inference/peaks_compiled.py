"""The highest peaks of heatmaps, compiled: one pass over each map, and one over its few local maxima."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, error_model="numpy")
def find_peaks(maps, at, width, floor, separation, places, peaks):  # type: ignore[no-untyped-def]
    """Find the best peaks of maps, in place: non-maximum suppression by squares.

    A peak is the largest of its 3 x 3 pixels (of equals, the first). Peaks are taken from the highest down,
    each at least `separation` + 1 heatmap px along x or along y from all that were taken before.

    Parameters
    ----------
    maps
        Maps (M, h * w) float32.
    at
        Index of each map's largest value, (M,): the first peak.
    width
        Width w of a map, heatmap px.
    floor
        (M,) float32: lower values are no peak.
    separation
        Half the side of the square that a peak keeps for itself, heatmap px, at least 1.
    places
        Room for the places of C (separation + 1)^2 local maxima, int64: more than taken ones can suppress.
    peaks
        Written: indices (M, C), the highest first; -1 where a map has no further peak.
    """
    for m in range(len(maps)):
        values = maps[m]
        peaks[m, 0] = at[m]
        n = _local_maxima(values, width, floor[m], places)
        for c in range(1, peaks.shape[1]):
            best = np.int64(-1)
            for i in range(n):
                place = places[i]
                if _is_apart(place, peaks[m, :c], width, separation) and (
                    best < 0
                    or values[place] > values[best]
                    or (values[place] == values[best] and place < best)
                ):
                    best = place
            peaks[m, c] = best
            if best < 0:
                peaks[m, c:] = -1
                break


@numba.njit(cache=True, error_model="numpy")
def _local_maxima(values, width, floor, places):  # type: ignore[no-untyped-def]
    """Write the places of the highest local maxima of one map; how many there are."""
    n, smallest = 0, 0
    for place in range(len(values)):
        value = values[place]
        if not value >= floor or not _is_maximum(values, place, width):
            continue
        if n < len(places):
            places[n] = place
            n += 1
        elif value > values[places[smallest]]:
            places[smallest] = place
        else:
            continue
        if n == len(places):
            # From here on only what is higher than the lowest of them comes in.
            for i in range(n):
                if values[places[i]] < values[places[smallest]]:
                    smallest = i
            floor = values[places[smallest]]
    return n


@numba.njit(cache=True, error_model="numpy")
def _is_maximum(values, place, width):  # type: ignore[no-untyped-def]
    """Whether no neighbour is higher, and of equal ones none comes before it."""
    x, y = place % width, place // width
    for below in range(max(y - 1, 0), min(y + 2, len(values) // width)):
        for right in range(max(x - 1, 0), min(x + 2, width)):
            other = below * width + right
            if values[other] > values[place] or (values[other] == values[place] and other < place):
                return False
    return True


@numba.njit(cache=True, error_model="numpy")
def _is_apart(place, taken, width, separation):  # type: ignore[no-untyped-def]
    """Whether a pixel lies outside the squares of the peaks that were taken."""
    for other in taken:
        if max(abs(place % width - other % width), abs(place // width - other // width)) <= separation:
            return False
    return True
