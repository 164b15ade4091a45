"""The loop's side of the recorder: records go out over ZeroMQ and never hold the sender up.

A message is `[topic][host time, 8 bytes little-endian][msgpack record]`. Two topics are no records and are
not logged: `hello` tells the recorder whose life it follows, `ring` where a camera's pixels lie.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import msgspec
import zmq

from rt_pose.clock import Clock
from rt_pose.errors import UserError
from rt_pose.loop.capture import RingDescription
from rt_pose.records import NoSink, Record, Sink, topic_of

HELLO = b"hello"
RING = b"ring"
TIME = struct.Struct("<q")

QUEUE_RECORDS = 4096
"""Records that may wait for the recorder in each sink: about 4 s of a camera at 200 frames a second."""
CONNECT_MS = 1000
LINGER_MS = 500


class RecordSink(Sink):
    """One thread's way to the recorder. ZeroMQ sockets belong to one thread, so each thread has its own.

    It connects in the background. Sending never waits: a full queue or a recorder that is not there refuses a
    record at once, and refusals are counted in `refused`.
    """

    def __init__(self, endpoint: str, clock: Clock, context: zmq.Context[Any] | None = None) -> None:
        self.refused = 0
        self._clock = clock
        self._endpoint = endpoint
        self._encoder = msgspec.msgpack.Encoder()
        self._payload = bytearray(1 << 14)
        self._socket = (context or zmq.Context.instance()).socket(zmq.PUSH)
        self._socket.sndhwm = QUEUE_RECORDS
        self._socket.linger = LINGER_MS
        # Without it a dead recorder's queue would go on taking records that nobody will ever read.
        self._socket.immediate = True
        self._socket.connect(endpoint)

    def connected(self, timeout_ms: int = CONNECT_MS) -> bool:
        """Wait for the recorder; whether it is there to take records."""
        return bool(self._socket.poll(timeout_ms, zmq.POLLOUT))

    def wait_for_recorder(self, timeout_ms: int = 10_000) -> None:
        """Return when the recorder is there to take records; UserError where it does not come."""
        if not self.connected(timeout_ms):
            raise UserError(
                f"recorder: no process listens at {self._endpoint} after {timeout_ms / 1000:g} s; "
                "see its message above, and start the run again"
            )

    def send(self, record: Record) -> bool:
        """Hand a record on without waiting; False (and counted) where it was refused.

        A record with `t_ns` 0 is stamped here.
        """
        if record.t_ns == 0:
            record.t_ns = self._clock.now_ns()
        self._encoder.encode_into(record, self._payload)
        taken = self._send(topic_of(record).encode(), record.t_ns)
        self.refused += not taken
        return taken

    def hello(self) -> bool:
        """Tell the recorder that it follows the life of this process."""
        return self._announce(HELLO, {"pid": os.getpid()})

    def ring(self, description: RingDescription) -> bool:
        """Tell the recorder where a camera's pixels lie; to be sent before its first frame."""
        return self._announce(RING, description)

    def close(self) -> None:
        """Give what waits half a second to leave, then let go of the socket."""
        self._socket.close()

    def _announce(self, topic: bytes, content: object) -> bool:
        self._encoder.encode_into(content, self._payload)
        return self._send(topic, self._clock.now_ns())

    def _send(self, topic: bytes, t_ns: int) -> bool:
        try:
            self._socket.send_multipart((topic, TIME.pack(t_ns), self._payload), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


class SinkFactory:
    """Makes each thread its own sink, and adds up what they refused."""

    def __init__(self, endpoint: str | None, clock: Clock) -> None:
        """`endpoint`: the recorder's; None where nothing is recorded."""
        self._endpoint, self._clock = endpoint, clock
        self._made: list[RecordSink] = []

    def make(self, wait: bool = True) -> Sink:
        """A sink; `wait`: once it is connected, or a second later."""
        if self._endpoint is None:
            return NoSink()
        sink = RecordSink(self._endpoint, self._clock)
        self._made.append(sink)
        if wait:
            sink.connected()
        return sink

    def refused(self) -> int:
        """Records that did not get through, of all sinks."""
        return sum(sink.refused for sink in self._made)
