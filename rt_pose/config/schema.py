"""Typed configuration. What a user writes in YAML is checked here, whole, before anything starts.

An unknown key is an error that names the nearest key; a wrong type says where, what was expected and what
came. The attribute texts below are also the `--help` of the command line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from rt_pose.config.rules import BlockConfig, GeometryConfig, RuleConfig, ZoneConfig
from rt_pose.config.sync import SyncConfig
from rt_pose.config.views import ViewsConfig

Device = Literal["cpu", "gpu"]
Precision = Literal["auto", "float32", "mixed", "bf16", "int8", "fp16"]
Backend = Literal["auto", "openvino", "torch", "torch_cuda", "tensorrt"]
Preprocessing = Literal["auto", "dali", "compiled", "torch"]


@dataclass
class CropConfig:
    """A window that follows the animal on a large frame; the network sees it in place of the whole frame. Of
    several animals it holds all, and while one of them is not seen the network sees the whole frame."""

    width: int
    """Width of the window, px of the frame."""
    height: int
    """Height of the window, px of the frame."""
    margin_px: float = 16.0
    """Space kept around the predicted keypoints, besides three standard deviations of the prediction."""
    min_seen: float = 0.5
    """Share of an animal's keypoints that must have been seen just before; otherwise the whole frame is
    looked at."""
    seen_within_ms: float = 50.0
    """How long ago (scene time) a keypoint may have been seen to count for `min_seen`."""


@dataclass
class CameraConfig:
    """One camera of the rig."""

    driver: str
    """Name of the driver (`rt-pose devices` lists them)."""
    options: dict[str, Any] = field(default_factory=dict)
    """The driver's own settings."""
    crop: CropConfig | None = None
    """Follow the animal with a window; none: the network always sees the whole frame."""
    model: str = ""
    """Folder of a model package of its own, with the same keypoints; the run's `model` where not given."""
    reconnect: str = "0 s"
    """How long a camera that is gone is tried again, such as `30 s`; 0: its loss ends the run. Outputs are
    safe and disarmed at once in both cases, and stay so until `arm`."""
    reconnects: int = 100
    """How often in all it may be lost and opened again; its next loss ends the run."""
    silent_after: str = "1 s"
    """How long a camera that runs by itself may deliver no whole frame, at least three of its periods. Then
    it counts as silent: outputs are safe and disarmed until `arm`; the run goes on when frames come again.
    0: never, as for one that is triggered from outside, does not say its rate, or plays a recording."""


@dataclass
class LimitsConfig:
    """The most that rules may ask of a line."""

    max_pulses_per_minute: int | None = None
    """Most pulses in any 60 s. Each pulse of a train counts; a level or an analog action counts as one."""
    max_duty: float | None = None
    """Share of any `duty_window` in which the line may be on, above 0 to 1."""
    duty_window: str = "60 s"
    """The window of `max_duty`."""


@dataclass
class RecoveryConfig:
    """What is done about an output that has failed. Its line is low meanwhile, commands are refused; none is
    sent later."""

    attempts: int = 3
    """How often it is opened again after a fault; 0: a fault is for the whole session."""
    pause: str = "1 s"
    """Time before each attempt."""
    in_all: int = 100
    """How often in the whole session; then its next fault is for the rest of it, though it has always worked
    again."""


@dataclass
class AimCalibrationConfig:
    """From the pixels of a camera to the unit in which an output takes positions.

    `rt-pose rig aim-calibrate` measures it and writes these keys.
    """

    unit: str
    """Of the positions that the output is sent: V, mm, px, counts or what else it takes."""
    homography: list[list[float]] | None = None
    """Three rows of three: px of the camera to that unit. None: the output takes the camera's px (`unit: px`)
    or the rig's mm (`unit: mm`, with a `geometry`) and has a calibration of its own."""
    field: list[list[float]] | None = None
    """[[x, y], ...], px: corners of the region that was calibrated; nothing is aimed outside it. None:
    anywhere."""
    residual_px: float | None = None
    """Largest residual of the calibration, px; for the record."""


@dataclass
class OutputConfig:
    """One output of the rig."""

    driver: str
    """Name of the driver (`rt-pose devices` lists them)."""
    options: dict[str, Any] = field(default_factory=dict)
    """The driver's own settings."""
    lines: list[str] = field(default_factory=list)
    """Names of its lines, from line 0 on; rules may name them in place of numbers."""
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    """What rules may ask of each of its lines at most; more is suppressed with the reason `cap`."""
    recovery: RecoveryConfig = field(default_factory=RecoveryConfig)
    """What is done where a write, an answer or a heartbeat of it fails."""
    aim: dict[str, AimCalibrationConfig] = field(default_factory=dict)
    """By camera: how positions in its frame become positions of this output, for rules that aim light."""


@dataclass
class InputConfig:
    """One line that goes on and off: a lick, a lever, a sync pulse."""

    driver: str
    """Name of the driver (`rt-pose devices` lists them)."""
    options: dict[str, Any] = field(default_factory=dict)
    """The driver's own settings."""


@dataclass
class ProcessorConfig:
    """Code of the user's own that is handed the newest pose, in a process of its own.

    Rules, limits, `arm` and the emergency stop know nothing of it.
    """

    source: str
    """`FILE.py:Class`, or `package.module:Class`, with the methods `process(pose, **kwargs)` and
    `save(file)`."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of its constructor."""
    camera: str = ""
    """Whose poses it is handed; the first camera's where not given."""
    individual: int = 0
    """Which animal it is handed, of several."""


@dataclass
class SafetyConfig:
    """When a loop that has stopped counts as hung. Each turn it takes one frame, or waits 50 ms for one."""

    heartbeat_until: str = "500 ms"
    """How long after the loop's last turn outputs with a watchdog are kept alive. Longer than the
    slowest network takes for a frame."""
    kill_after: str = "3 s"
    """How long after the loop's last turn the supervisor kills it and makes the outputs safe."""


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
    """auto times bf16, mixed and float32 at the first start of a package on a machine and takes the fastest
    whose validation error is within 5 % of float32's, a lower one only where it is clearly faster; later
    starts take what that one found. mixed is bf16 with the first layers, which are most sensitive, in
    float32. int8 only where asked for; `rt-pose train quantise` adds it to a package. On a GPU there are
    fp16, bf16 and float32 (never TF32)."""
    preprocess: Preprocessing = "auto"
    """dali (the definition), compiled (the same pixels, several times as fast on a CPU; on a GPU two matrix
    products in place of DALI's launches), or auto: compiled
    where it keeps the golden keypoints in place, otherwise dali. `torch`, an earlier name, means compiled."""
    decoder: Literal["pyav", "nvdec"] = "pyav"
    """Who decodes recorded videos in `predict`: pyav (the processor, the same pixels as live), or nvdec (the
    GPU, faster; colours are rounded otherwise, so keypoints move a little)."""
    threads: int = 0
    """Threads of the engine; 0: the first run of a package on a machine measures how many of the physical
    cores serve best, and whether pinned to them, and later runs take that; elsewhere one a physical core."""
    priority: Literal["normal", "high"] = "normal"
    """high: the loop's process has priority over others (nice -10; needs root or CAP_SYS_NICE)."""
    RETIRED: ClassVar[dict[str, str]] = {
        "keep_warm": "running the network twice a frame gained 8 % at 30 frames a second and nothing at 60"
    }


@dataclass
class EngineOptions:
    """What verbs that only run a network take of a run's configuration."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    """How the network is run."""


@dataclass
class PublishConfig:
    """Where poses go out, and where orders come in (ZeroMQ)."""

    address: str = "tcp://127.0.0.1:5790"
    """PUB socket: poses, events, acks, stats, meta, frames."""
    control: str = "tcp://127.0.0.1:5791"
    """ROUTER socket: status, meta, start, stop, arm, disarm, emergency, block, set, mark, input."""
    format: Literal["msgpack", "json"] = "msgpack"
    """Of what is published. json, for programs that read no msgpack: the values of a pose then stand in its
    header, and what is not seen is null; it costs the loop some more."""
    prediction: bool = True
    """Also publish the pose predicted for the time of effect."""
    frame_rate_hz: float = 15.0
    """Rate of reduced frames for viewers; 0 = none."""
    frame_width_px: int = 480
    """Longest width of a published frame."""
    keys: str = ""
    """Server's file of `rt-pose keys`; addresses that other machines reach need one."""


@dataclass
class RecordConfig:
    """What the recorder keeps besides the log of decisions."""

    video: bool = True
    """Record every camera to CAMERA.mkv with a table of frame times."""
    codec: Literal["h264", "ffv1"] = "h264"
    """h264: small, for the eye and for training; ffv1: lossless, about three times the processor time and
    many times the disk."""
    sign_with: str = ""
    """PEM file of an Ed25519 private key, with which the session is signed at its end; none: it is sealed
    without a signature, which shows damage but not who wrote it."""


@dataclass
class RunConfig:
    """One run of the closed loop."""

    cameras: dict[str, CameraConfig] = field(default_factory=dict)
    """Cameras by name."""
    model: str = ""
    """Folder of the model package."""
    individuals: int | list[str] = 1
    """How many animals are tracked, 1 to 16, or their names: `4` or `[a, b]`. Without names they are
    `individual0` and so on. A name is that of a slot: who takes which is not known before they are seen."""
    views: dict[str, ViewsConfig] = field(default_factory=dict)
    """Groups of cameras that see the animals from several sides, by name: keypoints are placed in space."""
    outputs: dict[str, OutputConfig] = field(default_factory=dict)
    """Outputs by name."""
    inputs: dict[str, InputConfig] = field(default_factory=dict)
    """Inputs by name; rules ask for one with `line(NAME)`."""
    sync: SyncConfig = field(default_factory=SyncConfig)
    """Pulses and codes by which other recordings are brought to the session's time."""
    processors: dict[str, ProcessorConfig] = field(default_factory=dict)
    """Processors of DeepLabCut-Live by name."""
    zones: dict[str, ZoneConfig] = field(default_factory=dict)
    """Named regions."""
    geometry: dict[str, GeometryConfig] = field(default_factory=dict)
    """The rig's measures by camera, for rules and zones in mm."""
    rules: list[RuleConfig] = field(default_factory=list)
    """What to fire on."""
    protocol: list[BlockConfig] = field(default_factory=list)
    """Blocks in their order, e.g. baseline, stimulation; without any all rules are enabled throughout."""
    protocol_order: Literal["written", "shuffled"] = "written"
    """shuffled: the blocks come in an order drawn from the seed."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    """How the network is run."""
    publish: PublishConfig = field(default_factory=PublishConfig)
    """The sockets."""
    record: RecordConfig = field(default_factory=RecordConfig)
    """What is recorded."""
    budget_ms: float = 50.0
    """Exposure to decision: later than this is a missed deadline."""
    budget_check: Literal["warn", "refuse", "off"] = "warn"
    """What to do where the chain from image to keypoints, timed at the start, takes longer than the budget or
    a rule's deadline, so that it can never be met."""
    certificate: Literal["auto", "require", "warn", "off"] = "auto"
    """What a latency certificate of `rt-pose rig loopback` leads to that is missing, too old, of other
    settings or over the deadlines. require: the run does not arm; warn: it says so; off: none is looked for.
    auto: warn where frames come from a device, off for recordings and the simulated rig."""
    certificate_file: str = ""
    """Where it is; NAME.certificate.json beside this file NAME.yaml where not given."""
    certificate_max_days: float = 30.0
    """How old it may be."""
    drift: Literal["warn", "off"] = "off"
    """warn: poses are compared with those of the recordings that the model was calibrated on (`rt-pose train
    calibrate`), and the run says when they are no longer like them. No decision depends on it. Experimental:
    it gave more false alarms than it states where an arena was missing from these recordings."""
    safety: SafetyConfig = field(default_factory=SafetyConfig)
    """When a loop that has stopped counts as hung."""
    frames: Literal["latest", "every"] = "latest"
    """latest: the loop always takes the newest frame, what it skips is counted; every: the camera waits for
    the loop, for offline use of a recording (with the video camera's `skip_when_late: false`)."""
    group_ms: float = 0.0
    """With several cameras: how long the first one's frame waits for the others', so that one call of the
    network serves all of them. 0: whatever frames are there together go together, none waits."""
    group_tolerance: str = ""
    """With several cameras: how far apart the exposures of frames may lie that belong together, such as
    `2 ms`. Within `group_ms` the loop then waits until the frames of all cameras belong together, and counts
    those that do not. Without it whatever frames are there together go together."""
    seconds: float | None = None
    """Stop after this long; without it run until Ctrl-C, a stop order or the end of the recording."""
    first_frame_within: str = "10 s"
    """How long after its start a camera may take for its first frame; one that is triggered from outside
    waits for its trigger."""
    start_on: Literal["launch", "control"] = "launch"
    """launch: frames are taken at once; control: when `start` comes over the control socket."""
    armed_at_start: bool = False
    """Outputs may act from the first frame on. Otherwise they wait for `arm` on the control socket."""
    seed: int = 0
    """Seed of withholding and of the simulated rig."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Subject and experiment, as you like; copied to the session."""

    @property
    def individual_count(self) -> int:
        """How many animals are tracked."""
        return self.individuals if isinstance(self.individuals, int) else len(self.individuals)
