"""The position that losses on clips work on."""

from __future__ import annotations

import pytest
import torch

from rt_pose.inference.decode_torch import decode_torch
from rt_pose.package import DecodeSpec
from train.losses.heatmap import gaussian_targets
from train.losses.mean_position import diffuse_share, mean_position

STRIDE = 4


def _maps(*peaks: tuple[float, float, float]) -> torch.Tensor:
    """(1, 1, 24, 32) logits with peaks of a weight each at input px."""
    mass = sum(
        weight * gaussian_targets(torch.tensor([[[x, y]]]), 24, 32, STRIDE)[0] for x, y, weight in peaks
    )
    assert isinstance(mass, torch.Tensor)
    return mass.clamp_min(1e-12).log()


def test_one_peak_lies_where_it_is_decoded() -> None:
    logits = _maps((50.0, 41.0, 1.0))
    decoded = decode_torch(logits, DecodeSpec(stride=STRIDE)).xy
    torch.testing.assert_close(mean_position(logits, STRIDE), decoded, atol=0.05, rtol=0)


@pytest.mark.parametrize("spread", [0.05, 0.2, 0.5])
def test_a_diffuse_map_draws_it_to_the_middle_and_shortens_a_step(spread: float) -> None:
    """By the mass that is spread: known, logged, and no more than that."""
    middle = torch.tensor([63.5, 47.5])

    def found(x: float, y: float) -> tuple[torch.Tensor, torch.Tensor]:
        peak = (1 - spread) * _maps((x, y, 1.0)).exp()
        logits = (peak + spread / (24 * 32)).log()
        return mean_position(logits, STRIDE)[0, 0], decode_torch(logits, DecodeSpec(stride=STRIDE)).xy[0, 0]

    (mean, decoded), (later, later_decoded) = found(30.0, 30.0), found(42.0, 30.0)
    assert (decoded - torch.tensor([30.0, 30.0])).abs().max() < 0.3, "the decoder does not see it"
    pulled = (mean - decoded) / (middle - decoded)
    torch.testing.assert_close(pulled, torch.full((2,), spread), atol=0.01, rtol=0)
    step = float((later - mean)[0] / (later_decoded - decoded)[0])
    assert step == pytest.approx(1 - spread, abs=0.02)
    every = torch.ones(2, dtype=torch.bool)
    means, peaks = torch.stack([mean, later]) / STRIDE, torch.stack([decoded, later_decoded]) / STRIDE
    share = float(diffuse_share(means, peaks, every))
    assert share == (0.5 if spread == 0.5 else 0.0), "the first, which is farther from the middle"


def test_only_keypoints_that_count_are_diffuse() -> None:
    decoded = torch.zeros(4, 2)
    mean = torch.tensor([[0.0, 0.0], [4.5, 0.0], [20.0, 0.0], [torch.nan, torch.nan]])
    counts = torch.tensor([True, True, False, False])
    assert float(diffuse_share(mean, decoded, counts)) == 0.5
    assert float(diffuse_share(mean, decoded, ~counts)) == 0.5
    assert float(diffuse_share(mean, decoded, torch.zeros(4, dtype=torch.bool))) == 0.0


def test_a_pull_towards_the_lower_of_two_peaks_makes_it_the_higher() -> None:
    """What a decoded keypoint cannot learn: its gradient never leaves the window about the higher peak."""
    right = torch.tensor([[[30.0, 40.0]]])
    logits = _maps((30.0, 40.0, 0.45), (100.0, 40.0, 0.55)).requires_grad_()
    assert decode_torch(logits, DecodeSpec(stride=STRIDE)).xy[0, 0, 0] > 90
    optimiser = torch.optim.Adam([logits], lr=0.1)
    for _ in range(20):
        optimiser.zero_grad()
        (mean_position(logits, STRIDE) - right).norm().backward()
        optimiser.step()
    found = decode_torch(logits.detach(), DecodeSpec(stride=STRIDE)).xy
    assert (found - right).norm() < 2


def test_a_map_that_is_not_finite_is_nan_without_a_gradient() -> None:
    logits = torch.cat([_maps((50.0, 41.0, 1.0)), torch.full((1, 1, 24, 32), torch.nan)]).requires_grad_()
    xy = mean_position(logits, STRIDE)
    assert xy[1].isnan().all()
    assert xy[0].isfinite().all()
    xy[0].sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert not logits.grad[1].any()
