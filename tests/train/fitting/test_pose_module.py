"""The Lightning module: what is held still, the schedule, and errors in frame pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rt_pose.inference.preprocess import frame_from_input
from train.config import NetworkConfig, OptimiserConfig, TrainConfig
from train.data.batches import Batch, ValidationBatch
from train.data.clips import ClipBatch
from train.data.steps import StepBatch
from train.fitting.pose_module import PoseModule
from train.losses.heatmap import gaussian_targets
from train.losses.temporal import Temporal
from train.losses.terms import Terms
from train.models.features import freeze_statistics
from train.models.heads import STRIDE
from train.models.network import PoseNetwork, input_spec

SMALL = NetworkConfig(backbone="tiny", width=64, height=48, head_width=8)


def _tracker(keypoints: int = 2, **optimiser: object) -> PoseModule:
    torch.manual_seed(0)
    network = PoseNetwork(SMALL, 1, keypoints)
    settings = OptimiserConfig(**optimiser)  # type: ignore[arg-type]
    return PoseModule(
        network, input_spec(SMALL, 1), TrainConfig(optimiser=settings, steps=100), Terms([], [])
    )


def _step(module: PoseModule, held: bool) -> dict[str, torch.Tensor]:
    """One forward and backward on noise; the backbone's state after it."""
    module._freeze_backbone(held)
    optimiser = module.configure_optimizers()["optimizer"]
    images = torch.randn(4, 1, 48, 64, generator=torch.Generator().manual_seed(1))
    optimiser.zero_grad()
    module.network(images).square().mean().backward()
    optimiser.step()
    return {name: value.clone() for name, value in module.network.backbone.state_dict().items()}


def test_a_held_backbone_does_not_move_its_statistics_included() -> None:
    module = _tracker(warmup_steps=0, freeze_backbone_steps=0)
    before = {name: value.clone() for name, value in module.network.backbone.state_dict().items()}
    head = {name: value.clone() for name, value in module.network.head.state_dict().items()}
    after = _step(module, held=True)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(head["heatmaps.weight"], module.network.head.heatmaps.weight)
    released = _step(module, held=False)
    for name in ("stem.conv.weight", "stem.norm.running_mean", "stem.norm.num_batches_tracked"):
        assert not torch.equal(before[name], released[name])


def test_rates_warm_up_after_the_release_and_fall_at_the_milestones() -> None:
    module = _tracker(
        learning_rate=1e-2,
        backbone_factor=0.1,
        freeze_backbone_steps=20,
        warmup_steps=10,
        milestones=[0.5, 0.8],
        gamma=0.1,
    )
    configured = module.configure_optimizers()
    optimiser, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(100):
        rates.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        schedule.step()
    backbone, head = np.array(rates).T
    np.testing.assert_allclose(head[[0, 9, 10, 49]], [1e-3, 1e-2, 1e-2, 1e-2])
    np.testing.assert_allclose(backbone[[0, 19, 20, 29, 49]], [0, 0, 1e-4, 1e-3, 1e-3])
    np.testing.assert_allclose(head[[50, 79, 80, 99]], [1e-3, 1e-3, 1e-4, 1e-4])
    np.testing.assert_allclose(backbone[[50, 99]], [1e-4, 1e-5])


class _Answer(torch.nn.Module):
    """A network that answers with given heatmaps."""

    def __init__(self, heatmaps: torch.Tensor) -> None:
        super().__init__()
        self.heatmaps = heatmaps

    def forward(self, images: torch.Tensor, *_: object) -> torch.Tensor:
        return self.heatmaps[: len(images)]


def test_validation_errors_are_distances_in_frame_pixels() -> None:
    module = _tracker()
    sizes = [(640, 120), (64, 48)]
    found_input = np.array([[[20.0, 20.0], [40.0, 30.0]]] * 2)
    targets, _ = gaussian_targets(torch.from_numpy(found_input).float(), 12, 16, STRIDE)
    module.network = _Answer(targets.clamp_min(1e-30).log())  # type: ignore[assignment]
    offsets = np.array([[[3.0, 4.0], [np.nan, np.nan]], [[0.0, 2.0], [6.0, 8.0]]])
    labels = np.stack(
        [
            xy @ affine[:, :2].T + affine[:, 2] + offset
            for xy, affine, offset in zip(
                found_input, (frame_from_input(module.spec, size) for size in sizes), offsets, strict=True
            )
        ]
    )
    images = torch.zeros(2, 1, 48, 64)
    module.validation_step(ValidationBatch(images, torch.from_numpy(labels).float(), sizes), 0)
    logged: dict[str, float] = {}
    module.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign,assignment]
    module.on_validation_epoch_end()
    # Distances 5, 2 and 10 px: a per-axis root mean square would give less.
    assert logged["val/median_px"] == pytest.approx(5, abs=0.3)
    assert logged["val/mean_px"] == pytest.approx(17 / 3, abs=0.3)
    assert logged["val/p90_px"] == pytest.approx(9, abs=0.3)


def test_validation_is_exact_within_lightnings_own_autocast() -> None:
    module = _tracker().eval()
    batch = ValidationBatch(_noise(2, 3), torch.zeros(2, 2, 2), [(640, 480)] * 2)
    with torch.no_grad():
        module.validation_step(batch, 0)
        with torch.autocast("cpu", torch.bfloat16):
            module.validation_step(batch, 1)
    np.testing.assert_array_equal(module._found[2:], module._found[:2])


def test_a_keypoint_that_is_not_found_counts_as_infinitely_far() -> None:
    module = _tracker()
    module.network = _Answer(torch.full((1, 2, 12, 16), torch.nan))  # type: ignore[assignment]
    module.validation_step(ValidationBatch(torch.zeros(1, 1, 48, 64), torch.zeros(1, 2, 2), [(64, 48)]), 0)
    assert np.isinf(module._distances[0]).all()


def _clip(again: list[int] | None = None, frames: int = 3) -> ClipBatch:
    """A clip whose input px are a quarter (x) and a third (y) of the frame's, and shifted."""
    affine = torch.tensor([[4.0, 0.0, 10.0], [0.0, 3.0, -20.0]])
    images, again = torch.zeros(frames, 1, 48, 64), again or []
    return ClipBatch(images, affine, again, images[again], (256, 144), None, 0)  # type: ignore[arg-type]


def _maps_at(xy: list[list[float]]) -> torch.Tensor:
    """(T, 1, 12, 16) logits with one peak each at input px."""
    targets, _ = gaussian_targets(torch.tensor(xy)[:, None], 12, 16, STRIDE)
    return targets.clamp_min(1e-30).log()


def test_a_clips_keypoints_are_in_frame_pixels() -> None:
    module = _tracker(1)
    module.network = _Answer(_maps_at([[20.0, 20.0], [24.0, 20.0], [24.0, 26.0]]))  # type: ignore[assignment]
    (inputs,) = module._predict_clip(_clip())
    np.testing.assert_allclose(inputs.xy[:, 0], [[90, 40], [106, 40], [106, 58]], atol=0.3)
    np.testing.assert_allclose(inputs.peaks[:, 0, 0] * STRIDE + 1.5, [20, 24, 24], atol=0.1)
    moved = Temporal(torch.tensor([1.0]), 0.0)(inputs).item()
    assert moved == pytest.approx((15 + 17) / 2, abs=0.5), "4 px of the input are 16 of the frame"


def test_no_loss_acts_across_the_seam_between_a_clip_and_its_second_draw() -> None:
    module = _tracker(1)
    first, second = [[20.0, 20.0]] * 3, [[50.0, 36.0]] * 2
    module.network = _Answer(_maps_at(first + second))  # type: ignore[assignment]
    (inputs,) = module._predict_clip(_clip(again=[0, 2]))
    assert inputs.xy.shape == (3, 1, 2)
    assert Temporal(torch.zeros(1), 0.0)(inputs).item() == pytest.approx(0, abs=1e-4)
    assert inputs.xy_again is not None
    assert (inputs.xy_again - inputs.xy[[0, 2]]).norm(dim=-1).min() > 50


def _training(module: PoseModule) -> PoseModule:
    """In training, and with nothing to log to."""
    module.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    module.train()
    return module


def _noise(frames: int, seed: int) -> torch.Tensor:
    return torch.randn(frames, 1, 48, 64, generator=torch.Generator().manual_seed(seed))


def test_from_the_first_clip_on_all_are_seen_through_the_live_networks_statistics() -> None:
    module = _training(_tracker(freeze_backbone_steps=0))
    labeled = Batch(_noise(4, 1), torch.full((4, 2, 2), 20.0))
    clip = _clip()
    clip.images = _noise(3, 2)
    before = {name: value.clone() for name, value in module.network.named_buffers()}
    module.training_step(StepBatch(labeled, None), 0)
    settled = {name: value.clone() for name, value in module.network.named_buffers()}
    assert any(not torch.equal(before[name], value) for name, value in settled.items())
    module.training_step(StepBatch(labeled, clip), 1)
    assert all(torch.equal(settled[name], value) for name, value in module.network.named_buffers())
    held = module.network(labeled.images)
    # Within rounding: in training it is part of the convolutions.
    torch.testing.assert_close(held, module.network.eval()(labeled.images))


def test_the_losses_on_clips_reach_the_weights() -> None:
    module = _training(_tracker())
    clip = _clip()
    clip.images = _noise(3, 2)
    (inputs,) = module._predict_clip(clip)
    inputs.xy.sum().backward()
    assert module.network.backbone.stem.conv.weight.grad.abs().sum() > 0  # type: ignore[union-attr,operator]


@pytest.mark.parametrize(("step", "moves"), [(19, False), (20, True)])
def test_a_training_step_holds_the_backbone_until_its_release(step: int, moves: bool) -> None:
    module = _tracker(freeze_backbone_steps=20)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    module._trainer = type("At", (), {"global_step": step})()  # type: ignore[assignment]
    before = {name: value.clone() for name, value in module.network.backbone.state_dict().items()}
    images = torch.randn(4, 1, 48, 64, generator=torch.Generator().manual_seed(1))
    module.training_step(StepBatch(Batch(images, torch.full((4, 2, 2), 20.0)), None), 0)
    after = module.network.backbone.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before) == moves, "batch statistics"


def test_statistics_are_held_on_several_gpus_too() -> None:
    """There Lightning has put norms of another class in their place."""
    network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(PoseNetwork(SMALL, 1, 2)).train()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.SyncBatchNorm)]
    assert norms
    freeze_statistics(network)
    assert not any(norm.training for norm in norms)
