"""The code of a sync line is read back from rising edges, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_pose.outputs.barcode import (
    LONGEST_MS,
    LONGEST_PULSE_MS,
    PULSES,
    TOLERANCE_MS,
    ZERO_MS,
    check_byte,
    edges_ms,
    find_codes,
)


def rises(*codes: tuple[float, int]) -> np.ndarray:
    return np.concatenate([begin + np.array(edges_ms(number)) / 1e3 for begin, number in codes])


def test_the_check_byte_is_that_of_the_standard() -> None:
    """As tables of CRC-8 have it: entries 0x00, 0x01, 0x80 and 0xFF."""
    assert [check_byte(number) for number in (0x00, 0x01, 0x80, 0xFF)] == [0x00, 0x07, 0x89, 0xF3]


@given(st.integers(0, 2**32 - 1), st.floats(-0.9, 0.9), st.floats(0, 1e6))
def test_any_number_is_read_back(number: int, jitter: float, begin: float) -> None:
    edges = rises((begin, number))
    assert len(edges) == PULSES
    assert edges[-1] - edges[0] <= LONGEST_MS / 1e3
    # Opposite errors of neighbouring edges, so that intervals are off by up to the tolerance.
    edges += np.where(np.arange(PULSES) % 2, 1, -1) * jitter * TOLERANCE_MS / 2e3
    assert [(code.number, code.first) for code in find_codes(edges)] == [(number, 0)]


def test_codes_among_other_pulses_are_found_in_order() -> None:
    edges = np.sort(np.concatenate([rises((5.0, 7), (15.0, 8)), [1.0, 1.1, 12.0, 20.0]]))
    assert [code.number for code in find_codes(edges)] == [7, 8]
    assert edges[find_codes(edges)[1].first] == 15.0


@pytest.mark.parametrize("place", [0, 1, 20, PULSES - 1])
def test_a_code_with_an_edge_lost_or_added_is_passed_over(place: int) -> None:
    edges = rises((0.0, 0xCAFE1234))
    assert find_codes(np.delete(edges, place)) == []
    if place > 0:
        added = np.sort(np.append(edges, edges[place] - ZERO_MS / 2e3))
        assert find_codes(added) == []


def test_a_bit_that_turned_is_noticed() -> None:
    word = edges_ms(1000)
    turned = np.array(word, float)
    turned[2:] += 20 if word[2] - word[1] == ZERO_MS else -20
    assert find_codes(turned / 1e3) == []


def test_nothing_and_noise_hold_no_code() -> None:
    assert find_codes(np.empty(0)) == []
    assert find_codes(np.array([1.0])) == []
    noise = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.12, 20_000))
    assert find_codes(noise) == []


def test_a_pulse_is_over_before_the_next_begins() -> None:
    assert LONGEST_PULSE_MS + TOLERANCE_MS < ZERO_MS
