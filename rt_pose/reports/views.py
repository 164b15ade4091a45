"""Groups of views in a report: what was used of each camera, and how well it fits the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from rt_pose.clock import NS_PER_S
from rt_pose.loop.latency import summary
from rt_pose.reports.render import UNKNOWN, number
from rt_pose.session.group_tracks import GroupTrack, group_tracks, individuals_in_space
from rt_pose.session.read import Session

CAMERA_HEAD = ["camera", "used", "late", "error px (median)", "P90", "n"]
"""Headings of `view_rows`."""
KEYPOINT_HEAD = ["keypoint", "placed", "seen by (mean)", "by two or more"]
"""Headings of `placed_rows`."""


def view_figures(session: Session) -> dict[str, Any]:
    """Sum up the groups of views.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Any]
        By group: unit, decided (turns), latency_ms (exposure of the newest view to decision), restarts (None
        where the log ends early), wrong (cameras that at the end did not fit the calibration) and why. Of
        each of `cameras`: used, late, and median, P90 and n of the reprojection errors (px, root mean square
        of a turn). Of each of `keypoints`: placed (share of the turns), views (mean) and two (share of the
        turns in which two cameras or more saw it), of several animals of each one's, `animal.keypoint`.
        `notices`: what the check said. Empty of a session without
        groups.
    """
    return {name: _group(session, name) for name in session.info.views}


def _group(session: Session, name: str) -> dict[str, Any]:
    info, turns = session.info.views[name], group_tracks(session, name)
    ended = _last_counts(session).get(name, {})
    start_ns = session.frames[0].stamps.t_arrival_ns if session.frames else 0
    return {
        "unit": info.unit,
        "decided": len(turns),
        "latency_ms": summary([ms for turn in turns if (ms := turn.to_decision_ms) is not None]),
        "restarts": ended.get("restarts"),
        "wrong": ended.get("wrong", []),
        "why": ended.get("why", ""),
        "cameras": _cameras(session, name, turns),
        "keypoints": _keypoints(_names(session, name), turns),
        "notices": [
            {"t_s": round((one.t_ns - start_ns) / NS_PER_S, 3), "text": one.text}
            for one in session.notices
            if one.source == "views" and one.output == name
        ],
    }


def _last_counts(session: Session) -> dict[str, Any]:
    """The loop's last words, or, of a session that was cut, its last `stats`."""
    newest = session.stats[-1].stats if session.stats else {}
    found = (session.end.counts if session.end else newest).get("views")
    return found if isinstance(found, dict) else {}


def _cameras(session: Session, name: str, turns: list[GroupTrack]) -> dict[str, dict[str, Any]]:
    camera_of = {one.seq: one.camera for one in session.observations}
    groups = [one for one in session.groups if one.group == name]
    used = Counter(camera_of.get(seq, "") for one in groups for seq in one.used)
    late = Counter(camera_of.get(seq, "") for one in groups for seq in one.late)
    found = {}
    for v, camera in enumerate(session.info.views[name].cameras):
        errors = [turn.track.error_px[v] for turn in turns if v < len(turn.track.error_px)]
        known = np.array([px for px in errors if px is not None], np.float64)
        median, p90 = np.percentile(known, [50, 90]) if known.size else (None, None)
        found[camera] = {
            "used": used[camera],
            "late": late[camera],
            "median_px": None if median is None else round(float(median), 3),
            "p90_px": None if p90 is None else round(float(p90), 3),
            "n": int(known.size),
        }
    return found


def _names(session: Session, group: str) -> list[str]:
    """Of the keypoints of all animals, slot by slot; with the animal's name where there are several."""
    keypoints = session.info.views[group].keypoints
    animals = individuals_in_space(session, group)
    return [f"{animal}.{name}" for animal in animals for name in keypoints] or keypoints


def _keypoints(names: list[str], turns: list[GroupTrack]) -> dict[str, dict[str, Any]]:
    if not turns:
        return {}
    placed = ~np.array([turn.track.lost for turn in turns], bool)
    views = np.array([turn.track.views for turn in turns], np.float64)
    return {
        name: {
            "placed": round(float(placed[:, k].mean()), 4),
            "views": round(float(views[:, k].mean()), 3),
            "two": round(float((views[:, k] >= 2).mean()), 4),
        }
        for k, name in enumerate(names)
    }


def view_rows(found: dict[str, Any]) -> Iterator[list[str]]:
    """Tabulate the cameras of a group for the page.

    Parameters
    ----------
    found
        The group, as of `view_figures`.

    Yields
    ------
    list[str]
        A row a camera, as `CAMERA_HEAD` says.
    """
    for name, one in found["cameras"].items():
        errors = [number(one[key], ".2f") for key in ("median_px", "p90_px")]
        yield [name, f"{one['used']:,}", f"{one['late']:,}", *errors, f"{one['n']:,}"]


def placed_rows(found: dict[str, Any]) -> Iterator[list[str]]:
    """Tabulate the keypoints of a group for the page.

    Parameters
    ----------
    found
        The group, as of `view_figures`.

    Yields
    ------
    list[str]
        A row a keypoint, as `KEYPOINT_HEAD` says.
    """
    for name, one in found["keypoints"].items():
        yield [name, f"{100 * one['placed']:.1f} %", f"{one['views']:.1f}", f"{100 * one['two']:.1f} %"]


def view_lines(figures: dict[str, Any]) -> Iterator[str]:
    """Format the groups for the terminal.

    Parameters
    ----------
    figures
        As of `view_figures`.

    Yields
    ------
    str
        A line a group.
    """
    for name, found in figures.items():
        cameras = found["cameras"]
        errors = ", ".join(
            f"{camera} {UNKNOWN if one['median_px'] is None else format(one['median_px'], '.1f')}"
            for camera, one in cameras.items()
        )
        late = sum(one["late"] for one in cameras.values())
        yield f"views {name}: {found['decided']} decided in space, late {late}; error, px: {errors}"
        if found["wrong"]:
            yield f"WRONG CALIBRATION, views {name}: {', '.join(found['wrong'])}: {found['why']}"
