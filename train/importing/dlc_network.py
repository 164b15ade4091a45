"""The networks of DeepLabCut 3, defined here: a standard backbone and deconvolution heads.

Only what its configuration says is followed, and its weights are found by name; none of its code runs.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rt_pose.errors import UserError
from train.models import cspnext
from train.models.cspnext import CSPNeXt
from train.models.resnet import DEPTHS, ResNet, group_norm

HEAD = "bodypart"
_HEATMAP = f"heads.{HEAD}.heatmap_head."
_LOCREF = f"heads.{HEAD}.locref_head."
_RESNET_NAME = re.compile(r"resnet(\d+)(_gn)?")
_CSPNEXT_FIXED = {"arch": "P5", "expand_ratio": 0.5, "channel_attention": True, "activation_fn": "SiLU"}
FEWER = 8
"""A transposed convolution that lowers the number of channels by this factor or more is worth rewriting."""
ELSEWHERE = "for another network, export it as ONNX and use `rt-pose import onnx`"


@dataclass
class Padding:
    """Black pixels to the right and below, so that the sides are multiples of something."""

    right: int
    bottom: int
    black: tuple[float, float, float]
    """What black is after normalisation."""


class TransposedConvolution(nn.ConvTranspose2d):
    """A transposed convolution with its sums in another order, which is faster on a CPU.

    Every weight of the kernel times the whole map in one product, and the results added with their offsets.
    The CPU's engine needs half of the time for that where, as in these heads, thousands of channels become
    some tens.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002
        """See `ConvTranspose2d.forward`. `output_size` is ignored."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        channels = self.out_channels
        product = self.weight.permute(2, 3, 1, 0).reshape(-1, self.in_channels, 1, 1)
        taps = functional.conv2d(input, product).split(channels, dim=1)  # kernel rows times columns, in turn
        reach = -(-kernel // stride)
        phases = []
        for row, column in itertools.product(range(stride), repeat=2):
            laid = [
                functional.pad(
                    taps[kernel * (row + down * stride) + column + right * stride],
                    (right, reach - 1 - right, down, reach - 1 - down),
                )
                for down, right in itertools.product(range(reach), repeat=2)
                if row + down * stride < kernel and column + right * stride < kernel
            ]
            phases.append(functools.reduce(torch.add, laid))
        # (B, K stride stride, ...): the phases of a keypoint one after another, as pixel_shuffle wants them
        maps = functional.pixel_shuffle(torch.stack(phases, dim=2).flatten(1, 2), stride)
        sides = [(side - 1) * stride + kernel for side in input.shape[2:]]
        assert self.bias is not None
        return maps[:, :, : sides[0], : sides[1]] + self.bias[:, None, None]


class Deconvolution(nn.Module):
    """Transposed convolutions with ReLU between them, and maybe a last convolution."""

    stride: int
    """By which it raises the resolution."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        channels, kernels, strides = (list(config[key]) for key in ("channels", "kernel_size", "strides"))
        layers: list[nn.Module] = []
        self.stride = 1
        for i, (kernel, stride) in enumerate(zip(kernels, strides, strict=True)):
            layers += [nn.ReLU()] if i else []
            kind = TransposedConvolution if FEWER * channels[i + 1] <= channels[i] else nn.ConvTranspose2d
            layers.append(kind(channels[i], channels[i + 1], kernel, stride))
            self.stride *= stride
        self.deconv_layers = nn.Sequential(*layers)
        final = config.get("final_conv")
        self.final_conv = (
            nn.Conv2d(channels[-1], final["out_channels"], final["kernel_size"]) if final else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, C, h, w) to maps of about `stride` times their resolution."""
        return self.final_conv(self.deconv_layers(x))


class DlcNetwork(nn.Module):
    """(B, 3, h, w) -> heatmaps (B, K, h', w'); with location refinement offsets too (B, 3 K, h', w')."""

    def __init__(self, backbone: nn.Module, heads: list[Deconvolution], padding: Padding | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleList(heads)
        self.padding = padding
        black = padding.black if padding else (0.0, 0.0, 0.0)
        self.register_buffer("black", torch.tensor(black).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (B, 3, h, w) to heatmaps, followed by the offsets where there are any."""
        if self.padding:
            # What is padded with is 0, so black is made 0 first.
            black = cast("Tensor", self.black)
            x = functional.pad(x - black, (0, self.padding.right, 0, self.padding.bottom)) + black
        x = self.backbone(x)
        return torch.cat([head(x) for head in self.heads], dim=1)


def build_network(
    model: Mapping[str, Any], weights: Mapping[str, Tensor], locref: bool, padding: Padding | None
) -> tuple[DlcNetwork, int]:
    """Build the network of a configuration and load its weights.

    Parameters
    ----------
    model
        The part `model` of the configuration.
    weights
        All weights of the export, by DeepLabCut's names.
    locref
        Whether it has a head of location refinement.
    padding
        Of its input; None: none.

    Returns
    -------
    network : DlcNetwork
        For inference: its weights need no gradient.
    stride : int
        Input px per heatmap px.

    Raises
    ------
    UserError
        Where the architecture is not one of those here, or where the weights do not fit it.
    """
    backbone, prefix, backbone_stride = _backbone(model["backbone"])
    head = model["heads"][HEAD]
    heads, prefixes = [Deconvolution(head["heatmap_config"])], [_HEATMAP]
    if locref:
        heads.append(Deconvolution(head["locref_config"]))
        prefixes.append(_LOCREF)
    if len({deconvolution.stride for deconvolution in heads}) > 1:
        raise UserError("its heatmaps and its location refinement have different strides; export it again")
    for part, name in [(backbone, prefix), *zip(heads, prefixes, strict=True)]:
        _load(part, name, weights)
    network = DlcNetwork(backbone, heads, padding).eval().requires_grad_(False)
    return network, backbone_stride // heads[0].stride


def _backbone(config: Mapping[str, Any]) -> tuple[nn.Module, str, int]:
    """The backbone, where its weights are, and its stride."""
    kind, name = config.get("type"), str(config.get("model_name", ""))
    if kind == "ResNet":
        match = _RESNET_NAME.fullmatch(name)
        if match is None or int(match[1]) not in DEPTHS:
            raise UserError(
                f"its backbone is '{name}'; here are resnet{', resnet'.join(map(str, DEPTHS))}, with batch "
                f"norm or (_gn) group norm; {ELSEWHERE}"
            )
        stride = int(config.get("output_stride", 32))
        norm = group_norm if match[2] else nn.BatchNorm2d
        return ResNet(int(match[1]), stride, norm), "backbone.model.", stride
    if kind == "CSPNeXt":
        for key, expected in _CSPNEXT_FIXED.items():
            if config.get(key, expected) != expected:
                raise UserError(
                    f"its CSPNeXt has {key} {config[key]!r}; here it is {expected!r}; {ELSEWHERE}"
                )
        deepen, widen = config.get("deepen_factor", 0.67), config.get("widen_factor", 0.75)
        return CSPNeXt(float(deepen), float(widen)), "backbone.", cspnext.STRIDE
    raise UserError(f"its backbone is a {kind!r}; here are ResNet and CSPNeXt; {ELSEWHERE}")


def _load(part: nn.Module, prefix: str, weights: Mapping[str, Tensor]) -> None:
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    try:
        part.load_state_dict(own, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"its weights do not fit the network its configuration describes: {reason}"
        ) from error
