"""The wire of the TTL box: generated files, framing, and the box's own reading of noise."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigs.firmware import protocol
from rigs.firmware.framing import LONGEST, Deframer, cobs_decode, cobs_encode, crc16, frame
from rigs.firmware.generate import HEADER, render


def test_the_header_is_that_of_the_description() -> None:
    assert HEADER.read_text(encoding="utf-8") == render(), "run `python -m rigs.firmware.generate`"


def test_two_messages_of_one_code_are_refused() -> None:
    with pytest.raises(ValueError, match="two messages have one code"):

        @protocol.message(protocol.Pulse.CODE)
        class Other(protocol.Message):
            """Has the code of another one."""


def test_the_crc_is_the_one_with_a_name() -> None:
    assert crc16(b"123456789") == 0x29B1, "the check value of CRC-16/CCITT-FALSE"


@given(st.binary(max_size=LONGEST))
def test_cobs_takes_every_zero_out_and_brings_it_back(data: bytes) -> None:
    text = cobs_encode(data)
    assert 0 not in text
    assert len(text) == len(data) + 1
    assert cobs_decode(text) == data


@given(st.binary(max_size=40))
def test_what_is_no_cobs_is_no_error(text: bytes) -> None:
    decoded = cobs_decode(text)
    assert decoded is None or cobs_encode(decoded) == text


def test_what_is_too_long_for_simple_cobs_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 253 bytes, got 254"):
        cobs_encode(bytes(254))


MESSAGES = [
    protocol.Pulse(7, 1, 65535, 5000),
    protocol.Train(0, 0, 1, 2**32 - 1, 2**32 - 1, 65535),
    protocol.Welcome(1, 1, 4, 0, b"rt-pose-ttl\0"),
    protocol.Status(65535, 5, 3, 255, 0, 0),
    protocol.Heartbeat(256),
]


@given(st.lists(st.sampled_from(MESSAGES), max_size=5), st.integers(1, 7))
def test_messages_come_through_in_any_pieces(messages: list[protocol.Message], piece: int) -> None:
    stream = b"".join(map(frame, messages))
    deframer = Deframer()
    got = [m for i in range(0, len(stream), piece) for m in deframer.feed(stream[i : i + piece])]
    assert got == messages
    assert deframer.bad == 0


@given(st.data())
def test_a_changed_byte_costs_its_message_and_no_other(data: st.DataObject) -> None:
    first, second = frame(MESSAGES[0]), frame(MESSAGES[3])
    at = data.draw(st.integers(0, len(first) - 2))
    flip = data.draw(st.integers(1, 255))
    garbled = first[:at] + bytes([first[at] ^ flip]) + first[at + 1 :]
    deframer = Deframer()
    assert deframer.feed(garbled + second) == [MESSAGES[3]]
    assert deframer.bad >= 1


def test_a_message_of_another_version_is_unknown() -> None:
    pulse = MESSAGES[0].pack()
    assert protocol.unpack(b"\x7f" + pulse[1:]) is None
    assert protocol.unpack(pulse + b"\0") is None
    assert protocol.unpack(b"") is None


def test_noise_without_an_end_does_not_pile_up() -> None:
    deframer = Deframer()
    for _ in range(100):
        deframer.feed(b"\x55" * 1000)
    assert len(deframer._pending) <= 2 * LONGEST
    assert deframer.feed(b"\0" + frame(MESSAGES[0])) == [MESSAGES[0]]


def test_every_field_has_its_place() -> None:
    for kind in protocol.MESSAGES.values():
        assert kind.LAYOUT.size <= LONGEST
        assert len(dataclasses.fields(kind)) == len(kind.LAYOUT.unpack(bytes(kind.LAYOUT.size))) - 1
