"""Smoothing: the causal filter's model, forward and backward over a whole recording.

`smooth_observations` is for what a network saw, frame by frame, with its covariances (a session's log, a
predicted video); `rt_pose.offline.ensemble` is for files of several networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.rows import MotionModel, ObservationRows, smooth
from rt_pose.package import TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.kalman import MOST_PX, MOST_PX2
from rt_pose.types import FloatArray, FrameStamps, Pose

NS_PER_S = 1e9
Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Smoothed:
    """States given all frames. F frames, K keypoints; NaN where a keypoint was never seen."""

    xy: FloatArray
    """(F, K, 2) px."""
    velocity: FloatArray
    """(F, K, 2) px/s."""
    cov: FloatArray
    """(F, K, 4, 4) over [x, y, vx, vy]; the positions' with the spec's bias covariance, as in a Track."""

    @classmethod
    def unknown(cls, frames: int, keypoints: int) -> Smoothed:
        """Make states of which nothing is known.

        Parameters
        ----------
        frames, keypoints
            How many.

        Returns
        -------
        Smoothed
            NaN everywhere.
        """
        shape = (frames, keypoints)
        return cls(*(np.full((*shape, *more), np.nan) for more in ((2,), (2,), (4, 4))))


def smooth_observations(
    t_ns: NDArray[np.int64],
    xy: FloatArray,
    cov: FloatArray,
    confidence: FloatArray,
    spec: TrackingSpec,
) -> Smoothed:
    """Smooth the observations of one individual with the filter's own parameters.

    Frames that are not later than all before them are left out, as the filter leaves them out, and are NaN in
    the result. A recording that was wound back is smoothed one epoch at a time. Between sights a keypoint is
    interpolated however long they lie apart, with the covariance that follows from it.

    A measurement's noise is inflated to the gate only where neither the frames before it nor those after it
    expect it: a real jump is expected by what follows.

    Parameters
    ----------
    t_ns
        (F,) scene time, ns.
    xy
        (F, K, 2) px, as it comes from the network; NaN where not seen.
    cov
        (F, K, 2, 2) px^2, as it comes from the network.
    confidence
        (F, K) 0..1.
    spec
        Parameters of the filter for K keypoints.

    Returns
    -------
    Smoothed
        Positions, velocities and covariances of every frame.

    Raises
    ------
    UserError
        Where the shapes disagree.
    """
    _check(t_ns, xy, cov, confidence, spec)
    kept = np.flatnonzero(t_ns > np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(t_ns)[:-1]]))
    result = Smoothed.unknown(*confidence.shape)
    if not len(kept):
        return result
    t, z, s, confident = t_ns[kept], xy[kept], cov[kept], confidence[kept]
    r, seen = _noise(z, s, confident, spec)
    r *= _associate(t, z, s, confident, spec)[:, :, None, None]
    ever = seen.any(axis=0)
    means, covs = smooth(_model(t, z, seen, spec), _rows(z, r, seen))
    means[:, :, ~ever], covs[..., ~ever] = np.nan, np.nan
    if spec.bias_px2:
        covs[:, :2, :2] += np.asarray(spec.bias_px2).transpose(1, 2, 0)
    result.xy[kept] = means[:, :2].transpose(0, 2, 1)
    result.velocity[kept] = means[:, 2:].transpose(0, 2, 1)
    result.cov[kept] = covs.transpose(0, 3, 1, 2)
    return result


def _check(
    t_ns: NDArray[np.int64], xy: FloatArray, cov: FloatArray, confidence: FloatArray, spec: TrackingSpec
) -> None:
    frames, keypoints = len(t_ns), len(spec.q_px2_s3)
    for name, found, expected in (
        ("xy", xy.shape, (frames, keypoints, 2)),
        ("cov", cov.shape, (frames, keypoints, 2, 2)),
        ("confidence", confidence.shape, (frames, keypoints)),
    ):
        if found != expected:
            raise UserError(
                f"smoothing: {name} has shape {found}, expected {expected}: {frames} times were given and "
                f"the tracking parameters are for {keypoints} keypoints"
            )


def _noise(
    xy: FloatArray, cov: FloatArray, confidence: FloatArray, spec: TrackingSpec
) -> tuple[FloatArray, Mask]:
    """R (F, K, 2, 2) and where it counts (F, K), as the filter takes them."""
    gain, floor = np.asarray(spec.gain)[:, None, None], np.asarray(spec.floor_px2)[:, None, None]
    r = gain * cov + floor * np.eye(2)
    with np.errstate(invalid="ignore"):
        seen = (np.abs(xy) < MOST_PX).all(axis=-1) & (np.abs(r) < MOST_PX2).all(axis=(-2, -1))
        determinant = r[..., 0, 0] * r[..., 1, 1] - r[..., 0, 1] ** 2
        seen &= (confidence >= spec.min_confidence) & (r[..., 0, 0] > 0.0) & (determinant > 0.0)
    r[~seen] = np.eye(2)
    return r, seen


def _associate(
    t: NDArray[np.int64], xy: FloatArray, cov: FloatArray, confidence: FloatArray, spec: TrackingSpec
) -> FloatArray:
    """(F, K) the smaller of the factors that the filter applies to R when run forwards and backwards."""
    before = _inflations(t - t[0], xy, cov, confidence, spec)
    after = _inflations((t[-1] - t)[::-1], xy[::-1], cov[::-1], confidence[::-1], spec)
    return np.minimum(before, after[::-1])


def _inflations(
    t: NDArray[np.int64], xy: FloatArray, cov: FloatArray, confidence: FloatArray, spec: TrackingSpec
) -> FloatArray:
    tracker = CausalFilter(spec, 1, xy.shape[1])
    factors = np.empty(confidence.shape)
    for i, t_ns in enumerate(t.tolist()):
        stamps = FrameStamps(index=i, t_exposure_ns=t_ns, t_arrival_ns=t_ns, t_scene_ns=t_ns)
        tracker.step(Pose("", stamps, xy[i : i + 1], cov[i : i + 1], confidence[i : i + 1]))
        factors[i] = tracker.inflation
    return factors


def _model(t: NDArray[np.int64], xy: FloatArray, seen: Mask, spec: TrackingSpec) -> MotionModel:
    start = xy[seen.argmax(axis=0), np.arange(xy.shape[1])].T  # (2, K) where each was seen first
    return MotionModel(
        dt_s=np.diff(t, prepend=t[0]) / NS_PER_S,
        q=np.asarray(spec.q_px2_s3),
        tau=np.asarray(spec.tau_s),
        start=np.nan_to_num(start),
    )


def _rows(xy: FloatArray, r: FloatArray, seen: Mask) -> ObservationRows:
    """x, and y less its regression on x: two scalar observations with independent noises."""
    slope = r[..., 0, 1] / r[..., 0, 0]  # (F, K)
    one, zero = np.ones_like(slope), np.zeros_like(slope)
    variance = np.stack([r[..., 0, 0], r[..., 1, 1] - slope * r[..., 0, 1]], axis=1)
    z = np.where(seen[..., None], xy, 0.0)
    return ObservationRows(
        h=np.stack([np.stack([one, zero], axis=1), np.stack([-slope, one], axis=1)], axis=1),
        z=np.stack([z[..., 0], z[..., 1] - slope * z[..., 0]], axis=1),
        r=np.where(seen[:, None], variance, np.inf),
    )
