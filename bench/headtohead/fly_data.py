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
TEST_SHARE, VALIDATION_SHARE = 0.3, 0.06
GAP = 50
"""Frames between two parts, which are in none: neighbours in time look alike."""
TRAIN, VALIDATION, OURS = "train.slp", "validation.slp", "ours/clip.slp"


@dataclass(frozen=True)
class TimeSplit:
    """Frames by number, each part from its first to before its last."""

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]


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


def split_by_time(frames: int, gap: int = GAP) -> TimeSplit:
    """Split a recording into three parts that follow one another.

    Parameters
    ----------
    frames
        Number of frames.
    gap
        Frames between two parts.

    Returns
    -------
    TimeSplit
        The parts; that which is measured last.

    Raises
    ------
    UserError
        Where there are too few frames.
    """
    test = frames - round(TEST_SHARE * frames)
    end = test - gap
    begin = end - round(VALIDATION_SHARE * frames)
    if begin - gap < 1 or begin >= end:
        raise UserError(f"{frames} frames: too few for three parts with {gap} frames between them")
    return TimeSplit((0, begin - gap), (begin, end), (test, frames))


def chosen_frames(split: TimeSplit, stride: int) -> tuple[list[int], list[int]]:
    """Choose the frames that are learned from, and those that a training may look at.

    Parameters
    ----------
    split
        The split.
    stride
        Every how many-th frame.

    Returns
    -------
    tuple[list[int], list[int]]
        Their numbers.
    """
    return list(range(*split.train, stride)), list(range(*split.validation, stride))


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
    train, validation = chosen_frames(split, stride)
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
    table = open_slp(shared / CLIP).table
    rows = {number_of(name): i for i, name in enumerate(table.names)}
    wanted = range(*split.test)
    missing = [number for number in wanted if number not in rows]
    if missing:
        raise UserError(f"{shared / CLIP}: {len(missing)} frames without a label, the first is {missing[0]}")
    images = [
        frame.image.copy()
        for frame in read_frames(shared / VIDEO, 1, wanted.start)
        if frame.index < wanted.stop
    ]
    xy = table.xy[[rows[number] for number in wanted]]
    return FlyTruth(wanted.start, xy, table.keypoints, images, probe(shared / VIDEO).rate_hz)


def labeled_frames(shared: Path) -> int:
    """Count the labeled frames of the clip.

    Parameters
    ----------
    shared
        Folder of the data sets.

    Returns
    -------
    int
        The number.
    """
    return len(open_slp(shared / CLIP).table.names)
