"""A calibrated camera beside OpenCV's projection, and against its own inverse and derivative."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rt_pose.views.camera import CalibratedCamera

CAMERA = CalibratedCamera(
    "top",
    (1280, 1024),
    np.array([[770.0, 0, 640], [0, 760, 500], [0, 0, 1]]),
    np.array([-0.28, 0.06, 0.001, -0.002, -0.004]),
    np.array([0.3, -0.4, 1.2]),
    np.array([-20.0, 10, 400]),
)
PLACES = np.random.default_rng(0).uniform(-150, 150, (200, 3))


def test_it_projects_as_opencv_does() -> None:
    expected, _ = cv2.projectPoints(
        PLACES, CAMERA.rotation, CAMERA.translation, CAMERA.matrix, CAMERA.distortions
    )
    assert CAMERA.project(PLACES) == pytest.approx(expected[:, 0], abs=1e-9)
    behind = CAMERA.position - 100 * CAMERA.rotation_matrix[2]
    assert np.isnan(CAMERA.project(behind)).all()


def test_directions_are_those_of_the_places() -> None:
    local = PLACES @ CAMERA.rotation_matrix.T + CAMERA.translation
    px = np.concatenate([CAMERA.project(PLACES), [[np.nan, 3.0]]])
    directions = CAMERA.undistort(px)
    assert directions[:-1] == pytest.approx(local[:, :2] / local[:, 2:], abs=1e-8)
    assert np.isnan(directions[-1]).all()


def test_what_lies_beyond_the_fold_of_a_lens_is_not_seen() -> None:
    """With k1 alone the image turns back: a pixel further out than that has no direction."""
    folding = CalibratedCamera(
        "f", CAMERA.size, CAMERA.matrix, np.array([-0.3, 0, 0, 0, 0]), np.zeros(3), np.zeros(3)
    )
    assert folding.fold2 == pytest.approx(1 / 0.9)
    edge = 770 * np.sqrt(folding.fold2) * (1 - 0.3 * folding.fold2)
    assert np.isfinite(folding.undistort(np.array([640 + 0.99 * edge, 500]))).all()
    assert np.isnan(folding.undistort(np.array([640 + 1.01 * edge, 500]))).all()
    assert np.isnan(folding.project(np.array([2.0, 0, 1]))).all()


def test_the_derivative_is_that_of_the_projection() -> None:
    still = CalibratedCamera("s", CAMERA.size, CAMERA.matrix, CAMERA.distortions, np.zeros(3), np.zeros(3))
    place = np.array([30.0, -50, 400])
    _, slope, _ = still.project_with_derivative(place)
    for axis, step in enumerate(np.eye(3) * 1e-4):
        numeric = (still.project(place + step) - still.project(place - step)) / 2e-4
        assert slope[:, axis] == pytest.approx(numeric, rel=1e-6)


def test_a_camera_that_moves_sees_what_it_saw_from_there() -> None:
    moved = CAMERA.moved(np.array([0.02, -0.01, 0.03]), np.array([1.0, 2, -3]))
    turn = cv2.Rodrigues(np.array([0.02, -0.01, 0.03]))[0]
    local = PLACES @ CAMERA.rotation_matrix.T + CAMERA.translation
    expected = local @ turn.T + (1.0, 2, -3)
    assert PLACES @ moved.rotation_matrix.T + moved.translation == pytest.approx(expected, abs=1e-9)
