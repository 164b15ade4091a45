"""Several individuals in one camera: which detection is whose, who is there, and how probable that is.

A network hands over detections in no order. Here each is assigned to a slot, causally and without the
picture: by the Mahalanobis distance of the whole pose from the one that is predicted for its time
(`pose_likelihood.py`), under all assignments that are likely (`hypotheses.py`). The poses then go through the
same `CausalFilter` as those of one animal, slot by slot.

What is assumed: an individual is seen in a frame with one probability, whatever happened in the frame before.
A detection of nobody lies anywhere in the frame. All individuals look alike and move alike; nothing but
place, pose and movement tells them apart. So identities that were exchanged stay exchanged, and the stated
probability, once lost, does not come back. It speaks of the exchanges that the model foresees, and of a rate
of others while bodies overlap (`IndividualOptions.confusion_hz`), which was measured on simulated animals.

Everything is a pure function of the poses: a replay is exact.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.errors import UserError
from rt_pose.package import TrackingSpec
from rt_pose.tracking import causal_filter, slot_identity
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.hypotheses import Indices, Mask, make_state
from rt_pose.tracking.identities import Identities, IndividualOptions
from rt_pose.types import FloatArray, FrameStamps, Individuals, Pose, Track

SPARE_DETECTIONS = 4
"""So many detections more than individuals are considered in a frame, those of the highest confidence."""


class IndividualTracker:
    """Tracks N individuals of one camera; a pure function of the poses it was given.

    It takes the place of a `CausalFilter`; its tracks say who is there (`Track.individuals`).
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
            N.
        keypoints
            K of each individual.
        frame_px
            Width and height of the frame, px.
        options
            How individuals come, go, are seen and are mistaken for one another; None: the defaults.

        Raises
        ------
        UserError
            Where an option is out of range, or the parameters are not of so many keypoints.
        """
        self.options = options or IndividualOptions()
        self.options.check("individuals")
        self.shape, self.frame_px = (individuals, keypoints), frame_px
        self._filter = CausalFilter(spec, individuals, keypoints)
        self._most_detections = individuals + SPARE_DETECTIONS
        self._identities = Identities(
            spec, individuals, keypoints, frame_px, self.options, self._most_detections
        )
        self._in_slots = _empty_pose(individuals, keypoints)
        self._newest = self._say(np.full(individuals, -1, dtype=np.int64))
        self._t_ns: int | None = None
        self._epoch: int | None = None

    @property
    def spec(self) -> TrackingSpec:
        """Parameters of the filter."""
        return self._filter.spec

    @property
    def clock_steps(self) -> int:
        """As of `CausalFilter`."""
        return self._filter.clock_steps

    @property
    def ignored(self) -> int:
        """As of `CausalFilter`."""
        return self._filter.ignored

    @property
    def restarts(self) -> int:
        """As of `CausalFilter`."""
        return self._filter.restarts

    @property
    def inflation(self) -> FloatArray:
        """As of `CausalFilter`, of the slots in turn."""
        return self._filter.inflation

    @property
    def observed(self) -> bool:
        """As of `CausalFilter`."""
        return self._filter.observed

    def measurement(self) -> tuple[Mask, Mask, FloatArray, FloatArray, FloatArray]:
        """Get what the newest frame was compared with; M = N * K keypoints, slot after slot.

        Returns
        -------
        tuple[Mask, Mask, FloatArray, FloatArray, FloatArray]
            As of `CausalFilter.measurement`.
        """
        return self._filter.measurement()

    @property
    def newest(self) -> Individuals:
        """What is known of the individuals after the newest frame."""
        return self._newest

    @property
    def by_slot(self) -> Pose:
        """The newest frame's detections in the order of the slots, (N, K); NaN where a slot was not seen.

        A slot that is not alive yet has one as well. Valid until the next frame.
        """
        return self._in_slots

    @property
    def rearranged(self) -> tuple[Indices, Mask]:
        """(N,) where each slot's track was before the newest frame, and whether that track goes on."""
        return self._identities.order, self._identities.kept

    def counts(self) -> dict[str, int]:
        """Report what the tracker has met.

        Returns
        -------
        dict[str, int]
            The filter's counters; births, deaths, and changes of mind about who is who.
        """
        who = self._identities
        own = {"births": who.births, "deaths": who.deaths, "identity_changes": who.changes}
        return self._filter.counts() | own

    def step(self, pose: Pose) -> Track:
        """Assign the detections of a frame and update the tracks.

        Parameters
        ----------
        pose
            D detections in any order: positions (D, K, 2), covariances and confidences, NaN where a keypoint
            was not seen; D may be 0. A frame that is out of order is counted and ignored.

        Returns
        -------
        Track
            The slots at the time of the frame, after the update; NaN and lost where one is empty.

        Raises
        ------
        UserError
            Where the detections are not of the tracker's keypoints.
        """
        self._check_shapes(pose)
        stamps, who = pose.stamps, self._identities
        if stamps.epoch != self._epoch:
            who.clear()
            self._epoch, self._t_ns = stamps.epoch, None
        if self._t_ns is not None and stamps.t_scene_ns <= self._t_ns:
            return self._step_stale(pose)
        dt_s = 0.0 if self._t_ns is None else (stamps.t_scene_ns - self._t_ns) / NS_PER_S
        self._t_ns = stamps.t_scene_ns
        chosen = choose_detections(pose, self._most_detections)
        parts = (pose.xy, pose.cov, pose.confidence)
        who.step(dt_s, *(np.ascontiguousarray(values[chosen], dtype=np.float64) for values in parts))
        if who.moved:
            self._filter.rearrange(who.order, who.kept)
        found = who.detection.copy()
        found[found >= 0] = chosen[found[found >= 0]]
        return self._publish(self._filter.step(self._sort(pose, found)), found)

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
        return self._without_empty(self._filter.predict(camera, frame_index, t_scene_ns))

    def _check_shapes(self, pose: Pose) -> None:
        """Refuse other keypoints than the tracker's: compiled code would read past its arrays."""
        d, k = len(pose.xy), self.shape[1]
        shapes = (pose.xy.shape, pose.cov.shape, pose.confidence.shape)
        if shapes != ((d, k, 2), (d, k, 2, 2), (d, k)):
            raise UserError(
                f"detections of shape {shapes[0]} with covariances of {shapes[1]} and confidences of "
                f"{shapes[2]}; the tracker is of {k} keypoints an individual"
            )

    def _step_stale(self, pose: Pose) -> Track:
        """A frame that is not newer: the filter counts it, and knows when the clock itself stepped back."""
        self._identities.keep_all()
        nobody = np.full(self.shape[0], -1, dtype=np.int64)
        steps = self._filter.clock_steps
        track = self._filter.step(self._sort(pose, nobody))
        if self._filter.clock_steps > steps:
            self._identities.clear()
            self._t_ns = pose.stamps.t_scene_ns
        return self._publish(track, nobody)

    def _sort(self, pose: Pose, found: Indices) -> Pose:
        """The detections in the order of the slots; NaN where a slot was not seen."""
        by_slot, seen = self._in_slots, found >= 0
        by_slot.camera, by_slot.stamps = pose.camera, pose.stamps
        by_slot.xy[~seen], by_slot.cov[~seen], by_slot.confidence[~seen] = np.nan, np.nan, 0.0
        by_slot.xy[seen], by_slot.cov[seen] = pose.xy[found[seen]], pose.cov[found[seen]]
        by_slot.confidence[seen] = pose.confidence[found[seen]]
        return by_slot

    def _publish(self, track: Track, found: Indices) -> Track:
        self._newest = self._say(found)
        return self._without_empty(track)

    def _say(self, found: Indices) -> Individuals:
        who = self._identities
        alive = who.alive.copy()
        return Individuals(
            alive=alive,
            identity_p=np.where(alive, who.identity_p, np.nan),
            detection=np.where(alive, found, -1),
            confidence=self._in_slots.confidence.copy(),
            moved=~who.kept | (who.order != np.arange(len(alive))),
        )

    def _without_empty(self, track: Track) -> Track:
        empty = ~self._newest.alive
        for values in (track.xy, track.velocity, track.cov, track.seen_ms_ago):
            values[empty] = np.nan
        track.lost[empty] = True
        track.individuals = self._newest
        return track


def choose_detections(pose: Pose, most: int) -> Indices:
    """Choose the detections that are considered: those that hold anything, and of too many the most sure.

    Parameters
    ----------
    pose
        D detections.
    most
        No more than these.

    Returns
    -------
    Indices
        Their rows, ascending.
    """
    there = np.flatnonzero(np.isfinite(pose.xy[..., 0]).any(axis=1))
    if len(there) <= most:
        return there
    order = np.argsort(-np.nan_to_num(pose.confidence[there]).mean(axis=1), kind="stable")
    return np.sort(there[order[:most]])


Tracker = CausalFilter | IndividualTracker


def make_tracker(spec: TrackingSpec, individuals: int, keypoints: int, frame_px: tuple[int, int]) -> Tracker:
    """Make what turns the poses of one camera into tracks.

    Parameters
    ----------
    spec
        Parameters of the filter.
    individuals
        N.
    keypoints
        K of each individual.
    frame_px
        Width and height of the camera's frames, px.

    Returns
    -------
    Tracker
        The filter alone for one animal, which has nothing to be assigned.
    """
    if individuals == 1:
        return CausalFilter(spec, 1, keypoints)
    return IndividualTracker(spec, individuals, keypoints, frame_px)


def precompile(like: Tracker, pose: Pose) -> None:
    """Take a pose through every step of a spare tracker of the same kind, so that all steps are compiled.

    Parameters
    ----------
    like
        The tracker that will run; it does not change.
    pose
        A pose with arrays of the shapes and types that will come.
    """
    if isinstance(like, CausalFilter):
        causal_filter.precompile(like, pose)
        return
    spare = IndividualTracker(like.spec, *like.shape, like.frame_px, like.options)
    stamps, there = pose.stamps, np.full_like(pose.xy, 10.0)
    for later in range(spare.options.birth_frames + 1):
        t_scene_ns = stamps.t_scene_ns + later * NS_PER_MS
        now = msgspec.structs.replace(stamps, index=stamps.index + later, t_scene_ns=t_scene_ns)
        seen = replace(
            pose, stamps=now, xy=there, cov=np.tile(np.eye(2), (*there.shape[:2], 1, 1)),
            confidence=np.ones(there.shape[:2]),
        )  # fmt: skip
        spare.step(seen)
    spare.predict(pose.camera, stamps.index, stamps.t_scene_ns + NS_PER_S)
    # What only a crossing and a death call.
    state, n = make_state(2, *like.shape), like.shape[0]
    slot_identity.match_slots(state.detection[0], state.detection[1], np.zeros(n, dtype=np.int64))
    slot_identity.same_body(state, 0, 0, 1, 0, like.shape[1])
    slot_identity.copy(state, 0, 1)
    slot_identity.log_extent(state, 0, 0, like.shape[1])


def _empty_pose(individuals: int, keypoints: int) -> Pose:
    n, k = individuals, keypoints
    stamps = FrameStamps(index=0, t_exposure_ns=None, t_arrival_ns=0, t_scene_ns=0)
    return Pose("", stamps, np.full((n, k, 2), np.nan), np.full((n, k, 2, 2), np.nan), np.zeros((n, k)))
