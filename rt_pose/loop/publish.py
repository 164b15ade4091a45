"""Poses, predictions, events, acks, stats and frames over ZeroMQ; nothing here waits for a subscriber.

A message is `[topic][msgpack header][buffer]`, serialised before the topic is sent. The loop thread owns the
socket; messages made elsewhere (stats, meta, reduced frames) reach it through an outbox. The socket is an
XPUB, which subscribers see as a PUB, but which also reports their subscriptions: pictures are made only where
somebody subscribes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from rt_pose.clock import Clock
from rt_pose.errors import UserError
from rt_pose.loop.latency import FrameLatency
from rt_pose.loop.ports import bind
from rt_pose.types import Ack, Event, FrameStamps, Pose, Track

WIRE_VERSION = 1
FIELDS = ["x", "y", "p", "sxx", "sxy", "syy", "vx", "vy"]
HIGH_WATER_MARK = 1000


class Publisher:
    """The publishing socket and the sequence number of each topic. Used by the loop's thread alone."""

    def __init__(self, address: str, session: str, clock: Clock) -> None:
        """Bind the socket.

        Parameters
        ----------
        address
            ZeroMQ address on the loopback interface.
        session
            Identifier of the session, in every message.
        clock
            Stamps the messages.

        Raises
        ------
        UserError
            Where the address cannot be bound.
        """
        self._clock, self._session = clock, session
        self._seq: defaultdict[str, int] = defaultdict(int)
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
        self._subscribed: set[bytes] = set()
        self._buffers: dict[tuple[str, tuple[int, int]], NDArray[np.float32]] = {}
        self.outbox: deque[tuple[str, dict[str, Any], bytes | None]] = deque(maxlen=64)
        """(topic, header, buffer) made by other threads; sent by `flush`."""
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self.address = bind(self._socket, address, "publish.address")
        except UserError:
            self._socket.close()
            raise

    def pose(
        self,
        pose: Pose,
        track: Track,
        latency: FrameLatency,
        deadline_met: bool,
        dropped: int,
        kind: str = "pose",
    ) -> None:
        """Publish a track.

        Parameters
        ----------
        pose
            The measured pose: its stamps and confidences.
        track
            What is published: positions (N, K, 2) px, covariances px^2 and velocities px/s.
        latency
            Latency figures of the frame, ms.
        deadline_met
            Whether the decision met its budget.
        dropped
            Frames dropped by all cameras so far.
        kind
            `pose` for the track at the exposure, `prediction` for that at the time of effect; begins the
            topic `<kind>/<camera>/`.
        """
        camera = pose.camera
        buffer = self._buffers.get((camera, track.lost.shape))
        if buffer is None:
            buffer = np.empty((*track.lost.shape, len(FIELDS)), dtype="<f4")
            self._buffers[camera, track.lost.shape] = buffer
        buffer[..., 0:2] = track.xy
        buffer[..., 2] = pose.confidence
        buffer[..., 3] = track.cov[..., 0, 0]
        buffer[..., 4] = track.cov[..., 0, 1]
        buffer[..., 5] = track.cov[..., 1, 1]
        buffer[..., 6:8] = track.velocity
        stamps: FrameStamps = pose.stamps
        now = self._clock.now_ns()
        since = stamps.t_arrival_ns if stamps.t_exposure_ns is None else stamps.t_exposure_ns
        header = {
            "frame": stamps.index,
            "t_exposure_ns": stamps.t_exposure_ns,
            "t_scene_ns": stamps.t_scene_ns,
            "t_valid_ns": track.t_valid_ns,
            "age_ns": now - since,
            "deadline_met": deadline_met,
            "dropped": dropped,
            "lost": track.lost.tolist(),
            "shape": list(buffer.shape),
            "fields": FIELDS,
            "latency_ms": {
                "image_to_pose": latency.image_to_pose,
                "image_to_decision": latency.image_to_decision,
                "exposure_to_decision": latency.exposure_to_decision,
            },
        }
        self.send(f"{kind}/{camera}/", header, buffer.data)

    def event(self, event: Event, blind: bool = False) -> None:
        """Publish an event, whatever its outcome.

        Parameters
        ----------
        event
            The event.
        blind
            Whether its rule withholds: fired and withheld events then both go out as `decided`, so that
            nobody who watches the animal learns which trials are controls. The log holds the outcome.
        """
        body: Event | dict[str, Any] = event
        if blind and event.outcome != "suppressed":
            body = {**msgspec.structs.asdict(event), "outcome": "decided", "reason": ""}
        self.send(f"event/{event.rule}/", {"event": body})

    def ack(self, ack: Ack) -> None:
        """Publish an output's answer to a command.

        Parameters
        ----------
        ack
            The answer.
        """
        self.send(f"ack/{ack.output}/", {"ack": ack})

    def wanted(self, topic: str) -> bool:
        """Tell whether anybody subscribes to a topic or to one below it.

        Parameters
        ----------
        topic
            The topic.

        Returns
        -------
        bool
            Whether anybody does.
        """
        name = topic.encode()
        return any(name.startswith(s) or s.startswith(name) for s in tuple(self._subscribed))

    def flush(self) -> None:
        """Send what other threads have left in the outbox, and take in new subscriptions."""
        while self._socket.get(zmq.EVENTS) & zmq.POLLIN:  # type: ignore[arg-type,operator]
            message = self._socket.recv(zmq.NOBLOCK)
            if message[:1] == b"\x01":
                self._subscribed.add(message[1:])
            else:
                self._subscribed.discard(message[1:])
        while self.outbox:
            topic, header, buffer = self.outbox.popleft()
            self.send(topic, header, buffer)

    def send(self, topic: str, header: dict[str, Any], buffer: Any = None) -> None:
        """Send one message; a subscriber whose queue is full loses it, which it sees from `seq`.

        Parameters
        ----------
        topic
            The topic; messages of each are numbered.
        header
            Added to version, session, sequence number and time of publication.
        buffer
            Raw data that follow the header; None for none.
        """
        seq = self._seq[topic]
        self._seq[topic] = seq + 1
        envelope = {
            "v": WIRE_VERSION,
            "session": self._session,
            "seq": seq,
            "t_pub_ns": self._clock.now_ns(),
        }
        parts: list[Any] = [topic.encode(), self._encoder.encode(envelope | header)]
        if buffer is not None:
            parts.append(buffer)
        self._socket.send_multipart(parts, zmq.NOBLOCK)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _plain(value: object) -> object:
    """Convert a numpy scalar, which msgspec does not take."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"cannot send a {type(value).__name__}")
