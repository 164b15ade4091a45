"""Zones in space as lines on the pane; no Qt in here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.rules.zones_in_space import Cuboid, SpatialZone, Sphere, make_zones_in_space
from rt_pose.types import FloatArray
from rt_pose.viewer.orthographic import Projection

_TURN = np.linspace(0.0, 2.0 * np.pi, 49)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=-1)
POINT_SHARE = 0.04
"""Half of the cross that stands for a point, of the radius of the floor."""


def zones_in_space(zones: Mapping[str, ZoneConfig]) -> dict[str, SpatialZone]:
    """Make the zones of a session that are in space.

    Parameters
    ----------
    zones
        All of its zones.

    Returns
    -------
    dict[str, SpatialZone]
        By name; those that this program cannot read are left out.
    """
    found: dict[str, SpatialZone] = {}
    for name, config in zones.items():
        try:
            found |= make_zones_in_space({name: config}, "meta")
        except UserError:
            continue
    return found


def zone_lines(zone: SpatialZone, projection: Projection, radius: float) -> FloatArray:
    """Draw a zone.

    Parameters
    ----------
    zone
        The zone.
    projection
        The direction in which it is looked at.
    radius
        Of the floor.

    Returns
    -------
    FloatArray
        (2 L, 2): L lines, by their ends.
    """
    if isinstance(zone, Sphere):  # is a circle from everywhere
        rim = projection.project(np.array(zone.centre)) + zone.radius * _CIRCLE
        return np.repeat(rim, 2, axis=0)[1:-1]
    if isinstance(zone, Cuboid):
        return projection.project(_edges(np.array(zone.low), np.array(zone.high)))
    arms = POINT_SHARE * radius * np.eye(3)
    centre = np.array(zone.centre)
    return projection.project(np.stack([centre - arms, centre + arms], axis=1).reshape(-1, 3))


def _edges(low: FloatArray, high: FloatArray) -> FloatArray:
    """(24, 3): the twelve edges of a box, by their ends."""
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    pairs = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(corners[a] - corners[b]).sum() == 1]
    places = np.where(corners == 0, low, high)
    edges: FloatArray = places[np.array(pairs).ravel()]
    return edges
