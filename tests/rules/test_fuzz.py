"""A few seconds of the fuzzer (`bench/fuzz_rules.py`): only its own errors come out of the language."""

from __future__ import annotations

from bench.fuzz_rules import fuzz
from rt_pose.clock import HostClock


def test_nothing_is_raised_but_user_errors() -> None:
    result = fuzz(3.0, seed=20, clock=HostClock())
    assert result["findings"] == []
    assert int(str(result["rules"])) > 50
    assert int(str(result["refused"])) > 200
