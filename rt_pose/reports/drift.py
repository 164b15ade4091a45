"""Whether a session's poses were like those that its model was calibrated on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from rt_pose.session.read import Session
from rt_pose.tracking.drift_statistics import format_statistics


def drift_figures(session: Session) -> dict[str, Any]:
    """Collect what the drift detector found.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Any]
        `cameras`: by name, what the loop summed up; `not_compared`: why there is nothing, empty where there
        is.
    """
    cameras = _logged(session)
    why = "" if cameras else _why_nothing(session)
    if cameras and all(found["compared_s"] == 0 for found in cameras.values()):
        why = "the run was too short"
    return {"cameras": cameras, "not_compared": why}


def _logged(session: Session) -> dict[str, dict[str, Any]]:
    """The loop's last words, or, of a session that was cut, its last `stats`, which have no times."""
    newest = session.stats[-1].stats if session.stats else {}
    found = (session.end.counts if session.end else newest).get("drift", {})
    return {
        name: {"compared_s": None, "in_alarm_s": None, "episodes": [], **one} for name, one in found.items()
    }


def _why_nothing(session: Session) -> str:
    info = session.info
    if info.config.get("drift") == "off":
        return "it was switched off (drift: off)"
    if info.package.drift is None and not any(model.drift for model in info.own_models.values()):
        return (
            "the model package does not say what is usual; rt-pose train calibrate --model PACKAGE "
            "--video RECORDING adds it"
        )
    return "the log does not hold it"


def drift_rows(figures: dict[str, Any]) -> Iterator[list[str]]:
    """List the alarms.

    Parameters
    ----------
    figures
        What `drift_figures` returned.

    Yields
    ------
    list[str]
        Camera, when it came, when it was over, and what gave alarm.
    """
    for camera, found in figures["cameras"].items():
        for episode in found["episodes"]:
            end_s = episode["end_s"]
            over = "lasted to the end" if end_s is None else f"{end_s:.1f} s"
            yield [camera, f"{episode['start_s']:.1f} s", over, format_statistics(episode["statistics"])]


def drift_advice(session: Session, figures: dict[str, Any]) -> Iterator[str]:
    """Say what to do about drift.

    Parameters
    ----------
    session
        The session.
    figures
        What `drift_figures` returned.

    Yields
    ------
    str
        Sentences; those that contain commands are `Markup`.
    """
    alarmed = [camera for camera, found in figures["cameras"].items() if found["alarms"]]
    if alarmed:
        yield Markup(
            "The poses of {} left what the model was calibrated on: compare the film with an earlier one "
            "(light, lens, place of the camera, animal). If the change is to stay, label frames of this "
            "session, <code>rt-pose improve {} --out FOLDER</code>, train on, and calibrate again with a "
            "recording of it."
        ).format(", ".join(alarmed), session.path)
