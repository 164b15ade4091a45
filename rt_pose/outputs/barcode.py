"""The code of a sync line: a number in the intervals between the rising edges of 42 equal pulses.

    pulse 0 --100 ms-- 1 --bit 31-- 2 --bit 30-- ... --bit 0-- 33 --check bit 7-- ... --check bit 0-- 41

A bit that is 0 lasts 30 ms, a bit that is 1 lasts 50 ms, from rising edge to rising edge; the width of the
pulses means nothing. So a code is read from rising edges alone, which every recorder exports, and whether a
line rests low or high does not matter. The number has 32 bits, highest first; the 8 bits after it are its
CRC-8 (polynomial 0x07, initial value 0, over the four bytes, highest first). A code takes at most 2.1 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

START_MS, ZERO_MS, ONE_MS = 100, 30, 50
TOLERANCE_MS = 8.0
"""How far an interval may be from what it should be: pulses are sent by a program, not by a clock."""
NUMBER_BITS, CHECK_BITS = 32, 8
PULSES = 2 + NUMBER_BITS + CHECK_BITS
LONGEST_MS = START_MS + (NUMBER_BITS + CHECK_BITS) * ONE_MS
LONGEST_PULSE_MS = 20
"""A pulse must be over well before the next one begins."""
POLYNOMIAL = 0x07


@dataclass(frozen=True, slots=True)
class FoundCode:
    """A code that was read from rising edges."""

    number: int
    first: int
    """Index of its first edge; the others follow it."""


def check_byte(number: int) -> int:
    """Compute the CRC-8 of a number.

    Parameters
    ----------
    number
        32 bits.

    Returns
    -------
    int
        8 bits.
    """
    rest = 0
    for byte in number.to_bytes(4, "big"):
        rest ^= byte
        for _ in range(8):
            rest = ((rest << 1) ^ POLYNOMIAL) & 0xFF if rest & 0x80 else rest << 1
    return rest


def edges_ms(number: int) -> list[int]:
    """Compute when the pulses of a code begin.

    Parameters
    ----------
    number
        What it says; its lowest 32 bits.

    Returns
    -------
    list[int]
        `PULSES` times since the first of them, ms.
    """
    number %= 1 << NUMBER_BITS
    word = number << CHECK_BITS | check_byte(number)
    edges = [0, START_MS]
    for place in reversed(range(NUMBER_BITS + CHECK_BITS)):
        edges.append(edges[-1] + (ONE_MS if word >> place & 1 else ZERO_MS))
    return edges


def find_codes(rises_s: FloatArray) -> list[FoundCode]:
    """Read the codes of a recorded line.

    Parameters
    ----------
    rises_s
        Times of its rising edges, s, in order.

    Returns
    -------
    list[FoundCode]
        Every code that is whole, in order. One with an edge lost or added is passed over.
    """
    gaps_ms = np.diff(rises_s) * 1e3
    starts, ones = _near(gaps_ms, START_MS), _near(gaps_ms, ONE_MS)
    bits_valid = ones | _near(gaps_ms, ZERO_MS)
    found, free = [], 0
    for start in np.flatnonzero(starts).tolist():
        bits = slice(start + 1, start + PULSES - 1)
        if start < free or bits.stop > len(gaps_ms) or not bits_valid[bits].all():
            continue
        word = int("".join("1" if one else "0" for one in ones[bits]), 2)
        number, check = word >> CHECK_BITS, word & ((1 << CHECK_BITS) - 1)
        if check == check_byte(number):
            found.append(FoundCode(number, start))
            free = start + PULSES - 1
    return found


def _near(gaps_ms: FloatArray, length_ms: float) -> NDArray[np.bool_]:
    return np.abs(gaps_ms - length_ms) <= TOLERANCE_MS
