"""The tables that `rt-pose align` writes: frames and events on both clocks."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rt_pose.audit.align import Alignment, AlignOptions, as_json
from rt_pose.clock import NS_PER_MS
from rt_pose.decisions.rig_time import cause_ns
from rt_pose.errors import UserError
from rt_pose.files import atomic_writer, write_atomic
from rt_pose.session.group_tracks import judged_frames
from rt_pose.session.read import Session

FRAMES_HEAD = ("camera", "frame", "t_exposure_ns", "t_other_s", "error_ms", "stamp")
EVENTS_HEAD = (
    *("event", "rule", "outcome", "camera", "frame"),
    *("t_cause_ns", "t_cause_other_s", "t_stimulus_ns", "t_stimulus_other_s", "error_ms"),
)


class Tables(NamedTuple):
    """The files of one alignment."""

    frames: Path
    events: Path
    summary: Path


def tables_of(out: Path) -> Tables:
    """Name the files of an alignment.

    Parameters
    ----------
    out
        The table of frames, such as `aligned.csv`.

    Returns
    -------
    Tables
        The others stand beside it: `aligned-events.csv`, `aligned.json`.

    Raises
    ------
    UserError
        Where it is no name of a table.
    """
    if not out.name or out.suffix == ".json":
        raise UserError(f"--out {out}: expected the name of a table, such as aligned.csv")
    return Tables(out, out.with_name(f"{out.stem}-events{out.suffix or '.csv'}"), out.with_suffix(".json"))


def write_tables(session: Session, options: AlignOptions, found: Alignment, tables: Tables) -> None:
    """Write the tables.

    Parameters
    ----------
    session
        The session.
    options
        What was asked.
    found
        The other clock as a function of the host's.
    tables
        The files.

    Raises
    ------
    UserError
        Where one cannot be written.
    """
    _write(tables.frames, FRAMES_HEAD, _frames(session, found))
    _write(tables.events, EVENTS_HEAD, _events(session, found))
    write_atomic(tables.summary, json.dumps(as_json(session, options, found), indent=1) + "\n")


def _write(path: Path, head: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    with atomic_writer(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def _frames(session: Session, found: Alignment) -> Iterator[tuple[Any, ...]]:
    """Every captured frame; its arrival stands for the exposure where the camera does not report that."""
    frames = session.frames
    host_ns = np.array([cause_ns(frame.stamps) for frame in frames], np.int64)
    bounds_ns = np.array([frame.stamps.clock_error_ns for frame in frames], float)
    other_s = found.fit.to_other_s(host_ns)
    errors_ms = found.fit.error_s(host_ns) * 1e3 + bounds_ns / NS_PER_MS
    for frame, t_ns, t_s, error in zip(frames, host_ns, other_s, errors_ms, strict=True):
        stamp = "arrival" if frame.stamps.t_exposure_ns is None else "exposure"
        yield frame.camera, frame.stamps.index, int(t_ns), f"{t_s:.7f}", f"{error:.4f}", stamp


def _events(session: Session, found: Alignment) -> Iterator[tuple[Any, ...]]:
    stimuli = _stimuli_ns(session)
    bounds_ns = {(f.camera, f.stamps.index): f.stamps.clock_error_ns for f in session.frames}
    judged = judged_frames(session) if session.info.views else {}
    for record in session.events:
        event = record.event
        stimulus_ns = stimuli.get(event.id)
        bound_ns = bounds_ns.get((event.camera, event.frame_index), 0)
        if event.camera in session.info.views and record.seq in judged:  # its frame is that of a camera
            bound_ns = judged[record.seq].stamps.clock_error_ns
        cause_s, error_ms = _converted(found, event.t_cause_ns, bound_ns)
        stimulus_s = "" if stimulus_ns is None else _converted(found, stimulus_ns)[0]
        yield (
            *(event.id, event.rule, event.outcome, event.camera, event.frame_index),
            *(event.t_cause_ns, cause_s, "" if stimulus_ns is None else stimulus_ns, stimulus_s, error_ms),
        )


def _converted(found: Alignment, t_ns: int, bound_ns: int = 0) -> tuple[str, str]:
    """A host time on the other clock, s, and the bound on its error, ms, that of the time itself included."""
    at = np.array([t_ns], np.int64)
    error_ms = found.fit.error_s(at)[0] * 1e3 + bound_ns / NS_PER_MS
    return f"{found.fit.to_other_s(at)[0]:.7f}", f"{error_ms:.4f}"


def _stimuli_ns(session: Session) -> dict[int, int]:
    """When the device acted, by command: by its own clock, otherwise the write and the output's delay."""
    delays_ns = {name: round(info.delay_ms * NS_PER_MS) for name, info in session.info.outputs.items()}
    found = {}
    for ack in (record.ack for record in session.acks):
        if ack.ok and ack.t_effect_ns is not None:
            found[ack.command_id] = ack.t_effect_ns
        elif ack.ok and ack.t_sent_ns is not None:
            found[ack.command_id] = ack.t_sent_ns + delays_ns.get(ack.output, 0)
    return found
