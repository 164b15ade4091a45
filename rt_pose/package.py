"""The model package: the one contract between training and the live half.

A folder: `manifest.json`, `network.onnx` (weights inside), optionally `network.pt2` and networks for further
precisions, and `golden.npz` (raw uint8 frames with the keypoints that the float32 network gave for them). No
pickle anywhere. Reading checks every hash; the engine must reproduce the golden keypoints before the first
frame.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UnknownVersionError, UserError
from rt_pose.files import is_plain_name
from rt_pose.onnx_file import external_files
from rt_pose.package_check import manifest_faults
from rt_pose.types import FloatArray

SCHEMA = 1
SCHEMA_CONTEXT = 2
"""The schema of packages whose network has a context: an older reader refuses it, where it would otherwise
run the network without its past."""
MANIFEST = "manifest.json"
NETWORK = "network.onnx"
GOLDEN = "golden.npz"
PRECISION_NETWORKS = {"mixed": "network.mixed.xml", "int8": "network.int8.xml"}
"""The file of a precision that needs a network of its own (OpenVINO's IR; its weights beside it, `.bin`)."""

STANDS_IN = {"fp16": "bf16"}
"""The precision whose figures stand for one that was not measured: fp16 keeps three bits more of every number
than bf16, so the tolerance for bf16 bounds it."""

GOLDEN_TOLERANCE_PX = 0.05
GOLDEN_FACTOR = 1.5
"""Another precision may displace the golden keypoints by this factor of its recorded P95."""
GOLDEN_CONFIDENCE = 0.5
FAR_SIZE = 1.5
"""Frames that are so much larger or smaller than those trained on are told."""


@dataclass
class ContextSpec:
    """The past that a network sees beside the image: one map for each of the frames before it."""

    frames: int
    """How many, N."""
    channels: int
    """Of the map that is kept of a frame, F."""
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N F, h, w) of the whole past, the newest frame's map first."""
        return self.frames * self.channels, self.height, self.width


@dataclass
class InputSpec:
    """What the network takes as input. The same numbers serve training, offline and live."""

    width: int
    height: int
    channels: Literal[1, 3]
    """1 gray, 3 RGB."""
    mean: list[float]
    """Per channel, in grey levels 0..255."""
    std: list[float]
    aspect: Literal["stretch"] = "stretch"
    """Frames are resized to width x height without keeping their aspect."""
    interpolation: Literal["linear"] = "linear"
    antialias: bool = True
    frame: tuple[int, int] | None = None
    """(width, height) of the frames that an imported network was made for: at another size the animal would
    have another scale in its input. None: any size, as the augmentation of our own training allows."""
    context: ContextSpec | None = None
    """The past it takes beside the image; None: it sees every frame by itself."""


Decoder = Literal["soft_argmax", "argmax", "argmax_locref", "argmax_integral"]


@dataclass
class DecodeSpec:
    """How the network's output becomes keypoints."""

    stride: int
    """Input pixels per heatmap pixel."""
    window_radius: int = 4
    """Soft-argmax window, and that of every covariance: (2 r + 1)^2 heatmap pixels around the peak."""
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    """What turns the network's output into a map that is not negative."""
    decoder: Decoder = "soft_argmax"
    """The window's centroid (ours); the peak's pixel; that and the offset the network gives for it (the
    output then holds K heatmaps and, after them, x and y offsets of each keypoint in turn); that and the
    centroid of the 5x5 pixels around it."""
    offset_px: float | None = None
    """Input px at the centre of heatmap pixel 0. None: (stride - 1) / 2, where pixels are covered evenly."""
    locref_std: float = 1.0
    """Input px per unit of a location refinement."""


@dataclass
class Subspace:
    """A linear space that the positions of n keypoints keep to: mean plus a mixture of components."""

    name: str
    keypoints: list[int]
    """(n,) which ones, as indices."""
    mean_px: list[float]
    """(2 n,) x, y of each in turn."""
    components: list[list[float]]
    """(C, 2 n), orthonormal rows."""
    eps_px2: list[float]
    """(n,) variance along each axis with which keypoints stray from the space by nature."""


@dataclass
class TrackingSpec:
    """Parameters of the causal filter; lists hold one number a keypoint."""

    q_px2_s3: list[float]
    """Strength of the velocity's noise; the velocity at rest has variance q tau / 2."""
    tau_s: list[float]
    """Time constant with which a velocity decays."""
    gain: list[float]
    """R = gain * S + floor * I."""
    floor_px2: list[float]
    calibrated: bool = False
    min_confidence: float = 0.15
    """Below it a keypoint counts as not seen."""
    gate_chi2: float = 9.21
    """99 % of chi-square with 2 degrees of freedom; beyond it R is inflated."""
    restart_frames: int = 8
    """This many gated frames in a row restart the track at the measurement."""
    restart_ms: float = 250.0
    """Unseen for this long, the track restarts at the next sight."""
    lost_ms: float = 300.0
    """Unseen for this long, the keypoint is lost."""
    bias_px2: list[list[list[float]]] = field(default_factory=list)
    """(K, 2, 2) covariance of the slow part of the network's error, which innovations cannot see: added to
    the positions that are published and evaluated, never to the filter's own. Empty: none."""
    subspaces: list[Subspace] = field(default_factory=list)
    """The pose prior: the space of whole poses, and one for each body part seen in several views."""


@dataclass
class DriftLimits:
    """What one statistic of the drift detector was in the calibration recordings, and when it alarms."""

    mean: float
    """Of its values, one a frame."""
    spread: float
    """Standard deviation of these values; what follows is in spreads."""
    allowance: float
    """A mean that lies this far above the calibration's is still no drift."""
    threshold: float
    """Of the sum, over time, of what exceeds the allowance; spreads times seconds."""


@dataclass
class DriftSpec:
    """What the poses of the calibration recordings were like: see `rt_pose.tracking.drift`."""

    limits: dict[str, DriftLimits]
    """By statistic: pose, confidence, innovation; one that is not there is not compared."""
    block_s: float
    """Statistics are averaged over so much scene time."""
    false_alarm_hours: float
    """Hours, on average, from one false alarm to the next."""
    calibration_s: float
    """Length of the recordings together."""
    space: Subspace | None = None
    """The space of poses whose distance is the statistic `pose`."""


@dataclass
class PrecisionReport:
    """What a precision costs, measured at export on validation frames; where no frame was kept back, on those
    that train, and then without an error."""

    validation_error_px: float | None
    """Mean distance to the labels; None where an imported network came without labels, or no frame was kept
    back from training."""
    displacement_median_px: float
    """From float32, keypoints of confidence >= 0.5."""
    displacement_p95_px: float
    validation_median_px: float | None = None
    validation_p90_px: float | None = None
    displacement_n: int | None = None
    """Number of keypoints in the displacement."""
    video_median_px: float | None = None
    """Displacement from float32 on recorded video, keypoints of confidence >= 0.5."""
    video_p95_px: float | None = None
    video_n: int | None = None
    """Number of keypoints in the displacement on video."""

    @property
    def largest_p95_px(self) -> float:
        """The larger P95 of those on labeled frames and on video: what joins the filter's noise floor."""
        return max(self.displacement_p95_px, self.video_p95_px or 0.0)


@dataclass
class Manifest:
    """The package's own description."""

    keypoints: list[str]
    skeleton: list[tuple[str, str]]
    input: InputSpec
    decode: DecodeSpec
    tracking: TrackingSpec
    precisions: dict[str, PrecisionReport]
    training: dict[str, Any] = field(default_factory=dict)
    """Where it was trained, on what, and its errors."""
    files: dict[str, str] = field(default_factory=dict)
    """sha256 of every other file."""
    schema: int = SCHEMA
    sha256: str = ""
    """Of this manifest with this field empty: the package's identity."""
    drift: DriftSpec | None = None
    """What the calibration recordings were like, to the drift detector; None of a package that was never
    calibrated, or before the detector was there."""


@dataclass
class Golden:
    """Frames and the keypoints that float32 gave for them, preprocessing included; by a network with context
    one after another, each with those before it as its past."""

    frames: NDArray[np.uint8]
    """(G, H, W, C)."""
    xy: FloatArray
    """(G, K, 2) frame px."""
    confidence: FloatArray
    """(G, K)."""


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
    return Package(path, manifest, _read_golden(path / GOLDEN, len(manifest.keypoints)))


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
    _check_manifest(manifest, path)
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


def check_frame_size(package: Package, width: int, height: int, whose: str) -> None:
    """Check that frames have the size that an imported network was made for.

    Parameters
    ----------
    package
        A package; one whose network takes any size passes.
    width, height
        Size of the frames, px.
    whose
        What gives the frames, for the message.

    Raises
    ------
    UserError
        Where the size is another.
    """
    wanted = package.manifest.input.frame
    if wanted is not None and tuple(wanted) != (width, height):
        raise UserError(
            f"model package {package.path}: its network was imported for frames of {wanted[0]}x{wanted[1]}, "
            f"{whose} gives {width}x{height}, where the animal would appear at another scale; import it "
            "again with `--frames` of that size"
        )


def trained_sizes(package: Package) -> list[tuple[int, int]]:
    """List the sizes of the frames that a package was trained on.

    The package says them as `training.frame_sizes`; an older one shows one of them in its golden frames.

    Parameters
    ----------
    package
        The package.

    Returns
    -------
    list[tuple[int, int]]
        Width and height, px; at least one.
    """
    _, height, width, _ = package.golden.frames.shape
    sizes = [(int(w), int(h)) for w, h in package.manifest.training.get("frame_sizes", [])]
    return sizes or [(width, height)]


def unlike_trained(package: Package, width: int, height: int, whose: str) -> str | None:
    """Compare the size of frames with those that a package was trained on.

    The package says them as `training.frame_sizes`; an older one shows one of them in its golden frames.

    Parameters
    ----------
    package
        The package.
    width, height
        Size of the frames, px.
    whose
        What gives the frames, for the message.

    Returns
    -------
    str | None
        A warning where the nearest of them is `FAR_SIZE` times as large or small, otherwise None.
    """
    sizes = trained_sizes(package)
    factors = [max(width / w, w / width, height / h, h / height) for w, h in sizes]
    if min(factors) < FAR_SIZE:
        return None
    listed = ", ".join(f"{w}x{h}" for w, h in sizes[:3])
    return (
        f"{whose} gives frames of {width}x{height}, the package was trained on {listed}: where the labeled "
        "images were cut out of larger frames the network sees the animal at another scale and finds it "
        "badly; then cut these alike, or label frames of this size"
    )


def golden_check(
    package: Package,
    precision: str,
    predict: Callable[[NDArray[np.uint8]], tuple[FloatArray, FloatArray]],
) -> float:
    """Measure how far an engine moves the confident golden keypoints, and refuse it beyond tolerance.

    Parameters
    ----------
    package
        The package whose golden frames are predicted.
    precision
        The engine's precision; it chooses the tolerance.
    predict
        Maps frames (G, H, W, C) uint8 to keypoints (G, K, 2) px and confidence (G, K).

    Returns
    -------
    float
        The displacement, px: the largest for float32, the P95 for another precision.

    Raises
    ------
    UserError
        Where the displacement is beyond tolerance, no golden keypoint is confident, or the precision was not
        tried at export.
    """
    xy, _ = predict(package.golden.frames)
    confident = package.golden.confidence >= GOLDEN_CONFIDENCE
    if not confident.any():
        raise UserError(
            f"model package {package.path}: none of its golden keypoints has confidence >= "
            f"{GOLDEN_CONFIDENCE}, so no engine can be checked against it; train the model further"
        )
    displacement = np.linalg.norm(xy - package.golden.xy, axis=-1)[confident]
    report = precision_report(package.manifest, precision)
    if precision == "float32":
        tolerance, measured, figure = GOLDEN_TOLERANCE_PX, float(displacement.max()), "largest"
    else:
        if report is None:
            raise UserError(
                f"model package {package.path}: precision '{precision}' was never tried at export "
                f"(tried: {', '.join(package.manifest.precisions)}); export the package again"
            )
        tolerance = max(GOLDEN_FACTOR * report.displacement_p95_px, GOLDEN_TOLERANCE_PX)
        measured, figure = float(np.percentile(displacement, 95)), "P95"
    if not measured <= tolerance:
        raise UserError(
            f"model package {package.path}: this engine in {precision} moves the golden keypoints by "
            f"{measured:.3f} px ({figure}), tolerance {tolerance:.3f} px; try `--engine.precision float32`"
        )
    return measured


def precision_report(manifest: Manifest, precision: str) -> PrecisionReport | None:
    """Look up what was measured of a precision at export.

    Parameters
    ----------
    manifest
        The package's manifest.
    precision
        Name of the precision.

    Returns
    -------
    PrecisionReport | None
        Its report, or that of the precision that stands in for it (`STANDS_IN`); None where there is neither.
    """
    return manifest.precisions.get(precision) or manifest.precisions.get(STANDS_IN.get(precision, ""))


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


def manifest_sha256(manifest: Manifest) -> str:
    """Hash a manifest with its own hash left empty.

    Parameters
    ----------
    manifest
        The manifest; it is not changed.

    Returns
    -------
    str
        Hex sha256 of its JSON form with sorted keys: the package's identity.
    """
    plain = msgspec.to_builtins(manifest)
    plain["sha256"] = ""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a model package.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Manifest
        The manifest; its own hash is right.

    Raises
    ------
    UserError
        Where there is none, it is damaged, or its schema is unknown.
    """
    if not path.is_file():
        inside = path.parent / "package"
        hint = f"it is {inside}" if (inside / MANIFEST).is_file() else "is this the folder `package`?"
        raise UserError(f"model package {path.parent}: no {MANIFEST}; {hint}")
    try:
        plain = json.loads(path.read_bytes())
        schema = plain["schema"] if isinstance(plain, dict) else None
        if schema not in (SCHEMA, SCHEMA_CONTEXT):
            raise UnknownVersionError(
                f"model package {path.parent}: schema {schema!r}, this program reads {SCHEMA} and "
                f"{SCHEMA_CONTEXT}; "
                "use the rt-pose that wrote it, or export again"
            )
        expected = plain["sha256"]
        plain["sha256"] = ""
        found = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
        if found != expected:
            raise UserError(f"model package {path.parent}: {MANIFEST} is damaged (its hash differs)")
        plain["sha256"] = expected
        manifest = msgspec.convert(plain, Manifest)
    except (ValueError, KeyError, RecursionError, msgspec.ValidationError) as error:
        raise UserError(f"model package {path.parent}: {MANIFEST} is damaged: {error}") from error
    _check_manifest(manifest, path.parent)
    return manifest


def _check_manifest(manifest: Manifest, package: Path) -> None:
    faults = list(manifest_faults(msgspec.to_builtins(manifest)))
    if faults:
        raise UserError("\n".join(f"model package {package}: {MANIFEST}: {fault}" for fault in faults))


def _read_golden(path: Path, keypoints: int) -> Golden:
    try:
        with np.load(path, allow_pickle=False) as data:
            golden = Golden(
                data["frames"], data["xy"].astype(np.float64), data["confidence"].astype(np.float64)
            )
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"model package {path.parent}: {path.name} is damaged: {error}") from error
    if golden.frames.ndim != 4 or golden.xy.shape != (len(golden.frames), keypoints, 2):
        raise UserError(
            f"model package {path.parent}: {path.name} holds keypoints of shape {golden.xy.shape}, "
            f"expected ({len(golden.frames)}, {keypoints}, 2)"
        )
    if not np.isfinite(golden.xy).all() or not np.isfinite(golden.confidence).all():
        raise UserError(f"model package {path.parent}: {path.name} holds keypoints that are not finite")
    return golden
