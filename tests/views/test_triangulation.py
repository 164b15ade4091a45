"""Places from several views: exact without noise, of the stated covariance with it, and without outliers."""

from __future__ import annotations

import numpy as np
import pytest

from bench.calibration import make_rig
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.placed import place_keypoints
from rt_pose.views.triangulation import triangulate, triangulate_consistent
from rt_pose.views.view_poses import ViewPoses

POINTS = 400


@pytest.fixture(scope="module")
def scene() -> tuple[list[CalibratedCamera], FloatArray, FloatArray]:
    """Four cameras, places (n, 3) and where they are seen (V, n, 2)."""
    random = np.random.default_rng(5)
    cameras = make_rig(random, 4)
    xyz = random.uniform(-80, 80, (POINTS, 3))
    return cameras, xyz, np.stack([camera.project(xyz) for camera in cameras])


Scene = tuple[list[CalibratedCamera], FloatArray, FloatArray]


def test_without_noise_it_is_exact(scene: Scene) -> None:
    cameras, xyz, xy = scene
    seen = xy.copy()
    seen[0, ::2] = np.nan
    seen[1:, 1] = np.nan  # one view is none
    found = triangulate(cameras, seen)
    assert np.isnan(found.xyz[1]).all()
    assert np.isnan(found.error_px[1])
    kept = np.arange(POINTS) != 1
    assert found.xyz[kept] == pytest.approx(xyz[kept], abs=1e-5)
    assert found.error_px[kept] == pytest.approx(0, abs=1e-5)
    assert found.used.sum(axis=0)[:3].tolist() == [3, 0, 3]


def test_the_covariance_is_that_of_the_errors(scene: Scene) -> None:
    cameras, xyz, xy = scene
    random = np.random.default_rng(1)
    root = np.array([[2.0, 0.5], [0.0, 1.0]]) * np.array([1.0, 1, 2, 0.5])[:, None, None]
    cov = np.broadcast_to((root @ root.transpose(0, 2, 1))[:, None], (4, POINTS, 2, 2))
    noise = np.einsum("vij,vnj->vni", root, random.normal(size=xy.shape))
    found = triangulate(cameras, xy + noise, cov)
    off = found.xyz - xyz
    chi2 = np.einsum("ni,nij,nj->n", off, np.linalg.inv(found.cov), off)
    assert chi2.mean() == pytest.approx(3.0, abs=0.4), "three degrees of freedom"
    plain = triangulate(cameras, xy + noise)
    assert np.median(np.linalg.norm(off, axis=1)) < np.median(np.linalg.norm(plain.xyz - xyz, axis=1))
    unknown = cov.copy()
    unknown[0] = np.nan
    unknown[1] = 0.0
    assert triangulate(cameras, xy + noise, unknown).used[:2].sum() == 0


def test_an_observation_that_contradicts_the_others_is_left_out(scene: Scene) -> None:
    cameras, xyz, xy = scene
    random = np.random.default_rng(2)
    seen = xy + random.normal(0, 1, xy.shape)
    wrong = random.integers(0, 4, POINTS // 4)
    seen[wrong, np.arange(POINTS // 4)] += 80.0
    cov = np.broadcast_to(np.eye(2), (*xy.shape, 2))
    found = triangulate_consistent(cameras, seen, cov)
    assert np.linalg.norm(found.xyz - xyz, axis=1).max() < 20
    assert (found.used.sum(axis=0) == 4)[POINTS // 4 :].mean() > 0.98
    left_out = ~found.used[wrong, np.arange(POINTS // 4)]
    assert left_out.mean() > 0.95, "all but those that moved along a ray of the others"
    names = [camera.name for camera in cameras]
    poses = ViewPoses(names, ["a", "b"], list(range(POINTS // 2)), seen.reshape(4, -1, 2, 2))
    placed = place_keypoints(cameras, poses, 1.0)
    assert placed.xyz.reshape(-1, 3) == pytest.approx(found.xyz)
    assert placed.left_out == (~found.used).sum()
