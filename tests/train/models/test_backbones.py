"""Backbones: shapes, weights in our own definitions, padding, and the same numbers from the exported file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from rt_pose.inference.engine import open_engine
from rt_pose.inference.engines.torch_reference import PROGRAM
from rt_pose.package import NETWORK
from train.config import NetworkConfig
from train.models.backbones import BACKBONES, build_backbone
from train.models.efficientnet import EfficientNetLite, SameConv, lite_weights
from train.models.files import write_onnx, write_program
from train.models.heads import STRIDE
from train.models.network import PoseNetwork, input_spec
from train.quantisation.mixed import FLOAT32_CONVOLUTIONS, write_first_in_float32


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


@pytest.mark.parametrize(("variant", "blocks", "last"), [(0, 16, 320), (1, 21, 320), (2, 21, 352)])
def test_every_packaged_weight_has_its_place(variant: int, blocks: int, last: int) -> None:
    weights = lite_weights(variant)
    EfficientNetLite(3, variant).load_state_dict(weights, strict=True)
    assert weights["stem.conv.weight"].shape == (32, 3, 3, 3)
    assert weights[f"blocks.{blocks - 1}.project.conv.weight"].shape[0] == last


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # Published sizes, less the classifiers: 11,689,512 and 25,557,032 with 1000 classes; timm's
        # mobilenetv4_conv_small 3,774,024 (its last stage and head are 2,640,560); DeiT-Ti 5,717,416.
        ("resnet18", 11_689_512 - 513_000),
        ("resnet50", 25_557_032 - 2_049_000),
        ("mobilenetv4", 3_774_024 - (128 * 960 + 1920) - (960 * 1280 + 2560) - 1_281_000),
        ("vit_tiny", 5_717_416 - 193_000),
    ],
)
def test_the_definitions_have_the_published_sizes(name: str, parameters: int) -> None:
    row = BACKBONES[name]
    own = {k: v for k, v in row.build(3).named_parameters() if not (row.new and k.startswith(row.new))}
    assert sum(v.numel() for v in own.values()) == parameters


@pytest.mark.parametrize("name", ["tiny", "lite0", "resnet18", "resnet50", "mobilenetv4", "vit_tiny"])
def test_the_exported_file_gives_the_same_maps(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gray, sides that differ; after a pass in training mode: no batch norm is at its first values."""
    monkeypatch.setattr("train.models.vit.DEPTH", 3)  # blocks that are all alike
    stride = BACKBONES[name].stride
    config = NetworkConfig(backbone=name, width=3 * stride, height=2 * stride, head_width=8)
    torch.manual_seed(0)
    network = PoseNetwork(config, channels=1, keypoints=3)
    images = torch.rand(2, 1, config.height, config.width) * 2 - 1
    with torch.no_grad():
        network.train()(images)
        expected = network.eval()(images).numpy()
    spec = input_spec(config, 1)
    write_onnx(network, spec, tmp_path / NETWORK)
    engine = open_engine("openvino", tmp_path, spec, "float32", 1)
    for image, maps in zip(images.numpy(), expected, strict=True):
        found = engine.infer(image[None])[0]
        np.testing.assert_allclose(found, maps, atol=2e-4 * np.abs(maps).max())
    assert np.std(expected) > 1e-4


def test_the_packages_other_files_can_be_made_of_a_transformer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The torch program for any number of frames, and the mixed network, which needs first convolutions."""
    monkeypatch.setattr("train.models.vit.DEPTH", 3)  # blocks that are all alike
    name = "vit_tiny"
    stride = BACKBONES[name].stride
    config = NetworkConfig(backbone=name, width=2 * stride, height=2 * stride, head_width=8)
    network = PoseNetwork(config, channels=3, keypoints=2).eval()
    spec = input_spec(config, 3)
    write_onnx(network, spec, tmp_path / NETWORK)
    write_program(network, spec, tmp_path / PROGRAM)
    write_first_in_float32(tmp_path / NETWORK, spec, tmp_path / "mixed.xml")
    images = torch.rand(3, 3, config.height, config.width)
    with torch.no_grad():
        expected = network(images)
    torch.testing.assert_close(torch.export.load(tmp_path / PROGRAM).module()(images), expected)
    assert (tmp_path / "mixed.xml").read_text().count("DisablePrecisionConversion") >= FLOAT32_CONVOLUTIONS


@pytest.mark.parametrize("name", ["lite0", "lite2"])
def test_a_gray_image_gives_what_its_repetition_in_rgb_gives(name: str) -> None:
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        gray = build_backbone(name, 1).eval()(image)
        colour = build_backbone(name, 3).eval()(image.repeat(1, 3, 1, 1))
    for a, b in zip(gray, colour, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2"])
def test_the_weights_were_trained_for_these_layers(name: str) -> None:
    """On smooth random images the activations' variances come near the batch norms' running ones (median
    ratio 0.34). Without the residuals or with an activation too many it is below 0.06; with too few, 3.3."""
    backbone = build_backbone(name, 3).eval()
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


@pytest.mark.parametrize("name", ["tiny", "lite0", "resnet18", "resnet50", "mobilenetv4"])
def test_held_norms_are_one_convolution_and_nothing_else(name: str) -> None:
    """Output and every gradient as if batch norm were a step of its own, in double precision."""
    torch.manual_seed(0)
    network = PoseNetwork(NetworkConfig(backbone=name, width=32, height=32, head_width=4), 1, 2).double()
    images = torch.randn(4, 1, 32, 32, dtype=torch.float64)
    network.train()(images)  # statistics that are not 0 and 1
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    folded = _answer(network.train(), norms, images)
    for module in network.modules():
        module.training = not isinstance(module, nn.Conv2d)
    apart = _answer(network, norms, images)
    for one, other in zip(folded, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def _answer(network: PoseNetwork, norms: list[nn.BatchNorm2d], images: torch.Tensor) -> list[torch.Tensor]:
    """Logits and the gradients of their squares, batch norm held."""
    for norm in norms:
        norm.eval()
    network.zero_grad()
    logits = network(images)
    logits.square().sum().backward()
    return [logits.detach(), *(p.grad.clone() for p in network.parameters() if p.grad is not None)]
