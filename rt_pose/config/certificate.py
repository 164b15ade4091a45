"""The latency certificate of a rig: what `rt-pose rig loopback` measured, and whether it holds for a run.

It lies beside the rig's configuration as NAME.certificate.json, one entry for each pair of a camera and an
output. It holds for a run as long as camera, output, engine and model are what they were; its delay then
takes the place of the one that the output's driver states.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import msgspec

from rt_pose.clock import NS_PER_S
from rt_pose.config.build import to_plain
from rt_pose.config.schema import RunConfig
from rt_pose.config.shipped import FOLDER
from rt_pose.config.source import Source
from rt_pose.errors import UserError
from rt_pose.files import write_atomic
from rt_pose.types import CameraInfo, OutputInfo

SCHEMA = 1
SUFFIX = ".certificate.json"
MAX_BYTES = 1 << 20
NS_PER_DAY = 86_400 * NS_PER_S
MOST_DIFFERENCES = 3
"""So many settings that differ are named."""
ACTUAL = ("exposure_us", "rate_hz", "trigger")
"""Settings that may have been left to the camera, of which the latency depends on what it has."""
OF_THE_CAMERA = "camera.actual."
OF_DECISIONS = ("engine.", "model", "crop.")
"""Settings on which only the decision's share depends."""
Milliseconds = Annotated[float, msgspec.Meta(ge=0.0, le=60_000.0)]


class Percentiles(msgspec.Struct, frozen=True):
    """A latency figure, ms."""

    n: int
    p50: Milliseconds
    p90: Milliseconds
    p99: Milliseconds
    p99_9: Milliseconds | None
    """None under 10,000 values."""
    max: Milliseconds


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one camera and one output."""

    date: str
    """UTC, as people read it."""
    utc_ns: int
    camera: str
    output: str
    camera_device: str
    """Driver and serial number."""
    output_device: str
    line: int = 0
    exposure_source: str
    """Where the camera's exposure times come from; without any, times are those of arrival."""
    rate_hz: float
    """Frames a second, as they came."""
    n: int
    """Flashes that were seen."""
    missed: int = 0
    """Flashes that were not."""
    delay_ms: Milliseconds
    """Median from the command to the light: what replaces the output's `delay_ms`."""
    stated_delay_ms: float
    """What the output's driver or its configuration stated."""
    as_seen_ms: Percentiles
    """From the command to the arrival of the first frame that shows the light, the wait for the next exposure
    included."""
    command_to_arrival_ms: Percentiles
    """The same without that wait."""
    command_to_light_ms: Percentiles
    """From the command to the light, on the camera's own time axis."""
    image_to_decision_ms: Percentiles | None = None
    """The decision's share, of the run's own chain; None where it was not measured."""
    decision_rate_hz: float | None = None
    decision_replaced: float | None = None
    """Share of frames that the chain passed over in that measurement, because a newer one was there."""
    loop_ms: Percentiles | None = None
    """From light to light: frame, decision, command, light, all together."""
    settings: dict[str, Any]
    """What the figures depend on, by the keys of the configuration."""
    settings_hash: str


class CertificateFile(msgspec.Struct):
    """What NAME.certificate.json holds."""

    schema: int
    certificates: list[Certificate]


@dataclass(frozen=True)
class Certification:
    """What the certificates of a rig mean for one run."""

    mode: str = "off"
    """require, warn or off."""
    file: str = ""
    problems: list[str] = field(default_factory=list)
    """What is missing or does not hold, a sentence each."""
    used: dict[str, Certificate] = field(default_factory=dict)
    """By output: whose delay replaces the stated one."""

    @property
    def refusal(self) -> str:
        """Why the run may not arm; empty where it may."""
        if self.mode != "require" or not self.problems:
            return ""
        return f"certificate: require: {'; '.join(self.problems)}"


def certificate_path(config_file: str | Path) -> Path:
    """Get the place of a rig's certificate.

    Parameters
    ----------
    config_file
        The rig's configuration.

    Returns
    -------
    Path
        NAME.certificate.json beside it; in the current folder for a configuration that comes with rt-pose.
    """
    path = Path(config_file)
    name = path.stem + SUFFIX
    return Path(name) if path.resolve().is_relative_to(FOLDER.resolve()) else path.with_name(name)


def place_certificate(config: RunConfig, source: Source) -> None:
    """Set where a run's certificate is, unless its configuration says so.

    Parameters
    ----------
    config
        The run; changed.
    source
        What it was built from; without a file there is no certificate.
    """
    if not config.certificate_file and not source.by_options:
        config.certificate_file = str(certificate_path(source.where))


def read_certificates(path: Path) -> list[Certificate]:
    """Read a rig's certificates.

    Parameters
    ----------
    path
        NAME.certificate.json.

    Returns
    -------
    list[Certificate]
        Empty where there is no such file.

    Raises
    ------
    UserError
        Where the file cannot be read, or is none of these.
    """
    remedy = "measure again with `rt-pose rig loopback`, or remove the file"
    try:
        if not path.exists():
            return []
        if not path.is_file():
            raise UserError(f"certificate {path}: is no file; {remedy}")
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"certificate {path}: {path.stat().st_size:,} bytes are too long; {remedy}")
        found = msgspec.json.decode(path.read_bytes(), type=CertificateFile)
    except OSError as error:
        raise UserError(f"certificate {path}: cannot be read: {error.strerror}; {remedy}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"certificate {path}: is damaged: {error}; {remedy}") from error
    if found.schema != SCHEMA:
        raise UserError(f"certificate {path}: has schema {found.schema}, expected {SCHEMA}; {remedy}")
    return found.certificates


def write_certificate(path: Path, certificate: Certificate) -> None:
    """Write a certificate in place of the earlier one of the same camera and output; others stay.

    Parameters
    ----------
    path
        NAME.certificate.json.
    certificate
        What was measured.

    Raises
    ------
    UserError
        Where the file is there and is none of these, or cannot be written.
    """
    pair = (certificate.camera, certificate.output)
    others = [c for c in read_certificates(path) if (c.camera, c.output) != pair]
    file = CertificateFile(SCHEMA, [*others, certificate])
    text = json.dumps(msgspec.to_builtins(file), indent=1, allow_nan=False)
    write_atomic(path, text + "\n", "give another --out")


def settings_of(
    config: RunConfig, camera: CameraInfo, output: OutputInfo, package_sha256: str
) -> dict[str, Any]:
    """Collect what the latency between a camera and an output depends on.

    Parameters
    ----------
    config
        The run.
    camera, output
        What both reported when they were opened.
    package_sha256
        Of the model package; empty where no decision was measured.

    Returns
    -------
    dict[str, Any]
        Numbers and texts by dotted keys.
    """
    source, sink = config.cameras[camera.name], config.outputs[output.name]
    size = f"{camera.width}x{camera.height}"
    actual = {name: camera.settings[name]["actual"] for name in ACTUAL if name in camera.settings}
    nested = {
        "camera": {
            "driver": source.driver,
            "serial": camera.serial,
            "size": size,
            "options": source.options,
            "actual": {name: f"{v:.4g}" if isinstance(v, float) else v for name, v in actual.items()},
        },
        "output": {"driver": sink.driver, "serial": output.serial, "options": sink.options},
        "crop": to_plain(source.crop) or {},
        "engine": to_plain(config.engine),
        "model": package_sha256,
        "model_of_camera": source.model,
    }
    return dict(_flattened(nested))


def hash_of(settings: Mapping[str, Any]) -> str:
    """Hash settings.

    Parameters
    ----------
    settings
        What `settings_of` gave.

    Returns
    -------
    str
        The first 16 hexadecimal digits of a SHA-256.
    """
    text = json.dumps(settings, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def certify(
    config: RunConfig,
    cameras: Sequence[CameraInfo],
    outputs: Sequence[OutputInfo],
    deadlines_ms: Mapping[tuple[str, str], Mapping[str, float]],
    package_sha256: str,
    utc_ns: int,
) -> Certification:
    """Decide what a rig's certificates mean for a run.

    Parameters
    ----------
    config
        The run.
    cameras, outputs
        What those of the run reported when they were opened.
    deadlines_ms
        By camera and output that must act in time on what it shows: what must be met, ms, by the words that
        name it.
    package_sha256
        Of the run's model package.
    utc_ns
        Time of day now.

    Returns
    -------
    Certification
        Nothing is used of a certificate that is of other settings.
    """
    mode: str = config.certificate
    if mode == "auto":
        mode = "warn" if any(camera.hardware for camera in cameras) else "off"
    if mode == "off" or not deadlines_ms:
        return Certification(mode, config.certificate_file)
    file = Path(config.certificate_file) if config.certificate_file else None
    try:
        found = [] if file is None else read_certificates(file)
    except UserError as error:
        return Certification(mode, config.certificate_file, [str(error)])
    seen_by, opened = {c.name: c for c in cameras}, {o.name: o for o in outputs}
    problems: list[str] = []
    used: dict[str, Certificate] = {}
    for (camera, output), limits_ms in deadlines_ms.items():
        ours = [c for c in found if (c.camera, c.output) == (camera, output)]
        if not ours:
            problems.append(_missing(camera, output, file))
            continue
        newest = max(ours, key=lambda c: c.utc_ns)
        now = settings_of(config, seen_by[camera], opened[output], package_sha256)
        other = _differences(newest, now)
        if not other and (output not in used or newest.utc_ns > used[output].utc_ns):
            used[output] = newest
        flaws = [*other, *_age(newest, config, utc_ns), *_late(newest, limits_ms)]
        problems += [f"{_name(newest)} {flaw}" for flaw in flaws]
    return Certification(mode, config.certificate_file, problems, used)


def _name(certificate: Certificate) -> str:
    return f"the latency certificate of camera '{certificate.camera}' and output '{certificate.output}'"


def _missing(camera: str, output: str, file: Path | None) -> str:
    where = "" if file is None else f" in {file}"
    return (
        f"output '{output}' has no latency certificate with camera '{camera}'{where}; `rt-pose rig loopback` "
        "measures it"
    )


def _differences(certificate: Certificate, now: Mapping[str, Any]) -> list[str]:
    """What has changed since the measurement, in a clause; empty where all is as it was."""
    then = certificate.settings
    changed = [key for key in sorted({*now, *then}) if now.get(key) != then.get(key)]
    if not any(key.startswith(OF_THE_CAMERA) for key in then):  # a version of before did not write them
        changed = [key for key in changed if not key.startswith(OF_THE_CAMERA)]
    if certificate.loop_ms is None:  # its decisions were not measured
        changed = [key for key in changed if not key.startswith(OF_DECISIONS)]
    if not changed:
        return []
    named = [f"{key} was {_shown(then.get(key))}, is {_shown(now.get(key))}" for key in changed]
    more = f" and {len(changed) - MOST_DIFFERENCES} more" if len(changed) > MOST_DIFFERENCES else ""
    return [f"is of other settings: {', '.join(named[:MOST_DIFFERENCES])}{more}"]


def _age(certificate: Certificate, config: RunConfig, utc_ns: int) -> Iterator[str]:
    days = (utc_ns - certificate.utc_ns) / NS_PER_DAY
    if days > config.certificate_max_days:
        yield f"is {days:.0f} days old (certificate_max_days: {config.certificate_max_days:g})"
    if days < -1.0:  # one of the two times is wrong: how old it is is not known
        yield f"is dated {-days:.0f} days ahead of the clock of this computer"


def _late(certificate: Certificate, limits_ms: Mapping[str, float]) -> Iterator[str]:
    if certificate.loop_ms is None:
        yield "does not say how long decisions take: measure it with `--model`"
        return
    p99 = certificate.loop_ms.p99
    for what, limit_ms in limits_ms.items():
        if p99 > limit_ms:
            yield f"says {p99:.1f} ms from light to light (P99), over {what} {limit_ms:g} ms"


def _shown(value: Any) -> str:
    return "not set" if value is None else f"{value!s:.40}"


def _flattened(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested mappings and lists by dotted keys, as JSON has them."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _flattened(item, f"{path}.{key}" if path else str(key))
    elif value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
        yield path, value
    else:  # a date, or a number that is none
        yield path, str(value)
