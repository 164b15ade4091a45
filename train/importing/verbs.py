"""The import verbs: from options of the command line to a package."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rt_pose.errors import UserError
from rt_pose.inference.device import physical_cores
from rt_pose.package import Package
from rt_pose.video import Channels, parse_size
from train.data.sample_frames import SampleFrames, labels_of, read_tried_frames
from train.importing.imported_network import ImportedNetwork, Original
from train.importing.original_program import Kind, OriginalProgram
from train.importing.package import ImportTrial, import_package

_LOG = logging.getLogger(__name__)


def import_onnx(options: dict[str, Any]) -> Package:
    """Run `rt-pose import onnx FILE --spec YAML`.

    Parameters
    ----------
    options
        Options of the command line: file, spec, frames, labels, out.

    Returns
    -------
    Package
        The package that was written.

    Raises
    ------
    UserError
        Where a file cannot be used.
    """
    from train.importing.onnx_model import read_onnx

    imported = read_onnx(Path(options["file"]), Path(options["spec"]))
    return _conclude(imported, _frames(options, imported.spec.channels), options, [])


def import_dlc(options: dict[str, Any]) -> Package:
    """Run `rt-pose import dlc FILE`.

    Parameters
    ----------
    options
        Options of the command line: file, frames, size, python, labels, out.

    Returns
    -------
    Package
        The package that was written.

    Raises
    ------
    UserError
        Where a file cannot be used.
    """
    from train.importing.dlc import read_dlc

    path, frames = Path(options["file"]), _frames(options, 3)
    imported = read_dlc(path, frames.size, parse_size(options.get("size")))
    with _original_programs(options, "dlc") as originals:
        return _conclude(imported, frames, options, originals)


def import_sleap(options: dict[str, Any]) -> Package:
    """Run `rt-pose import sleap FOLDER`.

    Parameters
    ----------
    options
        Options of the command line: file, frames, size, python, labels, out.

    Returns
    -------
    Package
        The package that was written.

    Raises
    ------
    UserError
        Where a file cannot be used.
    """
    from train.importing.sleap import WholeGraph, read_sleap, wants_channels

    path = Path(options["file"])
    frames = _frames(options, wants_channels(path))
    imported = read_sleap(path, frames.size, parse_size(options.get("size")))
    with _original_programs(options, "sleap") as originals:
        return _conclude(imported, frames, options, [WholeGraph(path), *originals])


@contextmanager
def _original_programs(options: dict[str, Any], kind: Kind) -> Iterator[list[Original]]:
    """Return the program that trained the network, where its Python is given."""
    if not options.get("python"):
        yield []
        return
    with OriginalProgram(kind, Path(options["python"]), Path(options["file"]), physical_cores()) as program:
        yield [program]


def _frames(options: dict[str, Any], channels: Channels) -> SampleFrames:
    return read_tried_frames(Path(options["frames"]), channels)


def _conclude(
    imported: ImportedNetwork,
    frames: SampleFrames,
    options: dict[str, Any],
    originals: list[Original],
) -> Package:
    size = imported.spec.frame
    if size is not None and tuple(size) != frames.size:
        raise UserError(
            f"--frames {frames.source}: frames of {frames.size[0]}x{frames.size[1]}, the spec says "
            f"{size[0]}x{size[1]}"
        )
    path = options.get("labels")
    labels = labels_of(imported.spec, imported.keypoints, Path(path)) if path else None
    size_text = f"{imported.spec.width}x{imported.spec.height}"
    _LOG.info(f"{imported.name}: {len(imported.keypoints)} keypoints, input {size_text}")
    return import_package(imported, ImportTrial(frames, labels, originals), Path(options["out"]))
