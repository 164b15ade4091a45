"""From the options of `rt-pose label` to frames, their labels, and what is shown beside them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rt_pose.clock import Clock
from rt_pose.console import track
from rt_pose.errors import UserError
from rt_pose.extras import installed, remedy
from rt_pose.image_file import read_image
from rt_pose.labeling.animal_points import AnimalPoints, check_distinct
from rt_pose.labeling.create_folder import Layout, add_videos, create_folder
from rt_pose.labeling.editor import LabelEditor
from rt_pose.labeling.label_folder import LabelFolder, check_keypoints, frames_of, open_folder
from rt_pose.labeling.label_record import FrameNote, LabelRecord, left_open, read_record, write_record
from rt_pose.labeling.label_store import FolderStore
from rt_pose.labeling.label_task import LabelTask
from rt_pose.labeling.pick_frames import check_recordings, pick_frames
from rt_pose.labeling.propose import ProposalModel
from rt_pose.labeling.review import Review, read_review
from rt_pose.labeling.session_frames import film_name, films_of, pick_session_frames
from rt_pose.rules.keypoint_name import individual_names
from rt_pose.session.individuals import individuals_of
from rt_pose.session.read import Session
from rt_pose.video import VideoInfo

_LOG = logging.getLogger(__name__)
MOST_MISSING = 5
"""Missing images that are named."""


@dataclass
class LabelOptions:
    """What to label, where, and with whose help."""

    out: Path
    videos: list[Path] = field(default_factory=list)
    sessions: list[Path] = field(default_factory=list)
    """Recorded sessions, whose films frames are picked from too."""
    model: str = ""
    frames: int = 40
    keypoints: list[str] = field(default_factory=list)
    skeleton: list[list[str]] = field(default_factory=list)
    layout: Layout = "deeplabcut"
    labels: str = ""
    scorer: str = ""
    individuals: int | list[str] = 0
    """How many animals, or their names; 0: as many as the folder, the model or the session has."""
    review: str = ""
    worst: int = 30


def prepare(options: LabelOptions, clock: Clock) -> LabelTask:
    """Open or make the folder, and pick frames where it has too few.

    Parameters
    ----------
    options
        What to label.
    clock
        For dates.

    Returns
    -------
    LabelTask
        What a window needs.

    Raises
    ------
    UserError
        Where something cannot be read or written, keypoints are not known, or no frame is there.
    """
    infos = check_recordings(options.videos)
    model = ProposalModel(options.model, _asked(options)) if options.model else None
    if model is not None:
        for info in infos:
            model.check_size(info.width, info.height, info.path.name)
    sessions = [Session.read(path) for path in options.sessions]
    _check_sources(read_record(options.out), options.out, infos, sessions)  # before anything is written
    opened = _opened(options, infos, model, sessions, clock)
    if opened.is_project and not installed("h5py"):
        _LOG.warning(f"no .h5 for DeepLabCut is written beside the CSVs: needs h5py; `{remedy('train')}`")
    record = _picked(options, infos, sessions, opened, model)
    names = _names(opened, record)
    if model is not None:
        _propose(opened, record, names, model)
    for line in left_open(record, names):
        _LOG.info(line)
    store = FolderStore(opened, record, options.scorer, clock)
    if options.sessions:
        folders = {film_name(session, camera) for session in sessions for camera in session.info.cameras}
        names = [name for name in names if PurePosixPath(name).parent.name in folders]
    review = _review(options, opened, names) if options.review else None
    shown = review.names if review is not None else names
    return LabelTask(opened, LabelEditor(shown, opened.points, store), store, options.scorer, review)


def _opened(
    options: LabelOptions,
    infos: Sequence[VideoInfo],
    model: ProposalModel | None,
    sessions: Sequence[Session],
    clock: Clock,
) -> LabelFolder:
    """The folder, which is made where there is none."""
    opened = open_folder(options.out, options.labels)
    points, skeleton = _points(options, model, sessions) if opened is None else (opened.points, [])
    _check_options(options, points)
    every = [*infos, *films_of(sessions)]
    _check_sessions(sessions, points)
    if model is not None:
        model.label_for(points)
    if opened is None:
        opened = create_folder(options.out, options.layout, points, skeleton, options.scorer, clock, every)
    else:
        check_distinct(points, f"--out {options.out}")
        if opened.is_project:
            add_videos(options.out, every)
    opened.scorer = opened.scorer or options.scorer
    bones = model.skeleton if model is not None else []
    own = [bone for bone in bones if set(bone) <= set(opened.points.keypoints)]
    opened.skeleton = opened.skeleton or options.skeleton or own
    return opened


def _check_options(options: LabelOptions, points: AnimalPoints) -> None:
    """Refuse names that are not those of the folder, which keeps its own."""
    if options.keypoints and options.keypoints != points.keypoints:
        raise UserError(
            f"--keypoints: {options.out} has {', '.join(points.keypoints)}; leave the option out or change "
            "--out"
        )
    wanted, animals = options.individuals, points.animals
    count = max(len(animals), 1)
    if wanted and (wanted != count if isinstance(wanted, int) else wanted != animals):
        raise UserError(
            f"--individuals: {options.out} has {', '.join(animals) or 'one animal'}; leave the option out or "
            "change --out"
        )
    check_keypoints(points.keypoints, options.skeleton)


def check_new(options: LabelOptions) -> None:
    """Check that a new folder can be begun.

    Parameters
    ----------
    options
        What to label.

    Raises
    ------
    UserError
        Where no recording or no keypoints are given.
    """
    if options.review:
        raise UserError(f"--out {options.out}: holds no labels to review; give the folder that was evaluated")
    if not options.videos and not options.sessions:
        raise UserError(f"--out {options.out}: holds no labels; name videos to pick frames from")
    if not options.keypoints and not options.model and not options.sessions:
        raise UserError(
            "label: name the keypoints of a new folder, such as --keypoints nose ear_left ear_right tail_base"
        )


def _asked(options: LabelOptions) -> int:
    """How many animals are asked for; 1 where nothing is said."""
    wanted = options.individuals
    return max(wanted, 1) if isinstance(wanted, int) else len(wanted)


def _points(
    options: LabelOptions, model: ProposalModel | None, sessions: Sequence[Session]
) -> tuple[AnimalPoints, list[list[str]]]:
    """Animals, keypoints and skeleton of a new folder."""
    check_new(options)
    animals = _animals(options, model, sessions)
    if options.keypoints:
        return AnimalPoints(options.keypoints, animals), options.skeleton
    if model is not None:
        return AnimalPoints(model.keypoints, animals), options.skeleton or model.skeleton
    package = sessions[0].info.package
    skeleton = options.skeleton or [list(bone) for bone in package.skeleton]
    return AnimalPoints(package.keypoints, animals), skeleton


def _animals(options: LabelOptions, model: ProposalModel | None, sessions: Sequence[Session]) -> list[str]:
    """Names of the animals of a new folder; none where it is of one."""
    wanted: int | list[str] = options.individuals
    if not wanted and model is not None:
        wanted = model.individuals
    elif not wanted and sessions:
        wanted = individuals_of(sessions[0])
    names = list(individual_names(wanted))
    return names if len(names) > 1 else []


def _check_sessions(sessions: Sequence[Session], points: AnimalPoints) -> None:
    for session in sessions:
        found, keypoints = session.info.package.keypoints, points.keypoints
        if not set(found) & set(keypoints):
            raise UserError(
                f"session {session.path}: its model finds {', '.join(found)}; labeled are "
                f"{', '.join(keypoints)}; give the folder of this animal as --out"
            )
        count, labeled = len(individuals_of(session)), max(len(points.animals), 1)
        if count > labeled or (count == 1 and labeled > 1):
            raise UserError(
                f"session {session.path}: {count} animal{'s' * (count > 1)}, labels are of {labeled}: give "
                "the folder of these animals as --out, or label its film, `rt-pose label FILM`"
            )


def _picked(
    options: LabelOptions,
    infos: Sequence[VideoInfo],
    sessions: Sequence[Session],
    opened: LabelFolder,
    model: ProposalModel | None,
) -> LabelRecord:
    """The folder's record, with frames that were picked now."""
    record = read_record(options.out)
    record.keypoints, record.skeleton = opened.points.keypoints, opened.skeleton
    record.animals = opened.points.animals if opened.points.several else []
    before = dict(record.sources)
    _check_sources(record, options.out, infos, sessions)
    known, _ = frames_of(opened, record.frames)
    picked = pick_frames(infos, options.out, known, options.frames, model)
    picked += pick_session_frames(sessions, options.out, known, options.frames, opened.points)
    for frame in picked:
        record.frames[frame.name] = FrameNote(reason=frame.reason, proposed=frame.proposed)
    if picked or record.sources != before:
        write_record(options.out, record)
    return record


def _check_sources(
    record: LabelRecord, out: Path, infos: Sequence[VideoInfo], sessions: Sequence[Session]
) -> None:
    """Note which recording each folder of images is of; UserError where two would share one."""
    wanted = [(i.path.stem, f"a video of {i.frames} frames of {i.width}x{i.height}") for i in infos]
    wanted += [(film_name(s, camera), f"session {s.info.id}") for s in sessions for camera in s.info.cameras]
    for folder, source in wanted:
        other = record.sources.setdefault(folder, source)
        if other != source or [name for name, _ in wanted].count(folder) > 1:
            raise UserError(
                f"--out {out}: labeled-data/{folder} would hold frames of several recordings ({other}, and "
                f"{source}); rename one of these, or give another --out"
            )


def _propose(opened: LabelFolder, record: LabelRecord, names: Sequence[str], model: ProposalModel) -> None:
    """Propose places in frames that nobody has labeled, where they have none yet."""
    notes = {name: record.frames.get(name, FrameNote()) for name in names if name not in opened.rows}
    wanted = [name for name, note in notes.items() if not note.by and not note.proposed]
    video, propose = "", model.proposer()
    for name in track(wanted, "proposals"):
        if PurePosixPath(name).parent.name != video:
            video, propose = PurePosixPath(name).parent.name, model.proposer()
        image = read_image(opened.image(name))
        if image is not None:
            notes[name].proposed = propose(image)
            record.frames[name] = notes[name]
    if wanted:
        write_record(opened.folder, record)


def _names(opened: LabelFolder, record: LabelRecord) -> list[str]:
    names, missing = frames_of(opened, record.frames)
    if missing:
        shown = ", ".join(missing[:MOST_MISSING]) + (", ..." if len(missing) > MOST_MISSING else "")
        _LOG.warning(f"{len(missing)} labeled images are not there and are left out: {shown}")
    if not names:
        raise UserError(f"--out {opened.folder}: has no image to label; name videos to pick frames from")
    return names


def _review(options: LabelOptions, opened: LabelFolder, names: Sequence[str]) -> Review:
    review = read_review(Path(options.review), opened.points, options.worst)
    others = [name for name in review.names if name not in names]
    if others:
        raise UserError(f"--review {options.review}: is of other labels: {options.out} has no {others[0]}")
    return review
