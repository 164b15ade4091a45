"""A backbone's weights from a file of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rt_pose.errors import UserError
from train.config import NetworkConfig, TrainConfig
from train.fitting.check import check
from train.models.backbones import BACKBONES, build_backbone, format_start
from train.models.weights import load_weights


@pytest.fixture(scope="module")
def resnet() -> torch.nn.Module:
    torch.manual_seed(3)
    return BACKBONES["resnet18"].build(3)


def _save(network: torch.nn.Module, path: Path, prefix: str = "", wrap: str = "") -> Path:
    state: object = {prefix + name: value for name, value in network.state_dict().items()}
    torch.save({wrap: state, "epoch": 3} if wrap else state, path)
    return path


@pytest.mark.parametrize(
    ("prefix", "wrap"),
    [
        ("", ""),
        ("module.", "state_dict"),
        ("network.backbone.", "state_dict"),
        ("backbone.model.", "model"),  # as DeepLabCut 3 names them
    ],
)
def test_weights_come_whole_from_files_of_several_programs(
    resnet: torch.nn.Module, tmp_path: Path, prefix: str, wrap: str
) -> None:
    file = _save(resnet, tmp_path / "weights.pt", prefix, wrap)
    loaded = build_backbone("resnet18", 3, file).state_dict()
    for name, value in resnet.state_dict().items():
        assert torch.equal(loaded[name], value), name


def test_gray_takes_the_sum_of_the_colours(resnet: torch.nn.Module, tmp_path: Path) -> None:
    file = _save(resnet, tmp_path / "weights.pt")
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        gray = build_backbone("resnet18", 1, file).eval()(image)
        colour = build_backbone("resnet18", 3, file).eval()(image.repeat(1, 3, 1, 1))
    torch.testing.assert_close(gray[-1], colour[-1], atol=1e-4, rtol=1e-4)


def test_safetensors_are_read(resnet: torch.nn.Module, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(resnet.state_dict(), tmp_path / "weights.safetensors")
    loaded = build_backbone("resnet18", 3, tmp_path / "weights.safetensors")
    assert torch.equal(loaded.state_dict()["layer4.1.bn2.weight"], resnet.state_dict()["layer4.1.bn2.weight"])


def test_what_is_ours_alone_and_a_classifier_are_told_of(tmp_path: Path) -> None:
    row = BACKBONES["vit_tiny"]
    state = {k: v for k, v in row.build(3).state_dict().items() if not k.startswith("detail.")}
    torch.save(state | {"head.weight": torch.zeros(1000, 192)}, tmp_path / "vit.pth")
    words = load_weights(row.build(3), tmp_path / "vit.pth", 3, row.first, row.new)
    assert words == f"{len(state)} weights from vit.pth, 1 of the file not used (head)"


def test_every_mismatch_is_listed(resnet: torch.nn.Module, tmp_path: Path) -> None:
    state = resnet.state_dict()
    del state["layer2.0.conv1.weight"], state["bn1.num_batches_tracked"]
    state["layer3.1.bn2.bias"] = torch.zeros(7)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(UserError) as refused:
        build_backbone("resnet18", 3, tmp_path / "w.pt")
    assert str(refused.value).splitlines()[1:] == [
        "  layer2.0.conv1.weight: not in the file, expected (128, 64, 3, 3)",
        "  layer3.1.bn2.bias: expected the shape (256,), the file has (7,)",
    ]
    with pytest.raises(UserError, match=r"120 of the backbone's 122 weights|more"):
        build_backbone("resnet18", 3, _save(BACKBONES["tiny"].build(3), tmp_path / "other.pt"))


def test_a_resnet_with_the_other_norm_is_named(resnet: torch.nn.Module, tmp_path: Path) -> None:
    state = {name: value for name, value in resnet.state_dict().items() if "running" not in name}
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(UserError, match="with group norm: `network"):
        build_backbone("resnet18", 3, tmp_path / "w.pt")


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("no weights")
    with pytest.raises(UserError, match="cannot be read as plain weights"):
        build_backbone("resnet18", 3, tmp_path / "notes.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")  # a pickled object: never loaded
    with pytest.raises(UserError, match="cannot be read as plain weights"):
        build_backbone("resnet18", 3, tmp_path / "module.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UserError, match="expected named tensors"):
        build_backbone("resnet18", 3, tmp_path / "list.pt")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0")
    with pytest.raises(UserError, match="cannot be read as plain weights"):
        build_backbone("resnet18", 3, tmp_path / "cut.safetensors")


def test_a_missing_file_is_found_before_anything_is_read() -> None:
    config = TrainConfig(network=NetworkConfig(backbone="resnet18", weights="nowhere.pt"))
    with pytest.raises(UserError, match=r"network.weights: no such file: nowhere.pt"):
        check(config)


def test_what_it_starts_from_is_said() -> None:
    assert format_start("lite1", "") == "lite1 starts from ImageNet weights"
    assert "random weights" in format_start("resnet18", "")
    assert format_start("vit_tiny", "/data/dino.pth") == "vit_tiny starts from dino.pth"
