"""Harp on the wire: bytes as the protocol's text describes them, and any noise."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from rigs.harp import HarpMessage, HarpParser, Register, read_register, write_register


def reply(kind: int, address: int, payload_type: int, payload: bytes) -> bytes:
    message = bytes([kind, 4 + len(payload), address, 0xFF, payload_type]) + payload
    return message + bytes([sum(message) & 0xFF])


STAMP = struct.pack("<IH", 5, 31_250 // 32)
WIRE = {
    reply(1, 0, 0x12, STAMP + b"\xc0\x04"): HarpMessage(1, 0, 1216, 5_031_232),
    reply(2, 34, 0x12, STAMP + b"\x00\x04"): HarpMessage(2, 34, 1024, 5_031_232),
    reply(10, 34, 0x12, STAMP + b"\x00\x04"): HarpMessage(2, 34, 1024, 5_031_232, error=True),
    reply(3, 32, 0x11, STAMP + b"\x01"): HarpMessage(3, 32, 1, 5_031_232),
    reply(3, 44, 0x92, STAMP + bytes(6)): HarpMessage(3, 44, 0, 5_031_232),
    reply(1, 8, 4, struct.pack("<I", 70_000)): HarpMessage(1, 8, 70_000, None),
}


def test_what_goes_to_the_device() -> None:
    assert read_register(Register.WHO_AM_I) == bytes([1, 4, 0, 255, 2, 6])
    assert read_register(Register.SECONDS) == bytes([1, 4, 8, 255, 4, 16])
    assert write_register(Register.OUTPUT_SET, 0x0400) == bytes(
        [2, 6, 34, 255, 2, 0, 4, (2 + 6 + 34 + 255 + 2 + 4) % 256]
    )


@given(st.lists(st.sampled_from(list(WIRE)), max_size=6), st.integers(1, 9))
def test_messages_come_through_in_any_pieces(texts: list[bytes], piece: int) -> None:
    parser, stream = HarpParser(), b"".join(texts)
    found = [m for i in range(0, len(stream), piece) for m in parser.feed(stream[i : i + piece])]
    assert found == [WIRE[text] for text in texts]
    assert parser.bad == 0


@given(st.binary(max_size=300))
def test_noise_is_passed_over_and_messages_are_read_again(noise: bytes) -> None:
    """Noise may look like the beginning of a message of up to 256 bytes: what comes after that is read."""
    parser, text = HarpParser(), next(iter(WIRE))
    parser.feed(noise)
    found = [m for _ in range(40) for m in parser.feed(text)]
    assert found[-1] == WIRE[text]
    assert len(parser._pending) <= 256 + len(text)


def test_a_changed_byte_costs_its_message() -> None:
    text = bytearray(reply(2, 34, 0x12, STAMP + b"\x00\x04"))
    text[6] ^= 1
    parser = HarpParser()
    assert parser.feed(bytes(text) + next(iter(WIRE))) == [WIRE[next(iter(WIRE))]]
    assert parser.bad == len(text)


def test_the_shortest_and_the_odd() -> None:
    assert HarpParser().feed(reply(1, 12, 0x11, b"")) == [HarpMessage(1, 12, 0, None)]
    assert HarpParser().feed(reply(1, 12, 0x44, bytes(4))) == [HarpMessage(1, 12, 0, None)]
