"""What flows through the program, in the order it flows.

Times are int64 nanoseconds of one monotonic host clock (`rt_pose.clock`). Coordinates are pixels of the
full sensor frame, x right, y down, the centre of the top-left pixel at (0, 0). N individuals, K keypoints.
NaN means not seen.

What bears arrays is a dataclass. What goes into the log and over the wire as it is (stamps, `Event`,
`Command`, `Ack`) is a `msgspec.Struct`, which packs to a map of its fields in this order: fields are only
added, at the end and with a default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Outcome = Literal["fired", "withheld", "suppressed"]
Trigger = Literal["free", "line", "software"]
ExposureSource = Literal["device", "host", "recording", "unavailable"]
"""By the device's clock, mapped to the host's; known to the program itself; of a recording that is played;
not known, and not invented."""
Action = Literal["pulse", "train", "level", "analog", "message", "stop", "aim"]
SwitchOrder = Literal["on", "off", "press"]
"""What an operator does to an input; press: what its key does."""
FloatArray = NDArray[np.float64]


class FrameStamps(msgspec.Struct, frozen=True):
    """What a camera reports of a frame besides its pixels."""

    index: int
    """The device's own counter: a gap is a frame the device lost."""
    t_exposure_ns: int | None
    """Middle of the exposure on the host clock; None where the camera does not report it."""
    t_arrival_ns: int
    """When the driver delivered the frame."""
    t_scene_ns: int
    """The exposure when live; in playback the recording's own time, at whatever pace it is played."""
    clock_error_ns: int = 0
    """Bound on the error of `t_exposure_ns`; 0 where the exposure is known exactly."""
    epoch: int = 0
    """Counts the times a recording was wound back, a device's clock began again or a camera came back; tracks
    restart when it changes."""
    t_device_ticks: int | None = None
    """The device's own clock at the frame, in ticks of `CameraInfo.tick_hz`; None where it gives none."""


@dataclass(slots=True)
class Frame:
    """One camera image with its times."""

    camera: str
    stamps: FrameStamps
    image: NDArray[np.uint8]
    """(H, W, C), C 1 or 3 (RGB). It lives in a preallocated ring: a stage that keeps it copies it."""
    offset_xy: tuple[int, int] = (0, 0)
    """Place of the image's top-left pixel on the full sensor (px), for a sensor region of interest."""


class StageStamps(msgspec.Struct):
    """When each stage was done with a frame (ns; 0 = the frame did not get there)."""

    t_taken_ns: int = 0
    t_preprocessed_ns: int = 0
    t_inferred_ns: int = 0
    t_pose_ns: int = 0
    t_tracked_ns: int = 0
    t_judged_ns: int = 0
    t_decided_ns: int = 0
    t_published_ns: int = 0


@dataclass(slots=True)
class Pose:
    """What the network saw in one frame."""

    camera: str
    stamps: FrameStamps
    xy: FloatArray
    """(D, K, 2) px. D is 1 for a network of one animal; else detections in no order, NaN rows for none."""
    cov: FloatArray
    """(D, K, 2, 2) px^2, as decoded: uncalibrated."""
    confidence: FloatArray
    """(D, K) 0..1."""


@dataclass(slots=True)
class Individuals:
    """Who is in which slot after a frame, where several are tracked; slot i is row i of the tracks."""

    alive: NDArray[np.bool_]
    """(N,) whether the slot holds an individual."""
    identity_p: FloatArray
    """(N,) probability that it is still the one that the slot held at its birth; NaN where it is empty."""
    detection: NDArray[np.int64]
    """(N,) row of the pose in which it was seen; -1 where in none."""
    confidence: FloatArray
    """(N, K) the network's, of that row; 0 where it was not seen."""
    moved: NDArray[np.bool_]
    """(N,) whether the slot holds another track than in the frame before."""


@dataclass(slots=True)
class Track:
    """The filter's estimate at a time."""

    camera: str
    frame_index: int
    t_valid_ns: int
    """The scene time of the estimate: the exposure, or a time ahead."""
    xy: FloatArray
    """(N, K, 2) px."""
    velocity: FloatArray
    """(N, K, 2) px/s."""
    cov: FloatArray
    """(N, K, 4, 4) over [x, y, vx, vy]."""
    seen_ms_ago: FloatArray
    """(N, K) scene time from the last sight (within the gate) to the newest frame; NaN before the first."""
    lost: NDArray[np.bool_]
    """(N, K) no rule may fire on a lost keypoint."""
    individuals: Individuals | None = None
    """Who is in which row, as of the newest frame; None where one animal is tracked."""

    @property
    def lost_keypoints(self) -> int:
        """How many keypoints are lost, of the individuals that are there."""
        there = self.lost if self.individuals is None else self.lost[self.individuals.alive]
        return int(there.sum())


@dataclass(frozen=True, slots=True)
class Track3D:
    """The state of K keypoints in space at one time; NaN where there is no track.

    Of several animals every array has an axis of individuals before that of keypoints, (N, K, ...).
    """

    t_valid_ns: int
    xyz: FloatArray
    """(K, 3) in the calibration's unit; mm in a run."""
    velocity: FloatArray
    """(K, 3) unit/s."""
    cov: FloatArray
    """(K, 6, 6) over [x, y, z, vx, vy, vz]."""
    seen_ms_ago: FloatArray
    """(K,) since the newest observation within the gate, as of the newest of all; NaN for never."""
    lost: NDArray[np.bool_]
    """(K,) never placed, or not seen for long: no rule may fire on it."""
    views: NDArray[np.int64] | None = None
    """(K,) how many cameras saw it within the gate just before the newest observation; None outside of a
    run."""
    confidence: FloatArray | None = None
    """(K,) 0..1, the largest of the networks' just before the newest observation; None outside of a run."""
    individuals: Individuals | None = None
    """Who is in which row, as of the newest observation, where several animals are placed; None for one."""

    @property
    def confidences(self) -> FloatArray:
        """`confidence` as rules take it, (N, K); N is 1 for one animal."""
        assert self.confidence is not None
        return self.confidence.reshape(-1, self.confidence.shape[-1])


Estimate = Track | Track3D
"""What rules are judged on: the track of a camera, or that of a group of views."""


def confidence_of(pose: Pose, track: Track) -> FloatArray:
    """Get the network's confidence in the keypoints of each row of a track.

    Parameters
    ----------
    pose
        A pose.
    track
        The track after it.

    Returns
    -------
    FloatArray
        (N, K) 0..1; 0 in the row of an individual that was not seen.
    """
    return pose.confidence if track.individuals is None else track.individuals.confidence


class Event(msgspec.Struct, frozen=True):
    """A rule came true: what was done about it, and why."""

    id: int
    rule: str
    individual: int
    outcome: Outcome
    reason: str
    probability: float | None
    """Of the condition at the time of effect; None for a rule that compares the predicted mean."""
    value: float
    """The rule's first quantity at the time of effect, in the unit that it is compared in."""
    camera: str
    frame_index: int
    t_cause_ns: int
    """Exposure of the frame that caused it (host clock)."""
    t_judged_ns: int
    t_effect_ns: int
    """Host time at which its command is expected to act."""
    deadline_met: bool
    block: str = ""
    """The protocol's block under way; empty without a protocol and after its end."""
    trial: int = 0
    """Number of the trial under way, from 1; 0 where there is none."""
    x: float | None = None
    """Of a rule that aims light: where, in the unit of its output; None where there was nothing to aim at."""
    y: float | None = None
    xy_px: tuple[float, float] | None = None
    """That place in the frame, px: the mean of the position predicted for the time of effect."""
    cov_px2: tuple[float, float, float] | None = None
    """Covariance of that position (variance of x, covariance, variance of y): its ellipse was tested."""


class Command(msgspec.Struct, frozen=True):
    """What an output is asked to do."""

    id: int
    event_id: int | None
    """None for a command from an operator or for the safe state."""
    output: str
    line: int
    action: Action
    duration_us: int = 0
    period_us: int = 0
    count: int = 1
    amplitude: float = 1.0
    t_deadline_ns: int | None = None
    """Past this host time the command must not be sent any more."""
    message: str = ""
    ramp_up_us: int = 0
    ramp_down_us: int = 0
    x: float | None = None
    """Of `aim`: where the light goes for `duration_us`, in the unit that the output takes."""
    y: float | None = None


class Ack(msgspec.Struct):
    """What became of a command."""

    command_id: int
    output: str
    t_sent_ns: int | None
    """When the driver's write returned; None where it was never sent."""
    t_ack_ns: int | None
    """When the device echoed; None where nothing echoes."""
    t_device_us: int | None
    ok: bool
    detail: str = ""
    t_effect_ns: int | None = None
    """When the device acted, on the host's clock; None where its clock is not known."""


class Edge(msgspec.Struct, frozen=True):
    """A line of an input went on or off."""

    input: str
    """Name of the input in the configuration."""
    on: bool
    t_ns: int
    """When it happened, on the host clock, as well as the driver knows."""
    t_device_us: int | None = None
    """By the device's own clock; None where it has none."""


@dataclass(slots=True)
class CameraInfo:
    """What an opened camera delivers."""

    name: str
    driver: str
    serial: str
    width: int
    height: int
    channels: int
    rate_hz: float | None
    """Nominal frame rate; None where it is triggered from outside, or the device does not say it."""
    offset_xy: tuple[int, int] = (0, 0)
    """Place of the frames' top-left pixel on the full sensor, px."""
    pixel_format: str = ""
    """As the device calls what it sends; empty where it has no name for it."""
    trigger: Trigger = "free"
    """What lets a frame be taken: the camera's own clock, a hardware line, or the program."""
    exposure_source: ExposureSource = "host"
    """Where `t_exposure_ns` comes from."""
    tick_hz: float | None = None
    """Ticks a second of `FrameStamps.t_device_ticks`; None where there are none."""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name, with the unit in it: what was `asked` for (None: nothing) and what the device then said
    (`actual`)."""
    hardware: bool = False
    """Whether frames come from a device: then its latency is known by measurement only."""
    tested: str = ""
    """How far the driver was tried, where that was not on a device: "on an emulator"."""


@dataclass(slots=True)
class ViewCameraInfo:
    """A calibrated camera of a group, in the axes and the unit of the group's tracks."""

    name: str
    """Of the run's camera."""
    size: tuple[int, int]
    """Width and height of the calibration's frames, px."""
    matrix: list[list[float]]
    """[[fx, 0, cx], [0, fy, cy], [0, 0, 1]], px of the full sensor frame, as poses have them."""
    distortions: list[float]
    """k1, k2, p1, p2, k3."""
    rotation: list[float]
    """Rotation vector of R, rad: a place is seen at R place + t."""
    translation: list[float]
    """t."""


@dataclass(slots=True)
class ViewsInfo:
    """A group of cameras whose keypoints are placed in space."""

    cameras: list[str]
    """Of the run, in the order in which the group numbers them."""
    keypoints: list[str]
    unit: str
    """Of what is published, logged and judged of the group."""
    calibration: str
    """The file, as it was configured."""
    calibration_sha256: str
    calibration_unit: str
    """Of the lengths in the file, and of `origin`."""
    origin: list[float]
    """As configured, like what follows."""
    up: list[float] | None
    ahead: list[float] | None
    late_ms: float
    calibrated: list[ViewCameraInfo] = field(default_factory=list)
    """In the order of `cameras`; origin, axes and unit are those of the group."""


def rate_in_words(rate_hz: float | None, trigger: str) -> str:
    """Describe how often frames come.

    Parameters
    ----------
    rate_hz, trigger
        As in `CameraInfo`.

    Returns
    -------
    str
        For people.
    """
    if rate_hz:
        return f"{rate_hz:g} frames/s"
    return "at a rate that it does not say" if trigger == "free" else "triggered from outside"


@dataclass(slots=True)
class OutputInfo:
    """What an opened output is."""

    name: str
    driver: str
    serial: str
    delay_ms: float
    """From the write to the effect, as measured or stated."""
    echoes: bool
    detail: str = ""
    heartbeat_ms: float = 0.0
    """How often the device needs a heartbeat to keep its lines; 0 where it has no watchdog."""
    lines: int | None = None
    """How many lines it has; None where it has no notion of lines."""
    actions: list[Action] = field(default_factory=list)
    """What it can do; empty for everything."""
    stated_delay_ms: float | None = None
    """What the driver or its configuration states, where a latency certificate has given `delay_ms`."""


@dataclass(slots=True)
class InputInfo:
    """What an opened input is."""

    name: str
    driver: str
    serial: str
    detail: str = ""
    on: bool = False
    """Whether it is on already."""
    key: str = ""
    """The key of the run's terminal that switches it; none where there is none."""


@dataclass(slots=True)
class OutputNotice:
    """What an output reports besides acks, an input besides edges: a fault, a line that it dropped."""

    output: str
    """Name of the output or input."""
    t_ns: int
    text: str
    source: Literal["output", "input"] = "output"
    """Whose name it is."""
