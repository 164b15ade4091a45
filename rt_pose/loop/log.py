"""The loop's side of the recorder: records go out over ZeroMQ and never hold the sender up.

A message is `[topic][host time, 8 bytes little-endian][msgpack record]`. Two topics are no records and are
not logged: `hello` names the process with which the recorder ends, `ring` says where a camera's pixels lie.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import msgspec
import zmq

from rt_pose.clock import Clock
from rt_pose.errors import UserError
from rt_pose.loop.frame_ring import RingDescription
from rt_pose.records import (
    MAX_PAYLOAD_BYTES,
    AckRecord,
    CommandRecord,
    NoSink,
    NoticeRecord,
    Record,
    Sink,
    topic_of,
)

HELLO = b"hello"
RING = b"ring"
TIME = struct.Struct("<q")

AFTER_FIRING = (CommandRecord, AckRecord, NoticeRecord)
"""Records that only follow from firing: during the run their number would tell stimuli from controls."""
QUEUE_RECORDS = 4096
"""Records that may wait for the recorder in each sink: about 4 s of a camera at 200 frames a second."""
PAYLOAD_BYTES = 1 << 14
"""Room of a sink for a record to begin with; it grows with larger ones."""
CONNECT_MS = 1000
LINGER_MS = 500


class RecordSink(Sink):
    """Sends one thread's records to the recorder; a ZeroMQ socket belongs to one thread, so each has its own.

    It connects in the background. Sending never waits: a full queue or a recorder that is not there refuses a
    record at once, as a record too large to be read back is, and refusals are counted in `refused`.
    """

    def __init__(self, endpoint: str, clock: Clock, context: zmq.Context[Any] | None = None) -> None:
        """Connect in the background.

        Parameters
        ----------
        endpoint
            The recorder's ZeroMQ endpoint.
        clock
            Stamps records that bear no time.
        context
            The ZeroMQ context; the process's own where none is given.
        """
        self.sent = 0
        """Records handed over, so that what never reached the log can be told."""
        self.refused = 0
        self.refused_shown = 0
        """Of these, the records that every decision has, whether it fired or was withheld."""
        self._clock = clock
        self._endpoint = endpoint
        self._encoder = msgspec.msgpack.Encoder()
        self._payload = bytearray(PAYLOAD_BYTES)
        self._socket = (context or zmq.Context.instance()).socket(zmq.PUSH)
        self._socket.sndhwm = QUEUE_RECORDS
        self._socket.linger = LINGER_MS
        # Without it a dead recorder's queue would go on taking records that nobody will ever read.
        self._socket.immediate = True
        self._socket.connect(endpoint)

    def connected(self, timeout_ms: int = CONNECT_MS) -> bool:
        """Wait for the recorder.

        Parameters
        ----------
        timeout_ms
            How long at most, ms.

        Returns
        -------
        bool
            Whether it is there to take records.
        """
        return bool(self._socket.poll(timeout_ms, zmq.POLLOUT))

    def wait_for_recorder(self, timeout_ms: int = 10_000) -> None:
        """Return when the recorder is there to take records.

        Parameters
        ----------
        timeout_ms
            How long to wait at most, ms.

        Raises
        ------
        UserError
            Where it does not come in time.
        """
        if not self.connected(timeout_ms):
            raise UserError(
                f"recorder: its process did not come up within {timeout_ms / 1000:g} s; where it printed no "
                "error above, the machine is too busy to start it: end what else runs, and run again"
            )

    def send(self, record: Record) -> bool:
        """Send a record without waiting.

        Parameters
        ----------
        record
            The record; one whose `t_ns` is 0 is stamped here.

        Returns
        -------
        bool
            False where it was refused, which is counted.
        """
        if record.t_ns == 0:
            record.t_ns = self._clock.now_ns()
        self._encoder.encode_into(record, self._payload)
        if len(self._payload) > MAX_PAYLOAD_BYTES:
            self._payload = bytearray(PAYLOAD_BYTES)
            taken = False
        else:
            taken = self._send(topic_of(record).encode(), record.t_ns)
        self.sent += taken
        self.refused += not taken
        self.refused_shown += not taken and not isinstance(record, AFTER_FIRING)
        return taken

    def hello(self) -> bool:
        """Tell the recorder to end with this process.

        Returns
        -------
        bool
            Whether it was sent.
        """
        return self._announce(HELLO, {"pid": os.getpid()})

    def ring(self, description: RingDescription) -> bool:
        """Tell the recorder where a camera's pixels lie; to be sent before the camera's first frame.

        Parameters
        ----------
        description
            That of the camera's ring.

        Returns
        -------
        bool
            Whether it was sent.
        """
        return self._announce(RING, description)

    def close(self) -> None:
        """Give what waits half a second to leave, then close the socket."""
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
        """Keep where the sinks connect to.

        Parameters
        ----------
        endpoint
            The recorder's; None where nothing is recorded.
        clock
            Stamps records that bear no time.
        """
        self._endpoint, self._clock = endpoint, clock
        self._made: list[RecordSink] = []

    def make(self, wait: bool = True) -> Sink:
        """Make a sink for the calling thread.

        Parameters
        ----------
        wait
            Whether to wait for the connection, at most 1 s.

        Returns
        -------
        Sink
            One that drops everything where nothing is recorded.
        """
        if self._endpoint is None:
            return NoSink()
        sink = RecordSink(self._endpoint, self._clock)
        self._made.append(sink)
        if wait:
            sink.connected()
        return sink

    def wait_for_recorder(self) -> None:
        """Return when the recorder takes the records of every sink made so far: each connects by itself.

        Raises
        ------
        UserError
            Where it does not come in time.
        """
        for sink in self._made:
            sink.wait_for_recorder()

    def sent(self) -> int:
        """Count the records of all sinks that were handed over."""
        return sum(sink.sent for sink in self._made)

    def refused(self) -> int:
        """Count the records of all sinks that did not get through."""
        return sum(sink.refused for sink in self._made)

    def refused_shown(self) -> int:
        """Count those of them that may be shown while the run goes on: see `AFTER_FIRING`."""
        return sum(sink.refused_shown for sink in self._made)
