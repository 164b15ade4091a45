"""What rules are judged on: the tracker of a camera, or a group of views; either predicts."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.individuals import IndividualTracker, Tracker
from rt_pose.types import Estimate, Track, Track3D


class TrackedGroup(Protocol):
    """A group of views, as decisions need it."""

    @property
    def shape(self) -> tuple[int, int]:
        """N animals and K keypoints."""

    @property
    def clock_steps(self) -> int:
        """How often its clock stepped back, so that its tracks restarted."""

    @property
    def moved(self) -> NDArray[np.bool_] | None:
        """(N,) slots that hold another animal than before the turn; None where there is one animal."""

    def predict(self, t_ns: int) -> Track3D:
        """Extrapolate to a scene time; nothing changes.

        Parameters
        ----------
        t_ns
            Scene time, ns.

        Returns
        -------
        Track3D
            The state at that time, in mm.
        """


Predictor = Tracker | TrackedGroup


def predict_at(predictor: Predictor, camera: str, frame_index: int, t_scene_ns: int) -> Estimate:
    """Extrapolate to a scene time; nothing changes.

    Parameters
    ----------
    predictor
        What predicts.
    camera, frame_index
        For the track of a camera.
    t_scene_ns
        Scene time, ns; at or before the newest observation the state is given as it is.

    Returns
    -------
    Estimate
        The state at that time.
    """
    if isinstance(predictor, CausalFilter | IndividualTracker):
        return predictor.predict(camera, frame_index, t_scene_ns)
    return predictor.predict(t_scene_ns)


def moved_individuals(predictor: Predictor) -> NDArray[np.bool_] | None:
    """Find the slots that hold another animal than before: what is kept of them was of that one.

    Parameters
    ----------
    predictor
        What predicts.

    Returns
    -------
    NDArray[np.bool_] or None
        (N,); None where one animal is tracked.
    """
    if isinstance(predictor, CausalFilter):
        return None
    if isinstance(predictor, IndividualTracker):
        return predictor.newest.moved
    return predictor.moved


def without_numbers(track: Estimate) -> NDArray[np.bool_]:
    """Find the keypoints that are lost, or of which the filter knows no number: NaN is no position.

    Parameters
    ----------
    track
        The prediction.

    Returns
    -------
    NDArray[np.bool_]
        (N, K).
    """
    position = track.xy if isinstance(track, Track) else track.xyz
    sums = position.sum(axis=-1) + track.velocity.sum(axis=-1) + track.cov.sum(axis=(-2, -1))
    return (track.lost | ~np.isfinite(sums)).reshape(-1, track.lost.shape[-1])
