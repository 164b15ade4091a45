"""The strip's words, where the window's own test does not come by."""

from __future__ import annotations

import support.qt  # noqa: F401 - skips where Qt cannot be loaded

from rt_pose.clock import NS_PER_S
from rt_pose.viewer.messages import AckBody, AckHeader, LatencySummary, StatsBody, StatsHeader, WireMessage
from rt_pose.viewer.status import MINIMUM_WIDTH_PX, UNKNOWN, Reading, readings
from rt_pose.viewer.view_state import ViewState


def status_lines(state: ViewState, now_ns: int = 0, unreadable: int = 0) -> dict[str, Reading]:
    return dict(zip(MINIMUM_WIDTH_PX, readings(state, "top", unreadable, now_ns), strict=True))


def with_stats(stats: StatsBody) -> ViewState:
    state = ViewState()
    header = StatsHeader(v=1, session="0190f1e2-7a3b-7c4d-8e5f-a1b2c3d4e5f6", seq=0, t_pub_ns=0, stats=stats)
    state.apply(WireMessage("stats", "stats", "", header, header), 0)
    return state


def test_nothing_is_made_up_before_it_is_known() -> None:
    cells = status_lines(ViewState())
    assert cells["link"].text == "waiting"
    assert {cells[name].text for name in MINIMUM_WIDTH_PX if name not in ("link", "gaps")} == {UNKNOWN.text}


def test_a_publisher_without_frames() -> None:
    cells = status_lines(with_stats(StatsBody()))
    assert cells["link"].text == "no frames"
    assert (cells["outputs"].text, cells["deadlines"]) == ("disarmed", UNKNOWN)
    assert cells["session"].text == "…c3d4e5f6"


def test_a_failed_command_outshouts_armed() -> None:
    state = with_stats(StatsBody(armed=True))
    assert status_lines(state)["outputs"].text == "ARMED"
    ack = AckHeader(
        v=1, session=state.session or "", seq=0, t_pub_ns=0, ack=AckBody(ok=False, output="light")
    )
    state.apply(WireMessage("ack/light/", "ack", "light", ack, ack), 0)
    cell = status_lines(state)["outputs"]
    assert (cell.text, cell.severity) == ("1 FAILED", "bad")
    assert "light" in cell.hint


def test_latency_is_percentiles() -> None:
    summary = LatencySummary(n=9, p50=3.14, p99=8.88)
    cell = status_lines(
        with_stats(StatsBody(latency_ms={"image_to_decision": summary, "decision_to_ack": None}))
    )
    assert cell["latency P50 / P99"].text == "3.1 / 8.9 ms"
    assert (
        status_lines(with_stats(StatsBody(latency_ms={"image_to_decision": None})))["latency P50 / P99"].text
        == "–"
    )


def test_what_a_vanished_publisher_said_is_greyed() -> None:
    state = with_stats(StatsBody(armed=True, rate_hz=99.5))
    cells = status_lines(state, now_ns=3 * NS_PER_S)
    assert (cells["link"].text, cells["rate"].text) == ("gone", "99.5 Hz")
    assert {cells[name].severity for name in list(MINIMUM_WIDTH_PX)[1:]} == {"muted"}


def test_what_cannot_be_read_counts_beside_the_gaps() -> None:
    cell = status_lines(with_stats(StatsBody()), unreadable=3)["gaps"]
    assert (cell.text, cell.severity) == ("3", "warn")
