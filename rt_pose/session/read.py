"""A session read back: what it was, and every record of its log, whether it ended well or was killed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.config.certificate import Certification
from rt_pose.errors import UnknownVersionError, UserError
from rt_pose.files import is_plain_name
from rt_pose.package import DriftSpec
from rt_pose.records import (
    TOPICS,
    AckRecord,
    CapturedFrame,
    CommandRecord,
    ControlRecord,
    DropRecord,
    EdgeRecord,
    End,
    EventRecord,
    GroupRecord,
    NoticeRecord,
    Observation,
    Record,
    StatsRecord,
    SyncRecord,
    Track3DRecord,
    TrackRecord,
    Truth,
    decode,
)
from rt_pose.rules.semantics import FIRST
from rt_pose.session.locks import is_locked
from rt_pose.session.log_file import LOG_NAME, LogGaps, iterate_log
from rt_pose.types import CameraInfo, InputInfo, OutputInfo, StageStamps, ViewsInfo

SCHEMA = 1
InputRecord = Observation | ControlRecord | EdgeRecord | GroupRecord
"""What decisions are made from."""
INFO_NAME = "session.json"
RUNNING = "running"
KILLED = "interrupted: the supervisor was killed"
"""Status of a session whose `session.json` says that it runs, though no process has it open any more."""
STAGES = StageStamps.__struct_fields__


@dataclass
class PackageInfo:
    """Which model package ran."""

    path: str = ""
    sha256: str = ""
    keypoints: list[str] = field(default_factory=list)
    skeleton: list[tuple[str, str]] = field(default_factory=list)
    tracking: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    drift: DriftSpec | None = None


@dataclass
class OwnModelInfo:
    """The model of a camera that has one of its own."""

    path: str = ""
    sha256: str = ""
    tracking: dict[str, Any] = field(default_factory=dict)
    engine: str = ""
    drift: DriftSpec | None = None


@dataclass
class UtcAnchor:
    """The same moment on both clocks."""

    t_mono_ns: int
    t_utc_ns: int


@dataclass
class SessionInfo:
    """`session.json`. Keys of a newer program are ignored; what an older one did not write is empty."""

    schema: int
    id: str = ""
    started_utc_ns: int | None = None
    anchors: list[UtcAnchor] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    package: PackageInfo = field(default_factory=PackageInfo)
    own_models: dict[str, OwnModelInfo] = field(default_factory=dict)
    """By camera."""
    prior_origins: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By camera, where on the sensor its pose prior took the frames to lie, px; of sessions of before, which
    knew of no such place, nothing."""
    engine: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    cameras: dict[str, CameraInfo] = field(default_factory=dict)
    outputs: dict[str, OutputInfo] = field(default_factory=dict)
    inputs: dict[str, InputInfo] = field(default_factory=dict)
    budget_ms: float | None = None
    bare_forward_ms: dict[str, Any] | None = None
    """Time of the engine alone on a ready tensor, before the run: p50 and p99 (ms), n."""
    bare_forward_after_ms: dict[str, Any] | None = None
    """The same after the run, where it ended well."""
    status: str = ""
    semantics: int = FIRST
    """What its rules mean (`rt_pose.rules.semantics`); sessions of before the number have none."""
    missing: list[str] = field(default_factory=list)
    """What it is known to lack, a clause each."""
    summary: dict[str, Any] = field(default_factory=dict)
    """The loop's last counts."""
    certificate: Certification = field(default_factory=Certification)
    """What the latency certificates of the rig meant for the run."""
    started_in: str = ""
    """The folder in which the run was started, to which relative paths of its configuration refer."""
    views: dict[str, ViewsInfo] = field(default_factory=dict)
    """Groups of views by name; each has its calibration as `views/NAME.toml` in the folder."""
    processors: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Processors of DeepLabCut-Live by name: `source`, `camera`, and, of a run that ended, their counts."""

    @property
    def lacks_records(self) -> bool:
        """Whether records of the run are known never to have reached the log."""
        return bool(self.missing or self.summary.get("records_refused"))


@dataclass
class Session:
    """A session folder in memory. Records of a topic are in order of their log time."""

    path: Path
    info: SessionInfo
    cut: str
    """Why the log ends early; empty where its end is there."""
    frames: list[CapturedFrame]
    truths: list[Truth]
    observations: list[Observation]
    tracks: list[TrackRecord]
    controls: list[ControlRecord]
    events: list[EventRecord]
    commands: list[CommandRecord]
    acks: list[AckRecord]
    drops: list[DropRecord]
    stats: list[StatsRecord]
    end: End | None
    notices: list[NoticeRecord] = field(default_factory=list)
    edges: list[EdgeRecord] = field(default_factory=list)
    sync: list[SyncRecord] = field(default_factory=list)
    """Pulses for other recordings."""
    groups: list[GroupRecord] = field(default_factory=list)
    """What groups of views took in."""
    tracks3d: list[Track3DRecord] = field(default_factory=list)
    """Tracks in space."""
    skipped: list[str] = field(default_factory=list)
    """Damaged parts of the log that were passed over."""

    @classmethod
    def read(cls, path: Path | str) -> Session:
        """Read a session folder.

        Parameters
        ----------
        path
            The folder; its session may have been killed.

        Returns
        -------
        Session
            Every record that is whole.

        Raises
        ------
        UserError
            Where the folder is no session, holds no log, or holds a record that this program cannot read.
        """
        path = Path(path)
        info = read_info(path)
        log = path / LOG_NAME
        if not log.is_file():
            raise UserError(f"session {path}: no {LOG_NAME}; the run ended before its recorder began")
        gaps = LogGaps()
        by_kind: dict[type[Record], list[Any]] = {kind: [] for kind in TOPICS.values()}
        for message in iterate_log(log, gaps):
            try:
                record = decode(message.topic, message.payload)
            except msgspec.MsgspecError as error:
                raise UserError(
                    f"session {path}: {LOG_NAME} holds a record `{message.topic}` that this program cannot "
                    f"read ({error}); read it with the rt-pose that wrote it"
                ) from error
            if record is not None:
                by_kind[type(record)].append(record)
        for records in by_kind.values():
            records.sort(key=_log_time)
        ends = by_kind[End]
        return cls(
            path=path,
            info=info,
            cut=gaps.cut,
            frames=by_kind[CapturedFrame],
            truths=by_kind[Truth],
            observations=by_kind[Observation],
            tracks=by_kind[TrackRecord],
            controls=by_kind[ControlRecord],
            events=by_kind[EventRecord],
            commands=by_kind[CommandRecord],
            acks=by_kind[AckRecord],
            drops=by_kind[DropRecord],
            stats=by_kind[StatsRecord],
            end=ends[-1] if ends else None,
            notices=by_kind[NoticeRecord],
            edges=by_kind[EdgeRecord],
            sync=by_kind[SyncRecord],
            groups=by_kind[GroupRecord],
            tracks3d=by_kind[Track3DRecord],
            skipped=gaps.skipped,
        )

    @property
    def inputs(self) -> list[InputRecord]:
        """What the decisions were made from, in the order in which the loop took it."""
        inputs: list[InputRecord] = [*self.observations, *self.controls, *self.edges, *self.groups]
        return sorted(inputs, key=lambda record: record.seq)


@dataclass(slots=True)
class StampColumns:
    """Stamps of F observations, (F,) each, ns; NaN where a stamp is unknown or was never taken.

    float64 holds nanoseconds exactly up to 104 days after the host's start, and to 2 ns for a year.
    """

    t_exposure_ns: NDArray[np.float64]
    t_arrival_ns: NDArray[np.float64]
    t_scene_ns: NDArray[np.float64]
    stages: dict[str, NDArray[np.float64]]
    """(F,) each, by the names of `StageStamps`."""


def stamp_columns(observations: list[Observation]) -> StampColumns:
    """Collect the stamps of observations in columns.

    Parameters
    ----------
    observations
        F observations.

    Returns
    -------
    StampColumns
        Columns of shape (F,), ns.
    """
    stages = [[getattr(o.stages, name) for name in STAGES] for o in observations]
    table = np.array(stages, np.float64).reshape(-1, len(STAGES))
    table[table == 0] = np.nan
    exposure = [np.nan if o.stamps.t_exposure_ns is None else o.stamps.t_exposure_ns for o in observations]
    return StampColumns(
        t_exposure_ns=np.array(exposure, np.float64),
        t_arrival_ns=np.array([o.stamps.t_arrival_ns for o in observations], np.float64),
        t_scene_ns=np.array([o.stamps.t_scene_ns for o in observations], np.float64),
        stages={name: table[:, i] for i, name in enumerate(STAGES)},
    )


def read_info(path: Path) -> SessionInfo:
    """Read a session's own description.

    Parameters
    ----------
    path
        The session's folder.

    Returns
    -------
    SessionInfo
        The content of its `session.json`.

    Raises
    ------
    UserError
        Where the folder is no session, or its description is damaged or of another schema.
    """
    if not path.is_dir():
        raise UserError(f"session {path}: no such folder; `rt-pose run CONFIG --out {path}` writes one")
    file = path / INFO_NAME
    if not file.is_file():
        raise UserError(f"session {path}: no {INFO_NAME} in it; is this the folder of a session?")
    try:
        plain = json.loads(file.read_bytes())
        schema = plain["schema"] if isinstance(plain, dict) and "schema" in plain else None
        if schema != SCHEMA:
            raise UnknownVersionError(
                f"session {path}: {INFO_NAME} has schema {schema!r}, this program reads {SCHEMA}; "
                "use the rt-pose that wrote it"
            )
        info = msgspec.convert(plain, SessionInfo)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise UserError(f"session {path}: {INFO_NAME} is damaged: {error}") from error
    for name in (*info.cameras, *info.own_models, *info.views):  # files and exports are named after them
        if not is_plain_name(name):
            raise UserError(f"session {path}: {INFO_NAME}: {name!r} cannot be the name of a camera")
    if info.status == RUNNING and not is_locked(path):
        info.status = KILLED
    return info


def _log_time(record: Record) -> int:
    return record.t_ns
