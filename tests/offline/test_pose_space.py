"""Spaces of poses."""

from __future__ import annotations

import numpy as np

from rt_pose.offline.pose_space import pose_space, view_space


def two_views(random: np.random.Generator, frames: int, noise: float) -> np.ndarray:
    """(P, 3, 2): a point in space seen from the side and from below, and a keypoint of its own."""
    point = random.normal(0, [40.0, 15.0, 10.0], (frames, 3))
    side, below, other = point[:, [0, 1]], point[:, [0, 2]] + 100.0, random.normal(0, 30, (frames, 2))
    return np.stack([side, below, other], axis=1) + random.normal(0, noise, (frames, 3, 2))


def test_two_views_of_a_point_keep_to_three_dimensions() -> None:
    poses = two_views(np.random.default_rng(0), 500, 0.5)
    space = view_space("paw", poses, [0, 1])
    assert space is not None
    rows = np.array(space.components)
    assert rows.shape == (3, 4)
    np.testing.assert_allclose(rows @ rows.T, np.eye(3), atol=1e-9)
    # What is left outside is the difference of the two x.
    outside = np.eye(4) - rows.T @ rows
    np.testing.assert_allclose(np.abs(outside[0]), [0.5, 0.0, 0.5, 0.0], atol=0.02)
    assert max(space.eps_px2) < 0.5


def test_whole_poses_take_as_few_dimensions_as_hold_them() -> None:
    poses = two_views(np.random.default_rng(1), 500, 0.5)
    space = pose_space(poses, [0, 1, 2])
    assert space is not None
    assert len(space.components) == 5


def test_poses_that_keep_to_nothing_have_no_space() -> None:
    poses = np.random.default_rng(2).normal(0, 50, (500, 3, 2))
    assert pose_space(poses, [0, 1, 2]) is None


def test_too_few_poses_make_no_space() -> None:
    poses = two_views(np.random.default_rng(3), 20, 0.5)
    assert view_space("paw", poses, [0, 1]) is None
    poses[10:] = np.nan
    assert pose_space(poses, [0, 1, 2]) is None
