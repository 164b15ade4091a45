"""The causal filter over keypoints: Kalman with Ornstein-Uhlenbeck velocity, gating and prediction.

State per keypoint [x, y, vx, vy]; the algebra is `rt_pose.loop.kalman`'s. A measurement beyond the
chi-square gate has its noise inflated until it lies on the gate (the causal form of the ensemble Kalman
smoother's variance inflation, Biderman et al. 2024), so that there is never a hard jump. All keypoints are
filtered at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.loop.kalman import (
    Transition,
    correct,
    determinant,
    inflation,
    position_cov,
    propagate,
    symmetrise,
    transition,
)
from rt_pose.package import TrackingSpec
from rt_pose.types import FloatArray, FrameStamps, Pose, Track

Mask = NDArray[np.bool_]


class CausalFilter:
    """Filters the poses of one camera; a pure function of the poses it was given.

    M = N * K keypoints are held flat, components first. What a filter in an experiment meets is counted,
    never fatal: see the counters.
    """

    def __init__(self, spec: TrackingSpec, individuals: int, keypoints: int) -> None:
        self.spec = spec
        self.shape = (individuals, keypoints)
        self.ignored = 0
        """Poses out of order or with a repeated stamp; they change nothing."""
        self.restarts = 0
        """Keypoints whose track was begun anew at a measurement."""
        self.clock_steps = 0
        """Times the scene clock was found to have stepped backwards; all tracks begin anew."""
        self.gaps = 0
        """Times no pose came for `restart_ms` of scene time."""

        def flat(values: list[float]) -> FloatArray:
            return np.tile(np.asarray(values, dtype=np.float64), individuals)

        self._q, self._tau = flat(spec.q_px2_s3), flat(spec.tau_s)
        self._gain, self._floor = flat(spec.gain), flat(spec.floor_px2)
        self._bias = _bias(spec, individuals)
        self._speed2 = 0.5 * self._q * self._tau  # variance of the velocity at rest
        self._dt_ns = 0
        self._step = transition(0.0, self._q, self._tau)
        self._reset()

    def _reset(self) -> None:
        m = self.shape[0] * self.shape[1]
        self._mean = np.zeros((4, m))
        self._cov = np.zeros((4, 4, m))
        self._known = np.zeros(m, dtype=bool)
        self._gated = np.zeros(m, dtype=np.int64)
        self._last_seen_ns = np.zeros(m, dtype=np.int64)
        self.inflation = np.ones(m)
        """(M,) what the newest pose's noise was multiplied with."""
        self._t_ns: int | None = None
        self._epoch: int | None = None
        self._behind, self._behind_ns = 0, 0

    def step(self, pose: Pose) -> Track:
        """Take a pose in; the track at its exposure."""
        stamps = pose.stamps
        if not self._advance(stamps):
            self.ignored += 1
            assert self._t_ns is not None
            return self._track(pose.camera, stamps.index, self._t_ns, self._mean, self._cov)
        self._observe(pose, stamps.t_scene_ns)
        return self._track(pose.camera, stamps.index, stamps.t_scene_ns, self._mean, self._cov)

    def predict(self, camera: str, frame_index: int, t_scene_ns: int) -> Track:
        """The track at a later scene time, from what has been seen so far; the filter does not change."""
        mean, cov = self._mean, self._cov
        if self._t_ns is not None and t_scene_ns > self._t_ns:
            mean, cov = mean.copy(), cov.copy()
            propagate(mean, cov, transition((t_scene_ns - self._t_ns) / NS_PER_S, self._q, self._tau))
        return self._track(camera, frame_index, t_scene_ns, mean, cov)

    def _advance(self, stamps: FrameStamps) -> bool:
        """Carry the state to a pose's time; False where the pose is not newer than what is known."""
        t_ns = stamps.t_scene_ns
        if self._epoch != stamps.epoch:
            self._reset()
            self._epoch = stamps.epoch
        if self._t_ns is not None:
            if t_ns <= self._t_ns:
                return self._clock_stepped_back(t_ns)
            dt_ns = t_ns - self._t_ns
            self.gaps += dt_ns > self.spec.restart_ms * NS_PER_MS
            propagate(self._mean, self._cov, self._transition_over(dt_ns))
        self._t_ns, self._behind = t_ns, 0
        return True

    def _clock_stepped_back(self, t_ns: int) -> bool:
        """Whether poses behind the newest one have come in order for so long that time itself went back.

        Without this, one stamp from the far future would silence the filter for good.
        """
        self._behind = self._behind + 1 if self._behind and t_ns > self._behind_ns else 1
        self._behind_ns = t_ns
        if self._behind < self.spec.restart_frames:
            return False
        epoch = self._epoch
        self._reset()
        self._epoch, self._t_ns = epoch, t_ns
        self.clock_steps += 1
        return True

    def _transition_over(self, dt_ns: int) -> Transition:
        """The last one again where dt is the same, as it mostly is from frame to frame."""
        if dt_ns != self._dt_ns:
            self._step = transition(dt_ns / NS_PER_S, self._q, self._tau)
            self._dt_ns = dt_ns
        return self._step

    def _observe(self, pose: Pose, t_ns: int) -> None:
        z = pose.xy.reshape(-1, 2).T
        r, seen = self._noise(pose, z)
        stale = t_ns - self._last_seen_ns > self.spec.restart_ms * NS_PER_MS
        update = seen & self._known & ~stale
        e = np.where(update, z - self._mean[:2], 0.0)
        p = position_cov(self._cov)
        self.inflation = inflation(e, p, r, self.spec.gate_chi2)
        beyond = self.inflation > 1.0
        self._gated = np.where(update, np.where(beyond, self._gated + 1, 0), self._gated)
        correct(self._mean, self._cov, e, p + self.inflation * r, update)
        symmetrise(self._cov)
        start = (seen & ~update) | (self._gated >= self.spec.restart_frames)
        if start.any():
            self._restart(start, z, r)
        # A measurement beyond the gate is not yet a sight of the keypoint: it may be another thing.
        self._last_seen_ns[seen & (self._gated == 0)] = t_ns

    def _noise(self, pose: Pose, z: FloatArray) -> tuple[FloatArray, Mask]:
        """R (3, M) of each measurement, the identity where it does not count as seen; and where it does."""
        s = pose.cov.reshape(-1, 4).T
        r = self._gain * s[[0, 1, 3]]
        r[0] += self._floor
        r[2] += self._floor
        with np.errstate(invalid="ignore", over="ignore"):
            area = determinant(r)
            seen = (area > 0.0) & (area < np.inf) & (r[0] > 0.0) & np.isfinite(z[0] + z[1])
        seen &= pose.confidence.ravel() >= self.spec.min_confidence
        r[:, ~seen] = 1.0
        r[1, ~seen] = 0.0
        return r, seen

    def _restart(self, start: Mask, z: FloatArray, r: FloatArray) -> None:
        self.restarts += int((start & self._known).sum())
        at = np.flatnonzero(start)
        self._mean[:2, at], self._mean[2:, at] = z[:, at], 0.0
        self._cov[:, :, at] = 0.0
        self._cov[0, 0, at], self._cov[1, 1, at] = r[0, at], r[2, at]
        self._cov[0, 1, at] = self._cov[1, 0, at] = r[1, at]
        self._cov[2, 2, at] = self._cov[3, 3, at] = self._speed2[at]
        self._known[at], self._gated[at] = True, 0

    def _track(self, camera: str, index: int, t_ns: int, mean: FloatArray, cov: FloatArray) -> Track:
        # As of the newest frame, also in a prediction: looking ahead does not lose a keypoint.
        unseen_ms = ((self._t_ns or 0) - self._last_seen_ns) / NS_PER_MS
        lost = ~self._known | (unseen_ms > self.spec.lost_ms)
        published = cov.transpose(2, 0, 1).copy()  # (M, 4, 4)
        if self._bias is not None:
            published[:, :2, :2] += self._bias
        state = mean.T.copy()  # (M, 4)
        if not self._known.all():
            unknown = ~self._known
            state[unknown], published[unknown], unseen_ms[unknown] = np.nan, np.nan, np.nan
        return Track(
            camera=camera,
            frame_index=index,
            t_valid_ns=t_ns,
            xy=np.ascontiguousarray(state[:, :2]).reshape(*self.shape, 2),
            velocity=np.ascontiguousarray(state[:, 2:]).reshape(*self.shape, 2),
            cov=published.reshape(*self.shape, 4, 4),
            seen_ms_ago=unseen_ms.reshape(self.shape),
            lost=lost.reshape(self.shape),
        )


def _bias(spec: TrackingSpec, individuals: int) -> FloatArray | None:
    """(M, 2, 2) px^2, what is added to published positions; None where there is none."""
    if not spec.bias_px2:
        return None
    return np.tile(np.asarray(spec.bias_px2, dtype=np.float64), (individuals, 1, 1))
