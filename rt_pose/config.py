"""Typed configuration. What a user writes in YAML is checked here, whole, before anything starts.

An unknown key is an error that names the nearest key; a wrong type says where, what was expected and what
came. The attribute texts below are also the `--help` of the command line.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import yaml

from rt_pose.errors import UserError, nearest

T = TypeVar("T")

Device = Literal["cpu", "gpu"]
Precision = Literal["auto", "float32", "mixed", "bf16", "int8", "fp16"]
Backend = Literal["auto", "openvino", "torch", "torch_cuda", "tensorrt"]
Preprocessing = Literal["auto", "dali", "compiled", "torch"]


@dataclass
class CropConfig:
    """A window that follows the animal on a large frame; the network sees it in place of the whole frame."""

    width: int
    """Width of the window, px of the frame."""
    height: int
    """Height of the window, px of the frame."""
    margin_px: float = 16.0
    """Space kept around the predicted keypoints, besides three standard deviations of the prediction."""
    min_seen: float = 0.5
    """Share of the keypoints that must have been seen just before; otherwise the whole frame is looked at."""
    seen_within_ms: float = 50.0
    """How long ago (scene time) just before may be."""


@dataclass
class CameraConfig:
    """One camera of the rig."""

    driver: str
    """Name of the driver (`rt-pose devices` lists them)."""
    options: dict[str, Any] = field(default_factory=dict)
    """The driver's own settings."""
    crop: CropConfig | None = None
    """Follow the animal with a window; none: the network always sees the whole frame."""


@dataclass
class LimitsConfig:
    """What a line may be asked at most, whatever the rules say."""

    max_pulses_per_minute: int | None = None
    """In any 60 s. Each pulse of a train counts; a level or an analog action counts as one."""
    max_duty: float | None = None
    """Share of any `duty_window` in which the line may be on, above 0 to 1."""
    duty_window: str = "60 s"
    """The window of `max_duty`."""


@dataclass
class OutputConfig:
    """One output of the rig."""

    driver: str
    """Name of the driver (`rt-pose devices` lists them)."""
    options: dict[str, Any] = field(default_factory=dict)
    """The driver's own settings."""
    lines: list[str] = field(default_factory=list)
    """Names of its lines, from line 0 on; rules may say them in place of numbers."""
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    """What rules may ask of each of its lines at most; more is suppressed with the reason `cap`."""


@dataclass
class SafetyConfig:
    """When a loop that has stopped counts as hung. Each turn it takes one frame, or waits 50 ms for one."""

    heartbeat_until: str = "500 ms"
    """Outputs with a watchdog are kept alive only so long after the loop's last turn. Longer than the
    slowest network takes for a frame."""
    kill_after: str = "3 s"
    """So long after the loop's last turn the supervisor kills it and makes the outputs safe."""


@dataclass
class EngineConfig:
    """How the network is run."""

    device: Device = "cpu"
    """Where preprocessing and network run. Asking for a GPU that is not there is an error."""
    backend: Backend = "auto"
    """On the CPU openvino, or torch (the reference). On a GPU torch_cuda (the package's torch program as CUDA
    graphs), or tensorrt (where it is installed; built at the first start, minutes, and kept). auto: the first
    of the device that can."""
    precision: Precision = "auto"
    """auto times bf16, mixed and float32 at start and takes the fastest whose validation error is within 5 %
    of float32's, a lower one only where it is clearly faster. mixed is bf16 with the first layers, which feel
    it most, in float32. int8 is taken only where asked for; `rt-pose train quantise` adds it to a package. On
    a GPU there are fp16, bf16 and float32 (never TF32)."""
    preprocess: Preprocessing = "auto"
    """dali (the definition), compiled (the same pixels, several times as fast on a CPU; on a GPU two matrix
    products in place of DALI's launches), or auto: compiled
    where it keeps the golden keypoints in place, otherwise dali. `torch`, an earlier name, means compiled."""
    decoder: Literal["pyav", "nvdec"] = "pyav"
    """Who decodes recorded videos in `predict`: pyav (the processor, the same pixels as live), or nvdec (the
    GPU, faster; colours are rounded otherwise, so keypoints move a little)."""
    threads: int = 0
    """Threads of the engine; 0: a run measures at its start how many of the physical cores serve best, and
    whether pinned to them; elsewhere one a physical core."""
    priority: Literal["normal", "high"] = "normal"
    """high: the loop's process goes before others of this machine (nice -10; needs root or CAP_SYS_NICE)."""


@dataclass
class ZoneConfig:
    """A region of the frame that rules may name. Give exactly one shape."""

    circle: list[float] | None = None
    """[centre x, centre y, radius]."""
    box: list[float] | None = None
    """[left, top, right, bottom]."""
    polygon: list[list[float]] | None = None
    """[[x, y], [x, y], [x, y], ...], closed."""
    line: list[list[float]] | None = None
    """[[x, y], [x, y]], to be crossed from its left to its right or back, as one looks along it."""
    point: list[float] | None = None
    """[x, y], a place to measure distances and speeds of approach to."""
    unit: Literal["px", "mm"] = "px"
    """Of the numbers: frame px, or mm of the rig (see `geometry`)."""


@dataclass
class LensConfig:
    """A lens to be undistorted, as camera calibrations write it."""

    matrix: list[list[float]]
    """[[fx, 0, cx], [0, fy, cy], [0, 0, 1]], px."""
    distortion: list[float]
    """[k1, k2, p1, p2] or [k1, k2, p1, p2, k3] (OpenCV's order)."""


@dataclass
class GeometryConfig:
    """From the pixels of a camera to millimetres of the rig. Give a scale or a homography."""

    mm_per_px: float | None = None
    """Size of a pixel in the animal's plane, mm."""
    homography: list[list[float]] | None = None
    """Three rows of three: px (without the lens's distortion) to mm."""
    lens: LensConfig | None = None
    """Taken out first."""


@dataclass
class BlockConfig:
    """A part of a session in which some rules are enabled. It ends with the first of its ends to come."""

    block: str
    """Its name; events bear it, and the control order `block` jumps to it."""
    rules: list[str] | None = None
    """The rules that may fire; all of them where it is not given, none with []."""
    time: str | None = None
    """It ends after this long (scene time)."""
    events: int | None = None
    """It ends after so many events, fired or withheld; an action that only ends a stimulus is none."""
    trials: int | None = None
    """It ends after so many trials. A trial ends with its first event, fired or withheld."""
    trial: str | None = None
    """A trial without an event ends after this long (scene time)."""
    inter_trial: str = "0 ms"
    """Pause after each trial in which no rule may fire (scene time)."""


@dataclass
class TrainAction:
    """Pulses in a row."""

    pulse: str
    """Length of each pulse, e.g. `5 ms`."""
    period: str
    """From the beginning of a pulse to that of the next, e.g. `25 ms`."""
    count: int
    """How many pulses."""


@dataclass
class AnalogAction:
    """A value that rises to the amplitude, stays, and falls to 0."""

    duration: str
    """How long it stays at the amplitude, e.g. `500 ms`."""
    ramp_up: str = "0 ms"
    """How long it takes to rise."""
    ramp_down: str = "0 ms"
    """How long it takes to fall."""


@dataclass
class ActionConfig:
    """What a rule does. Give exactly one of pulse, train, level, analog, message, stop."""

    output: str
    """Name of an output of this configuration."""
    pulse: str | None = None
    """Length of a pulse, e.g. `5 ms`."""
    line: int | str = 0
    """Line of the output: its number, or its name among the output's `lines`."""
    amplitude: float = 1.0
    """0..1, where the output has an amplitude."""
    train: TrainAction | None = None
    """A train of pulses, e.g. `{pulse: 5 ms, period: 25 ms, count: 10}`."""
    level: bool | Literal["on", "off"] | None = None
    """on: the line stays on; off: it goes off, also where the decision is late, in a pause between trials,
    in a block that does not list the rule, and whatever its `refractory`: no line is left on by those."""
    at_most: str | None = None
    """With `level: on`: the line goes off by itself after this, e.g. `10 s`. Give it: a rule that should end
    the level cannot be judged while one of its keypoints is lost."""
    analog: AnalogAction | None = None
    """An amplitude with ramps, e.g. `{duration: 500 ms, ramp_down: 200 ms}`."""
    message: str | None = None
    """Text for an output that takes text."""
    stop: bool = False
    """End whatever the line is doing; held back as little as `level: off`."""


@dataclass
class RuleConfig:
    """A condition on tracks, with a time policy and an action.

    It acts when the condition comes true, once, and again only after the condition has been false. That
    moment counts also where the action is suppressed (disarmed, another block, a pause, the refractory time,
    a cap, a late frame): an animal that is in the zone already when a block begins or `arm` comes must leave
    and come back before anything fires. So neither an order nor the schedule ever sets off a stimulus, and
    the time from what the animal does to the stimulus is the same in every trial. At a run's first frame and
    when a lost keypoint is seen again, a condition that holds counts as having come true.
    """

    name: str
    """Unique; the event topic and the report use it."""
    when: str
    """The condition, e.g. `inside(nose, corner) and speed(nose) > 50` (px, px/s), or `> 20 cm/s` with a
    `geometry`. `rt-pose rules check` explains it."""
    do: ActionConfig
    """What happens when it comes true."""
    probability: float | None = None
    """It comes true when the condition is at least so probable at the time of effect; without it the
    predicted mean is judged."""
    release: float | str | None = None
    """Hysteresis: once true it stays so until the probability falls below this; for a rule without
    `probability` until this condition holds, e.g. `speed(nose) < 30`."""
    hold: str = "0 ms"
    """How long (scene time) the condition must have been true without a break."""
    refractory: str = "0 ms"
    """Shortest scene time between two firings."""
    withhold: float = 0.0
    """Share of events randomly withheld as controls, from the session's seed; logged as withheld."""
    deadline: str | None = None
    """Longest time from exposure to decision for this rule; the run's budget where it is not given."""
    late: Literal["suppress", "fire"] = "suppress"
    """What to do with a decision past its deadline."""
    individual: int | Literal["each", "any"] = "each"
    """Where there are several: each is judged by itself, any of them will do, or the one of that number."""
    enabled: bool = True
    """Otherwise its events are suppressed with the reason `disabled`; the control order `set` changes it."""
    yoke: str | None = None
    """A session folder: the rule fires at the times at which its namesake fired there, in place of its own
    condition."""
    yoke_times_s: list[float] | None = None
    """Those times, since the first frame (scene time, of the effect); filled in from `yoke`."""


@dataclass
class PublishConfig:
    """Where poses go out, and where orders come in (ZeroMQ)."""

    address: str = "tcp://127.0.0.1:5790"
    """PUB socket: poses, events, acks, stats, meta, frames."""
    control: str = "tcp://127.0.0.1:5791"
    """ROUTER socket: status, meta, start, stop, arm, disarm, block, set, mark."""
    prediction: bool = True
    """Also publish the pose predicted for the time of effect."""
    frame_rate_hz: float = 15.0
    """Rate of reduced frames for viewers; 0 = none."""
    frame_width_px: int = 480
    """Longest width of a published frame."""


@dataclass
class RecordConfig:
    """What the recorder keeps besides the log of decisions."""

    video: bool = True
    """Record every camera to CAMERA.mkv with a table of frame times."""


@dataclass
class RunConfig:
    """One run of the closed loop."""

    cameras: dict[str, CameraConfig] = field(default_factory=dict)
    """Cameras by name."""
    model: str = ""
    """Folder of the model package."""
    outputs: dict[str, OutputConfig] = field(default_factory=dict)
    """Outputs by name."""
    zones: dict[str, ZoneConfig] = field(default_factory=dict)
    """Named regions."""
    geometry: dict[str, GeometryConfig] = field(default_factory=dict)
    """The rig's measures by camera, for rules and zones in mm."""
    rules: list[RuleConfig] = field(default_factory=list)
    """What to fire on."""
    protocol: list[BlockConfig] = field(default_factory=list)
    """Blocks in their order, e.g. baseline, stimulation; without any all rules are enabled throughout."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    """How the network is run."""
    publish: PublishConfig = field(default_factory=PublishConfig)
    """The sockets."""
    record: RecordConfig = field(default_factory=RecordConfig)
    """What is recorded."""
    budget_ms: float = 50.0
    """Exposure to decision: later than this is a missed deadline."""
    safety: SafetyConfig = field(default_factory=SafetyConfig)
    """When a loop that has stopped counts as hung."""
    frames: Literal["latest", "every"] = "latest"
    """latest: the loop always takes the newest frame, what it skips is counted; every: the camera waits for
    the loop, for offline use of a recording (with the video camera's `skip_when_late: false`)."""
    group_ms: float = 0.0
    """With several cameras: how long the first one's frame waits for the others', so that one call of the
    network serves all of them. 0: whatever frames are there together go together, none waits."""
    seconds: float | None = None
    """Stop after this long; without it run until Ctrl-C, a stop order or the end of the recording."""
    start_on: Literal["launch", "control"] = "launch"
    """launch: frames are taken at once; control: when `start` comes over the control socket."""
    armed_at_start: bool = False
    """Outputs may act from the first frame on. Otherwise they wait for `arm` on the control socket."""
    seed: int = 0
    """Of withholding and of the simulated rig."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Subject and experiment, as you like; copied to the session."""


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def check_names(config: RunConfig) -> None:
    """UserError where a name could not be a topic, a file or a word of a rule."""
    named: dict[str, Iterable[str]] = {
        "cameras": config.cameras,
        "outputs": config.outputs,
        "zones": config.zones,
        "rules": [rule.name for rule in config.rules],
        "protocol": [block.block for block in config.protocol],
    }
    for kind, names in named.items():
        for name in names:
            if not _NAME.fullmatch(name):
                raise UserError(
                    f"configuration: {kind}: {name!r} cannot be a name; expected a letter, then letters, "
                    "digits, '_' or '-'"
                )


def check_numbers(config: RunConfig) -> None:
    """UserError where a number of the configuration makes no sense."""
    publish = config.publish
    positive = {
        "budget_ms": config.budget_ms,
        "seconds": config.seconds,
        "publish.frame_width_px": publish.frame_width_px,
    }
    for key, value in positive.items():
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"configuration: {key}: expected more than 0, got {value}")
    if not 0 <= config.group_ms <= 1000:
        raise UserError(f"configuration: group_ms: expected 0 to 1000, got {config.group_ms}")
    for name, camera in config.cameras.items():
        if camera.crop is not None:
            _check_crop(camera.crop, f"configuration: cameras.{name}.crop")
    if not 0 <= publish.frame_rate_hz <= 1000:
        raise UserError(
            f"configuration: publish.frame_rate_hz: expected 0 to 1000, got {publish.frame_rate_hz}"
        )
    beat_ns = duration_ns(config.safety.heartbeat_until, "configuration: safety.heartbeat_until")
    kill_ns = duration_ns(config.safety.kill_after, "configuration: safety.kill_after")
    if not 100e6 <= beat_ns <= kill_ns:
        raise UserError(
            "configuration: safety: expected 100 ms <= heartbeat_until <= kill_after, got "
            f"{config.safety.heartbeat_until!r} and {config.safety.kill_after!r}"
        )
    if config.engine.threads < 0:
        raise UserError(f"configuration: engine.threads: expected 0 or more, got {config.engine.threads}")


def _check_crop(crop: CropConfig, where: str) -> None:
    if crop.width < 1 or crop.height < 1:
        raise UserError(f"{where}: expected a window of at least 1x1 px, got {crop.width}x{crop.height}")
    if not 0 <= crop.margin_px < float("inf"):
        raise UserError(f"{where}: margin_px: expected 0 or more, got {crop.margin_px}")
    if not 0 <= crop.seen_within_ms < float("inf"):
        raise UserError(f"{where}: seen_within_ms: expected 0 or more, got {crop.seen_within_ms}")
    if not 0 < crop.min_seen <= 1:
        raise UserError(f"{where}: min_seen: expected a share above 0, up to 1, got {crop.min_seen}")


_DURATION = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(us|ms|s|min)\s*")
LONGEST_NS = 3600e12
_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "min": 60e9}


def duration_ns(text: str, where: str) -> int:
    """Nanoseconds of a length of time such as `20 ms`; UserError where it is none."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UserError(f"{where}: expected a length of time such as '20 ms' or '0.5 s', got {text!r}")
    ns = float(match[1]) * _NS[match[2]]
    if ns > LONGEST_NS:
        raise UserError(f"{where}: expected at most 1000 hours, got {text!r}")
    return round(ns)


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; UserError where it is missing or not one."""
    if not path.is_file():
        raise UserError(f"configuration {path}: no such file")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"configuration {path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"configuration {path}: expected keys and values, got {type(data).__name__}")
    return data


def load(cls: type[T], path: Path) -> T:
    """The configuration of type `cls` in a YAML file."""
    return build(cls, load_yaml(path), str(path))


def build(cls: type[T], data: dict[str, Any], where: str) -> T:
    """`data` as the dataclass `cls`, every key and type checked; UserError names the place.

    A section left empty is its defaults.
    """
    _refuse_unknown_keys(cls, data, where, "")
    try:
        return msgspec.convert(filled(cls, data), cls, strict=True)
    except msgspec.ValidationError as error:
        message = f"{where}: {error}".replace("`$.", "`").replace(" - at `$`", "")
        if re.search(r"Expected `str(?: \| null)?`, got `(?:int|float)`", message):
            message += "; a length of time has a unit, e.g. '30 ms'"
        raise UserError(message) from error


def filled(kind: Any, data: Any) -> Any:
    """`data` of the type `kind` with the defaults written into each section that is empty (`{}` or null).

    Sections that may be absent stay absent, and those that need a value stay empty.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is list and isinstance(data, list) and args:
        return [filled(args[0], item) for item in data]
    if origin is dict and isinstance(data, dict) and len(args) == 2:
        return {key: filled(args[1], item) for key, item in data.items()}
    if not dataclasses.is_dataclass(kind):
        return data
    if not data and data in (None, {}):
        needed = any(f.default is f.default_factory is dataclasses.MISSING for f in dataclasses.fields(kind))
        return {} if needed else to_plain(typing.cast(type, kind)())
    if not isinstance(data, dict):
        return data
    hints = typing.get_type_hints(kind)
    return {key: filled(hints[key], item) if key in hints else item for key, item in data.items()}


def to_plain(config: Any) -> Any:
    """The configuration as plain mappings and lists, for logs and YAML."""
    return msgspec.to_builtins(config)


def _refuse_unknown_keys(kind: Any, data: Any, where: str, path: str) -> None:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for arg in args:
            if dataclasses.is_dataclass(arg) and isinstance(data, dict):
                _refuse_unknown_keys(arg, data, where, path)
    elif origin is list and isinstance(data, list) and args:
        for i, item in enumerate(data):
            _refuse_unknown_keys(args[0], item, where, f"{path}[{i}]")
    elif origin is dict and isinstance(data, dict) and len(args) == 2:
        for key, item in data.items():
            _refuse_unknown_keys(args[1], item, where, f"{path}.{key}".lstrip("."))
    elif dataclasses.is_dataclass(kind) and isinstance(data, dict):
        hints = typing.get_type_hints(kind)
        for key, item in data.items():
            place = f"{path}.{key}".lstrip(".")
            if key not in hints:
                raise UserError(f"{where}: unknown key '{place}'{nearest(key, hints)}")
            _refuse_unknown_keys(hints[key], item, where, place)
