"""`--from-video`: the network run again, on the session's own film, and the decisions that follow from it.

Exactly the frames that were decided on go through the loop's chain again, with their logged stamps and
judging times; frames that were superseded or lost stay left out. The film is compressed (H.264), so poses
move a little even with the same network: how far they moved is reported beside the events that differ. An
observed frame that was not filmed keeps its logged pose, and is counted; a network with context comes to the
next frame without having seen it.

Of several animals the detections have no order: each is compared with the one that lies where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from rt_pose.audit.matching import match_individuals
from rt_pose.audit.recompute import DecisionReplay, ReplaySetup
from rt_pose.audit.what_if import Comparison, compare
from rt_pose.config.schema import EngineConfig
from rt_pose.console import track
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.estimator import Estimator
from rt_pose.loop.camera_path import pose_of
from rt_pose.package import Package, read_package, take_rows
from rt_pose.records import ArrayData, Observation
from rt_pose.session.paths import places_of
from rt_pose.session.read import Session
from rt_pose.session.video_file import read_times, read_video
from rt_pose.types import FloatArray


@dataclass
class VideoReplay:
    """How far poses moved between the session and its film."""

    frames: int = 0
    """Frames that went through the network again."""
    not_filmed: int = 0
    """Frames that were decided on but are not in the film; their logged poses were taken."""
    median_px: float | None = None
    p99_px: float | None = None
    largest_px: float | None = None
    largest_at: str = ""
    """Camera, frame and keypoint of the largest difference."""
    only_once: int = 0
    """Keypoints that were confident only in the session or only from the film."""
    notes: list[str] = field(default_factory=list)
    """What else has changed: another package, another engine."""


def from_video(session: Session, model: str | None = None) -> tuple[Comparison, VideoReplay]:
    """Compare a session with the decisions that follow from its film.

    Parameters
    ----------
    session
        The session.
    model
        Folder of a model package, in place of the session's own.

    Returns
    -------
    tuple[Comparison, VideoReplay]
        The events that differ, and how far poses moved.

    Raises
    ------
    UserError
        Where a camera was not filmed, or the package cannot be had.
    """
    if session.info.own_models:
        raise UserError(
            f"session {session.path}: cameras {', '.join(session.info.own_models)} had models of their own; "
            "--from-video runs one network for all"
        )
    package, notes = _package(session, model)
    setup = ReplaySetup.of(session)
    estimator = _estimator(session, setup, package, notes)
    found: dict[int, Observation] = {}
    for camera in session.info.cameras:
        observations = [o for o in session.observations if o.camera == camera]
        found.update(_predict_again(session, camera, observations, estimator))
    moved = _compare_poses(session, found, setup.tracking.min_confidence)
    moved.notes = notes
    comparison = compare(
        session, DecisionReplay(setup), DecisionReplay(setup), lambda seen: found.get(seen.seq, seen)
    )
    return comparison, moved


def format_moved(moved: VideoReplay) -> Iterable[str]:
    """Format how far poses moved, in lines for people.

    Parameters
    ----------
    moved
        What `from_video` found.

    Yields
    ------
    str
        A line.
    """
    yield from moved.notes
    yield f"{moved.frames} frames of the film went through the network again"
    if moved.not_filmed:
        yield f"{moved.not_filmed} frames decided on are not in the film: their logged poses were taken"
    if moved.largest_px is None:
        yield "no keypoint was confident both times"
        return
    yield (
        f"largest pose difference {moved.largest_px:.3f} px ({moved.largest_at}); "
        f"median {moved.median_px:.3f}, P99 {moved.p99_px:.3f} px, of keypoints that were confident both "
        f"times; {moved.only_once} were confident once only"
    )


def _package(session: Session, model: str | None) -> tuple[Package, list[str]]:
    info = session.info
    package = read_package(model) if model else _own_package(session)
    if package.manifest.keypoints != info.package.keypoints:
        raise UserError(
            f"model package {package.path} finds {', '.join(package.manifest.keypoints)}; the session's "
            f"rules and filter are for {', '.join(info.package.keypoints)}"
        )
    if package.sha256 == info.package.sha256:
        return package, []
    return package, [f"another package than the session's: {package.path} ({package.sha256[:12]})"]


def _own_package(session: Session) -> Package:
    """The package that ran, wherever it is now; another one in its place where that cannot be found."""
    recorded, others, problem = session.info.package.path, [], None
    for place in places_of(session, recorded):
        try:
            package = read_package(place)
        except UserError as error:
            problem = problem or error
            continue
        if package.sha256 == session.info.package.sha256:
            return package
        others.append(package)
    if others:
        return others[0]
    raise problem or UserError(
        f"the session's model package {recorded} is not there any more; say where it is: --model FOLDER"
    )


def _estimator(session: Session, setup: ReplaySetup, package: Package, notes: list[str]) -> Estimator:
    """The chain as it ran: the very backend, precision and preprocessing that were chosen then."""
    asked, engine = setup.config.engine, session.info.engine
    ran: dict[str, Any] = {key: engine.get(key) for key in ("backend", "precision", "preprocess")}
    config = msgspec.convert(
        {**msgspec.to_builtins(asked), **{k: v for k, v in ran.items() if v}}, EngineConfig
    )
    # As many detections as the loop took of a frame; 0 for a package of one animal.
    several = setup.config.individual_count > 1 and session.observations
    detections = session.observations[0].xy.shape[0] if several else 0
    try:
        choice = choose_engine(package, config, detections)
    except UserError as error:
        choice = choose_engine(package, EngineConfig(), detections)
        notes.append(f"not the session's engine: {error}")
        notes.append(f"instead: {choice}")
    return choice.estimator


def _predict_again(
    session: Session, camera: str, observations: list[Observation], estimator: Estimator
) -> Iterator[tuple[int, Observation]]:
    """Each observation of a filmed frame by its seq, with the keypoints found in the film."""
    info = session.info.cameras[camera]
    times = read_times(session.path, camera)
    if times is None:
        raise UserError(
            f"session {session.path}: camera '{camera}' was not filmed, so there is nothing to look at; "
            "run with `record.video` on"
        )
    row_of_frame = {frame: row for row, frame in enumerate(times.frame.tolist())}
    wanted = {row_of_frame[o.stamps.index]: o for o in observations if o.stamps.index in row_of_frame}
    size = (info.height, info.width)
    film = read_video(session.path, camera, list(wanted), info.channels, size)
    context = estimator.new_context()
    for row, image in track(film, f"{camera}.mkv", len(wanted)):
        seen = wanted[row]
        stamps = seen.stamps
        context.advance_to(stamps.index, stamps.t_scene_ns, stamps.epoch, seen.window)
        pose = pose_of(camera, stamps, estimator.estimate(image, seen.window, context, info.offset_xy))
        yield (
            seen.seq,
            msgspec.structs.replace(
                seen,
                xy=ArrayData.of(pose.xy),
                cov=ArrayData.of(pose.cov),
                confidence=ArrayData.of(pose.confidence),
            ),
        )


def _compare_poses(session: Session, found: dict[int, Observation], min_confidence: float) -> VideoReplay:
    """How far confident keypoints lie from where they were."""
    pairs = [(o, found[o.seq]) for o in session.observations if o.seq in found]
    moved = VideoReplay(frames=len(pairs), not_filmed=len(session.observations) - len(pairs))
    if not pairs:
        return moved
    apart = np.stack([_distances(before, after, min_confidence) for before, after in pairs])  # (F, D, K)
    finite = apart[np.isfinite(apart)]
    confident = sum(int((seen.confidence.array() >= min_confidence).sum()) for pair in pairs for seen in pair)
    moved.only_once = confident - 2 * len(finite)
    if finite.size:
        moved.median_px, moved.p99_px = (float(v) for v in np.percentile(finite, [50, 99]))
        moved.largest_px = float(finite.max())
        f, _, k = np.unravel_index(int(np.nanargmax(apart)), apart.shape)
        seen = pairs[int(f)][0]
        name = session.info.package.keypoints[int(k)]
        moved.largest_at = f"{seen.camera}, frame {seen.stamps.index}, {name}"
    return moved


def _distances(before: Observation, after: Observation, min_confidence: float) -> FloatArray:
    """(D, K) px that each keypoint moved; NaN where it was not confident both times."""
    at, xy, confidence = before.xy.array(), after.xy.array(), after.confidence.array()
    if len(at) > 1:
        rows = match_individuals(xy, at, np.asarray(np.isfinite(at).all(axis=-1)))
        xy, confidence = take_rows(xy, rows, np.nan), take_rows(confidence, rows, 0.0)
    both = (before.confidence.array() >= min_confidence) & (confidence >= min_confidence)
    return np.where(both, np.linalg.norm(xy - at, axis=-1), np.nan)
