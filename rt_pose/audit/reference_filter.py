"""The causal filter a second time, on filterpy: an independent check of every track.

One `filterpy.kalman.KalmanFilter` a keypoint predicts and updates, its matrices discretised by van Loan's
method. What surrounds a Kalman filter (gate, inflated noise, swapped keypoints, restarts) is written here a
second time, one keypoint after another and by general linear algebra, on filterpy's own innovations; the pose
prior and the detection of a clock that stepped back are the causal filter's own.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

import numpy as np
from filterpy.kalman import KalmanFilter
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.optimize import brentq

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.package import TrackingSpec
from rt_pose.tracking.causal_filter import SHARED_NOISE
from rt_pose.tracking.clock_step import ClockStepDetector
from rt_pose.tracking.individuals import IndividualTracker, Tracker
from rt_pose.tracking.kalman import MOST_PX, MOST_PX2
from rt_pose.tracking.pose_prior import PosePrior
from rt_pose.types import FloatArray, Pose

LIBRARY = f"filterpy {version('filterpy')}"
H = np.eye(2, 4)
"""The measurement matrix of a state [x, y, vx, vy]."""


def discretised(dt_s: float, q: FloatArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Discretise the model dv = -v / tau dt + noise of strength q.

    Parameters
    ----------
    dt_s
        Time step, s.
    q
        (K,) strength of the velocity's noise, px^2/s^3.
    tau
        (K,) time constant of the velocity, s.

    Returns
    -------
    tuple[FloatArray, FloatArray]
        Transition F and process noise Q, (K, 4, 4) over [x, y, vx, vy].

    Notes
    -----
    Van Loan's method: C. F. van Loan, Computing integrals involving the matrix exponential, IEEE Transactions
    on Automatic Control 23 (1978). It takes exp(dt / tau), which costs it digits where dt is long: such a dt
    is halved until it is no longer than tau, and its matrices are then doubled as often.
    """
    halvings = np.maximum(np.ceil(np.log2(dt_s / tau)), 0.0)
    part_s = dt_s / 2.0**halvings
    A = np.zeros((len(q), 4, 4))
    A[:, 0, 1], A[:, 1, 1] = -part_s, part_s / tau
    A[:, 1, 3] = q * part_s
    A[:, 3, 2], A[:, 3, 3] = part_s, -part_s / tau
    E = expm(A)  # all keypoints in one call: its threads cost more than its arithmetic
    F = E[:, 2:, 2:].transpose(0, 2, 1)
    Q = F @ E[:, :2, 2:]
    for i in range(int(halvings.max())):
        again = halvings > i
        Q[again] += F[again] @ Q[again] @ F[again].transpose(0, 2, 1)
        F[again] = F[again] @ F[again]
    return np.kron(F, np.eye(2)), np.kron(Q, np.eye(2))


def distance2(e: FloatArray, S: FloatArray) -> float:
    """Compute the squared Mahalanobis distance e' S^-1 e.

    Parameters
    ----------
    e
        (2,) innovation, px.
    S
        (2, 2) its covariance, px^2.

    Returns
    -------
    float
        The distance, without unit.
    """
    return float(e @ np.linalg.solve(S, e))


def factor_onto_gate(e: FloatArray, P: FloatArray, R: FloatArray, gate: float) -> float:
    """Find the factor f of R, 1 or more, at which e' (P + f R)^-1 e is no more than the gate.

    Parameters
    ----------
    e
        (2,) innovation, px.
    P, R
        (2, 2) covariances of the prediction and of the measurement, px^2.
    gate
        Largest squared Mahalanobis distance.

    Returns
    -------
    float
        The factor.

    Notes
    -----
    In the basis in which R is the identity and P diagonal, with entries w, the distance is the sum of
    y^2 / (w + f), which falls with f.
    """
    if distance2(e, P + R) <= gate:
        return 1.0
    L = np.linalg.inv(np.linalg.cholesky(R))
    w, U = np.linalg.eigh(L @ P @ L.T)
    y2 = (U.T @ L @ e) ** 2

    def excess(f: float) -> float:
        return float((y2 / (w + f)).sum() - gate)

    return float(brentq(excess, 1.0, 1.0 + y2.sum() / gate, rtol=1e-15)) if excess(1.0) > 0.0 else 1.0


class Keypoint:
    """State of the track of one keypoint."""

    def __init__(self, speed2: float) -> None:
        """Make a keypoint that was never seen.

        Parameters
        ----------
        speed2
            Variance of each component of its velocity at rest, px^2/s^2.
        """
        self.speed2 = speed2
        """Variance of each component of its velocity at rest."""
        self.known = False
        self.doubted = 0
        """Measurements in a row that lay beyond the gate."""
        self.last_seen_ns = 0
        self.filter = KalmanFilter(dim_x=4, dim_z=2)
        self.filter.H, self.filter.x = H, np.zeros(4)

    @property
    def mean(self) -> FloatArray:
        """(4,) mean of [x, y, vx, vy], px and px/s."""
        return np.asarray(self.filter.x)

    @property
    def cov(self) -> FloatArray:
        """(4, 4) covariance of [x, y, vx, vy]."""
        return np.asarray(self.filter.P)

    def start(self, z: FloatArray, R: FloatArray) -> None:
        """Start the track at a measurement, at rest.

        Parameters
        ----------
        z
            (2,) position, px.
        R
            (2, 2) its covariance, px^2.
        """
        self.filter.x = np.array([*z, 0.0, 0.0])
        self.filter.P = np.diag([0.0, 0.0, self.speed2, self.speed2])
        self.filter.P[:2, :2] = R
        self.known, self.doubted = True, 0


class ReferenceFilter:
    """Tracks the keypoints of one camera; the same contract as `CausalFilter.step`."""

    def __init__(self, spec: TrackingSpec, keypoints: int) -> None:
        """Begin with no track.

        Parameters
        ----------
        spec
            Parameters of the filter.
        keypoints
            K.
        """
        self._spec, self._k = spec, keypoints
        self._bias = np.asarray(spec.bias_px2) if spec.bias_px2 else np.zeros((keypoints, 2, 2))
        self._prior = PosePrior(spec.subspaces, 1, keypoints, spec.gate_chi2) if spec.subspaces else None
        self._q, self._tau = np.asarray(spec.q_px2_s3), np.asarray(spec.tau_s)
        self._epoch: int | None = None
        self._reset(None)

    def _reset(self, t_ns: int | None) -> None:
        self.keypoints = [Keypoint(float(speed2)) for speed2 in 0.5 * self._q * self._tau]
        self._t_ns = t_ns
        self._back = ClockStepDetector(self._spec.restart_frames)

    def step(self, pose: Pose) -> None:
        """Update the filter with a pose.

        Parameters
        ----------
        pose
            The newest pose, of one individual; one that is out of order is ignored.
        """
        stamps = pose.stamps
        if self._epoch != stamps.epoch:
            self._reset(None)
            self._epoch = stamps.epoch
        t_ns = stamps.t_scene_ns
        if self._t_ns is not None and t_ns <= self._t_ns:
            if not self._back.is_step(t_ns):
                return
            self._reset(t_ns)
        else:
            self._predict(t_ns)
            self._back.newer()
        self._observe(pose, t_ns)

    def _predict(self, t_ns: int) -> None:
        """Carry the state to a later time."""
        if self._t_ns is not None:
            F, Q = discretised((t_ns - self._t_ns) / NS_PER_S, self._q, self._tau)
            for k, keypoint in enumerate(self.keypoints):
                if keypoint.known:
                    keypoint.filter.predict(F=F[k], Q=Q[k])
        self._t_ns = t_ns

    def state(self) -> tuple[FloatArray, FloatArray, list[bool]]:
        """Get the tracks as they are published.

        Returns
        -------
        tuple[FloatArray, FloatArray, list[bool]]
            Means (K, 4) and covariances (K, 4, 4) of [x, y, vx, vy], and which of the K keypoints are lost;
            NaN for keypoints that were never seen.
        """
        mean, cov = np.full((self._k, 4), np.nan), np.full((self._k, 4, 4), np.nan)
        lost = [True] * self._k
        patience_ns = round(self._spec.lost_ms * NS_PER_MS)
        for k, keypoint in enumerate(self.keypoints):
            if keypoint.known:
                mean[k], cov[k] = keypoint.mean, keypoint.cov
                cov[k, :2, :2] += self._bias[k]
                lost[k] = (self._t_ns or 0) - keypoint.last_seen_ns > patience_ns
        return mean, cov, lost

    def _observe(self, pose: Pose, t_ns: int) -> None:
        spec, everyone = self._spec, range(self._k)
        z, confidence = pose.xy[0], pose.confidence[0]
        R = [spec.gain[k] * pose.cov[0, k] + spec.floor_px2[k] * np.eye(2) for k in everyone]
        seen = [bool(confidence[k] >= spec.min_confidence) and _usable(z[k], R[k]) for k in everyone]
        oldest_ns = t_ns - round(spec.restart_ms * NS_PER_MS)
        update = [
            seen[k] and kp.known and kp.last_seen_ns >= oldest_ns for k, kp in enumerate(self.keypoints)
        ]
        factor = [self._factor(k, z[k], R[k]) if update[k] else 1.0 for k in everyone]
        swapped = self._swapped(z, R, factor)
        used = [update[k] and not swapped[k] for k in everyone]
        broken = [False] * self._k
        z_used, R_used, f = [np.array(row) for row in z], list(R), list(factor)
        if self._prior is not None:
            broken = self._ask_the_pose(self._prior, z_used, R_used, f, seen, used)
        for k, keypoint in enumerate(self.keypoints):
            if used[k]:
                keypoint.filter.update(z_used[k], R=f[k] * R_used[k])
            outside = f[k] > 1.0
            well = used[k] and not outside and not broken[k]
            beyond = swapped[k] or (outside and not broken[k])
            keypoint.doubted = 0 if well else keypoint.doubted + beyond
            starts = (seen[k] and not update[k]) or keypoint.doubted >= spec.restart_frames
            if well or starts:
                keypoint.last_seen_ns = t_ns
            if starts:
                keypoint.start(z[k], R[k])

    def _factor(self, k: int, z: FloatArray, R: FloatArray) -> float:
        """Find the factor of a measurement's noise at which it lies on the keypoint's gate."""
        keypoint = self.keypoints[k]
        return factor_onto_gate(z - H @ keypoint.mean, keypoint.cov[:2, :2], R, self._spec.gate_chi2)

    def _swapped(self, z: FloatArray, R: list[FloatArray], factor: list[float]) -> list[bool]:
        """Find pairs of keypoints that lie beyond their own gates and within each other's."""

        def fits(track: int, measurement: int) -> bool:
            keypoint = self.keypoints[track]
            e = z[measurement] - H @ keypoint.mean
            return distance2(e, keypoint.cov[:2, :2] + R[measurement]) < self._spec.gate_chi2

        outside = [k for k in range(self._k) if factor[k] > 1.0]
        pairs = [(i, j) for i in outside for j in outside if i < j and fits(i, j) and fits(j, i)]
        return [any(k in pair for pair in pairs) for k in range(self._k)]

    def _ask_the_pose(
        self,
        prior: PosePrior,
        z: list[FloatArray],
        R: list[FloatArray],
        factor: list[float],
        seen: list[bool],
        used: list[bool],
    ) -> list[bool]:
        """Find who breaks the pose; measurements, noises and factors are changed by the pose, in place.

        A keypoint that has moved further than its past allows, and that the others confirm, has its
        covariance scaled until the measurement lies on the gate.
        """
        gate = self._spec.gate_chi2
        at = np.stack([z[k] if seen[k] else H @ kp.mean for k, kp in enumerate(self.keypoints)], axis=1)
        noises = [R[k] if seen[k] else kp.cov[:2, :2] for k, kp in enumerate(self.keypoints)]
        noise = np.array([[N[0, 0], N[0, 1], N[1, 1]] for N in noises]).T.copy()
        usable = np.array([s or kp.known for s, kp in zip(seen, self.keypoints, strict=True)])
        broken, vouched = (list(mask) for mask in prior.check_pose(at, noise, np.array(factor), usable))
        for k, keypoint in enumerate(self.keypoints):
            broken[k] = bool(broken[k] and used[k])
            if broken[k]:
                z[k] = at[:, k]
                R[k] = np.array([[noise[0, k], noise[1, k]], [noise[1, k], noise[2, k]]])
                factor[k] = self._factor(k, z[k], R[k])
            elif vouched[k] and used[k] and factor[k] > 1.0:
                e, P = z[k] - H @ keypoint.mean, keypoint.cov[:2, :2]
                keypoint.filter.P = factor_onto_gate(e, R[k], P, gate) * keypoint.cov
                R[k] = R[k] + SHARED_NOISE * keypoint.cov[:2, :2]
                factor[k] = 1.0
        return broken


class ReferenceTracker:
    """Tracks the individuals of one camera: a `ReferenceFilter` for each slot.

    Which detection is whose is the program's own answer, which replay compares with the log; what the tracks
    become by it is computed a second time.
    """

    def __init__(self, spec: TrackingSpec, slots: Tracker) -> None:
        """Begin with empty slots.

        Parameters
        ----------
        spec
            Parameters of the filter.
        slots
            A tracker that has seen nothing yet; of several individuals it is asked who is in which slot.
        """
        individuals, keypoints = slots.shape
        self._filters = [ReferenceFilter(spec, keypoints) for _ in range(individuals)]
        self._slots = slots if isinstance(slots, IndividualTracker) else None

    def step(self, pose: Pose) -> None:
        """Update the tracks with a pose.

        Parameters
        ----------
        pose
            The newest pose, D detections in any order; of one individual D is 1.
        """
        if self._slots is None:
            self._filters[0].step(pose)
            return
        self._slots.step(pose)
        self._rearrange(*self._slots.rearranged)
        found = self._slots.by_slot
        for n, reference in enumerate(self._filters):
            own = slice(n, n + 1)
            reference.step(
                replace(found, xy=found.xy[own], cov=found.cov[own], confidence=found.confidence[own])
            )

    def state(self) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """Get the tracks as they are published.

        Returns
        -------
        tuple[FloatArray, FloatArray, NDArray]
            Means (N, K, 4) and covariances (N, K, 4, 4) of [x, y, vx, vy], and which keypoints are lost
            (N, K); NaN for keypoints that were never seen, and in a slot that is empty.
        """
        of_slots = [reference.state() for reference in self._filters]
        mean, cov = (np.stack([own[i] for own in of_slots]) for i in (0, 1))
        lost = np.array([own[2] for own in of_slots])
        if self._slots is not None:
            empty = ~self._slots.newest.alive
            mean[empty], cov[empty], lost[empty] = np.nan, np.nan, True
        return mean, cov, lost

    def detections(self) -> list[int]:
        """Get the row of the newest pose that each slot took, -1 for none; of one individual nothing."""
        return [] if self._slots is None else [int(row) for row in self._slots.newest.detection]

    def _rearrange(self, order: NDArray[np.int64], kept: NDArray[np.bool_]) -> None:
        """Move the tracks of individuals to other slots; see `CausalFilter.rearrange`."""
        before = [reference.keypoints for reference in self._filters]
        for reference, source, goes_on in zip(self._filters, order.tolist(), kept.tolist(), strict=True):
            reference.keypoints = before[source]
            for keypoint in reference.keypoints:
                keypoint.known &= goes_on


def _usable(z: FloatArray, R: FloatArray) -> bool:
    """Whether a measurement and its noise are numbers that mean something."""
    area = R[0, 0] * R[1, 1] - R[0, 1] ** 2
    sound = 0.0 < R[0, 0] < MOST_PX2 and R[1, 1] < MOST_PX2 and area > 0.0
    return bool(sound and (np.abs(z) < MOST_PX).all())
