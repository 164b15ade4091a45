"""Zones where a camera sees them, for pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.zones import Zone, make_zones, seen_places

Corners = list[tuple[float, float]]
HEAD_SHARE, HEAD_MOST_PX = 0.2, 12.0
"""Length of a line's arrow head, of the line and at most."""


def place_zones(
    zones: Mapping[str, ZoneConfig], geometry: Geometry | None
) -> dict[str, tuple[Zone, Corners]]:
    """Place zones on the picture of a camera.

    Left out is what cannot be placed: a shape that this program does not know, a zone in mm on a camera
    without a geometry, or one that the camera cannot see.

    Parameters
    ----------
    zones
        The configured zones by name.
    geometry
        The camera's; None where it has none.

    Returns
    -------
    dict[str, tuple[Zone, Corners]]
        Each zone by name, with its outline in px of the camera's full frame.
    """
    made: dict[str, Zone] = {}
    for name, config in zones.items():
        with suppress(UserError):
            made |= make_zones({name: config}, "zones")
    geometry = None if geometry is None else geometry.one_sided(seen_places(made))
    placed = {}
    for name, zone in made.items():
        outline = zone.outline()
        if zone.metric:
            with np.errstate(all="ignore"):
                outline = [] if geometry is None else [geometry.to_px(x, y) for x, y in outline]
        if outline and np.isfinite(outline).all():
            placed[name] = (zone, outline)
    return placed


def arrow_head(start: tuple[float, float], stop: tuple[float, float]) -> Corners:
    """Compute the two ends of the strokes that make a line's head.

    Parameters
    ----------
    start, stop
        The line, px; two different places.

    Returns
    -------
    Corners
        From each a stroke goes to `stop`.
    """
    (x1, y1), (x2, y2) = start, stop
    length = math.hypot(x2 - x1, y2 - y1)
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    head = min(HEAD_SHARE * length, HEAD_MOST_PX)
    return [(x2 - head * (ux - 0.5 * s * uy), y2 - head * (uy + 0.5 * s * ux)) for s in (1.0, -1.0)]
