"""What a network finds in frames, kept between runs, and the detector's way through recordings in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.drift.alterations import Image
from bench.program import say
from rt_pose.config.schema import EngineConfig
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.estimator import Estimator
from rt_pose.offline.drift_fit import filter_recorded
from rt_pose.offline.innovations import Recorded
from rt_pose.package import DriftSpec, Package, TrackingSpec
from rt_pose.tracking.drift import DriftMonitor

ENGINE = EngineConfig(precision="float32")


class NetworkOutputs:
    """Keypoints of a package's network on frames; each series of frames goes through it once."""

    def __init__(self, package: Package, work: Path) -> None:
        """Keep where outputs lie; the network is opened when it is first needed.

        Parameters
        ----------
        package
            The package.
        work
            Folder in which outputs are kept.
        """
        self._package, self._work = package, work
        self._estimator: Estimator | None = None

    def of(self, name: str, dt_s: float, frames: Callable[[], Iterable[Image]]) -> Recorded:
        """Find the keypoints of a series of frames.

        Parameters
        ----------
        name
            Name of the series, under which its outputs are kept.
        dt_s
            Between frames, s.
        frames
            Gives the frames (H, W, C), where they are needed.

        Returns
        -------
        Recorded
            The outputs.
        """
        network = self._package.manifest.files["network.onnx"][:12]
        file = self._work / f"outputs-{network}-{''.join(c if c.isalnum() else '-' for c in name)}.npz"
        if not file.is_file():
            say(f"network: {name}")
            found = [self._find(frame) for frame in frames()]
            xy, cov, confidence = (np.stack(column) for column in zip(*found, strict=True))
            np.savez(file, xy=xy, cov=cov, confidence=confidence)
        with np.load(file, allow_pickle=False) as kept:
            return Recorded(dt_s, kept["xy"], kept["cov"], kept["confidence"])

    def _find(self, frame: Image) -> tuple[Any, Any, Any]:
        if self._estimator is None:
            self._estimator = choose_engine(self._package, ENGINE).estimator
        found = self._estimator.estimate(frame)
        return found.xy[0].copy(), found.cov[0].copy(), found.confidence[0].copy()


def to_and_fro(recorded: Recorded, seconds: float) -> Recorded:
    """Play a recording forwards and backwards until it is long enough.

    Parameters
    ----------
    recorded
        The recording.
    seconds
        How long it is to be, s.

    Returns
    -------
    Recorded
        A recording without a leap in it.
    """
    once = np.arange(len(recorded.xy))
    turn = np.concatenate([once, once[-2:0:-1]])
    order = np.resize(turn, round(seconds / recorded.dt_s))
    return Recorded(recorded.dt_s, recorded.xy[order], recorded.cov[order], recorded.confidence[order])


@dataclass
class Played:
    """What the detector found in recordings that follow one another."""

    played_s: float
    alarms: int
    in_alarm_s: float
    highest: dict[str, float]
    """By statistic, the highest level; 1 is the alarm."""
    episodes: list[dict[str, Any]]


def play(drift: DriftSpec, tracking: TrackingSpec, *parts: Recorded) -> Played:
    """Take recordings, one after another, through filter and detector as a run would.

    Parameters
    ----------
    drift, tracking
        The package's parameters.
    *parts
        The recordings, of one rate.

    Returns
    -------
    Played
        What the detector found.
    """
    joined = Recorded(
        parts[0].dt_s,
        np.concatenate([part.xy for part in parts]),
        np.concatenate([part.cov for part in parts]),
        np.concatenate([part.confidence for part in parts]),
    )
    monitor, highest = DriftMonitor(drift), dict.fromkeys(drift.limits, 0.0)
    for pose, track, causal_filter in filter_recorded(joined, tracking):
        monitor.step(pose, track, causal_filter)
        for name, level in monitor.stats()["level"].items():
            highest[name] = max(highest[name], level)
    found = monitor.summary()
    seconds = len(joined.xy) * joined.dt_s
    return Played(seconds, found["alarms"], found["in_alarm_s"], highest, found["episodes"])
