"""How well a whole pose fits a predicted individual, as a likelihood ratio; compiled.

The errors of the keypoints of one prediction are not independent: a body that was not where it was predicted
is not there with all its parts. So a prediction's covariance is split into three shares: the body shifted as
a whole, the body turned about its middle, and each keypoint by itself. The first two are one 3 x 3 covariance
for all keypoints, and the Mahalanobis distance of the whole pose follows from it by Woodbury's identity.

Animals dart: now and then a body is much further from its prediction than the filter's Gaussian allows. The
density is a mixture of two, of the covariance as it is and of a wider one.

A keypoint that does not fit where most of the others do (it was found on another animal, or taken for its
mirror image) counts as an outlier, at the price of one.

Arrays are laid out as in `causal_filter_compiled.py`: means (4, M), covariances (4, 4, M), symmetric 2x2
matrices (3, M). K keypoints of one individual are consecutive in M.
"""

from __future__ import annotations

import math

import numba
import numpy as np

SHIFTED, TURNED, OWN = 0.6, 0.3, 0.1
"""Shares of a predicted position's covariance: the body shifted, turned, and the keypoint by itself."""
WIDE, WIDE_SHARE = 16.0, 0.05
"""Factor of the wider covariance, and how often a body moves so."""
FAR_CHI2 = 30.0
"""A keypoint further than this from its prediction does not fit, even under the wider covariance."""
OUTLIER_CHI2 = 16.0
"""A keypoint further than this from the pose shifted and turned as a whole is an outlier."""
LOG_OUTLIER = math.log(0.05)
"""The price of an outlier: the logarithm of how often a keypoint is one."""
FLEXIBLE = 0.1
"""Largest variance of a keypoint by itself, in squared sizes of the body: it is never unknown what a body
looks like."""
LARGEST_TURN = 3.3
"""Largest variance of a turn, rad^2: no direction is known any more."""
LINEAR_UP_TO = 0.3
"""Turns up to this angle are taken for small ones, rad."""
LOG_2PI = math.log(2.0 * math.pi)


@numba.njit(cache=True, error_model="numpy")
def measure(xy, s, confidence, min_confidence, gain, floor, r, seen, log_spread):  # type: ignore[no-untyped-def]
    """Find the noise of every measurement of the detections, and how wide each detection is.

    Parameters
    ----------
    xy
        Measured positions, (D, K, 2) px.
    s
        Their covariances as decoded, (D, K, 2, 2) px^2.
    confidence
        (D, K) 0..1.
    min_confidence
        Below it a keypoint counts as not seen.
    gain, floor
        (K,) each: R = gain * S + floor * I.
    r
        Written: (D, 3, K) noise R.
    seen
        Written: (D, K) whether the measurement counts as seen.
    log_spread
        Written: (D,) logarithm of the area (px^2) over which the keypoints of a detection that is no
        individual's are spread about its middle.
    """
    for d in range(len(xy)):
        count, x_sum, y_sum, squares = 0, 0.0, 0.0, 0.0
        for k in range(xy.shape[1]):
            x, y = xy[d, k, 0], xy[d, k, 1]
            xx, xy_ = gain[k] * s[d, k, 0, 0] + floor[k], gain[k] * s[d, k, 0, 1]
            yy = gain[k] * s[d, k, 1, 1] + floor[k]
            area = xx * yy - xy_ * xy_
            seen[d, k] = (
                confidence[d, k] >= min_confidence and xx > 0.0 and 0.0 < area < np.inf and np.isfinite(x + y)
            )
            if not seen[d, k]:
                r[d, 0, k], r[d, 1, k], r[d, 2, k] = 1.0, 0.0, 1.0
                continue
            r[d, 0, k], r[d, 1, k], r[d, 2, k] = xx, xy_, yy
            count += 1
            x_sum += x
            y_sum += y
            squares += x * x + y * y
        variance = 1.0
        if count > 0:
            variance = 0.5 * (squares / count - (x_sum * x_sum + y_sum * y_sum) / (count * count))
        # The entropy of a Gaussian is that of an even distribution over 2 pi e times its variance.
        log_spread[d] = LOG_2PI + 1.0 + math.log(max(variance, 1.0))


@numba.njit(cache=True, error_model="numpy")
def log_ratio(mean, cov, known, first, z, r, seen, log_area, log_spread, inlier):  # type: ignore[no-untyped-def]
    """Compute how much better a detection fits a predicted individual than no individual at all.

    A detection of no individual lies anywhere in the frame, its keypoints anywhere about its middle.

    Parameters
    ----------
    mean, cov
        Predicted state (4, M) and covariance (4, 4, M).
    known
        (M,) whether the keypoint has a track.
    first
        Index of the individual's first keypoint.
    z
        Measured positions, (K, 2) px.
    r
        Their noise, (3, K) px^2.
    seen
        (K,) whether the measurement counts as seen.
    log_area
        Logarithm of the frame's area, px^2.
    log_spread
        As of `measure`.
    inlier
        Written: (K,) which keypoints fit.

    Returns
    -------
    float
        Logarithm of the ratio of the two likelihoods; -inf where most keypoints do not fit.
    """
    usable = fitting = 0
    for k in range(len(seen)):
        m = first + k
        inlier[k] = False
        if not (seen[k] and known[m]):
            continue
        usable += 1
        x, y = z[k, 0] - mean[0, m], z[k, 1] - mean[1, m]
        xx, xy = WIDE * cov[0, 0, m] + r[0, k], WIDE * cov[0, 1, m] + r[1, k]
        if _form(x, y, xx, xy, WIDE * cov[1, 1, m] + r[2, k]) < FAR_CHI2:
            inlier[k] = True
            fitting += 1
    if fitting == 0 or 3 * fitting < usable:
        return -np.inf
    wide, dropped = fit(mean, cov, WIDE, first, z, r, inlier, True)
    if dropped > 0:
        fitting -= dropped
        if fitting == 0 or 3 * fitting < usable:
            return -np.inf
        wide, _ = fit(mean, cov, WIDE, first, z, r, inlier, False)
    narrow, _ = fit(mean, cov, 1.0, first, z, r, inlier, False)
    narrow, wide = narrow + math.log(1.0 - WIDE_SHARE), wide + math.log(WIDE_SHARE)
    log_p = max(narrow, wide) + math.log1p(math.exp(-abs(narrow - wide)))
    return log_p + log_area + (fitting - 1) * log_spread + (usable - fitting) * LOG_OUTLIER


@numba.njit(cache=True, error_model="numpy")
def fit(mean, cov, scale, first, z, r, inlier, drop):  # type: ignore[no-untyped-def]
    """Compute the logarithm of the density of a pose, and drop keypoints that are outliers.

    Parameters
    ----------
    mean, cov, first, z, r
        As of `log_ratio`.
    scale
        Factor of `cov`.
    inlier
        (K,) which keypoints count, at least one; where `drop` is set, outliers are struck out.
    drop
        Whether to strike out outliers.

    Returns
    -------
    tuple of float and int
        Logarithm of the density of the keypoints that counted (px^-2 each), and how many were struck out.
    """
    n, x_mid, y_mid, p_xx, p_xy, p_yy, size2 = _middle(mean, cov, first, inlier)
    shifted = scale * SHIFTED
    own = min(scale * OWN, 2.0 * FLEXIBLE * size2 / (p_xx + p_yy))
    turn = min(scale * TURNED * (p_xx + p_yy) / max(size2, 1.0), LARGEST_TURN)

    # The precision (a00 .. a22) of shift and turn: of their prior, then with every keypoint's.
    c_xx, c_xy, c_yy = shifted * p_xx, shifted * p_xy, shifted * p_yy
    c = c_xx * c_yy - c_xy * c_xy
    a00, a01, a11, a02, a12, a22 = c_yy / c, -c_xy / c, c_xx / c, 0.0, 0.0, 1.0 / turn
    log_det = math.log(c) + math.log(turn)
    angle = _turn_between(mean, first, z, inlier, x_mid, y_mid)
    cosine, sine = math.cos(angle), math.sin(angle)
    b0, b1, b2, distance2 = 0.0, 0.0, -angle / turn, angle * angle / turn
    for k in range(len(inlier)):
        if not inlier[k]:
            continue
        m = first + k
        x, y = mean[0, m] - x_mid, mean[1, m] - y_mid
        x, y = cosine * x - sine * y, sine * x + cosine * y
        d_xx, d_xy = own * cov[0, 0, m] + r[0, k], own * cov[0, 1, m] + r[1, k]
        d_yy = own * cov[1, 1, m] + r[2, k]
        d = d_xx * d_yy - d_xy * d_xy
        i_xx, i_xy, i_yy = d_yy / d, -d_xy / d, d_xx / d
        e_x, e_y = z[k, 0] - x_mid - x, z[k, 1] - y_mid - y
        w_x, w_y = i_xx * e_x + i_xy * e_y, i_xy * e_x + i_yy * e_y
        t_x, t_y = -y, x  # where a further turn moves the keypoint
        v_x, v_y = i_xx * t_x + i_xy * t_y, i_xy * t_x + i_yy * t_y
        log_det += math.log(d)
        distance2 += e_x * w_x + e_y * w_y
        b0 += w_x
        b1 += w_y
        b2 += t_x * w_x + t_y * w_y
        a00 += i_xx
        a01 += i_xy
        a11 += i_yy
        a02 += v_x
        a12 += v_y
        a22 += t_x * v_x + t_y * v_y

    x_shift, y_shift, turned, explained, log_det_a = _solve(a00, a01, a11, a02, a12, a22, b0, b1, b2)
    dropped = 0
    if drop:
        pose = (x_mid, y_mid, cosine, sine, x_shift, y_shift, turned)
        dropped = _drop_outliers(mean, cov, own, first, z, r, inlier, pose)
    return -0.5 * (distance2 - explained + log_det + log_det_a) - n * LOG_2PI, dropped


@numba.njit(cache=True, error_model="numpy")
def _drop_outliers(mean, cov, own, first, z, r, inlier, pose):  # type: ignore[no-untyped-def]
    """Strike out the keypoints that do not lie where the body as a whole has moved to; how many."""
    x_mid, y_mid, cosine, sine, x_shift, y_shift, turned = pose
    dropped = 0
    for k in range(len(inlier)):
        m = first + k
        if not inlier[k]:
            continue
        x, y = mean[0, m] - x_mid, mean[1, m] - y_mid
        x, y = cosine * x - sine * y, sine * x + cosine * y
        e_x, e_y = z[k, 0] - x_mid - x_shift - x + turned * y, z[k, 1] - y_mid - y_shift - y - turned * x
        d_xx, d_xy = own * cov[0, 0, m] + r[0, k], own * cov[0, 1, m] + r[1, k]
        if _form(e_x, e_y, d_xx, d_xy, own * cov[1, 1, m] + r[2, k]) > OUTLIER_CHI2:
            inlier[k] = False
            dropped += 1
    return dropped


@numba.njit(cache=True, error_model="numpy")
def _turn_between(mean, first, z, inlier, x_mid, y_mid):  # type: ignore[no-untyped-def]
    """Find by which angle (rad) a body has turned, where it is large: the density is linear about it."""
    along = across = 0.0
    for k in range(len(inlier)):
        if inlier[k]:
            x, y = mean[0, first + k] - x_mid, mean[1, first + k] - y_mid
            along += x * z[k, 0] + y * z[k, 1]
            across += x * z[k, 1] - y * z[k, 0]
    angle = math.atan2(across, along)
    return angle if abs(angle) > LINEAR_UP_TO else 0.0


@numba.njit(cache=True, error_model="numpy")
def _middle(mean, cov, first, inlier):  # type: ignore[no-untyped-def]
    """Count the inliers; their middle, mean covariance (px^2) and mean squared distance from there."""
    n, x_mid, y_mid, p_xx, p_xy, p_yy = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(len(inlier)):
        if inlier[k]:
            m = first + k
            n += 1
            x_mid += mean[0, m]
            y_mid += mean[1, m]
            p_xx += cov[0, 0, m]
            p_xy += cov[0, 1, m]
            p_yy += cov[1, 1, m]
    x_mid, y_mid, p_xx, p_xy, p_yy = x_mid / n, y_mid / n, p_xx / n, p_xy / n, p_yy / n
    size2 = 0.0
    for k in range(len(inlier)):
        if inlier[k]:
            m = first + k
            size2 += ((mean[0, m] - x_mid) ** 2 + (mean[1, m] - y_mid) ** 2) / n
    return n, x_mid, y_mid, p_xx, p_xy, p_yy, size2


@numba.njit(cache=True, error_model="numpy")
def _solve(a00, a01, a11, a02, a12, a22, b0, b1, b2):  # type: ignore[no-untyped-def]
    """Solve A u = b by Cholesky's factors: u, b' u and the logarithm of A's determinant."""
    l00 = math.sqrt(a00)
    l10, l20 = a01 / l00, a02 / l00
    l11 = math.sqrt(a11 - l10 * l10)
    l21 = (a12 - l20 * l10) / l11
    l22 = math.sqrt(a22 - l20 * l20 - l21 * l21)
    y0 = b0 / l00
    y1 = (b1 - l10 * y0) / l11
    y2 = (b2 - l20 * y0 - l21 * y1) / l22
    u2 = y2 / l22
    u1 = (y1 - l21 * u2) / l11
    u0 = (y0 - l10 * u1 - l20 * u2) / l00
    log_det = 2.0 * (math.log(l00) + math.log(l11) + math.log(l22))
    return u0, u1, u2, y0 * y0 + y1 * y1 + y2 * y2, log_det


@numba.njit(cache=True, error_model="numpy")
def _form(x, y, xx, xy, yy):  # type: ignore[no-untyped-def]
    """The squared Mahalanobis distance of (x, y) under a covariance."""
    return ((yy * x - 2.0 * xy * y) * x + xx * y * y) / (xx * yy - xy * xy)
