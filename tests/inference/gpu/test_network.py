"""The torch program on a device: what folding and precision do to it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_package import DiscFinder, make_tiny_package
from torch import nn

from rt_pose.inference.gpu.network import fold_batch_norms, load_program
from train.config import NetworkConfig
from train.models.network import PoseNetwork

CPU = torch.device("cpu")
BATCH = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def program_of(network: nn.Module) -> torch.export.ExportedProgram:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(network, (BATCH,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))


def trained(backbone: str) -> PoseNetwork:
    """With statistics that batch norms of a fresh network do not have."""
    torch.manual_seed(1)
    network = PoseNetwork(NetworkConfig(backbone=backbone, width=64, height=64), 3, 4).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr, operator]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return network


@pytest.mark.parametrize("backbone", ["tiny", "mobilenetv4"])
def test_batch_norms_disappear_into_convolutions(backbone: str) -> None:
    network = trained(backbone)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    module = program_of(network).module()
    with torch.no_grad():
        kept = norms - fold_batch_norms(module)  # type: ignore[arg-type]
        expected = network(BATCH)
        difference = (module(BATCH) - expected).abs().max() / expected.abs().max()
    assert kept == len(network.head.stages)  # each follows a sum
    assert str(module.code).count("aten.batch_norm") == kept
    convolutions = sum(isinstance(part, nn.Conv2d) for part in network.modules())
    assert len(list(module.parameters())) <= 2 * (convolutions + kept)  # what was folded is let go of
    assert difference < 1e-4


def test_a_convolution_that_others_read_too_keeps_its_norm() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found = self.convolution(x)
            return self.norm(found) + found

    network = Twice().eval()
    module = program_of(network).module()
    assert fold_batch_norms(module) == 0  # type: ignore[arg-type]
    with torch.no_grad():
        torch.testing.assert_close(module(BATCH), network(BATCH))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_package_is_loaded_in_a_precision(tmp_path: Path, dtype: torch.dtype) -> None:
    make_tiny_package(tmp_path)
    network = load_program(tmp_path / "network.pt2", CPU, dtype)
    batch = torch.from_numpy(np.random.default_rng(0).uniform(-2, 2, (3, 1, 128, 160)).astype(np.float32))
    with torch.no_grad():
        found, expected = network(batch.to(dtype)), DiscFinder(4).eval()(batch)
    assert found.dtype == dtype
    assert not any(p.requires_grad for p in network.parameters())
    scale = float(expected.abs().max())
    assert float((found.float() - expected).abs().max()) < (1e-5 if dtype == torch.float32 else 0.05) * scale


@pytest.mark.parametrize("backbone", ["tiny"])
def test_networks_of_the_house_run_in_half_precision(tmp_path: Path, backbone: str) -> None:
    network = trained(backbone)
    torch.export.save(program_of(network), tmp_path / "network.pt2")
    loaded = load_program(tmp_path / "network.pt2", CPU, torch.bfloat16)
    with torch.no_grad():
        found, expected = loaded(BATCH.bfloat16()).float(), network(BATCH)
    assert float((found - expected).abs().mean()) < 0.05 * float(expected.abs().max())
