"""The sum of the losses: every weight once, nothing before its time."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from rt_pose.config.build import build
from train.config import LossConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.data.batches import Batch
from train.data.clips import ClipBatch
from train.data.steps import StepBatch
from train.fitting.pose_module import PoseModule
from train.losses import LOSSES, LabelRow
from train.losses.loss_context import MIN_CONFIDENCE, LossContext
from train.losses.pose_pca import VARIANCE
from train.losses.terms import RAMP, START, ClipTerm, build_terms, default_weight, resolve_losses, uses_clips
from train.models.network import PoseNetwork, input_spec

SMALL = NetworkConfig(backbone="tiny", width=64, height=48, head_width=8)


def test_a_loss_on_clips_is_off_then_ramps_then_stays() -> None:
    term = ClipTerm("temporal", 2.0, lambda clip: clip.xy.sum(), first_step=30, ramp_steps=20)
    assert [term.factor(step) for step in (0, 29, 30, 39, 49, 50, 99)] == [0, 0, 0.05, 0.5, 1, 1, 1]
    at_once = ClipTerm("temporal", 2.0, lambda clip: clip.xy.sum(), first_step=0, ramp_steps=0)
    assert at_once.factor(0) == 1


def test_weights_are_the_losses_own_unless_given_and_are_written_out() -> None:
    assert default_weight("temporal", LossConfig()) == LOSSES["temporal"].weight
    assert default_weight("temporal", LossConfig(weight=7.0)) == 7.0
    config = build(TrainConfig, {"losses": {"heatmap_kl": {}, "temporal": {"weight": 3.0}}}, "test")
    assert [loss.weight for loss in resolve_losses(config).losses.values()] == [
        LOSSES["heatmap_kl"].weight,
        3.0,
    ]
    assert TrainConfig().losses["heatmap_kl"].weight is None
    assert default_weight("heatmap_kl", LossConfig()) == 1.0, "what older configurations trained with"


def test_every_loss_of_the_registry_can_be_configured_and_has_its_place() -> None:
    assert uses_clips(TrainConfig(losses={name: LossConfig() for name in LOSSES})) == [
        name for name, row in LOSSES.items() if not isinstance(row, LabelRow)
    ]
    fields = set(vars(LossConfig()))
    assert all(set(row.settings) < fields and row.weight > 0 for row in LOSSES.values())


def _logged(config: TrainConfig, step: int, seed: int = 0) -> tuple[float, dict[str, float]]:
    """The total of one step and all that is logged at it."""
    names = ["a", "b"]

    def context(name: str, settings: LossConfig) -> LossContext:
        return LossContext(
            name, settings, np.zeros((1, 2, 2)), names, [], (1, 1), (16, 12), lambda: np.ones(2)
        )

    torch.manual_seed(0)
    terms = build_terms(config, context)
    module = PoseModule(PoseNetwork(SMALL, 1, 2), input_spec(SMALL, 1), config, terms)
    logged: dict[str, float] = {}
    module.log = lambda name, value, **_: logged.update({name: value.item()})  # type: ignore[method-assign,assignment]
    module._trainer = type("At", (), {"global_step": step})()  # type: ignore[assignment]
    random = torch.Generator().manual_seed(seed)
    labeled = Batch(torch.randn(2, 1, 48, 64, generator=random), torch.full((2, 2, 2), 20.0))
    frames = torch.randn(4, 1, 48, 64, generator=random)
    second = torch.randn(2, 1, 48, 64, generator=random)
    affine = torch.tensor([[2.0, 0, 0.5], [0, 3.0, 1.0]])
    clip = ClipBatch(frames, affine, [0, 2], second, (128, 144), None, 0)  # type: ignore[arg-type]
    return module.training_step(StepBatch(labeled, clip), 0).item(), logged


def test_each_loss_is_logged_alone_and_weighs_once() -> None:
    losses = {
        "heatmap_kl": LossConfig(weight=3.0),
        "temporal": LossConfig(weight=0.5, eps=1e-3, start=0.0, ramp=0.4),
        "noise_consistency": LossConfig(weight=0.25, start=0.0, ramp=0.0),
        "unimodal_kl": LossConfig(weight=5.0, start=0.5),
    }
    config = TrainConfig(network=SMALL, steps=100, losses=losses, optimiser=OptimiserConfig())
    total, logged = _logged(config, step=19)
    each = {"train/heatmap_kl", "train/temporal", "train/noise_consistency"}
    assert set(logged) == each | {"train/diffuse", "train/total"}  # a loss that is still off is not there
    assert logged["train/temporal"] > 0
    assert logged["train/noise_consistency"] > 0
    expected = (
        3.0 * logged["train/heatmap_kl"]
        + 0.5 * 0.5 * logged["train/temporal"]
        + 0.25 * logged["train/noise_consistency"]
    )
    assert total == pytest.approx(expected, rel=1e-5)
    assert logged["train/total"] == pytest.approx(total)


def test_what_is_logged_does_not_depend_on_the_weight() -> None:
    def at(weight: float) -> dict[str, float]:
        losses = {
            "heatmap_kl": LossConfig(weight=weight),
            "temporal": LossConfig(weight=weight, start=0.0),
        }
        return _logged(TrainConfig(network=SMALL, steps=100, losses=losses), step=10)[1]

    light, heavy = at(0.1), at(10.0)
    for name in ("train/heatmap_kl", "train/temporal"):
        assert light[name] == pytest.approx(heavy[name])


def test_what_the_settings_say_of_their_defaults_is_so() -> None:
    notes = Path(inspect.getsourcefile(LossConfig) or "").read_text()
    for name, value in (
        ("min_confidence", MIN_CONFIDENCE),
        ("start", START),
        ("ramp", RAMP),
        ("variance", VARIANCE),
    ):
        text = (
            notes.split(f"    {name}: float | None = None\n", 1)[1].split('    """\n', 1)[0].split('"""')[1]
        )
        assert re.findall(r"\((?:default )?(\d\.\d+)\)", text) == [f"{value:g}"], name
