"""The state of a condition's keypoints at one time: Gaussians, in px and in mm, and quadrature points.

In the frame of a camera a keypoint has two axes, in space three; its state is position, then velocity.
Keypoints are independent of each other, as the filter has them. A centroid is the mean of some of them, so
its covariance, also with its own keypoints, follows from theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.errors import UserError
from rt_pose.rules.closed_forms import Linear, Radial
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.probability import MAX_DIMENSIONS, factor, normal_nodes
from rt_pose.rules.samples import Slot, StateSamples
from rt_pose.types import Estimate, FloatArray, Track

Rows = list[list[float]]
Spreads = dict[int, tuple[slice, NDArray[np.float64]]]
"""By slot: the rows of the standard nodes that it depends on, and how."""


class KeypointStates(NamedTuple):
    """The estimate of one individual; of D axes, 2 in the frame of a camera, 3 in space."""

    position: FloatArray
    """(K, D) px; in space mm."""
    velocity: FloatArray
    """(K, D) px/s; in space mm/s."""
    cov: FloatArray
    """(K, 2 D, 2 D)."""
    seen_ms_ago: FloatArray
    """(K,)."""
    lost: NDArray[np.bool_]
    """(K,)."""

    @classmethod
    def of(cls, track: Estimate, who: int) -> KeypointStates:
        """Get the estimate of an individual; its arrays are the track's own.

        Parameters
        ----------
        track
            The track.
        who
            Index of the individual.

        Returns
        -------
        KeypointStates
            Its keypoints.
        """
        if isinstance(track, Track):
            xy, velocity, cov = track.xy[who], track.velocity[who], track.cov[who]
            return cls(xy, velocity, cov, track.seen_ms_ago[who], track.lost[who])
        if track.individuals is None:  # one animal: its arrays have no axis of individuals
            return cls(track.xyz, track.velocity, track.cov, track.seen_ms_ago, track.lost)
        xyz, velocity, cov = track.xyz[who], track.velocity[who], track.cov[who]
        return cls(xyz, velocity, cov, track.seen_ms_ago[who], track.lost[who])


class StateDistribution:
    """Means and covariances of slots, set for each track; covariances are computed only where asked for."""

    def __init__(self, slots: list[Slot], geometry: Geometry | None, axes: int = 2) -> None:
        """Allocate means and samples.

        Parameters
        ----------
        slots
            The keypoints a condition looks at, each in px or mm.
        geometry
            Geometry of the camera, for slots in mm; None in space.
        axes
            2 in the frame of a camera, 3 in space.
        """
        self._slots, self._geometry, self._size = slots, geometry, 2 * axes
        self._values = np.full((len(slots), self._size, 1), np.nan)
        self.samples = StateSamples.of(self._values)
        """The mean."""
        self.means: Rows = [[math.nan] * self._size for _ in slots]
        """By slot: x, y, vx, vy; in space x, y, z, vx, vy, vz."""
        self.maps: list[NDArray[np.float64] | None] = [None] * len(slots)
        """By slot: derivative of its coordinates by those in px; None in px."""
        self._members = [np.array(slot.keypoints) for slot in slots]
        self._member_maps: dict[int, list[NDArray[np.float64] | None]] = {}
        """By slot of a centroid: for each of its keypoints what `maps` holds for a slot."""
        self._has_centroid = any(slot.others for slot in slots)
        self._covs: dict[int, Rows] = {}
        self._covs_between: dict[tuple[int, int], Rows | None] = {}
        self._now: KeypointStates | None = None

    def set_track(self, track: Estimate, who: int, confidence: FloatArray | None) -> None:
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
        now = self._now = KeypointStates.of(track, who)
        self._covs.clear()
        self._covs_between.clear()
        samples = self.samples
        samples.t_s = track.t_valid_ns / NS_PER_S
        for s, slot in enumerate(self._slots):
            k = slot.keypoint
            if slot.others:
                self._set_centroid(s, now, None if confidence is None else confidence[who])
                continue
            mean = [*now.position[k].tolist(), *now.velocity[k].tolist()]
            if slot.metric and self._geometry is not None:
                mean, self.maps[s] = self._geometry.to_mm(mean)
            self.means[s] = mean
            self._values[s, :, 0] = mean
            samples.unseen_s[s] = float(now.seen_ms_ago[k]) / 1e3
            samples.lost[s] = bool(now.lost[k])
            samples.confidence[s] = math.nan if confidence is None else float(confidence[who, k])

    def _set_centroid(self, s: int, now: KeypointStates, confidence: FloatArray | None) -> None:
        """Its mean is that of its keypoints, each in the slot's unit; it is as sure as the worst of them."""
        members, samples = self._members[s], self.samples
        states = np.hstack([now.position[members], now.velocity[members]])  # (members, size)
        if self._slots[s].metric and self._geometry is not None:
            mapped = [self._geometry.to_mm(state) for state in states.tolist()]
            states = np.array([mean for mean, _ in mapped])
            self._member_maps[s] = [to_mm for _, to_mm in mapped]
        mean = states.mean(axis=0)
        self.means[s] = mean.tolist()
        self._values[s, :, 0] = mean
        samples.unseen_s[s] = float(np.max(now.seen_ms_ago[members])) / 1e3
        samples.lost[s] = bool(now.lost[members].any())
        samples.confidence[s] = math.nan if confidence is None else float(np.min(confidence[members]))

    def between(self, s: int, t: int) -> Rows | None:
        """Compute the covariance between two slots.

        Parameters
        ----------
        s, t
            The slots.

        Returns
        -------
        Rows or None
            (4, 4) over [x, y, vx, vy], in space (6, 6), each in its slot's unit; None where they share no
            keypoint.
        """
        if (s, t) not in self._covs_between:
            self._covs_between[s, t] = self._sum_shared(s, t)
        return self._covs_between[s, t]

    def _sum_shared(self, s: int, t: int) -> Rows | None:
        """Over the keypoints that both are made of: these are independent of each other."""
        first, second = self._slots[s].keypoints, self._slots[t].keypoints
        shared = [k for k in first if k in second]
        if not shared:
            return None
        total = np.zeros((self._size, self._size))
        for k in shared:
            cov = self.cov_tracked(k)
            to_s, to_t = self._map_of(s, first.index(k)), self._map_of(t, second.index(k))
            cov = cov if to_s is None else to_s @ cov
            total += cov if to_t is None else cov @ to_t.T
        return (total / (len(first) * len(second))).tolist()

    def _map_of(self, s: int, member: int) -> NDArray[np.float64] | None:
        if not self._slots[s].others:
            return self.maps[s]
        maps = self._member_maps.get(s)
        return None if maps is None else maps[member]

    def cov(self, s: int) -> Rows:
        """Compute the covariance of a slot.

        Parameters
        ----------
        s
            The slot.

        Returns
        -------
        Rows
            (4, 4) over [x, y, vx, vy], in space (6, 6), in the slot's unit.
        """
        rows = self._covs.get(s)
        if rows is None and self._slots[s].others:
            rows = self.between(s, s)
            assert rows is not None
            self._covs[s] = rows
        if rows is None:
            cov = self.cov_tracked(self._slots[s].keypoint)
            to_mm = self.maps[s]
            rows = self._covs[s] = (cov if to_mm is None else to_mm @ cov @ to_mm.T).tolist()
        return rows

    def cov_tracked(self, keypoint: int) -> NDArray[np.float64]:
        """Look up the covariance of a keypoint.

        Parameters
        ----------
        keypoint
            Its index in the model.

        Returns
        -------
        NDArray[np.float64]
            (4, 4) over [x, y, vx, vy], px; in space (6, 6), mm.
        """
        assert self._now is not None
        return self._now.cov[keypoint]

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
                elif self._has_centroid and (rows := self.between(s, t)) is not None:
                    total += w * v * rows[c][d]
        return total

    def plane(self, form: Radial) -> tuple[tuple[float, float], tuple[float, float, float]]:
        """Compute mean and covariance of a vector in the frame of a camera.

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

    def vector(self, form: Radial) -> tuple[list[float], Rows]:
        """Compute mean and covariance of a vector of any number of parts.

        Parameters
        ----------
        form
            The vector.

        Returns
        -------
        tuple[list[float], Rows]
            Of D parts: (D,) and (D, D), in base units.
        """
        parts = form.parts
        return [self.mean_of(part) for part in parts], [[self.covariance(a, b) for b in parts] for a in parts]


class QuadraturePoints:
    """Fixed quadrature points of the joint Gaussian of some slots, placed for each state distribution."""

    def __init__(
        self,
        slots: list[Slot],
        used: Iterable[int],
        moving: Iterable[int],
        half: bool = False,
        axes: int = 2,
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
        axes
            2 in the frame of a camera, 3 in space.
        """
        self._slots, self._used, self._half, self._axes = slots, sorted(used), half, axes
        self._has_centroid = any(slots[s].others for s in self._used)
        fast = {self._of(s) for s in moving}
        self._rows: dict[int, slice] = {}
        """By keypoint (by slot where there is a centroid, which depends on its keypoints): its rows among the
        standard normal nodes; as many as axes, or twice as many where its velocity counts."""
        at = 0
        for one in dict.fromkeys(self._of(s) for s in self._used):
            size = 2 * axes if one in fast else axes
            self._rows[one] = slice(at, at + size)
            at += size
        self._dimensions = at
        self._samples: StateSamples | None = None

    def _of(self, s: int) -> int:
        """What has dimensions of its own: a slot's keypoint, or itself where there is a centroid."""
        return s if self._has_centroid else self._slots[s].keypoint

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
                f"probability; at most {MAX_DIMENSIONS // self._axes}, or "
                f"{MAX_DIMENSIONS // (2 * self._axes)} with their velocities"
            )
        self._standard = normal_nodes(self._dimensions, self._half)
        self._values = np.full((len(self._slots), 2 * self._axes, self._standard.shape[1]), np.nan)
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
        spreads = self._joint_spreads(state) if self._has_centroid else self._spreads(state)
        for s in self._used:
            rows, spread = spreads[s]
            size = len(spread)
            mean = state.means[s][:size]
            if not math.isfinite(sum(mean) + float(spread.sum())):
                return None
            values = self._values[s, :size]
            np.matmul(spread, self._standard[rows], out=values)
            values += np.array(mean)[:, None]
        samples.t_s, samples.memories = state.samples.t_s, state.samples.memories
        samples.unseen_s, samples.confidence = state.samples.unseen_s, state.samples.confidence
        samples.inputs, samples.lost = state.samples.inputs, state.samples.lost
        return samples

    def _spreads(self, state: StateDistribution) -> Spreads:
        """Keypoints are independent: each has its own rows of the nodes."""
        factors = {k: self._factor(state, k) for k in self._rows}
        spreads: Spreads = {}
        for s in self._used:
            keypoint = self._slots[s].keypoint
            rows, lower, to_mm = self._rows[keypoint], factors[keypoint], state.maps[s]
            size = rows.stop - rows.start
            spreads[s] = rows, lower if to_mm is None else to_mm[:size, :size] @ lower
        return spreads

    def _joint_spreads(self, state: StateDistribution) -> Spreads:
        """A centroid depends on its keypoints: all slots share the rows of the nodes."""
        joint = np.zeros((self._dimensions, self._dimensions))
        for s in self._used:
            for t in self._used:
                rows = state.between(s, t)
                if rows is not None:
                    a, b = self._rows[s], self._rows[t]
                    joint[a, b] = np.array(rows)[: a.stop - a.start, : b.stop - b.start]
        lower, every = np.array(factor(joint.tolist())), slice(0, self._dimensions)
        return {s: (every, lower[self._rows[s]]) for s in self._used}

    def _factor(self, state: StateDistribution, keypoint: int) -> NDArray[np.float64]:
        rows = self._rows[keypoint]
        size = rows.stop - rows.start
        return np.array(factor(state.cov_tracked(keypoint)[:size, :size].tolist()))
