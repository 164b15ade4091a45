"""The causal filter over keypoints: Kalman with Ornstein-Uhlenbeck velocity, gating and prediction.

State per keypoint [x, y, vx, vy]; dv = -v / tau dt + noise of strength q, discretised exactly for the dt
between scene times (Bar-Shalom, Li, Kirubarajan 2001, ch. 8.2, first-order Gauss-Markov velocity). A
measurement beyond the chi-square gate has its noise inflated until it lies on the gate (the causal form of
the ensemble Kalman smoother's variance inflation, Biderman et al. 2024), so that there is never a hard jump.
All keypoints are filtered at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.package import TrackingSpec
from rt_pose.types import FloatArray, FrameStamps, Pose, Track

Indices = NDArray[np.intp]

_IDENTITY = np.eye(4)

SERIES_BELOW = 0.05
"""dt / tau under which the position noise comes from its series: the closed form cancels there."""


@dataclass(slots=True)
class Transition:
    """The exact discretisation over one dt, one number a keypoint; x and y behave alike.

    x' = x + b v, v' = a v, with noise covariance [[q_xx, q_xv], [q_xv, q_vv]] over (x, v).
    """

    a: FloatArray
    b: FloatArray
    q_xx: FloatArray
    q_xv: FloatArray
    q_vv: FloatArray


def transition(dt_s: float, q: FloatArray, tau: FloatArray) -> Transition:
    """Transition over `dt_s` seconds for noise strengths `q` (px^2/s^3) and memories `tau` (s), both (M,)."""
    u = dt_s / tau
    decay = -np.expm1(-u)  # 1 - a, exact for small u
    a = 1.0 - decay
    closed = u - 2.0 * decay - 0.5 * np.expm1(-2.0 * u)
    series = u**3 * (1 / 3 - u * (1 / 4 - u * (7 / 60 - u * (1 / 24 - u * (31 / 2520)))))
    return Transition(
        a=a,
        b=tau * decay,
        q_xx=q * tau**3 * np.where(u < SERIES_BELOW, series, closed),
        q_xv=0.5 * q * tau**2 * decay**2,
        q_vv=-0.5 * q * tau * np.expm1(-2.0 * u),
    )


def propagate(state: FloatArray, cov: FloatArray, step: Transition) -> tuple[FloatArray, FloatArray]:
    """Mean (M, 4) and covariance (M, 4, 4) after a transition."""
    a, b = step.a[:, None], step.b[:, None]
    mean = np.empty_like(state)
    mean[:, :2] = state[:, :2] + b * state[:, 2:]
    mean[:, 2:] = a * state[:, 2:]

    a, b = a[:, :, None], b[:, :, None]
    p_vv = cov[:, 2:, 2:]
    x_v = cov[:, :2, 2:] + b * p_vv  # covariance of the moved position with the old velocity
    out = np.empty_like(cov)
    out[:, :2, :2] = cov[:, :2, :2] + b * (cov[:, 2:, :2] + x_v)
    out[:, :2, 2:] = a * x_v
    out[:, 2:, 2:] = (a * a) * p_vv
    entries = out.reshape(-1, 16)  # (x, y, vx, vy) squared, row by row: [0] is x x, [5] y y, [2] x vx ...
    entries[:, 0:6:5] += step.q_xx[:, None]
    entries[:, 10:16:5] += step.q_vv[:, None]
    entries[:, 2:8:5] += step.q_xv[:, None]
    out[:, 2:, :2] = out[:, :2, 2:].transpose(0, 2, 1)
    return mean, out


def inverse_2x2(m: FloatArray) -> FloatArray:
    """Inverse of each (M, 2, 2) matrix."""
    out = np.empty_like(m)
    out[:, 0, 0], out[:, 1, 1] = m[:, 1, 1], m[:, 0, 0]
    out[:, 0, 1], out[:, 1, 0] = -m[:, 0, 1], -m[:, 1, 0]
    out /= _determinant(m)[:, None, None]
    return out


def _determinant(m: FloatArray) -> FloatArray:
    return m[:, 0, 0] * m[:, 1, 1] - m[:, 0, 1] * m[:, 1, 0]


def _adjugate_form(m: FloatArray, e: FloatArray) -> FloatArray:
    """e' adj(M) e for symmetric M: the determinant times e' M^-1 e."""
    x, y = e[:, 0], e[:, 1]
    return m[:, 1, 1] * x * x - 2.0 * m[:, 0, 1] * x * y + m[:, 0, 0] * y * y


def distance2(e: FloatArray, s: FloatArray) -> FloatArray:
    """e' S^-1 e for innovations (M, 2) and covariances (M, 2, 2)."""
    return _adjugate_form(s, e) / _determinant(s)


def inflation(e: FloatArray, p: FloatArray, r: FloatArray, gate: float) -> FloatArray:
    """Factor of R (M,) at which e' (P + factor R)^-1 e equals the gate; 1 where it is below it already.

    For 2x2 matrices the inverse is the adjugate over the determinant, so the condition is a quadratic in
    the factor: its larger root is the answer.
    """
    factor = np.ones(len(e))
    outside = distance2(e, p + r) > gate
    if not outside.any():
        return factor
    e, p, r = e[outside], p[outside], r[outside]

    mixed = (
        p[:, 0, 0] * r[:, 1, 1] + p[:, 1, 1] * r[:, 0, 0] - p[:, 0, 1] * r[:, 1, 0] - p[:, 1, 0] * r[:, 0, 1]
    )
    qa = gate * _determinant(r)
    qb = gate * mixed - _adjugate_form(r, e)
    qc = gate * _determinant(p) - _adjugate_form(p, e)
    root = (-qb + np.sqrt(np.maximum(qb * qb - 4 * qa * qc, 0.0))) / (2 * qa)
    factor[outside] = np.maximum(root, 1.0)
    return factor


def correct(
    state: FloatArray, cov: FloatArray, z: FloatArray, r: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Kalman update with positions z (M, 2) of noise r (M, 2, 2); the covariance in Joseph form."""
    gain = cov[:, :, :2] @ inverse_2x2(cov[:, :2, :2] + r)  # (M, 4, 2)
    mean = state + (gain @ (z - state[:, :2])[:, :, None])[:, :, 0]
    keep = np.empty_like(cov)
    keep[:] = _IDENTITY
    keep[:, :, :2] -= gain
    out = keep @ cov @ keep.transpose(0, 2, 1) + gain @ r @ gain.transpose(0, 2, 1)
    out += out.transpose(0, 2, 1).copy()
    out *= 0.5
    return mean, out


class CausalFilter:
    """Filters the poses of one camera; a pure function of the poses it was given.

    M = N * K keypoints are held flat. Poses out of order or with a repeated stamp change nothing and are
    counted in `ignored`.
    """

    def __init__(self, spec: TrackingSpec, individuals: int, keypoints: int) -> None:
        self.spec = spec
        self.shape = (individuals, keypoints)
        self.ignored = 0
        self.restarts = 0

        def flat(values: list[float]) -> FloatArray:
            return np.tile(np.asarray(values, dtype=np.float64), individuals)

        self._q, self._tau = flat(spec.q_px2_s3), flat(spec.tau_s)
        self._gain = flat(spec.gain)[:, None, None]
        self._floor = flat(spec.floor_px2)[:, None, None] * np.eye(2)
        self._speed2 = 0.5 * self._q * self._tau  # variance of the velocity at rest
        self._dt_ns = 0
        self._step = transition(0.0, self._q, self._tau)
        self._reset()

    def _reset(self) -> None:
        m = self.shape[0] * self.shape[1]
        self._state = np.full((m, 4), np.nan)
        self._cov = np.broadcast_to(np.eye(4), (m, 4, 4)).copy()
        self._known = np.zeros(m, dtype=bool)
        self._gated = np.zeros(m, dtype=np.int64)
        self._last_seen_ns = np.zeros(m, dtype=np.int64)
        self._t_ns: int | None = None
        self._epoch: int | None = None

    def step(self, pose: Pose) -> Track:
        """Take a pose in; the track at its exposure."""
        stamps = pose.stamps
        if self._epoch != stamps.epoch:
            self._reset()
            self._epoch = stamps.epoch
        if self._t_ns is not None and stamps.t_scene_ns <= self._t_ns:
            self.ignored += 1
            return self._track(pose.camera, stamps.index, self._t_ns, self._state, self._cov)
        if self._t_ns is not None:
            dt_s = (stamps.t_scene_ns - self._t_ns) / NS_PER_S
            self._state, self._cov = propagate(self._state, self._cov, transition(dt_s, self._q, self._tau))
        self._t_ns = stamps.t_scene_ns
        self._observe(pose, stamps)
        return self._track(pose.camera, stamps.index, stamps.t_scene_ns, self._state, self._cov)

    def predict(self, camera: str, frame_index: int, t_scene_ns: int) -> Track:
        """The track at a later scene time, from what has been seen so far; the filter does not change."""
        if self._t_ns is None:
            return self._track(camera, frame_index, t_scene_ns, self._state, self._cov)
        dt_s = max(0, t_scene_ns - self._t_ns) / NS_PER_S
        state, cov = propagate(self._state, self._cov, transition(dt_s, self._q, self._tau))
        return self._track(camera, frame_index, t_scene_ns, state, cov)

    def _transition_over(self, dt_ns: int) -> Transition:
        """The last one again where dt is the same, as it mostly is from frame to frame."""
        if dt_ns != self._dt_ns:
            self._step = transition(dt_ns / NS_PER_S, self._q, self._tau)
            self._dt_ns = dt_ns
        return self._step

    def _observe(self, pose: Pose, stamps: FrameStamps) -> None:
        z = pose.xy.reshape(-1, 2)
        s = pose.cov.reshape(-1, 2, 2)
        seen = (
            (pose.confidence.ravel() >= self.spec.min_confidence)
            & np.isfinite(z).all(axis=1)
            & np.isfinite(s).all(axis=(1, 2))
        )
        r = self._gain * s + self._floor
        unseen_ns = stamps.t_scene_ns - self._last_seen_ns
        stale = self._known & (unseen_ns > self.spec.restart_ms * NS_PER_MS)
        start = seen & (~self._known | stale)
        update = np.flatnonzero(seen & ~start)
        if update.size:
            start[update] |= self._correct(update, z[update], r[update])
        self._restart(np.flatnonzero(start), z, r)
        # A measurement beyond the gate is not yet a sight of the keypoint: it may be another thing.
        self._last_seen_ns[seen & (self._gated == 0)] = stamps.t_scene_ns

    def _correct(self, at: Indices, z: FloatArray, r: FloatArray) -> NDArray[np.bool_]:
        """Update keypoints `at`; which of them have been beyond the gate for too long."""
        state, cov = self._state[at], self._cov[at]
        factor = inflation(z - state[:, :2], cov[:, :2, :2], r, self.spec.gate_chi2)
        self._gated[at] = np.where(factor > 1.0, self._gated[at] + 1, 0)
        self._state[at], self._cov[at] = correct(state, cov, z, factor[:, None, None] * r)
        return self._gated[at] >= self.spec.restart_frames

    def _restart(self, at: Indices, z: FloatArray, r: FloatArray) -> None:
        if not at.size:
            return
        self.restarts += int(self._known[at].sum())
        self._state[at, :2], self._state[at, 2:] = z[at], 0.0
        self._cov[at] = 0.0
        self._cov[at, :2, :2] = r[at]
        self._cov[at, 2, 2] = self._cov[at, 3, 3] = self._speed2[at]
        self._known[at], self._gated[at] = True, 0

    def _track(self, camera: str, index: int, t_ns: int, state: FloatArray, cov: FloatArray) -> Track:
        # As of the newest frame, also in a prediction: looking ahead does not lose a keypoint.
        unseen_ns = (self._t_ns or 0) - self._last_seen_ns
        unseen_ms = np.where(self._known, unseen_ns / NS_PER_MS, np.nan)
        lost = ~self._known | (unseen_ms > self.spec.lost_ms)
        return Track(
            camera=camera,
            frame_index=index,
            t_valid_ns=t_ns,
            xy=state[:, :2].reshape(*self.shape, 2).copy(),
            velocity=state[:, 2:].reshape(*self.shape, 2).copy(),
            cov=np.where(self._known[:, None, None], cov, np.nan).reshape(*self.shape, 4, 4),
            seen_ms_ago=unseen_ms.reshape(self.shape),
            lost=lost.reshape(self.shape),
        )
