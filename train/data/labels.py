"""Labeled frames of a Lightning Pose folder, a DeepLabCut project or a SLEAP file.

All of it is checked before anything is made of it, and all problems are reported at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError, nearest
from rt_pose.types import FloatArray
from train.data.source import Source
from train.data.sources import open_source
from train.data.tables import LabelTable

Channels = Literal["auto", "gray", "rgb"]

MAX_PROBLEMS_SHOWN = 20
"""Problems listed in one message; the rest is counted."""
OUTSIDE_PX = 1.0
"""A label may lie so far outside its image: labels on the last pixel are often rounded up."""


@dataclass
class LabeledFrames:
    """Images with their labels. F frames, K keypoints."""

    names: list[str]
    """Image paths as the labels file has them; of a video's frames, `VIDEO/frame_NUMBER`."""
    images: list[NDArray[np.uint8]]
    """(H, W, C) each; C is 1 (gray) or 3 (RGB), the same for all."""
    xy: FloatArray
    """(F, K, 2) frame px; NaN where unlabeled."""
    visible: NDArray[np.uint8]
    """(F, K) 0 unlabeled, 1 labeled though occluded, 2 visible."""
    keypoints: list[str]
    skeleton: list[list[str]] = field(default_factory=list)
    """Bones that the labels themselves hold, as pairs of keypoint names."""
    notes: list[str] = field(default_factory=list)
    """What the user should know of how the labels were read."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> Literal[1, 3]:
        """Channels of every image."""
        return 1 if self.images[0].shape[2] == 1 else 3

    def subset(self, indices: NDArray[np.intp]) -> LabeledFrames:
        """Return some of the frames.

        Parameters
        ----------
        indices
            Indices of the frames, in the order of the result.

        Returns
        -------
        LabeledFrames
            Shares the images with this one.
        """
        return LabeledFrames(
            [self.names[i] for i in indices],
            [self.images[i] for i in indices],
            self.xy[indices],
            self.visible[indices],
            self.keypoints,
            self.skeleton,
            self.notes,
        )


def read_labels(
    folder: Path, file: str, channels: Channels = "auto", expected: list[str] | None = None
) -> LabeledFrames:
    """Read the labeled frames of a folder.

    Parameters
    ----------
    folder
        The data folder.
    file
        A CSV, a DeepLabCut project's folder or a .slp, relative to the folder; empty takes what the folder
        holds.
    channels
        gray, rgb, or auto: gray where every image is gray.
    expected
        Keypoints that the configuration names; None or empty takes what the file holds.

    Returns
    -------
    LabeledFrames
        Without the images that have not a single label.

    Raises
    ------
    UserError
        With every problem of the labels and images (the first `MAX_PROBLEMS_SHOWN`).
    """
    source = open_source(folder, file)
    table = source.table
    images, missing = source.read_images()
    problems = [
        *source.problems,
        *_check_keypoints(table, expected or []),
        *_check_repeated(table),
        *missing,
        *_check_inside(table, images),
    ]
    if problems:
        more = (
            [f"... and {len(problems) - MAX_PROBLEMS_SHOWN} more"]
            if len(problems) > MAX_PROBLEMS_SHOWN
            else []
        )
        listed = "\n  ".join(problems[:MAX_PROBLEMS_SHOWN] + more)
        raise UserError(f"labels {source.path}: correct the following and start again:\n  {listed}")
    return _label_frames(source, _same_channels(images, channels))


def _label_frames(source: Source, images: list[NDArray[np.uint8]]) -> LabeledFrames:
    """Return the frames of a source, without those that hold no label."""
    table = source.table
    frames = LabeledFrames(
        table.names, images, table.xy, table.visible, table.keypoints, source.skeleton, source.notes
    )
    labeled = np.flatnonzero(np.isfinite(table.xy).all(axis=-1).any(axis=-1))
    if len(labeled) < len(frames):
        source.notes.append(f"{len(frames) - len(labeled)} images without a label are left out")
    return frames.subset(labeled)


def _check_keypoints(table: LabelTable, expected: list[str]) -> list[str]:
    problems = []
    if expected and len(expected) != len(table.keypoints):
        problems.append(
            f"keypoint counts disagree: the configuration names {len(expected)}, "
            f"the file {len(table.keypoints)}"
        )
    for name in expected:
        if name not in table.keypoints:
            problems.append(f"no keypoint '{name}' in the file{nearest(name, table.keypoints)}")
    if expected and not problems and expected != table.keypoints:
        problems.append(f"the order of keypoints differs: the file has {', '.join(table.keypoints)}")
    for k, name in enumerate(table.keypoints):
        if np.isnan(table.xy[:, k]).any(axis=-1).all():
            problems.append(
                f"keypoint '{name}' is labeled in no image; remove its columns (or node), or label it"
            )
    return problems


def _check_repeated(table: LabelTable) -> list[str]:
    problems = []
    first: dict[str, str] = {}
    for place, name in zip(table.places, table.names, strict=True):
        if name in first:
            problems.append(f"{place}: {name} was already labeled in {first[name]}")
        first.setdefault(name, place)
    return problems


def _check_inside(table: LabelTable, images: list[NDArray[np.uint8]]) -> list[str]:
    problems = []
    for i, image in enumerate(images):
        if image.size == 0:
            continue
        limit = np.array([image.shape[1] - 1, image.shape[0] - 1]) + OUTSIDE_PX
        outside = ((table.xy[i] < -OUTSIDE_PX) | (table.xy[i] > limit)).any(axis=-1)
        for k in np.flatnonzero(outside):
            x, y = table.xy[i, k]
            problems.append(
                f"{table.places[i]} ({table.names[i]}), {table.keypoints[k]}: ({x:g}, {y:g}) lies outside "
                f"the image of {image.shape[1]}x{image.shape[0]}"
            )
    return problems


def _same_channels(images: list[NDArray[np.uint8]], channels: Channels) -> list[NDArray[np.uint8]]:
    if channels == "auto":
        channels = "gray" if all(_is_gray(image) for image in images) else "rgb"
    if channels == "gray":
        return [_to_gray(image) for image in images]
    return [image if image.shape[2] == 3 else np.repeat(image, 3, axis=2) for image in images]


def _is_gray(image: NDArray[np.uint8]) -> bool:
    return image.shape[2] == 1 or bool((image == image[..., :1]).all())


def _to_gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.shape[2] == 1:
        return image
    if _is_gray(image):
        return np.ascontiguousarray(image[..., :1])
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)[..., None]
