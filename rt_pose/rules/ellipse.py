"""Whether an ellipse of probability lies wholly inside a region: exact tests of plain numbers.

The p % ellipse of a Gaussian position holds the position with a probability of p; its squared Mahalanobis
radius is the quantile of the chi-square distribution of two degrees, -2 ln(1 - p). Where the covariance
becomes the unit circle (the whitened frame), straight edges stay straight. So the ellipse is inside a polygon
where its centre is and no edge comes nearer to the origin of that frame than the ellipse's radius. A disc is
convex: it holds the ellipse where it holds the ellipse's furthest point, which the dual of that maximisation
gives without a search among points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rt_pose.rules.zones import Area, Circle, Polygon

Place = tuple[float, float]
Covariance = tuple[float, float, float]
"""Variance of x, covariance, variance of y."""
BISECTIONS = 200
"""Each halves an interval of doubles, so that fewer end at two neighbouring numbers."""


def squared_radius(probability: float) -> float:
    """Compute the squared Mahalanobis radius of an ellipse of probability.

    Parameters
    ----------
    probability
        Of a position within it, from 0 to below 1.

    Returns
    -------
    float
        The radius squared, in standard deviations squared; 0 is the centre alone.
    """
    return -2.0 * math.log1p(-probability)


def ellipse_inside(centre: Place, cov: Covariance, radius2: float, area: Area) -> bool:
    """Check whether an ellipse lies wholly inside a zone.

    Parameters
    ----------
    centre
        Its centre, in the zone's unit.
    cov
        Covariance, in that unit squared.
    radius2
        Squared Mahalanobis radius, see `squared_radius`.
    area
        The zone.

    Returns
    -------
    bool
        Whether it does; a covariance that is none (NaN, not positive definite) is never inside, unless the
        ellipse is its centre alone.
    """
    if isinstance(area, Circle):
        return inside_circle((centre[0] - area.x, centre[1] - area.y), cov, radius2, area.radius)
    even_odd = area if isinstance(area, Polygon) else Polygon(tuple(area.outline()))
    return inside_polygon(centre, cov, radius2, even_odd.corners)


def inside_polygon(centre: Place, cov: Covariance, radius2: float, corners: Sequence[Place]) -> bool:
    """Check whether an ellipse lies wholly inside a polygon, which need not be convex.

    Parameters
    ----------
    centre
        Its centre.
    cov
        Covariance.
    radius2
        Squared Mahalanobis radius.
    corners
        The closed outline; where it crosses itself, inside is by the even-odd rule.

    Returns
    -------
    bool
        Whether it does; see `ellipse_inside`.
    """
    if not math.isfinite(centre[0] + centre[1]) or not _contains(corners, centre):
        return False
    if radius2 == 0.0:
        return True
    white = _whitener(cov)
    if white is None:
        return False
    a, b, c = white
    around = [(a * (x - centre[0]), b * (x - centre[0]) + c * (y - centre[1])) for x, y in corners]
    return all(
        _squared_distance(p, q) >= radius2 for p, q in zip(around, [*around[1:], around[0]], strict=True)
    )


def inside_circle(offset: Place, cov: Covariance, radius2: float, radius: float) -> bool:
    """Check whether an ellipse lies wholly inside a circle.

    Parameters
    ----------
    offset
        Of the ellipse's centre from that of the circle.
    cov
        Covariance.
    radius2
        Squared Mahalanobis radius of the ellipse.
    radius
        Of the circle.

    Returns
    -------
    bool
        Whether it does; see `ellipse_inside`.
    """
    distance2 = offset[0] * offset[0] + offset[1] * offset[1]
    if not distance2 <= radius * radius:
        return False
    if radius2 == 0.0:
        return True
    if _whitener(cov) is None:
        return False
    (long2, along), (short2, across) = _axes(cov, offset)
    slack = radius * radius - distance2
    return _furthest(long2, short2, along, across, radius2) <= slack


def _furthest(long2: float, short2: float, along: float, across: float, radius2: float) -> float:
    """By how much the squared distance of the ellipse's furthest point exceeds that of its centre.

    It is the least over t >= 0 of (long2 + t) r^2 + g1 / t + g2 / (t + long2 - short2), where g is the
    variance times the squared offset, on the two axes: convex in t, so that bisecting its slope finds it.
    """
    g1, g2, gap = long2 * along * along, short2 * across * across, long2 - short2
    low, high = 0.0, math.sqrt((g1 + g2) / radius2)
    for _ in range(BISECTIONS):
        t = 0.5 * (low + high)
        if not low < t < high:
            break
        slope = radius2 - _over(g1, t * t) - _over(g2, (t + gap) ** 2)
        low, high = (low, t) if slope >= 0.0 else (t, high)
    return (long2 + high) * radius2 + _over(g1, high) + _over(g2, high + gap)


def _over(part: float, whole: float) -> float:
    """A quotient; 0 where there is no part, whatever the whole: its limit on an axis without an offset."""
    if part == 0.0:
        return 0.0
    return part / whole if whole > 0.0 else math.inf


def _axes(cov: Covariance, offset: Place) -> tuple[Place, Place]:
    """(variance, part of the offset) along the ellipse's long and its short axis."""
    xx, xy, yy = cov
    turn = 0.5 * math.atan2(2.0 * xy, xx - yy)
    cos, sin = math.cos(turn), math.sin(turn)
    half, apart = 0.5 * (xx + yy), math.hypot(0.5 * (xx - yy), xy)
    along, across = cos * offset[0] + sin * offset[1], cos * offset[1] - sin * offset[0]
    return (half + apart, along), (max(half - apart, 0.0), across)


def _whitener(cov: Covariance) -> tuple[float, float, float] | None:
    """The lower triangle (a, b, c) that makes the covariance a unit circle; None where there is none."""
    xx, xy, yy = cov
    det = xx * yy - xy * xy
    if not (xx > 0.0 and det > 0.0 and math.isfinite(det)):
        return None
    a, c = 1.0 / math.sqrt(xx), math.sqrt(xx / det)
    return a, -xy / xx * c, c


def _squared_distance(p: Place, q: Place) -> float:
    """Of the segment from p to q from the origin."""
    ex, ey = q[0] - p[0], q[1] - p[1]
    length2 = ex * ex + ey * ey
    share = 0.0 if length2 == 0.0 else min(max(-(p[0] * ex + p[1] * ey) / length2, 0.0), 1.0)
    x, y = p[0] + share * ex, p[1] + share * ey
    return x * x + y * y


def _contains(corners: Sequence[Place], place: Place) -> bool:
    """Whether a place is inside, by how often a ray to its right meets the outline."""
    x, y = place
    within = False
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y < ay) != (y < by) and x - ax < (y - ay) * (bx - ax) / (by - ay):
            within = not within
    return within
