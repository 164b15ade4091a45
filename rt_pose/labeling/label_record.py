"""What a labels file has no place for: who labeled what, what was left open, and what a model proposed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import msgspec

from rt_pose.clock import NS_PER_S
from rt_pose.errors import UserError
from rt_pose.files import write_atomic
from rt_pose.labeling.animal_points import point_name

FILE = "labeling.json"
MOST_FRAMES = 5
"""Frames that are named for each person."""


@dataclass
class FrameNote:
    """What is noted of one frame."""

    by: str = ""
    """Who labeled it last; empty where nobody has."""
    at: str = ""
    """When, UTC."""
    open: list[str] = field(default_factory=list)
    """Points that were left open: keypoints, of several animals as `animal.keypoint`."""
    absent: list[str] = field(default_factory=list)
    """Points that cannot be seen."""
    reason: str = ""
    """Why the frame was picked."""
    proposed: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """Places that a model found, frame px, and its confidence, by point."""


@dataclass
class LabelRecord:
    """The file `labeling.json`."""

    keypoints: list[str] = field(default_factory=list)
    skeleton: list[list[str]] = field(default_factory=list)
    frames: dict[str, FrameNote] = field(default_factory=dict)
    """By the path of the image: those that were picked or labeled here."""
    sources: dict[str, str] = field(default_factory=dict)
    """By folder of images: the recording that they are of, so that no other one's are put beside them."""
    animals: list[str] = field(default_factory=list)
    """Names of several animals; left out of the file where there is one."""


def read_record(folder: Path) -> LabelRecord:
    """Read the record of a folder.

    Parameters
    ----------
    folder
        The folder of labeled frames.

    Returns
    -------
    LabelRecord
        An empty one where there is none.

    Raises
    ------
    UserError
        Where it cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return LabelRecord()
    remedy = "put it aside: labels stay; what was left open is forgotten"
    try:
        record = msgspec.json.decode(path.read_bytes(), type=LabelRecord)
    except (msgspec.DecodeError, OSError, UnicodeError) as error:
        raise UserError(f"{path}: is no record of `rt-pose label`: {error}; {remedy}") from error
    for name in record.frames:
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts:
            raise UserError(f"{path}: {name!r} leads out of the folder; {remedy}")
    return record


def write_record(folder: Path, record: LabelRecord) -> None:
    """Write the record of a folder in one step.

    Parameters
    ----------
    folder
        The folder of labeled frames.
    record
        The record.
    """
    plain = msgspec.to_builtins(record)
    if not record.animals:
        del plain["animals"]
    text = msgspec.json.format(msgspec.json.encode(plain), indent=1).decode()
    write_atomic(folder / FILE, text + "\n", "make room, or check its permissions")


def utc_text(utc_ns: int) -> str:
    """Write a time as text.

    Parameters
    ----------
    utc_ns
        Nanoseconds since the Unix epoch.

    Returns
    -------
    str
        Such as 2026-05-04 13:25 UTC.
    """
    return datetime.fromtimestamp(utc_ns / NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M UTC")


def left_open(record: LabelRecord, names: list[str]) -> list[str]:
    """Describe what each person left open.

    Parameters
    ----------
    record
        The record.
    names
        Of the frames that are there.

    Returns
    -------
    list of str
        A line for each person, with the frames (the first ones) and their open keypoints.
    """
    frames: dict[str, list[tuple[str, FrameNote]]] = {}
    for name in names:
        note = record.frames.get(name, FrameNote())
        if note.by and note.open:
            frames.setdefault(note.by, []).append((name, note))
    lines = []
    for by, found in frames.items():
        shown = "; ".join(f"{name}: {_open_points(record, note)}" for name, note in found[:MOST_FRAMES])
        more = f"; and {len(found) - MOST_FRAMES} more" if len(found) > MOST_FRAMES else ""
        last = max(note.at for _, note in found)
        count = f"{len(found)} frame{'s' * (len(found) > 1)}"
        lines.append(f"{by} left {count} open, last at {last}: {shown}{more}")
    return lines


def _open_points(record: LabelRecord, note: FrameNote) -> str:
    """The points of a frame that were left open; of an animal of which all were, its name."""
    named, left = [], list(note.open)
    for animal in record.animals:
        own = {point_name(animal, keypoint) for keypoint in record.keypoints}
        if own <= set(left):
            named.append(f"all of {animal}")
            left = [name for name in left if name not in own]
    return ", ".join([*named, *left])
