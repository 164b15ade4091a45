"""Labeled frames of a Lightning Pose folder, a DeepLabCut project or a SLEAP file.

All of it is checked before anything is made of it, and all problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError, nearest
from rt_pose.types import FloatArray
from train.data.animals import as_one_animal, check_animals, present, refuse_several
from train.data.source import Source
from train.data.sources import open_sources
from train.data.tables import LabelTable

Channels = Literal["auto", "gray", "rgb"]

MAX_PROBLEMS_SHOWN = 20
"""Problems listed in one message; the rest is counted."""
LEAVE_OUT = "-"
"""Before the name of a keypoint that is not to be taken."""
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
    """(F, K, 2), of several animals (F, N, K, 2), frame px; NaN where unlabeled."""
    visible: NDArray[np.uint8]
    """(F, K), or (F, N, K): 0 unlabeled, 1 labeled though occluded, 2 visible."""
    keypoints: list[str]
    skeleton: list[list[str]] = field(default_factory=list)
    """Bones that the labels themselves hold, as pairs of keypoint names."""
    notes: list[str] = field(default_factory=list)
    """What the user should know of how the labels were read."""
    sets: dict[str, Path] = field(default_factory=dict)
    """Of several sets of labels the folder of each, by what its images' names begin with."""
    lacking: dict[str, list[str]] = field(default_factory=dict)
    """The keypoints that one of these sets does not have, by the same."""
    animals: list[str] = field(default_factory=list)
    """Names of the N animals, of their tracks, or none."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> Literal[1, 3]:
        """Channels of every image."""
        return 1 if self.images[0].shape[2] == 1 else 3

    @property
    def several(self) -> bool:
        """Whether the frames may hold several animals."""
        return self.xy.ndim == 4

    @property
    def individuals(self) -> int:
        """The most animals in one of these frames."""
        return int(present(self.xy).sum(axis=1).max(initial=1)) if self.several else 1

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """(F, K) whether a keypoint is labeled, of any animal."""
        known = self.visible > 0
        return np.asarray(known.any(axis=1) if self.several else known)

    def as_several(self) -> LabeledFrames:
        """Return these frames with an axis for animals, (F, N, K, 2), where they have one animal each too."""
        if self.several:
            return self
        return replace(self, xy=self.xy[:, None], visible=self.visible[:, None])

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
        return replace(
            self,
            names=[self.names[i] for i in indices],
            images=[self.images[i] for i in indices],
            xy=self.xy[indices],
            visible=self.visible[indices],
        )


def read_labels(
    folder: Path,
    file: str,
    channels: Channels = "auto",
    expected: list[str] | None = None,
    *,
    several: bool = False,
) -> LabeledFrames:
    """Read the labeled frames of a folder.

    Parameters
    ----------
    folder
        The data folder.
    file
        A CSV, an .h5, a DeepLabCut project's folder or a .slp, relative to the folder; empty takes what the
        folder holds.
    channels
        gray, rgb, or auto: gray where every image is gray.
    expected
        Keypoints to take, in this order; or those to leave out, each with `-` before it. None or empty takes
        what the file holds.
    several
        Whether frames may hold several animals.

    Returns
    -------
    LabeledFrames
        Without the images that have not a single label.

    Raises
    ------
    UserError
        With every problem of the labels and images (the first `MAX_PROBLEMS_SHOWN`).
    """
    return read_data_sets([folder], file, channels, expected, several=several)


def read_data_sets(
    folders: Sequence[Path],
    file: str,
    channels: Channels = "auto",
    expected: list[str] | None = None,
    *,
    several: bool = False,
) -> LabeledFrames:
    """Read the labeled frames of several folders as one set, their keypoints matched by name.

    Parameters
    ----------
    folders
        The data folders; of several, each image's name begins with its folder's.
    file, channels, expected, several
        As of `read_labels`.

    Returns
    -------
    LabeledFrames
        A keypoint that a folder does not have is unlabeled in its images.

    Raises
    ------
    UserError
        As of `read_labels`.
    """
    source = open_sources(folders, file)
    table, unknown = take_keypoints(source.table, expected or [])
    table = as_one_animal(table)
    if not several:
        refuse_several(source.path, table)
    images, missing = source.read_images()
    problems = [
        *source.problems,
        *unknown,
        *_check_labeled(table, expected or []),
        *_check_repeated(table),
        *check_animals(table),
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
    bones = [bone for bone in source.skeleton if set(bone) <= set(table.keypoints)]
    return _label_frames(replace(source, table=table, skeleton=bones), _same_channels(images, channels))


def _label_frames(source: Source, images: list[NDArray[np.uint8]]) -> LabeledFrames:
    """Return the frames of a source, without those that hold no label."""
    table = source.table
    frames = LabeledFrames(
        table.names,
        images,
        table.xy,
        table.visible,
        table.keypoints,
        source.skeleton,
        source.notes,
        source.sets,
        {name: own for name, missing in source.lacking.items() if (own := _known(missing, table))},
        table.animals,
    )
    known = np.isfinite(table.xy).all(axis=-1).reshape(len(table.xy), -1)
    labeled = np.flatnonzero(known.any(axis=-1))
    if len(labeled) < len(frames):
        source.notes.append(f"{len(frames) - len(labeled)} images without a label are left out")
    return frames.subset(labeled)


def _known(names: list[str], table: LabelTable) -> list[str]:
    return [name for name in names if name in table.keypoints]


def take_keypoints(table: LabelTable, chosen: list[str]) -> tuple[LabelTable, list[str]]:
    """Take the columns of some keypoints.

    Parameters
    ----------
    table
        Labels of a file.
    chosen
        Names to take, in their new order; or names to leave out, each with `LEAVE_OUT` before it; empty for
        all as they are.

    Returns
    -------
    table : LabelTable
        With these keypoints; as it was where there is a problem.
    problems : list of str
        A line for each name that is not there.
    """
    if not chosen:
        return table, []
    left_out = [name for name in chosen if name.startswith(LEAVE_OUT) and name not in table.keypoints]
    if left_out and len(left_out) < len(chosen):
        return table, [
            "keypoints: give either names to take, or names to leave out, each with a '-' before it"
        ]
    named = [name.removeprefix(LEAVE_OUT) for name in left_out] or chosen
    problems = [
        f"no keypoint '{name}' in the file{nearest(name, table.keypoints)}"
        for name in named
        if name not in table.keypoints
    ]
    problems += [
        f"keypoints: '{name}' is named twice" for name in sorted(set(named)) if named.count(name) > 1
    ]
    taken = [name for name in table.keypoints if name not in named] if left_out else chosen
    if not taken:
        problems.append("keypoints: all are left out; nothing would be learned")
    if problems:
        return table, problems
    columns = [table.keypoints.index(name) for name in taken]
    xy, visible = table.xy[..., columns, :], table.visible[..., columns]
    return replace(table, keypoints=taken, xy=xy, visible=visible), []


def _check_labeled(table: LabelTable, chosen: list[str]) -> list[str]:
    """Keypoints that no image shows; one that was asked for by name may be out of a camera's sight."""
    return [
        f"keypoint '{name}' is labeled in no image; leave it out (`--keypoints -{name}`, or remove its "
        "columns or node), or label it"
        for k, name in enumerate(table.keypoints)
        if name not in chosen and np.isnan(table.xy[..., k, :]).any(axis=-1).all()
    ]


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
        for at in map(tuple, np.argwhere(outside)):
            x, y = table.xy[i][at]
            problems.append(
                f"{table.places[i]} ({table.names[i]}), {table.keypoints[at[-1]]}: ({x:g}, {y:g}) lies "
                f"outside the image of {image.shape[1]}x{image.shape[0]}"
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
