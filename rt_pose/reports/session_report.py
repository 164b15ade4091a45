"""The report of a session: figures from its log alone, as `report.json` and as a page.

A figure that the log does not hold is None ("not measured"), never 0. Latency figures are those of
`rt_pose.loop.latency`; overhead is image to decision minus the median time of the bare network on a ready
tensor, as measured before and after the run (a shared machine's speed may change by half in between).
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.audit import untriggered_rules as silent
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.files import write_atomic
from rt_pose.loop.latency import summary
from rt_pose.records import Observation, TrackRecord
from rt_pose.reports.drift import drift_figures
from rt_pose.reports.events import blocks, command_counts, event_counts, orders, suppressed_counts
from rt_pose.reports.individuals import errors_of_frame, individual_figures
from rt_pose.reports.views import view_figures
from rt_pose.session.folder import conclude_killed
from rt_pose.session.group_tracks import group_tracks
from rt_pose.session.read import Session, SessionInfo, stamp_columns

SCHEMA = 1
JSON_NAME = "report.json"
PAGE_NAME = "report.html"
REMEDY = "give another folder with `rt-pose report SESSION --out FOLDER`"
DEVICE = "device"
"""Stage of frames that the device lost before its driver handed them over."""
STAGES = (
    ("waiting", "t_arrival_ns", "t_taken_ns"),
    ("preprocess", "t_taken_ns", "t_preprocessed_ns"),
    ("network", "t_preprocessed_ns", "t_inferred_ns"),
    ("decode", "t_inferred_ns", "t_pose_ns"),
    ("track", "t_pose_ns", "t_tracked_ns"),
    ("decide", "t_tracked_ns", "t_decided_ns"),
)


def make_report(session_dir: Path | str, out: Path | None = None) -> dict[str, Any]:
    """Write `report.json` and `report.html` of a session.

    Parameters
    ----------
    session_dir
        The session's folder.
    out
        Folder to write to; the session's own where it is not given.

    Returns
    -------
    dict[str, Any]
        The content of `report.json`.

    Raises
    ------
    UserError
        Where the folder is no session, or `out` cannot be written.
    """
    # The page needs a film decoder and a picture encoder; figures alone do not.
    from rt_pose.reports.session_page import page

    conclude_killed(Path(session_dir))
    session = Session.read(session_dir)
    out = out or session.path
    found = _nan_to_none(figures(session))
    write_atomic(out / JSON_NAME, json.dumps(found, indent=1, allow_nan=False) + "\n", REMEDY)
    write_atomic(out / PAGE_NAME, page(session, found), REMEDY)
    return found


def figures(session: Session) -> dict[str, Any]:
    """Compute the content of `report.json`.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Any]
        None stands for what was not measured; not every number is finite yet.
    """
    info = session.info
    return {
        "schema": SCHEMA,
        "session": _session(session),
        "frames": frame_counts(session),
        "latency_ms": latencies(session),
        "stages_ms": stage_times(session),
        "deadline": deadline(session),
        "events": event_counts(session),
        "suppressed": suppressed_counts(session),
        "silent_rules": silent.as_json(session),
        "commands": command_counts(session),
        "orders": orders(session),
        "blocks": blocks(session),
        "processors": info.processors,
        "metadata": info.config.get("metadata", {}),
        "accuracy": accuracy(session, session.observations),
        "accuracy_tracks": accuracy(session, session.tracks),
        **({"individuals": individuals} if (individuals := individual_figures(session)) else {}),
        **({"views": views} if (views := view_figures(session)) else {}),
        "drift": drift_figures(session),
        "replay": _read_json_beside(session, "replay.json"),
        "hindsight": _read_json_beside(session, "hindsight.json"),
        "machine": info.machine,
        "versions": info.versions,
        "package": asdict(info.package),
        "certificate": msgspec.to_builtins(info.certificate),
        "engine": {
            **info.engine,
            "bare_forward_ms": info.bare_forward_ms,
            "bare_forward_after_ms": info.bare_forward_after_ms,
            "kept_warm": session.end.counts.get("kept_warm") if session.end else None,
        },
    }


def frame_counts(session: Session) -> dict[str, Any]:
    """Count frames captured, processed, dropped by stage and lost by the device: in all, and by camera.

    The loop's own last counts are taken where the log holds them: records may be lost, counts are not.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Any]
        captured, processed, device_gaps, dropped (by stage), and the same for each of `cameras`.
    """
    counted = session.end.counts.get("cameras", {}) if session.end else {}
    names = sorted({*session.info.cameras, *counted, *(frame.camera for frame in session.frames)})
    cameras = {name: _camera_counts(session, name, counted.get(name, {})) for name in names}
    dropped: dict[str, int] = defaultdict(int)
    for counts in [*cameras.values(), {"dropped": _dropped(session, "")}]:
        for stage, n in counts["dropped"].items():
            dropped[stage] += n
    return {
        **{key: sum(c[key] for c in cameras.values()) for key in ("captured", "processed", "device_gaps")},
        "dropped": dict(dropped),
        "cameras": cameras,
    }


def latencies(session: Session) -> dict[str, Any]:
    """Sum up every latency bracket.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Any]
        Summaries (ms) by bracket; None where there is nothing to sum up.
    """
    stamps = stamp_columns(session.observations)
    at = stamps.stages
    to_decision = _ms(at["t_decided_ns"] - stamps.t_arrival_ns)
    bare = bare_forward_p50(session.info)
    acks = _ack_brackets(session)
    return {
        "image_to_pose": summary(_ms(at["t_pose_ns"] - stamps.t_arrival_ns)),
        "image_to_decision": summary(to_decision),
        "engine": summary(_ms(at["t_inferred_ns"] - at["t_preprocessed_ns"])),
        "overhead": None if bare is None else summary(to_decision - bare),
        "exposure_to_decision": summary(_ms(at["t_decided_ns"] - stamps.t_exposure_ns)),
        **{name: summary(values) for name, values in acks.items()},
    }


def bare_forward_p50(info: SessionInfo) -> float | None:
    """Get the bare network's median time.

    Parameters
    ----------
    info
        The session's description.

    Returns
    -------
    float or None
        ms; the mean of before and after the run, as far as they were measured.
    """
    measured = [m["p50"] for m in (info.bare_forward_ms, info.bare_forward_after_ms) if m and "p50" in m]
    return sum(measured) / len(measured) if measured else None


def stage_times(session: Session) -> dict[str, dict[str, Any] | None]:
    """Sum up each stage between arrival and decision.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, dict[str, Any] or None]
        Summaries (ms) by stage.
    """
    stamps = stamp_columns(session.observations)
    at = {"t_arrival_ns": stamps.t_arrival_ns, **stamps.stages}
    return {name: summary((at[end] - at[start]) / NS_PER_MS) for name, start, end in STAGES}


def deadline(session: Session) -> dict[str, Any]:
    """Count the decisions that came later after their exposure than the budget.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Any]
        budget_ms, missed and n; `missed` is None where no exposure or no budget is known.
    """
    stamps = stamp_columns(session.observations)
    taken = _ms(stamps.stages["t_decided_ns"] - stamps.t_exposure_ns)
    taken = taken[np.isfinite(taken)]
    budget = session.info.budget_ms
    missed = int((taken > budget).sum()) if budget is not None and taken.size else None
    return {"budget_ms": budget, "missed": missed, "n": int(taken.size)}


def accuracy(session: Session, found: list[Observation] | list[TrackRecord]) -> dict[str, Any] | None:
    """Sum up the distance of poses or tracks to the truth, where that is visible.

    Parameters
    ----------
    session
        The session.
    found
        Its observations or its tracks.

    Returns
    -------
    dict[str, Any] or None
        n, and median, mean and P90 (px), in all and by keypoint; None where no truth is known.
    """
    errors = keypoint_errors(session, found)
    if errors is None:
        return None
    names = session.info.package.keypoints or [str(k) for k in range(errors.shape[1])]
    return {
        **_error_summary(errors),
        "per_keypoint": {name: _error_summary(errors[:, k]) for k, name in enumerate(names)},
    }


def keypoint_errors(
    session: Session, found: list[Observation] | list[TrackRecord]
) -> NDArray[np.float64] | None:
    """Compute the distance of poses or tracks to the truth.

    Of several animals each is compared with what was found next to it.

    Parameters
    ----------
    session
        The session.
    found
        Its observations or its tracks.

    Returns
    -------
    NDArray[np.float64] or None
        (R, K) px, a row an animal of each record whose truth is known; NaN where a keypoint is hidden or
        was not found. None where no truth is known.
    """
    truths = {(t.camera, t.index): t for t in session.truths}
    rows = []
    for record in found:
        index = record.stamps.index if isinstance(record, Observation) else record.index
        truth = truths.get((record.camera, index))
        if truth is None or truth.xy.shape[1:] != record.xy.shape[1:]:
            continue
        if (truth.xy.shape[0], record.xy.shape[0]) != (1, 1):
            rows.append(errors_of_frame(record.xy.array(), truth))
            continue
        distance = np.linalg.norm(record.xy.array() - truth.xy.array(), axis=-1)  # (1, K)
        visible = np.array(truth.visible, bool).reshape(distance.shape)
        rows.append(np.where(visible, distance, np.nan))
    return np.concatenate(rows) if rows else None


def started_utc_ns(info: SessionInfo) -> int | None:
    """Get the time at which a session began.

    Parameters
    ----------
    info
        The session's description.

    Returns
    -------
    int or None
        ns since the Unix epoch.
    """
    return info.started_utc_ns or (info.anchors[0].t_utc_ns if info.anchors else None)


def _read_json_beside(session: Session, name: str) -> dict[str, Any] | None:
    """What an audit of the session has left beside it; None where there was none."""
    file = session.path / name
    try:
        found = json.loads(file.read_bytes()) if file.is_file() else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _nan_to_none(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not have, by None: they were not measured."""
    if isinstance(value, dict):
        return {key: _nan_to_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_to_none(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _session(session: Session) -> dict[str, Any]:
    arrivals = [f.stamps.t_arrival_ns for f in session.frames]
    return {
        "id": session.info.id,
        "path": str(session.path),
        "started_utc_ns": started_utc_ns(session.info),
        "duration_s": round((arrivals[-1] - arrivals[0]) / NS_PER_S, 3) if arrivals else None,
        "status": session.info.status,
        "ended": session.end.reason if session.end else None,
        "log_cut": session.cut or None,
        "log_skipped": session.skipped,
        "missing": session.info.missing,
    }


def _camera_counts(session: Session, camera: str, counted: dict[str, int]) -> dict[str, Any]:
    dropped = _dropped(session, camera)
    gaps = dropped.pop(DEVICE, 0)
    superseded = counted.get("superseded")
    if superseded:
        dropped["capture"] = superseded
    return {
        "captured": counted.get("captured", sum(f.camera == camera for f in session.frames)),
        "processed": counted.get("processed", sum(o.camera == camera for o in session.observations)),
        "dropped": dropped,
        "device_gaps": counted.get("device_gaps", gaps),
        "failed": counted.get("failed", dropped.get("camera", 0)),
        "unmatched": counted.get("unmatched", 0),
        "losses": counted.get("losses", 0),
        "silences": counted.get("silences", 0),
    }


def _dropped(session: Session, camera: str) -> dict[str, int]:
    stages: dict[str, int] = defaultdict(int)
    for drop in session.drops:
        if drop.camera == camera:
            stages[drop.stage] += drop.count
    return dict(stages)


def _ack_brackets(session: Session) -> dict[str, NDArray[np.float64]]:
    """Decision to ack, half of the echo's round trip, and exposure to ack (ms), of echoed commands.

    A command is led back to its frame, or to the turn of its group of views, by the sequence number that both
    records share.
    """
    judged = _judged_times(session)
    seq_of_command = {c.command.id: c.seq for c in session.commands}
    rows = []
    for ack in (record.ack for record in session.acks):
        times = judged.get(seq_of_command.get(ack.command_id, -1))
        if times is not None and ack.t_ack_ns is not None:
            rows.append((ack.t_ack_ns, ack.t_sent_ns or np.nan, *times))
    t_ack, t_sent, t_exposure, t_decided = np.array(rows, np.float64).reshape(-1, 4).T
    return {
        "decision_to_ack": _ms(t_ack - t_decided),
        "half_round_trip": _ms(t_ack - t_sent) / 2,
        "loop": _ms(t_ack - t_exposure),
    }


def _judged_times(session: Session) -> dict[int, tuple[float, float]]:
    """By the number of an input, exposure and decision (ns) of its frame; of a turn of a group of views the
    exposure of the newest one used. NaN for what is not known."""
    judged = [(one.seq, one.stamps, one.stages) for one in session.observations]
    for group in session.info.views:
        judged += [
            (one.turn.seq, one.newest.stamps, one.turn.stages)
            for one in group_tracks(session, group)
            if one.turn.stages is not None
        ]
    return {
        seq: (
            np.nan if stamps.t_exposure_ns is None else float(stamps.t_exposure_ns),
            stages.t_decided_ns or np.nan,
        )
        for seq, stamps, stages in judged
    }


def _error_summary(errors: NDArray[np.float64]) -> dict[str, Any]:
    values = errors[np.isfinite(errors)]
    if values.size == 0:
        return {"n": 0, "median_px": None, "mean_px": None, "p90_px": None}
    median, p90 = np.percentile(values, [50, 90])
    return {
        "n": int(values.size),
        "median_px": round(float(median), 3),
        "mean_px": round(float(values.mean()), 3),
        "p90_px": round(float(p90), 3),
    }


def _ms(ns: NDArray[np.float64]) -> NDArray[np.float64]:
    return ns / NS_PER_MS
