"""Labeled frames from a folder in Lightning Pose layout: a labels file and the images it names.

The whole folder is checked before anything is made of it, and all problems are told at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError, nearest
from rt_pose.types import FloatArray
from train.data.tables import LabelTable, read_table

Channels = Literal["auto", "gray", "rgb"]

PROBLEMS_TOLD = 20
"""Problems listed in one message; the rest is counted."""
OUTSIDE_PX = 1.0
"""A label may lie so far outside its image: labels on the last pixel are often rounded up."""


@dataclass
class LabeledFrames:
    """Images with their labels. F frames, K keypoints."""

    names: list[str]
    """Image paths as the labels file has them."""
    images: list[NDArray[np.uint8]]
    """(H, W, C) each; C is 1 (gray) or 3 (RGB), the same for all."""
    xy: FloatArray
    """(F, K, 2) frame px; NaN where unlabeled."""
    visible: NDArray[np.uint8]
    """(F, K) 0 unlabeled, 1 labeled though occluded, 2 visible."""
    keypoints: list[str]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> Literal[1, 3]:
        """Channels of every image."""
        return 1 if self.images[0].shape[2] == 1 else 3

    def subset(self, indices: NDArray[np.intp]) -> LabeledFrames:
        """The frames at `indices`, in that order."""
        return LabeledFrames(
            [self.names[i] for i in indices],
            [self.images[i] for i in indices],
            self.xy[indices],
            self.visible[indices],
            self.keypoints,
        )


def read_labels(
    folder: Path, file: str, channels: Channels = "auto", expected: list[str] | None = None
) -> LabeledFrames:
    """The labeled frames of a folder; UserError listing every problem of its labels and images.

    `channels` auto means gray where every image is gray. `expected` are the keypoints the configuration
    names; None or empty takes what the file holds. Images without a single label are left out.
    """
    path = folder / file
    if not folder.is_dir():
        raise UserError(f"data folder {folder}: no such folder; give one in Lightning Pose layout")
    if not path.is_file():
        found = ", ".join(sorted(p.name for p in folder.glob("*.csv"))) or "none"
        raise UserError(f"labels {path}: no such file; CSV files there: {found}; set `labels`")
    table, problems = read_table(path)
    problems += _check_keypoints(table, expected or [])
    problems += _check_names(folder, table)
    images: list[NDArray[np.uint8]] = []
    if not problems:
        images = [_read_image(folder / name) for name in table.names]
        problems += _check_images(table, images)
    if problems:
        more = [f"... and {len(problems) - PROBLEMS_TOLD} more"] if len(problems) > PROBLEMS_TOLD else []
        listed = "\n  ".join(problems[:PROBLEMS_TOLD] + more)
        raise UserError(f"labels {path}: mend the following and start again:\n  {listed}")
    frames = LabeledFrames(
        table.names, _same_channels(images, channels), table.xy, table.visible, table.keypoints
    )
    return frames.subset(np.flatnonzero(np.isfinite(table.xy).all(axis=-1).any(axis=-1)))


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
            problems.append(f"keypoint '{name}' is labeled in no image; remove its columns or label it")
    return problems


def _check_names(folder: Path, table: LabelTable) -> list[str]:
    problems = []
    first: dict[str, int] = {}
    for row, name in zip(table.rows, table.names, strict=True):
        if name in first:
            problems.append(f"row {row}: {name} was already labeled in row {first[name]}")
        elif not name or not (folder / name).is_file():
            problems.append(f"row {row}: no image '{name}' in {folder}")
        first.setdefault(name, row)
    return problems


def _check_images(table: LabelTable, images: list[NDArray[np.uint8]]) -> list[str]:
    problems = []
    for i, image in enumerate(images):
        place = f"row {table.rows[i]} ({table.names[i]})"
        if image.size == 0:
            problems.append(f"{place}: the file is no image that can be read (8 bits, gray or colour)")
            continue
        limit = np.array([image.shape[1] - 1, image.shape[0] - 1]) + OUTSIDE_PX
        outside = ((table.xy[i] < -OUTSIDE_PX) | (table.xy[i] > limit)).any(axis=-1)
        for k in np.flatnonzero(outside):
            x, y = table.xy[i, k]
            problems.append(
                f"{place}, {table.keypoints[k]}: ({x:g}, {y:g}) lies outside the image of "
                f"{image.shape[1]}x{image.shape[0]}"
            )
    return problems


def _read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, C) uint8, C 1 or 3 (RGB); empty where it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8:
        return np.zeros((0, 0, 1), np.uint8)
    if image.ndim == 2:
        return image[..., None]
    return np.ascontiguousarray(image[..., 2::-1])


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
