"""What is exported: the poses of each camera with their own times, what fired, and where the pictures are.

Times are exposures, never frame numbers over a rate: frames are lost, and a session does not begin at zero.
What was not seen is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.errors import UserError, nearest
from rt_pose.export.events import RuleEvent, Stimulus, rule_events, stimuli
from rt_pose.export.spatial import SpatialPoses, spatial_poses
from rt_pose.export.times import exposure_times, first_ns, utc_ns
from rt_pose.records import ArrayData, Observation, TrackRecord
from rt_pose.session.frame_numbers import NOT_IN_VIDEO, number_frames
from rt_pose.session.individuals import identity_probabilities, individuals_of, slot_confidence
from rt_pose.session.read import STAGES, Session, stamp_columns
from rt_pose.session.video_file import UNKNOWN, file_names, read_times
from rt_pose.types import FloatArray


@dataclass
class Pictures:
    """The pictures of a camera, P frames of a film."""

    path: Path
    t_s: FloatArray
    """(P,) on the time base of the poses."""
    row: NDArray[np.int64]
    """(P,) row of the poses; -1 where there is none."""


@dataclass
class Poses:
    """F frames of N individuals with K keypoints, of one camera."""

    camera: str
    """Its name; empty for a file of predictions."""
    keypoints: list[str]
    skeleton: list[tuple[int, int]]
    """Bones, as pairs of keypoints' numbers."""
    frames: NDArray[np.int64]
    """(F,) the camera's own count."""
    numbers: NDArray[np.int64]
    """(F,) the frame's number in `video`, `NOT_IN_VIDEO` where that does not hold it."""
    t_s: FloatArray
    """(F,) s from the recording's first frame, ascending."""
    xy: FloatArray
    """(F, N, K, 2) px of the pictures; NaN where the keypoint was lost, and in an empty slot."""
    confidence: FloatArray
    """(F, N, K) 0..1; NaN of an individual that was not seen, where there are several."""
    individuals: list[str] = field(default_factory=lambda: [""])
    """N names; an empty one where there is one."""
    identity_p: FloatArray | None = None
    """(F, N) probability that a slot still holds who it held at its birth; NaN where it is empty."""
    covariance: FloatArray | None = None
    """(F, N, K, 3): sxx, sxy, syy, px^2."""
    velocity: FloatArray | None = None
    """(F, N, K, 2) px/s."""
    latency_s: FloatArray | None = None
    """(F, stages) from the exposure to the end of each of `STAGES`; NaN where it did not get there."""
    times: str = "exposure"
    """What `t_s` is."""
    size: tuple[int, int] | None = None
    """Width and height of a frame, px."""
    offset_xy: tuple[int, int] = (0, 0)
    """Place of its top-left pixel on the sensor, px."""
    video: Path | None = None
    """In which other programs number the frames."""
    video_frames: int | None = None
    """How many frames it has; None where that is not known."""
    where: str = ""
    """What `numbers` count, in words."""
    pictures: Pictures | None = None
    untracked: int = 0
    """Observations of the camera that have no track, and therefore no row."""
    same_time: int = 0
    """Observations at the very time of another one: the first of them counts."""

    @property
    def unnumbered(self) -> int:
        """How many of its frames the video does not hold."""
        return int((self.numbers == NOT_IN_VIDEO).sum())

    @property
    def rate_hz(self) -> float:
        """Median frame rate; 30 where there is one frame."""
        steps = np.diff(self.t_s)
        return float(1.0 / np.median(steps)) if steps.size and np.median(steps) > 0 else 30.0


@dataclass
class Recording:
    """A session, or a file of predictions, as it is exported."""

    source: Path
    cameras: list[Poses]
    events: list[RuleEvent] = field(default_factory=list)
    stimuli: list[Stimulus] = field(default_factory=list)
    start_utc_ns: int | None = None
    """Time of day at which all times begin; None where it is not known."""
    session: Session | None = None
    other_cameras: list[str] = field(default_factory=list)
    """Cameras of the session that were not asked for."""
    other_events: int = 0
    """Events of those cameras."""
    other_group_events: int = 0
    """Events of groups that were not asked for."""
    unnumbered_rows: int = 0
    """Rows of a file of predictions that were left out, since they are no frame of its video."""
    spatial: list[SpatialPoses] = field(default_factory=list)
    """Tracks in space, of groups of cameras; of several animals one after the other."""
    other_groups: list[str] = field(default_factory=list)
    """Groups of the session that were not asked for."""
    without_tracks: list[str] = field(default_factory=list)
    """Groups that were asked for and have placed nothing."""


def recording_of_session(session: Session, cameras: Sequence[str], groups: Sequence[str] = ()) -> Recording:
    """Collect what a session recorded.

    Parameters
    ----------
    session
        The session.
    cameras
        Names of the cameras.
    groups
        Names of groups of cameras whose tracks in space are exported.

    Returns
    -------
    Recording
        A row for each frame that was decided on, by a camera or in space.

    Raises
    ------
    UserError
        Where there is no such camera, or nothing was observed.
    """
    names = list(session.info.cameras)
    for camera in cameras:
        if camera not in names:
            known = [*names, *session.info.views]
            raise UserError(f"--camera {camera}: the session has {', '.join(known)}{nearest(camera, known)}")
    rows = {camera: _observed(session, camera) for camera in cameras}
    times = {camera: exposure_times([seen.stamps for seen, _ in pairs]) for camera, pairs in rows.items()}
    zero_ns = first_ns(session)
    events = rule_events(session, zero_ns)
    placed = {group: spatial_poses(session, group, zero_ns) for group in groups}
    chosen = {*cameras, *groups}
    return Recording(
        source=session.path,
        cameras=[_poses(session, camera, rows[camera], *times[camera], zero_ns) for camera in cameras],
        events=[event for event in events if event.camera in chosen],
        stimuli=stimuli(session, zero_ns),
        start_utc_ns=utc_ns(session, zero_ns),
        session=session,
        other_cameras=[name for name in names if name not in cameras],
        other_events=sum(event.camera not in {*chosen, *session.info.views} for event in events),
        other_group_events=sum(event.camera in {*session.info.views} - chosen for event in events),
        spatial=[poses for animals in placed.values() for poses in animals],
        other_groups=[name for name in session.info.views if name not in groups],
        without_tracks=[name for name, animals in placed.items() if not animals],
    )


Pair = tuple[Observation, TrackRecord]


def _observed(session: Session, camera: str) -> list[Pair]:
    """Observations and their tracks."""
    tracks = {track.seq: track for track in session.tracks}
    pairs = [
        (seen, tracks[seen.seq])
        for seen in session.observations
        if seen.camera == camera and seen.seq in tracks
    ]
    if not pairs:
        raise UserError(f"session {session.path}: nothing was observed with camera '{camera}'")
    return pairs


def _poses(
    session: Session, camera: str, pairs: list[Pair], t_ns: NDArray[np.int64], times: str, zero_ns: int
) -> Poses:
    order = np.argsort(t_ns, kind="stable")
    # Of frames at the very same time the first counts: no format takes two.
    order = order[np.diff(t_ns[order], prepend=t_ns[order[0]] - 1) > 0]
    same_time = len(pairs) - len(order)
    pairs, t_ns = [pairs[i] for i in order], t_ns[order]
    seen, tracks = [seen for seen, _ in pairs], [track for _, track in pairs]
    info, own = session.info, session.info.cameras[camera]
    keypoints = info.package.keypoints
    numbers = number_frames(session, camera)
    stages = stamp_columns(seen).stages
    poses = Poses(
        camera=camera,
        keypoints=keypoints,
        skeleton=[(keypoints.index(a), keypoints.index(b)) for a, b in info.package.skeleton],
        frames=np.array([one.stamps.index for one in seen], np.int64),
        numbers=np.array([numbers.of(one.stamps) for one in seen], np.int64),
        t_s=(t_ns - zero_ns) / NS_PER_S,
        xy=_stack([track.xy for track in tracks]) - np.array(own.offset_xy),
        individuals=individuals_of(session),
        identity_p=identity_probabilities(tracks),
        confidence=np.stack([slot_confidence(*pair) for pair in pairs]),
        covariance=_stack([track.cov for track in tracks])[..., [0, 0, 1], [0, 1, 1]],
        velocity=_stack([track.velocity for track in tracks]),
        latency_s=np.stack([(stages[name] - t_ns) / NS_PER_S for name in STAGES], axis=-1),
        times=times,
        size=(own.width, own.height),
        offset_xy=own.offset_xy,
        video=numbers.video,
        video_frames=numbers.frames,
        where=numbers.where,
        pictures=_pictures(session, camera, seen, t_ns, zero_ns),
        untracked=sum(one.camera == camera for one in session.observations) - len(seen) - same_time,
        same_time=same_time,
    )
    lost = np.array([track.lost for track in tracks], bool).reshape(poses.confidence.shape)
    for values in (poses.xy, poses.covariance, poses.velocity):
        if values is not None:
            values[lost] = np.nan
    return poses


def _pictures(
    session: Session, camera: str, seen: list[Observation], t_ns: NDArray[np.int64], zero_ns: int
) -> Pictures | None:
    """The film and, of each of its frames, the time and the row of its pose."""
    film, table = session.path / file_names(camera)[0], read_times(session.path, camera)
    if table is None or not film.is_file() or not len(table.frame):
        return None
    row_of = {(one.stamps.index, one.stamps.t_arrival_ns): row for row, one in enumerate(seen)}
    keys = zip(table.frame.tolist(), table.t_arrival_ns.tolist(), strict=True)
    row = np.array([row_of.get(key, -1) for key in keys], np.int64)
    known = table.t_exposure_ns != UNKNOWN
    times = np.where(known, table.t_exposure_ns, table.t_arrival_ns)
    times = np.where(row >= 0, t_ns[row], times)
    return Pictures(film, (times - zero_ns) / NS_PER_S, row)


def _stack(arrays: list[ArrayData]) -> FloatArray:
    """(F, N, K, ...)."""
    return np.stack([array.array() for array in arrays])


def held_rows(poses: Poses) -> NDArray[np.int64]:
    """Find the rows that the video holds.

    Parameters
    ----------
    poses
        The poses.

    Returns
    -------
    NDArray[np.int64]
        Their places among the rows.

    Raises
    ------
    UserError
        Where it holds none.
    """
    held = np.flatnonzero(poses.numbers != NOT_IN_VIDEO)
    if not held.size:
        raise UserError(f"camera '{poses.camera}': none of its poses is of the {poses.where}")
    return held


def spread(values: NDArray[Any], poses: Poses) -> NDArray[Any]:
    """Spread rows over all frames of the video.

    Parameters
    ----------
    values
        (F, ...).
    poses
        The poses.

    Returns
    -------
    NDArray
        (frames of the video, ...), NaN where there is no pose; up to the last pose where it is not known how
        many frames the video has.
    """
    held = held_rows(poses)
    frames = max(poses.video_frames or 0, int(poses.numbers.max()) + 1)
    out = np.full((frames, *values.shape[1:]), np.nan)
    out[poses.numbers[held]] = values[held]
    return out
