"""When `auto` takes a lower precision; what speaks against one is tested with the choice of the engine."""

from __future__ import annotations

import pytest

from rt_pose.inference.auto_precision import worth_its_time


@pytest.mark.parametrize(
    ("times", "taken"),
    [
        ({"bf16": 5.5, "mixed": 6.0, "float32": 9.5}, "mixed"),
        ({"bf16": 5.0, "mixed": 6.0, "float32": 9.5}, "bf16"),
        ({"bf16": 9.6, "mixed": 9.5, "float32": 5.9}, "float32"),
        ({"bf16": 5.6, "float32": 5.9}, "float32"),
        ({"float32": 5.9}, "float32"),
    ],
)
def test_a_lower_precision_is_taken_only_where_it_is_clearly_faster(
    times: dict[str, float], taken: str
) -> None:
    assert worth_its_time(times) == taken
