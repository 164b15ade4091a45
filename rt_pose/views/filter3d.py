"""The causal filter in space: each view's observation as it comes, with its covariance.

The state of a keypoint is [x, y, z, vx, vy, vz], its velocity an Ornstein-Uhlenbeck process discretised
exactly, as in the filter of one camera (`rt_pose.tracking.causal_filter`). What a camera sees updates it by
an extended Kalman filter through that camera's lens: no view waits for another, and one that is missing only
leaves the covariance wider. An observation beyond the chi-square gate has its noise inflated until it lies on
the gate, view by view, so that one camera that errs is outvoted and never makes a jump. A track starts where
two cameras agree on a place, and again where they do after a number of observations beyond the gate in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.errors import UserError
from rt_pose.types import FloatArray, Track3D
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.camera_compiled import packed
from rt_pose.views.filter3d_compiled import (
    NEVER_NS,
    Parameters,
    Tracks,
    observe_all,
    work_arrays,
)
from rt_pose.views.kalman3d_compiled import advance_all


@dataclass(frozen=True, slots=True)
class TrackingSpec3D:
    """Parameters of the filter in space; arrays hold one number for each of K keypoints."""

    q: FloatArray
    """Strength of the velocity's noise, in the calibration's unit^2/s^3."""
    tau_s: FloatArray
    """Time constant with which a velocity decays."""
    gain: FloatArray
    """What covariances of observations are multiplied with."""
    gate_chi2: float = 9.21
    """99 % of chi-square with 2 degrees of freedom; beyond it the noise is inflated."""
    restart_observations: int = 8
    """After so many observations beyond the gate in a row, of all cameras together, a track starts anew where
    two cameras agree."""
    start_ms: float = 50.0
    """Two observations that start a track are no further apart."""
    lost_ms: float = 500.0
    """Not seen within its gate for longer, a keypoint is lost: its track ends."""


@dataclass(slots=True)
class Snapshot:
    """The state of a filter at one moment."""

    tracks: Tracks
    t_ns: int | None = None
    restarts: int = 0


class CausalFilter3D:
    """Filters what V cameras see of K keypoints; a pure function of what it was given, in its order."""

    def __init__(self, cameras: Sequence[CalibratedCamera], spec: TrackingSpec3D) -> None:
        """Allocate the state of all keypoints; no track has begun.

        Parameters
        ----------
        cameras
            V of them, two or more.
        spec
            Parameters of the filter.

        Raises
        ------
        UserError
            Where there are fewer than two cameras, or the parameters are not of one number of keypoints.
        """
        if len(cameras) < 2:
            raise UserError(f"the filter in space needs two cameras or more, got {len(cameras)}")
        keypoints = len(spec.q)
        if not len(spec.tau_s) == len(spec.gain) == keypoints:  # compiled code would read past the end
            raise UserError(
                f"the filter in space: q is of {keypoints} keypoints, tau_s of {len(spec.tau_s)}, gain of "
                f"{len(spec.gain)}"
            )
        self.shape = len(cameras), keypoints
        self.late = 0
        """Observations older than one that was used; they change nothing."""
        self.restarts = 0
        """Times a track started anew elsewhere."""
        self._parameters = Parameters(
            np.stack([packed(camera) for camera in cameras]),
            np.array(spec.q, np.float64),
            np.array(spec.tau_s, np.float64),
            np.array(spec.gain, np.float64),
            float(spec.gate_chi2),
            int(spec.restart_observations),
            round(spec.start_ms * NS_PER_MS),
            round(spec.lost_ms * NS_PER_MS),
        )
        self._tracks = _empty(*self.shape)
        self._work = work_arrays()
        # One observation, as compiled code takes many.
        self._view, self._time = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self._xy, self._cov = np.empty((1, keypoints, 2)), np.empty((1, keypoints, 2, 2))
        self._factor, self._density = np.full((1, keypoints), np.nan), np.zeros((1, keypoints))
        self.factor = self._factor[0]
        """(K,) what the noise of the newest observation was multiplied with; NaN where it served no track."""
        self._t_ns: int | None = None

    def observe(self, view: int, t_ns: int, xy: FloatArray, cov: FloatArray) -> bool:
        """Take in what one camera saw.

        Parameters
        ----------
        view
            Number of the camera.
        t_ns
            Time of its exposure, ns; several cameras may have the same.
        xy
            (K, 2) px of its frame; NaN where it does not see a keypoint.
        cov
            (K, 2, 2) px^2.

        Returns
        -------
        bool
            Whether it was used: not where it is older than what was used before; it is counted then.

        Raises
        ------
        UserError
            Where there is no such camera, or the arrays are not of the filter's keypoints.
        """
        cameras, keypoints = self.shape
        if not 0 <= view < cameras or xy.shape != (keypoints, 2) or cov.shape != (keypoints, 2, 2):
            raise UserError(
                f"an observation of view {view} with positions of shape {xy.shape} and covariances of "
                f"{cov.shape}; the filter is of {cameras} views and {keypoints} keypoints"
            )
        before_ns = t_ns if self._t_ns is None else self._t_ns
        if t_ns < before_ns:
            self.late += 1
            return False
        self._view[0], self._time[0], self._xy[0], self._cov[0] = view, t_ns, xy, cov
        self.restarts += observe_all(
            self._tracks, self._parameters, self._view, self._time, before_ns, self._xy, self._cov,
            self._factor, self._density, self._work,
        )  # fmt: skip
        self._t_ns = t_ns
        return True

    def observe_all(
        self, view: NDArray[np.int64], t_ns: NDArray[np.int64], xy: FloatArray, cov: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Take in many observations at once.

        Parameters
        ----------
        view, t_ns
            (E,) each, as of `observe`; no time is before the one before it.
        xy, cov
            (E, K, 2) px and (E, K, 2, 2) px^2.

        Returns
        -------
        tuple[FloatArray, FloatArray]
            (E, K) each: what noises were multiplied with, as of `factor`; and the logarithm of the density of
            each observation given those before it. One that no track expects may lie anywhere on the image.

        Raises
        ------
        UserError
            Where the arrays do not fit the filter, or times go back.
        """
        cameras, keypoints = self.shape
        count = len(view)
        if xy.shape != (count, keypoints, 2) or cov.shape != (count, keypoints, 2, 2) or len(t_ns) != count:
            raise UserError(f"{count} observations, positions of shape {xy.shape}, {keypoints} keypoints")
        if not count:
            return np.empty((0, keypoints)), np.empty((0, keypoints))
        before_ns = int(t_ns[0]) if self._t_ns is None else self._t_ns
        if view.min() < 0 or view.max() >= cameras or (np.diff(t_ns, prepend=before_ns) < 0).any():
            raise UserError("observations of cameras that the filter does not have, or not in order of time")
        factor, density = np.empty((count, keypoints)), np.empty((count, keypoints))
        self.restarts += observe_all(
            self._tracks, self._parameters,
            np.array(view, np.int64), np.array(t_ns, np.int64), before_ns,
            np.array(xy, np.float64, order="C"), np.array(cov, np.float64, order="C"),
            factor, density, self._work,
        )  # fmt: skip
        self._t_ns = int(t_ns[-1])
        return factor, density

    @property
    def parameters(self) -> Parameters:
        """Cameras and parameters, as compiled code takes them."""
        return self._parameters

    @property
    def state(self) -> Tracks:
        """The tracks themselves, as of the newest observation; they change with the next."""
        return self._tracks

    def reset(self) -> None:
        """End all tracks and forget all observations, but for the counts."""
        for now, empty in zip(self._tracks, _empty(*self.shape), strict=True):
            now[...] = empty
        self._t_ns = None

    def snapshot(self) -> Snapshot:
        """Make room for the state, and save it there.

        Returns
        -------
        Snapshot
            The state as it is.
        """
        made = Snapshot(_empty(*self.shape))
        self.save(made)
        return made

    def save(self, into: Snapshot) -> None:
        """Save the state; nothing is allocated.

        Parameters
        ----------
        into
            A snapshot of this filter; what it held is gone.
        """
        for kept, now in zip(into.tracks, self._tracks, strict=True):
            kept[...] = now
        into.t_ns, into.restarts = self._t_ns, self.restarts

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a saved state, with its count of restarts.

        Parameters
        ----------
        snapshot
            What `save` left.
        """
        for now, kept in zip(self._tracks, snapshot.tracks, strict=True):
            now[...] = kept
        self._t_ns, self.restarts = snapshot.t_ns, snapshot.restarts

    def predict(self, t_ns: int) -> Track3D:
        """Extrapolate to a later time; the filter does not change.

        Parameters
        ----------
        t_ns
            Time, ns; at or before the newest observation the state is given as it is.

        Returns
        -------
        Track3D
            The state at that time; what is lost is as of the newest observation.
        """
        tracks, parameters = self._tracks, self._parameters
        mean, cov = tracks.mean.copy(), tracks.cov.copy()
        newest_ns = t_ns if self._t_ns is None else self._t_ns
        if t_ns > newest_ns:
            dt_s = (t_ns - newest_ns) / NS_PER_S
            advance_all(mean, cov, tracks.known, dt_s, parameters.q, parameters.tau)
        lost = ~tracks.known
        mean[lost], cov[lost] = np.nan, np.nan
        seen_ms_ago = (newest_ns - tracks.seen_ns) / NS_PER_MS
        seen_ms_ago[tracks.seen_ns == NEVER_NS] = np.nan
        return Track3D(max(t_ns, newest_ns), mean[:, :3], mean[:, 3:], cov, seen_ms_ago, lost)


def _empty(cameras: int, keypoints: int) -> Tracks:
    """No track, no observation."""
    return Tracks(
        np.zeros((keypoints, 6)),
        np.zeros((keypoints, 6, 6)),
        np.zeros(keypoints, dtype=bool),
        np.full(keypoints, NEVER_NS, np.int64),
        np.zeros(keypoints, np.int64),
        np.zeros((cameras, keypoints, 2)),
        np.zeros((cameras, keypoints, 3)),
        np.full((cameras, keypoints), NEVER_NS, np.int64),
    )
