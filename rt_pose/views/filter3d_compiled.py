"""The arithmetic of the filter in space for what one view sees, compiled: see `rt_pose.views.filter3d`.

A keypoint is a row: means (6,) over [x, y, z, vx, vy, vz], covariances (6, 6). Symmetric 2x2 matrices travel
as three numbers: xx, xy, yy. What is seen is not linear in the place. An update is made linear about the
predicted place and, where it then leads to a place at which that line no longer holds, about that one (the
iterated extended Kalman filter: Bell and Cathey 1993). Covariances are updated in Joseph's form, which keeps
them positive.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rt_pose.tracking.causal_filter_compiled import inflation
from rt_pose.types import FloatArray
from rt_pose.views.camera_compiled import AREA, project
from rt_pose.views.kalman3d_compiled import advance, apply_gain, kalman_gain, log_density, projected_cov
from rt_pose.views.pair_compiled import place_pair

MOST_STEPS = 4
"""Times that one update is made linear."""
LINEAR = 1e-3
"""Share of the noise that the error of a projection that was taken as linear may be, both squared."""
NEVER_NS = -(2**62)
"""Time of an observation that there was not."""


class Tracks(NamedTuple):
    """The state of M keypoints seen by V cameras."""

    mean: FloatArray
    """(M, 6)."""
    cov: FloatArray
    """(M, 6, 6)."""
    known: NDArray[np.bool_]
    """(M,) whether it has a track."""
    seen_ns: NDArray[np.int64]
    """(M,) time of the newest observation within its gate."""
    outside: NDArray[np.int64]
    """(M,) observations outside the gate in a row."""
    newest_xy: FloatArray
    """(V, M, 2) px, the newest observation by each camera: tracks start from these."""
    newest_r: FloatArray
    """(V, M, 3) px^2, its noise."""
    newest_ns: NDArray[np.int64]
    """(V, M) its time."""


class Parameters(NamedTuple):
    """What does not change: cameras, and the parameters of M keypoints."""

    cameras: FloatArray
    """(V, 23) as of `camera_compiled.packed`."""
    q: FloatArray
    """(M,) strength of the velocity's noise, in the calibration's unit^2/s^3."""
    tau: FloatArray
    """(M,) time constant of the velocity, s."""
    gain: FloatArray
    """(M,) what covariances of observations are multiplied with."""
    gate: float
    restart: int
    start_ns: int
    lost_ns: int


class Work(NamedTuple):
    """Room for one update: the place about which it is linear, its slope, the next, H P, and the gain."""

    at: FloatArray
    slope: FloatArray
    next_at: FloatArray
    next_slope: FloatArray
    towards: FloatArray
    gain: FloatArray
    place: FloatArray
    place_cov: FloatArray
    place_matrix: FloatArray


def work_arrays() -> Work:
    """Make room for one update.

    Returns
    -------
    Work
        Whatever is in it.
    """
    shapes = (3,), (2, 3), (3,), (2, 3), (2, 6), (6, 2), (3,), (3, 3), (3, 3)
    return Work(*(np.zeros(shape) for shape in shapes))


@numba.njit(cache=True, error_model="numpy")
def correct(mean, cov, camera, xy, r, gate, work):  # type: ignore[no-untyped-def]
    """Update one keypoint by what a camera saw of it, in place.

    Parameters
    ----------
    mean, cov
        Its state, (6,) and (6, 6).
    camera
        The camera's row.
    xy
        Where it was seen, (2,) px.
    r
        Noise of the observation: xx, xy, yy, px^2.
    gate
        Chi-square gate.
    work
        Room.

    Returns
    -------
    tuple of float
        What the noise was multiplied with: the factor at which the observation lies on the gate, 1 within it;
        NaN where the camera cannot show the predicted place, and nothing was updated. And the logarithm of
        the observation's density.
    """
    for k in range(3):
        work.at[k] = mean[k]
    x, y, shown = project(camera, work.at, work.slope)
    if not shown:
        return np.nan, -math.log(camera[AREA])
    factor, density, noise, e = 1.0, 0.0, r, (0.0, 0.0)
    for step in range(MOST_STEPS):
        # The innovation of the line about `at`, taken at the predicted place.
        e = (
            xy[0] - x - _along(work.slope, 0, mean, work.at),
            xy[1] - y - _along(work.slope, 1, mean, work.at),
        )
        p = projected_cov(cov, work.slope, work.towards)
        if step == 0:
            factor = inflation(e, p, r, gate)
            noise = (factor * r[0], factor * r[1], factor * r[2])
        s = (p[0] + noise[0], p[1] + noise[1], p[2] + noise[2])
        if step == 0:
            density = log_density(e, s)
        kalman_gain(work.towards, s, work.gain)
        if step == MOST_STEPS - 1:
            break
        x, y, again = _relinearise(camera, mean, e, x, y, noise[0] + noise[2], work)
        if not again:
            break
    apply_gain(mean, cov, work.slope, work.towards, work.gain, e, noise)
    return factor, density


@numba.njit(cache=True, error_model="numpy")
def _relinearise(camera, mean, e, x, y, variance, work):  # type: ignore[no-untyped-def]
    """Make the update linear about the place to which it leads, where its line does not hold there."""
    for k in range(3):
        work.next_at[k] = mean[k] + work.gain[k, 0] * e[0] + work.gain[k, 1] * e[1]
    # Where the line would show that place, and where the camera does.
    line_x = x + _along(work.slope, 0, work.next_at, work.at)
    line_y = y + _along(work.slope, 1, work.next_at, work.at)
    next_x, next_y, shown = project(camera, work.next_at, work.next_slope)
    off2 = (next_x - line_x) ** 2 + (next_y - line_y) ** 2
    if not shown or off2 < LINEAR * variance:
        return x, y, False
    for k in range(3):
        work.at[k] = work.next_at[k]
        work.slope[0, k], work.slope[1, k] = work.next_slope[0, k], work.next_slope[1, k]
    return next_x, next_y, True


@numba.njit(cache=True, error_model="numpy")
def _along(slope, axis, to, since):  # type: ignore[no-untyped-def]
    """How far a line goes on the image from one place to another, px."""
    return (
        slope[axis, 0] * (to[0] - since[0])
        + slope[axis, 1] * (to[1] - since[1])
        + slope[axis, 2] * (to[2] - since[2])
    )


@numba.njit(cache=True, error_model="numpy")
def observe(tracks, parameters, view, t_ns, dt_s, xy, s, factor, density, work):  # type: ignore[no-untyped-def]
    """Take in what one camera saw of all keypoints.

    Parameters
    ----------
    tracks
        Updated.
    parameters
        The parameters.
    view
        Number of the camera.
    t_ns
        Time of the exposure, ns.
    dt_s
        Since the observation before, by whichever camera, s.
    xy, s
        (M, 2) px and (M, 2, 2) px^2; NaN where a keypoint was not seen.
    factor
        Written: (M,) what the noise was multiplied with, as of `correct`; 1 where a track starts, NaN where
        there is none.
    density
        Written: (M,) logarithm of the density of each observation, 0 where there is none. One that no track
        expects may lie anywhere on the image.
    work
        Room.

    Returns
    -------
    int
        How many tracks restarted.
    """
    restarts = 0
    for m in range(len(xy)):
        factor[m], density[m] = np.nan, 0.0
        # Up to the time of the exposure; a track that was not seen for long is lost.
        if tracks.known[m]:
            if dt_s > 0.0:
                advance(tracks.mean[m], tracks.cov[m], dt_s, parameters.q[m], parameters.tau[m])
            tracks.known[m] = t_ns - tracks.seen_ns[m] <= parameters.lost_ns
        # Its noise, usable only where it is positive definite and the place finite.
        gain = parameters.gain[m]
        r = (gain * s[m, 0, 0], gain * s[m, 0, 1], gain * s[m, 1, 1])
        area = r[0] * r[2] - r[1] * r[1]
        if r[0] > 0.0 and 0.0 < area < np.inf and np.isfinite(xy[m, 0] + xy[m, 1]):
            known = tracks.known[m]
            factor[m], density[m], started = _observe_one(tracks, parameters, m, view, t_ns, xy[m], r, work)
            restarts += known and started
    return restarts


@numba.njit(cache=True, error_model="numpy")
def _observe_one(tracks, parameters, m, view, t_ns, xy, r, work):  # type: ignore[no-untyped-def]
    """Take in one keypoint; factor and density as of `correct`, and whether its track starts."""
    tracks.newest_ns[view, m] = t_ns
    for i in range(2):
        tracks.newest_xy[view, m, i] = xy[i]
    for i in range(3):
        tracks.newest_r[view, m, i] = r[i]
    camera = parameters.cameras[view]
    known, factor, density = tracks.known[m], np.nan, -math.log(camera[AREA])
    if known:
        factor, density = correct(tracks.mean[m], tracks.cov[m], camera, xy, r, parameters.gate, work)
        if factor == 1.0:
            tracks.outside[m], tracks.seen_ns[m] = 0, t_ns
        else:
            tracks.outside[m] += 1
        if tracks.outside[m] < parameters.restart:
            return factor, density, False
    if not start(tracks, parameters, m, view, t_ns, work):
        return factor, density, False
    tracks.known[m], tracks.outside[m], tracks.seen_ns[m] = True, 0, t_ns
    return (factor if known else 1.0), density, True


@numba.njit(cache=True, error_model="numpy")
def start(tracks, parameters, m, view, t_ns, work):  # type: ignore[no-untyped-def]
    """Start a track from the newest observation and that of another camera, if one agrees with it.

    Parameters
    ----------
    tracks
        Updated where a track starts: mean and covariance.
    parameters
        The parameters.
    m
        Number of the keypoint.
    view
        Number of the camera that has just seen it.
    t_ns
        When.
    work
        Room.

    Returns
    -------
    bool
        Whether it starts; of several cameras the one with which the place is surest is taken.
    """
    speed2 = 0.5 * parameters.q[m] * parameters.tau[m]  # variance of the velocity at rest
    best = np.inf
    for other in range(len(parameters.cameras)):
        age_ns = t_ns - tracks.newest_ns[other, m]
        if other == view or age_ns > parameters.start_ns:
            continue
        moved2 = speed2 * (1e-9 * age_ns) ** 2  # since the other observation
        variance = place_pair(
            parameters.cameras[view], parameters.cameras[other],
            tracks.newest_xy[view, m], tracks.newest_xy[other, m],
            tracks.newest_r[view, m], tracks.newest_r[other, m],
            moved2, parameters.gate, work.place, work.place_cov, work.place_matrix, work.slope,
        )  # fmt: skip
        if not variance < best:
            continue
        best = variance
        for i in range(3):
            tracks.mean[m, i], tracks.mean[m, i + 3] = work.place[i], 0.0
            for j in range(3):
                tracks.cov[m, i, j] = work.place_cov[i, j]
                tracks.cov[m, i + 3, j] = tracks.cov[m, i, j + 3] = 0.0
                tracks.cov[m, i + 3, j + 3] = speed2 if i == j else 0.0
    return best < np.inf


@numba.njit(cache=True, error_model="numpy")
def observe_all(tracks, parameters, view, t_ns, before_ns, xy, s, factor, density, work):  # type: ignore[no-untyped-def]
    """Take in many observations, one after the other.

    Parameters
    ----------
    tracks
        Updated.
    parameters
        The parameters.
    view, t_ns
        (E,) each, in the order of time.
    before_ns
        Time of the observation before the first.
    xy, s
        (E, M, 2) and (E, M, 2, 2).
    factor, density
        Written: (E, M) as of `observe`.
    work
        Room.

    Returns
    -------
    int
        How many tracks restarted.
    """
    restarts = 0
    for e in range(len(view)):
        dt_s = (t_ns[e] - before_ns) / 1e9
        restarts += observe(
            tracks, parameters, view[e], t_ns[e], dt_s, xy[e], s[e], factor[e], density[e], work
        )
        before_ns = t_ns[e]
    return restarts
