"""The first figures of a report as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rt_pose.audit.untriggered_rules import format_untriggered
from rt_pose.delivery import format_counts
from rt_pose.reports.individuals import individual_rows
from rt_pose.reports.render import UNKNOWN
from rt_pose.reports.views import view_lines

MANY_REPLACED = 0.1
"""Share of dropped frames above which the reason is given."""

UNARMED = (
    "nothing fires before the outputs are armed: `rt-pose order arm`, or `armed_at_start: true` on simulated "
    "ones"
)


def format_summary(figures: dict[str, Any]) -> str:
    """Format a report's first figures for the terminal.

    Parameters
    ----------
    figures
        The content of a `report.json`.

    Returns
    -------
    str
        A few indented lines.
    """
    lines = [
        *(*_frames(figures["frames"]), *_latency(figures), *_events(figures)),
        *(*_drift(figures), *_processors(figures), *_individuals(figures)),
        *view_lines(figures.get("views", {})),
    ]
    accuracy = figures["accuracy"]
    if accuracy and accuracy["n"]:
        lines.append(f"accuracy: median {accuracy['median_px']:.2f} px over {accuracy['n']} keypoints")
    return "\n".join(f"     {line}" for line in lines)


def _frames(frames: dict[str, Any]) -> Iterator[str]:
    dropped = ", ".join(f"{stage} {n}" for stage, n in frames["dropped"].items()) or "none"
    yield (
        f"frames: {frames['captured']} captured, {frames['processed']} decided on, dropped: {dropped}, "
        f"skipped before they were handed over: {frames['device_gaps']}"
    )
    for name, camera in frames["cameras"].items():
        if camera["silences"]:
            yield f"camera {name} fell silent, and disarmed the run: {camera['silences']} in all"
    if frames["dropped"].get("capture", 0) > MANY_REPLACED * frames["captured"]:
        yield "the camera gives more frames than can be decided on here: each decision takes the newest one"


def _latency(figures: dict[str, Any]) -> Iterator[str]:
    latency, due = figures["latency_ms"], figures["deadline"]
    for name in ("exposure to decision", "image to decision"):
        decision = latency[name.replace(" ", "_")]
        if decision:
            late = ""
            if due["missed"] is not None:
                late = f"; later than {due['budget_ms']:g} ms: {due['missed']} of {due['n']}"
            yield f"{name}: P50 {decision['p50']:.2f} ms, P99 {decision['p99']:.2f} ms{late}"
            return


def _events(figures: dict[str, Any]) -> Iterator[str]:
    commands = figures["commands"]
    for rule, counts in figures["events"].items():
        delivered = format_counts(commands["by_rule"].get(rule, {}))
        reasons = figures["suppressed"].get(rule, {})
        why_not = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
        became = {o: f" ({said})" for o, said in (("fired", delivered), ("suppressed", why_not)) if said}
        outcomes = (f"{n} {outcome}{became.get(outcome, '')}" for outcome, n in counts.items())
        yield f"rule {rule}: " + ", ".join(outcomes)
        if not counts["fired"] and "disarmed" in reasons:
            yield UNARMED
    if commands["failed"]:
        why = "; ".join(f"{reason} ({n})" for reason, n in commands["why"].items())
        yield f"FAILED: {commands['failed']} stimuli: {why or 'no answer was logged'}"
    for rule, found in (figures["silent_rules"] or {}).items():
        yield f"rule {rule} never came true; {format_untriggered(found)}"


def _drift(figures: dict[str, Any]) -> Iterator[str]:
    for camera, found in figures["drift"]["cameras"].items():
        if found["alarms"]:
            times = f" ({found['alarms']} times)" if found["alarms"] > 1 else ""
            yield f"DRIFT, camera {camera}: the poses left what the model was calibrated on{times}"


def _processors(figures: dict[str, Any]) -> Iterator[str]:
    for name, found in figures.get("processors", {}).items():
        if "calls" in found:  # not of a run that was killed
            raised = f", {found['exceptions']} raised" if found["exceptions"] else ""
            yield f"processor {name}: {found['calls']} calls, {found['skipped']} poses skipped{raised}"


def _individuals(figures: dict[str, Any]) -> Iterator[str]:
    for name, tracked, began, lowest, _, exchanges, _ in individual_rows(figures.get("individuals", [])):
        stated = "" if lowest == UNKNOWN else f", probability that it is who it was at least {lowest}"
        course = f"tracked in {tracked} of the frames, began {began}{stated}, exchanges {exchanges}"
        yield f"individual {name}: {course}"
