"""Zones and measures of a session as its `meta` describes them; no Qt in here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from rt_pose.config.rules import GeometryConfig
from rt_pose.errors import UserError
from rt_pose.rules import placed_zones
from rt_pose.rules.geometry import Geometry, make_geometry
from rt_pose.rules.placed_zones import Corners
from rt_pose.rules.zones import Zone
from rt_pose.viewer.messages import Meta


def geometry_configs(meta: Meta) -> dict[str, GeometryConfig]:
    """Read the measures of the cameras.

    Parameters
    ----------
    meta
        The session's description.

    Returns
    -------
    dict[str, GeometryConfig]
        By camera; those that this program cannot read are left out.
    """
    found = {}
    for camera, plain in meta.geometry.items():
        try:
            found[camera] = msgspec.convert(plain, GeometryConfig)
        except msgspec.ValidationError:
            continue
    return found


def camera_geometry(meta: Meta, camera: str) -> Geometry | None:
    """Make the geometry of a camera.

    Parameters
    ----------
    meta
        The session's description.
    camera
        Name of the camera.

    Returns
    -------
    Geometry | None
        From its px to mm; None where it has none, or one that this program cannot read.
    """
    config = geometry_configs(meta).get(camera)
    if config is None:
        return None
    try:
        return make_geometry(config, "meta").one_sided()
    except UserError:
        return None


def place_zones(meta: Meta, camera: str) -> dict[str, tuple[Zone, Corners]]:
    """Place the zones of a session on the picture of a camera.

    Parameters
    ----------
    meta
        The session's description.
    camera
        Name of the camera.

    Returns
    -------
    dict[str, tuple[Zone, Corners]]
        See `rt_pose.rules.placed_zones.place_zones`.
    """
    return placed_zones.place_zones(meta.zones, camera_geometry(meta, camera))


def zones_of_rules(meta: Meta) -> dict[str, list[str]]:
    """Find the zones that each rule names.

    Parameters
    ----------
    meta
        The session's description.

    Returns
    -------
    dict[str, list[str]]
        Names of zones by rule.
    """
    rules: Any = meta.config.get("rules") or []
    named = {}
    for rule in rules:
        if isinstance(rule, dict) and isinstance(rule.get("name"), str):
            words = names_in(_texts(rule))
            named[rule["name"]] = [zone for zone in meta.zones if zone in words]
    return named


def names_in(texts: Iterable[str]) -> set[str]:
    """Collect the words of conditions, among which the names of zones are.

    Parameters
    ----------
    texts
        Conditions as written.

    Returns
    -------
    set[str]
        The words.
    """
    return {word for text in texts for word in re.findall(r"[\w.-]+", text)}


def _texts(rule: dict[str, Any]) -> list[str]:
    """What may name a zone: the condition, and the target of light that is aimed."""
    action = rule.get("do")
    aim = action.get("aim") if isinstance(action, dict) else None
    texts = [rule.get("when"), aim.get("target") if isinstance(aim, dict) else None]
    return [text for text in texts if isinstance(text, str)]
