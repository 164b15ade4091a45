"""The wire as a subscriber reads it: `[topic][msgpack header][buffer]` into typed messages.

Unknown header fields are ignored, since fields are only added. A message that cannot be read raises
`UnreadableMessage`; it never stops the viewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.config.rules import ZoneConfig
from rt_pose.loop.publish import WIRE_VERSION
from rt_pose.types import ViewsInfo


class UnreadableMessage(Exception):
    """A message that is not of this version of the wire format."""


class Header(msgspec.Struct):
    """The fields of every message."""

    v: int
    session: str
    seq: int
    """Counts within a topic: a gap is a loss."""
    t_pub_ns: int


class CameraMeta(msgspec.Struct):
    """Size of a camera's full frame, px."""

    width: int
    height: int
    channels: int = 1
    rate_hz: float | None = None
    offset_xy: tuple[int, int] = (0, 0)
    """Place of its top-left pixel on the sensor, px."""


class Meta(Header):
    """What a subscriber that joins late must know; sent repeatedly."""

    keypoints: list[str] = []
    skeleton: list[tuple[int, int]] = []
    cameras: dict[str, CameraMeta] = {}
    zones: dict[str, ZoneConfig] = {}
    rules: list[str] = []
    budget_ms: float | None = None
    control: str = ""
    """Address of the control socket."""
    outputs: list[str] = []
    config: dict[str, Any] = {}
    """Of the run, whole."""
    views: dict[str, ViewsInfo] = {}
    """Groups of cameras that see animals in space, by name."""

    @property
    def geometry(self) -> dict[str, Any]:
        """By camera, how its px become mm; as in the configuration."""
        return self.config.get("geometry") or {}


class LatencyMs(msgspec.Struct):
    """Latencies of one frame."""

    image_to_pose: float | None = None
    image_to_decision: float | None = None
    exposure_to_decision: float | None = None


class PoseHeader(Header):
    """Header of `pose/` and `prediction/`."""

    frame: int
    shape: tuple[int, int, int]
    """(N, K, F)."""
    fields: list[str]
    t_exposure_ns: int | None = None
    t_valid_ns: int | None = None
    lost: list[list[bool]] = []
    data: list[list[list[float | None]]] | None = None
    """The values themselves, of a publisher that sends JSON."""
    individuals: list[str] = []
    """(N,) names; of one individual nothing, as of the two that follow."""
    identity_p: list[float | None] = []
    """(N,) probability that a slot still holds who it held at its birth; None where it is empty."""
    alive: list[bool] = []
    """(N,) whether a slot holds an individual."""
    latency_ms: LatencyMs = msgspec.field(default_factory=LatencyMs)
    age_ns: int | None = None
    """From the exposure, or the arrival where the camera gives none, to the publication."""


class Pose3DHeader(Header):
    """Header of `pose3d/` and `prediction3d/`."""

    shape: tuple[int, int, int]
    """(N, K, F)."""
    fields: list[str]
    t_exposure_ns: int | None = None
    """Of the newest observation that was used."""
    t_valid_ns: int | None = None
    lost: list[list[bool]] = []
    views: list[list[int]] = []
    """(N, K) how many cameras saw a keypoint lately."""
    individuals: list[str] = []
    """(N,) names; of one animal nothing, as of the two that follow: see `PoseHeader`."""
    identity_p: list[float | None] = []
    alive: list[bool] = []
    late: int = 0
    """Observations that came too late so far."""
    error_px: dict[str, float | None] = {}
    """By camera, root mean square of its reprojection errors in the turn; None where it had no part in it."""
    latency_ms: LatencyMs = msgspec.field(default_factory=LatencyMs)
    age_ns: int | None = None
    data: list[list[list[float | None]]] | None = None
    """The values themselves, of a publisher that sends JSON."""


class FrameHeader(Header):
    """Header of `frame/`."""

    frame: int
    encoding: str
    """jpeg or raw (row by row, gray or RGB)."""
    width: int
    height: int
    channels: int
    t_exposure_ns: int | None = None
    scale_x: float = 1.0
    """Frame px in one published px."""
    scale_y: float = 1.0
    offset_x: int = 0
    """Place of the frame's top-left pixel on the sensor, px."""
    offset_y: int = 0


class EventBody(msgspec.Struct):
    """The part of an event that is shown."""

    rule: str
    outcome: str
    reason: str = ""
    camera: str = ""
    individual: int = 0
    block: str = ""
    trial: int = 0
    deadline_met: bool = True
    value: float | None = None
    probability: float | None = None
    t_cause_ns: int | None = None
    t_judged_ns: int | None = None


class EventHeader(Header):
    """Header of `event/`."""

    event: EventBody


class AckBody(msgspec.Struct):
    """The part of an acknowledgement that is shown."""

    ok: bool
    output: str = ""
    detail: str = ""


class AckHeader(Header):
    """Header of `ack/`."""

    ack: AckBody


class LatencySummary(msgspec.Struct):
    """Percentiles of one latency, ms; None where there is nothing."""

    n: int = 0
    p50: float | None = None
    p99: float | None = None


class DeadlineSummary(msgspec.Struct):
    """Missed deadlines of the run so far."""

    budget_ms: float | None = None
    missed: int = 0
    n: int = 0


class DriftBody(msgspec.Struct):
    """What a camera's poses are like beside those that its model was calibrated on."""

    alarm: list[str] = []
    """The statistics that give alarm."""
    alarms: int = 0
    """How many alarms there have been."""


class GroupBody(msgspec.Struct):
    """What a group of cameras has come to."""

    used: int = 0
    """Observations."""
    late: int = 0
    restarts: int | None = None
    """Times a keypoint began anew elsewhere; None where it is not known."""
    error_px: dict[str, float | None] = {}
    """By camera, root mean square of the reprojection errors lately."""
    wrong: list[str] = []
    """Cameras that no longer fit the calibration."""
    why: str = ""
    """By what that shows."""


class StatsBody(msgspec.Struct):
    """The part of `stats` that is shown."""

    rate_hz: float | None = None
    dropped: dict[str, int] = {}
    latency_ms: dict[str, LatencySummary | None] = {}
    deadline: DeadlineSummary = msgspec.field(default_factory=DeadlineSummary)
    armed: bool = False
    emergency: bool = False
    """Whether an emergency stop has disarmed it."""
    block: str = ""
    trial: int = 0
    marks: int = 0
    last_mark: str = ""
    events: dict[str, dict[str, int]] = {}
    """By rule and outcome; of a rule that withholds `decided` stands for both of its outcomes."""
    deliveries: dict[str, dict[str, int]] = {}
    """Commands by rule and delivery, of rules of which they may be shown."""
    last_failure: str = ""
    output_failed: bool = False
    """Whether an output has failed of which nothing more may be shown while the run goes on."""
    output_faults: dict[str, str] = {}
    cameras_lost: dict[str, str] = {}
    """Cameras that are gone and may come back, and why."""
    cameras_silent: dict[str, str] = {}
    """Cameras that deliver nothing, though they are not known to be gone, and for how long."""
    lost_tracks: int = 0
    records_refused: int = 0
    last_output_notice: str = ""
    drift: dict[str, DriftBody] = {}
    """By camera, of those whose poses are compared with the calibration."""
    individuals: int = 1
    alive: dict[str, int] = {}
    """By camera, how many of several individuals are tracked."""
    views: dict[str, GroupBody] = {}
    """By group of cameras."""


class StatsHeader(Header):
    """Header of `stats`."""

    stats: StatsBody


@dataclass(slots=True)
class PoseMessage:
    """Keypoints of one frame, at the exposure or predicted."""

    header: PoseHeader
    xy: NDArray[np.float32]
    """(N, K, 2) frame px."""
    cov: NDArray[np.float32]
    """(N, K, 3) sxx, sxy, syy, px^2."""
    velocity: NDArray[np.float32]
    """(N, K, 2) px/s."""
    lost: NDArray[np.bool_]
    """(N, K)."""
    confidence: NDArray[np.float32] | None = None
    """(N, K) 0..1, the network's own; None where it is not published."""


@dataclass(slots=True)
class Pose3DMessage:
    """The keypoints of animals in space at one time or predicted: M = N * K, slot by slot."""

    header: Pose3DHeader
    xyz: NDArray[np.float32]
    """(M, 3) in the unit of the group; NaN where there is no track."""
    cov: NDArray[np.float32]
    """(M, 6) sxx, sxy, sxz, syy, syz, szz."""
    velocity: NDArray[np.float32]
    """(M, 3) unit/s."""
    lost: NDArray[np.bool_]
    """(M,)."""
    confidence: NDArray[np.float32]
    """(M,) 0..1, the largest of the networks' lately."""


@dataclass(slots=True)
class FrameMessage:
    """A reduced camera image, still encoded: only the one that is shown gets decoded."""

    header: FrameHeader
    pixels: bytes


Body = Meta | PoseMessage | Pose3DMessage | FrameMessage | EventHeader | AckHeader | StatsHeader


@dataclass(slots=True)
class WireMessage:
    """One message of a kind that the viewer knows."""

    topic: str
    kind: str
    """pose, prediction, pose3d, prediction3d, frame, event, ack, stats or meta."""
    name: str
    """Camera, group of cameras, rule or output; empty for stats and meta."""
    header: Header
    body: Body


H = TypeVar("H", bound=Header)
_WITHOUT_BUFFER: dict[str, type[Meta | EventHeader | AckHeader | StatsHeader]] = {
    "meta": Meta,
    "event": EventHeader,
    "ack": AckHeader,
    "stats": StatsHeader,
}


def _header(data: bytes, kind: type[H]) -> H:
    """A header in the publisher's format: a map in JSON begins with a brace, in msgpack never."""
    decode = msgspec.json.decode if data[:1] == b"{" else msgspec.msgpack.decode
    return decode(data, type=kind)


def parse(parts: Sequence[bytes]) -> WireMessage | None:
    """Decode a multipart message.

    Parameters
    ----------
    parts
        Topic, header and, for some topics, a buffer.

    Returns
    -------
    WireMessage | None
        The message; None for a topic of a newer publisher.

    Raises
    ------
    UnreadableMessage
        Where the version, the header or the buffer's size is wrong.
    """
    if len(parts) < 2:
        raise UnreadableMessage(f"expected topic and header, got {len(parts)} part(s)")
    try:
        topic = parts[0].decode()
        version = _header(parts[1], Header).v
        if version != WIRE_VERSION:
            raise UnreadableMessage(f"wire version {version}, this viewer reads {WIRE_VERSION}")
        kind, _, rest = topic.partition("/")
        body = _body(kind, parts[1], parts[2] if len(parts) > 2 else b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableMessage(str(error)) from error
    if body is None:
        return None
    header = body.header if isinstance(body, PoseMessage | Pose3DMessage | FrameMessage) else body
    return WireMessage(topic, kind, rest.rstrip("/"), header, body)


def _body(kind: str, header: bytes, buffer: bytes) -> Body | None:
    if kind in ("pose", "prediction"):
        return _pose(_header(header, PoseHeader), buffer)
    if kind in ("pose3d", "prediction3d"):
        return _pose3d(_header(header, Pose3DHeader), buffer)
    if kind == "frame":
        return FrameMessage(_header(header, FrameHeader), buffer)
    wanted = _WITHOUT_BUFFER.get(kind)
    return _header(header, wanted) if wanted else None


def _pose(header: PoseHeader, buffer: bytes) -> PoseMessage:
    values, lost = _values(header, buffer)
    _check_individuals(header, len(values))
    return PoseMessage(
        header,
        _columns(values, header.fields, ("x", "y")),
        _columns(values, header.fields, ("sxx", "sxy", "syy")),
        _columns(values, header.fields, ("vx", "vy")),
        lost,
        values[:, :, header.fields.index("p")] if "p" in header.fields else None,
    )


def _check_individuals(header: PoseHeader | Pose3DHeader, n: int) -> None:
    for name in ("individuals", "identity_p", "alive"):
        found = len(getattr(header, name))
        if found not in (0, n):
            raise UnreadableMessage(f"{name} has {found} members, the pose {n} individuals")


def _pose3d(header: Pose3DHeader, buffer: bytes) -> Pose3DMessage:
    values, lost = _values(header, buffer)
    n, k = lost.shape
    if header.views and not _is_table(header.views, n, k):
        raise UnreadableMessage(f"views is not a table of {n} x {k}")
    _check_individuals(header, n)
    return Pose3DMessage(
        header,
        _columns(values, header.fields, ("x", "y", "z")).reshape(n * k, 3),
        _columns(values, header.fields, ("sxx", "sxy", "sxz", "syy", "syz", "szz")).reshape(n * k, 6),
        _columns(values, header.fields, ("vx", "vy", "vz")).reshape(n * k, 3),
        lost.ravel(),
        _columns(values, header.fields, ("p",)).ravel(),
    )


def _values(
    header: PoseHeader | Pose3DHeader, buffer: bytes
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The numbers (N, K, F), and what is lost of them (N, K)."""
    n, k, f = header.shape
    if header.data is not None:
        buffer = np.array(header.data, dtype="<f4").tobytes()  # None becomes NaN
    if min(header.shape) < 0 or len(buffer) != 4 * n * k * f or len(header.fields) != f:
        raise UnreadableMessage(
            f"pose of shape {header.shape} with {len(header.fields)} fields came with {len(buffer)} bytes"
        )
    if header.lost and not _is_table(header.lost, n, k):
        raise UnreadableMessage(f"lost is not a table of {n} x {k}")
    lost = np.array(header.lost, dtype=bool) if header.lost else np.zeros((n, k), dtype=bool)
    return np.frombuffer(buffer, dtype="<f4").reshape(n, k, f), lost


def _is_table(rows: Sequence[Sequence[object]], n: int, k: int) -> bool:
    return len(rows) == n and all(len(row) == k for row in rows)


def _columns(values: NDArray[np.float32], fields: list[str], names: tuple[str, ...]) -> NDArray[np.float32]:
    """The named fields, (N, K, len(names)); Unreadable where one is missing."""
    missing = [name for name in names if name not in fields]
    if missing:
        raise UnreadableMessage(f"pose without {', '.join(missing)}")
    return values[:, :, [fields.index(name) for name in names]]
