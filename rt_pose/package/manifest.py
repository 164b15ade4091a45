"""The manifest of a model package: what the network takes and gives, how it is tracked, and what it costs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from rt_pose.errors import UnknownVersionError, UserError
from rt_pose.package.manifest_check import manifest_faults

SCHEMA = 1
SCHEMA_CONTEXT = 2
"""The schema of packages whose network has a context: an older reader refuses it, where it would otherwise
run the network without its past."""
SCHEMA_SEVERAL = 3
"""The schema of packages that find several animals: an older reader would misread their maps."""
SCHEMAS = (SCHEMA, SCHEMA_CONTEXT, SCHEMA_SEVERAL)
MANIFEST = "manifest.json"
STANDS_IN = {"fp16": "bf16"}
"""The precision whose figures stand for one that was not measured: fp16 keeps three bits more of every number
than bf16, so the tolerance for bf16 bounds it."""


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


Decoder = Literal["soft_argmax", "argmax", "argmax_locref", "argmax_integral", "centre_offsets"]


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
    centroid of the 5x5 pixels around it. centre_offsets finds several animals: see
    `rt_pose.inference.decode_centre_offsets`."""
    offset_px: float | None = None
    """Input px at the centre of heatmap pixel 0. None: (stride - 1) / 2, where pixels are covered evenly."""
    locref_std: float = 1.0
    """Input px per unit of a location refinement."""
    offset_scale: float = 1.0
    """Heatmap px per unit of an offset from a keypoint to the centre of its animal."""


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
    individuals: int = 1
    """The most animals in one training frame. Above 1 the network finds any number of them."""


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
        if schema not in SCHEMAS:
            raise UnknownVersionError(
                f"model package {path.parent}: schema {schema!r}, this program reads {SCHEMA} to "
                f"{SCHEMA_SEVERAL}; "
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
    check_manifest(manifest, path.parent)
    return manifest


def check_manifest(manifest: Manifest, package: Path) -> None:
    """Check the numbers and names of a manifest.

    Parameters
    ----------
    manifest
        The manifest.
    package
        Folder of the package, for the message.

    Raises
    ------
    UserError
        With everything that is not valid.
    """
    faults = list(manifest_faults(msgspec.to_builtins(manifest)))
    if faults:
        raise UserError("\n".join(f"model package {package}: {MANIFEST}: {fault}" for fault in faults))
