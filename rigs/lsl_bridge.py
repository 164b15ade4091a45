"""The poses of a running loop as MoCap streams of the Lab Streaming Layer.

A subscriber of the run like any other, in a process of its own, so that the loop never waits for it.
Labels, types and units follow the XDF recommendation for MoCap, with px in place of its metres.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigs.lsl_clock import to_lsl_s
from rt_pose.clock import NS_PER_S, Clock
from rt_pose.errors import UserError
from rt_pose.loop.ports import is_local
from rt_pose.types import ViewsInfo
from rt_pose.viewer.messages import Meta, Pose3DHeader, Pose3DMessage, PoseHeader, PoseMessage, WireMessage
from rt_pose.viewer.subscribe import Subscription

TOPICS = ("pose/", "pose3d/", "meta")
WAIT_MS = 100
OTHER_CLOCK_NS = 60 * NS_PER_S
"""A message that seems this old, or comes from the future, was stamped by another machine's clock."""
Axis = tuple[str, str, str]
"""Of each keypoint: end of the label, type and unit."""
AXES: tuple[Axis, ...] = (
    *(("x", "PositionX", "px"), ("y", "PositionY", "px")),
    ("confidence", "Confidence", "normalized"),
)
"""In the frame of a camera."""


def run_bridge(
    address: str, prefix: str, clock: Clock, report: Callable[[str], None], stopped: threading.Event
) -> None:
    """Send a run's poses into LSL until it is stopped. A run may begin, end and begin again meanwhile.

    Parameters
    ----------
    address
        Where the run publishes, on this machine.
    prefix
        A stream is called `PREFIX CAMERA`, or `PREFIX GROUP` for a group of views.
    clock
        Host clock, which the run on this machine shares.
    report
        Takes a line of text for each stream, and one at the end.
    stopped
        Ends it.

    Raises
    ------
    UserError
        Where the address is another machine's, or its messages were stamped there.
    """
    if not is_local(address):
        raise UserError(
            f"bridge lsl: expected the address of a run of this machine, whose clock is ours, got {address}; "
            "run the bridge there: LSL reaches other machines by itself"
        )
    streams = PoseStreams(prefix, clock, report)
    with closing(Subscription(address, topics=TOPICS, verb="bridge lsl")) as subscription:
        try:
            while not stopped.is_set():
                if subscription.wait(WAIT_MS):
                    for message in subscription.drain():
                        streams.take(message)
        finally:
            unread = streams.unreadable + subscription.unreadable
            report(f"{streams.sent} poses sent, {streams.lost} lost on the way, {unread} not readable")


class PoseStreams:
    """The streams of the run that publishes now, one for each camera and each group of views."""

    def __init__(self, prefix: str, clock: Clock, report: Callable[[str], None]) -> None:
        """Begin without a stream: the first `meta` says what they hold.

        Parameters
        ----------
        prefix
            A stream is called `PREFIX CAMERA`.
        clock
            Host clock.
        report
            Takes a line of text for each stream.
        """
        self.sent = self.lost = self.unreadable = 0
        self._prefix, self._clock, self._report = prefix, clock, report
        self._meta: Meta | None = None
        self._session = ""
        self._outlets: dict[str, Any] = {}
        self._seq: dict[str, int] = {}

    def take(self, message: WireMessage) -> None:
        """Take a message of the run: what it tracks, or a pose. Poses before the first `meta` are left out.

        Parameters
        ----------
        message
            The message.

        Raises
        ------
        UserError
            Where it was stamped by another machine's clock.
        """
        if message.header.session != self._session:
            self._session, self._meta = message.header.session, None
            self._outlets, self._seq = {}, {}
        if isinstance(message.body, Meta):
            self._meta = message.body
        elif isinstance(message.body, PoseMessage) and self._meta is not None:
            self._count_lost(message)
            self._send(message.name, message.body, self._meta)
        elif isinstance(message.body, Pose3DMessage) and self._meta is not None:
            self._count_lost(message)
            self._send_in_space(message.name, message.body, self._meta)

    def _count_lost(self, message: WireMessage) -> None:
        seq, before = message.header.seq, self._seq.get(message.name)
        if before is not None:
            self.lost += max(0, seq - before - 1)
        self._seq[message.name] = seq

    def _send(self, camera: str, pose: PoseMessage, meta: Meta) -> None:
        individuals, keypoints = pose.lost.shape
        if individuals == 0 or keypoints != len(meta.keypoints):
            self.unreadable += 1
            return
        values = np.full((individuals, keypoints, len(AXES)), np.nan, dtype=np.float32)
        values[..., :2] = np.where(pose.lost[..., np.newaxis], np.nan, pose.xy)
        if pose.confidence is not None:
            values[..., 2] = pose.confidence
        self._push(camera, AXES, values, meta, self._time_of(pose.header))

    def _send_in_space(self, group: str, pose: Pose3DMessage, meta: Meta) -> None:
        info = meta.views.get(group)
        if info is None or pose.header.shape[1] != len(meta.keypoints):
            self.unreadable += 1
            return
        values = np.empty((*pose.header.shape[:2], 4), dtype=np.float32)
        values[..., :3] = np.where(pose.lost[:, np.newaxis], np.nan, pose.xyz).reshape(*values.shape[:2], 3)
        values[..., 3] = pose.confidence.reshape(values.shape[:2])
        self._push(group, axes_in_space(info), values, meta, self._time_of(pose.header))

    def _push(
        self, name: str, axes: Sequence[Axis], values: NDArray[np.float32], meta: Meta, t_ns: int
    ) -> None:
        """Send a sample, (individuals, keypoints, axes)."""
        outlet = self._outlets.get(name)
        if outlet is None or outlet.channel_count != values.size:
            outlet = self._outlets[name] = self._open(name, meta, len(values), axes)
        outlet.push_sample(values.ravel().tolist(), to_lsl_s(t_ns, self._clock))
        self.sent += 1

    def _time_of(self, header: PoseHeader | Pose3DHeader) -> int:
        """The exposure, or the arrival where the camera gives none; host time, ns."""
        now_ns = self._clock.now_ns()
        if not 0 <= now_ns - header.t_pub_ns <= OTHER_CLOCK_NS:
            raise UserError(
                "bridge lsl: the run's times are not of this machine's clock; run the bridge on the "
                "machine of the run: LSL reaches other machines by itself"
            )
        if header.t_exposure_ns is not None:
            return header.t_exposure_ns
        return header.t_pub_ns - (header.age_ns or 0)

    def _open(self, name: str, meta: Meta, individuals: int, axes: Sequence[Axis]) -> Any:
        from pylsl import StreamOutlet

        info = describe(f"{self._prefix} {name}", name, meta, individuals, axes)
        outlet = StreamOutlet(info)
        self._report(f"LSL stream '{info.name()}' (MoCap, {info.channel_count()} channels)")
        return outlet


def axes_in_space(info: ViewsInfo) -> tuple[Axis, ...]:
    """List what is sent of each keypoint in space.

    Parameters
    ----------
    info
        The group of views.

    Returns
    -------
    tuple[Axis, ...]
        As `AXES`.
    """
    places = tuple((axis.lower(), f"Position{axis}", info.unit) for axis in "XYZ")
    return (*places, AXES[-1])


def describe(name: str, camera: str, meta: Meta, individuals: int, axes: Sequence[Axis] = AXES) -> Any:
    """Describe the stream of a camera, or of a group of views.

    Parameters
    ----------
    name
        Name of the stream.
    camera
        Name of the camera or group.
    meta
        What the run tracks.
    individuals
        How many animals.
    axes
        Of each keypoint.

    Returns
    -------
    pylsl.StreamInfo
        With labels, types and units of the channels, size of the frame and skeleton. Its rate is irregular:
        each sample bears the time of its exposure.
    """
    from pylsl import IRREGULAR_RATE, StreamInfo

    count = individuals * len(meta.keypoints) * len(axes)
    info = StreamInfo(name, "MoCap", count, IRREGULAR_RATE, "float32", f"rt-pose-{name}")
    description = info.desc()
    channels = description.append_child("channels")
    for fields in channel_fields(meta.keypoints, individuals, axes):
        _append(channels, "channel", fields)
    _append(description, "acquisition", {"manufacturer": "rt-pose", "session": meta.session})
    setup = description.append_child("setup")
    setup.append_child_value("name", camera)
    if camera in meta.cameras:
        bounds, size = setup.append_child("bounds"), meta.cameras[camera]
        _append(bounds, "minimum", {"X": "0", "Y": "0"})
        _append(bounds, "maximum", {"X": str(size.width - 1), "Y": str(size.height - 1)})
    skeleton = description.append_child("skeleton")
    bones = [bone for bone in meta.skeleton if all(0 <= end < len(meta.keypoints) for end in bone)]
    for first, second in bones:
        ends = {"from": meta.keypoints[first], "to": meta.keypoints[second]}
        _append(skeleton, "bone", ends)
    return info


def channel_fields(
    keypoints: list[str], individuals: int, axes: Sequence[Axis] = AXES
) -> Iterator[dict[str, str]]:
    """List what is said of each channel, in the order of the channels.

    Parameters
    ----------
    keypoints
        Names of the keypoints.
    individuals
        How many animals; with one alone labels do not name it.
    axes
        Of each keypoint.

    Yields
    ------
    dict[str, str]
        label, marker, object, type and unit.
    """
    for individual in range(individuals):
        owner = f"animal{individual}"
        for keypoint in keypoints:
            for end, kind, unit in axes:
                label = f"{keypoint}_{end}" if individuals == 1 else f"{owner}_{keypoint}_{end}"
                yield {"label": label, "marker": keypoint, "object": owner, "type": kind, "unit": unit}


def _append(parent: Any, name: str, fields: dict[str, str]) -> None:
    element = parent.append_child(name)
    for key, value in fields.items():
        element.append_child_value(key, value)
