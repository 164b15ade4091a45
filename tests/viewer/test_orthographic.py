"""The projection of space onto the pane."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.calibration import make_rig
from rt_pose.viewer.orthographic import Projection, Surroundings, axis_lines, camera_lines

RIGHT = math.pi / 2


@pytest.mark.parametrize(
    ("projection", "x", "y", "z"),
    [
        (Projection(True, 0.0, 0.0), (1, 0), (0, 0), (0, 1)),  # from the side
        (Projection(True, 0.0, RIGHT), (1, 0), (0, 1), (0, 0)),  # from above
        (Projection(True, RIGHT, 0.0), (0, 0), (1, 0), (0, 1)),  # from the other side
        (Projection(False, 0.0, 0.0), (1, 0), (0, -1), (0, 0)),  # as the first camera sees it: y is down
    ],
)
def test_axes_lie_where_they_should(
    projection: Projection, x: tuple[int, int], y: tuple[int, int], z: tuple[int, int]
) -> None:
    np.testing.assert_allclose(projection.project(np.eye(3)), [x, y, z], atol=1e-12)


def test_it_keeps_lengths_across_the_view() -> None:
    projection = Projection(True, 0.7, 0.4)
    matrix = projection.matrix
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(2), atol=1e-12)
    random = np.random.default_rng(1)
    root = random.normal(size=(3, 3))
    cov = root @ root.T
    flat = projection.project_cov(cov[np.triu_indices(3)][None])[0]
    np.testing.assert_allclose([[flat[0], flat[1]], [flat[1], flat[2]]], matrix @ cov @ matrix.T)


def test_the_mouse_turns_it_as_a_hand_turns_a_globe() -> None:
    """What is near goes along with the mouse; beyond the top it does not turn over."""
    view = Projection(True, 0.3, 0.2)
    near = -np.cross(view.matrix[0], view.matrix[1])  # towards the one who looks
    near = near if near @ view.axes[1] < 0 else -near
    assert (view.turned(-0.1, 0.0).project(near) - view.project(near))[0] > 0
    assert (view.turned(0.0, 0.1).project(near) - view.project(near))[1] < 0
    assert view.turned(0.0, 9.0).elevation == RIGHT
    assert view.turned(0.0, -9.0).elevation == -RIGHT


def test_cameras_look_at_the_middle_and_stand_on_no_floor() -> None:
    cameras = make_rig(np.random.default_rng(3), 4)
    around = Surroundings.of(cameras, upright=True)
    distances = [np.linalg.norm(camera.position) for camera in cameras]
    assert np.linalg.norm(around.middle) < 60, "they look past the origin by some 20 mm"
    assert around.radius == pytest.approx(np.median(distances) / 3.0, rel=0.1)
    grid = around.grid(Projection())
    assert (grid[:, 2] == 0.0).all()
    np.testing.assert_allclose(grid[:, :2] / around.cell, np.rint(grid[:, :2] / around.cell), atol=1e-9)
    assert around.cell in (20.0, 50.0, 100.0)
    places = np.array([[3.0, 4.0, 50.0]])
    np.testing.assert_array_equal(around.on_floor(places, np.array([0.0, 0.0, 1.0])), [[3.0, 4.0, 0.0]])
    for camera in cameras:
        lines = camera_lines(camera, around.middle).reshape(8, 2, 3)
        np.testing.assert_allclose(lines[:4, 0], np.tile(camera.position, (4, 1)))
        tips = lines[:4, 1]
        np.testing.assert_array_equal(lines[4:, 0], tips)
        ideal = (tips - camera.position) @ camera.rotation_matrix.T
        seen = ideal[:, :2] / ideal[:, 2:] * camera.focal + camera.centre
        np.testing.assert_allclose(seen[2], np.array(camera.size) - 0.5, atol=1e-6)
    assert axis_lines(around.middle, 5.0).shape == (3, 2, 3)


def test_without_cameras_there_is_some_room() -> None:
    around = Surroundings.of([], upright=False)
    assert around.radius > 0
    assert np.isfinite(around.grid(Projection(upright=False))).all()
