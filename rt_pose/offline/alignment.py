"""The predictions of an ensemble's members brought to the same keypoints and frames."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.prediction_files import Predictions
from rt_pose.types import FloatArray

MOST_FRAMES = 4_000_000
"""Frames from the first to the last; more are taken for something else than frame numbers."""
Key = int | str


@dataclass(slots=True)
class Aligned:
    """Predictions of M members, F frames, K keypoints, every frame from the first to the last."""

    keypoints: list[str]
    frames: list[str]
    """The first column."""
    xy: FloatArray
    """(M, F, K, 2) px; NaN where a member has no such row."""
    likelihood: FloatArray
    """(M, F, K); NaN likewise."""
    between: NDArray[np.intp]
    """Rows of frames that no member has."""
    notes: list[str]
    """Which members lack frames."""


def align(members: Sequence[Predictions]) -> Aligned:
    """Bring members to the first one's keypoints, by name, and to all frames that any of them has, by number.

    First columns that are no numbers, such as paths of images, are matched as they are.

    Parameters
    ----------
    members
        Predictions of one video and skeleton; at least one.

    Returns
    -------
    Aligned
        All of them.

    Raises
    ------
    UserError
        Where keypoints differ, a frame stands twice in one, or they have no frame in common.
    """
    keypoints = members[0].keypoints
    for member in members[1:]:
        if sorted(member.keypoints) != sorted(keypoints):
            raise UserError(
                f"smoothing: the members' keypoints differ: {', '.join(keypoints)} and "
                f"{', '.join(member.keypoints)}"
            )
    names = [member.source or f"member {m}" for m, member in enumerate(members, 1)]
    keys = [_keys(member.frames) for member in members]
    _check_frames(names, keys)
    frames = _all_frames(keys)
    row_of = {key: row for row, key in enumerate(frames)}
    cells = [str(key) for key in frames]
    xy = np.full((len(members), len(frames), len(keypoints), 2), np.nan)
    likelihood = np.full(xy.shape[:3], np.nan)
    for m, (member, own) in enumerate(zip(members, keys, strict=True)):
        rows = [row_of[key] for key in own]
        order = [member.keypoints.index(name) for name in keypoints]
        xy[m, rows], likelihood[m, rows] = member.xy[:, order], member.likelihood[:, order]
        for row, cell in zip(rows, member.frames, strict=True):
            cells[row] = cell
    known = set().union(*keys)
    between = np.array([row for row, key in enumerate(frames) if key not in known], np.intp)
    notes = [
        f"{name} lacks {len(known) - len(own)} of the {len(known)} frames"
        for name, own in zip(names, keys, strict=True)
        if len(own) < len(known)
    ]
    return Aligned(keypoints, cells, xy, likelihood, between, notes)


def _keys(frames: list[str]) -> list[Key]:
    """Frame numbers; where one of the cells is none, all cells as they are."""
    cells = [cell.strip() for cell in frames]
    numbers = [re.fullmatch(r"(\d{1,15})(?:\.0*)?", cell) for cell in cells]
    return [int(number[1]) for number in numbers if number] if all(numbers) else list(cells)


def _check_frames(names: list[str], keys: list[list[Key]]) -> None:
    for m, (name, own) in enumerate(zip(names, keys, strict=True)):
        if len(set(own)) < len(own):
            twice = Counter(own).most_common(1)[0][0]
            raise UserError(
                f"smoothing: {name}: frame {twice} stands in more than one row; its first column must number "
                "the frames"
            )
        others = set().union(*keys[:m], *keys[m + 1 :])
        if len(keys) > 1 and others.isdisjoint(own):
            raise UserError(
                f"smoothing: {name} has frames {own[0]} to {own[-1]}, none of which another member has; give "
                "predictions of one video"
            )


def _all_frames(keys: list[list[Key]]) -> list[Key]:
    """Every frame in order, of numbers also those between."""
    every = set().union(*keys)
    numbers = [key for key in every if isinstance(key, int)]
    if len(numbers) < len(every):
        whole = all(len(own) == len(every) for own in keys)
        return list(keys[0]) if whole else sorted(every, key=_natural)
    first, last = min(numbers), max(numbers)
    if last - first >= MOST_FRAMES:
        raise UserError(
            f"smoothing: the first columns run from {first} to {last}; expected numbers of frames"
        )
    return list(range(first, last + 1))


def _natural(key: Key) -> list[tuple[int, str]]:
    """Sorts the numbers in names as numbers: text and digits take turns."""
    return [(int(part) if i % 2 else 0, part) for i, part in enumerate(re.split(r"(\d+)", str(key)))]
