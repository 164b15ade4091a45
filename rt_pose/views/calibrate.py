"""Calibration of several cameras from a board that was moved before them.

Each camera's lens is fitted by itself (Zhang 2000, OpenCV). Where the cameras stand follows from frames in
which two of them see the board at once, along those pairs that share most; then everything is adjusted
together (`bundle`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.views.board import Board, SeenBoard
from rt_pose.views.bundle import BoardObservations, Lens, adjust
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.view_poses import evenly_spaced

LEAST_FRAMES, MOST_LENS_FRAMES = 8, 40
"""Frames of the board from which a lens is fitted."""
LEAST_SHARED = 3
"""Frames in which two cameras must see the board at once, to be placed by each other."""
MOST_ADJUSTED = 120
"""Frames that are adjusted together."""
MOST_COMPARED = 60
"""Frames whose relative poses are compared."""
Seen = Mapping[int, SeenBoard]
"""A camera's boards, by number of frame."""
Pose = FloatArray
"""(4, 4) from one set of axes to another."""


@dataclass(frozen=True, slots=True)
class CameraError:
    """How well a camera fits."""

    name: str
    frames: int
    """In which it saw the board, of those that were adjusted."""
    median_px: float
    rms_px: float


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """Calibrated cameras; the first one is the origin of the world."""

    cameras: list[CalibratedCamera]
    errors: list[CameraError]
    rms_px: float
    """Root mean square of all reprojection errors."""


def calibrate_cameras(
    board: Board, seen: Mapping[str, Seen], sizes: Mapping[str, tuple[int, int]], lens: Lens
) -> CalibrationResult:
    """Calibrate cameras.

    Parameters
    ----------
    board
        The board.
    seen
        What each camera saw of it, frames of one number being exposed at the same time.
    sizes
        Width and height of each camera's frames, px.
    lens
        `simple`: one focal length, k1, and the centre of the frame; `full`: fx, fy, cx, cy, k1, k2, p1, p2.

    Returns
    -------
    CalibrationResult
        The cameras, in the order of `seen`, in mm.

    Raises
    ------
    UserError
        Where a camera saw the board too seldom, or not at once with others.
    """
    if len(seen) < 2:
        raise UserError(f"calibration: expected the recordings of two cameras or more, got {len(seen)}")
    alone = [_fit_lens(name, board, frames, sizes[name], lens) for name, frames in seen.items()]
    poses = [_board_poses(board, camera, frames) for camera, frames in zip(alone, seen.values(), strict=True)]
    placed = _place(list(seen), poses)
    cameras = [_standing_at(camera, pose) for camera, pose in zip(alone, placed, strict=True)]
    frames = _shared_frames(list(seen.values()))
    boards = np.array([_board_in_world(frame, placed, poses, list(seen.values())) for frame in frames])
    observed = _observations(board, list(seen.values()), frames)
    adjusted, off = adjust(cameras, boards, observed, lens)
    errors = []
    for v, camera in enumerate(adjusted):
        own, rows = off[observed.camera == v], np.unique(observed.frame[observed.camera == v])
        rms = float(np.sqrt(np.mean(np.square(own))))
        errors.append(CameraError(camera.name, len(rows), float(np.median(own)), rms))
    return CalibrationResult(adjusted, errors, float(np.sqrt(np.mean(np.square(off)))))


def _fit_lens(name: str, board: Board, seen: Seen, size: tuple[int, int], lens: Lens) -> CalibratedCamera:
    """A camera at the origin with its lens."""
    frames = sorted(seen)
    if len(frames) < LEAST_FRAMES:
        raise UserError(
            f"camera '{name}': the board is in {len(frames)} frames, at least {LEAST_FRAMES} are needed; "
            "is the board as it was stated, sharp and evenly lit, and wholly in view (a checkerboard)?"
        )
    chosen = [seen[frames[i]] for i in evenly_spaced(len(frames), MOST_LENS_FRAMES)]
    places = [board.corners[one.ids].astype(np.float32) for one in chosen]
    px = [one.px.astype(np.float32) for one in chosen]
    width, height = size
    guess = np.array([[width, 0, (width - 1) / 2], [0, width, (height - 1) / 2], [0, 0, 1]], np.float64)
    flags = cv2.CALIB_USE_INTRINSIC_GUESS | cv2.CALIB_FIX_K3
    if lens == "simple":
        flags |= cv2.CALIB_FIX_PRINCIPAL_POINT | cv2.CALIB_FIX_ASPECT_RATIO
        flags |= cv2.CALIB_ZERO_TANGENT_DIST | cv2.CALIB_FIX_K2
    try:
        _, matrix, bent, _, _ = cv2.calibrateCamera(places, px, size, guess, np.zeros(5), flags=flags)
    except cv2.error as error:
        raise UserError(f"camera '{name}': its lens cannot be fitted: {error.err}; {_MOVE}") from error
    if not (np.isfinite(matrix).all() and np.isfinite(bent).all() and min(matrix[0, 0], matrix[1, 1]) > 0):
        raise UserError(f"camera '{name}': its lens cannot be fitted; {_MOVE}")
    distortions = np.zeros(5)
    distortions[: min(5, bent.size)] = bent.ravel()[:5]
    return CalibratedCamera(name, size, np.asarray(matrix, np.float64), distortions, np.zeros(3), np.zeros(3))


_MOVE = "show the board at several distances, tilted, and also near the edges of the frame"


def _board_poses(board: Board, camera: CalibratedCamera, seen: Seen) -> dict[int, Pose]:
    """The board's pose before one camera, by frame."""
    poses = {}
    for frame, one in seen.items():
        found, turn, shift = cv2.solvePnP(
            board.corners[one.ids], one.px, camera.matrix, camera.distortions, flags=cv2.SOLVEPNP_ITERATIVE
        )
        if found and np.isfinite(turn).all() and np.isfinite(shift).all() and shift[2, 0] > 0:
            poses[frame] = _pose(turn, shift)
    return poses


def _place(names: Sequence[str], poses: Sequence[Mapping[int, Pose]]) -> list[Pose]:
    """Poses of the cameras (world to camera), the first at the origin; along the pairs that share most."""
    placed: dict[int, Pose] = {0: np.eye(4)}
    while len(placed) < len(names):
        shared, a, b = max(
            (len(poses[a].keys() & poses[b].keys()), a, b)
            for a in placed
            for b in range(len(names))
            if b not in placed
        )
        if shared < LEAST_SHARED:
            left = [names[v] for v in range(len(names)) if v not in placed]
            raise UserError(
                f"calibration: {' and '.join(left)} never see the board at once with "
                f"{' or '.join(names[v] for v in placed)} (in {LEAST_SHARED} frames or more); hold it "
                "where both see it, and check that frames of one number were taken at the same time"
            )
        placed[b] = _relative(poses[a], poses[b]) @ placed[a]
    return [placed[v] for v in range(len(names))]


def _relative(first: Mapping[int, Pose], second: Mapping[int, Pose]) -> Pose:
    """From one camera's axes to another's: of the poses by every frame, the one closest to all others."""
    frames = sorted(first.keys() & second.keys())
    chosen = [frames[i] for i in evenly_spaced(len(frames), MOST_COMPARED)]
    found = np.array([second[frame] @ np.linalg.inv(first[frame]) for frame in chosen])
    depth = float(np.median([second[frame][2, 3] for frame in chosen]))
    turned = np.linalg.norm(found[:, None, :3, :3] - found[None, :, :3, :3], axis=(2, 3))
    shifted = np.linalg.norm(found[:, None, :3, 3] - found[None, :, :3, 3], axis=2)
    apart = np.median(turned * depth + shifted, axis=1)
    pose: Pose = found[apart.argmin()]
    return pose


def _shared_frames(seen: Sequence[Seen]) -> list[int]:
    """Frames in which two cameras or more see the board, of each camera evenly."""
    shared = {frame for one in seen for frame in one if sum(frame in other for other in seen) > 1}
    chosen: set[int] = set()
    for one in seen:
        own = sorted(shared & one.keys())
        chosen |= {own[i] for i in evenly_spaced(len(own), max(LEAST_SHARED, MOST_ADJUSTED // len(seen)))}
    return sorted(chosen)


def _board_in_world(
    frame: int, placed: Sequence[Pose], poses: Sequence[Mapping[int, Pose]], seen: Sequence[Seen]
) -> FloatArray:
    """The board's pose in a frame by the camera that sees most of it: rotation vector, translation (6,)."""
    having = [v for v in range(len(placed)) if frame in poses[v]]
    if not having:  # no camera could place it; the adjustment begins anywhere in front of the first
        return np.array([0, 0, 0, 0, 0, 1e3])
    best = max(having, key=lambda v: len(seen[v][frame].ids))
    pose = np.linalg.inv(placed[best]) @ poses[best][frame]
    return np.concatenate([cv2.Rodrigues(pose[:3, :3])[0].ravel(), pose[:3, 3]])


def _observations(board: Board, seen: Sequence[Seen], frames: Sequence[int]) -> BoardObservations:
    rows = [
        (np.full(len(one[frame].ids), v), np.full(len(one[frame].ids), f), one[frame].ids, one[frame].px)
        for f, frame in enumerate(frames)
        for v, one in enumerate(seen)
        if frame in one
    ]
    camera, number, ids, px = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return BoardObservations(camera, number, board.corners[ids], px)


def _pose(turn: FloatArray, shift: FloatArray) -> Pose:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], np.ravel(shift)
    return pose


def _standing_at(camera: CalibratedCamera, pose: Pose) -> CalibratedCamera:
    turn = np.asarray(cv2.Rodrigues(pose[:3, :3])[0].ravel(), np.float64)
    return CalibratedCamera(
        camera.name, camera.size, camera.matrix, camera.distortions, turn, pose[:3, 3].copy()
    )
