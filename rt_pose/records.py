"""The log's records: every input of a decision in order, and every output.

One msgpack map a record, on a topic of its own. Arrays are little-endian C-order bytes beside their shape,
float64, so that replay sees the very bits the loop saw. Fields are only added, never changed
(`LOG_VERSION` counts such additions).
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.types import Ack, Command, Edge, Event, FrameStamps, StageStamps

LOG_VERSION = 2
MAX_PAYLOAD_BYTES = 4 << 20
"""A larger record is refused by whoever would send or write it, so that every log can be read back."""


class Record(msgspec.Struct, kw_only=True):
    """What all records share."""

    t_ns: int
    """Host time at which the record was made; the log time."""


class ArrayData(msgspec.Struct, array_like=True):
    """A float64 array: shape and bytes."""

    shape: list[int]
    data: bytes

    @classmethod
    def of(cls, array: NDArray[np.float64]) -> ArrayData:
        """Pack an array.

        Parameters
        ----------
        array
            Any shape; stored as little-endian float64 in C order.

        Returns
        -------
        ArrayData
            The packed array, with bytes of its own.
        """
        return cls(list(array.shape), np.ascontiguousarray(array, dtype="<f8").tobytes())

    def array(self) -> NDArray[np.float64]:
        """Unpack the array.

        Returns
        -------
        NDArray[np.float64]
            A read-only view of the bytes, in the packed shape.
        """
        return np.frombuffer(self.data, dtype="<f8").reshape(self.shape)


class CapturedFrame(Record):
    """A frame that the driver delivered (from the camera's thread)."""

    camera: str
    stamps: FrameStamps
    slot: int
    """Place of its pixels in the shared ring, for the recorder."""
    generation: int
    """How often that slot had been written: if it has changed, the pixels are gone."""


class Truth(Record, omit_defaults=True):
    """Exact keypoints of a frame, where the driver knows them."""

    camera: str
    index: int
    xy: ArrayData
    visible: list[bool]
    """Flattened (N*K)."""
    xyz: ArrayData | None = None
    """(N, K, 3) mm; None where it does not know places in space."""


class Observation(Record):
    """An input of the decision: what the network saw."""

    seq: int
    """Order in which the loop took its inputs; observations, controls and edges share the count."""
    camera: str
    stamps: FrameStamps
    xy: ArrayData
    cov: ArrayData
    confidence: ArrayData
    t_judged_ns: int
    stages: StageStamps
    window: tuple[int, int, int, int] | None = None
    """Part of the frame that the network looked at (x, y, width, height; px); None for the whole frame."""


class TrackRecord(Record, omit_defaults=True):
    """An output: the filter's estimate at the exposure."""

    seq: int
    camera: str
    index: int
    t_valid_ns: int
    xy: ArrayData
    velocity: ArrayData
    cov: ArrayData
    lost: list[bool]
    """Flattened (N*K)."""
    alive: list[bool] = []
    """(N,) whether a slot holds an individual; of a run with one nothing, as of all that follows."""
    identity_p: list[float | None] = []
    """(N,) probability that a slot still holds who it held at its birth; None where it is empty."""
    detection: list[int] = []
    """(N,) row of the observation that a slot took; -1 for none."""

    def lost_array(self) -> NDArray[np.bool_]:
        """Return `lost` as (N, K)."""
        return np.array(self.lost, bool).reshape(self.xy.shape[:2])


class ControlRecord(Record):
    """An input: an order from the control socket, arming at start, a parameter change."""

    seq: int
    do: str
    args: dict[str, Any] = {}
    origin: str = "control"


class EdgeRecord(Record):
    """An input: a line went on or off."""

    seq: int
    edge: Edge


class GroupRecord(Record):
    """An input of the decision in space: which observations a group of views took in, and when it judged."""

    seq: int
    group: str
    used: list[int]
    """Sequence numbers of the observations of the turn that were used, in the order in which they were."""
    late: list[int]
    """Those that were too old; where none was used, nothing was judged and no track follows."""
    t_judged_ns: int
    """0 where nothing was judged."""
    stages: StageStamps | None = None
    """Of the newest frame used, with the times of the group's own track and decision; None where nothing was
    judged."""


class Track3DRecord(Record, omit_defaults=True):
    """An output: a group's estimate in space at its newest exposure, mm.

    Of several animals arrays are (N, K, ...), and what is said of keypoints has N * K values.
    """

    seq: int
    """Of its `GroupRecord`."""
    group: str
    t_valid_ns: int
    xyz: ArrayData
    """(K, 3)."""
    velocity: ArrayData
    """(K, 3) mm/s."""
    cov: ArrayData
    """(K, 6, 6) over [x, y, z, vx, vy, vz]."""
    lost: list[bool]
    """(K,)."""
    views: list[int]
    """(K,) how many cameras saw each within the gate just before."""
    p: ArrayData
    """(K,) confidence, as published."""
    error_px: list[float | None]
    """Of each camera, the root mean square of its keypoints' distances from the track on its image, in this
    turn; None where it was not used or nothing was placed."""
    alive: list[bool] = []
    """(N,) whether a slot holds an animal; of a run with one nothing, as of all that follows."""
    identity_p: list[float | None] = []
    """(N,) probability that a slot still holds who it held at its birth; None where it is empty."""
    detection: list[list[int]] = []
    """Of each observation of the turn that was used the row that each slot took, (N,); -1 for none."""


class EventRecord(Record):
    """An output: a rule came true."""

    seq: int
    event: Event


class CommandRecord(Record):
    """An output: a command for an actuator, and whether its queue took it."""

    seq: int
    command: Command
    accepted: bool
    reason: str = ""


class AckRecord(Record):
    """What became of a command."""

    ack: Ack


class SyncRecord(Record):
    """A sync pulse: what it stands for, and when its output sent it."""

    signal: Literal["frames", "code"]
    output: str = ""
    line: int = 0
    camera: str = ""
    index: int | None = None
    """The frame that it stands for; None for a pulse of a code."""
    code: int | None = None
    """The number that its code says; None for a frame's pulse."""
    place: int = 0
    """Of the pulse in its code, from 0."""
    t_asked_ns: int = 0
    """When it was handed to its output's queue."""
    t_sent_ns: int | None = None
    """As in `Ack`."""
    t_ack_ns: int | None = None
    t_effect_ns: int | None = None
    ok: bool = False
    detail: str = ""
    """Why it was not carried out."""


class NoticeRecord(Record):
    """What an output reported besides acks, an input besides edges, a camera besides frames: a fault, a line
    that was dropped, a silence."""

    output: str
    """Name of the output, input or camera."""
    text: str
    source: str = "output"
    """Whose name it is: output, input or camera."""


class DropRecord(Record):
    """Frames or records that were lost, with stage and reason."""

    stage: str
    reason: str
    count: int
    camera: str = ""
    first_index: int | None = None


class StatsRecord(Record):
    """The same map as the `stats` topic."""

    stats: dict[str, Any]


class End(Record):
    """The loop's last record: how it ended, and its final counts."""

    reason: str
    counts: dict[str, Any] = {}


class ChainLink(Record):
    """What the log was before this record, so that no byte of it can change unnoticed."""

    bytes: int
    """Length of the file when this record's chunk was begun."""
    sha256: str
    """Of these bytes."""


TOPICS: dict[str, type[Record]] = {
    "frame": CapturedFrame,
    "truth": Truth,
    "observation": Observation,
    "track": TrackRecord,
    "control": ControlRecord,
    "edge": EdgeRecord,
    "event": EventRecord,
    "command": CommandRecord,
    "ack": AckRecord,
    "sync": SyncRecord,
    "notice": NoticeRecord,
    "drop": DropRecord,
    "stats": StatsRecord,
    "end": End,
    "chain": ChainLink,
    "group": GroupRecord,
    "track3d": Track3DRecord,
}
_TOPIC_OF: dict[type[Record], str] = {kind: topic for topic, kind in TOPICS.items()}
_DECODERS = {topic: msgspec.msgpack.Decoder(kind) for topic, kind in TOPICS.items()}


def topic_of(record: Record) -> str:
    """Look up the log topic of a record.

    Parameters
    ----------
    record
        A record of a class in `TOPICS`.

    Returns
    -------
    str
        Its topic.
    """
    return _TOPIC_OF[type(record)]


def decode(topic: str, payload: bytes) -> Record | None:
    """Decode a record of the log.

    Parameters
    ----------
    topic
        The topic it was logged under.
    payload
        The msgpack map.

    Returns
    -------
    Record | None
        The record; None for a topic of a newer version.
    """
    decoder = _DECODERS.get(topic)
    return decoder.decode(payload) if decoder else None


class Sink(Protocol):
    """Where a thread sends its records. One instance a thread."""

    def send(self, record: Record) -> bool:
        """Take a record. Never blocks; what is refused is counted.

        Parameters
        ----------
        record
            The record; the sink may keep a reference to it.

        Returns
        -------
        bool
            Whether the record was taken.
        """
        ...

    def close(self) -> None:
        """Release what the sink holds."""
        ...


class NoSink:
    """Keeps nothing, for runs that are not recorded."""

    def send(self, record: Record) -> bool:  # noqa: ARG002
        """See `Sink.send`."""
        return True

    def close(self) -> None:
        """There is nothing to release."""
