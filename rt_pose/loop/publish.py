"""Poses, predictions, events, acks, stats and frames over ZeroMQ; nothing here waits for a subscriber.

A message is `[topic][header][buffer]`, serialised before the topic is sent; the header is msgpack or JSON.
The loop thread owns the socket; messages made elsewhere (stats, meta, reduced frames) reach it through an
outbox. The socket is an XPUB, which subscribers see as a PUB, but which also reports their subscriptions:
pictures are made only where somebody subscribes."""

from __future__ import annotations

import os
import socket as system
import stat
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from rt_pose.clock import Clock
from rt_pose.decisions.rig_time import cause_ns
from rt_pose.errors import UserError
from rt_pose.loop.curve import CurveServer
from rt_pose.loop.latency import FrameLatency
from rt_pose.loop.ports import bind, is_local
from rt_pose.types import Ack, Event, FrameStamps, Individuals, Pose, Track, confidence_of

WIRE_VERSION = 1
WireFormat = Literal["msgpack", "json"]
FIELDS = ["x", "y", "p", "sxx", "sxy", "syy", "vx", "vy"]
HIGH_WATER_MARK = 1000
LONGEST_SUBSCRIPTION = 1024
"""Bytes; a connection that sends more at once is closed. A handshake needs some hundred."""
SUBSCRIPTIONS_A_PEER = 64
"""A subscriber that has more is disconnected: each costs the loop time and memory."""
SUBSCRIPTIONS_A_TURN, OUTBOX_A_TURN = 32, 16
"""What one `flush` takes in and sends at most; the rest comes with the next ones."""


class Publisher:
    """The publishing socket and the sequence number of each topic. Used by the loop's thread alone."""

    def __init__(
        self,
        address: str,
        session: str,
        clock: Clock,
        curve: CurveServer | None = None,
        format: WireFormat = "msgpack",
        key: str = "publish.address",
    ) -> None:
        """Bind the socket.

        Parameters
        ----------
        address
            ZeroMQ address.
        session
            Identifier of the session, in every message.
        clock
            Stamps the messages.
        curve
            Whom an address admits that other machines reach; on this machine everybody may subscribe.
        format
            Of the headers. In JSON the values of a pose stand in its header, as `data`.
        key
            The option that gives the address, for messages.

        Raises
        ------
        UserError
            Where the address cannot be bound.
        """
        self._clock, self._session = clock, session
        self._seq: defaultdict[str, int] = defaultdict(int)
        self._in_json = format == "json"
        encoder = msgspec.json.Encoder if self._in_json else msgspec.msgpack.Encoder
        self._encoder = encoder(enc_hook=_plain)
        self._subscribed: dict[bytes, int] = {}
        """Which connection was the first to subscribe to a topic, by its descriptor."""
        self._subscriptions: Counter[int] = Counter()
        self.disconnected = 0
        """Subscribers with too many subscriptions."""
        self.individuals: Sequence[str] = ()
        """Names of the rows of a pose, where several individuals are tracked."""
        self._buffers: dict[tuple[str, tuple[int, int]], NDArray[np.float32]] = {}
        self.outbox: deque[tuple[str, dict[str, Any], bytes | None]] = deque(maxlen=64)
        """(topic, header, buffer) made by other threads; sent by `flush`."""
        keyed = curve is not None and curve.permanent
        self._socket: zmq.Socket[bytes] = (
            zmq.Context.instance().socket(zmq.XPUB)
            if curve is None or is_local(address)
            else curve.socket(zmq.XPUB)
        )
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        self._socket.setsockopt(zmq.RCVHWM, SUBSCRIPTIONS_A_TURN)
        self._socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_SUBSCRIPTION)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self.address = bind(self._socket, address, key, keyed)
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
        at_ns: int | None = None,
        t_pub_ns: int | None = None,
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
        at_ns
            When it was published, for its age; None for now.
        t_pub_ns
            What the message says of that; None for now.
        """
        buffer = self._fill_buffer(pose, track)
        stamps: FrameStamps = pose.stamps
        now = self._clock.now_ns() if at_ns is None else at_ns
        header = {
            "frame": stamps.index,
            "t_exposure_ns": stamps.t_exposure_ns,
            "t_scene_ns": stamps.t_scene_ns,
            "t_valid_ns": track.t_valid_ns,
            "age_ns": now - cause_ns(stamps),
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
        if track.individuals is not None:
            header["individuals"] = self.individuals
            header["identity_p"] = plain_probabilities(track.individuals)
            header["alive"] = track.individuals.alive.tolist()
        self.send_array(f"{kind}/{pose.camera}/", header, buffer, t_pub_ns)

    def send_array(
        self, topic: str, header: dict[str, Any], array: NDArray[np.float32], t_pub_ns: int | None = None
    ) -> None:
        """Send a header with the values of an array, behind it or in it as the format has it.

        Parameters
        ----------
        topic
            The topic.
        header
            As in `send`.
        array
            Any shape, little-endian and in C order.
        t_pub_ns
            As in `send`.
        """
        if self._in_json:
            self.send(topic, {**header, "data": array.tolist()}, t_pub_ns=t_pub_ns)
        else:
            self.send(topic, header, array.data, t_pub_ns)

    def _fill_buffer(self, pose: Pose, track: Track) -> NDArray[np.float32]:
        """Write a track in the order of `FIELDS` into the buffer of its camera, made once."""
        key = pose.camera, track.lost.shape
        buffer = self._buffers.get(key)
        if buffer is None:
            buffer = self._buffers[key] = np.empty((*track.lost.shape, len(FIELDS)), dtype="<f4")
        buffer[..., 0:2] = track.xy
        buffer[..., 2] = confidence_of(pose, track)
        buffer[..., 3] = track.cov[..., 0, 0]
        buffer[..., 4] = track.cov[..., 0, 1]
        buffer[..., 5] = track.cov[..., 1, 1]
        buffer[..., 6:8] = track.velocity
        return buffer

    def event(self, event: Event, blind: bool = False, t_pub_ns: int | None = None) -> None:
        """Publish an event, whatever its outcome.

        Parameters
        ----------
        event
            The event.
        blind
            Whether its rule withholds: fired and withheld events then both go out as `decided`, so that
            nobody who watches the animal learns which trials are controls. The log holds the outcome.
        t_pub_ns
            As in `send`.
        """
        body: Event | dict[str, Any] = event
        if blind and event.outcome != "suppressed":
            body = {**msgspec.structs.asdict(event), "outcome": "decided", "reason": ""}
        self.send(f"event/{event.rule}/", {"event": body}, t_pub_ns=t_pub_ns)

    def ack(self, ack: Ack) -> None:
        """Publish an output's answer to a command.

        Parameters
        ----------
        ack
            The answer.
        """
        self.send(f"ack/{ack.output}/", {"ack": ack})

    def wanted(self, topic: str) -> bool:
        """Tell whether anybody subscribes to a topic. Any thread may ask.

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
        return any(name[:length] in self._subscribed for length in range(len(name) + 1))

    def flush(self) -> None:
        """Send what other threads have left in the outbox, and take in new subscriptions."""
        for _ in range(SUBSCRIPTIONS_A_TURN):
            if not self._socket.get(zmq.EVENTS) & zmq.POLLIN:  # type: ignore[arg-type,operator]
                break
            self._take_subscription(self._socket.recv(zmq.NOBLOCK, copy=False))
        for _ in range(min(len(self.outbox), OUTBOX_A_TURN)):
            topic, header, buffer = self.outbox.popleft()
            self.send(topic, header, buffer)

    def _take_subscription(self, frame: zmq.Frame) -> None:
        """Note a new topic or one that nobody wants any more; disconnect who wants too many."""
        message = frame.bytes
        kind, topic = message[:1], message[1:]
        if kind == b"\x01":
            source = _source(frame)
            self._unsubscribe(topic)
            self._subscriptions[source] += 1
            self._subscribed[topic] = source
            surplus = self._subscriptions[source] - SUBSCRIPTIONS_A_PEER
            if surplus > 0 and surplus % SUBSCRIPTIONS_A_PEER == 1:  # what was under way comes all the same
                self._disconnect(source)
        elif kind == b"\x00":
            self._unsubscribe(topic)

    def _unsubscribe(self, topic: bytes) -> None:
        source = self._subscribed.pop(topic, None)
        if source is None:
            return
        self._subscriptions[source] -= 1
        if self._subscriptions[source] <= 0:
            del self._subscriptions[source]

    def _disconnect(self, descriptor: int) -> None:
        """Shut a subscriber's connection: ZeroMQ forgets its subscriptions, and an honest one comes back.

        The descriptor may be another one's by now. It is shut only if it is a connection to our own address,
        so that at worst another subscriber has to come back.
        """
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return
            with system.socket(fileno=os.dup(descriptor)) as peer:
                place = peer.getsockname()
                where = str(place[1]) if isinstance(place, tuple) else str(place)
                if self.address.endswith((f":{where}", f"//{where}")):
                    peer.shutdown(system.SHUT_RDWR)
                    self.disconnected += 1

    def send(
        self, topic: str, header: dict[str, Any], buffer: Any = None, t_pub_ns: int | None = None
    ) -> None:
        """Send one message; a subscriber whose queue is full loses it, which it sees from `seq`.

        Parameters
        ----------
        topic
            The topic; messages of each are numbered.
        header
            Added to version, session, sequence number and time of publication.
        buffer
            Raw data that follow the header; None for none.
        t_pub_ns
            Time of publication, as the message says it; None for now.
        """
        seq = self._seq[topic]
        self._seq[topic] = seq + 1
        envelope = {
            "v": WIRE_VERSION,
            "session": self._session,
            "seq": seq,
            "t_pub_ns": self._clock.now_ns() if t_pub_ns is None else t_pub_ns,
        }
        parts: list[Any] = [topic.encode(), self._encoder.encode(envelope | header)]
        if buffer is not None:
            parts.append(buffer)
        self._socket.send_multipart(parts, zmq.NOBLOCK)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def plain_probabilities(individuals: Individuals) -> list[float | None]:
    """List how probable it is that slots hold who they held at first, for a header or a record.

    Parameters
    ----------
    individuals
        Who is in which slot.

    Returns
    -------
    list[float or None]
        One a slot; None where it is empty.
    """
    pairs = zip(individuals.alive.tolist(), individuals.identity_p.tolist(), strict=True)
    return [p if alive else None for alive, p in pairs]


def _source(frame: zmq.Frame) -> int:
    """Descriptor of the connection that a message came by; -1 where it is not known."""
    try:
        return int(frame.get(zmq.SRCFD))
    except (zmq.ZMQError, TypeError, ValueError):
        return -1


def _plain(value: object) -> object:
    """Convert a numpy scalar, which msgspec does not take."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"cannot send a {type(value).__name__}")
