"""Firmata on the wire: bytes as the protocol's text writes them, and any noise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rigs.firmata import (
    Capabilities,
    FirmataParser,
    Firmware,
    PinMode,
    PinState,
    PortValue,
    Text,
    Version,
    query_pin,
    report_port,
    set_mode,
    set_pin,
    set_pwm,
)

WIRE = {
    bytes.fromhex("f90205"): Version(2, 5),
    bytes.fromhex("f079020541006200f7"): Firmware(2, 5, "Ab"),
    bytes.fromhex("f06c0001010103087f7f020af7"): None,
    bytes.fromhex("f06e0d0101f7"): PinState(13, 1, 1),
    bytes.fromhex("f06e09037f01f7"): PinState(9, 3, 255),
    bytes.fromhex("917f01"): PortValue(1, 0xFF),
    bytes.fromhex("f0716900f7"): Text("i"),
}


def test_what_goes_to_the_board() -> None:
    assert set_mode(13, PinMode.OUTPUT) == bytes.fromhex("f40d01")
    assert set_pin(13, True) == bytes.fromhex("f50d01")
    assert set_pin(13, False) == bytes.fromhex("f50d00")
    assert set_pwm(9, 255) == bytes.fromhex("f06f097f01f7")
    assert report_port(1) == bytes.fromhex("d101")
    assert query_pin(13) == bytes.fromhex("f06d0df7")


def test_what_comes_from_the_board() -> None:
    for text, message in WIRE.items():
        parser = FirmataParser()
        found = parser.feed(text)
        assert found == [message] or message is None
        assert parser.bad == 0


def test_capabilities_are_by_pin() -> None:
    found = FirmataParser().feed(bytes.fromhex("f06c 7f 00010101 0308 7f 020a 7f f7".replace(" ", "")))
    assert found == [Capabilities(({}, {0: 1, 1: 1, 3: 8}, {2: 10}))]


@given(st.lists(st.sampled_from([k for k, v in WIRE.items() if v]), max_size=6), st.integers(1, 7))
def test_messages_come_through_in_any_pieces(texts: list[bytes], piece: int) -> None:
    parser, stream = FirmataParser(), b"".join(texts)
    found = [m for i in range(0, len(stream), piece) for m in parser.feed(stream[i : i + piece])]
    assert found == [WIRE[text] for text in texts]


@given(st.binary(max_size=200))
def test_noise_is_passed_over_and_the_next_message_is_read(noise: bytes) -> None:
    parser = FirmataParser()
    parser.feed(noise)
    parser.feed(b"\xf7")
    assert parser.feed(b"\xf9\x02\x05\xf9\x02\x05")[-1] == Version(2, 5)


def test_noise_without_an_end_does_not_pile_up() -> None:
    parser = FirmataParser()
    for _ in range(100):
        parser.feed(b"\xf0" + b"\x55" * 1000)
        parser.feed(b"\x55" * 9000)
    assert len(parser._message) <= 4098
    assert parser.bad > 0
