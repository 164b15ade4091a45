"""The strip's words, where the window's own test does not come by."""

from __future__ import annotations

import support.qt  # noqa: F401 - skips where Qt cannot be loaded

from rt_pose.clock import NS_PER_S
from rt_pose.viewer.messages import LatencySummary, StatsBody, StatsHeader, WireMessage
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


def test_failed_commands_outshout_armed() -> None:
    delivered = {"acknowledged": 4, "refused": 2, "failed": 0, "unknown": 0, "cut": 1}
    failure = "rule 'reach', output 'light': refused: interlock open"
    assert status_lines(with_stats(StatsBody(armed=True)))["outputs"].text == "ARMED"
    stats = StatsBody(armed=True, deliveries={"reach": delivered}, last_failure=failure)
    cell = status_lines(with_stats(stats))["outputs"]
    assert (cell.text, cell.severity) == ("2 FAILED", "bad")
    assert cell.hint == f"commands: 4 acknowledged, 2 refused, 1 cut\nlast failure: {failure}"


def test_what_the_operator_cut_is_no_failure() -> None:
    cell = status_lines(with_stats(StatsBody(deliveries={"reach": {"acknowledged": 1, "cut": 3}})))["outputs"]
    assert (cell.text, cell.severity) == ("disarmed", "muted")


def test_of_a_rule_that_withholds_a_failure_is_shown_without_its_event() -> None:
    events = {"reach": {"decided": 9, "suppressed": 1}}
    quiet = status_lines(with_stats(StatsBody(armed=True, events=events)))["outputs"]
    assert quiet.text == "ARMED"
    assert "9 decided" in quiet.hint
    cell = status_lines(with_stats(StatsBody(armed=True, events=events, output_failed=True)))["outputs"]
    assert (cell.text, cell.severity) == ("FAILED", "bad")
    assert cell.hint == f"{quiet.hint}\nan output failed; which one is told after the run"


def test_an_emergency_stop_is_not_only_grey() -> None:
    cell = status_lines(with_stats(StatsBody(emergency=True)))["outputs"]
    assert (cell.text, cell.severity) == ("EMERGENCY", "bad")


def test_a_silent_camera_is_told_and_one_that_is_gone_comes_first() -> None:
    silent = {"top": "no whole frame came for 1.0 s"}
    cell = status_lines(with_stats(StatsBody(cameras_silent=silent)))["outputs"]
    assert (cell.text, cell.severity) == ("CAMERA SILENT", "bad")
    assert cell.hint.endswith("camera 'top' is silent: no whole frame came for 1.0 s")
    both = StatsBody(cameras_silent=silent, cameras_lost={"side": "unplugged"})
    assert status_lines(with_stats(both))["outputs"].text == "CAMERA GONE"


def test_block_trial_and_notes() -> None:
    cells = status_lines(with_stats(StatsBody(block="day", trial=3, marks=2, last_mark="water <given>")))
    assert (cells["block, trial"].text, cells["marks"].text) == ("day, 3", "2")
    assert cells["marks"].hint == "last note: water <given>"
    assert status_lines(with_stats(StatsBody()))["block, trial"].text == "–"


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
