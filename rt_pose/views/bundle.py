"""Bundle adjustment of a board that several cameras saw: all poses and lenses at once, by scipy.

What is minimised are the reprojection errors of the board's corners, large ones weighed down (soft L1 from
1 px on). The board is rigid and its size known, so that lengths come out in its unit. The first camera is the
origin of the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera, distort

Lens = Literal["simple", "full"]
INTRINSICS: dict[str, int] = {"simple": 2, "full": 8}
"""Numbers of a lens: a focal length and k1 (its centre is the frame's); or fx, fy, cx, cy, k1, k2, p1, p2."""
LARGE_PX = 1.0
OUTLIER = 6.0
"""Corners that are so many medians off after a first, rough adjustment are left out of the second."""
LEAST_OUTLIER_PX = 2.0
ROUGH, FINE = (1e-3, 30), (1e-5, 60)
"""Relative decrease at which an adjustment ends, and evaluations after which it ends anyway."""


@dataclass(frozen=True, eq=False)
class BoardObservations:
    """m corners that V cameras saw in F frames."""

    camera: NDArray[np.intp]
    """(m,)."""
    frame: NDArray[np.intp]
    """(m,)."""
    corner: FloatArray
    """(m, 3) place on the board, mm."""
    px: FloatArray
    """(m, 2)."""


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the parameters stand: poses of the cameras but the first, lenses, poses of the board."""

    cameras: Sequence[CalibratedCamera]
    frames: int
    lens: Lens

    @property
    def sections(self) -> tuple[int, int]:
        """Where lenses and the board's poses begin."""
        poses = 6 * (len(self.cameras) - 1)
        return poses, poses + INTRINSICS[self.lens] * len(self.cameras)

    def split(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Poses of the cameras (V, 6), lenses (V, L), poses of the board (F, 6)."""
        lenses, board = self.sections
        first = np.zeros((1, 6))
        poses = np.concatenate([first, values[:lenses].reshape(-1, 6)])
        return poses, values[lenses:board].reshape(len(self.cameras), -1), values[board:].reshape(-1, 6)

    def lenses(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Focal lengths (V, 2), centres (V, 2) and distortions (V, 5) of lenses (V, L)."""
        bent = np.zeros((len(values), 5))
        if self.lens == "simple":
            bent[:, 0] = values[:, 1]
            return values[:, [0, 0]], np.array([camera.centre for camera in self.cameras]), bent
        bent[:, :4] = values[:, 4:]
        return values[:, :2], values[:, 2:4], bent

    def start(self, board: FloatArray) -> FloatArray:
        """The parameters of what is there already."""
        poses = [np.concatenate([c.rotation, c.translation]) for c in self.cameras[1:]]
        if self.lens == "simple":
            lenses = [np.array([camera.matrix[0, 0], camera.distortions[0]]) for camera in self.cameras]
        else:
            lenses = [np.concatenate([c.focal, c.centre, c.distortions[:4]]) for c in self.cameras]
        return np.concatenate([*poses, *lenses, board.ravel()])

    def result(self, values: FloatArray) -> list[CalibratedCamera]:
        """The cameras of parameters."""
        poses, lenses, _ = self.split(values)
        adjusted = []
        for camera, pose, focal, centre, bent in zip(self.cameras, poses, *self.lenses(lenses), strict=True):
            matrix = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]])
            adjusted.append(
                replace(camera, matrix=matrix, distortions=bent, rotation=pose[:3], translation=pose[3:])
            )
        return adjusted


def adjust(
    cameras: Sequence[CalibratedCamera], board: FloatArray, seen: BoardObservations, lens: Lens
) -> tuple[list[CalibratedCamera], FloatArray]:
    """Adjust cameras and board until the corners are seen where they were.

    Parameters
    ----------
    cameras
        V cameras to begin with; the first stands at the origin and stays there.
    board
        (F, 6) rotation vector and translation of the board in each frame, to begin with.
    seen
        What was seen.
    lens
        Which of a lens's numbers are fitted.

    Returns
    -------
    tuple[list[CalibratedCamera], FloatArray]
        The adjusted cameras, and (m,) the distance of each corner from where it was seen, px.
    """
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    layout = _Layout(cameras, len(board), lens)

    def residual(values: FloatArray) -> FloatArray:
        poses, lenses, boards = layout.split(values)
        focal, centre, bent = layout.lenses(lenses)
        turned = Rotation.from_rotvec(boards[:, :3]).as_matrix()[seen.frame]
        world = (turned @ seen.corner[..., None])[..., 0] + boards[seen.frame, 3:]
        turned = Rotation.from_rotvec(poses[:, :3]).as_matrix()[seen.camera]
        local = (turned @ world[..., None])[..., 0] + poses[seen.camera, 3:]
        shown, _ = distort(local[:, :2] / local[:, 2:], bent[seen.camera])
        errors: FloatArray = shown * focal[seen.camera] + centre[seen.camera] - seen.px
        return errors.ravel()

    values = layout.start(board)
    kept = np.ones(len(seen.px), bool)
    for tolerance, evaluations in (ROUGH, FINE):
        rows = np.repeat(kept, 2)
        values = least_squares(
            lambda tried, rows=rows: residual(tried)[rows],
            values,
            jac_sparsity=_sparsity(layout, seen)[rows],
            x_scale="jac",
            loss="soft_l1",
            f_scale=LARGE_PX,
            ftol=tolerance,
            max_nfev=evaluations,
        ).x
        off: FloatArray = np.linalg.norm(residual(values).reshape(-1, 2), axis=1)
        kept = off <= max(OUTLIER * float(np.median(off)), LEAST_OUTLIER_PX)
    return layout.result(values), off


def _sparsity(layout: _Layout, seen: BoardObservations) -> Any:
    """Which parameters each of the 2 m residuals depends on."""
    from scipy.sparse import coo_array

    lenses, board = layout.sections
    count = INTRINSICS[layout.lens]
    own = lenses + count * seen.camera[:, None] + np.arange(count)
    pose = 6 * (seen.camera[:, None] - 1) + np.arange(6)
    pose = np.where(pose >= 0, pose, own[:, :1])  # the first camera has none
    columns = np.concatenate([pose, own, board + 6 * seen.frame[:, None] + np.arange(6)], axis=1)
    columns = np.repeat(columns, 2, axis=0)
    rows = np.broadcast_to(np.arange(len(columns))[:, None], columns.shape)
    shape = (len(columns), board + 6 * layout.frames)
    return coo_array((np.ones(columns.size), (rows.ravel(), columns.ravel())), shape=shape).tocsr()
