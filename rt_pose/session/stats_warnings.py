"""Warnings that follow from a run's stats: failing outputs, lost and silent cameras, drift, moved cameras."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rt_pose.config.schema import RunConfig
from rt_pose.outputs.output_thread import FAILED
from rt_pose.tracking.drift_statistics import format_statistics

DRIFT_WARNINGS = 3
"""So many alarms of the drift detector are told as they come, of each camera; all are in the report."""
HIDDEN_FAILURE = (
    "an output failed; which one, and at which event, is told after the run, because a rule withholds on it"
)


class StatsWarnings:
    """Compares each stats message with the one before, so that each thing is said when it changes."""

    def __init__(self, config: RunConfig) -> None:
        """Begin with nothing wrong.

        Parameters
        ----------
        config
            The run.
        """
        self._config = config
        self._output_faults: dict[str, str] = {}
        self._lost_cameras: dict[str, str] = {}
        self._silent_cameras: dict[str, str] = {}
        self._silences: dict[str, int] = {}
        self._drifting: dict[str, bool] = {}
        self._off: dict[str, list[str]] = {}
        """By group of views, the cameras that are off."""
        self._stimulus_failed = self._hidden_output_failed = False
        self._explained_failure = ""
        """A failed stimulus of an output whose fault has been told."""
        self._notices: dict[str, int] = {}
        """By output or input, how many notices have been told."""

    def compare(self, stats: dict[str, Any], session: Path | None) -> Iterator[str]:
        """Find what is new.

        Parameters
        ----------
        stats
            The content of the `stats` topic.
        session
            The session's folder; None where nothing is recorded.

        Yields
        ------
        str
            A warning.
        """
        yield from self._outputs(stats)
        yield from self._cameras(stats["cameras_lost"])
        yield from self._silences_of(stats)
        yield from self._drift(stats["drift"], session)
        yield from self._views(stats.get("views", {}))

    def _outputs(self, stats: dict[str, Any]) -> Iterator[str]:
        """What needs attention at once: a failed output or stimulus, a line that a box dropped."""
        faults = stats["output_faults"]
        for name, fault in faults.items():
            if name not in self._output_faults:
                again = self._config.outputs[name].recovery.attempts > 0
                until = "until it works again" if again else "from now on"
                yield f"output '{name}' failed: {fault}; its commands are refused {until}"
        failure = stats["last_failure"]
        if any(f"output '{name}':" in failure for name in faults):
            self._explained_failure = failure  # by the fault
        elif failure not in ("", self._explained_failure) and not self._stimulus_failed:
            self._stimulus_failed = True
            yield f"a stimulus failed: {failure}; further ones are counted"
        if stats["output_failed"] and not self._hidden_output_failed:
            yield HIDDEN_FAILURE
        yield from self._new_notices(stats["notices"], {f"output '{name}'" for name in faults})
        self._output_faults, self._hidden_output_failed = faults, stats["output_failed"]

    def _new_notices(self, notices: dict[str, tuple[int, str]], failed: set[str]) -> Iterator[str]:
        """What outputs and inputs report, but for the faults of outputs, which are told as such."""
        for who, (count, text) in notices.items():
            new = count - self._notices.get(who, 0)
            self._notices[who] = count
            if new and not (who in failed and text.startswith(FAILED)):
                yield f"{who}: {text}" + (f" (the log has {new - 1} more of it)" if new > 1 else "")

    def _cameras(self, lost: dict[str, str]) -> Iterator[str]:
        """A camera that is gone, and that it is back."""
        for name, why in lost.items():
            if name not in self._lost_cameras:
                within = self._config.cameras[name].reconnect
                yield (
                    f"camera '{name}' is gone: {why}; disarmed, outputs are safe; it is opened again for "
                    f"{within}"
                )
        for name in self._lost_cameras.keys() - lost.keys():
            yield f"camera '{name}' is back; `arm` lets rules fire again"
        self._lost_cameras = lost

    def _silences_of(self, stats: dict[str, Any]) -> Iterator[str]:
        """A camera that has fallen silent, and that it delivers again."""
        now, times = stats["cameras_silent"], stats["silences"]
        for name, count in times.items():
            if count == self._silences.get(name, 0):
                continue
            if name in now:
                said = f"is silent: {now[name]}; disarmed, outputs are safe; it goes on with its next frame"
            else:
                said = "was silent for a moment; disarmed, outputs are safe; `arm` lets rules fire again"
            yield f"camera '{name}' {said}"
        for name in self._silent_cameras.keys() - now.keys() - stats["cameras_lost"].keys():
            yield f"camera '{name}' delivers again; `arm` lets rules fire again"
        self._silent_cameras, self._silences = now, times

    def _drift(self, drift: dict[str, dict[str, Any]], session: Path | None) -> Iterator[str]:
        """That a camera's poses are no longer like those of the calibration, or that they are again."""
        for camera, found in drift.items():
            alarmed = bool(found["alarm"])
            if alarmed == self._drifting.get(camera, False) or found["alarms"] > DRIFT_WARNINGS:
                continue
            self._drifting[camera] = alarmed
            if not alarmed:
                yield f"camera '{camera}': poses are again like those that the model was calibrated on"
                continue
            more = "; further alarms are in the report" if found["alarms"] == DRIFT_WARNINGS else ""
            figures = format_statistics(found["alarm"])
            yield (
                f"camera '{camera}': drift: poses are no longer like those that the model was calibrated on "
                f"({figures}); decisions go on. Has light, lens, camera or animal changed? If it is to stay: "
                f"{_drift_remedy(session)}{more}"
            )


    def _views(self, groups: dict[str, dict[str, Any]]) -> Iterator[str]:
        """That a camera of a group no longer stands where it was calibrated, or that it does again."""
        for name, found in groups.items():
            if found["wrong"] == self._off.get(name, []):
                continue
            self._off[name] = found["wrong"]
            if not found["wrong"]:
                yield f"views '{name}': its cameras agree again"
                continue
            yield (
                f"views '{name}': {found['why']}; decisions go on. Has a camera been moved? `rt-pose rig "
                "check-calibration` tells, `rig calibrate-cameras` calibrates again"
            )


def _drift_remedy(session: Path | None) -> str:
    if session is None:
        return "record a session, and label frames of it with `rt-pose improve`"
    return f"label frames of this session afterwards, `rt-pose improve {session} --out FOLDER`"
