"""What the panels say, before it is painted: rules, alerts, latencies, what lies under the mouse."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.clock import NS_PER_S
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.zones import Circle, Line
from rt_pose.viewer.alerts import alerts
from rt_pose.viewer.histogram import BINS, count_latencies, nice_ceiling
from rt_pose.viewer.hover import describe_keypoint, describe_zone, nearest_keypoint, zone_under
from rt_pose.viewer.messages import DriftBody, EventBody, PoseHeader, PoseMessage, StatsBody
from rt_pose.viewer.rule_rows import rule_rows


def event(rule: str, outcome: str, ago_s: float, **more: object) -> EventBody:
    return EventBody(rule=rule, outcome=outcome, t_cause_ns=round((100 - ago_s) * NS_PER_S), **more)  # type: ignore[arg-type]


def test_ticks_stand_at_their_cause_in_the_row_of_their_rule() -> None:
    events = [
        event("a", "fired", 11.0),
        event("a", "fired", 4.0),
        event("a", "suppressed", 3.0, reason="refractory", block="day", trial=4),
        event("unknown", "fired", 2.0),
        EventBody(rule="b", outcome="decided", t_judged_ns=99 * NS_PER_S),
        EventBody(rule="b", outcome="decided"),
    ]
    stats = StatsBody(
        events={"a": {"fired": 9, "withheld": 0, "suppressed": 1}, "b": {"decided": 2, "suppressed": 0}},
        deliveries={"a": {"acknowledged": 7, "refused": 2, "cut": 1}},
    )
    a, b = rule_rows(["a", "b"], events, stats, 100 * NS_PER_S, (-10.0, 0.0))
    assert a.ticks == [(-4.0, "fired"), (-3.0, "suppressed")]
    assert (a.counts, a.failed) == ("9f 1s 2!", True)
    assert a.hint.splitlines() == [
        "a",
        "9 fired, 1 suppressed, 2 FAILED",
        "last: a suppressed (refractory), block day, trial 4",
    ]
    assert (b.ticks, b.counts, b.failed) == ([(-1.0, "decided")], "2d", False)


def test_alerts_name_what_must_be_seen_and_nothing_that_unblinds() -> None:
    assert alerts(None) == alerts(StatsBody(armed=True)) == []
    lines = alerts(
        StatsBody(
            emergency=True,
            output_faults={"laser": "gone"},
            output_failed=True,
            cameras_lost={"top": "unplugged"},
            cameras_silent={"side": "no whole frame came for 1.0 s"},
            deliveries={"a": {"acknowledged": 3, "refused": 1}},
            last_failure="rule 'a', output 'laser': refused: interlock",
            records_refused=2,
            drift={"top": DriftBody(["pose", "confidence"], 1), "side": DriftBody([], 3)},
        )
    )
    assert [line.split(":")[0] for line in lines] == [
        "EMERGENCY STOP",
        "output 'laser' FAILED",
        "an output FAILED; which one is told after the run",
        "camera 'top' is GONE",
        "camera 'side' is SILENT",
        "1 of 4 commands FAILED; last",
        "camera 'top'",
        "2 records did not reach the session's log",
    ]
    assert lines[-2].endswith("calibrated on (pose-PCA error and confidence)")


def test_latencies_are_counted_against_the_budget() -> None:
    values = np.array([4.0, 5.0, 6.0, np.nan, 14.0, 400.0], np.float32)
    found = count_latencies(values, 12.0)
    assert found is not None
    assert (found.n, found.over) == (5, 2)
    assert found.counts.sum() == 5
    assert found.end_ms >= 12.0
    assert found.counts[min(int(14.0 * BINS / found.end_ms), BINS - 1)] >= 1
    assert found.p50_ms == 6.0
    assert count_latencies(values[3:4], 12.0) is None
    far = count_latencies(values[:3], 5000.0)
    assert far is not None
    assert far.end_ms < 10.0, "a budget far away would make the bars one"


@pytest.mark.parametrize(
    ("value", "ceiling"),
    [(0.0, 1.0), (-3.0, 1.0), (float("nan"), 1.0), (1.0, 1.0), (1.2, 1.5), (55, 70), (99, 100), (100.1, 150)],
)
def test_scales_end_on_round_numbers(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == pytest.approx(ceiling)


def test_the_mouse_is_told_in_mm_where_the_rig_knows_them() -> None:
    header = PoseHeader(v=1, session="s", seq=0, t_pub_ns=0, frame=0, shape=(2, 1, 8), fields=[])
    pose = PoseMessage(
        header,
        np.array([[[10.0, 20.0]], [[np.nan, np.nan]]], np.float32),
        np.full((2, 1, 3), 4.0, np.float32),
        np.array([[[30.0, 40.0]]] * 2, np.float32),
        np.array([[False], [True]]),
        np.full((2, 1), 0.75, np.float32),
    )
    assert nearest_keypoint(pose, 12.0, 20.0, 3.0) == (0, 0)
    assert nearest_keypoint(pose, 14.0, 20.0, 3.0) is None
    geometry = Geometry(np.diag([0.5, 0.5, 1.0]))
    assert describe_keypoint(pose, 0, 0, ["nose"], None).splitlines() == [
        "individual 0: nose", "10.0, 20.0 px ± 2 px", "speed 50 px/s", "confidence 0.75"
    ]  # fmt: skip
    in_mm = describe_keypoint(pose, 0, 0, ["nose"], geometry)
    assert "5.0, 10.0 mm ± 1 mm" in in_mm
    assert "speed 25 mm/s" in in_mm


def test_the_zone_under_the_mouse() -> None:
    circle, line = Circle(10.0, 10.0, 5.0), Line(0.0, 30.0, 20.0, 30.0)
    placed = {"round": (circle, circle.outline()), "gate": (line, line.outline())}
    assert zone_under(placed, 12.0, 10.0, 2.0) == "round"
    assert zone_under(placed, 10.0, 31.0, 2.0) == "gate"
    assert zone_under(placed, 10.0, 40.0, 2.0) == ""
    assert describe_zone("round", circle) == "round: circle at 10, 10, radius 5 px"
    assert describe_zone("gate", line) == "gate: line (0, 30), (20, 30) px"
