"""The reprojection loss: pixels of the frame, confidence, what has no place, and wrong calibrations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.camera_clips import bent_rig, clips_of, places, seen
from torch import Tensor

from bench.calibration import make_animal, make_rig, observe
from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.triangulation import triangulate
from train.config import LossConfig
from train.losses.loss_context import CalibratedViews, FittedViewsLoss, LossContext
from train.losses.projection import Cameras
from train.losses.reprojection import Reprojection, reprojection


def loss_of(cameras: list[CalibratedCamera], eps: float = 0.0) -> Reprojection:
    return Reprojection(Cameras.of(cameras), torch.full((len(cameras),), eps), 0.05)


def with_noise(xy: Tensor, px: float = 6.0) -> Tensor:
    return xy + torch.from_numpy(np.random.default_rng(5).normal(0, px, xy.shape))


def test_views_of_one_place_cost_nothing_and_others_their_reprojection_errors() -> None:
    cameras = bent_rig()
    clean = seen(cameras, places(4, 5))
    loss = loss_of(cameras)
    assert loss(clips_of(clean.float())).item() == pytest.approx(0, abs=1e-3)
    xy = with_noise(clean)
    errors = np.linalg.norm(triangulate(cameras, xy.reshape(3, -1, 2).numpy()).residual, axis=-1)
    assert loss(clips_of(xy)).item() == pytest.approx(errors.mean(), rel=0.02), (
        "the loss is in px of the frame"
    )
    forgiving = loss_of(cameras, eps=2.0)
    assert forgiving(clips_of(xy)).item() == pytest.approx(np.maximum(errors - 2, 0).mean(), rel=0.05)


def test_its_gradient_is_that_of_finite_differences() -> None:
    cameras = bent_rig()
    xy = with_noise(seen(cameras, places(2, 2, seed=1)))
    confidence = torch.from_numpy(np.random.default_rng(2).uniform(0.2, 1, (3, 2, 2)))
    confidence[0, 0, 0] = 0.01
    loss = loss_of(cameras, eps=0.5)
    assert torch.autograd.gradcheck(
        lambda at: loss(clips_of(at, confidence)), (xy.requires_grad_(),), eps=1e-4, atol=1e-6
    )


def test_descending_makes_the_views_agree() -> None:
    cameras = bent_rig()
    xy = with_noise(seen(cameras, places(3, 2)), 15.0).requires_grad_()
    loss, optimiser = loss_of(cameras), torch.optim.Adam([xy], lr=1.0)
    first = loss(clips_of(xy)).item()
    for _ in range(30):
        optimiser.zero_grad()
        loss(clips_of(xy)).backward()
        optimiser.step()
    assert loss(clips_of(xy)).item() < 0.2 * first


def test_an_error_in_one_view_pulls_that_view_most_and_costs_the_others_less_where_it_is_unsure() -> None:
    cameras = bent_rig(4)
    xy = seen(cameras, places(1, 1))
    xy[2, 0, 0] += torch.tensor([20.0, 12.0])
    at = xy.clone().requires_grad_()
    loss_of(cameras)(clips_of(at)).backward()
    assert at.grad is not None
    assert at.grad.norm(dim=-1).argmax() == 2
    unsure = torch.ones(4, 1, 1)
    unsure[2] = 0.06
    only_others = Reprojection(Cameras.of(cameras), torch.tensor([0.0, 0.0, 1e3, 0.0]), 0.05)
    alike, less = (only_others(clips_of(xy, how)).item() for how in (torch.ones(4, 1, 1), unsure))
    assert less < 0.3 * alike


def test_what_fewer_than_two_trusted_cameras_see_gives_nothing() -> None:
    cameras = bent_rig()
    xy = with_noise(seen(cameras, places(2, 2)), 20.0)
    confidence = torch.ones(3, 2, 2)
    confidence[1:, 0, 0] = 0.01
    xy[1:, 0, 1] = torch.nan
    xy[:, 1, 0] = torch.nan
    xy.requires_grad_()
    loss = loss_of(cameras)(clips_of(xy, confidence))
    loss.backward()
    assert loss.item() > 1
    assert xy.grad is not None
    assert torch.isfinite(xy.grad).all()
    without = torch.ones(2, 2, dtype=torch.bool)
    without[1, 1] = False
    assert (xy.grad[:, without] == 0).all()
    assert (xy.grad[:, 1, 1].norm(dim=-1) > 0).all()
    lost = torch.full_like(xy, torch.nan).requires_grad_()
    nothing = loss_of(cameras)(clips_of(lost))
    nothing.backward()
    assert nothing.item() == 0
    assert lost.grad is not None
    assert (lost.grad == 0).all()


def test_parallel_rays_places_behind_a_camera_and_pixels_of_no_lens_are_safe() -> None:
    first = bent_rig(1)[0]
    second = replace(first, name="b", translation=first.translation + np.array([80.0, 0, 0]))
    xy = torch.zeros(2, 1, 4, 2, dtype=torch.float64) + torch.from_numpy(first.centre)
    xy[1, 0, 1, 0] -= 200.0  # meets the other's ray behind both
    xy[:, 0, 2] = 1e7
    xy[1, 0, 3, 0] += 150.0
    xy[1, 0, 3, 1] += 9.0
    xy.requires_grad_()
    loss = loss_of([first, second])(clips_of(xy))
    loss.backward()
    assert xy.grad is not None
    assert torch.isfinite(xy.grad).all()
    assert (xy.grad[:, 0, :3] == 0).all()
    assert loss.item() == pytest.approx(4.5, abs=0.5), (
        "of the one that has a place: half of 9 px in each view"
    )


def test_it_works_where_the_answer_lies() -> None:
    """On torch's meta device, which refuses to mix devices."""
    cameras = bent_rig()
    xy = torch.zeros(3, 2, 2, 2, device="meta", requires_grad=True)
    found = loss_of(cameras)(clips_of(xy, torch.ones(3, 2, 2, device="meta")))
    assert found.device.type == "meta"
    found.backward()


KEYPOINTS = [f"k{i}" for i in range(15)]


def build_from(cameras: list[CalibratedCamera], labels: FloatArray, **settings: float) -> FittedViewsLoss:
    context = LossContext(
        "reprojection",
        LossConfig(**settings),  # type: ignore[arg-type]
        labels[0],
        KEYPOINTS,
        [],
        (1.0, 1.0),
        (32, 24),
        lambda: np.ones(15),
        CalibratedViews("rig.toml", cameras, labels),
    )
    return reprojection(context)


@pytest.fixture(scope="module")
def labeled() -> tuple[list[CalibratedCamera], FloatArray]:
    """Four cameras, and labels (V, F, K, 2) with 1.5 px of noise, some missing."""
    random = np.random.default_rng(8)
    cameras = make_rig(random, 4)
    return cameras, observe(cameras, make_animal(random, 30), 1.5, random, 0.0)


def test_the_tolerance_is_the_labels_own_error(labeled: tuple[list[CalibratedCamera], FloatArray]) -> None:
    cameras, labels = labeled
    found = build_from(cameras, labels)
    assert isinstance(found.loss, Reprojection)
    residual = triangulate(cameras, labels.reshape(4, -1, 2)).residual
    errors = np.linalg.norm(residual, axis=-1)
    np.testing.assert_allclose(found.loss.eps, np.nanpercentile(errors, 99, axis=1))
    assert "the calibration fits" in found.note
    assert "from the labels' own errors: a " in found.note
    given = build_from(cameras, labels, eps=3.0)
    assert "eps in px, as configured: a 3.0, b 3.0" in given.note


def test_labels_that_are_too_few_are_said_not_to_check(
    labeled: tuple[list[CalibratedCamera], FloatArray],
) -> None:
    cameras, labels = labeled
    for some in (labels[:, :3], labels[:, :0]):
        found = build_from(cameras, some)
        assert "the calibration was not checked: " in found.note
    assert "0.3% of a frame's diagonal: a 4.9" in found.note


def test_a_calibration_that_the_labels_contradict_is_refused(
    labeled: tuple[list[CalibratedCamera], FloatArray],
) -> None:
    cameras, labels = labeled
    first, second, *others = cameras
    swapped = [replace(second, name=first.name), replace(first, name=second.name), *others]
    with pytest.raises(
        UserError, match=r"losses.reprojection: the labels contradict the calibration rig.toml"
    ):
        build_from(swapped, labels)
    turned = [first, second.moved(np.array([0.0, np.radians(3), 0.0]), np.zeros(3)), *others]
    with pytest.raises(UserError, match=r"camera b: as if it had been turned by [23]\.\d degrees"):
        build_from(turned, labels)
