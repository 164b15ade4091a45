"""The heatmap loss and its targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rt_pose.inference.decode_torch import decode_torch
from rt_pose.package import DecodeSpec
from train.losses.heatmap import (
    TARGET_SIGMA,
    LossInputs,
    gaussian_targets,
    heatmap_js,
    heatmap_kl,
    heatmap_mse,
)

STRIDE, HEIGHT, WIDTH = 4, 24, 32
NOWHERE = (np.nan, np.nan)


def _inputs(logits: torch.Tensor, keypoints: torch.Tensor, blank_is_absent: bool = False) -> LossInputs:
    return LossInputs(logits, keypoints, blank_is_absent, STRIDE)


def _keypoints(*points: tuple[float, float]) -> torch.Tensor:
    return torch.tensor([points], dtype=torch.float32)


def test_targets_sum_to_one_even_at_the_rim() -> None:
    corner = (-0.5, -0.5)
    targets, labeled = gaussian_targets(_keypoints((60, 40), corner, (127.5, 95.5)), HEIGHT, WIDTH, STRIDE)
    np.testing.assert_allclose(targets.sum(dim=(-1, -2)), 1, atol=1e-5)
    assert labeled.all()
    assert targets[0, 1].argmax() == 0


def test_a_target_is_the_gaussian_of_its_definition() -> None:
    targets, _ = gaussian_targets(_keypoints((61.3, 40.7)), HEIGHT, WIDTH, STRIDE)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    cx, cy = (61.3 + 0.5) / STRIDE - 0.5, (40.7 + 0.5) / STRIDE - 0.5
    expected = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * TARGET_SIGMA**2))
    np.testing.assert_allclose(targets[0, 0], expected / expected.sum(), atol=1e-6)


def test_the_runtime_decodes_a_target_at_its_label() -> None:
    labels = _keypoints((61.3, 40.7), (33.0, 20.2))
    targets, _ = gaussian_targets(labels, HEIGHT, WIDTH, STRIDE)
    found = decode_torch(targets.clamp_min(1e-30).log(), DecodeSpec(stride=STRIDE))
    np.testing.assert_allclose(found.xy, labels, atol=0.02)


def test_the_loss_is_zero_at_the_target_and_positive_elsewhere() -> None:
    labels = _keypoints((61.3, 40.7), (10.0, 90.0))
    targets, _ = gaussian_targets(labels, HEIGHT, WIDTH, STRIDE)
    perfect = targets.clamp_min(1e-37).log() + 3.0  # softmax does not see a constant
    assert heatmap_kl(_inputs(perfect, labels)).item() == pytest.approx(0, abs=1e-4)
    flat = heatmap_kl(_inputs(torch.zeros_like(perfect), labels)).item()
    log = np.log(targets.double().clamp_min(1e-300).numpy())
    expected = (targets.numpy() * (log + np.log(HEIGHT * WIDTH))).sum() / 2
    assert flat == pytest.approx(expected, rel=1e-4)


def test_missing_labels_have_no_share_and_no_gradient() -> None:
    logits = torch.randn(1, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)).requires_grad_()
    both = heatmap_kl(_inputs(logits, _keypoints((60, 40), NOWHERE)))
    alone = heatmap_kl(_inputs(logits[:, :1], _keypoints((60, 40))))
    assert both.item() == pytest.approx(alone.item())
    both.backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].abs().sum() > 0
    assert (logits.grad[0, 1] == 0).all()


def test_an_absent_keypoint_is_learned_as_nowhere_in_particular() -> None:
    labels = _keypoints((60, 40), NOWHERE)
    targets, labeled = gaussian_targets(labels, HEIGHT, WIDTH, STRIDE)
    assert labeled.tolist() == [[True, False]]
    np.testing.assert_allclose(targets[0, 1], 1 / (HEIGHT * WIDTH), rtol=1e-5)
    logits = targets.clamp_min(1e-37).log()
    assert heatmap_kl(_inputs(logits, labels, blank_is_absent=True)).item() == pytest.approx(0, abs=1e-4)
    logits[0, 1, 5, 5] += 10  # a peak where there is nothing
    assert heatmap_kl(_inputs(logits, labels, blank_is_absent=True)).item() > 1
    assert heatmap_kl(_inputs(logits, labels)).item() == pytest.approx(0, abs=1e-4)


def test_a_batch_without_labels_gives_zero() -> None:
    logits = torch.zeros(2, 3, HEIGHT, WIDTH, requires_grad=True)
    loss = heatmap_kl(_inputs(logits, torch.full((2, 3, 2), torch.nan)))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_descending_the_loss_moves_the_peak_to_the_label() -> None:
    labels = _keypoints((61.3, 40.7))
    logits = torch.zeros(1, 1, HEIGHT, WIDTH, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.3)
    for _ in range(150):
        optimiser.zero_grad()
        heatmap_kl(_inputs(logits, labels)).backward()
        optimiser.step()
    found = decode_torch(logits.detach(), DecodeSpec(stride=STRIDE))
    np.testing.assert_allclose(found.xy, labels, atol=0.3)


@pytest.mark.parametrize(("loss", "flat"), [(heatmap_js, None), (heatmap_mse, 0.0496)])
def test_the_other_divergences_agree_with_their_definitions(loss: object, flat: float | None) -> None:
    labels = _keypoints((61.3, 40.7), (50.0, 50.0))
    targets, _ = gaussian_targets(labels, HEIGHT, WIDTH, STRIDE)
    perfect = _inputs(targets.clamp_min(1e-37).log(), labels)
    assert loss(perfect).item() == pytest.approx(0, abs=1e-5)  # type: ignore[operator]
    p, q = targets.double().numpy(), 1 / (HEIGHT * WIDTH)
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        js = 0.5 * np.where(p > 0, p * np.log(p / middle), 0).sum() + 0.5 * (q * np.log(q / middle)).sum()
    expected = js / 2 if flat is None else ((p - q) ** 2).sum() / 2
    found = loss(_inputs(torch.zeros_like(targets), labels)).item()  # type: ignore[operator]
    assert found == pytest.approx(expected, rel=1e-4)
    if flat is not None:
        assert found == pytest.approx(flat, abs=1e-3), "as its docstring says"


@pytest.mark.parametrize("loss", [heatmap_js, heatmap_mse])
def test_the_other_divergences_leave_missing_labels_out(loss: object) -> None:
    logits = torch.randn(1, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)).requires_grad_()
    both = loss(_inputs(logits, _keypoints((60, 40), NOWHERE)))  # type: ignore[operator]
    assert both.item() == pytest.approx(loss(_inputs(logits[:, :1], _keypoints((60, 40)))).item())  # type: ignore[operator]
    both.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[0, 1] == 0).all()
