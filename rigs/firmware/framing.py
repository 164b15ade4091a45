"""Messages to bytes on the line and back: a crc, COBS, a 0 at the end (see protocol.py for why)."""

from __future__ import annotations

import binascii

from rigs.firmware.protocol import Message, unpack

LONGEST = 253
"""Bytes of a message with its crc: up to here COBS needs one byte more, and its simple form will do."""


def frame(message: Message) -> bytes:
    """The message as it goes over the line."""
    plain = message.pack()
    return cobs_encode(plain + crc16(plain).to_bytes(2, "little")) + b"\0"


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE."""
    return binascii.crc_hqx(data, 0xFFFF)


def cobs_encode(data: bytes) -> bytes:
    """Consistent Overhead Byte Stuffing (Cheshire and Baker 1999) of at most `LONGEST` bytes: no 0 in it."""
    if len(data) > LONGEST:
        raise ValueError(f"expected at most {LONGEST} bytes, got {len(data)}")
    return b"".join(bytes([len(block) + 1]) + block for block in data.split(b"\0"))


def cobs_decode(text: bytes) -> bytes | None:
    """What `cobs_encode` was given; None where `text` is no such text."""
    blocks = []
    at = 0
    while at < len(text):
        distance = text[at]
        block = text[at + 1 : at + distance]
        if distance == 0 or len(block) != distance - 1 or 0 in block:
            return None
        blocks.append(block)
        at += distance
    return b"\0".join(blocks) if blocks else None


class Deframer:
    """Bytes as they come, in any pieces, to messages. What cannot be read is counted in `bad`."""

    def __init__(self) -> None:
        self.bad = 0
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are whole with these bytes."""
        self._pending += data
        *texts, rest = self._pending.split(b"\0")
        # Noise without an end must not pile up.
        self._pending = bytearray(rest[-2 * LONGEST :])
        messages = []
        for text in texts:
            if not text:
                continue
            message = self._read(bytes(text))
            if message is None:
                self.bad += 1
            else:
                messages.append(message)
        return messages

    @staticmethod
    def _read(text: bytes) -> Message | None:
        plain = cobs_decode(text)
        if plain is None or len(plain) < 5 or crc16(plain[:-2]) != int.from_bytes(plain[-2:], "little"):
            return None
        return unpack(plain[:-2])
