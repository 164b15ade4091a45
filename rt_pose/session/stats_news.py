"""What of a run's stats needs attention at once: outputs, cameras and poses that are not as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rt_pose.config.schema import RunConfig
from rt_pose.tracking.drift import format_statistics

DRIFT_WARNINGS = 3
"""So many alarms of the drift detector are told as they come, of each camera; all are in the report."""
HIDDEN_FAILURE = (
    "an output failed; which one, and at which event, is told after the run, because a rule withholds on it"
)


class StatsNews:
    """Compares each stats with those before them, and warns of what has changed."""

    def __init__(
        self, config: RunConfig, warn: Callable[[str], None], folder: Callable[[], Path | None]
    ) -> None:
        """Know of nothing yet.

        Parameters
        ----------
        config
            The run.
        warn
            Takes each warning.
        folder
            Returns where the session is; None where nothing is recorded.
        """
        self._config, self._warn, self._folder = config, warn, folder
        self._output_faults: dict[str, str] = {}
        self._stimulus_failed = self._hidden_output_failed = False
        self._output_notices = 0
        self._lost_cameras: dict[str, str] = {}
        self._silent_cameras: dict[str, str] = {}
        self._silences: dict[str, int] = {}
        self._drifting: dict[str, bool] = {}

    def take(self, stats: dict[str, Any]) -> None:
        """Warn of what is new.

        Parameters
        ----------
        stats
            The content of the `stats` topic.
        """
        self._report_output_faults(stats)
        self._report_lost_cameras(stats["cameras_lost"])
        self._report_silences(stats)
        self._report_drift(stats["drift"])

    def _report_output_faults(self, stats: dict[str, Any]) -> None:
        """Warn of a failed output or stimulus, and of a line that a box dropped."""
        faults = stats["output_faults"]
        for name, fault in faults.items():
            if name not in self._output_faults:
                again = self._config.outputs[name].recovery.attempts > 0
                until = "until it works again" if again else "from now on"
                self._warn(f"output '{name}' failed: {fault}; its commands are refused {until}")
        if stats["last_failure"] and not (faults or self._stimulus_failed):
            self._warn(f"a stimulus failed: {stats['last_failure']}; further ones are counted")
        if stats["output_failed"] and not self._hidden_output_failed:
            self._warn(HIDDEN_FAILURE)
        messages, self._output_notices = self._output_notices, stats["output_notices"]
        if self._output_notices > messages and not faults:
            self._warn(stats["last_output_notice"])
        self._output_faults, self._stimulus_failed = faults, bool(stats["last_failure"])
        self._hidden_output_failed = stats["output_failed"]

    def _report_lost_cameras(self, lost: dict[str, str]) -> None:
        """Warn of a camera that is gone, and say when it is back."""
        for name, why in lost.items():
            if name not in self._lost_cameras:
                within = self._config.cameras[name].reconnect
                self._warn(
                    f"camera '{name}' is gone: {why}; disarmed, outputs are safe; it is opened again for "
                    f"{within}"
                )
        for name in self._lost_cameras.keys() - lost.keys():
            self._warn(f"camera '{name}' is back; `arm` lets rules fire again")
        self._lost_cameras = lost

    def _report_silences(self, stats: dict[str, Any]) -> None:
        """Warn of a camera that has fallen silent, and say when it delivers again."""
        now, times = stats["cameras_silent"], stats["silences"]
        for name, count in times.items():
            if count == self._silences.get(name, 0):
                continue
            if name in now:
                said = f"is silent: {now[name]}; disarmed, outputs are safe; it goes on with its next frame"
            else:
                said = "was silent for a moment; disarmed, outputs are safe; `arm` lets rules fire again"
            self._warn(f"camera '{name}' {said}")
        for name in self._silent_cameras.keys() - now.keys() - stats["cameras_lost"].keys():
            self._warn(f"camera '{name}' delivers again; `arm` lets rules fire again")
        self._silent_cameras, self._silences = now, times

    def _report_drift(self, drift: dict[str, dict[str, Any]]) -> None:
        """Warn when a camera's poses are no longer like those of the calibration, and when they are again."""
        for camera, found in drift.items():
            alarmed = bool(found["alarm"])
            if alarmed == self._drifting.get(camera, False) or found["alarms"] > DRIFT_WARNINGS:
                continue
            self._drifting[camera] = alarmed
            if not alarmed:
                self._warn(f"camera '{camera}': poses are again like those that the model was calibrated on")
                continue
            more = "; further alarms are in the report" if found["alarms"] == DRIFT_WARNINGS else ""
            figures = format_statistics(found["alarm"])
            self._warn(
                f"camera '{camera}': drift: poses are no longer like those that the model was calibrated on "
                f"({figures}); decisions go on. Has light, lens, camera or animal changed? If it is to stay: "
                f"{self._drift_remedy()}{more}"
            )

    def _drift_remedy(self) -> str:
        folder = self._folder()
        if folder is None:
            return "record a session, and label frames of it with `rt-pose improve`"
        return f"label frames of this session afterwards, `rt-pose improve {folder} --out FOLDER`"
