"""Keypoints in space over time, from what several cameras saw: filtered causally, or smoothed.

The causal result of a frame is what the filter knew once all cameras' exposures of that frame had come; only
its parameters are of the whole recording (`rt_pose.offline.fit_views`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rt_pose.offline.smooth_views import smooth_views
from rt_pose.offline.view_sequence import ViewSequence
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import CausalFilter3D, TrackingSpec3D
from rt_pose.views.placed import PlacedKeypoints


@dataclass(frozen=True, slots=True)
class FilteredKeypoints:
    """F frames, K keypoints; NaN where there is no track."""

    placed: PlacedKeypoints
    """Places; error, cameras and what is left out are of the observations within their gates."""
    velocity: FloatArray
    """(F, K, 3) in the calibration's unit/s."""
    velocity_var: FloatArray
    """(F, K, 3) variances."""


def filter_causal(
    cameras: Sequence[CalibratedCamera], sequence: ViewSequence, spec: TrackingSpec3D
) -> FilteredKeypoints:
    """Filter causally.

    Parameters
    ----------
    cameras
        V cameras.
    sequence
        What they saw.
    spec
        Parameters of the filter.

    Returns
    -------
    FilteredKeypoints
        As known after each frame's last exposure.
    """
    tracker = CausalFilter3D(cameras, spec)
    frames, keypoints = sequence.xy.shape[1:3]
    mean, cov = np.full((frames, keypoints, 6), np.nan), np.full((frames, keypoints, 6, 6), np.nan)
    factor = np.empty((len(sequence.view), keypoints))
    rows = zip(sequence.view.tolist(), sequence.frame.tolist(), sequence.t_ns.tolist(), strict=True)
    for e, (view, frame, t_ns) in enumerate(rows):
        tracker.observe(view, t_ns, sequence.xy[view, frame], sequence.cov[view, frame])
        factor[e] = tracker.factor
        if e + 1 == len(factor) or sequence.frame[e + 1] != frame:
            now = tracker.predict(t_ns)
            mean[frame, :, :3], mean[frame, :, 3:], cov[frame] = now.xyz, now.velocity, now.cov
    return _result(cameras, sequence, mean, cov, factor)


def smooth_recording(
    cameras: Sequence[CalibratedCamera],
    sequence: ViewSequence,
    spec: TrackingSpec3D,
    placed: PlacedKeypoints,
) -> FilteredKeypoints:
    """Smooth: every frame given all frames.

    Parameters
    ----------
    cameras
        V cameras.
    sequence
        What they saw.
    spec
        Parameters of the filter.
    placed
        The same, triangulated frame by frame.

    Returns
    -------
    FilteredKeypoints
        Between sights interpolated, however long they lie apart, with the covariance that follows from it.
    """
    return _result(cameras, sequence, *smooth_views(cameras, sequence, spec, placed.xyz))


def _result(
    cameras: Sequence[CalibratedCamera],
    sequence: ViewSequence,
    mean: FloatArray,
    cov: FloatArray,
    factor: FloatArray,
) -> FilteredKeypoints:
    """With reprojection errors; `factor` (E, K) is what the noise of each observation was multiplied with."""
    xyz = mean[..., :3]
    inside = np.zeros(sequence.xy.shape[:3], bool)
    inside[sequence.view, sequence.frame] = factor == 1.0
    inside &= np.isfinite(xyz).all(axis=-1)
    squared = np.zeros(xyz.shape[:2])
    for camera, seen, used in zip(cameras, sequence.xy, inside, strict=True):
        off = seen - camera.project(xyz)
        squared += np.where(used & np.isfinite(off).all(axis=-1), np.square(off).sum(axis=-1), 0.0)
    number = np.where(np.isfinite(xyz[..., 0]), inside.sum(axis=0), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(squared / number)  # NaN where no camera saw it
    placed = PlacedKeypoints(xyz, cov[..., :3, :3], error, number, int((factor > 1.0).sum()))
    velocity_var = np.einsum("fkii->fki", cov)[..., 3:]
    return FilteredKeypoints(placed, mean[..., 3:], velocity_var)
