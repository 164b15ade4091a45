"""Several individuals in one camera: which detection is whose, who is there, and how probable that is.

A network hands over detections in no order. Here each is assigned to a slot, causally and without the
picture: by the Mahalanobis distance of the whole pose from the one that is predicted for its time
(`pose_likelihood.py`), under all assignments that are likely (`hypotheses.py`). The poses then go through the
same `CausalFilter` as those of one animal, slot by slot.

What is assumed: an individual is seen in a frame with one probability, whatever happened in the frame before.
A detection of nobody lies anywhere in the frame. All individuals look alike and move alike; nothing but
place, pose and movement tells them apart. So identities that were exchanged stay exchanged, and the stated
probability, once lost, does not come back. It speaks of the exchanges that the model foresees: where animals
move otherwise than it says, or the errors of the network are not what its covariances say, it is too high.

Everything is a pure function of the poses: a replay is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.errors import UserError
from rt_pose.package import TrackingSpec
from rt_pose.tracking import hypotheses
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.hypotheses import Indices, Mask, make_state
from rt_pose.tracking.identities import Identities, IndividualOptions
from rt_pose.types import FloatArray, FrameStamps, Pose, Track

MOST_INDIVIDUALS = 8
SPARE_DETECTIONS = 4
"""So many detections more than individuals are considered in a frame, those of the highest confidence."""


@dataclass(slots=True)
class Individuals:
    """The individuals after a frame; one row a slot."""

    track: Track
    """NaN and lost where a slot is empty."""
    alive: Mask
    """(N,) whether the slot holds an individual."""
    identity_p: FloatArray
    """(N,) probability that the slot still holds who it held at its birth; NaN where it is empty."""
    detection: Indices
    """(N,) index of the detection in which the slot was seen; -1 where in none."""


class IndividualTracker:
    """Tracks N individuals of one camera; a pure function of the poses it was given.

    With N = 1 there is nothing to assign: the pose goes through the filter as it is.
    """

    def __init__(
        self,
        spec: TrackingSpec,
        individuals: int,
        keypoints: int,
        frame_px: tuple[int, int],
        options: IndividualOptions | None = None,
    ) -> None:
        """Allocate the state of all slots; all are empty.

        Parameters
        ----------
        spec
            Parameters of the filter.
        individuals
            N, 1 to `MOST_INDIVIDUALS`.
        keypoints
            K of each individual.
        frame_px
            Width and height of the frame, px.
        options
            How individuals come, go and are seen; None: the defaults.

        Raises
        ------
        UserError
            Where N or an option is out of range.
        """
        if not 1 <= individuals <= MOST_INDIVIDUALS:
            raise UserError(f"individuals: expected 1 to {MOST_INDIVIDUALS}, got {individuals}")
        self.options = options or IndividualOptions()
        self.options.check("individuals")
        self.shape, self.frame_px = (individuals, keypoints), frame_px
        self.filter = CausalFilter(spec, individuals, keypoints)
        self._identities = Identities(spec, individuals, keypoints, frame_px, self.options)
        self._arranged = _empty_pose(individuals, keypoints)
        self._t_ns: int | None = None
        self._epoch: int | None = None

    def counts(self) -> dict[str, int]:
        """Report what the tracker has met.

        Returns
        -------
        dict[str, int]
            The filter's counters; births, deaths, and changes of mind about who is who.
        """
        who = self._identities
        own = {"births": who.births, "deaths": who.deaths, "identity_changes": who.changes}
        return self.filter.counts() | own

    def step(self, detections: Pose) -> Individuals:
        """Assign the detections of a frame and update the tracks.

        Parameters
        ----------
        detections
            D detections in any order: positions (D, K, 2), covariances and confidences, NaN where a keypoint
            was not seen; D may be 0. A frame that is out of order is counted and ignored.

        Returns
        -------
        Individuals
            The individuals at the time of the frame, after the update.
        """
        if self.shape[0] == 1:
            return self._step_single(detections)
        stamps, who = detections.stamps, self._identities
        if stamps.epoch != self._epoch:
            who.clear()
            self._epoch, self._t_ns = stamps.epoch, None
        if self._t_ns is not None and stamps.t_scene_ns <= self._t_ns:
            return self._step_stale(detections)
        dt_s = 0.0 if self._t_ns is None else (stamps.t_scene_ns - self._t_ns) / NS_PER_S
        self._t_ns = stamps.t_scene_ns
        chosen = _most_confident(detections.confidence, self.shape[0] + SPARE_DETECTIONS)
        parts = (detections.xy, detections.cov, detections.confidence)
        who.step(dt_s, *(np.ascontiguousarray(values[chosen], dtype=np.float64) for values in parts))
        if not (who.kept & (who.order == np.arange(len(who.order)))).all():
            self.filter.rearrange(who.order, who.kept)
        found = who.detection.copy()
        found[found >= 0] = chosen[found[found >= 0]]
        return self._publish(self.filter.step(self._in_slots(detections, found)), found)

    def predict(self, camera: str, frame_index: int, t_scene_ns: int) -> Track:
        """Extrapolate the tracks to a later scene time; nothing changes.

        Parameters
        ----------
        camera, frame_index, t_scene_ns
            As of `CausalFilter.predict`.

        Returns
        -------
        Track
            As of `CausalFilter.predict`; NaN and lost where a slot is empty.
        """
        track = self.filter.predict(camera, frame_index, t_scene_ns)
        return track if self.shape[0] == 1 else self._without_empty(track)

    def _step_single(self, detections: Pose) -> Individuals:
        pose, at = detections, 0
        if len(detections.xy) != 1:
            # Of several the one of the highest confidence: as the network of one animal would have chosen.
            at = int(_most_confident(detections.confidence, 1)[0]) if len(detections.xy) else -1
            pose = self._in_slots(detections, np.array([at]))
        track = self.filter.step(pose)
        alive = np.asarray(~track.lost.all(axis=1))
        seen = bool((pose.confidence >= self.filter.spec.min_confidence).any())
        return Individuals(track, alive, np.where(alive, 1.0, np.nan), np.array([at if seen else -1]))

    def _step_stale(self, detections: Pose) -> Individuals:
        """A frame that is not newer: the filter counts it, and knows when the clock itself stepped back."""
        nobody = np.full(self.shape[0], -1, dtype=np.int64)
        steps = self.filter.clock_steps
        track = self.filter.step(self._in_slots(detections, nobody))
        if self.filter.clock_steps > steps:
            self._identities.clear()
            self._t_ns = detections.stamps.t_scene_ns
        return self._publish(track, nobody)

    def _in_slots(self, detections: Pose, found: Indices) -> Pose:
        """The detections in the order of the slots; NaN where a slot was not seen."""
        pose, seen = self._arranged, found >= 0
        pose.camera, pose.stamps = detections.camera, detections.stamps
        pose.xy[~seen], pose.cov[~seen], pose.confidence[~seen] = np.nan, np.nan, 0.0
        pose.xy[seen], pose.cov[seen] = detections.xy[found[seen]], detections.cov[found[seen]]
        pose.confidence[seen] = detections.confidence[found[seen]]
        return pose

    def _publish(self, track: Track, found: Indices) -> Individuals:
        alive = self._identities.alive.copy()
        identity_p = np.where(alive, self._identities.identity_p, np.nan)
        return Individuals(self._without_empty(track), alive, identity_p, np.where(alive, found, -1))

    def _without_empty(self, track: Track) -> Track:
        empty = ~self._identities.alive
        for values in (track.xy, track.velocity, track.cov, track.seen_ms_ago):
            values[empty] = np.nan
        track.lost[empty] = True
        return track


def precompile(like: IndividualTracker, detections: Pose) -> None:
    """Take detections through every step of a spare tracker of the same kind, so that all steps are compiled.

    Parameters
    ----------
    like
        The tracker that will run; it does not change.
    detections
        A frame's detections, with arrays of the types that will come.
    """
    spare = IndividualTracker(like.filter.spec, *like.shape, like.frame_px, like.options)
    stamps = detections.stamps
    for later in (0, 1):
        t_scene_ns = stamps.t_scene_ns + later * NS_PER_MS
        now = msgspec.structs.replace(stamps, index=stamps.index + later, t_scene_ns=t_scene_ns)
        spare.step(replace(detections, stamps=now))
    spare.predict(detections.camera, stamps.index, stamps.t_scene_ns + 2 * NS_PER_MS)
    hypotheses.log_extent(make_state(1, *like.shape), 0, 0, like.shape[1])


def _most_confident(confidence: FloatArray, most: int) -> Indices:
    """The detections of the highest mean confidence, in their order; all where there are no more."""
    if len(confidence) <= most:
        return np.arange(len(confidence))
    order = np.argsort(-np.nan_to_num(confidence).mean(axis=1), kind="stable")
    return np.sort(order[:most])


def _empty_pose(individuals: int, keypoints: int) -> Pose:
    n, k = individuals, keypoints
    stamps = FrameStamps(index=0, t_exposure_ns=None, t_arrival_ns=0, t_scene_ns=0)
    return Pose("", stamps, np.full((n, k, 2), np.nan), np.full((n, k, 2, 2), np.nan), np.zeros((n, k)))
