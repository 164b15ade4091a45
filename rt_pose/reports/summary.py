"""The first figures of a report as lines for the terminal."""

from __future__ import annotations

from typing import Any

from rt_pose.audit.untriggered_rules import format_untriggered

MANY_REPLACED = 0.1
"""Share of dropped frames above which the reason is given."""


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
    frames, latency, due = figures["frames"], figures["latency_ms"], figures["deadline"]
    dropped = ", ".join(f"{stage} {n}" for stage, n in frames["dropped"].items()) or "none"
    lines = [
        f"frames: {frames['captured']} captured, {frames['processed']} decided on, dropped: {dropped}, "
        f"skipped before they were handed over: {frames['device_gaps']}"
    ]
    replaced = frames["dropped"].get("capture", 0)
    if replaced > MANY_REPLACED * frames["captured"]:
        lines.append(
            "the camera gives more frames than can be decided on here: each decision takes the newest one"
        )
    decision = latency["exposure_to_decision"] or latency["image_to_decision"]
    if decision:
        lines.append(
            f"exposure to decision: P50 {decision['p50']:.2f} ms, P99 {decision['p99']:.2f} ms; later than "
            f"{due['budget_ms']:g} ms: {due['missed']} of {due['n']}"
        )
    for rule, counts in figures["events"].items():
        lines.append(f"rule {rule}: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.items()))
    for rule, found in (figures["silent_rules"] or {}).items():
        lines.append(f"rule {rule} never came true; {format_untriggered(found)}")
    accuracy = figures["accuracy"]
    if accuracy:
        lines.append(f"accuracy: median {accuracy['median_px']:.2f} px over {accuracy['n']} keypoints")
    return "\n".join(f"     {line}" for line in lines)
