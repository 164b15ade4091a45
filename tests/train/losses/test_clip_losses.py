"""Unimodal losses and noise consistency."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.clip_inputs import HEIGHT, WIDTH, clip_of

from train.config import LossConfig
from train.losses.loss_context import LossContext
from train.losses.noise_consistency import NoiseConsistency
from train.losses.unimodal import unimodal_js, unimodal_kl, unimodal_mse

XY = torch.tensor([[[10.0, 12.0], [20.3, 8.7]], [[11.0, 12.0], [20.3, 9.0]]])
SETUP = LossContext(
    "unimodal", LossConfig(), np.zeros((1, 2, 2)), ["a", "b"], [], (1, 1), (WIDTH, HEIGHT), lambda: np.ones(2)
)


@pytest.mark.parametrize("fitted_loss", [unimodal_mse, unimodal_kl, unimodal_js])
def test_one_ideal_peak_costs_nothing_and_two_cost_something(fitted_loss: object) -> None:
    loss = fitted_loss(SETUP).loss  # type: ignore[operator]
    assert loss(clip_of(XY)).item() == pytest.approx(0, abs=1e-4)
    two = clip_of(XY)
    two.logits = torch.logaddexp(two.logits, two.logits.flip(-1))
    assert loss(two).item() > 0.01
    assert loss(clip_of(XY, torch.full((2, 2), 0.01), logits=two.logits)).item() == 0


def test_the_map_is_drawn_to_its_maximum_not_the_maximum_to_the_map() -> None:
    clip = clip_of(XY)
    clip.peaks = clip.peaks.requires_grad_()
    clip.logits = torch.zeros_like(clip.logits).requires_grad_()
    unimodal_kl(SETUP).loss(clip).backward()
    assert clip.peaks.grad is None
    assert clip.logits.grad is not None
    assert clip.logits.grad[0, 0, 12, 10] < 0, "more at the maximum"
    assert clip.logits.grad[0, 0, 0, 0] > 0, "less elsewhere"


def test_two_draws_of_noise_must_give_one_pose() -> None:
    loss = NoiseConsistency(0.05)
    assert loss(clip_of(XY, again=XY)).item() == 0
    moved = XY + torch.tensor([3.0, 4.0])
    assert loss(clip_of(XY, again=moved)).item() == pytest.approx(5)
    assert loss(clip_of(XY, torch.tensor([[1.0, 0.0], [0.0, 0.0]]), again=moved)).item() == pytest.approx(5)
    lost = moved.clone()
    lost[0, 0] = float("nan")
    assert loss(clip_of(XY, again=lost)).item() == pytest.approx(5)


def test_a_second_draw_is_held_against_its_own_frame() -> None:
    clip = clip_of(XY, again=XY[1:] + torch.tensor([3.0, 4.0]))
    clip.again, clip.confidence_again = [1], torch.ones(1, 2)
    assert NoiseConsistency(0.05)(clip).item() == pytest.approx(5)


def test_equal_draws_give_a_finite_gradient() -> None:
    xy = XY.clone().requires_grad_()
    NoiseConsistency(0.05)(clip_of(xy, again=XY)).backward()
    assert xy.grad is not None
    assert torch.isfinite(xy.grad).all()


def test_a_clip_without_a_second_draw_is_no_silent_zero() -> None:
    with pytest.raises(ValueError, match="no second draw"):
        NoiseConsistency(0.05)(clip_of(XY))
