"""A Harp Behavior board as the protocol's text and its device.yml describe it, on a pseudo-terminal."""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass

from support.patience import PATIENCE_S
from support.pty_device import PtyDevice

READ, WRITE, ERROR, STAMPED = 1, 2, 8, 0x10
WHO_AM_I, FIRMWARE, SECONDS = 0, (6, 7), 8
SET, CLEAR, PULSE_ENABLE, FIRST_PULSE = 34, 35, 45, 46
OUTPUT_COUNT = 14
TURN_NS = 1_000_000
"""The board counts pulses down once a millisecond, from one more than it was told."""


@dataclass(frozen=True, slots=True)
class BitChange:
    """An output went high or low."""

    t_ns: int
    bit: int
    high: bool


class HarpBoard(PtyDevice):
    """Answers each command with its time; a pulse counts down in turns of 1 ms."""

    def __init__(self, who: int = 1216) -> None:
        self._who = who
        self._bytes = bytearray()
        self._state = self._enabled = 0
        self._lengths_ms = [500] * OUTPUT_COUNT
        self._left_turns = [0] * OUTPUT_COUNT
        self._turned_ns = self._begun_ns = 0
        self.refuses = False
        self.changes: list[BitChange] = []
        self._changed = threading.Condition()
        super().__init__()

    def is_high(self, bit: int) -> bool:
        """Whether an output is high now."""
        return bool(self._state >> bit & 1)

    def wait_for(
        self, bit: int, high: bool, after_ns: int = 0, timeout_s: float = PATIENCE_S
    ) -> BitChange | None:
        """The first change of an output to high or low; None where it does not come in time."""

        def found() -> BitChange | None:
            return next(
                (c for c in self.changes if (c.bit, c.high) == (bit, high) and c.t_ns > after_ns), None
            )

        with self._changed:
            return self._changed.wait_for(found, timeout_s)

    def restart(self) -> None:
        """As after a short loss of power: outputs low, no pulses, its clock from 0."""
        with self._lock:
            for bit in range(OUTPUT_COUNT):
                self._change(bit, False)
            self._enabled, self._begun_ns = 0, self.clock.now_ns()
            self._lengths_ms, self._left_turns = [500] * OUTPUT_COUNT, [0] * OUTPUT_COUNT

    def receive(self, data: bytes) -> None:
        with self._lock:
            self.turn()  # what was due before this came
            self._bytes += data
            while len(self._bytes) >= 2 and len(self._bytes) >= self._bytes[1] + 2:
                size = self._bytes[1] + 2
                message = bytes(self._bytes[:size])
                if message[0] in (READ, WRITE) and size >= 6 and sum(message[:-1]) & 0xFF == message[-1]:
                    del self._bytes[:size]
                    self._obey(message[0], message[2], message[4], message[5:-1])
                else:
                    del self._bytes[0]

    def turn(self) -> None:
        now_ns = self.clock.now_ns()
        self._turned_ns = self._turned_ns or now_ns
        while now_ns - self._turned_ns >= TURN_NS:
            self._turned_ns += TURN_NS
            for bit in range(OUTPUT_COUNT):
                if self._left_turns[bit]:
                    self._left_turns[bit] -= 1
                    if not self._left_turns[bit]:
                        self._change(bit, False)

    def _obey(self, kind: int, address: int, payload_type: int, payload: bytes) -> None:
        known = {WHO_AM_I: (2, self._who), FIRMWARE[0]: (1, 3), FIRMWARE[1]: (1, 2)}
        known[SECONDS] = (4, (self.clock.now_ns() - self._begun_ns) // 10**9)
        if kind == READ:
            size, value = known.get(address, (2, 0))
            self._reply(READ, address, size, value)
            return
        (value,) = struct.unpack("<H", payload) if payload_type == 2 and len(payload) == 2 else (0,)
        if self.refuses or not self._write(address, value):
            self._reply(WRITE | ERROR, address, 2, value)
            return
        self._reply(WRITE, address, 2, value)

    def _write(self, address: int, value: int) -> bool:
        bits = [bit for bit in range(OUTPUT_COUNT) if value >> bit & 1]
        if address == SET:
            for bit in bits:
                if self._enabled >> bit & 1:
                    self._left_turns[bit] = self._lengths_ms[bit] + 1
                self._change(bit, True)
        elif address == CLEAR:
            for bit in bits:  # what counts down goes on
                self._change(bit, False)
        elif address == PULSE_ENABLE:
            self._enabled = value
        elif FIRST_PULSE <= address < FIRST_PULSE + OUTPUT_COUNT and value >= 1:
            self._lengths_ms[address - FIRST_PULSE] = value
        else:
            return False
        return True

    def _change(self, bit: int, high: bool) -> None:
        with self._changed:
            if self.is_high(bit) != high:
                self._state ^= 1 << bit
                self.changes.append(BitChange(self.clock.now_ns(), bit, high))
                self._changed.notify_all()

    def _reply(self, kind: int, address: int, size: int, value: int) -> None:
        seconds, rest_ns = divmod(self.clock.now_ns() - self._begun_ns, 10**9)
        stamp = struct.pack("<IH", seconds, rest_ns // 32_000)
        data = stamp + value.to_bytes(size, "little")
        message = bytes([kind, 4 + len(data), address, 0xFF, STAMPED | size]) + data
        self.send(message + bytes([sum(message) & 0xFF]))
