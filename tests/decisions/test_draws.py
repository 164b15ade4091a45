"""What is drawn stays what it was: sessions replay by it."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from rt_pose.decisions.decide import is_withheld
from rt_pose.decisions.draws import digest, draw
from rt_pose.decisions.protocol import shuffled


def test_a_draw_is_a_hash_of_its_cause() -> None:
    expected = blake2b(b"7/reach/top/0/41", digest_size=8).digest()
    assert digest(7, "reach", "top", 0, 41) == expected
    assert draw(7, "reach", "top", 0, 41) == int.from_bytes(expected, "little") / 2**64


def test_controls_and_orders_are_those_of_every_session_before() -> None:
    withheld = [i for i in range(40) if is_withheld(3, "reach", "top", 0, i, 0.2)]
    assert withheld == [2, 6, 7, 13, 18, 23, 25, 28, 29, 31, 35, 39]
    assert shuffled(8, 3) == [0, 6, 3, 2, 4, 5, 7, 1]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_draws_are_even(share: float) -> None:
    below = sum(draw(seed, "x", i) < share for seed in range(20) for i in range(500)) / 10_000
    assert below == pytest.approx(share, abs=0.02)
