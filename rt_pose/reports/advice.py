"""What a session's figures mean for the next one."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from rt_pose.reports.drift import drift_advice
from rt_pose.session.read import Session

_EXPLANATIONS = {
    "capture": (
        "The loop was busy with an older frame when this one was replaced by a newer: it always takes the "
        "newest, so that a decision is never made on an old picture."
    ),
    "device": (
        "The camera's own counter skipped: these frames never reached the driver (or, of a recording or the "
        "simulated rig, the hand-over came more than a frame late)."
    ),
    "camera": (
        "The camera began these frames and they did not come whole: look at its cable, its bandwidth, its "
        "buffers."
    ),
    "recorder": "They were decided on as usual; only the film lacks them.",
}
MANY_DROPPED, MANY_MISSED = 0.01, 0.01


def drop_explanation(stage: str) -> str:
    """Explain what the loss of a frame at a stage means.

    Parameters
    ----------
    stage
        Stage of a `DropRecord`.

    Returns
    -------
    str
        A sentence; empty for a stage that explains itself.
    """
    return _EXPLANATIONS.get(stage, "")


def advice(session: Session, figures: dict[str, Any]) -> list[str]:
    """Say what a session's figures suggest for the next one.

    Parameters
    ----------
    session
        The session.
    figures
        The content of its `report.json`.

    Returns
    -------
    list[str]
        Sentences, the most pressing first; those that contain commands are `Markup`.
    """
    drift = drift_advice(session, figures["drift"])
    messages = [*_about_speed(figures), *drift, *_about_events(session, figures)]
    for name, found in figures.get("processors", {}).items():
        if found.get("exceptions"):
            messages.append(
                Markup(
                    "Processor {} raised in {} of {} calls: <code>processors/{}.txt</code> has the first "
                    "traceback."
                ).format(name, found["exceptions"], found["calls"], name)
            )
    if not session.info.package.tracking.get("calibrated"):
        messages.append(
            "The tracking parameters are defaults, not fitted to this animal: read the predicted positions "
            "and their uncertainty with care."
        )
    messages.append(
        Markup(
            "<code>rt-pose replay {}</code> makes every decision again from the log and says whether it "
            "comes out the same."
        ).format(session.path)
    )
    if figures["accuracy"] is None:
        messages.append(
            Markup(
                "Nothing here says how right the poses are: label some frames of this camera and look at the "
                "errors that <code>rt-pose train fit</code> reports on them."
            )
        )
    return messages


def _about_speed(figures: dict[str, Any]) -> list[str]:
    frames, due, latency = figures["frames"], figures["deadline"], figures["latency_ms"]
    messages = []
    dropped = frames["dropped"].get("capture", 0)
    if frames["captured"] and dropped / frames["captured"] > MANY_DROPPED:
        messages.append(
            f"{100 * dropped / frames['captured']:.1f} % of the frames were replaced before the loop came to "
            "them: lower the camera's rate, or use a smaller network or input."
        )
    if due["missed"] and due["missed"] / due["n"] > MANY_MISSED:
        messages.append(
            Markup(
                "{:.1f} % of the decisions were late: raise <code>budget_ms</code> if the experiment bears "
                "it, or see above where the time goes."
            ).format(100 * due["missed"] / due["n"])
        )
    engine, bare = latency["engine"], figures["engine"]["bare_forward_ms"]
    if engine and bare and bare.get("p50") and engine["p50"] > 1.25 * bare["p50"]:
        messages.append(
            f"The network took {engine['p50'] / bare['p50']:.2f} times as long as before the run, "
            "alone and back to back: at a camera's pace caches go cold and cores sleep, and whatever else "
            "ran on the machine adds to it."
        )
    return messages


def _about_events(session: Session, figures: dict[str, Any]) -> list[str]:
    messages = []
    reasons = sorted({e.event.reason for e in session.events if e.event.outcome == "suppressed"})
    if reasons:
        messages.append(f"Events were suppressed: {'; '.join(reasons)}.")
    for reason, count in figures["commands"]["why"].items():
        messages.append(f"{count} commands of fired events were not acknowledged: {reason}.")
    never = [rule for rule, counts in figures["events"].items() if not any(counts.values())]
    if never:
        messages.append(f"Never came true: {', '.join(never)}. Compare the condition with the traces above.")
    return messages
