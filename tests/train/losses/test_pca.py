"""PCA losses: pixels of the frame, the 99th percentile, and labels that are missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.clip_inputs import HEIGHT, WIDTH, clip_of

from rt_pose.errors import UserError
from train.config import LossConfig
from train.losses.loss_context import LossContext
from train.losses.multiview_pca import MultiviewPCA, multiview_pca
from train.losses.pca import components_for, fit_space, held_out
from train.losses.pose_pca import PosePCA, pose_pca

NAMES = ["nose", "neck", "back", "tail"]


def _poses(count: int, seed: int = 0, noise: float = 0.5) -> np.ndarray:
    """(count, 4, 2) px: a stick that moves, turns a little, and bends, with noise."""
    random = np.random.default_rng(seed)
    at, turn, bend = (
        random.uniform(60, 140, (count, 2)),
        random.normal(0, 0.1, count),
        random.normal(0, 4, count),
    )
    along = np.array([-30.0, -10.0, 10.0, 30.0])
    x = at[:, :1] + along * np.cos(turn)[:, None]
    y = at[:, 1:] + along * np.sin(turn)[:, None] + bend[:, None] * [1.0, -1.0, -1.0, 1.0]
    return np.stack([x, y], axis=-1) + random.normal(0, noise, (count, 4, 2))


def _setup(
    labels: np.ndarray, names: list[str] = NAMES, views: object = (), **settings: object
) -> LossContext:
    return LossContext(
        "pca",
        LossConfig(**settings),  # type: ignore[arg-type]
        labels,
        names,
        [list(view) for view in views],  # type: ignore[attr-defined]
        (1.0, 1.0),
        (WIDTH, HEIGHT),
        lambda: np.ones(len(names)),
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values).float()


def test_residuals_are_those_of_plain_pca() -> None:
    poses = _poses(80)
    space = fit_space(poses, components_for(0.99), "pose_pca")
    d = poses.reshape(80, -1)
    _, strength, rows = np.linalg.svd(d - d.mean(0), full_matrices=False)
    count = int((np.cumsum(strength**2) / (strength**2).sum() < 0.99).sum()) + 1
    assert len(space.components) == count
    off = _poses(20, seed=5, noise=6).reshape(20, -1) - d.mean(0)
    expected = np.linalg.norm((off - off @ rows[:count].T @ rows[:count]).reshape(20, 4, 2), axis=-1)
    xy = _tensor((off + d.mean(0)).reshape(20, 4, 2))
    found = space.residuals(xy, torch.ones(20, 4, dtype=torch.bool))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_eps_lets_the_labels_pass_and_is_no_first_percentile() -> None:
    labels = _poses(200)
    fitted_loss = pose_pca(_setup(labels))
    loss = fitted_loss.loss
    assert isinstance(loss, PosePCA)
    residuals = loss.space.residuals(_tensor(labels), torch.ones(200, 4, dtype=torch.bool)).numpy()
    passed = (residuals <= loss.space.eps.numpy()).mean(axis=0)
    assert (passed >= 0.98).all(), "the 99th percentile forgives 99 of 100, a 1st would punish nearly all"
    assert (loss.space.eps.numpy() < 1.1 * residuals.max(axis=0)).all()
    unseen = held_out(labels.reshape(200, -1), len(loss.space.components))
    np.testing.assert_allclose(loss.space.eps, np.percentile(unseen, 99, axis=0), rtol=1e-5)
    assert loss(clip_of(_tensor(labels))).item() < 0.02


def test_what_is_fitted_is_judged_in_the_same_pixels() -> None:
    """Poses of the resized input held against a space of the frame are far off; in frame px none is."""
    loss = pose_pca(_setup(_poses(200))).loss
    seen = _tensor(_poses(50, seed=9))
    assert loss(clip_of(seen)).item() < 0.05
    assert loss(clip_of(seen * torch.tensor([256 / 396, 256 / 406]))).item() > 2


def test_one_keypoint_out_of_place_is_punished_and_pulled_back() -> None:
    loss = pose_pca(_setup(_poses(200))).loss
    xy = _tensor(_poses(10, seed=3))
    xy[4, 2, 1] += 40
    xy.requires_grad_()
    value = loss(clip_of(xy))
    value.backward()
    assert value.item() > 0.1
    assert xy.grad is not None
    assert xy.grad[4, 2, 1] > 0
    assert (xy.grad[0] == 0).all()


def test_a_keypoint_that_does_not_count_neither_suffers_nor_bends_the_others() -> None:
    loss = pose_pca(_setup(_poses(200))).loss
    xy = _tensor(_poses(10, seed=3))
    xy[:, 3] += 90
    assert loss(clip_of(xy)).item() > 1
    confidence = torch.ones(10, 4)
    confidence[:, 3] = 0.01
    assert loss(clip_of(xy, confidence)).item() < 0.05
    xy[:, 3] = float("nan")
    xy.requires_grad_()
    value = loss(clip_of(xy))
    value.backward()
    assert value.item() < 0.05
    assert xy.grad is not None
    assert torch.isfinite(xy.grad).all()


def test_too_few_whole_poses_are_refused_with_what_is_missing() -> None:
    labels = _poses(30)
    labels[4:, 3] = np.nan
    with pytest.raises(UserError, match=r"4 of 30 training frames show all 4 keypoints.*tail in 4"):
        pose_pca(_setup(labels))
    fitted_loss = pose_pca(_setup(labels, keypoints=["nose", "neck", "back"]))
    assert "from 30 labeled poses" in fitted_loss.note
    with pytest.raises(UserError, match=r"keypoints: no keypoint 'nek' in the labels, did you mean 'neck'"):
        pose_pca(_setup(labels, keypoints=["nose", "nek"]))


def test_a_space_that_holds_everything_is_refused() -> None:
    random = np.random.default_rng(0)
    with pytest.raises(UserError, match="leave nothing outside the"):
        pose_pca(_setup(random.uniform(0, 100, (40, 4, 2)), variance=0.9999))


def _two_views(count: int, seed: int = 0) -> np.ndarray:
    """(count, 4, 2): two body parts, each from the side (0, 1) and from below (2, 3), sharing x."""
    random = np.random.default_rng(seed)
    points = random.uniform(20, 180, (count, 2, 3))  # x, y, z
    side, below = points[..., [0, 1]], points[..., [0, 2]] + [3.0, 200.0]
    return np.concatenate([side, below], axis=1) + random.normal(0, 0.3, (count, 4, 2))


VIEWS = [["a_side", "a_below"], ["b_side", "b_below"]]
SEEN = ["a_side", "b_side", "a_below", "b_below"]


def test_views_that_agree_pass_and_one_that_does_not_is_punished() -> None:
    loss = multiview_pca(_setup(_two_views(60), SEEN, VIEWS)).loss
    assert isinstance(loss, MultiviewPCA)
    xy = _tensor(_two_views(10, seed=2))
    assert loss(clip_of(xy)).item() < 0.05
    xy[3, 1, 0] += 30  # the side view's x no longer is that of the view from below
    found = loss(clip_of(xy)).item()
    assert found == pytest.approx(2 * (15 - 1) / 40, abs=0.1), "half in either view, less what is forgiven"
    confidence = torch.ones(10, 4)
    confidence[3, 3] = 0.01
    assert loss(clip_of(xy, confidence)).item() < 0.05, "a part missing in one view has no mirror"


def test_keypoints_that_never_move_are_refused() -> None:
    still = np.repeat(_poses(1), 40, axis=0)
    with pytest.raises(UserError, match=r"losses.pose_pca: its keypoints stand at one and the same place"):
        pose_pca(_setup(still))
    still = np.repeat(_two_views(1)[:, [0, 0, 2, 2]], 40, axis=0)
    with pytest.raises(UserError, match=r"losses.multiview_pca: its keypoints stand at one and the same"):
        multiview_pca(_setup(still, SEEN, VIEWS))


def test_positions_that_vary_along_fewer_components_than_asked_for_give_finite_losses() -> None:
    labels = _two_views(1)[:, [0, 0, 2, 2]] + np.zeros((40, 1, 1))
    labels[..., 0] += np.arange(40.0)[:, None]  # along x only
    loss = multiview_pca(_setup(labels, SEEN, VIEWS)).loss
    assert isinstance(loss, MultiviewPCA)
    assert len(loss.space.components) == 1
    line = np.repeat(_poses(1), 40, axis=0)
    line[:, :3, 1] += np.arange(40.0)[:, None]  # the tail stands still
    posed = pose_pca(_setup(line, variance=0.999999)).loss
    for fitted, values in ((loss, labels), (posed, line)):
        xy = _tensor(values[:10] + 3)
        confidence = torch.ones(10, 4)
        confidence[2, 1] = 0.01
        xy.requires_grad_()
        value = fitted(clip_of(xy, confidence))
        value.backward()
        assert torch.isfinite(value)
        assert xy.grad is not None
        assert torch.isfinite(xy.grad).all()


def test_views_must_be_there() -> None:
    labels = _two_views(60)
    with pytest.raises(UserError, match="give `views`"):
        multiview_pca(_setup(labels, SEEN))
    with pytest.raises(UserError, match="views: no keypoint 'a_belo' in the labels, did you mean 'a_below'"):
        multiview_pca(_setup(labels, SEEN, [["a_side", "a_belo"]]))
    labels[3:, 2:] = np.nan
    with pytest.raises(UserError, match="6 labels show a body part of `views` in every view, 12 are needed"):
        multiview_pca(_setup(labels, SEEN, VIEWS))
