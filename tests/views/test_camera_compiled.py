"""The compiled projection against that of whole recordings, and its derivative against differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.calibration import make_rig
from rt_pose.views.camera_compiled import packed, project, undistort


def test_projection_and_derivative_are_the_cameras_own() -> None:
    random = np.random.default_rng(3)
    for camera in make_rig(random, 3):
        bent = replace(camera, distortions=np.array([-0.25, 0.08, 3e-3, -2e-3, -0.01]))
        row, slope = packed(bent), np.zeros((2, 3))
        places = random.uniform(-80, 80, (20, 3))
        expected, by_local, _ = bent.project_with_derivative(places)
        ideal = bent.undistort(expected)
        for xyz, px, by_place, direction in zip(
            places, expected, by_local @ bent.rotation_matrix, ideal, strict=True
        ):
            x, y, shown = project(row, xyz, slope)
            assert shown
            np.testing.assert_allclose([x, y], px, rtol=1e-12)
            np.testing.assert_allclose(slope, by_place, rtol=1e-9, atol=1e-12)
            differences = [
                (bent.project(xyz + step) - bent.project(xyz - step)) / 2e-3 for step in 1e-3 * np.eye(3)
            ]
            np.testing.assert_allclose(slope, np.transpose(differences), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(undistort(row, x, y)[:2], direction, atol=1e-9)


def test_what_a_camera_cannot_show() -> None:
    camera = make_rig(np.random.default_rng(4), 2)[0]
    row, slope = packed(camera), np.zeros((2, 3))
    behind = camera.position - camera.rotation_matrix[2] * 10
    aside = camera.position + camera.rotation_matrix[2] + 50 * camera.rotation_matrix[0]
    for xyz in (behind, aside, np.full(3, np.nan)):
        assert not project(row, xyz, slope)[2]
    assert not undistort(row, 1e5, 1e5)[2]
    assert not undistort(row, np.nan, 0.0)[2]
