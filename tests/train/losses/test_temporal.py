"""Losses over time: what is forgiven, what has no share, and where the forgiven distance comes from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.clip_inputs import HEIGHT, WIDTH, clip_of

from rt_pose.video import probe
from train.config import LossConfig
from train.losses.loss_context import LossContext
from train.losses.motion import LEAST_PX, flow, motion_px
from train.losses.temporal import Temporal, temporal
from train.losses.temporal_heatmap import divergence_of_moved, temporal_heatmap

NAN = float("nan")


def _walk() -> torch.Tensor:
    """(4, 2, 2): the first keypoint moves 5 px a frame, the second stands, then jumps 13."""
    first = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0], [9.0, 12.0]])
    second = torch.tensor([[7.0, 7.0], [7.0, 7.0], [7.0, 7.0], [12.0, 19.0]])
    return torch.stack([first, second], dim=1)


def setup(eps: float | None = None, motion: tuple[float, ...] = (5.0, 5.0)) -> LossContext:
    labels = np.zeros((1, 2, 2))
    settings = LossConfig(eps=eps)
    return LossContext(
        "temporal", settings, labels, ["a", "b"], [], (2.0, 3.0), (WIDTH, HEIGHT), lambda: np.array(motion)
    )


def test_what_goes_beyond_eps_counts_in_pixels() -> None:
    loss = Temporal(torch.tensor([2.0, 3.0]), 0.05)
    # Three pairs each: 5 - 2 three times, and 0, 0, 13 - 3.
    assert loss(clip_of(_walk())).item() == pytest.approx((3 * 3 + 10) / 6)


def test_keypoints_under_the_confidence_drop_out_with_both_their_pairs() -> None:
    confidence = torch.ones(4, 2)
    confidence[3, 1] = 0.04
    loss = Temporal(torch.zeros(2), 0.05)
    assert loss(clip_of(_walk(), confidence)).item() == pytest.approx(15 / 5)
    confidence[3, 1] = 0.05
    assert loss(clip_of(_walk(), confidence)).item() == pytest.approx((15 + 13) / 6)


def test_a_keypoint_that_is_not_found_leaves_the_others_their_gradient() -> None:
    xy = _walk()
    xy[2, 1] = NAN
    xy.requires_grad_()
    value = Temporal(torch.zeros(2), 0.05)(clip_of(xy))
    assert value.item() == pytest.approx(15 / 4)
    value.backward()
    assert xy.grad is not None
    assert torch.isfinite(xy.grad).all()
    assert xy.grad[0, 0].abs().sum() > 0


def test_nothing_that_counts_is_no_loss_and_no_gradient() -> None:
    xy = _walk().requires_grad_()
    value = Temporal(torch.zeros(2), 0.05)(clip_of(xy, torch.zeros(4, 2)))
    value.backward()
    assert value.item() == 0
    assert xy.grad is not None
    assert (xy.grad == 0).all()


def test_eps_is_as_configured_or_derived_and_is_told() -> None:
    fitted_loss = temporal(setup(motion=(4.0, 9.0)))
    assert fitted_loss.loss.eps.tolist() == [4.0, 9.0]  # type: ignore[attr-defined]
    assert "a 4.0, b 9.0" in fitted_loss.note
    assert "from the videos' own motion" in fitted_loss.note
    fitted_loss = temporal(setup(eps=2.5))
    assert fitted_loss.loss.eps.tolist() == [2.5, 2.5]  # type: ignore[attr-defined]
    assert "as configured" in fitted_loss.note


def test_maps_may_move_as_far_as_their_keypoint() -> None:
    loss = temporal_heatmap(setup(motion=(6.0, 6.0))).loss  # 3 heatmap px along x, 2 along y
    still = torch.tensor([[[10.0, 12.0], [20.0, 12.0]]])
    within = torch.cat([still, still + torch.tensor([2.9, 0.0])])
    assert loss(clip_of(within)).item() == pytest.approx(0, abs=1e-4)
    beyond = torch.cat([still, still + torch.tensor([6.0, 0.0])])
    assert loss(clip_of(beyond)).item() > 0.1


def test_the_divergence_of_moved_maps_rises_to_its_bound() -> None:
    found = divergence_of_moved(torch.tensor([0.0, 1.0, 3.0, 15.0, 500.0]), (WIDTH, HEIGHT))
    assert found[0].item() == pytest.approx(0, abs=1e-6)
    assert (found.diff() >= -1e-4).all()
    assert found[-1].item() == pytest.approx(np.log(2), abs=1e-3)


def _texture(size: int = 200) -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (size, size)), (0, 0), 2)


def test_flow_follows_what_moves() -> None:
    texture = cv2.normalize(_texture(), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload]
    places, moves = flow(texture[10:150, 10:150], texture[13:153, 6:146])
    assert len(places) > 50
    np.testing.assert_allclose(np.median(moves), 5.0, atol=0.1)


def test_motion_is_that_of_the_place_where_a_keypoint_lives(tmp_path: Path) -> None:
    """The left half of a drawn video slides 4 px a frame, the right half stands."""
    texture = cv2.normalize(_texture(400), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload]
    path = tmp_path / "halves.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (200, 160))
    for t in range(30):
        frame = np.hstack([texture[:160, 4 * t : 4 * t + 100], texture[200:360, :100]])
        writer.write(np.repeat(frame[..., None], 3, axis=2))
    writer.release()
    left, right = np.array([48, 80]), np.array([152, 80])
    spread = np.random.default_rng(1).uniform([-30, -50], [30, 50], (40, 2))
    labels = np.stack([spread + left, spread + right, 0.2 * spread / 30 + left], axis=1)
    moving, still, pinned = motion_px(labels, [probe(path)])
    assert moving == pytest.approx(4.0, abs=0.5)
    assert still < 2.0
    assert pinned == LEAST_PX, "what hardly ranges at all cannot move far in one frame"


def test_what_is_forgiven_is_a_high_percentile_of_the_movement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One corner in ten moves by 5 px, the others by 1: the 99th of a hundred is fast, the 1st is not."""
    places = np.random.default_rng(0).uniform(20, 80, (1000, 2))
    moves = np.where(np.arange(1000) % 10, 1.0, 5.0)
    monkeypatch.setattr("train.losses.motion._pairs", lambda _: [(None, None)])
    monkeypatch.setattr("train.losses.motion.flow", lambda *_: (places, moves))
    labels = np.random.default_rng(1).uniform(20, 80, (40, 1, 2))
    assert motion_px(labels, [None]).tolist() == [5.0]  # type: ignore[list-item]
