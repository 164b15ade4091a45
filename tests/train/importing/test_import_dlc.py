"""A DeepLabCut export with its weights under DeepLabCut's names, and files that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.log_lines import log_into
from torch import nn
from torch.nn import functional

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.package import check_frame_size, read_package
from train.importing.dlc import IMAGENET_MEAN, IMAGENET_STD, read_dlc
from train.importing.dlc_network import TransposedConvolution
from train.importing.verbs import import_dlc
from train.models.cspnext import CSPNeXt
from train.models.resnet import ResNet, group_norm

K, WIDTH, HEIGHT = 3, 80, 72


def export(path: Path, *, sigmoid: bool = False, groups: bool = False, **changes: Any) -> dict[str, Any]:
    """A ResNet-18 export with random weights, maybe with group norms; its parts as they were saved."""
    torch.manual_seed(0)
    backbone = ResNet(18, 16, group_norm if groups else nn.BatchNorm2d)
    for module in backbone.modules():
        if isinstance(module, nn.GroupNorm):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[operator,union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[operator,union-attr]
    heatmap, locref = nn.ConvTranspose2d(512, K, 3, 2), nn.ConvTranspose2d(512, 2 * K, 3, 2)
    with torch.no_grad():
        features = backbone.eval()(torch.randn(1, 3, HEIGHT, WIDTH))
        heatmap.weight.mul_(2.0 / heatmap(features).max())
    parts = {"backbone.model": backbone}
    parts["heads.bodypart.heatmap_head.deconv_layers.0"] = heatmap  # type: ignore[assignment]
    parts["heads.bodypart.locref_head.deconv_layers.0"] = locref  # type: ignore[assignment]
    pose = {f"{name}.{key}": value for name, m in parts.items() for key, value in m.state_dict().items()}
    predictor = {"type": "HeatmapPredictor", "apply_sigmoid": sigmoid, "clip_scores": True}
    config = {
        "method": "bu",
        "net_type": "resnet_18",
        "metadata": {"bodyparts": [f"part{i}" for i in range(K)]},
        "data": {"colormode": "RGB", "inference": {"normalize_images": True}},
        "model": {
            "backbone": {"type": "ResNet", "model_name": f"resnet18{'_gn' * groups}", "output_stride": 16},
            "heads": {
                "bodypart": {
                    "type": "HeatmapHead",
                    "predictor": predictor | {"location_refinement": True, "locref_std": 7.2801},
                    "heatmap_config": {"channels": [512, K], "kernel_size": [3], "strides": [2]},
                    "locref_config": {"channels": [512, 2 * K], "kernel_size": [3], "strides": [2]},
                }
            },
        },
    }
    for place, value in changes.items():
        *way, last = place.split("__")
        at: Any = config
        for key in way:
            at = at[key]
        at[last] = value
    torch.save({"config": config, "pose": pose, "detector": None}, path)
    return {"backbone": backbone, "heatmap": heatmap, "locref": locref}


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(4):
        coarse = random.integers(0, 256, (9, 10, 3), np.uint8)
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(coarse, (WIDTH, HEIGHT)))
    return folder


def as_deeplabcut(parts: dict[str, Any], image: np.ndarray, pad_to: int = 1) -> np.ndarray:
    """Keypoints (K, 2) by DeepLabCut's definition, in plain torch."""
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255.0
    x = functional.pad(x, (0, -x.shape[3] % pad_to, 0, -x.shape[2] % pad_to))
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.inference_mode():
        features = parts["backbone"]((x - mean) / std)
        maps, offsets = parts["heatmap"](features)[0], parts["locref"](features)[0] * 7.2801
    found = []
    for k, heatmap in enumerate(maps):
        y, x_ = divmod(int(heatmap.argmax()), heatmap.shape[1])
        found.append([x_ * 8 + 4 + offsets[2 * k, y, x_], y * 8 + 4 + offsets[2 * k + 1, y, x_]])
    return np.array(found, float)


@pytest.mark.parametrize(("pad_to", "groups"), [(32, False), (1, True)])
def test_the_package_gives_what_deeplabcut_would(
    tmp_path: Path, frames: Path, pad_to: int, groups: bool
) -> None:
    padding = {"pad_width_divisor": pad_to, "pad_height_divisor": pad_to}
    inference = {"normalize_images": True, "auto_padding": padding}
    parts = export(tmp_path / "model.pt", groups=groups, data__inference=inference)
    messages: list[str] = []
    options = {"file": str(tmp_path / "model.pt"), "frames": str(frames), "out": str(tmp_path / "package")}
    package = log_into(messages, import_dlc, options)
    assert package.manifest.keypoints == ["part0", "part1", "part2"]
    choice = choose_engine(read_package(tmp_path / "package"), EngineConfig())
    # Without labels nothing is known of another precision's error.
    assert choice.engine.precision == "float32"
    for image in package.golden.frames:
        ours = choice.estimator.estimate(image).xy[0]
        assert np.linalg.norm(ours - as_deeplabcut(parts, image, pad_to), axis=1).max() < 0.02
    assert any("float32: moves keypoints by" in line for line in messages)
    with pytest.raises(UserError, match="imported for frames of 80x72, camera 'top' gives 160x144"):
        check_frame_size(package, 160, 144, "camera 'top'")


def test_with_a_size_frames_of_any_size_will_do(tmp_path: Path, frames: Path) -> None:
    export(tmp_path / "model.pt")
    options = {"file": str(tmp_path / "model.pt"), "frames": str(frames), "size": "64x48"}
    package = import_dlc(options | {"out": str(tmp_path / "package")})
    assert (package.manifest.input.width, package.manifest.input.height) == (64, 48)
    check_frame_size(package, 160, 144, "camera 'top'")


def test_blue_first_is_turned_round(tmp_path: Path) -> None:
    export(tmp_path / "rgb.pt")
    export(tmp_path / "bgr.pt", data__colormode="BGR")
    red_first, blue_first = (read_dlc(tmp_path / f, (64, 48), None) for f in ("rgb.pt", "bgr.pt"))
    assert blue_first.spec.mean == red_first.spec.mean[::-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "td"}, "works top-down"),
        ({"model__backbone__model_name": "hrnet_w32"}, "its backbone is 'hrnet_w32'"),
        ({"model__backbone__type": "HRNet"}, "here are ResNet and CSPNeXt"),
        ({"model__backbone__model_name": "resnet50"}, "its weights do not fit"),
        ({"model__heads__bodypart__type": "RTMCCHead"}, "its head is a RTMCCHead"),
        ({"metadata": {}}, "not that of a DeepLabCut 3 export"),
    ],
)
def test_what_it_cannot_be_made_of_is_said(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    export(tmp_path / "model.pt", **changes)
    with pytest.raises(UserError, match=message):
        read_dlc(tmp_path / "model.pt", (64, 48), None)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (4, 2), (2, 2), (5, 2), (3, 1), (4, 3)])
def test_a_transposed_convolution_in_products_is_one(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    ours = TransposedConvolution(7, 3, kernel, stride)
    plain = nn.ConvTranspose2d(7, 3, kernel, stride)
    plain.load_state_dict(ours.state_dict())
    image = torch.randn(2, 7, 5, 6)
    with torch.inference_mode():
        torch.testing.assert_close(ours(image), plain(image), atol=1e-5, rtol=1e-5)


class Intruder:
    """An object that only code could bring back."""


def test_files_that_are_no_exports_are_refused_unopened(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    with pytest.raises(UserError, match="no such file"):
        read_dlc(file, (64, 48), None)
    file.write_bytes(b"not a file of torch")
    with pytest.raises(UserError, match="not a file of PyTorch"):
        read_dlc(file, (64, 48), None)
    torch.save({"config": {}, "pose": Intruder()}, file)
    with pytest.raises(UserError, match="objects that only code could bring back"):
        read_dlc(file, (64, 48), None)
    torch.save({"model": {}, "metadata": {}}, file)
    with pytest.raises(UserError, match="it holds model, metadata"):
        read_dlc(file, (64, 48), None)


def test_cspnext_has_the_size_its_weights_have() -> None:
    network = CSPNeXt(0.33, 0.5).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 70, 64)).shape == (1, 512, 3, 2)
    names = set(network.state_dict())
    assert {"stem.0.conv.weight", "stage4.1.conv2.norm.bias", "stage1.1.attention.fc.bias"} <= names
    assert "stage2.1.blocks.0.conv2.depthwise_conv.conv.weight" in names


@pytest.mark.parametrize(("depth", "channels"), [(18, 512), (50, 2048)])
def test_dilated_resnets_keep_their_resolution(depth: int, channels: int) -> None:
    network = ResNet(depth, 16).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 50, 64)).shape == (1, channels, 4, 4)
