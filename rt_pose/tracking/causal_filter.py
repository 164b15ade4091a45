"""The causal filter over keypoints: Kalman with Ornstein-Uhlenbeck velocity, gating and prediction.

State per keypoint [x, y, vx, vy]; the algebra is `rt_pose.tracking.kalman`'s. A measurement beyond the
chi-square gate has its noise inflated until it lies on the gate (the causal form of the ensemble Kalman
smoother's variance inflation, Biderman et al. 2024), so that there is never a hard jump. Where the package
has a pose prior, a keypoint that breaks the pose is replaced by the estimate from the others, and one that
the others confirm is taken to have moved. All keypoints are filtered at once.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.errors import UserError
from rt_pose.package import TrackingSpec
from rt_pose.tracking.causal_filter_compiled import (
    advance,
    associate,
    correct,
    innovation,
    update_status,
    write_track,
)
from rt_pose.tracking.clock_step import ClockStepDetector
from rt_pose.tracking.kalman import inflation
from rt_pose.tracking.pose_prior import PosePrior
from rt_pose.types import FloatArray, FrameStamps, Pose, Track

Mask = NDArray[np.bool_]


SHARED_NOISE = 0.4
"""Where the other keypoints confirm a movement, the share of the variance added to the state by which the
measurement's noise grows too. The track then needs two or three frames for a jump instead of one, and a false
jump costs it less."""
SWAPPED_INFLATION = 1e4
"""For diagnostics after the fact: the inflation of a measurement that was taken for another keypoint's."""


class CausalFilter:
    """Filters the poses of one camera; a pure function of the poses it was given.

    M = N * K keypoints are held flat, components first. Irregular input is counted, never fatal: see the
    counters.
    """

    def __init__(self, spec: TrackingSpec, individuals: int, keypoints: int) -> None:
        """Allocate the state of all keypoints; no track has begun.

        Parameters
        ----------
        spec
            Parameters of the filter.
        individuals
            N.
        keypoints
            K of each individual.

        Raises
        ------
        UserError
            Where the parameters are not of so many keypoints.
        """
        self.spec = spec
        self.shape = shape = (individuals, keypoints)
        self._shapes = (*shape, 2), (*shape, 2, 2), shape
        """Of a pose's positions, covariances and confidences."""
        self.ignored = 0
        """Poses out of order or with a repeated stamp; they change nothing."""
        self.restarts = 0
        """Keypoints whose track restarted at a measurement."""
        self.clock_steps = 0
        """Times the scene clock was found to have stepped backwards; all tracks restart."""
        self.gaps = 0
        """Times no pose came for `restart_ms` of scene time."""
        self.swaps = 0
        """Measurements that fitted another keypoint's track, and that one's this track; not used."""
        self.breaks = 0
        """Measurements that broke the pose."""
        self.moves = 0
        """Measurements beyond the gate that the pose confirmed."""
        self.observed = False
        """Whether the newest pose was taken in; one that came out of order was not."""

        def flat(values: list[float]) -> FloatArray:
            if len(values) != keypoints:  # compiled code would read past the end
                raise UserError(f"the filter has {keypoints} keypoints, its parameters are of {len(values)}")
            return np.tile(np.asarray(values, dtype=np.float64), individuals)

        self._q, self._tau = flat(spec.q_px2_s3), flat(spec.tau_s)
        self._gain, self._floor = flat(spec.gain), flat(spec.floor_px2)
        self._bias = _bias(spec, individuals, keypoints)
        self._speed2 = 0.5 * self._q * self._tau  # variance of the velocity at rest
        self._restart_ns, self._lost_ns = round(spec.restart_ms * NS_PER_MS), round(spec.lost_ms * NS_PER_MS)
        self._prior = (
            PosePrior(spec.subspaces, individuals, keypoints, spec.gate_chi2) if spec.subspaces else None
        )
        self._reset()

    def _reset(self) -> None:
        m = self.shape[0] * self.shape[1]
        self._mean = np.zeros((4, m))
        self._cov = np.zeros((4, 4, m))
        self._known = np.zeros(m, dtype=bool)
        self._gated = np.zeros(m, dtype=np.int64)
        self._work = _work_arrays(m)
        self._association = tuple(np.zeros(m, dtype=bool) for _ in range(4))
        """What `associate` writes: swapped, used, outside_gate, inside_gate."""
        self._start = np.zeros(m, dtype=bool)
        self._last_seen_ns = np.zeros(m, dtype=np.int64)
        self.inflation = np.ones(m)
        """(M,) what the noise of the newest pose was multiplied with; where a keypoint broke the pose, the
        factor at which its own measurement would have weighed no more than its distance allows."""
        self._t_ns: int | None = None
        self._epoch: int | None = None
        self._clock_step = ClockStepDetector(self.spec.restart_frames)

    def counts(self) -> dict[str, int]:
        """Report what the filter has met.

        Returns
        -------
        dict[str, int]
            The counters, by their names in the log.
        """
        return {
            "restarts": self.restarts,
            "ignored_poses": self.ignored,
            "clock_steps": self.clock_steps,
            "gaps": self.gaps,
            "swaps": self.swaps,
            "breaks": self.breaks,
            "moves": self.moves,
        }

    def measurement(self) -> tuple[Mask, Mask, FloatArray, FloatArray, FloatArray]:
        """Get what the newest pose was compared with, as `causal_filter_compiled.innovation` wrote it.

        Returns
        -------
        tuple[Mask, Mask, FloatArray, FloatArray, FloatArray]
            seen (M,), update (M,), e (2, M), p (3, M) and r (3, M); valid until the next pose.
        """
        r, seen, update, e, p, _ = self._work
        return seen, update, e, p, r

    def step(self, pose: Pose) -> Track:
        """Update the filter with a pose.

        Parameters
        ----------
        pose
            The newest pose; one that is out of order is counted and ignored.

        Returns
        -------
        Track
            The track at the pose's scene time, after the update.

        Raises
        ------
        UserError
            Where the pose is not of the filter's keypoints: compiled code would write past its arrays.
        """
        if (pose.xy.shape, pose.cov.shape, pose.confidence.shape) != self._shapes:
            n, k = self.shape
            raise UserError(
                f"a pose of shape {pose.xy.shape} with covariances of {pose.cov.shape} and confidences of "
                f"{pose.confidence.shape}; the filter is of {n} x {k} keypoints"
            )
        stamps = pose.stamps
        self.observed = self._advance(stamps)
        if not self.observed:
            self.ignored += 1
            assert self._t_ns is not None
            return self._track(pose.camera, stamps.index, self._t_ns, self._mean, self._cov)
        self._observe(pose, stamps.t_scene_ns)
        return self._track(pose.camera, stamps.index, stamps.t_scene_ns, self._mean, self._cov)

    def predict(self, camera: str, frame_index: int, t_scene_ns: int) -> Track:
        """Extrapolate the track to a later scene time; the filter does not change.

        Parameters
        ----------
        camera
            Name of the camera, for the track.
        frame_index
            Index of the newest frame, for the track.
        t_scene_ns
            Scene time to predict, ns; at or before the newest pose the state is given as it is.

        Returns
        -------
        Track
            Positions (N, K, 2) px, velocities (N, K, 2) px/s and covariances (N, K, 4, 4) at `t_scene_ns`;
            how long ago a keypoint was seen, and whether it is lost, are as of the newest pose.
        """
        mean, cov = self._mean, self._cov
        if self._t_ns is not None and t_scene_ns > self._t_ns:
            mean, cov = mean.copy(), cov.copy()
            advance(mean, cov, (t_scene_ns - self._t_ns) / NS_PER_S, self._q, self._tau)
        return self._track(camera, frame_index, t_scene_ns, mean, cov)

    def rearrange(self, order: NDArray[np.int64], kept: Mask) -> None:
        """Move the tracks of individuals to other slots.

        Parameters
        ----------
        order
            (N,) slot i takes the track that slot `order[i]` had.
        kept
            (N,) whether that track goes on; else the slot's keypoints begin at their next sight.
        """
        keypoints = self.shape[1]
        of = (np.asarray(order)[:, None] * keypoints + np.arange(keypoints)).ravel()
        for values in (self._mean, self._cov, self._known, self._gated, self._last_seen_ns):
            values[...] = values[..., of]
        self._known &= np.repeat(kept, keypoints)

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
            advance(self._mean, self._cov, dt_ns / NS_PER_S, self._q, self._tau)
        self._t_ns = t_ns
        self._clock_step.newer()
        return True

    def _clock_stepped_back(self, t_ns: int) -> bool:
        """Whether poses behind the newest one have come for so long that the clock itself stepped back."""
        if not self._clock_step.is_step(t_ns):
            return False
        epoch = self._epoch
        self._reset()
        self._epoch, self._t_ns = epoch, t_ns
        self.clock_steps += 1
        return True

    def _observe(self, pose: Pose, t_ns: int) -> None:
        r, _, update, e, p, factor = self._work
        innovation(
            pose.xy.reshape(-1, 2),
            pose.cov.reshape(-1, 2, 2),
            pose.confidence.ravel(),
            self.spec.min_confidence,
            self._gain,
            self._floor,
            self._known,
            self._last_seen_ns,
            t_ns - self._restart_ns,
            self._mean,
            self._cov,
            self.spec.gate_chi2,
            *self._work,
        )
        self.inflation = factor
        swapped, used, outside_gate, inside_gate = self._association
        n_swapped = associate(
            pose.xy.reshape(-1, 2), self._mean, p, r, factor, update, self.shape[1], self.spec.gate_chi2,
            *self._association,
        )  # fmt: skip
        self.swaps += n_swapped
        if self._prior is not None:
            self._observe_with_prior(self._prior, pose, t_ns)
            return
        if n_swapped:
            factor[swapped] = SWAPPED_INFLATION
        correct(self._mean, self._cov, e, p, r, factor, used)
        self._update_status(pose, outside_gate, inside_gate, t_ns)

    def _observe_with_prior(self, prior: PosePrior, pose: Pose, t_ns: int) -> None:
        r, seen, _, e, p, factor = self._work
        swapped, used, _, _ = self._association
        z = pose.xy.reshape(-1, 2).T
        e, r_used, factor, broken = self._apply_pose_prior(prior, z, e, p, r, factor, seen, used)
        correct(self._mean, self._cov, e, p, r_used, factor, used)
        outside = factor > 1.0
        factor = np.where(broken, self.inflation, factor)
        self.inflation = np.where(swapped, SWAPPED_INFLATION, factor)
        # What breaks the pose never becomes the track by patience alone: only time unseen restarts it.
        self._update_status(pose, (outside & ~broken) | swapped, used & ~outside & ~broken, t_ns)

    def _update_status(self, pose: Pose, outside_gate: Mask, inside_gate: Mask, t_ns: int) -> None:
        r, seen, update, *_ = self._work
        patience = self.spec.restart_frames
        if update_status(
            outside_gate,
            inside_gate,
            seen,
            update,
            self._gated,
            self._last_seen_ns,
            t_ns,
            patience,
            self._start,
        ):
            self._restart(self._start, pose.xy.reshape(-1, 2).T, r)

    def _apply_pose_prior(
        self,
        prior: PosePrior,
        z: FloatArray,
        e: FloatArray,
        p: FloatArray,
        r: FloatArray,
        factor: FloatArray,
        seen: Mask,
        used: Mask,
    ) -> tuple[FloatArray, FloatArray, FloatArray, Mask]:
        """Innovations, noises and factors under the pose prior, and which keypoints break the pose.

        The covariance of a keypoint that moved further than its past allows, and that the others confirm,
        is scaled until the measurement lies on the gate (`p` with it, in place).
        """
        gate = self.spec.gate_chi2
        at, noise = np.where(seen, z, self._mean[:2]), np.where(seen, r, p)
        broken, vouched = prior.check_pose(at, noise, factor, seen | self._known)
        broken &= used
        if broken.any():
            self.breaks += int(np.count_nonzero(broken))
            apart = np.where(broken, z - at, 0.0)
            self.inflation = 1.0 + (apart * apart).sum(axis=0) / (r[0] + r[2])
            e = np.where(broken, at - self._mean[:2], e)
            r = np.where(broken, noise, r)
            factor = np.where(broken, inflation(e, p, r, gate), factor)
        vouched &= used & ~broken & (factor > 1.0)
        if vouched.any():
            self.moves += int(np.count_nonzero(vouched))
            moved = np.where(vouched, inflation(e, r, p, gate), 1.0)
            self._cov *= moved
            p *= moved
            r = r + np.where(vouched, SHARED_NOISE, 0.0) * p
            factor = np.where(vouched, 1.0, factor)
        return e, r, factor, broken

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
        n = mean.shape[1]
        xy, velocity, published = np.empty((n, 2)), np.empty((n, 2)), np.empty((n, 4, 4))
        seen_ms_ago, lost = np.empty(n), np.empty(n, dtype=bool)
        write_track(
            mean, cov, self._bias, self._known, self._last_seen_ns, self._t_ns or 0, self._lost_ns,
            xy, velocity, published, seen_ms_ago, lost,
        )  # fmt: skip
        return Track(
            camera=camera,
            frame_index=index,
            t_valid_ns=t_ns,
            xy=xy.reshape(*self.shape, 2),
            velocity=velocity.reshape(*self.shape, 2),
            cov=published.reshape(*self.shape, 4, 4),
            seen_ms_ago=seen_ms_ago.reshape(self.shape),
            lost=lost.reshape(self.shape),
        )


def precompile(like: CausalFilter, pose: Pose) -> None:
    """Take a pose through every step of a spare filter of the same kind, so that all steps are compiled.

    The steps are compiled when they are first called with arrays of their kind. In a fresh installation that
    takes seconds, and no frame is to wait for it.

    Parameters
    ----------
    like
        The filter that will run; it does not change.
    pose
        A pose with arrays of the shapes and types that will come.
    """
    spare = CausalFilter(like.spec, *like.shape)
    stamps = pose.stamps
    for later in (0, 1):
        t_scene_ns = stamps.t_scene_ns + later * NS_PER_MS
        now = msgspec.structs.replace(stamps, index=stamps.index + later, t_scene_ns=t_scene_ns)
        spare.step(replace(pose, stamps=now))
    spare.predict(pose.camera, stamps.index, stamps.t_scene_ns + 2 * NS_PER_MS)


def _work_arrays(m: int) -> tuple[FloatArray, Mask, Mask, FloatArray, FloatArray, FloatArray]:
    """Room for what `innovation` writes of M measurements: r, seen, update, e, p, factor."""
    return (
        np.empty((3, m)),
        np.empty(m, dtype=bool),
        np.empty(m, dtype=bool),
        np.empty((2, m)),
        np.empty((3, m)),
        np.empty(m),
    )


def _bias(spec: TrackingSpec, individuals: int, keypoints: int) -> FloatArray:
    """(M, 2, 2) px^2, what is added to published positions."""
    if not spec.bias_px2:
        return np.zeros((individuals * keypoints, 2, 2))
    bias = np.asarray(spec.bias_px2, dtype=np.float64)
    if bias.shape != (keypoints, 2, 2):
        raise UserError(f"the filter has {keypoints} keypoints, its bias is of shape {bias.shape}")
    return np.tile(bias, (individuals, 1, 1))
