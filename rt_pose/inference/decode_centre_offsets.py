"""The decoder of networks that see several animals: peaks of each keypoint, grouped by the centres they vote
for.

The network gives K keypoint heatmaps, a heatmap of the animals' centres, and for each keypoint an offset from
its pixel to the centre of its animal: one pass, whatever the number of animals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.decode import Keypoints
from rt_pose.inference.decode_compiled import all_finite
from rt_pose.inference.group_compiled import animal_size, cast_votes, choose_centres, group, rank
from rt_pose.inference.peaks_compiled import MOST_PEAKS, decode_peaks
from rt_pose.package import DecodeSpec
from rt_pose.types import FloatArray

LEAST_SIZE = 2.0
"""Heatmap px; animals are taken for no smaller."""


@dataclass
class _Peaks:
    """Room for the peaks of a frame, kept from call to call. K keypoints and the centre, P peaks of each."""

    at: NDArray[np.int64]
    count: NDArray[np.int64]
    xy: FloatArray
    cov: FloatArray
    confidence: FloatArray
    votes: FloatArray
    animal: NDArray[np.int64]
    peak: NDArray[np.int64]

    @classmethod
    def of(cls, keypoints: int) -> _Peaks:
        maps = keypoints + 1
        return cls(
            np.zeros((maps, MOST_PEAKS), np.int64),
            np.zeros(maps, np.int64),
            np.zeros((maps, MOST_PEAKS, 2)),
            np.zeros((maps, MOST_PEAKS, 2, 2)),
            np.zeros((maps, MOST_PEAKS)),
            np.zeros((keypoints, MOST_PEAKS, 2)),
            np.zeros((keypoints, MOST_PEAKS), np.int64),
            np.zeros((MOST_PEAKS, keypoints), np.int64),
        )


class CentreOffsetsDecoder:
    """Decodes the output of networks that see several animals. Not thread safe: one instance a thread."""

    def __init__(self, spec: DecodeSpec, detections: int) -> None:
        """Allocate the window.

        Parameters
        ----------
        spec
            Decoding of a package; its `decoder` must be `centre_offsets`.
        detections
            How many animals a frame gives, D: the surest ones. Further rows are NaN.
        """
        self.spec = spec
        self.detections = detections
        side = 2 * spec.window_radius + 1
        self._window = np.empty(side * side, np.float64)
        self._centres = np.empty((MOST_PEAKS, 2))
        self._score, self._ranks = np.empty(MOST_PEAKS), np.empty(MOST_PEAKS, np.int64)
        self._peaks = _Peaks.of(0)

    def __call__(self, maps: NDArray[np.float32]) -> Keypoints[FloatArray]:
        """Decode network output.

        Never raises or warns on values: output with NaN or infinity gives NaN and confidence 0.

        Parameters
        ----------
        maps
            Logits and offsets (..., 3 K + 1, h, w): K keypoints, the centre, then x and y of each keypoint.

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (..., D, K) in pixels of the network's input, the surest animal first; NaN and
            confidence 0 where there is none.
        """
        *lead, channels, height, width = maps.shape
        keypoints = (channels - 1) // 3
        if len(self._peaks.votes) != keypoints:
            self._peaks = _Peaks.of(keypoints)
        flat = maps.reshape(-1, channels, height * width)
        shape = (len(flat), self.detections, keypoints)
        found = Keypoints(np.full((*shape, 2), np.nan), np.full((*shape, 2, 2), np.nan), np.zeros(shape))
        for b, own in enumerate(flat):
            if all_finite(own.reshape(-1)):
                self._decode(own, width, Keypoints(found.xy[b], found.cov[b], found.confidence[b]))
        return Keypoints(
            found.xy.reshape(*lead, *shape[1:], 2),
            found.cov.reshape(*lead, *shape[1:], 2, 2),
            found.confidence.reshape(*lead, *shape[1:]),
        )

    def _decode(self, maps: NDArray[np.float32], width: int, found: Keypoints[FloatArray]) -> None:
        """One frame's animals (D, K) into `found`."""
        own, spec, k = self._peaks, self.spec, len(self._peaks.votes)
        decode_peaks(
            maps[: k + 1],
            width,
            spec.window_radius,
            spec.stride,
            self._window,
            own.at,
            own.count,
            own.xy,
            own.cov,
            own.confidence,
        )
        count, xy, confidence = own.count[:k], own.xy[:k], own.confidence[:k]
        cast_votes(own.at[:k], count, maps[k + 1 :], width, spec.stride, spec.offset_scale, own.votes)
        size = animal_size(count, xy, confidence, own.votes, LEAST_SIZE * spec.stride)
        n = choose_centres(own.count[k], own.xy[k], own.confidence[k], size, self._centres)
        n = group(count, confidence, own.votes, size, self._centres, n, own.animal, own.peak)
        n = min(rank(n, confidence, own.peak, self._score, self._ranks), self.detections)
        for row, animal in enumerate(self._ranks[:n]):
            (held,) = np.nonzero(own.peak[animal] >= 0)
            peaks = own.peak[animal, held]
            found.xy[row, held] = xy[held, peaks]
            found.cov[row, held] = own.cov[held, peaks]
            found.confidence[row, held] = confidence[held, peaks]
