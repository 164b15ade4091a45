"""How many bytes a video file has by its own account: one that was cut off has fewer.

Bytes, not frames: recorders write the number of frames wrong, or count those that they dropped, and then
nothing is missing from the file.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from struct import unpack
from typing import BinaryIO

_UNFILLED = (0, 0xFFFFFFFF)
"""Sizes of a list whose recorder never came to its end."""
_SEGMENT = 0x18538067
"""Matroska's element of all frames."""
_MOST_ELEMENTS = 8
"""Elements in front of it that are looked at."""


def declared_bytes(path: Path, formats: Collection[str]) -> int:
    """Find where the frames of a file end by its own account.

    Parameters
    ----------
    path
        The file.
    formats
        FFmpeg's names of its format.

    Returns
    -------
    int
        Bytes from the file's beginning; 0 where it does not say.
    """
    with path.open("rb") as file:
        if "avi" in formats:
            return _riff_end(file)
        if "matroska" in formats:
            return _segment_end(file)
    return 0


def _riff_end(file: BinaryIO) -> int:
    """End of the last list of frames of an AVI file: its index, which comes after it, may be missing."""
    end = at = 0
    while (name := _chunk(file, at)[0]) == b"RIFF":
        riff_end = at + 8 + _chunk(file, at)[1]
        at += 12
        while at < riff_end:
            name, size, kind = _chunk(file, at)
            if not name or size in _UNFILLED:
                return end
            if (name, kind) == (b"LIST", b"movi"):
                end = at + 8 + size
                break
            at += 8 + size + size % 2
        at = riff_end
    return end


def _chunk(file: BinaryIO, at: int) -> tuple[bytes, int, bytes]:
    """Name, size and, of a list, kind of the chunk at a place; no name beyond the file's end."""
    file.seek(at)
    head = file.read(12)
    if len(head) < 8:
        return b"", 0, b""
    return head[:4], unpack("<I", head[4:8])[0], head[8:]


def _segment_end(file: BinaryIO) -> int:
    at = 0
    for _ in range(_MOST_ELEMENTS):
        file.seek(at)
        head = file.read(12)
        marker = _length(head)
        if not marker or len(head) < marker + 1:
            return 0
        name = int.from_bytes(head[:marker])
        length = _length(head[marker:])
        number = head[marker : marker + length]
        if not length or len(number) < length:
            return 0
        most = (1 << 7 * length) - 1
        size = int.from_bytes(number) & most
        if size == most:  # not known: it was written as it came
            return 0
        at += marker + length + size
        if name == _SEGMENT:
            return at
    return 0


def _length(data: bytes) -> int:
    """Bytes of the number of variable length that begins here; 0 for none."""
    return 9 - data[0].bit_length() if data and data[0] else 0
