"""The cameras in torch are those of the rest of the program, and hand gradients on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.camera_clips import bent_rig, places, seen

from rt_pose.views.triangulation import triangulate
from train.losses.projection import Cameras


def test_pixels_and_directions_are_those_of_the_camera_model() -> None:
    cameras = bent_rig()
    ours = Cameras.of(cameras)
    xyz = np.concatenate([places(40, 1)[:, 0], [[0, 0, 5000.0], [9000.0, 0, 0]]])  # behind, and beside
    px, shown = ours.project(torch.from_numpy(xyz))
    expected = np.stack([camera.project(xyz) for camera in cameras])
    np.testing.assert_array_equal(shown, np.isfinite(expected).all(axis=-1))
    assert 0 < int((~shown).sum()) <= 6
    np.testing.assert_allclose(px[shown], expected[shown.numpy()], atol=1e-9)
    grid = np.stack(np.meshgrid(np.linspace(-900, 2200, 9), np.linspace(-900, 2000, 9)), axis=-1).reshape(
        -1, 2
    )
    ideal, found = ours.undistort(torch.from_numpy(np.broadcast_to(grid, (3, 81, 2)).copy()))
    wanted = np.stack([camera.undistort(grid) for camera in cameras])
    np.testing.assert_array_equal(found, np.isfinite(wanted).all(axis=-1))
    assert 0 < int((~found).sum()) < 200, "the corners lie beyond what a lens shows"
    np.testing.assert_allclose(ideal[found], wanted[found.numpy()], atol=1e-9)
    assert (ideal[~found] == 0).all()


def test_consistent_rays_meet_at_their_place_and_noisy_ones_near_the_best() -> None:
    cameras = bent_rig(4)
    ours, xyz = Cameras.of(cameras), places(50, 1)[:, 0]
    clean = seen(cameras, xyz)
    weight = torch.full((4, 50), 0.5, dtype=torch.float64)
    weight[0, :10], weight[1:3, 10:20] = 0.0, 0.0
    found, placed = ours.triangulate(ours.undistort(clean)[0], weight)
    assert placed.all()
    np.testing.assert_allclose(found, xyz, atol=1e-6)
    noisy = clean + torch.from_numpy(np.random.default_rng(1).normal(0, 2, clean.shape))
    used = np.where((weight > 0)[..., None], noisy, np.nan)
    best = triangulate(cameras, used).xyz
    found, _ = ours.triangulate(ours.undistort(noisy)[0], weight)
    off = np.linalg.norm(found.numpy() - best, axis=-1)
    assert np.median(off) < 0.1 * np.median(np.linalg.norm(best - xyz, axis=-1)), "of the noise itself"


@pytest.mark.parametrize("what", ["undistort", "project", "triangulate"])
def test_gradients_are_those_of_finite_differences(what: str) -> None:
    cameras = bent_rig()
    ours, xyz = Cameras.of(cameras), places(3, 1, seed=2)[:, 0]
    px = seen(cameras, xyz) + torch.from_numpy(np.random.default_rng(3).normal(0, 8, (3, 3, 2)))
    weight = torch.tensor([[1.0, 0.3, 0.8], [0.5, 1.0, 0.0], [0.9, 0.7, 0.2]], dtype=torch.float64)
    calls = {
        "undistort": (lambda at: ours.undistort(at)[0], px),
        "project": (lambda at: ours.project(at)[0], torch.from_numpy(xyz)),
        "triangulate": (lambda at: ours.triangulate(at, weight)[0], ours.undistort(px)[0].detach()),
    }
    call, at = calls[what]
    assert torch.autograd.gradcheck(call, (at.clone().requires_grad_(),), eps=1e-5, atol=1e-5)


def test_rays_that_meet_nowhere_are_told_and_have_no_gradient() -> None:
    """Fewer than two, parallel, meeting behind the cameras."""
    first = bent_rig(1)[0]
    shifted = replace(first, name="b", translation=first.translation + np.array([80.0, 0, 0]))
    ours = Cameras.of([first, shifted])
    ahead = torch.zeros((2, 4, 2), dtype=torch.float64)
    ahead[1, 1:3, 0] = torch.tensor([0.2, -0.2])  # cross ahead of them, and behind
    weight = torch.ones((2, 4), dtype=torch.float64)
    weight[1, 3] = 0.0
    ahead.requires_grad_()
    xyz, placed = ours.triangulate(ahead, weight)
    assert placed.tolist() == [False, True, False, False]
    assert (xyz[~placed] == 0).all()
    xyz.square().sum().backward()
    assert ahead.grad is not None
    assert torch.isfinite(ahead.grad).all()
    assert (ahead.grad[:, ~placed] == 0).all()
    assert ahead.grad[:, 1].abs().min(dim=0).values[0] > 0
