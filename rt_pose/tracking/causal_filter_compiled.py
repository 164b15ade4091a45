"""The filter's arithmetic for one pose, compiled: what `causal_filter.py` does for every frame.

The formulas are those of `kalman.py` (which the smoother uses on whole recordings at once), with the batch of
keypoints in a loop instead of along an axis. Between frames the network empties the caches, so that what
counts here is not arithmetic but the number of steps of the interpreter: three calls instead of sixty.
Arrays are laid out as there: means (4, M), covariances (4, 4, M), symmetric 2x2 matrices (3, M).
"""

from __future__ import annotations

import math

import numba
import numpy as np

from rt_pose.tracking.kalman import SERIES_BELOW


@numba.njit(cache=True, error_model="numpy")
def transition(dt_s, q, tau):  # type: ignore[no-untyped-def]
    """a, b, q_xx, q_xv, q_vv of one keypoint over `dt_s`; see `kalman.transition`."""
    u = dt_s / tau
    lost = math.expm1(-u)
    twice = lost * (lost + 2.0)
    if u < SERIES_BELOW:
        noise = u * u * u * (1 / 3 - u * (1 / 4 - u * (7 / 60 - u * (1 / 24 - u * (31 / 2520)))))
    else:
        noise = u + 2.0 * lost - 0.5 * twice
    qt = q * tau
    return 1.0 + lost, -tau * lost, qt * tau * tau * noise, 0.5 * qt * tau * lost * lost, -0.5 * qt * twice


@numba.njit(cache=True, error_model="numpy")
def advance(mean, cov, dt_s, q, tau):  # type: ignore[no-untyped-def]
    """Carry `mean` and `cov` over `dt_s` seconds in place, with `q` and `tau` (M); see `kalman.propagate`."""
    for m in range(mean.shape[1]):
        a, b, q_xx, q_xv, q_vv = transition(dt_s, q[m], tau[m])
        for x in range(2):
            v = x + 2
            mean[x, m] += b * mean[v, m]
            mean[v, m] *= a
        for x in range(2):
            v = x + 2
            for j in range(4):
                cov[x, j, m] += b * cov[v, j, m]
                cov[v, j, m] *= a
        for x in range(2):
            v = x + 2
            for i in range(4):
                cov[i, x, m] += b * cov[i, v, m]
                cov[i, v, m] *= a
        for x in range(2):
            v = x + 2
            cov[x, x, m] += q_xx
            cov[v, v, m] += q_vv
            cov[x, v, m] += q_xv
            cov[v, x, m] += q_xv


@numba.njit(cache=True, error_model="numpy")
def innovation(  # type: ignore[no-untyped-def]
    xy, s, confidence, min_confidence, gain, floor, known, last_seen_ns, oldest_ns, mean, cov, gate,
    r, seen, update, e, p, factor,
):  # fmt: skip
    """Noise, innovation and inflation of every measurement.

    In: positions `xy` (M, 2), covariances `s` (M, 2, 2), `confidence` (M). Out: `r` (3, M), the identity
    where a measurement does not count as `seen` (M); `update` (M), where it updates a track that was seen
    since `oldest_ns`; innovation `e` (2, M), 0 elsewhere; `p` (3, M) of the position; `factor` (M) of R at
    which the measurement lies on the gate, 1 within it.
    """
    for m in range(len(xy)):
        x, y = xy[m, 0], xy[m, 1]
        xx, xy_, yy = gain[m] * s[m, 0, 0] + floor[m], gain[m] * s[m, 0, 1], gain[m] * s[m, 1, 1] + floor[m]
        area = xx * yy - xy_ * xy_
        seen[m] = confidence[m] >= min_confidence and xx > 0.0 and 0.0 < area < np.inf and np.isfinite(x + y)
        if not seen[m]:
            xx, xy_, yy = 1.0, 0.0, 1.0
        r[0, m], r[1, m], r[2, m] = xx, xy_, yy
        p[0, m], p[1, m], p[2, m] = cov[0, 0, m], cov[0, 1, m], cov[1, 1, m]
        update[m] = seen[m] and known[m] and last_seen_ns[m] >= oldest_ns
        e[0, m] = x - mean[0, m] if update[m] else 0.0
        e[1, m] = y - mean[1, m] if update[m] else 0.0
        factor[m] = inflation(e[:, m], p[:, m], r[:, m], gate) if update[m] else 1.0


@numba.njit(cache=True, error_model="numpy")
def associate(  # type: ignore[no-untyped-def]
    xy, mean, p, r, factor, update, keypoints, gate, swapped, used, outside_gate, inside_gate,
):  # fmt: skip
    """Which measurements are to be used, and how each is taken; how many are swapped.

    `swapped` (M) are measurements that lie beyond their own gate and within each other's, of one individual
    (`keypoints` each), as left and right do. They are not used and not handed to each other either: a track
    that takes what the network calls by another name could never be corrected by it again. If it goes on, the
    tracks restart. `outside_gate` is what was doubted, `inside_gate` what was not.
    """
    swapped[:] = False
    for i in range(len(xy)):
        if factor[i] <= 1.0:
            continue
        last = (i // keypoints + 1) * keypoints
        for j in range(i + 1, last):
            if factor[j] > 1.0 and _fits(i, j, xy, mean, p, r, gate) and _fits(j, i, xy, mean, p, r, gate):
                swapped[i] = swapped[j] = True
    count = 0
    for m in range(len(xy)):
        outside = factor[m] > 1.0
        used[m] = update[m] and not swapped[m]
        outside_gate[m] = outside or swapped[m]
        inside_gate[m] = used[m] and not outside
        count += swapped[m]
    return count


@numba.njit(cache=True, error_model="numpy")
def _fits(track, measurement, xy, mean, p, r, gate):  # type: ignore[no-untyped-def]
    """Whether a measurement lies within a track's gate."""
    x, y = xy[measurement, 0] - mean[0, track], xy[measurement, 1] - mean[1, track]
    xx, xy_, yy = (
        p[0, track] + r[0, measurement],
        p[1, track] + r[1, measurement],
        p[2, track] + r[2, measurement],
    )
    return (yy * x - 2.0 * xy_ * y) * x + xx * y * y < gate * (xx * yy - xy_ * xy_)


@numba.njit(cache=True, error_model="numpy")
def inflation(e, p, r, gate):  # type: ignore[no-untyped-def]
    """See `kalman.inflation`: one measurement's factor."""
    xx, xy, yy = p[0] + r[0], p[1] + r[1], p[2] + r[2]
    if _adjugate_form(xx, xy, yy, e) <= gate * (xx * yy - xy * xy):
        return 1.0
    mixed = p[0] * r[2] + p[2] * r[0] - 2.0 * p[1] * r[1]
    qa = gate * (r[0] * r[2] - r[1] * r[1])
    qb = gate * mixed - _adjugate_form(r[0], r[1], r[2], e)
    qc = gate * (p[0] * p[2] - p[1] * p[1]) - _adjugate_form(p[0], p[1], p[2], e)
    root = (-qb + np.sqrt(max(qb * qb - 4.0 * qa * qc, 0.0))) / (2.0 * qa)
    return max(root, 1.0)


@numba.njit(cache=True, error_model="numpy")
def _adjugate_form(xx, xy, yy, e):  # type: ignore[no-untyped-def]
    return (yy * e[0] - 2.0 * xy * e[1]) * e[0] + xx * e[1] * e[1]


@numba.njit(cache=True, error_model="numpy")
def correct(mean, cov, e, p, r, factor, used):  # type: ignore[no-untyped-def]
    """Kalman update in place where `used` (M), with noise `factor` * `r`; covariances made symmetric.

    Each time and everywhere: an asymmetry feeds on itself.
    """
    column_x, column_y = np.empty(4), np.empty(4)
    for m in range(mean.shape[1]):
        if used[m]:
            xx, xy = p[0, m] + factor[m] * r[0, m], p[1, m] + factor[m] * r[1, m]
            yy = p[2, m] + factor[m] * r[2, m]
            weight = 1.0 / (xx * yy - xy * xy)
            for i in range(4):
                column_x[i], column_y[i] = cov[0, i, m], cov[1, i, m]
            for i in range(4):
                gain_x = (cov[i, 0, m] * yy - cov[i, 1, m] * xy) * weight
                gain_y = (cov[i, 1, m] * xx - cov[i, 0, m] * xy) * weight
                mean[i, m] += gain_x * e[0, m] + gain_y * e[1, m]
                for j in range(4):
                    cov[i, j, m] -= gain_x * column_x[j] + gain_y * column_y[j]
        for i in range(4):
            for j in range(i):
                half = 0.5 * (cov[i, j, m] + cov[j, i, m])
                cov[i, j, m] = cov[j, i, m] = half


@numba.njit(cache=True, error_model="numpy")
def update_status(outside_gate, inside_gate, seen, update, gated, last_seen_ns, t_ns, patience, start):  # type: ignore[no-untyped-def]
    """Count doubts and sights; `start` (M) where a track begins (anew), and whether any does.

    `outside_gate` (M) was doubted, `inside_gate` (M) was not: a measurement that was doubted is not yet a
    sight of the keypoint, it may be another thing.
    """
    any_start = False
    for m in range(len(gated)):
        gated[m] = 0 if inside_gate[m] else gated[m] + outside_gate[m]
        start[m] = (seen[m] and not update[m]) or gated[m] >= patience
        if inside_gate[m] or start[m]:
            last_seen_ns[m] = t_ns
        any_start = any_start or start[m]
    return any_start


@numba.njit(cache=True, error_model="numpy")
def write_track(  # type: ignore[no-untyped-def]
    mean, cov, bias, known, last_seen_ns, t_ns, lost_ns, xy, velocity, published, seen_ms_ago, lost,
):  # fmt: skip
    """What is said of each keypoint: NaN of one never seen; the covariance (M, 4, 4) with the `bias`."""
    for m in range(mean.shape[1]):
        lost[m] = not known[m] or t_ns - last_seen_ns[m] > lost_ns
        if not known[m]:
            xy[m], velocity[m], published[m], seen_ms_ago[m] = np.nan, np.nan, np.nan, np.nan
            continue
        xy[m, 0], xy[m, 1] = mean[0, m], mean[1, m]
        velocity[m, 0], velocity[m, 1] = mean[2, m], mean[3, m]
        for i in range(4):
            for j in range(4):
                published[m, i, j] = cov[i, j, m]
        for i in range(2):
            for j in range(2):
                published[m, i, j] += bias[m, i, j]
        seen_ms_ago[m] = (t_ns - last_seen_ns[m]) / 1e6
