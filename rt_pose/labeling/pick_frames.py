"""Frames of recordings that are worth labeling: they look different, or a model has trouble with them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.console import track
from rt_pose.errors import UserError
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.estimator import concatenate
from rt_pose.labeling.choose_frames import Score, appearance_of, choose
from rt_pose.labeling.propose import ProposalModel, implausibility, uncertainty
from rt_pose.types import FloatArray
from rt_pose.video import VideoInfo, probe
from train.data.frame_index import frame_of
from train.data.sample_frames import read_frames_at, spread_indices
from train.data.tables import IMAGE_FOLDER

_LOG = logging.getLogger(__name__)
CANDIDATES = 300
"""Frames of a recording among which is picked, evenly spread; more where more are picked."""
CANDIDATES_PER_FRAME = 10


@dataclass
class PickedFrame:
    """A frame that is worth labeling."""

    name: str
    """Path of its image, `labeled-data/VIDEO/imgNUMBER.png`."""
    reason: str
    proposed: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """What a model found; see `FrameNote`."""


@dataclass
class Candidates:
    """Frames of one recording among which is picked. C of them."""

    indices: list[int]
    appearance: FloatArray
    """(C, D) grey levels of a small picture."""
    found: Keypoints[FloatArray] | None
    """Keypoints (C, K), of several animals (C, D, K), frame px; None without a model."""


def check_recordings(videos: Sequence[Path]) -> list[VideoInfo]:
    """Check that frames can be taken from recordings.

    Parameters
    ----------
    videos
        The files.

    Returns
    -------
    list of VideoInfo
        What each holds.

    Raises
    ------
    UserError
        Where one cannot be read, or two have the same name: their frames would lie in one folder.
    """
    stems: dict[str, Path] = {}
    for video in videos:
        other = stems.setdefault(video.stem, video)
        if other is not video:
            raise UserError(
                f"videos {other} and {video}: both are called {video.stem}, as their frames' folder would "
                "be; rename one of them"
            )
    return [probe(video) for video in videos]


def pick_frames(
    infos: Sequence[VideoInfo],
    folder: Path,
    known: Sequence[str],
    count: int,
    model: ProposalModel | None,
) -> list[PickedFrame]:
    """Pick frames and write their images, until the folder has as many of these recordings as asked for.

    Parameters
    ----------
    infos
        The recordings, which share the frames evenly.
    folder
        Where labeled-data is.
    known
        Paths of the images that the folder has.
    count
        Frames in all, those that are there included.
    model
        Says which frames are worth it, and proposes places; None picks by appearance alone.

    Returns
    -------
    list of PickedFrame
        In the order of the recordings; none where the folder has enough.

    Raises
    ------
    UserError
        Where a recording breaks off, or an image cannot be written.
    """
    there = [indices_there(known, info.path.stem) for info in infos]
    picked: list[PickedFrame] = []
    for number, (info, indices) in enumerate(zip(infos, there, strict=True)):
        share = count // len(infos) + (number < count % len(infos))
        wanted = min(share, info.frames) - len(indices)
        if wanted > 0:
            reasons = _pick(info, indices, wanted, model)
            picked += _extract(info, reasons, folder, model)
            _LOG.info(f"{info.path.name}: {len(reasons)} frames picked of {info.frames}")
    return picked


def _pick(info: VideoInfo, there: list[int], wanted: int, model: ProposalModel | None) -> dict[int, str]:
    """The frames to label of one recording, and why."""
    spread = spread_indices(info.frames, max(CANDIDATES, wanted * CANDIDATES_PER_FRAME))
    seen = _candidates(info, sorted({*spread, *there}), model)
    scores: list[Score] = []
    if model is not None and seen.found is not None:
        tracking = model.package.manifest.tracking
        far = implausibility(seen.found, tracking.subspaces, tracking.min_confidence)
        scores = [
            Score(uncertainty(seen.found), "uncertain: {:.0%} of the confidence is missing"),
            Score(far, "implausible: {:.1f} standard deviations from usual poses"),
        ]
    chosen = choose(scores, seen.appearance, np.isin(seen.indices, there), wanted)
    return {seen.indices[i]: reason for i, reason in sorted(chosen.items())}


def _candidates(info: VideoInfo, indices: list[int], model: ProposalModel | None) -> Candidates:
    appearance: list[FloatArray] = []
    found: list[Keypoints[FloatArray]] = []
    read: list[int] = []
    frames = read_frames_at(info.path, indices, info.channels)
    for frame in track(frames, info.path.name, len(indices)):
        read.append(frame.index)
        appearance.append(appearance_of(frame.image))
        if model is not None:
            found.append(model.estimate([frame.image]))
    if not read:
        raise UserError(f"video {info.path}: no frame of it can be decoded; convert it to H.264")
    return Candidates(read, np.stack(appearance), concatenate(found) if found else None)


def indices_there(known: Sequence[str], folder: str) -> list[int]:
    """List the frames of a recording that a folder has.

    Parameters
    ----------
    known
        Paths of its images.
    folder
        Name of the folder of the recording.

    Returns
    -------
    list of int
        Indices of frames, rising.
    """
    places = [frame_of(name) for name in known]
    return sorted({place[1] for place in places if place is not None and place[0] == folder})


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write the image of a frame in one step; one that is there is left as it is.

    Parameters
    ----------
    path
        The file.
    image
        (H, W, C) uint8, C 1 or 3 (RGB).

    Raises
    ------
    UserError
        Where it cannot be written.
    """
    if path.is_file():  # of another program, which has labels of its own for it perhaps
        return
    part = path.with_name(f".{path.name}")  # the suffix says in which format it is written
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(part), image if image.shape[2] == 1 else image[..., ::-1])
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; give another --out") from error
    if not written:
        raise UserError(f"{path}: cannot be written; make room, or give another --out")
    part.replace(path)


def _extract(
    info: VideoInfo, reasons: dict[int, str], folder: Path, model: ProposalModel | None
) -> list[PickedFrame]:
    """Write the images of the frames that were picked."""
    picked = []
    propose = model.proposer() if model is not None else None
    for frame in read_frames_at(info.path, list(reasons), info.channels):
        name = str(PurePosixPath(IMAGE_FOLDER, info.path.stem, f"img{frame.index:08d}.png"))
        write_image(folder / name, frame.image)
        proposed = propose(frame.image) if propose is not None else {}
        picked.append(PickedFrame(name, reasons[frame.index], proposed))
    return picked
