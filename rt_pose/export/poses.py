"""What is exported: the poses of one camera or one table, with their own times, and what fired.

Times are exposures, never frame numbers over a rate: frames are lost, and a session does not begin at zero. What
was not seen is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.errors import UserError, nearest
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.records import ArrayData, TrackRecord
from rt_pose.session.read import Session
from rt_pose.session.video_file import file_names
from rt_pose.types import FloatArray


@dataclass
class ExportedEvent:
    """An event, and what became of its stimulus."""

    t_s: float
    """Of the exposure that caused it, s from the first frame."""
    rule: str
    outcome: str
    reason: str
    probability: float
    """NaN for a rule that compares the mean."""
    value: float
    decision_ms: float
    """From the exposure to the decision."""
    stimulus_t_s: float
    """When its command was sent; NaN where none was."""
    stimulus_s: float
    """How long the stimulus lasts; 0 where it has no length."""
    output: str


@dataclass
class Poses:
    """F frames of K keypoints."""

    source: Path
    camera: str
    keypoints: list[str]
    skeleton: list[tuple[int, int]]
    """Bones, as pairs of keypoints' numbers."""
    frames: NDArray[np.int64]
    """(F,) the camera's own count, or the frame's number in its video."""
    t_s: FloatArray
    """(F,) s from the first frame."""
    xy: FloatArray
    """(F, K, 2) px; NaN where the keypoint was lost."""
    confidence: FloatArray
    """(F, K) 0..1."""
    covariance: FloatArray | None = None
    """(F, K, 3): sxx, sxy, syy, px^2."""
    velocity: FloatArray | None = None
    """(F, K, 2) px/s."""
    times: str = "exposure"
    """What `t_s` is: exposure, arrival (of a camera that tells no exposures) or frame rate."""
    start_utc_ns: int | None = None
    """Time of day of the first frame; None where it is not known."""
    size: tuple[int, int] | None = None
    """Width and height of a frame, px."""
    video: Path | None = None
    events: list[ExportedEvent] = field(default_factory=list)
    session: Session | None = None
    """Where the poses are a session's."""

    @property
    def rate_hz(self) -> float:
        """Median frame rate."""
        steps = np.diff(self.t_s)
        return float(1.0 / np.median(steps)) if steps.size and np.median(steps) > 0 else 0.0


def poses_of_session(session: Session, camera: str = "") -> Poses:
    """Collect the tracks of a camera.

    Parameters
    ----------
    session
        The session.
    camera
        Its camera; may be left out where it has one.

    Returns
    -------
    Poses
        One row a decided frame.

    Raises
    ------
    UserError
        Where the session has several cameras and none is named, or nothing was observed.
    """
    camera = _one_camera(session, camera)
    pairs = [
        (seen, track)
        for seen, track in _with_tracks(session)
        if seen.camera == camera and len(track.xy.shape) == 3
    ]
    if not pairs:
        raise UserError(f"session {session.path}: nothing was observed with camera '{camera}'")
    known = all(seen.stamps.t_exposure_ns is not None for seen, _ in pairs)
    times = np.array(
        [seen.stamps.t_exposure_ns if known else seen.stamps.t_arrival_ns for seen, _ in pairs], np.int64
    )
    info = session.info
    keypoints = info.package.keypoints
    film = session.path / file_names(camera)[0]
    poses = Poses(
        source=session.path,
        camera=camera,
        keypoints=keypoints,
        skeleton=[(keypoints.index(a), keypoints.index(b)) for a, b in info.package.skeleton],
        frames=np.array([seen.stamps.index for seen, _ in pairs], np.int64),
        t_s=(times - times[0]) / NS_PER_S,
        xy=_stack([track.xy for _, track in pairs])[:, 0],
        confidence=_stack([seen.confidence for seen, _ in pairs])[:, 0],
        covariance=_stack([track.cov for _, track in pairs])[:, 0][..., [0, 0, 1], [0, 1, 1]],
        velocity=_stack([track.velocity for _, track in pairs])[:, 0],
        times="exposure" if known else "arrival",
        start_utc_ns=_utc_ns(session, int(times[0])),
        size=(info.cameras[camera].width, info.cameras[camera].height),
        video=film if film.is_file() else None,
        session=session,
    )
    lost = np.array([track.lost for _, track in pairs], bool).reshape(len(pairs), -1, len(keypoints))[:, 0]
    poses.xy[lost] = np.nan
    poses.events = _events(session, camera, int(times[0]))
    return poses


def poses_of_table(path: Path, fps: float | None) -> Poses:
    """Read a table of predictions.

    Parameters
    ----------
    path
        A CSV or HDF of predictions.
    fps
        Frames a second of its video; a table has no times.

    Returns
    -------
    Poses
        One row a row.

    Raises
    ------
    UserError
        Where it cannot be read, or no rate is given.
    """
    table = read_predictions(path)
    if fps is None or not 0.01 <= fps <= 1e5:
        raise UserError(f"{path}: a table has no times; say the rate of its video with --fps")
    try:
        frames = np.array([int(cell) for cell in table.frames], np.int64)
    except ValueError as error:
        raise UserError(f"{path}: its first column should hold frame numbers: {error}") from error
    return Poses(
        path, "", table.keypoints, [], frames, frames / fps, table.xy, table.likelihood, times="frame rate"
    )


def _with_tracks(session: Session) -> list[tuple[Any, TrackRecord]]:
    tracks = {track.seq: track for track in session.tracks}
    return [(seen, tracks[seen.seq]) for seen in session.observations if seen.seq in tracks]


def _one_camera(session: Session, camera: str) -> str:
    names = list(session.info.cameras)
    if camera and camera not in names:
        raise UserError(f"--camera {camera}: the session has {', '.join(names)}{nearest(camera, names)}")
    if not camera and len(names) != 1:
        raise UserError(f"session {session.path}: it has the cameras {', '.join(names)}; say which with --camera")
    return camera or names[0]


def _stack(arrays: list[ArrayData]) -> FloatArray:
    return np.stack([array.array() for array in arrays])


def _utc_ns(session: Session, t_mono_ns: int) -> int | None:
    """Time of day of a moment of the host's clock, by the session's first anchor."""
    if not session.info.anchors:
        return None
    anchor = session.info.anchors[0]
    return t_mono_ns - anchor.t_mono_ns + anchor.t_utc_ns


def _events(session: Session, camera: str, zero_ns: int) -> list[ExportedEvent]:
    commands = {record.command.event_id: record.command for record in session.commands if record.accepted}
    sent = {record.ack.command_id: record.ack for record in session.acks}
    found = []
    for record in session.events:
        event = record.event
        if event.camera != camera:
            continue
        command = commands.get(event.id)
        ack = None if command is None else sent.get(command.id)
        went_ns = None if ack is None else ack.t_sent_ns
        found.append(
            ExportedEvent(
                t_s=(event.t_cause_ns - zero_ns) / NS_PER_S,
                rule=event.rule,
                outcome=event.outcome,
                reason=event.reason,
                probability=np.nan if event.probability is None else event.probability,
                value=event.value,
                decision_ms=(event.t_judged_ns - event.t_cause_ns) / 1e6,
                stimulus_t_s=np.nan if went_ns is None else (went_ns - zero_ns) / NS_PER_S,
                stimulus_s=0.0 if command is None else command.duration_us / 1e6,
                output="" if command is None else command.output,
            )
        )
    return found
