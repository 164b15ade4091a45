"""Weights from a user's file, into one of the backbones of this package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rt_pose.errors import UserError
from rt_pose.extras import installed, remedy

WRAPPERS = ("state_dict", "model_state_dict", "model", "teacher")
"""Under one of these a checkpoint keeps its weights."""
PREFIXES = ("", "module.", "backbone.", "network.backbone.", "module.backbone.", "backbone.model.")
"""What may stand before the backbone's own names: of parallel training, and of networks that contain it (the
last of DeepLabCut 3)."""
LISTED = 20
_COUNTER = "num_batches_tracked"
"""Batch norm's count of batches, which files of older programs lack; nothing depends on it."""


def load_weights(backbone: nn.Module, file: Path, channels: int, first: str, new: tuple[str, ...]) -> str:
    """Load a file of weights into a backbone.

    Parameters
    ----------
    backbone
        Changed in place.
    file
        See `read_weights`.
    channels
        1 gray, 3 RGB.
    first
        Name of the weight of the layer that sees the image: for gray its three colour kernels are summed, so
        that a gray frame gives what its repetition in three channels would.
    new
        Prefixes of the parts that need not be in the file.

    Returns
    -------
    str
        A sentence that says what came from the file.

    Raises
    ------
    UserError
        With every weight that is missing or has another shape (the first `LISTED`), or where the file cannot
        be read.
    """
    given, prefix = _without_prefix(read_weights(file), set(backbone.state_dict()))
    if channels == 1 and first in given:
        given[first] = gray_kernels(given[first])
    own = backbone.state_dict()
    problems = _problems(own, given, new)
    if problems:
        more = [f"... and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
        raise UserError(
            f"network.weights {file}: {len(problems)} of the backbone's {len(own)} weights do not fit; is "
            f"the file of another network?{_norm_hint(own, given)}\n  "
            + "\n  ".join([*problems[:LISTED], *more])
        )
    taken = {name: value for name, value in given.items() if name in own}
    backbone.load_state_dict(own | taken)
    left = [name for name in given if name not in own]
    words = f"{len(taken)} weights from {file.name}" + (f" (under '{prefix}')" if prefix else "")
    return words + (f", {len(left)} of the file not used ({_groups(left)})" if left else "")


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read the named tensors of a file.

    Parameters
    ----------
    file
        A .pt, .pth, .ckpt or .safetensors file.

    Returns
    -------
    dict of str to Tensor
        Tensors by name, on the CPU.

    Raises
    ------
    UserError
        Where there is no such file, where it cannot be read as plain weights, or where it holds no tensors.
    """
    if not file.is_file():
        raise UserError(f"network.weights {file}: no such file; give a .pt, .pth, .ckpt or .safetensors file")
    try:
        held = _load_file(file)
    except Exception as error:  # torch raises a dozen kinds for what is none
        raise UserError(
            f"network.weights {file}: cannot be read as plain weights: {read_problem(error)}; save it "
            "again with torch.save(network.state_dict(), FILE)"
        ) from error
    for name in WRAPPERS:
        if isinstance(held, Mapping) and isinstance(held.get(name), Mapping):
            held = held[name]
            break
    tensors = {k: v for k, v in held.items() if isinstance(v, Tensor)} if isinstance(held, Mapping) else {}
    if not tensors:
        raise UserError(
            f"network.weights {file}: expected named tensors (a state dict), found {type(held).__name__}"
        )
    return tensors


def read_problem(error: Exception) -> str:
    """Return what torch says of a file in one line, without its advice to trust the file.

    Parameters
    ----------
    error
        What `torch.load` raised.
    """
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if text.startswith("Weights only load failed"):
        return "it is no file of torch.save, or holds more than tensors and plain values"
    return text


def gray_kernels(kernels: Tensor) -> Tensor:
    """Sum the colour kernels of a first layer.

    Parameters
    ----------
    kernels
        Kernels (O, 3, h, w) for colour or (O, 1, h, w) for gray; other shapes are returned as they are.

    Returns
    -------
    Tensor
        Kernels (O, 1, h, w) for gray.
    """
    return kernels.sum(dim=1, keepdim=True) if kernels.ndim == 4 else kernels


def _load_file(file: Path) -> Any:
    if file.suffix == ".safetensors":
        if not installed("safetensors"):
            raise UserError(f"network.weights {file}: reading it needs safetensors; `{remedy('networks')}`")
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except SafetensorError as error:
            raise ValueError(str(error)) from error
    return torch.load(file, map_location="cpu", weights_only=True)


def _without_prefix(given: dict[str, Tensor], own: set[str]) -> tuple[dict[str, Tensor], str]:
    """Return the weights under the prefix for which most names are the backbone's own."""
    prefix = max(PREFIXES, key=lambda p: sum(k.startswith(p) and k[len(p) :] in own for k in given))
    return {k[len(prefix) :]: v for k, v in given.items() if k.startswith(prefix)}, prefix


def _norm_hint(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """What to set where the file is of a ResNet with the other kind of norm."""
    statistics = "bn1.running_mean"
    if "bn1.weight" not in given or (statistics in own) == (statistics in given):
        return ""
    other = "resnet50" if statistics in given else "resnet50_gn"
    kind = "batch" if statistics in given else "group"
    return f" It is of a ResNet with {kind} norm: `network.backbone: {other}` has that"


def _problems(own: dict[str, Tensor], given: dict[str, Tensor], new: tuple[str, ...]) -> list[str]:
    problems = []
    for name, value in own.items():
        if name not in given:
            if not name.endswith(_COUNTER) and not (new and name.startswith(new)):
                problems.append(f"{name}: not in the file, expected {tuple(value.shape)}")
        elif given[name].shape != value.shape:
            problems.append(
                f"{name}: expected the shape {tuple(value.shape)}, the file has {tuple(given[name].shape)}"
            )
    return problems


def _groups(names: list[str]) -> str:
    """The parts of a network that names belong to."""
    return ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
