"""What a session says of its machine is right, and its name sorts by time."""

from __future__ import annotations

import json
import os
import sys
import uuid

import numpy as np

from rt_pose.clock import FakeClock
from rt_pose.session.describe import machine, uuid7, versions


def test_machine() -> None:
    found = machine()
    json.dumps(found)
    assert found["cores_logical"] == os.cpu_count()
    assert found["memory_gib"] > 0.1
    assert found["cpu"]
    assert isinstance(found["features"], list)


def test_versions() -> None:
    found = versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == np.__version__
    assert found["rt-pose"]


def test_uuid7_sorts_by_time_and_is_a_uuid() -> None:
    clock = FakeClock()
    names = []
    for _ in range(50):
        names.append(uuid7(clock))
        clock.advance_ms(1)
    assert names == sorted(names)
    assert len({uuid7(clock) for _ in range(50)}) == 50
    parsed = uuid.UUID(names[0])
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == 1_700_000_000_000
