"""Backbones: the packaged weights in our own definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from train.config import NetworkConfig
from train.models.backbones import BACKBONES, EfficientNetLite0, SameConv, build_backbone, lite0_weights
from train.models.heads import STRIDE
from train.models.tracker import PoseNetwork


@pytest.mark.parametrize("name", sorted(BACKBONES))
@pytest.mark.parametrize("channels", [1, 3])
def test_maps_have_the_declared_channels_and_strides(name: str, channels: int) -> None:
    row = BACKBONES[name]
    backbone = row.build(channels).eval()
    height, width = 2 * row.stride, 3 * row.stride
    with torch.no_grad():
        maps = backbone(torch.zeros(2, channels, height, width))
    strides = [4 * 2**i for i in range(len(maps))]
    assert [tuple(m.shape) for m in maps] == [
        (2, c, height // s, width // s) for c, s in zip(backbone.features, strides, strict=True)
    ]
    assert strides[-1] == row.stride


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_heatmaps_are_a_quarter_of_the_input(name: str) -> None:
    config = NetworkConfig(backbone=name, head_width=8)
    network = PoseNetwork(config, channels=1, keypoints=5).eval()
    side = BACKBONES[name].stride
    with torch.no_grad():
        heatmaps = network(torch.zeros(1, 1, 2 * side, 3 * side))
    assert tuple(heatmaps.shape) == (1, 5, 2 * side // STRIDE, 3 * side // STRIDE)


def test_every_packaged_weight_has_its_place() -> None:
    weights = lite0_weights(3)
    EfficientNetLite0(3).load_state_dict(weights, strict=True)
    assert weights["stem.conv.weight"].shape == (32, 3, 3, 3)
    assert weights["blocks.15.project.conv.weight"].shape == (320, 1152, 1, 1)


def test_a_gray_image_gives_what_its_repetition_in_rgb_gives() -> None:
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        gray = build_backbone("lite0", 1).eval()(image)
        colour = build_backbone("lite0", 3).eval()(image.repeat(1, 3, 1, 1))
    for a, b in zip(gray, colour, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_the_weights_were_trained_for_these_layers() -> None:
    """On smooth random images the activations' variances come near the batch norms' running ones (median
    ratio 0.34). Without the residuals or with an activation too many it is below 0.06; with too few, 3.3."""
    backbone = build_backbone("lite0", 3).eval()
    random = torch.Generator().manual_seed(1)
    coarse = torch.randn(16, 3, 8, 8, generator=random) * 0.5
    image = functional.interpolate(coarse, (128, 128), mode="bicubic")
    image = (image + 0.1 * torch.randn(image.shape, generator=random)).clamp(-1, 1)
    ratios = []

    def compare(norm: torch.nn.BatchNorm2d, inputs: tuple[torch.Tensor, ...]) -> None:
        assert norm.running_var is not None
        ratios.append(float((inputs[0].var(dim=(0, 2, 3)) / norm.running_var).nanmedian()))

    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(compare)
    with torch.no_grad():
        backbone(image)
    assert 0.2 < np.median(ratios) < 1


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_padding_is_tensorflows_same(kernel: int, stride: int) -> None:
    """Against the definition: out = ceil(n / s), of the total padding the smaller half comes first."""
    size = 16
    conv = SameConv(1, 1, kernel, stride)
    image = torch.rand(size, size, generator=torch.Generator().manual_seed(2))
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    padded = np.pad(image.numpy(), (total // 2, total - total // 2))
    weights = conv.weight.detach().numpy()[0, 0]
    expected = [
        [
            (padded[y : y + kernel, x : x + kernel] * weights).sum()
            for x in range(0, padded.shape[1] - kernel + 1, stride)
        ]
        for y in range(0, padded.shape[0] - kernel + 1, stride)
    ]
    with torch.no_grad():
        np.testing.assert_allclose(conv(image[None, None])[0, 0], expected, atol=1e-5)
