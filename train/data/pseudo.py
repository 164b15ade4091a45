"""Pseudo-labels: frames of unlabeled video with the keypoints that an ensemble is confident of."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.prediction_files import FIELDS, write_table
from rt_pose.types import FloatArray
from rt_pose.video import VideoReader
from train.data.labels import LabeledFrames

TABLE = "pseudo-labels.csv"
IMAGES = "pseudo-labels"
DECIMALS = 3
"""Of a position in the table; what is learned from is what it says."""
SCORER = "ensemble"


@dataclass
class Pseudo:
    """Pseudo-labeled frames among the labeled ones. F frames, K keypoints."""

    frames: LabeledFrames
    """NaN where a keypoint is unknown or absent."""
    weights: FloatArray
    """(F, K) what a keypoint counts in the losses on labels; 0 where it is unknown."""
    per_batch: int
    """Of every batch, so many frames are pseudo-labeled."""
    notes: dict[str, Any]
    """Where they come from, for the manifest."""

    def fingerprint(self) -> str:
        """Return a hash of all that a training uses of it, but for the pixels."""
        digest = hashlib.sha256("\n".join([str(self.per_batch), *self.frames.names]).encode())
        digest.update(np.ascontiguousarray(self.frames.xy).tobytes())
        digest.update(np.ascontiguousarray(self.weights).tobytes())
        return digest.hexdigest()


@dataclass
class ChosenFrames:
    """Frames of one video. F of them, in order."""

    video: Path
    name: str
    """As a folder of its own among the others'."""
    indices: NDArray[np.intp]
    xy: FloatArray
    """(F, K, 2) frame px; NaN where unknown or absent."""


def pseudo_labeled(chosen: Sequence[ChosenFrames], keypoints: list[str], channels: int) -> LabeledFrames:
    """Read the chosen frames as labeled ones, exactly as they read once they are written.

    Parameters
    ----------
    chosen
        Frames and keypoints of some videos.
    keypoints
        Names of the K keypoints.
    channels
        1 gray, 3 RGB.

    Returns
    -------
    LabeledFrames
        Positions rounded to `DECIMALS` places, px.
    """
    names: list[str] = []
    images: list[NDArray[np.uint8]] = []
    for video in chosen:
        for index, image in _frames(video, channels):
            names.append(f"{IMAGES}/{video.name}/img{index:08d}.png")
            images.append(image)
    xy = np.concatenate([video.xy for video in chosen]).round(DECIMALS)
    visible = np.where(np.isfinite(xy).all(axis=-1), 2, 0).astype(np.uint8)
    return LabeledFrames(names, images, xy, visible, keypoints)


def write_pseudo_labels(frames: LabeledFrames, out: Path) -> None:
    """Write OUT/pseudo-labels.csv and the images it names, in place of earlier ones.

    The layout is that of labels, so OUT is a data folder that can be looked at, corrected or trained on.

    Parameters
    ----------
    frames
        As `pseudo_labeled` returns them.
    out
        Folder to write to.

    Raises
    ------
    UserError
        Where an image cannot be written.
    """
    shutil.rmtree(out / IMAGES, ignore_errors=True)
    for name, image in zip(frames.names, frames.images, strict=True):
        _write_image(out / name, image)
    rows = zip(frames.names, frames.xy, strict=True)
    write_table(out / TABLE, frames.keypoints, FIELDS[:2], rows, scorer=SCORER, formats=(f"%.{DECIMALS}f",))


def _frames(chosen: ChosenFrames, channels: int) -> list[tuple[int, NDArray[np.uint8]]]:
    with VideoReader(chosen.video, 1 if channels == 1 else 3) as reader:
        return [(frame.index, frame.image) for frame in reader.read_at(chosen.indices.tolist())]


def _write_image(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image if image.shape[2] == 1 else image[..., ::-1]):
        raise UserError(f"{path}: cannot be written; make room, or give another --out")
