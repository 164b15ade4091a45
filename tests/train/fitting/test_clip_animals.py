"""Clips of several animals: each is followed, has its part of the maps, and is left alone where unsure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rt_pose.inference.decode import Keypoints
from rt_pose.package import DecodeSpec
from rt_pose.types import FloatArray
from train.data.clips import ClipBatch
from train.fitting.clip_animals import ClipAnimals, follow
from train.losses.clip import ClipInputs
from train.losses.divergence import kullback_leibler
from train.losses.heatmap import shared_targets
from train.losses.temporal import Temporal
from train.losses.unimodal import Unimodal

WIDTH, HEIGHT, STRIDE, SCALE = 40, 24, 4, 4.0
DECODE = DecodeSpec(stride=STRIDE, decoder="centre_offsets", offset_scale=SCALE)
ARM = np.array([[8.0, 0.0], [-8.0, 0.0]])
"""Two keypoints to both sides of an animal's centre, input px."""


def animals(*middles: list[list[float]]) -> FloatArray:
    """(T, N, 2, 2) input px, from the middles of each animal in each frame."""
    return np.array(middles).swapaxes(0, 1)[:, :, None] + ARM


def output_for(xy: FloatArray) -> torch.Tensor:
    """(T, 7, HEIGHT, WIDTH): what a network that is right says of animals (T, N, 2, 2)."""
    with_centre = torch.from_numpy(np.concatenate([xy, xy.mean(axis=2, keepdims=True)], axis=2)).float()
    maps = shared_targets(with_centre, HEIGHT, WIDTH, STRIDE)[0].clamp_min(1e-30).log()
    offsets = torch.zeros(len(xy), 4, HEIGHT, WIDTH)
    offsets[:, 0], offsets[:, 2] = -ARM[0, 0] / STRIDE / SCALE, ARM[0, 0] / STRIDE / SCALE
    return torch.cat([maps, offsets], dim=1).requires_grad_()


def clip_of(frames: int, again: list[int] | None = None) -> ClipBatch:
    """Frames whose px are twice as fine as the input's."""
    affine, images = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), torch.zeros(frames, 1, 96, 160)
    again = again or []
    return ClipBatch(images, affine, again, images[again], (320, 192), None, 0)  # type: ignore[arg-type]


def split(output: torch.Tensor, clip: ClipBatch) -> list[ClipInputs]:
    """The animal on the left first: which comes first is the decoder's business."""
    found = ClipAnimals(DECODE, 2).split(output, clip)
    return sorted(found, key=lambda inputs: inputs.xy[0, 0, 0].item())


def test_each_animal_has_its_own_places_and_its_own_gradient() -> None:
    still, moving = [[30.0, 60.0]] * 3, [[110.0, 30.0], [114.0, 30.0], [114.0, 36.0]]
    truth = animals(still, moving)
    output = output_for(truth[[0, 1, 2, 0, 2]])
    found = split(output, clip_of(3, again=[0, 2]))
    for n, inputs in enumerate(found):
        np.testing.assert_allclose(inputs.xy.detach(), 2 * truth[:, n], atol=0.5)
        np.testing.assert_allclose(inputs.peaks, (truth[:, n] + 0.5) / STRIDE - 0.5, atol=0.05)
        assert inputs.confidence.min() > 0.9
        assert inputs.xy_again is not None
        torch.testing.assert_close(inputs.xy_again, inputs.xy[[0, 2]], atol=1e-3, rtol=0)
        assert Unimodal(kullback_leibler, 0.05)(inputs).item() < 0.05
    loss = Temporal(torch.tensor([1.0, 1.0]), 0.05)
    assert loss(found[0]).item() == 0.0
    assert loss(found[1]).item() == pytest.approx((7 + 11) / 2, abs=0.5)
    loss(found[1]).backward()
    assert output.grad is not None
    assert output.grad[:, :2, :, 20:].abs().sum() > 0
    assert output.grad[:, :2, 12:, :12].abs().sum() < 1e-6, "the other animal's pixels"


def test_an_animal_that_is_not_found_or_not_told_from_another_counts_for_nothing() -> None:
    far, near = [[30.0, 30.0]] * 3, [[110.0, 30.0], [110.0, 30.0], [np.nan, np.nan]]
    one, other = (own.confidence for own in split(output_for(animals(far, near)), clip_of(3)))
    assert one.min() > 0.9
    assert other[:2].min() > 0.9
    assert other[2].max() == 0.0

    def rows(*middles: tuple[float, float]) -> Keypoints[FloatArray]:
        xy = np.array(middles)[:, None] + ARM
        return Keypoints(xy, np.tile(np.eye(2), (*xy.shape[:2], 1, 1)), np.ones(xy.shape[:2]))

    # A step of 8 towards another one 20 px away may have been anyone's, one of 3 was its own.
    steps = [rows((50, 40), (70, 40), (140, 80)), rows((58, 40), (70, 40), (140, 80))]
    steps += [rows((61, 40), (79, 40), (140, 80))]
    sure = np.array([own.confidence.min(axis=1) for own in follow(steps, 3)])
    assert sure.tolist() == [[1, 1, 1], [0, 1, 1], [1, 0, 1]]
    turned = Keypoints(*(part[[1, 0, 2]] for part in steps[0]))
    np.testing.assert_array_equal(follow([steps[0], turned], 3)[1].xy, steps[0].xy)
