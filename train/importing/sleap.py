"""`rt-pose import sleap`: a sleap-nn ONNX export of a single-instance model as a model package.

The exported graph takes uint8 frames of the camera's size, scales them, finds whole heatmap pixels and gives
them in frame pixels. Here it ends at the confidence maps and begins behind its own scaling, which rt_pose's
preprocessing does in the same way; keypoints are refined as sleap-nn refines them when it runs a checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.inference.engines.openvino import openvino_core
from rt_pose.package import Decoder, DecodeSpec, InputSpec, file_sha256
from rt_pose.types import FloatArray
from train.importing.graph import inputs_of, keep_maps, load_graph, outputs_of, producers
from train.importing.imported_network import ImportedNetwork

MODEL, METADATA = "model.onnx", "export_metadata.json"
WINDOW_RADIUS = 2
PEAKS, PEAK_VALUES = "peaks", "peak_vals"
_PREPARES = {"Cast", "Div", "Mul", "Resize", "Identity"}
"""What the graph does to an image before its first layer, all of which our preprocessing does as well."""
_LAYERS = {"Conv", "Pad"}
_LAST = {"Conv", "ConvTranspose", "Sigmoid", "Relu", "Resize", "Add"}
"""What confidence maps may come out of."""


def read_sleap(path: Path, frame_size: tuple[int, int], size: tuple[int, int] | None) -> ImportedNetwork:
    """Read the network in a folder that `sleap-nn export` wrote, or in its `model.onnx`.

    It is made for frames of `frame_size`, scaled as in training; with `size` frames of any size are stretched
    to it.

    Parameters
    ----------
    path
        The folder, or the file.
    frame_size
        (width, height) of the camera's frames, px.
    size
        (width, height) of the network's input, px; None: that of the scaled frames.

    Returns
    -------
    ImportedNetwork
        The network with all that a package says of it.

    Raises
    ------
    UserError
        Where it is not a single-instance export.
    """
    file = path / MODEL if path.is_dir() else path
    model = load_graph(file)
    about = _metadata(file, model)
    source = _first_layer_input(model)
    if source is None and float(about["input_scale"]) != 1.0:
        raise UserError(
            f"{file}: its graph prepares images in a way this importer does not know; export it with "
            "--input-scale 1"
        )
    spec = _input_spec(about, frame_size, size, divides=source is None)
    shape = (spec.channels, spec.height, spec.width)
    cut = keep_maps(model, source or inputs_of(model)[0], [_confidence_maps(file, model)], shape)
    names = [str(name) for name in about["node_names"]]
    return ImportedNetwork(
        name=f"{file.parent.name}/{file.name} (sleap-nn {about.get('sleap_nn_version')})",
        spec=spec,
        decode=DecodeSpec(
            stride=int(about["output_stride"]),
            window_radius=WINDOW_RADIUS,
            activation="none",
            decoder="argmax_integral",
            offset_px=_offset_px(spec, frame_size),
        ),
        keypoints=names,
        bones=[(names[a], names[b]) for a, b in about.get("edge_inds", [])],
        write_onnx=lambda target: onnx.save(cut, str(target)),
        provenance={
            "imported": "sleap-nn export",
            "file": file.name,
            "sha256": file_sha256(file),
            "sleap_nn": about.get("sleap_nn_version"),
            "backbone": about.get("backbone"),
        },
    )


def _input_spec(
    about: dict[str, Any], frame_size: tuple[int, int], size: tuple[int, int] | None, divides: bool
) -> InputSpec:
    """The network's input; `divides`: its graph divides by 255 itself, as one that is fed whole does."""
    channels: Literal[1, 3] = 1 if about["input_channels"] == 1 else 3
    scale, std = float(about["input_scale"]), 1.0 if divides else 255.0
    width, height = size or (int(frame_size[0] * scale), int(frame_size[1] * scale))
    spec = InputSpec(width, height, channels, [0.0] * channels, [std] * channels)
    spec.frame = None if size else frame_size
    return spec


def wants_channels(path: Path) -> Literal[1, 3]:
    """Return the channels of the frames that an export takes: 1 gray, 3 RGB.

    Parameters
    ----------
    path
        The folder, or its `model.onnx`.
    """
    file = path / MODEL if path.is_dir() else path
    return 1 if _metadata(file, load_graph(file))["input_channels"] == 1 else 3


class WholeGraph:
    """The exported graph as it is, its own scaling and peak finding included, run by OpenVINO."""

    def __init__(self, path: Path) -> None:
        self._file = path / MODEL if path.is_dir() else path
        self.decoder: Decoder | None = "argmax"
        self.name = f"the exported graph's own peaks ({self._file.name})"

    def poses(self, images: list[NDArray[np.uint8]]) -> FloatArray:
        """See `Original.poses`."""
        core = openvino_core()
        model = core.read_model(self._file)
        height, width, channels = images[0].shape
        model.reshape([1, channels, height, width])
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = []
        for image in images:
            result = compiled(np.ascontiguousarray(image.transpose(2, 0, 1))[None])
            peaks, values = (np.asarray(result[name], np.float64)[0] for name in (PEAKS, PEAK_VALUES))
            found.append(np.concatenate([peaks, values[:, None]], axis=1))
        return np.stack(found)


def _metadata(file: Path, model: Any) -> dict[str, Any]:
    beside = file.parent / METADATA
    inside = next((p.value for p in model.metadata_props if p.key == "sleap_nn_metadata"), None)
    text = beside.read_text(encoding="utf-8") if beside.is_file() else inside
    if text is None:
        raise UserError(
            f"{file}: no {METADATA} beside it and none inside; give the folder that `sleap-nn export` wrote"
        )
    try:
        about = json.loads(text)
        missing = {"node_names", "input_scale", "input_channels", "output_stride"} - about.keys()
    except (ValueError, AttributeError) as error:
        raise UserError(f"{beside}: not the description of a sleap-nn export: {error}") from error
    if missing:
        raise UserError(f"{beside}: it lacks {', '.join(sorted(missing))}; export the model again")
    if about.get("model_type") != "single_instance":
        raise UserError(
            f"{file}: it is a sleap-nn model of type {about.get('model_type')!r}; only single_instance (one "
            "animal, whole frames) can be imported"
        )
    return dict(about)


def _offset_px(spec: InputSpec, frame_size: tuple[int, int]) -> float:
    """Return the input px at heatmap pixel 0, for sleap-nn's coordinates.

    Those are the heatmap pixel times stride over scale, without the half pixels that a resize of areas brings
    (the way back to the frame adds them).
    """
    return 0.5 * spec.width / frame_size[0] - 0.5


def _first_layer_input(model: Any) -> str | None:
    """The tensor that the first layer reads, where nothing but known preparation lies before it."""
    (image,) = inputs_of(model)
    reached = {image}
    for node in model.graph.node:
        if not node.input or node.input[0] not in reached:
            continue
        if node.op_type in _LAYERS:
            return str(node.input[0])
        if node.op_type in _PREPARES:
            reached.update(node.output)
        elif node.op_type != "Shape":
            return None
    return None


def _confidence_maps(file: Path, model: Any) -> str:
    """The last tensor of layers before the peaks are looked for."""
    if PEAK_VALUES not in outputs_of(model):
        raise UserError(
            f"{file}: it has no output '{PEAK_VALUES}'; expected a sleap-nn export of a single instance"
        )
    made_by = producers(model)
    waiting, seen = [PEAK_VALUES], set()
    while waiting:
        name = waiting.pop(0)
        node = made_by.get(name)
        if node is None or name in seen:
            continue
        if node.op_type in _LAST:
            return str(name)
        seen.add(name)
        waiting += node.input
    raise UserError(f"{file}: no confidence maps were found before its peaks; export the model again")
