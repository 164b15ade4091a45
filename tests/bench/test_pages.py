"""Pages of the benchmarks, from recorded results: whole, alone, escaped, and there where parts are absent."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.html_page import ESCAPED, NASTY, check_escaped, check_page

from bench.accuracy import page as accuracy
from bench.gpu import page as gpu
from bench.latency import page as latency
from bench.latency.table import table
from bench.openfield import page as openfield
from bench.probability import page as probability
from bench.tables import Table, tables_page, tables_text
from bench.tracking import page as tracking

RESULTS = Path(__file__).resolve().parent.parent.parent / "bench" / "results"
DRAWN = {
    "seconds": np.array([0.0, 0.1, 0.2, 9.0, 9.1]),
    "to_decision_ms": np.array([3.0, 4.0, np.nan, 3.5, 3.0]),
    "bare": [(-0.5, 2.0), (9.5, 2.1)],
    "drops_s": [0.15],
    "drops": [("capture", NASTY, 2)],
}


def recorded(name: str) -> dict[str, Any]:
    """A result with a processor whose name would break a page."""
    found = json.loads((RESULTS / f"{name}.json").read_text())
    found["machine"]["cpu"] = NASTY
    return dict(found)


@pytest.mark.parametrize(
    ("page", "name"),
    [
        (accuracy.page, "2026-11-25-accuracy"),
        (openfield.page, "2026-11-25-openfield"),
        (probability.page, "2026-11-24-probability"),
        (tracking.page, "2026-11-24-tracking"),
        (lambda found: latency.page(found, DRAWN), "2026-11-25-latency"),
        (lambda found: latency.page(found, DRAWN), "2026-11-25-latency-sustainable"),
    ],
)
def test_a_recorded_result_has_a_page(page: Callable[[dict[str, Any]], str], name: str) -> None:
    text = page(recorded(name))
    check_escaped(text)
    assert text.count('class="plot"') >= 1
    assert text.count("<section>") >= 4


def test_of_latency_absent_parts_are_not_measured() -> None:
    found = recorded("2026-11-25-latency")
    found["latency_ms"] = dict.fromkeys(found["latency_ms"]) | {
        "image_to_decision": found["latency_ms"]["image_to_decision"]
    }
    found["stages_ms"] = dict.fromkeys(found["stages_ms"])
    found["deadline"] |= {"missed": None}
    found["session"]["started_utc_ns"] = None
    found["bench"]["p99_over_p50"] = dict.fromkeys(found["bench"]["p99_over_p50"])
    text = latency.page(found, DRAWN | {"drops": [], "drops_s": []})
    check_page(text)
    assert text.count("not measured") > 6
    assert "deadlines missed" not in text


def test_the_terminals_table_of_latency_has_every_figure() -> None:
    found = recorded("2026-11-25-latency")
    found["latency_ms"]["decision_to_ack"] = None
    lines = table(found).splitlines()
    p50 = found["latency_ms"]["image_to_decision"]["p50"]
    (row,) = [line for line in lines if line.startswith("| image to decision ")]
    assert row.split("|")[3].strip() == f"{p50:.2f}"
    (row,) = [line for line in lines if line.startswith("| decision to ack ")]
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["-"] * 6
    assert len({len(line) for line in lines if line.startswith("|")}) == 1


def test_of_probability_what_was_not_compared_is_a_dash() -> None:
    found = recorded("2026-11-24-probability")
    part = found["parts"] = copy.deepcopy(found["parts"][:1])
    case = part[0]["cases"][0]
    part[0]["cases"] = [case]
    case["name"], case["compared"] = NASTY, case["compared"][:1]
    case["compared"][0]["difference"] = {key: {"mean": None} for key in ("miss_share", "delay_ms")}
    for points in case["curves"].values():
        for point in points:
            point["delay_p50_ms"] = float("nan")
    text = probability.page(found)
    check_escaped(text)
    assert text.count("<td>–</td>") == 3
    assert text.count('class="plot"') == 1, "no delays, no plot of them"
    assert probability.text(found).count("| ") > 10


def test_parts_that_were_not_measured_are_no_tables() -> None:
    bare = {"machine": {"cpu": NASTY, "cores_usable": 1}}
    assert "<table>" not in tracking.page(bare)
    check_escaped(tracking.page(bare))
    nothing = {"quick": False, "sections": {NASTY: {"rows": [], "failed": "", "seconds": 1}}}
    check_escaped(gpu.page(nothing))


def test_a_table_is_one_thing_in_a_document_and_on_a_page() -> None:
    table = Table("One", ["name", "figure"], [[NASTY, "**1.0**"]], "What it is.")
    assert tables_text("All", ["Here."], [table]).splitlines() == [
        *("# All", "", "Here.", "", "## One", "", "What it is.", ""),
        "| name  |  figure |",
        "|-------|---------|",
        '| <b>&" | **1.0** |',
    ]
    text = tables_page("All", ["Here."], [table], [("Drawn", "<svg>")], [(NASTY, "red")])
    check_page(text)
    assert f"<td>{ESCAPED}</td><td><b>1.0</b></td>" in text
    assert "&lt;svg&gt;" in text, "text is no plot"
