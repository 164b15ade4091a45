"""The state of a condition's keypoints at one time: Gaussians, in px and in mm, and quadrature points."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.errors import UserError
from rt_pose.rules.closed_forms import Linear, Radial
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.probability import MAX_DIMENSIONS, factor, normal_nodes
from rt_pose.rules.samples import Slot, StateSamples
from rt_pose.types import FloatArray, Track

Rows = list[list[float]]


class StateDistribution:
    """Means and covariances of slots, set for each track; covariances are computed only where asked for."""

    def __init__(self, slots: list[Slot], geometry: Geometry | None) -> None:
        """Allocate means and samples.

        Parameters
        ----------
        slots
            The keypoints a condition looks at, each in px or mm.
        geometry
            Geometry of the camera, for slots in mm.
        """
        self._slots, self._geometry = slots, geometry
        self._values = np.full((len(slots), 4, 1), np.nan)
        self.samples = StateSamples.of(self._values)
        """The mean."""
        self.means: Rows = [[math.nan] * 4 for _ in slots]
        """By slot: x, y, vx, vy."""
        self.maps: list[NDArray[np.float64] | None] = [None] * len(slots)
        """By slot: derivative of its coordinates by those in px; None in px."""
        self._covs: dict[int, Rows] = {}
        self._track: Track | None = None
        self._who = 0

    def set_track(self, track: Track, who: int, confidence: FloatArray | None) -> None:
        """Take the means of a track; covariances are computed where they are asked for.

        Parameters
        ----------
        track
            The track; it is kept.
        who
            Index of the individual.
        confidence
            The network's in the newest frame, (N, K) 0..1; None where it is not known.
        """
        self._track, self._who = track, who
        self._covs.clear()
        samples = self.samples
        samples.t_s = track.t_valid_ns / NS_PER_S
        for s, slot in enumerate(self._slots):
            k = slot.keypoint
            mean = [*track.xy[who, k].tolist(), *track.velocity[who, k].tolist()]
            if slot.metric and self._geometry is not None:
                mean, self.maps[s] = self._geometry.to_mm(mean)
            self.means[s] = mean
            self._values[s, :, 0] = mean
            samples.unseen_s[s] = float(track.seen_ms_ago[who, k]) / 1e3
            samples.confidence[s] = math.nan if confidence is None else float(confidence[who, k])

    def cov(self, s: int) -> Rows:
        """Compute the covariance of a slot.

        Parameters
        ----------
        s
            The slot.

        Returns
        -------
        Rows
            (4, 4) over [x, y, vx, vy], in the slot's unit.
        """
        rows = self._covs.get(s)
        if rows is None:
            cov = self.cov_px(self._slots[s].keypoint)
            to_mm = self.maps[s]
            rows = self._covs[s] = (cov if to_mm is None else to_mm @ cov @ to_mm.T).tolist()
        return rows

    def cov_px(self, keypoint: int) -> NDArray[np.float64]:
        """Look up the covariance of a keypoint.

        Parameters
        ----------
        keypoint
            Its index in the model.

        Returns
        -------
        NDArray[np.float64]
            (4, 4) over [x, y, vx, vy], px.
        """
        assert self._track is not None
        return self._track.cov[self._who, keypoint]

    def mean_of(self, form: Linear) -> float:
        """Compute the mean of a weighted sum.

        Parameters
        ----------
        form
            The sum.

        Returns
        -------
        float
            Its mean, in base units.
        """
        return form.constant + sum(w * self.means[s][c] for (s, c), w in form.weights.items())

    def covariance(self, first: Linear, second: Linear) -> float:
        """Compute the covariance between two weighted sums.

        Keypoints are independent of each other, as the filter has them.

        Parameters
        ----------
        first, second
            The sums; the same for a variance.

        Returns
        -------
        float
            The covariance, in base units.
        """
        total = 0.0
        for (s, c), w in first.weights.items():
            row = self.cov(s)[c]
            for (t, d), v in second.weights.items():
                if s == t:
                    total += w * v * row[d]
        return total

    def plane(self, form: Radial) -> tuple[tuple[float, float], tuple[float, float, float]]:
        """Compute mean and covariance of a vector in the plane.

        Parameters
        ----------
        form
            The vector.

        Returns
        -------
        tuple[tuple[float, float], tuple[float, float, float]]
            (x, y) and (xx, xy, yy), in base units.
        """
        covariance = self.covariance
        x, y = form.x, form.y
        return (
            (self.mean_of(x), self.mean_of(y)),
            (covariance(x, x), covariance(x, y), covariance(y, y)),
        )


class QuadraturePoints:
    """Fixed quadrature points of the joint Gaussian of some slots, placed for each state distribution."""

    def __init__(
        self, slots: list[Slot], used: Iterable[int], moving: Iterable[int], half: bool = False
    ) -> None:
        """Lay out the dimensions of the joint distribution.

        Parameters
        ----------
        slots
            The slots of the condition.
        used
            Those that are looked at.
        moving
            Those whose velocity is looked at.
        half
            Whether half as many points do.
        """
        self._slots, self._used, self._half = slots, sorted(used), half
        fast = {slots[s].keypoint for s in moving}
        self._rows: dict[int, slice] = {}
        """By keypoint: its rows among the standard normal nodes; two, or four where its velocity counts."""
        at = 0
        for keypoint in dict.fromkeys(slots[s].keypoint for s in self._used):
            size = 4 if keypoint in fast else 2
            self._rows[keypoint] = slice(at, at + size)
            at += size
        self._dimensions = at
        self._samples: StateSamples | None = None

    def prepare(self, where: str) -> None:
        """Compute the standard points and allocate the samples, where the rule is read.

        Parameters
        ----------
        where
            Place of the rule in the configuration, for messages.

        Raises
        ------
        UserError
            Where there are too many keypoints.
        """
        if self._dimensions > MAX_DIMENSIONS:
            raise UserError(
                f"{where}: its condition looks at {len(self._rows)} keypoints at once, too many for a "
                f"probability; at most {MAX_DIMENSIONS // 2}, or {MAX_DIMENSIONS // 4} with their velocities"
            )
        self._standard = normal_nodes(self._dimensions, self._half)
        self._values = np.full((len(self._slots), 4, self._standard.shape[1]), np.nan)
        self._samples = StateSamples.of(self._values)

    def fill(self, state: StateDistribution) -> StateSamples | None:
        """Place the points for a state distribution.

        Parameters
        ----------
        state
            The distribution.

        Returns
        -------
        StateSamples | None
            The points as samples, overwritten by the next call; None where something of the distribution is
            NaN.
        """
        if self._samples is None:
            self.prepare("condition")
        samples = self._samples
        assert samples is not None
        factors = {k: self._factor(state, k) for k in self._rows}
        for s in self._used:
            keypoint = self._slots[s].keypoint
            rows = self._rows[keypoint]
            size = rows.stop - rows.start
            lower, to_mm = factors[keypoint], state.maps[s]
            spread = lower if to_mm is None else to_mm[:size, :size] @ lower
            mean = state.means[s][:size]
            if not math.isfinite(sum(mean) + float(spread.sum())):
                return None
            values = self._values[s, :size]
            np.matmul(spread, self._standard[rows], out=values)
            values += np.array(mean)[:, None]
        samples.t_s, samples.memories = state.samples.t_s, state.samples.memories
        samples.unseen_s, samples.confidence = state.samples.unseen_s, state.samples.confidence
        samples.inputs = state.samples.inputs
        return samples

    def _factor(self, state: StateDistribution, keypoint: int) -> NDArray[np.float64]:
        rows = self._rows[keypoint]
        size = rows.stop - rows.start
        return np.array(factor(state.cov_px(keypoint)[:size, :size].tolist()))
