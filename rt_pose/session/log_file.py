"""log.mcap: the records as they came, undecoded, one channel a topic.

A kill or a power cut may fall anywhere, so the file is written in small chunks that are handed over at once,
and it is read from its beginning without its index, up to the first record that is not whole.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.exceptions import McapError
from mcap.records import Channel, Message
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, IndexType, Writer

from rt_pose.records import LOG_VERSION

LOG_NAME = "log.mcap"
ENCODING = "msgpack"
CHUNK_BYTES = 256 << 10
MAX_RECORD_BYTES = 64 << 20


class LogWriter:
    """Appends records to a new log."""

    def __init__(self, path: Path) -> None:
        """Create the log.

        Parameters
        ----------
        path
            A file that must not exist yet.
        """
        self._file = path.open("xb")
        self._writer = Writer(
            self._file, CHUNK_BYTES, compression=CompressionType.NONE, index_types=IndexType.CHUNK
        )
        self._writer.start(profile="rt-pose", library="rt-pose")
        self._writer.add_metadata("rt-pose", {"log_version": str(LOG_VERSION)})
        self._channels: dict[bytes, int] = {}
        self._count = 0

    def write(self, topic: bytes, t_ns: int, payload: bytes) -> None:
        """Append one record as it is.

        Parameters
        ----------
        topic
            The record's topic, which becomes its channel.
        t_ns
            Host time of the record, ns.
        payload
            The record, as msgpack.
        """
        channel = self._channels.get(topic)
        if channel is None:
            channel = self._writer.register_channel(topic.decode(), ENCODING, 0)
            self._channels[topic] = channel
        self._writer.add_message(channel, t_ns, payload, t_ns, self._count)
        self._count += 1

    def flush(self) -> None:
        """Hand everything so far to the operating system: a killed process loses none of it."""
        self._writer.flush()

    def sync(self) -> None:
        """Make the operating system write it to the disk: a power cut loses none of it."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """End the log whole, with its index for other readers."""
        self._writer.finish()
        self._file.close()


@dataclass(slots=True)
class LoggedMessage:
    """A record that is not decoded yet."""

    topic: str
    t_ns: int
    payload: bytes


def read_log(path: Path) -> tuple[list[LoggedMessage], str]:
    """Read every record that is whole.

    Parameters
    ----------
    path
        A log, which may have been cut anywhere.

    Returns
    -------
    tuple[list[LoggedMessage], str]
        The records in the order written, and why reading ended early; empty where it did not.
    """
    messages: list[LoggedMessage] = []
    topics: dict[int, str] = {}
    with path.open("rb") as file:
        reader = StreamReader(_BoundedReader(file), validate_crcs=True, record_size_limit=MAX_RECORD_BYTES)
        try:
            for record in reader.records:
                if isinstance(record, Channel):
                    topics[record.id] = record.topic
                elif isinstance(record, Message):
                    messages.append(LoggedMessage(topics[record.channel_id], record.log_time, record.data))
        # The bytes of a torn tail may look like anything: a length, a channel that is not there, bad text.
        except (McapError, struct.error, ValueError, KeyError, OverflowError) as error:
            return messages, f"{type(error).__name__} {error}".strip()
    return messages, ""


class _BoundedReader:
    """A file whose `read` sets no more memory aside than the file has bytes, whatever a torn length asks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self._size))
