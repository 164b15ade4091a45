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

from rt_pose.tracking.kalman import MOST_PX, MOST_PX2, SERIES_BELOW


@numba.njit(cache=True, error_model="numpy")
def transition(dt_s, q, tau):  # type: ignore[no-untyped-def]
    """Discretise the model of one keypoint; see `kalman.transition`.

    Parameters
    ----------
    dt_s
        Time step, s.
    q
        Strength of the velocity's noise, px^2/s^3.
    tau
        Time constant of the velocity, s.

    Returns
    -------
    tuple of float
        a, b, q_xx, q_xv, q_vv.
    """
    u = dt_s / tau
    lost = math.expm1(-u)
    # expm1(-2 u), from expm1(-u).
    twice = lost * (lost + 2.0)
    if u < SERIES_BELOW:
        noise = u * u * u * (1 / 3 - u * (1 / 4 - u * (7 / 60 - u * (1 / 24 - u * (31 / 2520)))))
    else:
        noise = u + 2.0 * lost - 0.5 * twice
    qt = q * tau
    return 1.0 + lost, -tau * lost, qt * tau * tau * noise, 0.5 * qt * tau * lost * lost, -0.5 * qt * twice


@numba.njit(cache=True, error_model="numpy")
def advance(mean, cov, dt_s, q, tau):  # type: ignore[no-untyped-def]
    """Carry means and covariances over a time step, in place; see `kalman.propagate`.

    Parameters
    ----------
    mean
        (4, M) px and px/s.
    cov
        (4, 4, M).
    dt_s
        Time step, s.
    q
        Strength of the velocity's noise, (M,) px^2/s^3.
    tau
        Time constant of the velocity, (M,) s.
    """
    for m in range(mean.shape[1]):
        a, b, q_xx, q_xv, q_vv = transition(dt_s, q[m], tau[m])
        # Mean: x' = x + b v, v' = a v.
        for x in range(2):
            v = x + 2
            mean[x, m] += b * mean[v, m]
            mean[v, m] *= a
        # Covariance F P F': the rows first,
        for x in range(2):
            v = x + 2
            for j in range(4):
                cov[x, j, m] += b * cov[v, j, m]
                cov[v, j, m] *= a
        # then the columns,
        for x in range(2):
            v = x + 2
            for i in range(4):
                cov[i, x, m] += b * cov[i, v, m]
                cov[i, v, m] *= a
        # and the process noise.
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
    """Compute noise, innovation and inflation of every measurement.

    Parameters
    ----------
    xy
        Measured positions, (M, 2) px.
    s
        Their covariances as decoded, (M, 2, 2) px^2.
    confidence
        (M,) 0..1.
    min_confidence
        Below it a keypoint counts as not seen.
    gain, floor
        (M,) each: R = gain * S + floor * I.
    known
        (M,) whether the keypoint has a track.
    last_seen_ns
        (M,) time of the last sight, ns.
    oldest_ns
        A track that was last seen before this time is not updated.
    mean, cov
        Predicted state (4, M) and covariance (4, 4, M).
    gate
        Chi-square gate.
    r
        Written: (3, M) noise R; the identity where a measurement does not count as seen.
    seen
        Written: (M,) whether the measurement counts as seen.
    update
        Written: (M,) whether it updates a track that was seen since `oldest_ns`.
    e
        Written: (2, M) innovation, 0 where nothing is updated.
    p
        Written: (3, M) covariance of the predicted position.
    factor
        Written: (M,) factor of R at which the measurement lies on the gate, 1 within it.
    """
    for m in range(len(xy)):
        x, y = xy[m, 0], xy[m, 1]
        # R = gain * S + floor * I, usable only where it is positive definite; see `MOST_PX`.
        xx, xy_, yy = gain[m] * s[m, 0, 0] + floor[m], gain[m] * s[m, 0, 1], gain[m] * s[m, 1, 1] + floor[m]
        area = xx * yy - xy_ * xy_
        sound = 0.0 < xx < MOST_PX2 and yy < MOST_PX2 and area > 0.0 and abs(x) < MOST_PX and abs(y) < MOST_PX
        seen[m] = sound and confidence[m] >= min_confidence
        if not seen[m]:
            xx, xy_, yy = 1.0, 0.0, 1.0
        # Noise, and the covariance of the predicted position.
        r[0, m], r[1, m], r[2, m] = xx, xy_, yy
        p[0, m], p[1, m], p[2, m] = cov[0, 0, m], cov[0, 1, m], cov[1, 1, m]
        # Innovation and inflation, only where a living track is updated.
        update[m] = seen[m] and known[m] and last_seen_ns[m] >= oldest_ns
        e[0, m] = x - mean[0, m] if update[m] else 0.0
        e[1, m] = y - mean[1, m] if update[m] else 0.0
        factor[m] = inflation(e[:, m], p[:, m], r[:, m], gate) if update[m] else 1.0


@numba.njit(cache=True, error_model="numpy")
def associate(  # type: ignore[no-untyped-def]
    xy, mean, p, r, factor, update, keypoints, gate, swapped, used, outside_gate, inside_gate,
):  # fmt: skip
    """Decide which measurements are used, and which lie outside their gate.

    Swapped measurements lie outside their own gate and within each other's, in one individual, as left and
    right do. They are not used, and not exchanged either: a track that follows what the network calls by
    another name could never be corrected by it again. If it goes on, the tracks restart.

    Parameters
    ----------
    xy
        Measured positions, (M, 2) px.
    mean
        Predicted state, (4, M).
    p, r
        Covariances of the predicted position and of the measurement, (3, M).
    factor, update
        (M,) as of `innovation`.
    keypoints
        K of one individual; M is a multiple of it.
    gate
        Chi-square gate.
    swapped
        Written: (M,) whether the measurement is swapped with another.
    used
        Written: (M,) whether the measurement updates its track.
    outside_gate
        Written: (M,) whether it lies outside its gate or is swapped.
    inside_gate
        Written: (M,) whether it is used and lies inside its gate.

    Returns
    -------
    int
        How many measurements are swapped.
    """
    # Pairs of one individual that fit each other's track and not their own.
    swapped[:] = False
    for i in range(len(xy)):
        if factor[i] <= 1.0:
            continue
        last = (i // keypoints + 1) * keypoints
        for j in range(i + 1, last):
            if factor[j] > 1.0 and _fits(i, j, xy, mean, p, r, gate) and _fits(j, i, xy, mean, p, r, gate):
                swapped[i] = swapped[j] = True
    # What follows for each measurement.
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
    """Compute one measurement's factor of R; see `kalman.inflation`.

    Parameters
    ----------
    e
        Innovation, (2,) px.
    p, r
        Covariances of the predicted position and of the measurement, (3,) px^2.
    gate
        Chi-square gate.

    Returns
    -------
    float
        The factor at which the measurement lies on the gate, 1 within it.
    """
    # Inside the gate under P + R: nothing to inflate.
    xx, xy, yy = p[0] + r[0], p[1] + r[1], p[2] + r[2]
    if _adjugate_form(xx, xy, yy, e) <= gate * (xx * yy - xy * xy):
        return 1.0
    # Coefficients of the quadratic gate det(P + f R) = e' adj(P + f R) e; the larger root f.
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
    """Apply the Kalman update, in place, and make the covariances symmetric.

    They are made symmetric at each step and everywhere: an asymmetry feeds on itself.

    Parameters
    ----------
    mean, cov
        State (4, M) and covariance (4, 4, M).
    e
        Innovation, (2, M) px.
    p, r
        Covariances of the predicted position and of the measurement, (3, M) px^2.
    factor
        (M,) factor of `r`.
    used
        (M,) where to update.
    """
    column_x, column_y = np.empty(4), np.empty(4)
    for m in range(mean.shape[1]):
        if used[m]:
            xx, xy = p[0, m] + factor[m] * r[0, m], p[1, m] + factor[m] * r[1, m]
            yy = p[2, m] + factor[m] * r[2, m]
            # S = P + factor R, inverted as adjugate over determinant.
            weight = 1.0 / (xx * yy - xy * xy)
            for i in range(4):
                # The position rows, kept: the update below overwrites them.
                column_x[i], column_y[i] = cov[0, i, m], cov[1, i, m]
            for i in range(4):
                # One row of the gain, then of mean and covariance.
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
    """Count measurements outside the gate, note sights, and decide which tracks restart.

    A measurement outside the gate is not yet a sight of the keypoint: it may be another thing.

    Parameters
    ----------
    outside_gate, inside_gate
        (M,) as of `associate`.
    seen, update
        (M,) as of `innovation`.
    gated
        Updated: (M,) number of measurements outside the gate in a row.
    last_seen_ns
        Updated: (M,) time of the last sight, ns.
    t_ns
        Time of the measurements, ns.
    patience
        So many measurements outside the gate in a row restart a track.
    start
        Written: (M,) where a track starts or restarts.

    Returns
    -------
    bool
        Whether any track does.
    """
    any_start = False
    for m in range(len(gated)):
        # A sight inside the gate ends a row of those outside it.
        gated[m] = 0 if inside_gate[m] else gated[m] + outside_gate[m]
        # A track starts at a first sight, or at one after too long; it restarts when patience ends.
        start[m] = (seen[m] and not update[m]) or gated[m] >= patience
        if inside_gate[m] or start[m]:
            last_seen_ns[m] = t_ns
        any_start = any_start or start[m]
    return any_start


@numba.njit(cache=True, error_model="numpy")
def write_track(  # type: ignore[no-untyped-def]
    mean, cov, bias, known, last_seen_ns, t_ns, lost_ns, xy, velocity, published, seen_ms_ago, lost,
):  # fmt: skip
    """Write what is published of each keypoint: NaN where one was never seen.

    Parameters
    ----------
    mean, cov
        State (4, M) and covariance (4, 4, M).
    bias
        Covariance added to published positions, (M, 2, 2) px^2.
    known
        (M,) whether the keypoint has a track.
    last_seen_ns
        (M,) time of the last sight, ns.
    t_ns
        Time of the newest pose, ns.
    lost_ns
        Unseen for longer, a keypoint is lost, ns.
    xy
        Written: (M, 2) px.
    velocity
        Written: (M, 2) px/s.
    published
        Written: (M, 4, 4) covariance over [x, y, vx, vy].
    seen_ms_ago
        Written: (M,) ms.
    lost
        Written: (M,).
    """
    for m in range(mean.shape[1]):
        # Lost: never seen, or not for `lost_ns`.
        lost[m] = not known[m] or t_ns - last_seen_ns[m] > lost_ns
        if not known[m]:
            xy[m], velocity[m], published[m], seen_ms_ago[m] = np.nan, np.nan, np.nan, np.nan
            continue
        # The state as it is; the bias is added to the position's covariance alone.
        xy[m, 0], xy[m, 1] = mean[0, m], mean[1, m]
        velocity[m, 0], velocity[m, 1] = mean[2, m], mean[3, m]
        for i in range(4):
            for j in range(4):
                published[m, i, j] = cov[i, j, m]
        for i in range(2):
            for j in range(2):
                published[m, i, j] += bias[m, i, j]
        seen_ms_ago[m] = (t_ns - last_seen_ns[m]) / 1e6
