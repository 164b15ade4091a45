"""Writing a model package, and adding to one: it is whole at every instant, or not there yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rt_pose.errors import UserError
from rt_pose.package.manifest import (
    MANIFEST,
    SCHEMA,
    SCHEMA_CONTEXT,
    SCHEMA_SEVERAL,
    Manifest,
    PrecisionReport,
    check_manifest,
    manifest_sha256,
)
from rt_pose.package.read import (
    GOLDEN,
    NETWORK,
    PRECISION_NETWORKS,
    Golden,
    Package,
    file_sha256,
    read_package,
)


def write_package(
    path: Path,
    manifest: Manifest,
    golden: Golden,
    write_network: Callable[[Path], object],
    others: Mapping[str, Callable[[Path], object]] | None = None,
) -> Package:
    """Write a package; its manifest comes last.

    Parameters
    ----------
    path
        Folder of the package; made where it does not exist.
    manifest
        Its `files`, `schema` and `sha256` are filled in here.
    golden
        Frames and the keypoints of the float32 network on them.
    write_network
        Writes `network.onnx` to the path it is given.
    others
        Writers of further files by name, such as `network.pt2`; each file is hashed into the manifest.

    Returns
    -------
    Package
        The package as it reads from disk.

    Raises
    ------
    UserError
        Where the manifest cannot be written.
    """
    path.mkdir(parents=True, exist_ok=True)
    (path / MANIFEST).unlink(missing_ok=True)
    write_network(path / NETWORK)
    np.savez(path / GOLDEN, frames=golden.frames, xy=golden.xy, confidence=golden.confidence)
    writers = others or {}
    for name, write in writers.items():
        write(path / name)
    manifest.files = {name: file_sha256(path / name) for name in (NETWORK, GOLDEN, *writers)}
    return write_manifest(path, manifest)


def write_manifest(path: Path, manifest: Manifest) -> Package:
    """Put a manifest into a package in one step: the package is at every moment the old one or the new one.

    Parameters
    ----------
    path
        Folder of the package.
    manifest
        Its `files` must be right; its `schema` and `sha256` are filled in here.

    Returns
    -------
    Package
        The package as it then reads.

    Raises
    ------
    UserError
        Where the manifest is not valid or cannot be written.
    """
    manifest.schema = SCHEMA_CONTEXT if manifest.input.context else SCHEMA
    if manifest.individuals > 1:
        manifest.schema = SCHEMA_SEVERAL
    check_manifest(manifest, path)
    manifest.sha256 = manifest_sha256(manifest)
    text = json.dumps(msgspec.to_builtins(manifest), indent=1) + "\n"
    temporary = path / (MANIFEST + ".part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path / MANIFEST)
    except OSError as error:
        raise UserError(
            f"model package {path}: {MANIFEST} cannot be written: {error.strerror}; copy the package to a "
            "place where you may write"
        ) from error
    return read_package(path)


def extend_package(
    path: Path,
    write: Mapping[str, Callable[[Path], object]],
    reports: Mapping[str, PrecisionReport],
    training: Mapping[str, Any] | None = None,
) -> Package:
    """Add files, precision reports and facts about training to a package; what it held of these is replaced.

    Whole at every instant: before a file that the manifest lists is replaced, a manifest without it, and
    without the report of its precision, takes the manifest's place.

    Parameters
    ----------
    path
        Folder of the package.
    write
        Writers of the files by name; each is given the path to write to.
    reports
        What precisions cost, by precision.
    training
        Entries for the manifest's `training`.

    Returns
    -------
    Package
        The package as it then reads.

    Raises
    ------
    UserError
        Where the package is not whole, or its manifest cannot be written.
    """
    manifest = read_package(path).manifest
    replaced = [name for name in write if manifest.files.pop(name, None)]
    if replaced:
        for precision, network in PRECISION_NETWORKS.items():
            if network in replaced:
                manifest.precisions.pop(precision, None)
        write_manifest(path, manifest)
    for name, writer in write.items():
        part = path / f"part-{name}"
        writer(part)
        part.replace(path / name)
        manifest.files[name] = file_sha256(path / name)
    manifest.precisions |= reports
    manifest.training |= training or {}
    return write_manifest(path, manifest)
