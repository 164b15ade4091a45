"""The smoother of the filter in space: the same model, forward and backward over a whole recording.

What a camera sees is not linear in the place. So each pass is linear about places that are known already:
first those triangulated frame by frame, then those of the pass before, which leads to the most probable
movement (the iterated Kalman smoother, Gauss's and Newton's method: Bell 1994). An observation's noise is
inflated to the gate only where neither those before it nor those after it expect it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rt_pose.offline.smooth_views_compiled import RECORD, backward, forward
from rt_pose.offline.view_sequence import ViewSequence
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.camera_compiled import packed
from rt_pose.views.filter3d import CausalFilter3D, TrackingSpec3D
from rt_pose.views.filter3d_compiled import work_arrays

PASSES = 3
AT_ONCE = 10_000
"""Exposures that are gathered for the filter at a time."""


def smooth_views(
    cameras: Sequence[CalibratedCamera], sequence: ViewSequence, spec: TrackingSpec3D, xyz: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Smooth what several cameras saw.

    Parameters
    ----------
    cameras
        V cameras.
    sequence
        What they saw.
    spec
        Parameters of the filter for K keypoints.
    xyz
        (F, K, 3) places frame by frame; NaN where there is none.

    Returns
    -------
    mean : FloatArray
        (F, K, 6) over [x, y, z, vx, vy, vz]; NaN where a keypoint was never placed, or without an exposure.
    cov : FloatArray
        (F, K, 6, 6).
    factor : FloatArray
        (E, K) what the noise of each observation was multiplied with; NaN for what was not used.
    """
    before = _factors(cameras, sequence, spec, backwards=False)
    factor = np.fmin(before, _factors(cameras, sequence, spec, backwards=True))
    frames, keypoints = xyz.shape[:2]
    mean, cov = np.full((frames, keypoints, 6), np.nan), np.full((frames, keypoints, 6, 6), np.nan)
    rows = np.stack([packed(camera) for camera in cameras])
    stand = np.stack([camera.position for camera in cameras])
    for k in range(keypoints):
        placed = np.flatnonzero(np.isfinite(xyz[:, k]).all(axis=-1))
        if not placed.size:
            continue
        at = np.stack([np.interp(np.arange(frames), placed, xyz[placed, k, i]) for i in range(3)], axis=-1)
        q, tau = float(spec.q[k]), float(spec.tau_s[k])
        first = np.concatenate([at[0], np.zeros(3)])
        unknown2 = np.square(stand - at[0]).sum(axis=1).max()  # nothing is known of the place but its arena
        spread = np.diag(np.repeat([unknown2, 0.5 * q * tau], 3))
        seen = sequence.cov[sequence.view, sequence.frame, k].reshape(-1, 4)[:, [0, 1, 3]]
        noise = np.ascontiguousarray(spec.gain[k] * factor[:, k, None] * seen)
        xy = np.ascontiguousarray(sequence.xy[sequence.view, sequence.frame, k])
        mean[:, k], cov[:, k] = _smooth_one(rows, sequence, xy, noise, at, first, spread, q, tau)
    return mean, cov, factor


def _smooth_one(
    rows: FloatArray,
    sequence: ViewSequence,
    xy: FloatArray,
    noise: FloatArray,
    at: FloatArray,
    first: FloatArray,
    spread: FloatArray,
    q: float,
    tau: float,
) -> tuple[FloatArray, FloatArray]:
    """One keypoint (F, 6) and (F, 6, 6), the observations being linear about places `at` (F, 3) first."""
    view, frame, t_ns = sequence.view, sequence.frame, sequence.t_ns
    records, work = np.empty((len(view), RECORD)), work_arrays()
    means, covs = np.full((len(at), 6), np.nan), np.full((len(at), 6, 6), np.nan)
    for _ in range(PASSES):
        about = np.ascontiguousarray(at[frame])
        forward(
            rows, view, frame, t_ns, xy, noise, about, first.copy(), spread.copy(), q, tau, means, covs,
            records, work,
        )  # fmt: skip
        backward(frame, t_ns, q, tau, means, covs, records)
        at = means[:, :3]
    return means, covs


def _factors(
    cameras: Sequence[CalibratedCamera], sequence: ViewSequence, spec: TrackingSpec3D, *, backwards: bool
) -> FloatArray:
    """(E, K) what the filter multiplies noises with, run forwards or backwards in time."""
    tracker = CausalFilter3D(cameras, spec)
    order = np.arange(len(sequence.view))
    factor = np.full((len(order), len(spec.q)), np.nan)
    for start in range(0, len(order), AT_ONCE):
        chosen = order[start : start + AT_ONCE]
        if backwards:
            chosen = len(order) - 1 - chosen
        view, t_ns, xy, cov = sequence.part(chosen)
        if backwards:
            t_ns = sequence.t_ns[-1] - t_ns
        factor[chosen], _ = tracker.observe_all(view, t_ns, xy, cov)
    return factor
