"""What is recorded asks nothing of the host and mixes no devices.

Seen on torch's meta device, which refuses both.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rt_pose.inference.decode_torch import decode_torch
from rt_pose.inference.gpu.estimator import pack
from rt_pose.inference.gpu.resize import MatrixResize
from rt_pose.inference.gpu.video import to_gray
from rt_pose.package import DecodeSpec, InputSpec
from train.config import NetworkConfig
from train.models.network import PoseNetwork

META = torch.device("meta")
GRAY, RGB = InputSpec(64, 48, 1, [110.0], [55.0]), InputSpec(64, 48, 3, [110.0] * 3, [55.0] * 3)


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=META)


def test_the_meta_device_refuses_what_a_recording_does() -> None:
    """Or the other tests here could not fail."""
    with pytest.raises(RuntimeError):
        bool((empty(3) > 0).any())
    with pytest.raises(RuntimeError):
        empty(3) + torch.ones(3)


@pytest.mark.parametrize("activation", ["softmax", "none"])
def test_decoding(activation: str) -> None:
    maps = empty(2, 17, 12, 16).contiguous(memory_format=torch.channels_last)
    decode = DecodeSpec(stride=4, activation=activation)  # type: ignore[arg-type]
    found = pack(decode_torch(maps, decode))
    assert (found.shape, found.device) == ((2, 17, 7), META)


@pytest.mark.parametrize(("spec", "channels"), [(GRAY, 1), (RGB, 3), (RGB, 1)])
def test_resizing(spec: InputSpec, channels: int) -> None:
    shape = (96, 128, channels)
    found = MatrixResize(spec, shape, META)(empty(*shape, dtype=torch.uint8))
    assert (found.shape, found.device) == ((spec.channels, 48, 64), META)


def test_gray_of_colours() -> None:
    assert to_gray(empty(8, 48, 64, 3, dtype=torch.uint8)).shape == (8, 48, 64, 1)


@pytest.mark.parametrize("backbone", ["lite0", "resnet50", "mobilenetv4", "vit_tiny"])
def test_networks_in_half_precision(backbone: str) -> None:
    network = PoseNetwork(NetworkConfig(backbone=backbone, width=64, height=64), 3, 4).eval()
    with torch.no_grad():
        found = network.to(META, torch.float16)(empty(2, 3, 64, 64, dtype=torch.float16))
    assert (found.dtype, found.device) == (torch.float16, META)
