from __future__ import annotations

import pytest

from bench.sustainable import MAX_RATES, WIDTH, bisect_rate, two_of_three


@pytest.mark.parametrize("limit", [7.0, 40.0, 88.0, 119.0])
def test_the_search_closes_in_on_the_limit(limit: float) -> None:
    tried: list[float] = []

    def holds(rate_hz: float) -> bool:
        tried.append(rate_hz)
        return rate_hz <= limit

    held, failed = bisect_rate(holds, 120.0)
    assert held is not None
    assert held <= limit < failed
    assert len(tried) <= MAX_RATES
    assert len(tried) == MAX_RATES or failed - held <= WIDTH * failed


def test_where_nothing_holds_there_is_no_rate() -> None:
    held, failed = bisect_rate(lambda rate_hz: False, 100.0)
    assert held is None
    assert failed < 2.0


@pytest.mark.parametrize(
    ("goes", "agreed", "taken"),
    [
        ([True, True], True, 2),
        ([False, False], False, 2),
        ([True, False, True], True, 3),
        ([False, True, False], False, 3),
    ],
)
def test_two_goes_of_three_must_agree(goes: list[bool], agreed: bool, taken: int) -> None:
    left = list(goes)
    assert two_of_three(lambda: left.pop(0)) is agreed
    assert len(goes) - len(left) == taken
