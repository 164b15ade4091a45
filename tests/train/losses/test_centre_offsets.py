"""The losses of several animals on maps with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rt_pose.package import InputSpec
from train.config import LossConfig, NetworkConfig, TrainConfig
from train.data.batches import Batch, ValidationBatch
from train.fitting.pose_module import PoseModule
from train.losses.centre_offsets import centre_offsets, several_inputs, with_centres
from train.losses.heatmap import gaussian_targets, heatmap_kl, shared_targets
from train.losses.terms import build_terms
from train.models.network import PoseNetwork, decode_spec

NAN = float("nan")
LABELS = torch.tensor([[[[20.0, 20.0], [40.0, 24.0]], [[60.0, 50.0], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]]])
"""(1, 3, 2, 2) input px: two animals, one of them with one keypoint, and a row of none."""


def test_the_centre_is_the_mean_of_what_is_there() -> None:
    centres = with_centres(LABELS)[0, :, 2]
    assert centres[:2].tolist() == [[30.0, 22.0], [60.0, 50.0]]
    assert centres[2].isnan().all()


def test_a_map_is_shared_by_the_animals_that_have_its_keypoint() -> None:
    maps, labeled = shared_targets(LABELS, 16, 20, 4)
    alone, _ = gaussian_targets(LABELS[0], 16, 20, 4)
    torch.testing.assert_close(maps.sum(dim=(-2, -1)), torch.ones(1, 2))
    torch.testing.assert_close(maps[0, 0], (alone[0, 0] + alone[1, 0]) / 2)
    torch.testing.assert_close(maps[0, 1], alone[0, 1])
    assert labeled.tolist() == [[True, True]]
    flat, labeled = shared_targets(torch.full((1, 2, 1, 2), NAN), 16, 20, 4)
    torch.testing.assert_close(flat, torch.full((1, 1, 16, 20), 1 / 320))
    assert not labeled.any()


def _offsets(scale: float) -> Tensor:
    """The perfect ones (1, 4, 16, 20): of each pixel from its nearest keypoint's animal."""
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(20.0), indexing="ij")
    found = torch.zeros(1, 4, 16, 20)
    centres = (with_centres(LABELS)[0, :, 2] + 0.5) / 4 - 0.5
    for k, whose in ((0, (0, 1)), (1, (0, 0))):  # on the left and on the right half
        for animal, half in zip(whose, (slice(0, 10), slice(10, 20)), strict=True):
            found[0, 2 * k, :, half] = ((centres[animal, 0] - x) / scale)[:, half]
            found[0, 2 * k + 1, :, half] = ((centres[animal, 1] - y) / scale)[:, half]
    return found


def test_perfect_offsets_cost_nothing_and_others_what_they_are_off() -> None:
    logits = torch.zeros(1, 3, 16, 20)
    perfect = torch.cat([logits, _offsets(8.0)], dim=1)
    assert centre_offsets(several_inputs(perfect, LABELS, True, 4, 8.0)) == pytest.approx(0.0, abs=1e-5)
    off = torch.cat([logits, _offsets(8.0) + 0.5], dim=1)
    assert centre_offsets(several_inputs(off, LABELS, True, 4, 8.0)).item() == pytest.approx(1.0, abs=1e-5)
    nobody = several_inputs(off.requires_grad_(), LABELS * NAN, True, 4, 8.0)
    loss = centre_offsets(nobody)
    loss.backward()
    assert loss.item() == 0.0
    assert off.grad is not None
    assert not off.grad.any()
    assert torch.isfinite(heatmap_kl(nobody))


def test_a_network_for_several_animals_is_taught_in_every_map_and_validated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    settings = NetworkConfig(backbone="tiny", width=64, height=64, head_width=8)
    config = TrainConfig(network=settings, blank="absent")
    config.losses["centre_offsets"] = LossConfig()
    spec = InputSpec(64, 64, 1, [0.0], [1.0])
    terms = build_terms(config, lambda name, _: pytest.fail(f"{name} works on labels"))
    module = PoseModule(PoseNetwork(settings, 1, 2, 3), spec, config, terms, 3)
    assert module.decode_spec == decode_spec(spec, 3)
    images, labels = torch.rand(1, 1, 64, 64), LABELS.clamp(max=60)
    inputs = module._loss_inputs(module.logits(images, None), Batch(images, labels))
    sum(term.weight * term.loss(inputs) for term in terms.labels).backward()  # type: ignore[union-attr]
    gradient = module.network.head.heatmaps.weight.grad
    assert gradient is not None
    assert (gradient.abs().sum(dim=(1, 2, 3)) > 0).all()
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, "log", lambda name, value: logged.update({name: float(value)}))
    module.eval()
    with torch.no_grad():
        module.validation_step(ValidationBatch(images, labels, [(128, 64)]), 0)
    module.on_validation_epoch_end()
    assert set(logged) == {f"val/{name}" for name in ("median_px", "mean_px", "p90_px", "found", "oks_map")}
    assert 0 <= logged["val/found"] <= 1
    assert np.isfinite(logged["val/mean_px"])
    assert module.found is not None
    assert module.found.shape == (1, 3, 2, 2)
