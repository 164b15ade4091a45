"""The report as one self-contained HTML page: how fast, what was lost, what was decided, how well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.reports.advice import advice, drop_explanation
from rt_pose.reports.hindsight_page import score_table
from rt_pose.reports.pictures import CameraPictures, Strip
from rt_pose.reports.plots import (
    accuracy_bars,
    keypoint_key,
    keypoint_traces,
    latency_histogram,
    latency_over_time,
    shown_keypoint,
    speed_trace,
    stage_waterfall,
)
from rt_pose.reports.style import STYLE
from rt_pose.session.read import Session

NOT_MEASURED = "not measured"
MAX_EVENT_ROWS = 40
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
    """The page's text."""
    title = f"Session {figures['session']['id'][:13] or session.path.name}"
    sections = [
        _head(session, figures, title),
        _section("Latency", _latency(session, figures)),
        _section("Deadline", _deadline(figures)),
        _section("Frames", _frames(session, figures)),
        _section("Events", _events(session, figures)),
        *(_section(f"Camera {name}", _movement(session, name)) for name in session.info.cameras),
        _section("Accuracy", _accuracy(figures)),
        _section("Replay and hindsight", _audits(figures)),
        _section("What ran", _what_ran(session, figures)),
        _section("What to do next", _list(advice(session, figures))),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        + "".join(sections)
        + "</main></body></html>\n"
    )


def _head(session: Session, figures: dict[str, Any], title: str) -> str:
    about = figures["session"]
    parts = []
    if about["started_utc_ns"] is not None:
        parts.append(datetime.fromtimestamp(about["started_utc_ns"] / NS_PER_S, UTC).strftime("%F %T UTC"))
    if about["duration_s"] is not None:
        parts.append(f"{about['duration_s']:.1f} s")
    parts += [f"{name} ({info.driver})" for name, info in session.info.cameras.items()]
    parts.append(f"ended: {about['ended']}" if about["ended"] else "the loop wrote no end")
    cut = ""
    if about["log_cut"] is not None:
        cut = '<p class="note">The log was cut (a kill or a power cut): what follows is all before that.</p>'
    return (
        f'<h1>{escape(title)}</h1><p class="soft">{escape(" · ".join(parts))}</p>{cut}'
        f'<div class="tiles">{"".join(_tiles(figures))}</div>'
    )


def _tiles(figures: dict[str, Any]) -> Iterable[str]:
    latency, frames, due = figures["latency_ms"], figures["frames"], figures["deadline"]
    for key in ("image_to_decision", "overhead"):
        found = latency[key]
        value = f"{found['p50']:.2f} ms" if found else "–"
        tail = f"P50 · P99 {found['p99']:.2f} ms" if found else NOT_MEASURED
        yield _tile(value, LATENCY_NAMES[key].split(" (")[0], tail)
    missed = due["missed"]
    share = f"of {due['n']:,} past {due['budget_ms']:g} ms" if missed is not None else NOT_MEASURED
    yield _tile("–" if missed is None else f"{missed:,}", "deadlines missed", share, bad=bool(missed))
    yield _tile(f"{frames['processed']:,}", "frames decided on", f"of {frames['captured']:,} captured")
    fired = sum(counts["fired"] for counts in figures["events"].values())
    total = sum(sum(counts.values()) for counts in figures["events"].values())
    yield _tile(f"{fired:,}", "events fired", f"of {total:,} events")
    error = figures["accuracy"]
    if error and error["median_px"] is not None:
        yield _tile(f"{error['median_px']:.2f} px", "median error", f"{error['n']:,} visible keypoints")


def _tile(value: str, name: str, tail: str, bad: bool = False) -> str:
    kind = "tile bad" if bad else "tile"
    return (
        f'<div class="{kind}"><b>{escape(value)}</b><span>{escape(name)}</span>'
        f"<span>{escape(tail)}</span></div>"
    )


def _latency(session: Session, figures: dict[str, Any]) -> str:
    over_time = latency_over_time(session)
    if over_time is None:
        return _soft("No frame got through the loop.")
    rows = [[LATENCY_NAMES[key], *_cells(found)] for key, found in figures["latency_ms"].items()]
    bare = figures["engine"]["bare_forward_ms"]
    if bare:
        name = "bare network, before the run"
        rows.append([name, str(bare.get("n", "")), _ms(bare.get("p50")), "", _ms(bare.get("p99")), "", ""])
    stages = figures["stages_ms"]
    stage_rows = [[name, *_cells(found)] for name, found in stages.items()]
    head = ["ms", "n", "P50", "P90", "P99", "P99.9", "max"]
    return (
        _table(head, rows)
        + _soft(
            "P99.9 is stated from 10,000 values on. Image: from the moment the driver handed the frame over, "
            "waiting for the loop included."
        )
        + f'{over_time}<p class="soft">blue: image to decision · orange: exposure to decision</p>'
        + f'<div class="two"><div><h3>How often</h3>{latency_histogram(session) or ""}'
        + _soft("orange: P50, dashed: P99")
        + f"</div><div><h3>Where the time goes</h3>{stage_waterfall(stages) or ''}"
        + _soft("bar: median, thin line: P99 (each stage begins where the one before ends in the median)")
        + "</div></div>"
        + _table(["stage, ms", *head[1:]], stage_rows)
    )


def _deadline(figures: dict[str, Any]) -> str:
    due = figures["deadline"]
    if due["missed"] is None:
        return _soft(f"Exposure to decision: {NOT_MEASURED} (the camera reports no exposure time).")
    share = 100 * due["missed"] / due["n"]
    return (
        f"<p>{due['missed']:,} of {due['n']:,} decisions ({share:.2f} %) came later than the budget of "
        f"{due['budget_ms']:g} ms after the middle of the exposure.</p>"
    )


def _frames(session: Session, figures: dict[str, Any]) -> str:
    frames = figures["frames"]
    rows = [
        [
            name,
            *(f"{c[k]:,}" for k in ("captured", "processed", "device_gaps")),
            f"{sum(c['dropped'].values()):,}",
        ]
        for name, c in frames["cameras"].items()
    ]
    table = _table(["camera", "captured", "decided on", "device gaps", "dropped"], rows)
    losses: dict[tuple[str, str, str], int] = defaultdict(int)
    for drop in session.drops:
        losses[drop.stage, drop.reason, drop.camera] += drop.count
    if not losses:
        return table + _soft("Nothing was dropped.")
    explained = [
        [stage, camera, f"{count:,}", f"{reason}. {drop_explanation(stage)}"]
        for (stage, reason, camera), count in sorted(losses.items())
    ]
    return (
        table
        + "<h3>What was lost, and why</h3>"
        + _table(["stage", "camera", "n", "why"], explained, "text why")
    )


def _events(session: Session, figures: dict[str, Any]) -> str:
    if not figures["events"]:
        return _soft("The configuration has no rules.")
    rules = [[name, *(f"{n:,}" for n in counts.values())] for name, counts in figures["events"].items()]
    start = session.frames[0].stamps.t_arrival_ns if session.frames else None
    rows = []
    for record in session.events[:MAX_EVENT_ROWS]:
        event = record.event
        seconds = "" if start is None else f"{(event['t_judged_ns'] - start) / NS_PER_S:.3f}"
        probability = "" if event["probability"] is None else f"{event['probability']:.3f}"
        taken = f"{(event['t_judged_ns'] - event['t_cause_ns']) / NS_PER_MS:.2f}"
        rows.append(
            [
                seconds,
                event["rule"],
                event["outcome"],
                event["reason"],
                f"{event['value']:.4g}",
                probability,
                taken,
                str(event["frame_index"]),
            ]
        )
    head = ["s", "rule", "outcome", "reason", "value", "probability", "judged after, ms", "frame"]
    more = len(session.events) - len(rows)
    return (
        _table(["rule", "fired", "withheld", "suppressed"], rules)
        + (_table(head, rows, "text") if rows else _soft("No rule came true."))
        + (_soft(f"and {more:,} more in the log") if more > 0 else "")
        + _untriggered(figures["silent_rules"] or {})
        + "".join(_strips(session))
    )


def _untriggered(rules: dict[str, Any]) -> str:
    """Of rules without an event: what was missing."""
    if not rules:
        return ""
    rows = []
    for name, found in rules.items():
        of = f"of {found['frames']:,}"
        rows += [[name, says, f"{n:,} {of}"] for says, n in found["parts"].items()]
        if len(found["parts"]) > 1:
            rows.append([name, "all of it at once", f"{found['whole']:,} {of}"])
        if found["hold_ms"]:
            needed = f"{found['longest_ms']:.0f} ms, needed: {found['hold_ms']:.0f}"
            rows.append([name, "longest without a break", needed])
        if found["probability"] is not None:
            rows.append(
                [name, "highest probability", f"{found['likeliest']:.3f}, needed: {found['probability']:g}"]
            )
    return (
        "<h3>Rules that never came true, and what was missing</h3>"
        + _table(["rule", "what", "frames in which it was so"], rows, "text")
        + _soft("At the exposures; frames in which a keypoint of the rule was lost are left out.")
    )


def _strips(session: Session) -> Iterable[str]:
    for camera in session.info.cameras:
        pictures = CameraPictures.of(session, camera)
        for strip in pictures.strips() if pictures else ():
            yield _strip(strip)


def _strip(strip: Strip) -> str:
    event = strip.event
    outcome = escape(event["outcome"])
    why = f" ({escape(event['reason'])})" if event["outcome"] != "fired" else ""
    return (
        f'<h3>{escape(event["rule"])}: <span class="{outcome}">{outcome}</span>{why}, '
        f"frame {event['frame_index']}</h3>"
        f'<div class="strip">{"".join(strip.pictures)}</div>'
    )


def _movement(session: Session, camera: str) -> str:
    keypoint = shown_keypoint(session)
    names = session.info.package.keypoints
    name = names[keypoint] if names else "first keypoint"
    speed = speed_trace(session, camera, keypoint)
    if speed is None:
        return _soft("No track of this camera is in the log.")
    pictures = CameraPictures.of(session, camera)
    way = pictures.trajectory(keypoint) if pictures else None
    return (
        (f'<div class="picture">{way}</div>' + _soft(f"yellow: the way of {name}") if way else "")
        + f"<h3>Speed of {escape(name)}, with events</h3>{speed}"
        + _soft("green: fired · orange: withheld · red: suppressed")
        + f"<h3>Keypoints</h3>{keypoint_traces(session, camera) or ''}{keypoint_key(names)}"
    )


def _accuracy(figures: dict[str, Any]) -> str:
    poses, tracks = figures["accuracy"], figures["accuracy_tracks"]
    if poses is None:
        return _soft(f"Errors: {NOT_MEASURED}; the truth is known of simulated cameras only.")
    rows = [
        [name, *(_px(e[k]) for k in ("median_px", "mean_px", "p90_px")), f"{e['n']:,}"]
        for name, e in (("poses", poses), ("tracks", tracks))
        if e
    ]
    return (
        '<div class="two"><div>'
        + _table(["px from visible truth", "median", "mean", "P90", "n"], rows)
        + f"</div><div><h3>Poses by keypoint</h3>{accuracy_bars(poses)}"
        + _soft("bar: median, thin line: P90")
        + "</div></div>"
    )


def _audits(figures: dict[str, Any]) -> str:
    """What `rt-pose replay` has found, as far as it was asked."""
    replayed, scored = figures["replay"], figures["hindsight"]
    parts = [_soft(f"Replay: {NOT_MEASURED}; rt-pose replay computes every decision again.")]
    if replayed is not None:
        found = replayed["replay"]
        agreed = "identical" if found["identical"] else f"NOT identical: {found['differing']} differences"
        exactly = "bit for bit" if found["same_environment"] else "within tolerance (another environment)"
        parts = [
            f"<p>Replay: {found['events']:,} events, {found['tracks']:,} tracks {exactly}: {agreed}.</p>"
        ]
    if scored is None:
        return parts[0] + _soft(
            f"Rules against the truth: {NOT_MEASURED}; rt-pose replay --hindsight does it."
        )
    for one in scored["scores"]:
        parts.append(f"<h3>Against {escape(one['truth'])}</h3>{score_table(one)}")
    return "".join(parts) + '<p><a href="hindsight.html">every event and episode</a></p>'


def _what_ran(session: Session, figures: dict[str, Any]) -> str:
    info = session.info
    cameras = [
        f"{name}: {c.driver}, {c.width}x{c.height}x{c.channels}, "
        f"{'triggered' if c.rate_hz is None else f'{c.rate_hz:g} frames/s'}"
        for name, c in info.cameras.items()
    ]
    outputs = [f"{name}: {o.driver}, acts after {o.delay_ms:g} ms" for name, o in info.outputs.items()]
    rules = [f"{r['name']}: {r.get('when', '')}" for r in info.config.get("rules", [])]
    package = {
        "package": info.package.path,
        "sha256": info.package.sha256,
        "keypoints": ", ".join(info.package.keypoints),
        "tracking": "calibrated" if info.package.tracking.get("calibrated") else "default, uncalibrated",
    }
    engine = {k: v for k, v in figures["engine"].items() if not isinstance(v, dict)}
    return (
        '<div class="two">'
        + _facts("Rig", {"cameras": cameras, "outputs": outputs, "rules": rules})
        + _facts("Engine", engine)
        + _facts("Model package", package)
        + _facts("Machine", info.machine)
        + _facts("Versions", info.versions)
        + "</div>"
    )


def _facts(title: str, facts: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(key))}</td><td><code>{escape(_plain(value))}</code></td></tr>"
        for key, value in facts.items()
    )
    return f'<div><h3>{escape(title)}</h3><table class="text facts">{rows}</table></div>'


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    return NOT_MEASURED if value is None else str(value)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _soft(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table class="{kind}"><tr>{cells}</tr>{body}</table></div>'


def _cells(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return [NOT_MEASURED, "", "", "", "", ""]
    return [f"{found['n']:,}", *(_ms(found[k]) for k in ("p50", "p90", "p99", "p99_9", "max"))]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _px(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
