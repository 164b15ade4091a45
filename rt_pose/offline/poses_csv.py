"""Poses of every frame, from a prediction file or a table of labels of all frames.

The first column of such a table is the frame's number, or the name of an image that ends in it. Rows may be
missing, and so may likelihoods.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError, nearest
from rt_pose.offline.alignment import MOST_FRAMES
from rt_pose.offline.pose_files import read_pose_file
from rt_pose.types import FloatArray


@dataclass
class Poses:
    """F frames from frame 0 on, K keypoints."""

    keypoints: list[str]
    xy: FloatArray
    """(F, K, 2) px; NaN where the table has nothing."""
    likelihood: FloatArray
    """(F, K) 0..1; 1 where the table has no such column, NaN where it has no such row."""


def read_poses(path: Path, camera: str = "") -> Poses:
    """Read a table of poses.

    Parameters
    ----------
    path
        A prediction file of any program, or a table of labels of all frames.
    camera
        See `read_pose_file`.

    Returns
    -------
    Poses
        The poses, by frame number.

    Raises
    ------
    UserError
        Where a row cannot be read; it is named.
    """
    table = read_pose_file(path, camera, scored=False)
    frames = [_frame(name, f"predictions {path}: frame {i}") for i, name in enumerate(table.frames, 1)]
    _check_frames(path, frames, table.frames)
    xy = np.full((max(frames) + 1, len(table.keypoints), 2), np.nan)
    likelihood = np.full(xy.shape[:2], np.nan)
    xy[frames], likelihood[frames] = table.xy, table.likelihood
    return Poses(table.keypoints, xy, likelihood)


def _check_frames(path: Path, frames: list[int], cells: list[str]) -> None:
    """Refuse rows of one frame, of which the last would count, and numbers that are no frames'."""
    if max(frames) >= MOST_FRAMES:
        raise UserError(
            f"predictions {path}: its first column holds {max(frames)}; expected numbers of frames, from 0"
        )
    cell_of: dict[int, str] = {}
    for frame, cell in zip(frames, cells, strict=True):
        if frame in cell_of:
            raise UserError(
                f"predictions {path}: two rows are of frame {frame} ('{cell_of[frame]}' and '{cell}'); give "
                "a table of one video"
            )
        cell_of[frame] = cell


def reorder_keypoints(poses: Poses, keypoints: list[str], needed: set[str], where: str) -> FloatArray:
    """Arrange positions in another order of keypoints.

    Parameters
    ----------
    poses
        The poses.
    keypoints
        The order.
    needed
        Keypoints that must be there.
    where
        The table, for messages.

    Returns
    -------
    FloatArray
        (F, K, 2) px, NaN for a keypoint that the table lacks.

    Raises
    ------
    UserError
        Where the table lacks one that is needed.
    """
    xy = np.full((len(poses.xy), len(keypoints), 2), np.nan)
    for k, keypoint in enumerate(keypoints):
        if keypoint in poses.keypoints:
            xy[:, k] = poses.xy[:, poses.keypoints.index(keypoint)]
        elif keypoint in needed:
            hint = nearest(keypoint, poses.keypoints)
            raise UserError(f"{where}: a rule looks at '{keypoint}', which is not in it{hint}")
    return xy


def _frame(cell: str, where: str) -> int:
    """The frame's number: the cell itself, or the digits its file name ends in."""
    match = re.search(r"(\d+)(?:\.0)?(?:\.[A-Za-z]+)?\s*$", cell)
    if match is None:
        raise UserError(f"{where}: expected its number or an image whose name ends in it, got '{cell}'")
    return int(match[1])
