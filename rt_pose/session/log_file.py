"""log.mcap: the records as they came, undecoded, one channel a topic.

A kill or a power cut may fall anywhere, so the file is written in small chunks that are handed over at once,
and it is read from its beginning without its index. A chunk that is damaged costs its own records: reading
goes on at the next one, and says what it passed over. After each flush a record says how long the file was by
then and what its hash: a chain, by which a change of any byte before it shows.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path
from typing import IO, cast

import msgspec
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Footer, Message, Metadata
from mcap.stream_reader import breakup_chunk
from mcap.writer import MCAP0_MAGIC, CompressionType, IndexType, Writer

from rt_pose.records import LOG_VERSION, MAX_PAYLOAD_BYTES, TOPICS, ChainLink

LOG_NAME = "log.mcap"
ENCODING = "msgpack"
CHUNK_BYTES = 256 << 10
MAX_RECORD_BYTES = 64 << 20
"""A chunk beyond this is passed over; a record of `MAX_PAYLOAD_BYTES` and its chunk are far from it."""
METADATA = "rt-pose"
_CHAIN = b"chain"

_HEAD = struct.Struct("<BQ")
"""Operation code and length before each part of the file."""
_CHUNK = struct.Struct("<QQQIIQ")
"""A chunk before its records: first and last time, size, CRC, length of the compression's name (0), size."""
_FOOTER_BYTES = _HEAD.size + 20 + len(MCAP0_MAGIC)
_DATA_END_BYTES = 4
_NUMBER = re.compile(r"[0-9]{1,5}")
"""Of a channel, as the metadata write it."""
_DAMAGE = (McapError, struct.error, ValueError, KeyError, OverflowError)
"""What bytes that are not what they should be can lead to."""


class _HashedFile:
    """A file that is only appended to, with the hash of all that is in it."""

    def __init__(self, file: BufferedWriter) -> None:
        self._file, self._hash = file, hashlib.sha256()
        self.length = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.length += len(data)
        return self._file.write(data)

    def digest(self) -> str:
        return self._hash.hexdigest()

    def tell(self) -> int:
        return self.length

    def flush(self) -> None:
        self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()


class LogWriter:
    """Appends records to a new log."""

    def __init__(self, path: Path) -> None:
        """Create the log.

        Parameters
        ----------
        path
            A file that must not exist yet.
        """
        self._path = path
        self._file = _HashedFile(path.open("xb"))
        self._writer = Writer(
            cast("IO[bytes]", self._file),
            CHUNK_BYTES,
            compression=CompressionType.NONE,
            index_types=IndexType.CHUNK,
        )
        self._writer.start(profile="rt-pose", library="rt-pose")
        # Every topic has its channel from the start and is named here too, outside of all chunks: none can be
        # read without knowing its channels, and any chunk may be the damaged one.
        numbers = {str(number): topic for number, topic in enumerate(TOPICS, 1)}
        self._writer.add_metadata(METADATA, {"log_version": str(LOG_VERSION), **numbers})
        self._channels = {topic.encode(): self._register(topic) for topic in TOPICS}
        self._count = self._linked = 0
        self._last_ns = 0

    def write(self, topic: bytes, t_ns: int, payload: bytes) -> bool:
        """Append one record as it is.

        Parameters
        ----------
        topic
            The record's topic, which becomes its channel.
        t_ns
            Host time of the record, ns.
        payload
            The record, as msgpack.

        Returns
        -------
        bool
            False where it is larger than `MAX_PAYLOAD_BYTES`, and therefore not written.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            return False
        channel = self._channels.get(topic)
        if channel is None:
            channel = self._channels[topic] = self._register(topic.decode())
        self._writer.add_message(channel, t_ns, payload, t_ns, self._count)
        self._count, self._last_ns = self._count + 1, t_ns
        return True

    def flush(self) -> None:
        """Hand everything so far to the operating system: a killed process loses none of it."""
        self._writer.flush()
        if self._count > self._linked:  # a link alone begins no chunk
            link = ChainLink(t_ns=self._last_ns, bytes=self._file.length, sha256=self._file.digest())
            self.write(_CHAIN, self._last_ns, msgspec.msgpack.encode(link))
            self._linked = self._count

    def sync(self) -> None:
        """Make the operating system write it to the disk: a power cut loses none of it."""
        os.fsync(self._file.fileno())

    def displacement(self) -> str:
        """Say what became of the file's place.

        Returns
        -------
        str
            What others did to it; empty where it lies where it was made.
        """
        ours = os.fstat(self._file.fileno())
        if ours.st_nlink == 0:
            return REMOVED
        try:
            moved = not os.path.samestat(ours, self._path.stat())
        except OSError as error:
            moved = error.errno != errno.EIO  # of a disk that cannot be read, writing will tell
        return MOVED if moved else ""

    def close(self, sync: bool = False) -> None:
        """End the log whole, with its index for other readers.

        Parameters
        ----------
        sync
            Whether to wait until the disk has it: only then is it known that it could be written.
        """
        try:
            self._writer.finish()
            if sync:
                self._file.flush()
                self.sync()
        finally:
            self._file.close()

    def _register(self, topic: str) -> int:
        return self._writer.register_channel(topic, ENCODING, 0)


REMOVED = "was removed"
MOVED = "was moved or its disk unmounted; recording goes on in it where it is now"


@dataclass(slots=True)
class LoggedMessage:
    """A record that is not decoded yet."""

    topic: str
    t_ns: int
    payload: bytes
    chunk_at: int = 0
    """Place of its chunk in the file, bytes."""


@dataclass
class LogGaps:
    """What of a log could not be read."""

    cut: str = ""
    """Why reading ended early; empty where it did not."""
    skipped: list[str] = field(default_factory=list)
    """What was passed over before that."""

    def __str__(self) -> str:
        return "; ".join([*self.skipped, *([self.cut] if self.cut else [])])


class _FileBytes:
    """The bytes of a file, read where they are asked for.

    Of a file that is mapped, a disk that cannot be read, or somebody who cuts the file meanwhile, would end
    the program with a signal.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._length = file, os.fstat(file.fileno()).st_size

    def __len__(self) -> int:
        return self._length

    def part(self, begin: int, end: int) -> bytes:
        """What lies from `begin` to `end`; less of it where the file ends before."""
        self._file.seek(begin)
        return self._file.read(max(end - begin, 0))


def read_log(path: Path) -> tuple[list[LoggedMessage], str]:
    """Read every record that is whole.

    Parameters
    ----------
    path
        A log, which may have been cut anywhere.

    Returns
    -------
    tuple[list[LoggedMessage], str]
        The records in the order written, and what could not be read; empty where everything could.
    """
    gaps = LogGaps()
    return list(iterate_log(path, gaps)), str(gaps)


def count_records(path: Path) -> Counter[str]:
    """Count the records of each topic.

    Parameters
    ----------
    path
        A log, which may have been cut anywhere.

    Returns
    -------
    Counter[str]
        By topic; empty where there is no log.
    """
    return Counter(message.topic for message in iterate_log(path, LogGaps())) if path.is_file() else Counter()


def iterate_log(path: Path, gaps: LogGaps) -> Iterator[LoggedMessage]:
    """Iterate over every record that is whole.

    Parameters
    ----------
    path
        A log, which may have been cut anywhere.
    gaps
        Gets what could not be read.

    Yields
    ------
    LoggedMessage
        In the order written.
    """
    with path.open("rb", buffering=2 * CHUNK_BYTES) as file:
        view = _FileBytes(file)
        if not len(view):
            gaps.cut = "it is empty"
            return
        try:
            yield from _messages(view, gaps)
        except OSError as error:
            gaps.cut = f"it cannot be read any further: {error.strerror}"


def _messages(view: _FileBytes, gaps: LogGaps) -> Iterator[LoggedMessage]:
    topics = _summary_topics(view)
    for at, content in _parts(view, gaps):
        if isinstance(content, Metadata):
            topics |= {int(key): topic for key, topic in content.metadata.items() if _NUMBER.fullmatch(key)}
            continue
        for record in content:
            if isinstance(record, Channel):
                topics[record.id] = record.topic
            elif isinstance(record, Message):
                if record.channel_id in topics:
                    yield LoggedMessage(topics[record.channel_id], record.log_time, record.data, at)
                elif _UNKNOWN not in gaps.skipped:
                    gaps.skipped.append(_UNKNOWN)


_UNKNOWN = "records of a topic that a damaged part had named"


def _parts(view: _FileBytes, gaps: LogGaps) -> Iterator[tuple[int, Metadata | list[object]]]:
    """The metadata, and the records of each chunk, of the file up to its index, with their places."""
    at = len(MCAP0_MAGIC) if view.part(0, len(MCAP0_MAGIC)) == MCAP0_MAGIC else 0
    while at + _HEAD.size <= len(view):
        try:
            code, length = _HEAD.unpack(view.part(at, at + _HEAD.size))
            begin, end = at + _HEAD.size, at + _HEAD.size + length
            if code == Opcode.DATA_END and length == _DATA_END_BYTES and end <= len(view):
                return
            if not 0 < code < Opcode.DATA_END or end > len(view) or length > MAX_RECORD_BYTES:
                raise ValueError("no part of a log")
            stream = ReadDataStream(io.BytesIO(view.part(begin, end)))
            if code == Opcode.METADATA:
                yield at, Metadata.read(stream)
            elif code == Opcode.CHUNK:
                yield at, _records(Chunk.read(stream))
            at = end
        except _DAMAGE:
            found = _next_chunk(view, at + 1)
            if found is None:
                gaps.cut = f"it breaks off at byte {at:,} of {len(view):,}"
                return
            gaps.skipped.append(f"{found - at:,} damaged bytes from byte {at:,} on")
            at = found
    gaps.cut = "its end is missing"


def _records(chunk: Chunk) -> list[object]:
    """What a chunk holds; ValueError where it is compressed: we write none, and one may hold gigabytes."""
    if chunk.compression:
        raise ValueError("a compressed chunk")
    return list(breakup_chunk(chunk, validate_crc=True))


def _next_chunk(view: _FileBytes, start: int) -> int | None:
    """Where the next whole chunk begins; None where there is none."""
    at = start
    while block := view.part(at, at + CHUNK_BYTES):
        place = block.find(_CHUNK_CODE)
        while place >= 0:
            if _is_chunk(view, at + place):
                return at + place
            place = block.find(_CHUNK_CODE, place + 1)
        at += len(block)
    return None


_CHUNK_CODE = bytes([Opcode.CHUNK])


def _is_chunk(view: _FileBytes, at: int) -> bool:
    """Whether an uncompressed chunk lies here whole: its lengths agree, and its bytes with their CRC."""
    begin = at + _HEAD.size + _CHUNK.size
    head = view.part(at, begin)
    if len(head) < begin - at:
        return False
    _, length = _HEAD.unpack_from(head)
    _, _, size, crc, name, stored = _CHUNK.unpack_from(head, _HEAD.size)
    if name or size != stored or length != _CHUNK.size + stored or length > MAX_RECORD_BYTES:
        return False
    return begin + stored <= len(view) and zlib.crc32(view.part(begin, begin + stored)) == crc


def _summary_topics(view: _FileBytes) -> dict[int, str]:
    """Topics by channel as the index at the end repeats them; none where there is no index."""
    topics: dict[int, str] = {}
    at = len(view) - _FOOTER_BYTES
    if at < 0:
        return {}
    try:
        footer = view.part(at, len(view))
        code, length = _HEAD.unpack_from(footer)
        if code != Opcode.FOOTER or length != 20:
            return {}
        end, at = at, Footer.read(ReadDataStream(io.BytesIO(footer[_HEAD.size :]))).summary_start
        while 0 < at < end:
            code, length = _HEAD.unpack(view.part(at, at + _HEAD.size))
            at += _HEAD.size
            if code == Opcode.CHANNEL:
                channel = Channel.read(ReadDataStream(io.BytesIO(view.part(at, min(at + length, end)))))
                topics[channel.id] = channel.topic
            at += length
    except (*_DAMAGE, OSError):
        return topics
    return topics
