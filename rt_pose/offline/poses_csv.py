"""Poses of every frame, from a prediction file or a table of labels of all frames.

The first column of such a table is the frame's number, or the name of an image that ends in it. Rows may be
missing, and so may likelihoods.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError, nearest
from rt_pose.offline.alignment import MOST_FRAMES
from rt_pose.offline.pose_files import read_pose_file
from rt_pose.offline.prediction_files import COVARIANCE_FIELDS, HEADER_ROWS
from rt_pose.offline.table_text import table_text
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


def read_covariances(path: Path, keypoints: list[str], frames: int) -> FloatArray:
    """Read the covariances beside a prediction file.

    Parameters
    ----------
    path
        The table that `rt-pose predict --covariance` wrote.
    keypoints
        K keypoints that are wanted.
    frames
        F frames, from frame 0 on; those beyond are left out.

    Returns
    -------
    FloatArray
        (F, K, 2, 2) px^2; NaN where the table has nothing.

    Raises
    ------
    UserError
        Where it is no such table, or a cell cannot be read.
    """
    where = f"covariances {path}"
    try:
        rows = [row for row in csv.reader(table_text(path, "covariances").splitlines()) if row]
    except csv.Error as error:
        raise UserError(f"{where}: not a CSV text file: {error}; {_REMAKE}") from error
    titles = [row[0] for row in rows[: len(HEADER_ROWS)]]
    if titles != list(HEADER_ROWS):
        raise UserError(f"{where}: expected the header rows {', '.join(HEADER_ROWS)}; {_REMAKE}")
    places = {key: i for i, key in enumerate(zip(rows[1], rows[2], strict=False))}
    wanted = [(keypoint, name) for keypoint in keypoints for name in COVARIANCE_FIELDS]
    for keypoint, name in wanted:
        if (keypoint, name) not in places:
            raise UserError(f"{where}: keypoint '{keypoint}' has no column {name}; {_REMAKE}")
    columns = [places[key] for key in wanted]
    cov = np.full((frames, len(keypoints), 2, 2), np.nan)
    for number, row in enumerate(rows[len(HEADER_ROWS) :], 1):
        frame = _frame(row[0], f"{where}: frame {number}")
        try:
            values = np.array([float(row[i] or "nan") for i in columns]).reshape(-1, 3)
        except (ValueError, IndexError) as error:
            raise UserError(f"{where}: frame {number} cannot be read: {error}; {_REMAKE}") from error
        if frame < frames:
            cov[frame] = values[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
    return cov


_REMAKE = "write it again with `rt-pose predict --covariance`, or delete it"


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
