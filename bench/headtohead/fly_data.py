"""SLEAP's clip of two flies, split by time: what is learned from, what is looked at, what is measured."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.video import probe, read_frames
from train.data.sleap_labels import open_slp
from train.data.split import SPLIT_FILE

ANIMALS = 2
CLIP, VIDEO = "sleap-samples/clip.slp", "sleap-samples/clip.mp4"
TRAIN, VALIDATION, OURS = "train.slp", "validation.slp", "ours/clip.slp"
STILL_PX = 1.0
"""Mean way of the keypoints since the last frame that was chosen; a frame below it looks like that one."""


@dataclass(frozen=True)
class TimeSplit:
    """Frames by number, each part from its first to before its last; neighbours in time look alike."""

    train: tuple[tuple[int, int], ...]
    validation: tuple[int, int]
    test: tuple[int, int]


SPLIT = TimeSplit(train=((0, 930), (1180, 1400)), validation=(1430, 1500), test=(980, 1130))
"""The flies sit still until frame 980 and then walk: the first part alone would teach two poses. What is
measured lies in the middle, 50 frames from what is learned from."""


@dataclass
class FlyTruth:
    """A person's labels of frames that follow one another. F frames, N animals, K keypoints."""

    first: int
    """Number of the first frame."""
    xy: FloatArray
    """(F, N, K, 2) px, an animal a row; NaN where unlabeled."""
    keypoints: list[str]
    images: list[NDArray[np.uint8]]
    """(H, W, 1) each."""
    rate_hz: float
    """Frames a second."""


def chosen_frames(split: TimeSplit, stride: int, xy: FloatArray) -> tuple[list[int], list[int]]:
    """Choose the frames that are learned from, and those that a training may look at.

    Parameters
    ----------
    split
        The split.
    stride
        Every how many-th frame; of these, those in which something moved.
    xy
        (F, N, K, 2) px, the labels of all frames.

    Returns
    -------
    tuple[list[int], list[int]]
        Their numbers.
    """
    train = [number for part in split.train for number in _moving(range(*part, stride), xy)]
    return train, _moving(range(*split.validation, stride), xy)


def _moving(numbers: range, xy: FloatArray) -> list[int]:
    """Those of frames in which the keypoints have moved since the last one of them."""
    chosen = [numbers[0]]
    for number in numbers[1:]:
        way = np.linalg.norm(xy[number] - xy[chosen[-1]], axis=-1)
        if np.nanmean(way) >= STILL_PX:
            chosen.append(number)
    return chosen


def write_labels(shared: Path, folder: Path, split: TimeSplit, stride: int) -> dict[str, Any]:
    """Write the labels of both parts, for sleap-nn in a file each, for ours in one with its split.

    Parameters
    ----------
    shared
        Folder of the data sets.
    folder
        Where they go.
    split, stride
        Which frames.

    Returns
    -------
    dict[str, Any]
        What was written, for JSON.
    """
    train, validation = chosen_frames(split, stride, labels_of_all(shared))
    parts = {TRAIN: train, VALIDATION: validation, OURS: [*train, *validation]}
    _write_subsets(shared, {folder / name: set(numbers) for name, numbers in parts.items()})
    names = open_slp(folder / OURS).table.names
    kept = set(validation)
    with (folder / OURS).with_name(SPLIT_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "split"])
        writer.writerows([name, "val" if number_of(name) in kept else "train"] for name in names)
    return {"split": asdict(split), "train": len(train), "validation": len(validation), "stride": stride}


def _write_subsets(shared: Path, parts: dict[Path, set[int]]) -> None:
    import sleap_io

    labels = sleap_io.load_slp(str(shared / CLIP), open_videos=False)
    labels.videos[0].replace_filename(str((shared / VIDEO).resolve()), open=False)
    for path, numbers in parts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = [frame for frame in labels.labeled_frames if frame.frame_idx in numbers]
        for frame in frames:
            frame.instances = frame.user_instances
        sleap_io.save_slp(sleap_io.Labels(frames), str(path), embed=False, verbose=False)


def number_of(name: str) -> int:
    """Get the number of a frame from the name of its image.

    Parameters
    ----------
    name
        `VIDEO/frame_NUMBER`.

    Returns
    -------
    int
        The number.
    """
    return int(name.rpartition("_")[2])


def read_truth(shared: Path, split: TimeSplit) -> FlyTruth:
    """Read the labels and the images of the frames that are measured.

    Parameters
    ----------
    shared
        Folder of the data sets.
    split
        The split.

    Returns
    -------
    FlyTruth
        Every frame of that part.

    Raises
    ------
    UserError
        Where a frame has no label.
    """
    wanted = range(*split.test)
    xy = labels_of_all(shared)[wanted.start : wanted.stop]
    unlabeled = [number for number, frame in zip(wanted, xy, strict=True) if np.isnan(frame).all()]
    if unlabeled:
        raise UserError(
            f"{shared / CLIP}: {len(unlabeled)} frames without a label, the first is {unlabeled[0]}"
        )
    images = [
        frame.image.copy()
        for frame in read_frames(shared / VIDEO, 1, wanted.start)
        if frame.index < wanted.stop
    ]
    keypoints = open_slp(shared / CLIP).table.keypoints
    return FlyTruth(wanted.start, xy, keypoints, images, probe(shared / VIDEO).rate_hz)


def labels_of_all(shared: Path) -> FloatArray:
    """Read the labels of the clip by the numbers of its frames.

    Parameters
    ----------
    shared
        Folder of the data sets.

    Returns
    -------
    FloatArray
        (F, N, K, 2) px, an animal a row; NaN where unlabeled.
    """
    table = open_slp(shared / CLIP).table
    numbers = [number_of(name) for name in table.names]
    xy = np.full((max(numbers) + 1, *table.xy.shape[1:]), np.nan)
    xy[numbers] = table.xy
    return xy
