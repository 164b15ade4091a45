"""The preprocessing of `preprocess.py` compiled for one frame at a time: on a CPU the fastest of the three.

The same separable filter as DALI's (linear, antialiased, border pixels repeated), its weights computed once a
frame size. One pass a row: the rows that an output row looks at are summed into a buffer that stays in the
first-level cache, which is then summed along x, scaled and written in the network's layout. Nothing is
allocated a frame, there is no second thread that could spin, and the interpreter is free meanwhile.
DALI's graph is the definition; this serves where the golden keypoints stay in place, and needs no DALI.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rt_pose.package import InputSpec

_FAST = {"contract", "reassoc", "nsz"}
"""Multiply-add and the order of sums may be the processor's; NaN and infinity keep their meaning."""


class Taps(NamedTuple):
    """One axis of the resize: output i is the sum over t of weight[i, t] * input[first[i] + t]."""

    first: NDArray[np.int32]
    """(n_out,)"""
    weight: NDArray[np.float32]
    """(n_out, T), each row's sum 1."""


def taps(n_in: int, n_out: int, antialias: bool) -> Taps:
    """Compute the weights of a linear resize of one axis, edges on edges.

    Antialiased, the triangle is as wide as an output pixel where that is more than an input pixel. What falls
    outside repeats the border pixel, so its weight is added to that pixel's.

    Parameters
    ----------
    n_in, n_out
        Sizes of the axis before and after, px.
    antialias
        Whether to widen the triangle.

    Returns
    -------
    Taps
        First input pixel and weights of each output pixel.
    """
    scale = n_in / n_out
    support = max(scale, 1.0) if antialias else 1.0
    centre = (np.arange(n_out) + 0.5) * scale - 0.5
    span = np.arange(int(np.ceil(2 * support)) + 1)
    index = np.floor(centre - support).astype(np.int64)[:, None] + span  # (n_out, span)
    weight = np.maximum(0.0, 1.0 - np.abs(index - centre[:, None]) / support)
    weight /= weight.sum(axis=1, keepdims=True)

    clamped = np.clip(index, 0, n_in - 1)
    first = np.where(weight > 0, clamped, n_in).min(axis=1)
    last = np.where(weight > 0, clamped, -1).max(axis=1)
    width = int((last - first).max()) + 1
    first = np.minimum(first, n_in - width)
    dense = np.zeros((n_out, width), np.float32)
    used = weight > 0
    rows = np.broadcast_to(np.arange(n_out)[:, None], used.shape)[used]
    np.add.at(dense, (rows, (clamped - first[:, None])[used]), weight[used].astype(np.float32))
    return Taps(first.astype(np.int32), dense)


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _resize(frame, x0, y0, top, down, left, across, scale, offset, row, sums, out):  # type: ignore[no-untyped-def]
    """`frame` (H, W * C) uint8 from column `x0` and row `y0` on -> `out` (C_out, h, w) float32.

    `row` is as long as a row of the part; `sums` is (C, w); C_out is C or more.
    """
    channels_out, height, width = out.shape
    channels = sums.shape[0]
    for y in range(height):
        # Vertical pass: the frame rows under this output row, summed into `row`.
        _sum_rows(frame, x0, y0 + top[y], down[y], row)
        for c in range(channels):
            # Horizontal pass, a channel at a time.
            _sum_columns(row[c:], left, across, channels, sums[c])
        for c in range(channels_out):
            # Normalisation, written in the network's layout; one channel serves all where the frame is gray.
            total = sums[c if channels > 1 else 0]
            for x in range(width):
                out[c, y, x] = total[x] * scale[c] + offset[c]


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _sum_rows(frame, x0, top, weights, row):  # type: ignore[no-untyped-def]
    """Sum frame rows from `top` on, from column `x0` on, into one row with `weights`."""
    width = len(row)
    source = frame[top, x0 : x0 + width]  # indices from 0 on: no wrap-around to look for, so it is vectorised
    for x in range(width):
        # The first tap overwrites what the row before left.
        row[x] = weights[0] * np.float32(source[x])
    for t in range(1, len(weights)):
        weight = weights[t]
        if weight != 0.0:
            source = frame[top + t, x0 : x0 + width]
            for x in range(width):
                row[x] += weight * np.float32(source[x])


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _sum_columns(row, left, across, step, total):  # type: ignore[no-untyped-def]
    """One channel's output row; neighbours lie `step` apart. Four taps at a time and indices without a sign
    (no wrap-around to look for) are what lets the compiler use the processor's gathers: 2.5 times as fast."""
    one, two, three = np.uint32(step), np.uint32(2 * step), np.uint32(3 * step)
    for x in range(len(total)):
        total[x] = 0.0
    t = 0
    # Four taps at a time, then the rest one by one.
    while t + 4 <= len(across):
        start = np.uint32(t * step)
        for x in range(len(total)):
            i = left[x] + start
            total[x] += (
                across[t, x] * row[i]
                + across[t + 1, x] * row[i + one]
                + across[t + 2, x] * row[i + two]
                + across[t + 3, x] * row[i + three]
            )
        t += 4
    while t < len(across):
        start = np.uint32(t * step)
        for x in range(len(total)):
            total[x] += across[t, x] * row[left[x] + start]
        t += 1


@numba.njit(cache=True)
def _luma(frame, x0, y0, out):  # type: ignore[no-untyped-def]
    """Grey levels (h, w) uint8 of RGB `frame` (H, W, 3) from column `x0` and row `y0` on.

    BT.601 in 15 binary digits, rounded: for every colour the level that DALI gives it.
    """
    red, green, blue, half = np.uint32(9798), np.uint32(19235), np.uint32(3735), np.uint32(16384)
    for y in range(out.shape[0]):
        source, row = frame[y0 + y, x0 : x0 + out.shape[1]], out[y]
        for x in range(len(row)):
            row[x] = (red * source[x, 0] + green * source[x, 1] + blue * source[x, 2] + half) >> np.uint32(15)


class _Size:
    """What is kept for one size of frame."""

    def __init__(self, shape: tuple[int, int, int], spec: InputSpec) -> None:
        height, width, channels = shape
        self.gray: NDArray[np.uint8] | None = None
        """(height, width), where colours are made gray."""
        if channels == 3 and spec.channels == 1:
            self.gray = np.empty((height, width), np.uint8)
            channels = 1
        down, across = taps(height, spec.height, spec.antialias), taps(width, spec.width, spec.antialias)
        self.top, self.down = down.first, down.weight
        self.left = (across.first * channels).astype(np.uint32)
        self.across = np.ascontiguousarray(across.weight.T)
        self.row = np.empty(width * channels, np.float32)
        self.sums = np.empty((channels, spec.width), np.float32)


class CompiledPreprocess:
    """One frame a call. Not thread safe: one instance a thread."""

    def __init__(self, spec: InputSpec) -> None:
        """Prepare for frames; the weights are computed when the first frame of a size comes.

        Parameters
        ----------
        spec
            The network's input.
        """
        self.spec = spec
        self._scale = (1.0 / np.asarray(spec.std)).astype(np.float32)
        self._offset = (-np.asarray(spec.mean) / np.asarray(spec.std)).astype(np.float32)
        self._out = np.empty((1, spec.channels, spec.height, spec.width), np.float32)
        self._sizes: dict[tuple[int, ...], _Size] = {}

    def __call__(self, frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Preprocess one frame.

        Parameters
        ----------
        frames
            The one frame, (H, W, C) uint8.

        Returns
        -------
        NDArray[np.float32]
            Network input (1, C, h, w), valid until the next call.
        """
        (frame,) = frames
        self.into(frame, self._out[0])
        return self._out

    def into(
        self,
        frame: NDArray[np.uint8],
        out: NDArray[np.float32],
        window: tuple[int, int, int, int] | None = None,
    ) -> None:
        """Write the network's input for one frame, or for a window of it.

        Parameters
        ----------
        frame
            (H, W, C) uint8, C-contiguous.
        out
            Where the input goes, (C, h, w).
        window
            Part of the frame (x, y, width, height), px; None for the whole frame.
        """
        height, width, channels = frame.shape
        x, y, width, height = window or (0, 0, width, height)
        size = self._sizes.get((height, width, channels))
        if size is None:
            size = self._sizes[height, width, channels] = _Size((height, width, channels), self.spec)
        if size.gray is not None:
            _luma(frame, x, y, size.gray)
            frame, channels, x, y = size.gray, 1, 0, 0
        _resize(
            frame.reshape(len(frame), -1),
            x * channels,
            y,
            size.top,
            size.down,
            size.left,
            size.across,
            self._scale,
            self._offset,
            size.row,
            size.sums,
            out,
        )
