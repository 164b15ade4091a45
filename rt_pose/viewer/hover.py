"""What lies under the mouse on a picture, in words; no Qt in here."""

from __future__ import annotations

import math

import numpy as np

from rt_pose.rules.geometry import Geometry
from rt_pose.rules.placed_zones import Corners
from rt_pose.rules.zones import Circle, Line, Point, Polygon, Zone
from rt_pose.viewer.messages import PoseMessage


def nearest_keypoint(pose: PoseMessage, x: float, y: float, reach: float) -> tuple[int, int] | None:
    """Find the keypoint under the mouse.

    Parameters
    ----------
    pose
        What is shown.
    x, y
        Place of the mouse, px of the sensor.
    reach
        How far away a keypoint may be, px.

    Returns
    -------
    tuple[int, int] | None
        Individual and keypoint; None where none is near.
    """
    distance = np.hypot(pose.xy[..., 0] - x, pose.xy[..., 1] - y)
    distance[~np.isfinite(distance)] = np.inf
    if not distance.size or distance.min() > reach:
        return None
    who, k = np.unravel_index(int(distance.argmin()), distance.shape)
    return int(who), int(k)


def describe_keypoint(
    pose: PoseMessage, who: int, k: int, names: list[str], geometry: Geometry | None
) -> str:
    """Describe a keypoint.

    Parameters
    ----------
    pose
        What is shown.
    who, k
        Individual and keypoint.
    names
        Names of the keypoints.
    geometry
        The camera's; None where it has none.

    Returns
    -------
    str
        Name, place, speed and uncertainty, in mm where the rig knows them, and the network's confidence; of
        several individuals whose it is, and how probably.
    """
    name, header = names[k] if k < len(names) else str(k), pose.header
    whose = header.individuals[who] if header.individuals else f"individual {who}"
    if len(pose.lost) > 1:
        name = f"{whose}: {name}"
    (x, y), (vx, vy) = pose.xy[who, k].tolist(), pose.velocity[who, k].tolist()
    sxx, _, syy = pose.cov[who, k].tolist()
    unit, spread = "px", math.sqrt(max(0.5 * (sxx + syy), 0.0)) if math.isfinite(sxx + syy) else math.nan
    if geometry is not None:
        in_mm, jacobian = geometry.to_mm([x, y, vx, vy])
        if math.isfinite(in_mm[0]):  # else it lies beyond the horizon
            x, y, vx, vy = in_mm
            scale = math.sqrt(abs(float(np.linalg.det(jacobian[:2, :2]))))
            unit, spread = "mm", spread * scale
    lines = [
        f"{name} (lost)" if pose.lost[who, k] else name,
        f"{x:.1f}, {y:.1f} {unit} ± {spread:.2g} {unit}",
    ]
    lines.append(f"speed {math.hypot(vx, vy):.0f} {unit}/s")
    if pose.confidence is not None:
        lines.append(f"confidence {float(pose.confidence[who, k]):.2f}")
    if header.identity_p and (p := header.identity_p[who]) is not None:
        lines.append(f"{whose} with probability {p:.3g}")
    return "\n".join(lines)


def zone_under(placed: dict[str, tuple[Zone, Corners]], x: float, y: float, reach: float) -> str:
    """Find the zone under the mouse.

    Parameters
    ----------
    placed
        Zones with their outlines on the picture.
    x, y
        Place of the mouse, px.
    reach
        How far from a line or a point the mouse may be, px.

    Returns
    -------
    str
        Its name; empty for none.
    """
    for name, (zone, outline) in reversed(placed.items()):
        if isinstance(zone, Point | Line):
            if _distance(outline, x, y) <= reach:
                return name
        elif float(Polygon(tuple(outline)).depth(np.array([x]), np.array([y]))[0]) >= 0.0:
            return name
    return ""


def describe_zone(name: str, zone: Zone) -> str:
    """Describe a zone.

    Parameters
    ----------
    name
        Its name.
    zone
        The zone.

    Returns
    -------
    str
        Name, shape and measures in its own unit.
    """
    unit = "mm" if zone.metric else "px"
    if isinstance(zone, Circle):
        return f"{name}: circle at {zone.x:g}, {zone.y:g}, radius {zone.radius:g} {unit}"
    points = ", ".join(f"({x:.4g}, {y:.4g})" for x, y in zone.outline()[:8])
    return f"{name}: {type(zone).__name__.lower()} {points} {unit}"


def _distance(outline: Corners, x: float, y: float) -> float:
    """From a place to a point, or to the line between two."""
    (x1, y1), (x2, y2) = outline[0], outline[-1]
    ex, ey = x2 - x1, y2 - y1
    length2 = ex * ex + ey * ey
    share = 0.0 if length2 == 0.0 else min(max(((x - x1) * ex + (y - y1) * ey) / length2, 0.0), 1.0)
    return math.hypot(x - x1 - share * ex, y - y1 - share * ey)
