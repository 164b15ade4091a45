"""The status strip under the picture: a pure function of the state, and the widget that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.delivery import add_up, count_failures, format_counts
from rt_pose.viewer import style
from rt_pose.viewer.flow import FlowLayout
from rt_pose.viewer.messages import LatencySummary, StatsBody
from rt_pose.viewer.text_line import TextLine
from rt_pose.viewer.view_state import ViewState

Severity = Literal["plain", "good", "warn", "bad", "muted"]
MINIMUM_WIDTH_PX = {
    "link": 84,
    "session": 92,
    "outputs": 104,
    "block, trial": 104,
    "marks": 60,
    "age shown": 96,
    "rate": 76,
    "latency P50 / P99": 128,
    "deadlines": 96,
    "dropped": 76,
    "gaps": 52,
}
"""Of each cell, by its caption, in the order of the strip."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One cell of the strip."""

    text: str
    severity: Severity = "plain"
    hint: str = ""


UNKNOWN = Reading("–", "muted")
LONGEST_TEXT = 18
"""Characters of a value."""


def readings(state: ViewState, camera: str, unreadable: int, now_ns: int) -> list[Reading]:
    """Compute the cells of the status strip.

    Parameters
    ----------
    state
        What the viewer knows.
    camera
        Name of the camera that is shown.
    unreadable
        Number of messages that could not be read.
    now_ns
        Host time now, ns.

    Returns
    -------
    list[Reading]
        The cells in the order of `MINIMUM_WIDTH_PX`.
    """
    connected = state.connected(now_ns)
    stats = state.stats
    cells = [_link(state, camera, now_ns), _session(state)]
    cells += [_outputs(stats), _course(stats), _marks(stats), _age(state, camera, now_ns)]
    cells += [_rate(stats), _latency(stats), _deadlines(stats), _dropped(stats), _gaps(state, unreadable)]
    if connected:
        return cells
    # The last values of a publisher that is gone are shown, but not as current.
    return [cells[0], *(Reading(cell.text, "muted", cell.hint) for cell in cells[1:])]


def _link(state: ViewState, camera: str, now_ns: int) -> Reading:
    if state.received_ns is None:
        return Reading("waiting", "warn", "nobody publishes at this address yet")
    if not state.connected(now_ns):
        return Reading("gone", "bad", "nothing heard for 2 s; the window goes on listening")
    if state.pose_received_ns is None:
        return Reading("no frames", "warn", "the publisher is there but has sent no pose yet")
    if state.stale(camera, now_ns):
        return Reading("stale", "bad", "what is shown is older than 500 ms")
    return Reading("live", "good")


def _session(state: ViewState) -> Reading:
    if state.session is None:
        return UNKNOWN
    # The first digits of a time-ordered identifier are the same for weeks; the last ones distinguish.
    return Reading("…" + state.session[-8:], "plain", state.session)


def _outputs(stats: StatsBody | None) -> Reading:
    if stats is None:
        return UNKNOWN
    delivered = add_up(stats.deliveries.values())
    failed = count_failures(delivered)
    decided = sum(n for counts in stats.events.values() for name, n in counts.items() if name == "decided")
    lines = [f"commands: {format_counts(delivered) or 'none answered'}"]
    lines += [f"{decided} decided by rules that withhold; what became of them is told after the run"] * (
        decided > 0
    )
    lines += [f"last failure: {stats.last_failure}"] * bool(stats.last_failure)
    lines += [f"output '{name}' failed: {fault}" for name, fault in stats.output_faults.items()]
    lines += [f"camera '{name}' is gone: {why}" for name, why in stats.cameras_lost.items()]
    lines += [f"camera '{name}' is silent: {why}" for name, why in stats.cameras_silent.items()]
    lines += ["an output failed; which one is told after the run"] * stats.output_failed
    hint = "\n".join(lines)
    if stats.emergency:
        return Reading("EMERGENCY", "bad", f"an emergency stop made all outputs low\n{hint}")
    if failed or stats.output_failed or stats.output_faults:
        return Reading(f"{failed} FAILED" if failed else "FAILED", "bad", hint)
    if stats.cameras_lost or stats.cameras_silent:
        return Reading("CAMERA GONE" if stats.cameras_lost else "CAMERA SILENT", "bad", hint)
    return Reading("ARMED", "warn", hint) if stats.armed else Reading("disarmed", "muted", hint)


def _course(stats: StatsBody | None) -> Reading:
    """The block of the protocol and the trial."""
    if stats is None:
        return UNKNOWN
    if not stats.block:
        return Reading("–", "muted", "no protocol, or it is over")
    text = f"{stats.block}, {stats.trial}" if stats.trial else stats.block
    trial = f"trial {stats.trial}" if stats.trial else "between trials, or without any"
    return Reading(
        text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…",
        "plain",
        f"block {stats.block}\n{trial}",
    )


def _marks(stats: StatsBody | None) -> Reading:
    if stats is None:
        return UNKNOWN
    return Reading(
        str(stats.marks), "plain", f"last note: {stats.last_mark}" if stats.marks else "no notes yet"
    )


def _age(state: ViewState, camera: str, now_ns: int) -> Reading:
    age_ns = state.age_ns(camera, now_ns)
    if age_ns is None:
        return UNKNOWN
    if age_ns < 0:
        return Reading("?", "warn", "the publisher's clock is not this machine's: the age is unknown")
    stale = state.stale(camera, now_ns)
    text = f"{age_ns / NS_PER_MS:.0f} ms" if age_ns < NS_PER_S else f"{age_ns / NS_PER_S:.1f} s"
    return Reading(f"{text} stale" if stale else text, "muted" if stale else "plain")


def _rate(stats: StatsBody | None) -> Reading:
    if stats is None or stats.rate_hz is None:
        return UNKNOWN
    lines = [f"camera '{name}': {n} of {stats.individuals} animals" for name, n in stats.alive.items()]
    return Reading(f"{stats.rate_hz:.1f} Hz", "plain", "\n".join(lines))


def _latency(stats: StatsBody | None) -> Reading:
    if stats is None:
        return UNKNOWN
    lines = [f"{name}: {_milliseconds(summary)}" for name, summary in stats.latency_ms.items() if summary]
    shown = stats.latency_ms.get("image_to_decision")
    if shown is None:
        return Reading("–", "muted", "\n".join(lines))
    return Reading(_milliseconds(shown), "plain", "image to decision\n" + "\n".join(lines))


def _milliseconds(summary: LatencySummary) -> str:
    if summary.p50 is None or summary.p99 is None:
        return "–"
    return f"{summary.p50:.1f} / {summary.p99:.1f} ms"


def _deadlines(stats: StatsBody | None) -> Reading:
    if stats is None or not stats.deadline.n:
        return UNKNOWN
    deadline = stats.deadline
    hint = f"of {deadline.n} frames" + (f", budget {deadline.budget_ms:g} ms" if deadline.budget_ms else "")
    return Reading(f"{deadline.missed} missed", "bad" if deadline.missed else "good", hint)


def _dropped(stats: StatsBody | None) -> Reading:
    if stats is None:
        return UNKNOWN
    total = sum(stats.dropped.values())
    lines = [f"{stage}: {count}" for stage, count in stats.dropped.items()]
    lines += [f"tracks lost: {stats.lost_tracks}", f"records refused: {stats.records_refused}"]
    return Reading(f"{total} frames", "warn" if total or stats.records_refused else "plain", "\n".join(lines))


def _gaps(state: ViewState, unreadable: int) -> Reading:
    bad = state.gaps + unreadable
    hint = f"{state.gaps} messages missed by this window (seq), {unreadable} unreadable"
    return Reading(str(bad), "warn" if bad else "plain", hint)


class StatusStrip(QWidget):
    """A row of cells, a caption over a value; it goes on in further lines where the window is narrow."""

    def __init__(self) -> None:
        super().__init__()
        row = FlowLayout(self, justified=True)
        self.values = {caption: _cell(row, caption, width) for caption, width in MINIMUM_WIDTH_PX.items()}

    def show_readings(self, cells: list[Reading]) -> None:
        """Show one reading a caption.

        Parameters
        ----------
        cells
            In the order of `MINIMUM_WIDTH_PX`.
        """
        colors = style.palette()
        by_severity = {
            "plain": colors.text,
            "good": colors.good,
            "warn": colors.warn,
            "bad": colors.bad,
            "muted": colors.muted,
        }
        for value, cell in zip(self.values.values(), cells, strict=True):
            value.write(cell.text, by_severity[cell.severity], cell.hint)


def _cell(row: FlowLayout, caption: str, width: int) -> TextLine:
    frame = QFrame()
    frame.setObjectName("card")
    frame.setMinimumWidth(width)
    column = QVBoxLayout(frame)
    column.setContentsMargins(9, 4, 9, 5)
    column.setSpacing(0)
    column.addWidget(style.label(caption, "caption"))
    value = TextLine("value")
    value.write("–")
    column.addWidget(value)
    row.addWidget(frame)
    return value
