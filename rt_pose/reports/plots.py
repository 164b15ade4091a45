"""The plots of a session's report, made from its records."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from markupsafe import Markup

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.loop.latency import summary
from rt_pose.records import TrackRecord
from rt_pose.reports.pictures import shown_observations
from rt_pose.reports.svg import Plot, bars
from rt_pose.reports.svg_elements import keypoint_colour
from rt_pose.session.group_tracks import groups_of, judged_frames
from rt_pose.session.individuals import individuals_of, name_of
from rt_pose.session.read import Session, stamp_columns
from rt_pose.types import FloatArray

OUTCOME_COLOURS = {"fired": "green", "withheld": "orange", "suppressed": "red"}
HISTOGRAM_BINS = 90
TRACE_SECONDS = 20.0
"""Length of the keypoints' traces; over a longer time they could not be told apart."""


def latency_over_time(session: Session) -> Markup | None:
    """Plot exposure to decision and image to decision against the time of the run.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    Markup or None
        SVG; None where there are no observations.
    """
    stamps = stamp_columns(session.observations)
    if not len(stamps.t_arrival_ns):
        return None
    seconds = (stamps.t_arrival_ns - stamps.t_arrival_ns[0]) / NS_PER_S
    decided = stamps.stages["t_decided_ns"]
    image = (decided - stamps.t_arrival_ns) / NS_PER_MS
    exposure = (decided - stamps.t_exposure_ns) / NS_PER_MS
    budget = session.info.budget_ms
    everything = np.concatenate([image, exposure, [] if budget is None else [budget]])
    plot = Plot((0, float(seconds[-1])), (0, _top(everything)), "seconds", "ms", width=1000, height=230)
    if np.isfinite(exposure).any():
        plot.line(seconds, exposure, "orange", 0.9)
    plot.line(seconds, image, "blue", 0.9)
    if budget is not None:
        plot.across(budget, "red", f"budget {budget:g} ms (exposure to decision)")
    return plot.render("latency over time")


def latency_histogram(values: FloatArray) -> Markup | None:
    """Plot the distribution of image to decision.

    Parameters
    ----------
    values
        (F,) ms; those that are not finite are left out. The axis ends at 1.1 times P99.9, and what is beyond
        it is counted in the last column.

    Returns
    -------
    Markup or None
        SVG; None where there are no values.
    """
    values = values[np.isfinite(values)]
    figures = summary(values)
    if figures is None:
        return None
    high = float(np.percentile(values, 99.9)) * 1.1
    plot = histogram(values, HISTOGRAM_BINS, (0.0, high), "ms, image to decision", "frames")
    for name, dashed in (("p50", False), ("p99", True)):
        plot.down(figures[name], "orange", f"{name.upper()} {figures[name]:.2f} ms", dashed)
    return plot.render("histogram of image to decision")


def histogram(values: FloatArray, bins: int, limits: tuple[float, float], x_label: str, y_label: str) -> Plot:
    """Plot columns of counts.

    Parameters
    ----------
    values
        (n,) values; those above the limits are counted in the last column.
    bins
        Number of columns.
    limits
        First and last edge.
    x_label, y_label
        Labels of the axes.

    Returns
    -------
    Plot
        To be drawn on further and rendered.
    """
    counts, edges = np.histogram(np.minimum(values, limits[1]), bins, limits)
    plot = Plot(limits, (0, float(counts.max()) * 1.1), x_label, y_label, 500)
    plot.columns(edges, counts, "blue")
    return plot


def stage_waterfall(times: dict[str, dict[str, Any] | None]) -> Markup | None:
    """Plot the stages one after another: a bar to the median, a thin line to P99.

    Parameters
    ----------
    times
        By stage, what `summary` returns (ms).

    Returns
    -------
    Markup or None
        SVG; None where no stage was measured.
    """
    rows = [
        (name, figures["p50"], figures["p99"], f"{figures['p50']:.3f} / {figures['p99']:.3f}")
        for name, figures in times.items()
        if figures is not None
    ]
    return bars(rows, "ms", "blue", 560, offset=True) if rows else None


def accuracy_bars(accuracy: dict[str, Any]) -> Markup | None:
    """Plot the median error of each keypoint as a bar, with a thin line to P90.

    Parameters
    ----------
    accuracy
        What `rt_pose.reports.session_report.accuracy` returns (px).

    Returns
    -------
    Markup or None
        SVG; None where no keypoint was measured.
    """
    rows = [
        (name, e["median_px"], e["p90_px"], f"{e['median_px']:.2f} / {e['p90_px']:.2f}")
        for name, e in accuracy["per_keypoint"].items()
        if e["n"]
    ]
    return bars(rows, "px", "blue", 560) if rows else None


def shown_keypoint(session: Session) -> int:
    """Choose the keypoint to show.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    int
        Index of the keypoint that the rules name first; 0 where they name none.
    """
    names = session.info.package.keypoints
    for rule in session.info.config.get("rules", []):
        for word in re.findall(r"[A-Za-z_][\w.]*", str(rule.get("when", ""))):
            for name in (word, word.partition(".")[2]):  # it may say whose it is
                if name in names:
                    return names.index(name)
    return 0


def speed_trace(session: Session, camera: str, keypoint: int) -> Markup | None:
    """Plot the speed of a keypoint, a line an individual, with a line for each event, also in space.

    Parameters
    ----------
    session
        The session.
    camera
        Name of the camera.
    keypoint
        Index of the keypoint.

    Returns
    -------
    Markup or None
        SVG; None where the camera has no tracks.
    """
    pairs = shown_observations(session, camera)
    if not pairs:
        return None
    seconds = _seconds([o.stamps.t_arrival_ns for o, _ in pairs])
    speed = np.array([_speed(track, keypoint) for _, track in pairs])  # (F, N)
    plot = Plot((0, float(seconds[-1])), (0, _top(speed)), "seconds", "px/s", width=1000, height=220)
    second_of_seq = {o.seq: s for (o, _), s in zip(pairs, seconds, strict=True)}
    second_of_seq |= _seconds_in_space(session, camera, pairs[0][0].stamps.t_arrival_ns)
    names = individuals_of(session)
    for record in session.events:
        event = record.event
        if record.seq in second_of_seq:
            at = second_of_seq[record.seq]
            whose = f" of {name_of(names, event.individual)}" if len(names) > 1 else ""
            title = f"{event.rule}{whose} {event.outcome} at {at:.2f} s"
            plot.down(at, OUTCOME_COLOURS[event.outcome], title, dashed=event.outcome != "fired")
    animals = speed.shape[1]
    for n in range(animals):
        plot.line(seconds, speed[:, n], keypoint_colour(n, animals) if animals > 1 else "blue", 1.1)
    return plot.render("speed with events")


def _seconds_in_space(session: Session, camera: str, start_ns: int) -> dict[int, float]:
    """By their numbers, when the events stand that the camera's groups of views decided on."""
    groups = groups_of(session, camera)
    if not groups:
        return {}
    judged = judged_frames(session)
    return {
        record.seq: (judged[record.seq].stamps.t_arrival_ns - start_ns) / NS_PER_S
        for record in session.events
        if record.event.camera in groups and record.seq in judged
    }


def keypoint_traces(session: Session, camera: str, keypoint: int) -> Markup | None:
    """Plot x and y over the run's first seconds: of every keypoint, or of one of each of several individuals.

    Parameters
    ----------
    session
        The session.
    camera
        Name of the camera.
    keypoint
        Index of the keypoint that is shown of several individuals.

    Returns
    -------
    Markup or None
        Two SVG plots; None where the camera has no tracks.
    """
    pairs = shown_observations(session, camera)
    if not pairs:
        return None
    seconds = _seconds([o.stamps.t_arrival_ns for o, _ in pairs])
    shown = seconds <= TRACE_SECONDS
    xy = np.array([_seen(track) for _, track in pairs])[shown]  # (F, N, K, 2)
    several = xy.shape[1] > 1
    xy = xy[:, :, keypoint] if several else xy[:, 0]  # (F, lines, 2)
    seconds = seconds[shown]
    count, what = xy.shape[1], "each individual" if several else "every keypoint"
    plots = []
    for axis, label in ((0, "x px"), (1, "y px")):
        values = xy[..., axis]
        if not np.isfinite(values).any():
            continue
        limits = float(np.nanmin(values)), float(np.nanmax(values))
        plot = Plot((0, float(seconds[-1])), limits, "seconds", label, width=1000, height=190)
        for k in range(count):
            plot.line(seconds, values[:, k], keypoint_colour(k, count), 1.0)
        plots.append(plot.render(f"{label} of {what}"))
    return Markup().join(plots) or None


def _seconds(times_ns: list[int]) -> FloatArray:
    return (np.array(times_ns, np.int64) - times_ns[0]) / NS_PER_S


def _speed(track: TrackRecord, keypoint: int) -> FloatArray:
    """(N,) px/s; NaN where the keypoint is lost."""
    speed = np.linalg.norm(track.velocity.array()[:, keypoint], axis=-1)
    return np.where(track.lost_array()[:, keypoint], np.nan, speed)


def _seen(track: TrackRecord) -> FloatArray:
    """(N, K, 2) px; NaN where a keypoint is lost."""
    return np.where(track.lost_array()[..., None], np.nan, track.xy.array())


def _top(values: FloatArray) -> float:
    """Where an axis from zero may end."""
    finite = values[np.isfinite(values)]
    return float(finite.max()) * 1.08 if finite.size else 1.0
