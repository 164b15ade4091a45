"""Cameras from the corners of a board: those that saw it come out, in mm, and what cannot be is said."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.filmed_board import SIZE, board_poses, cameras_around

from rt_pose.errors import UserError
from rt_pose.views.board import SeenBoard, checkerboard
from rt_pose.views.bundle import BoardObservations, adjust
from rt_pose.views.calibrate import calibrate_cameras
from rt_pose.views.camera import CalibratedCamera

BOARD = checkerboard("6x5", 15.0)
Seen = dict[str, dict[int, SeenBoard]]


def corners(cameras: list[CalibratedCamera], frames: int, noise_px: float) -> Seen:
    """What the cameras saw of a board, each without some of its corners."""
    random = np.random.default_rng(1)
    seen: Seen = {camera.name: {} for camera in cameras}
    for frame, (turn, shift) in enumerate(board_poses(BOARD, frames, 2, (110, 80))):
        for camera in cameras:
            ids = np.sort(random.permutation(30)[:26])
            px = camera.project(BOARD.corners[ids] @ turn.T + shift) + random.normal(0, noise_px, (26, 2))
            seen[camera.name][frame] = SeenBoard(ids, px)
    return seen


SIZES = dict.fromkeys("abc", SIZE)


def test_the_cameras_that_saw_the_board_come_out() -> None:
    cameras = cameras_around((0, 35, -40), k1=-0.2)
    seen = corners(cameras, 9, 0.2)
    del seen["c"][3]
    seen["b"][5] = SeenBoard(
        seen["b"][5].ids, seen["b"][5].px + np.array([60.0, -40.0])
    )  # a mistake of the detection
    result = calibrate_cameras(BOARD, seen, SIZES, "simple")
    assert [error.name for error in result.errors] == ["a", "b", "c"]
    assert [error.frames for error in result.errors] == [9, 9, 8]
    assert all(error.median_px < 0.6 for error in result.errors)
    for found, camera in zip(result.cameras, cameras, strict=True):
        assert found.focal == pytest.approx(camera.focal, rel=0.02)
        assert found.distortions[0] == pytest.approx(-0.2, abs=0.05)
        assert found.position == pytest.approx(camera.position, abs=8)
        assert found.size == SIZE
        places = np.random.default_rng(3).uniform((-40, -30, 370), (40, 30, 430), (50, 3))
        assert found.project(places) == pytest.approx(camera.project(places), abs=2.0)
    assert result.cameras[0].position.tolist() == [0, 0, 0]


def test_what_is_right_already_stays_as_it_is() -> None:
    """With all numbers of a lens, each of which is another."""
    cameras = [
        replace(
            camera,
            matrix=np.array([[500.0 + i, 0, 240 - i], [0, 510 - i, 170 + i], [0, 0, 1]]),
            distortions=np.array([-0.1, 0.03, 0.002 * i, -0.001, 0]),
        )
        for i, camera in enumerate(cameras_around((0, 35)))
    ]
    poses = board_poses(BOARD, 4, 2, (110, 80))
    px = [camera.project(BOARD.corners @ turn.T + shift) for turn, shift in poses for camera in cameras]
    seen = BoardObservations(
        *(np.tile(np.repeat([0, 1], 30), 4), np.repeat(np.arange(4), 60)),
        *(np.tile(BOARD.corners, (8, 1)), np.concatenate(px)),
    )
    boards = np.array([[*cv2.Rodrigues(turn)[0].ravel(), *shift] for turn, shift in poses])
    adjusted, off = adjust(cameras, boards, seen, "full")
    assert off.max() < 1e-6
    for found, camera in zip(adjusted, cameras, strict=True):
        assert found.matrix == pytest.approx(camera.matrix)
        assert found.distortions == pytest.approx(camera.distortions)
        assert found.position == pytest.approx(camera.position)


def test_what_cannot_be_calibrated() -> None:
    cameras = cameras_around((0, 35, -40))
    seen = corners(cameras, 12, 0.2)
    few = seen | {"b": dict(list(seen["b"].items())[:7])}
    apart = seen | {"c": {frame + 100: one for frame, one in seen["c"].items()}}
    for given, expected in (
        ({"a": seen["a"]}, "recordings of two cameras or more, got 1"),
        (few, "camera 'b': the board is in 7 frames, at least 8"),
        (apart, "c never see the board at once with a or b"),
    ):
        with pytest.raises(UserError, match=expected):
            calibrate_cameras(BOARD, given, SIZES, "simple")
