"""The report as one self-contained HTML page: latency, losses, events and accuracy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.certificate import Certification
from rt_pose.reports.advice import advice, drop_explanation
from rt_pose.reports.drift import drift_rows
from rt_pose.reports.events import EVENT_HEAD, event_rows
from rt_pose.reports.individuals import HEAD, individual_rows
from rt_pose.reports.pictures import CameraPictures
from rt_pose.reports.plots import (
    accuracy_bars,
    keypoint_traces,
    latency_histogram,
    latency_over_time,
    shown_keypoint,
    speed_trace,
    stage_waterfall,
)
from rt_pose.reports.render import render
from rt_pose.reports.svg_elements import keypoint_colour
from rt_pose.reports.views import CAMERA_HEAD, KEYPOINT_HEAD, placed_rows, view_rows
from rt_pose.session.individuals import individuals_of
from rt_pose.session.read import Session, stamp_columns
from rt_pose.session.video_file import file_names
from rt_pose.types import CameraInfo, rate_in_words

FIRST_EVENT_ROWS = 40
"""Of the events; the others are folded away below them."""
LATENCY_NAMES = {
    "image_to_pose": "image to pose",
    "image_to_decision": "image to decision",
    "engine": "network (engine)",
    "overhead": "overhead (all but the network)",
    "exposure_to_decision": "exposure to decision",
    "decision_to_ack": "decision to ack",
    "half_round_trip": "half of the echo's round trip",
    "loop": "exposure to ack",
}


def page(session: Session, figures: dict[str, Any]) -> str:
    """Render the page.

    Parameters
    ----------
    session
        The session, with its film where it has one.
    figures
        The content of its `report.json`.

    Returns
    -------
    str
        HTML.
    """
    stamps = stamp_columns(session.observations)
    pictures = {name: CameraPictures.of(session, name) for name in session.info.cameras}
    poses, rows = figures["accuracy"], event_rows(session)
    return render(
        "session.html",
        title=f"Session {figures['session']['id'][:13] or session.path.name}",
        report=figures,
        about=list(_about(session, figures["session"])),
        latencies=_latencies(figures),
        over_time=latency_over_time(session),
        histogram=latency_histogram((stamps.stages["t_decided_ns"] - stamps.t_arrival_ns) / NS_PER_MS),
        waterfall=stage_waterfall(figures["stages_ms"]),
        losses=_losses(session),
        camera_rows=[_camera_row(info) for info in session.info.cameras.values()],
        setting_rows=[row for info in session.info.cameras.values() for row in _setting_rows(info)],
        clock_rows=list(_clock_rows(session)),
        head=EVENT_HEAD,
        events=rows[:FIRST_EVENT_ROWS],
        further_events=rows[FIRST_EVENT_ROWS:],
        left_out=len(session.events) - len(rows),
        all_events=len(session.events),
        named_blocks=[(block["block"], block) for block in figures["blocks"]],
        fired=sum(counts["fired"] for counts in figures["events"].values()),
        strips=[strip for own in pictures.values() if own for strip in own.strips()],
        strips_left_out=sum(own.strips_left_out for own in pictures.values() if own),
        cameras={name: _movement(session, name, own) for name, own in pictures.items()},
        error_bars=accuracy_bars(poses) if poses else None,
        individual_head=HEAD,
        individual_rows=list(individual_rows(figures.get("individuals", []))),
        view_heads=(CAMERA_HEAD, KEYPOINT_HEAD),
        views=_views(figures.get("views", {})),
        drift_rows=list(drift_rows(figures["drift"])),
        what_ran=_what_ran(session, figures),
        advice=advice(session, figures),
        # Last of all: what of a film cannot be shown is known when all pictures are drawn.
        missing=[*session.skipped, *session.info.missing, *_film_problems(session, pictures)],
    )


def _views(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each group of views with its tables."""
    return {
        name: {**found, "rows": list(view_rows(found)), "placed": list(placed_rows(found))}
        for name, found in figures.items()
    }


def _film_problems(session: Session, pictures: dict[str, CameraPictures | None]) -> Iterator[str]:
    """Why films are not shown, or not whole."""
    filmed = session.info.config.get("record", {}).get("video", False)
    for camera, own in pictures.items():
        if own is not None and own.problem:
            yield own.problem
        elif filmed and not any((session.path / name).is_file() for name in file_names(camera)):
            yield f"the film of camera '{camera}'"


def _about(session: Session, about: dict[str, Any]) -> Iterator[str]:
    if about["started_utc_ns"] is not None:
        yield datetime.fromtimestamp(about["started_utc_ns"] / NS_PER_S, UTC).strftime("%F %T UTC")
    if about["duration_s"] is not None:
        yield f"{about['duration_s']:.1f} s"
    for name, info in session.info.cameras.items():
        yield f"{name} ({info.driver})"
    yield f"ended: {about['ended']}" if about["ended"] else "the loop wrote no end"
    if about["status"] not in ("", "complete"):
        yield about["status"]


def _latencies(figures: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    rows = [(LATENCY_NAMES[key], found) for key, found in figures["latency_ms"].items()]
    bare = figures["engine"]["bare_forward_ms"]
    return [*rows, ("bare network, before the run", bare)] if bare else rows


def _losses(session: Session) -> list[list[str]]:
    """Stage, camera, number and reason of everything that was dropped."""
    losses: dict[tuple[str, str, str], int] = defaultdict(int)
    for drop in session.drops:
        losses[drop.stage, drop.reason, drop.camera] += drop.count
    return [
        [stage, camera, f"{count:,}", f"{reason}. {drop_explanation(stage)}"]
        for (stage, reason, camera), count in sorted(losses.items())
    ]


EXPOSURES = {
    "device": "by its own clock, mapped to the host's",
    "host": "known to the program",
    "recording": "of the recording",
    "unavailable": "unavailable",
}


def _camera_row(info: CameraInfo) -> list[str]:
    x, y = info.offset_xy
    place = f"{info.width}x{info.height}" + (f" at {x}, {y}" if (x, y) != (0, 0) else "")
    rate = f"{info.rate_hz:g} Hz" if info.rate_hz else ""
    told = [info.driver, info.serial, place, info.pixel_format, rate, info.trigger]
    return [info.name, *told, EXPOSURES[info.exposure_source], info.tested]


def _setting_rows(info: CameraInfo) -> Iterator[list[str]]:
    """Camera, setting, what was asked for, and what the camera then said."""
    for name, setting in info.settings.items():
        asked, actual = ("" if setting[key] is None else str(setting[key]) for key in ("asked", "actual"))
        yield [info.name, name, asked, actual]


def _clock_rows(session: Session) -> Iterator[list[str]]:
    """Camera and what is known of its clock and counter."""
    clocks = session.end.counts.get("camera_clocks", {}) if session.end else {}
    for name, clock in clocks.items():
        residuals = clock.get("residual_us")
        told = {
            "drift, ppm": clock.get("slope_ppm"),
            "later than the fastest, us (P50, P99)": residuals and f"{residuals['p50']}, {residuals['p99']}",
            "error at most, us": clock.get("error_us"),
            "clock set anew": clock.get("clock_resets"),
            "counter set anew": clock.get("counter_resets"),
        }
        yield [name, "; ".join(f"{key}: {value}" for key, value in told.items() if value is not None)]


def _movement(session: Session, camera: str, pictures: CameraPictures | None) -> dict[str, Any] | None:
    """The plots of a camera's tracks; None where the log has none."""
    keypoint, names = shown_keypoint(session), session.info.package.keypoints
    individuals = individuals_of(session)
    coloured = individuals if len(individuals) > 1 else names
    speed = speed_trace(session, camera, keypoint)
    if speed is None:
        return None
    return {
        "keypoint": names[keypoint] if names else "first keypoint",
        "speed": speed,
        "trajectory": pictures.trajectory(keypoint) if pictures else None,
        "traces": keypoint_traces(session, camera, keypoint),
        "colours": [(name, keypoint_colour(k, len(coloured))) for k, name in enumerate(coloured)],
    }


def _what_ran(session: Session, figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    info = session.info
    package = info.package
    about = {
        key: value if isinstance(value, str) else str(value) for key, value in figures["metadata"].items()
    }
    protocol = [
        ", ".join(f"{key} {value}" for key, value in block.items() if value is not None)
        for block in info.config.get("protocol", [])
    ]
    return {
        "Experiment": {**about, "protocol": protocol},
        "Rig": {
            "cameras": [
                f"{name}: {c.driver}, {c.width}x{c.height}x{c.channels}, "
                f"{rate_in_words(c.rate_hz, c.trigger)}"
                for name, c in info.cameras.items()
            ],
            "outputs": [
                f"{name}: {o.driver}, acts after {o.delay_ms:g} ms"
                + ("" if o.stated_delay_ms is None else f" (stated: {o.stated_delay_ms:g} ms)")
                for name, o in info.outputs.items()
            ],
            "rules": [f"{rule['name']}: {rule.get('when', '')}" for rule in info.config.get("rules", [])],
        },
        "Latency certificate": dict(_certificate(info.certificate)),
        "Engine": {key: value for key, value in figures["engine"].items() if not isinstance(value, dict)},
        "Model package": {
            "package": package.path,
            "sha256": package.sha256,
            "keypoints": ", ".join(package.keypoints),
            "tracking": "calibrated" if package.tracking.get("calibrated") else "default, uncalibrated",
        },
        "Machine": info.machine,
        "Versions": info.versions,
    }


def _certificate(found: Certification) -> Iterator[tuple[str, Any]]:
    """What the latency certificates said, a line an output."""
    if found.mode == "off":
        yield "looked for", "no"
        return
    yield "where none holds", "the run does not arm" if found.mode == "require" else "a warning"
    yield "what does not hold", found.problems
    for output, c in found.used.items():
        loop = f"; light to light P50 {c.loop_ms.p50:.2f}, P99 {c.loop_ms.p99:.2f} ms" if c.loop_ms else ""
        yield (
            f"{output}, seen by {c.camera}",
            f"acts {c.delay_ms:.2f} ms after the command (n {c.n}, measured {c.date}, settings "
            f"{c.settings_hash}){loop}",
        )
