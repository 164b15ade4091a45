"""Every loss works where the network's answer lies: on torch's meta device, which refuses to mix devices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from train.config import LossConfig
from train.losses import LOSSES, ClipRow, LabelRow
from train.losses.centre_offsets import several_inputs
from train.losses.clip import ClipInputs
from train.losses.heatmap import LossInputs
from train.losses.loss_context import LossContext

FRAMES, KEYPOINTS, HEIGHT, WIDTH = 6, 4, 24, 32
NAMES = ["nose top", "tail top", "nose side", "tail side"]


def poses() -> np.ndarray:
    """(F, K, 2) of two numbers a frame, so that most directions are outside the pose space."""
    random = np.random.default_rng(0)
    return random.normal(size=(60, 2)) @ random.normal(size=(2, 2 * KEYPOINTS)) * 20 + 100


def answer(device: str) -> ClipInputs:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(FRAMES, KEYPOINTS, HEIGHT, WIDTH, generator=random).to(device).requires_grad_()
    xy = (torch.rand(FRAMES, KEYPOINTS, 2, generator=random) * 90).to(device).requires_grad_()
    confident = torch.ones(FRAMES, KEYPOINTS, device=device)
    return ClipInputs(logits, xy.detach() / 4, xy, confident, [0, 3], xy[[0, 3]], confident[[0, 3]])


@pytest.mark.parametrize("name", [name for name, row in LOSSES.items() if isinstance(row, ClipRow)])
def test_losses_on_clips(name: str) -> None:
    labels = poses().reshape(-1, KEYPOINTS, 2)
    views = [NAMES[:2], NAMES[2:]]
    context = LossContext(
        name, LossConfig(), labels, NAMES, views, (4, 4), (WIDTH, HEIGHT), lambda: np.full(4, 5.0)
    )
    row = LOSSES[name]
    assert isinstance(row, ClipRow)
    loss = row.build(context).loss
    for device in ("cpu", "meta"):
        found: Tensor = loss(answer(device))
        assert found.device.type == device
        found.backward()


@pytest.mark.parametrize("name", [name for name, row in LOSSES.items() if isinstance(row, LabelRow)])
def test_losses_on_labels(name: str) -> None:
    row = LOSSES[name]
    assert isinstance(row, LabelRow)
    for device in ("cpu", "meta"):
        logits = torch.zeros(2, KEYPOINTS, HEIGHT, WIDTH, device=device, requires_grad=True)
        keypoints, weights = (
            torch.zeros(2, KEYPOINTS, 2, device=device),
            torch.ones(2, KEYPOINTS, device=device),
        )
        for absent in (False, True):
            inputs = LossInputs(logits, keypoints, absent, 4, weights)
            if name == "centre_offsets":
                output = logits.repeat(1, 4, 1, 1)[:, : 3 * KEYPOINTS + 1]
                inputs = several_inputs(output, keypoints[:, None], absent, 4, 8.0)
            found = row.loss(inputs)
            assert found.device.type == device
            found.backward()
