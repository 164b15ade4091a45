"""A calibration board that is moved before cameras of known pose: its corners, or films of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray
from rt_pose.views.board import Board
from rt_pose.views.camera import CalibratedCamera

SQUARE_PX = 20
"""Of the flat picture of a board."""
SIZE = (480, 360)
DISTANCE_MM = 400.0


def cameras_around(angles_deg: Sequence[float], k1: float = 0.0) -> list[CalibratedCamera]:
    """Cameras a, b, ... in a row, turned so that all look at one place; the first is the origin."""
    cameras = []
    for name, degrees, focal in zip("abcd", angles_deg, (500, 520, 540, 560), strict=False):
        turn = cv2.Rodrigues(np.array([0, np.radians(degrees), 0]))[0]
        middle = np.array([0, 0, DISTANCE_MM])
        matrix = np.array([[focal, 0, (SIZE[0] - 1) / 2], [0, focal, (SIZE[1] - 1) / 2], [0, 0, 1.0]])
        bent = np.array([k1, 0, 0, 0, 0])
        rotation = cv2.Rodrigues(turn)[0].ravel()
        cameras.append(CalibratedCamera(name, SIZE, matrix, bent, rotation, middle - turn @ middle))
    return cameras


def board_poses(
    board: Board, frames: int, seed: int, aside_mm: tuple[float, float] = (45, 30)
) -> list[tuple[FloatArray, FloatArray]]:
    """Rotation matrix and translation of the board in each frame, before the first camera."""
    random = np.random.default_rng(seed)
    poses = []
    for _ in range(frames):
        turn = cv2.Rodrigues(np.radians(random.uniform(-28, 28, 3)))[0]
        place = random.uniform(-1, 1, 3) * (*aside_mm, 60) + (0, 0, DISTANCE_MM)
        poses.append((turn, place - turn @ board.corners.mean(axis=0)))
    return poses


def film(
    folder: Path,
    board: Board,
    cameras: Sequence[CalibratedCamera],
    poses: Sequence[tuple[FloatArray, FloatArray]],
) -> list[str]:
    """A film of each camera without distortion; what --recordings is given."""
    flat, to_mm = flat_picture(board)
    for camera in cameras:
        with av.open(str(folder / f"{camera.name}.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=30)
            stream.width, stream.height, stream.pix_fmt = *camera.size, "gray"
            for turn, shift in poses:
                whole = camera.rotation_matrix @ turn
                place = camera.rotation_matrix @ shift + camera.translation
                to_px = camera.matrix @ np.stack([whole[:, 0], whole[:, 1], place], axis=1) @ to_mm
                image = cv2.warpPerspective(flat, to_px, camera.size, flags=cv2.INTER_LINEAR, borderValue=215)
                image = cv2.GaussianBlur(image, (3, 3), 0.6)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
            container.mux(stream.encode(None))
    return [f"{camera.name}={folder / camera.name}.mkv" for camera in cameras]


def flat_picture(board: Board) -> tuple[NDArray[np.uint8], FloatArray]:
    """The board from straight above with a white rim, and (3, 3) from its px to mm of the board."""
    columns, rows = board.columns + 1, board.rows + 1
    if board.markers is None:
        squares = (np.indices((rows, columns)).sum(axis=0) % 2 * 200 + 20).astype(np.uint8)
        flat = np.kron(squares, np.ones((SQUARE_PX, SQUARE_PX), np.uint8))
    else:
        flat = board.markers.getBoard().generateImage((columns * SQUARE_PX, rows * SQUARE_PX), marginSize=0)
    flat = np.pad(flat, SQUARE_PX, constant_values=230)
    scale = board.square_mm / SQUARE_PX
    first = 2 * SQUARE_PX - 0.5
    return flat, np.array([[scale, 0, -scale * first], [0, scale, -scale * first], [0, 0, 1]])
