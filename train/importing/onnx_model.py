"""`rt-pose import onnx`: any heatmap network, and a YAML (`onnx_spec`) that says what the file does not."""

from __future__ import annotations

from pathlib import Path

import onnx

from rt_pose.config.build import load
from rt_pose.errors import UserError, nearest
from rt_pose.package import file_sha256
from train.importing.graph import (
    check_name,
    inputs_of,
    keep_maps,
    load_graph,
    outputs_of,
    weight_files,
)
from train.importing.imported_network import ImportedNetwork
from train.importing.onnx_spec import OnnxSpec


def read_onnx(path: Path, spec_file: Path) -> ImportedNetwork:
    """Read the network in an ONNX file, as a YAML file describes it.

    Parameters
    ----------
    path
        The ONNX file.
    spec_file
        The YAML file, see `OnnxSpec`.

    Returns
    -------
    ImportedNetwork
        The network with all that a package says of it.

    Raises
    ------
    UserError
        Where one of them cannot be read, or where they do not fit.
    """
    spec = load(OnnxSpec, spec_file)
    _check(spec, spec_file)
    model = load_graph(path)
    source = check_name(spec.image, inputs_of(model), path, "input")
    outputs = outputs_of(model)
    heatmaps = spec.maps if spec.maps or not spec.locref else _other(outputs, spec.locref)
    maps = [check_name(heatmaps, outputs, path, "output")]
    if spec.locref is not None:
        maps.append(check_name(spec.locref, outputs, path, "output"))
    shape = (spec.input.channels, spec.input.height, spec.input.width)
    cut = keep_maps(model, source, maps, shape, spec.layout)
    return ImportedNetwork(
        name=path.name,
        spec=spec.input,
        decode=spec.decode,
        keypoints=spec.keypoints,
        bones=spec.skeleton,
        write_onnx=lambda file: onnx.save(cut, str(file)),
        provenance={"imported": "ONNX", "file": path.name, "sha256": file_sha256(path), **_weights(path)},
    )


def _weights(path: Path) -> dict[str, dict[str, str]]:
    files = weight_files(path)
    return {"weights": files} if files else {}


def _other(outputs: list[str], locref: str) -> str | None:
    rest = [name for name in outputs if name != locref]
    return rest[0] if len(rest) == 1 else None


def _check(spec: OnnxSpec, file: Path) -> None:
    channels = spec.input.channels
    for key, values in (("mean", spec.input.mean), ("std", spec.input.std)):
        if len(values) != channels:
            raise UserError(
                f"{file}: input.{key}: expected {channels} numbers, one a channel, got {len(values)}"
            )
    if not all(value > 0 for value in spec.input.std):
        raise UserError(f"{file}: input.std: expected more than 0, got {spec.input.std}")
    sizes = {
        "input.width": spec.input.width,
        "input.height": spec.input.height,
        "decode.stride": spec.decode.stride,
        "decode.window_radius": spec.decode.window_radius,
    }
    for key, value in sizes.items():
        if value < 1:
            raise UserError(f"{file}: {key}: expected 1 or more, got {value}")
    if not spec.keypoints or len(set(spec.keypoints)) != len(spec.keypoints):
        raise UserError(f"{file}: keypoints: expected one name or more, each once")
    for bone in spec.skeleton:
        for name in bone:
            if name not in spec.keypoints:
                raise UserError(f"{file}: skeleton: no keypoint '{name}'{nearest(name, spec.keypoints)}")
    if spec.locref is not None and spec.decode.decoder != "argmax_locref":
        raise UserError(f"{file}: locref: it is read by `decode.decoder: argmax_locref` only; set it")
