from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.compare import compare, read_earlier
from rt_pose.errors import UserError

MACHINE = {"cpu": "Some CPU", "cores_usable": 2, "features": ["avx2"], "arch": "x86_64", "memory_gib": 8}


def figures(p50: float, **changes: Any) -> dict[str, Any]:
    row = {"n": 100, "p50": p50, "p90": 2 * p50, "p99": 3 * p50, "p99_9": None, "max": 4 * p50}
    return {
        "machine": MACHINE,
        "latency_ms": {"image_to_decision": row, "overhead": {**row, "p50": -0.1}, "loop": None},
        "stages_ms": {"track": row},
        "engine": {"backend": "openvino", "precision": "bf16", "threads": 2, "preprocess": "torch"},
        "package": {"sha256": "a"},
        "versions": {"numpy": "2"},
    } | changes


def test_ratios_are_now_over_then() -> None:
    found = compare(figures(6.0), figures(4.0), "then.json")
    assert found["ratios"]["image_to_decision"] == {
        "p50": 1.5,
        "p90": 1.5,
        "p99": 1.5,
        "p99_9": None,
        "max": 1.5,
    }
    assert found["ratios"]["stage track"]["p99"] == 1.5
    assert "loop" not in found["ratios"]
    assert found["notes"] == []


def test_an_overhead_under_nought_has_no_ratio() -> None:
    assert compare(figures(6.0), figures(4.0), "f")["ratios"]["overhead"]["p50"] is None


def test_another_machine_is_told_with_both_names() -> None:
    other = {**MACHINE, "cpu": "Another CPU", "cores_usable": 8}
    (note,) = compare(figures(6.0), figures(4.0, machine=other), "f")["notes"]
    assert "different machines" in note
    assert "Some CPU, 2 cores" in note
    assert "Another CPU, 8 cores" in note
    assert compare(figures(6.0), figures(4.0, machine={**MACHINE, "memory_gib": 16}), "f")["notes"] == []


def test_what_else_differs_is_told() -> None:
    engine = {"backend": "openvino", "precision": "float32", "threads": 2, "preprocess": "torch"}
    (note,) = compare(figures(6.0), figures(4.0, engine=engine), "f")["notes"]
    assert note == "different engine: precision bf16; that one: precision float32"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file"),
        ("{", "not JSON"),
        ("[]", "no `latency_ms`"),
        ('{"latency_ms": 1}', "no `machine`"),
    ],
)
def test_a_file_that_holds_no_run_is_refused(tmp_path: Path, content: str | None, expected: str) -> None:
    file = tmp_path / "latency.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=expected):
        read_earlier(file)


def test_the_result_kept_in_the_repository_can_be_compared_with() -> None:
    earlier = read_earlier(Path(__file__).parents[2] / "bench" / "results" / "2026-11-23-latency.json")
    found = compare(earlier, json.loads(json.dumps(earlier)), "f")
    assert found["notes"] == []
    assert found["ratios"]["image_to_decision"]["p50"] == 1.0
