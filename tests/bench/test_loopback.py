"""The benchmark of the loop back, small: one pair on the simulated rig, and its table."""

from __future__ import annotations

import pytest

from bench.loopback import Options, measure_all, text
from rt_pose.clock import NS_PER_MS


def test_one_rate_and_one_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value_ms in (("FIND_ON_NS", 250), ("FIND_OFF_NS", 250), ("FIND_SETTLED_NS", 120)):
        monkeypatch.setattr(f"rt_pose.loop.loopback.{name}", value_ms * NS_PER_MS)
    figures = measure_all(Options(rates=[200.0], delays_ms=[5.0], flashes=4))
    (row,) = figures["rows"]
    assert row["to_light_ms"]["n"] + row["missed"] == 4
    assert row["to_arrival_ms"]["p50"] > row["to_light_ms"]["p50"] > 0
    shown = text(figures)
    assert "| 200" in shown
    assert ("Every median" in shown) == figures["held"]
