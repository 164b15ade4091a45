"""Frames of recorded sessions that are worth labeling: where the model that ran had trouble."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from rt_pose.audit.recompute import ReplaySetup
from rt_pose.errors import UserError
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.estimator import concatenate
from rt_pose.labeling.animal_points import AnimalPoints
from rt_pose.labeling.choose_frames import Score, appearance_of, choose
from rt_pose.labeling.pick_frames import PickedFrame, indices_there, write_image
from rt_pose.labeling.propose import implausibility, proposals_of, uncertainty
from rt_pose.package import UNMATCHED, take_rows
from rt_pose.records import Observation, TrackRecord
from rt_pose.session.individuals import individuals_of
from rt_pose.session.read import Session
from rt_pose.session.video_file import read_times, read_video
from rt_pose.tracking.individuals import Tracker
from rt_pose.types import FloatArray, Pose
from rt_pose.video import VideoInfo
from train.data.sample_frames import spread_indices
from train.data.tables import IMAGE_FOLDER

_LOG = logging.getLogger(__name__)
MOST_INFLATION = 1e9
"""Beyond it one frame is not more unexpected than another."""
POOL = 5
"""Frames that are decoded for each one that is picked: the highest of each score, and as many of all."""


@dataclass
class FilmedObservations:
    """What the model saw in the frames of one camera's film. F frames, K keypoints."""

    camera: str
    frames: list[int]
    """Indices of the camera's frames."""
    rows: list[int]
    """Their rows in the film."""
    found: Keypoints[FloatArray]
    """(F, K), of several animals (F, N, K) in their slots, px of the frame."""
    surprise: FloatArray
    """(F,) see `surprises`."""


def pick_session_frames(
    sessions: Sequence[Session], folder: Path, known: Sequence[str], count: int, points: AnimalPoints
) -> list[PickedFrame]:
    """Pick frames of films and write their images, until the folder has as many of them as asked for.

    Parameters
    ----------
    sessions
        Recorded sessions, whose films share the frames evenly.
    folder
        Where labeled-data is.
    known
        Paths of the images that the folder has.
    count
        Frames in all, those that are there included.
    points
        The animals and keypoints that are labeled.

    Returns
    -------
    list of PickedFrame
        With why each is worth it, and what the model found in it.

    Raises
    ------
    UserError
        Where a session has no film, or an image cannot be written.
    """
    films = [(session, camera) for session in sessions for camera in session.info.cameras]
    picked: list[PickedFrame] = []
    for number, (session, camera) in enumerate(films):
        name = film_name(session, camera)
        there = indices_there(known, name)
        wanted = count // len(films) + (number < count % len(films)) - len(there)
        if wanted > 0:
            fresh = _pick(session, camera, folder, there, wanted, points)
            _LOG.info(f"{session.path}, {camera}: {len(fresh)} frames picked")
            picked += fresh
    return picked


def film_name(session: Session, camera: str) -> str:
    """Name the folder of a film's frames.

    Parameters
    ----------
    session
        The session.
    camera
        Name of the camera.

    Returns
    -------
    str
        Of session and camera.

    Raises
    ------
    UserError
        Where the camera's name would lead out of the folder.
    """
    if camera in ("", ".", "..") or "/" in camera or "\\" in camera:
        raise UserError(
            f"session {session.path}: {camera!r} is no name of a camera; its session.json was changed"
        )
    return f"{session.path.resolve().name}-{camera}"


def films_of(sessions: Sequence[Session]) -> list[VideoInfo]:
    """Describe the films of sessions as a DeepLabCut project lists videos.

    Parameters
    ----------
    sessions
        The sessions.

    Returns
    -------
    list of VideoInfo
        Each called as the folder of its frames is: by this name DeepLabCut finds the labels, and it asks for
        no file of it.
    """
    return [
        VideoInfo(
            session.path.resolve() / f"{film_name(session, name)}.mkv",
            camera.width,
            camera.height,
            1 if camera.channels == 1 else 3,
            camera.rate_hz or 0.0,
            0,
            0.0,
        )
        for session in sessions
        for name, camera in session.info.cameras.items()
    ]


def surprises(observations: Sequence[Observation], tracker: Tracker) -> FloatArray:
    """Score frames by how little the filter expected them.

    Parameters
    ----------
    observations
        Of F frames, in the order in which they were decided on.
    tracker
        A tracker that has seen nothing yet.

    Returns
    -------
    FloatArray
        (F,) logarithm of the factor by which the filter widened a measurement's noise beyond its gate; the
        largest of the keypoints. 0 where all were inside the gate.
    """
    scores = np.zeros(len(observations))
    for i, seen in enumerate(observations):
        tracker.step(
            Pose(seen.camera, seen.stamps, seen.xy.array(), seen.cov.array(), seen.confidence.array())
        )
        scores[i] = np.log(min(float(np.nanmax(tracker.inflation, initial=1.0)), MOST_INFLATION))
    return scores


def read_filmed(session: Session, camera: str) -> FilmedObservations:
    """Read what the model saw in the frames of a film.

    Parameters
    ----------
    session
        The session.
    camera
        Name of the camera.

    Returns
    -------
    FilmedObservations
        Frames that were decided on and filmed.

    Raises
    ------
    UserError
        Where there is no film, or no such frame.
    """
    times = read_times(session.path, camera)
    if times is None:
        raise UserError(
            f"session {session.path}: camera '{camera}' was not filmed; run with `record.video` on"
        )
    row_of = times.rows_by_arrival()
    observations = [seen for seen in session.observations if seen.camera == camera]
    if not any(seen.stamps.t_arrival_ns in row_of for seen in observations):
        raise UserError(
            f"session {session.path}: no frame of camera '{camera}' was both decided on and filmed"
        )
    score = surprises(observations, ReplaySetup.of(session).tracker_of(camera))
    kept = [i for i, seen in enumerate(observations) if seen.stamps.t_arrival_ns in row_of]
    offset = np.array(session.info.cameras[camera].offset_xy, float)
    shown = [observations[i] for i in kept]
    tracks = {track.seq: track for track in session.tracks}
    slots = len(individuals_of(session))
    own = concatenate([_by_slot(seen, tracks.get(seen.seq), slots) for seen in shown])
    found = own._replace(xy=own.xy - offset)
    frames = [seen.stamps.index for seen in shown]
    rows = [row_of[seen.stamps.t_arrival_ns] for seen in shown]
    return FilmedObservations(camera, frames, rows, found, score[kept])


def _by_slot(seen: Observation, track: TrackRecord | None, slots: int) -> Keypoints[FloatArray]:
    """Keypoints (1, K); of several animals (1, N, K) as the run assigned them to its slots."""
    found = Keypoints(seen.xy.array(), seen.cov.array(), seen.confidence.array())
    if slots == 1:
        return found
    rows = np.full(slots, UNMATCHED, np.intp)
    if track is not None and len(track.detection) == slots:
        rows[:] = track.detection
    rows[rows >= len(found.xy)] = UNMATCHED
    parts = (take_rows(part, rows, blank) for part, blank in zip(found, (np.nan, np.nan, 0.0), strict=True))
    return Keypoints(*(part[None] for part in parts))


def _names(session: Session, points: AnimalPoints) -> list[str]:
    """Names of the points that a session's slots are proposed for: by name, where those are the same."""
    keypoints, slots = session.info.package.keypoints, individuals_of(session)
    if len(slots) == 1:
        return points.names_of(keypoints)
    animals = slots if set(slots) <= set(points.animals) else points.animals[: len(slots)]
    return [points.name(animal, keypoint) for animal in animals for keypoint in keypoints]


def _pick(
    session: Session, camera: str, folder: Path, there: list[int], wanted: int, points: AnimalPoints
) -> list[PickedFrame]:
    name, filmed = film_name(session, camera), read_filmed(session, camera)
    tracking = ReplaySetup.of(session).tracking_of(camera)
    on_sensor = filmed.found._replace(xy=filmed.found.xy + session.info.cameras[camera].offset_xy)
    far = implausibility(on_sensor, tracking.subspaces, tracking.min_confidence)
    unsure = uncertainty(filmed.found)
    scores = (
        Score(filmed.surprise, "unexpected: the filter widened the noise {:.1f} e-fold"),
        Score(far, "implausible: {:.1f} standard deviations from usual poses"),
        Score(unsure, "uncertain: {:.0%} of the confidence is missing"),
    )
    pool = _pool([score.values for score in scores], filmed.frames, there, wanted)
    info = session.info.cameras[camera]
    at = {filmed.rows[i]: i for i in pool}
    size = (info.height, info.width)
    images = {
        at[row]: image for row, image in read_video(session.path, camera, list(at), info.channels, size)
    }
    kept = list(images)
    appearance = np.stack([appearance_of(image) for image in images.values()])
    taken = np.array([filmed.frames[i] in there for i in kept])
    chosen = choose([score.of(kept) for score in scores], appearance, taken, wanted)
    names, picked = _names(session, points), []
    for place, reason in sorted(chosen.items()):
        i = kept[place]
        path = str(PurePosixPath(IMAGE_FOLDER, name, f"img{filmed.frames[i]:08d}.png"))
        write_image(folder / path, images[i])
        one = Keypoints(filmed.found.xy[i], filmed.found.cov[i], filmed.found.confidence[i])
        proposed = proposals_of(one, names, tracking.min_confidence)
        picked.append(PickedFrame(path, reason, proposed))
    return picked


def _pool(scores: Sequence[FloatArray], frames: list[int], there: list[int], wanted: int) -> list[int]:
    """Frames that are decoded: those that score high, some of all, and those that the folder has."""
    pool = set(spread_indices(len(frames), POOL * wanted))
    for score in scores:
        pool.update(np.argsort(-score, kind="stable")[: POOL * wanted].tolist())
    known = set(there)
    return sorted(pool | {i for i, frame in enumerate(frames) if frame in known})
