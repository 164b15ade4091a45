"""Reading a model package: every file there, every hash right, and nothing taken from outside the folder."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.files import is_plain_name
from rt_pose.onnx_file import external_files
from rt_pose.package.manifest import MANIFEST, Manifest, read_manifest
from rt_pose.types import FloatArray

NETWORK = "network.onnx"
GOLDEN = "golden.npz"
PRECISION_NETWORKS = {"mixed": "network.mixed.xml", "int8": "network.int8.xml"}
"""The file of a precision that needs a network of its own (OpenVINO's IR; its weights beside it, `.bin`)."""


@dataclass
class Golden:
    """Frames and the keypoints that float32 gave for them, preprocessing included; by a network with context
    one after another, each with those before it as its past."""

    frames: NDArray[np.uint8]
    """(G, H, W, C)."""
    xy: FloatArray
    """(G, K, 2) frame px; of a package of several animals (G, D, K, 2), NaN where there is none."""
    confidence: FloatArray
    """(G, K), or (G, D, K): 0 where there is none."""


@dataclass
class Package:
    """A package read and verified."""

    path: Path
    manifest: Manifest
    golden: Golden

    @property
    def sha256(self) -> str:
        """Identity of the package: the hash of its manifest."""
        return self.manifest.sha256


def read_package(path: Path | str) -> Package:
    """Read a package and check every hash.

    Parameters
    ----------
    path
        Folder of the package.

    Returns
    -------
    Package
        The package, its manifest and golden frames in memory.

    Raises
    ------
    UserError
        Where the folder is not a package, a file is missing or damaged, or the schema is unknown.
    """
    path = Path(path)
    if not os.path.isdir(path):  # not `Path.is_dir`, which raises where a name is too long
        raise UserError(
            f"model package {path}: no such folder; `rt-pose train fit CONFIG` writes one to OUT/package"
        )
    manifest = read_manifest(path / MANIFEST)
    for name in (NETWORK, GOLDEN):
        if name not in manifest.files:
            raise UserError(f"model package {path}: its manifest lists no {name}; export the package again")
    for name, expected in manifest.files.items():
        file = _inside(path, name)
        if not file.is_file():
            raise UserError(f"model package {path}: {name} is missing; copy the package again")
        found = file_sha256(file)
        if found != expected:
            raise UserError(
                f"model package {path}: {name} is damaged: sha256 expected {expected[:16]}..., "
                f"found {found[:16]}...; copy the package again"
            )
    _check_weights(path, manifest)
    return Package(path, manifest, _read_golden(path / GOLDEN, manifest))


def _inside(folder: Path, name: str) -> Path:
    """A file of the package; UserError where its name, or a link, leads out of the package."""
    if not is_plain_name(name):
        raise UserError(
            f"model package {folder}: {MANIFEST} lists {name!r}, which is not the name of a file in the "
            "package; export the package again"
        )
    file = folder / name
    if file.is_symlink() and file.resolve().parent != folder.resolve():
        raise UserError(
            f"model package {folder}: {name} is a link that leads out of the package; put the file there"
        )
    return file


def _check_weights(folder: Path, manifest: Manifest) -> None:
    """UserError where a network takes weights from a file whose hash the manifest does not hold."""
    try:
        wanted = {name: NETWORK for name in external_files((folder / NETWORK).read_bytes())}
    except ValueError as error:
        raise UserError(
            f"model package {folder}: {NETWORK} is no ONNX file: {error}; export the package again"
        ) from error
    for network in PRECISION_NETWORKS.values():
        if network in manifest.files:
            wanted[str(Path(network).with_suffix(".bin"))] = network
    for name, network in wanted.items():
        if name not in manifest.files:
            raise UserError(
                f"model package {folder}: {network} takes weights from {name!r}, whose hash {MANIFEST} does "
                "not hold; export the package again with the weights inside"
            )


def file_sha256(path: Path) -> str:
    """Hash a file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    str
        Hex sha256 of its content.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_golden(path: Path, manifest: Manifest) -> Golden:
    try:
        with np.load(path, allow_pickle=False) as data:
            golden = Golden(
                data["frames"], data["xy"].astype(np.float64), data["confidence"].astype(np.float64)
            )
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"model package {path.parent}: {path.name} is damaged: {error}") from error
    several, keypoints = manifest.individuals > 1, len(manifest.keypoints)
    rows = golden.xy.shape[1:2] if several else ()
    expected = (len(golden.frames), *rows, keypoints)
    if golden.frames.ndim != 4 or golden.xy.shape != (*expected, 2) or golden.confidence.shape != expected:
        raise UserError(
            f"model package {path.parent}: {path.name} holds keypoints of shape {golden.xy.shape}, "
            f"expected {(*expected, 2)}"
        )
    known = np.isfinite(golden.xy).all(axis=-1) | (several & (golden.confidence == 0))
    if not known.all() or not np.isfinite(golden.confidence).all():
        raise UserError(f"model package {path.parent}: {path.name} holds keypoints that are not finite")
    return golden
