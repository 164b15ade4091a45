"""`rt-pose import dlc`: a DeepLabCut 3 export (PyTorch) as a model package.

The file is what `deeplabcut.export_model` writes and DeepLabCut-Live reads: {config, pose, detector}. It is
read as data, never as code: a file that holds other objects is refused. One animal, one network, heatmaps
with or without location refinement.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rt_pose.errors import UserError
from rt_pose.package import DecodeSpec, InputSpec, file_sha256
from train.importing.dlc_network import ELSEWHERE, HEAD, DlcNetwork, Padding, build_network
from train.importing.imported_network import ImportedNetwork
from train.models.files import write_onnx

# ImageNet's statistics on a scale of 0..1, which DeepLabCut normalises with.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WINDOW_RADIUS = 3
"""Heatmap px (of 8 input px as a rule) around the peak that a covariance is taken from."""


def read_dlc(path: Path, frame_size: tuple[int, int], size: tuple[int, int] | None) -> ImportedNetwork:
    """Read the network of a DeepLabCut export.

    DeepLabCut does not resize, so the network is made for frames of `frame_size`; with `size` frames of any
    size are stretched to it first.

    Parameters
    ----------
    path
        The .pt file.
    frame_size
        (width, height) of the camera's frames, px.
    size
        (width, height) of the network's input, px; None: that of the frames.

    Returns
    -------
    ImportedNetwork
        The network with all that a package says of it.

    Raises
    ------
    UserError
        Where the file is not such an export, or of a kind that cannot be imported.
    """
    data = _read(path)
    try:
        return _imported_network(path, data["config"], data["pose"], frame_size, size)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: its configuration is not that of a DeepLabCut 3 export: {type(error).__name__} {error}"
        ) from error


def _imported_network(
    path: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    frame_size: tuple[int, int],
    size: tuple[int, int] | None,
) -> ImportedNetwork:
    _check_supported(config)
    inference = config["data"]["inference"]
    predictor = config["model"]["heads"][HEAD]["predictor"]
    locref = bool(predictor.get("location_refinement", True))
    width, height = size or frame_size
    spec = _input_spec(bool(inference.get("normalize_images", False)), width, height)
    spec.frame = None if size else frame_size
    blue_first = config["data"].get("colormode", "RGB") == "BGR"
    if blue_first:
        # It normalises its first channel with the first pair, whatever colour that is.
        spec.mean, spec.std = spec.mean[::-1], spec.std[::-1]
    padding = _padding(inference.get("auto_padding"), spec)
    network, stride = build_network(config["model"], weights, locref, padding)
    if blue_first:
        _swap_colours(network)
    decode = DecodeSpec(
        stride=stride,
        window_radius=WINDOW_RADIUS,
        activation="sigmoid" if predictor.get("apply_sigmoid", True) else "none",
        decoder="argmax_locref" if locref else "argmax",
        offset_px=0.5 * stride,
        locref_std=float(predictor.get("locref_std", 7.2801)) if locref else 1.0,
    )
    return ImportedNetwork(
        name=f"{path.name} ({config.get('net_type', 'DeepLabCut')})",
        spec=spec,
        decode=decode,
        keypoints=[str(name) for name in config["metadata"]["bodyparts"]],
        bones=[],
        write_onnx=lambda file: _write_onnx(network, spec, file),
        provenance={
            "imported": "DeepLabCut 3 export",
            "file": path.name,
            "sha256": file_sha256(path),
            "net_type": config.get("net_type"),
        },
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected the .pt that `deeplabcut.export_model` writes")
    try:
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        if unsafe:
            raise UserError(
                f"{path}: it holds objects that only code could bring back "
                f"({', '.join(sorted(unsafe)[:3])}), and such files are not opened; export the model again "
                "with `deeplabcut.export_model`"
            )
        data = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path}: not a file of PyTorch: {reason}") from error
    if not isinstance(data, dict) or not {"config", "pose"} <= data.keys():
        held = ", ".join(map(str, data)) if isinstance(data, dict) else type(data).__name__
        raise UserError(
            f"{path}: expected a DeepLabCut export with `config` and `pose`, it holds {held}; a snapshot "
            "of a training becomes one by `deeplabcut.export_model`"
        )
    if data.get("detector") is not None:
        raise UserError(
            f"{path}: it has a detector (top-down); only networks of whole frames can be imported"
        )
    return data


def _check_supported(config: Mapping[str, Any]) -> None:
    if str(config.get("method", "bu")).lower() != "bu":
        raise UserError(
            "it works top-down, on crops by a detector; only networks of whole frames can be imported"
        )
    heads = config["model"]["heads"]
    if set(heads) != {HEAD}:
        raise UserError(f"it has the heads {', '.join(heads)}; only a single head '{HEAD}' can be imported")
    kind, predictor = heads[HEAD].get("type"), heads[HEAD]["predictor"].get("type")
    if kind != "HeatmapHead" or predictor != "HeatmapPredictor":
        raise UserError(
            f"its head is a {kind} read by a {predictor}; only heatmaps of one animal (HeatmapHead, "
            f"HeatmapPredictor) can be imported; {ELSEWHERE}"
        )


def _input_spec(normalised: bool, width: int, height: int) -> InputSpec:
    if not normalised:
        return InputSpec(width, height, 3, [0.0] * 3, [255.0] * 3)
    return InputSpec(width, height, 3, [255.0 * v for v in IMAGENET_MEAN], [255.0 * v for v in IMAGENET_STD])


def _padding(config: Mapping[str, Any] | None, spec: InputSpec) -> Padding | None:
    if not config:
        return None
    across, down = (int(config.get(f"pad_{side}_divisor") or 1) for side in ("width", "height"))
    right, bottom = -spec.width % across, -spec.height % down
    if not right and not bottom:
        return None
    red, green, blue = (-mean / std for mean, std in zip(spec.mean, spec.std, strict=True))
    return Padding(right, bottom, (red, green, blue))


def _swap_colours(network: DlcNetwork) -> None:
    """Make a network that wants blue first take red first: only its first convolution sees the difference."""
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.weight.data = first.weight.data.flip(1)


def _write_onnx(network: nn.Module, spec: InputSpec, path: Path) -> None:
    with warnings.catch_warnings():
        # A group norm looks at the shape of what it is given; all of it but the batch is fixed here.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        write_onnx(network, spec, path)
