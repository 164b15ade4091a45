"""A group of views in a run: what its cameras see, in the order in which it comes, becomes tracks in space.

Views come late and out of order: exposures at the same time reach the loop one after the other, and a slow
network or cable delays one camera more than another. An observation that is older than the newest, but not
by more than `late`, is put in its place: the filter goes back to its state before the newer ones and takes
them in again. What is older still is counted and not used. No view is waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.errors import UserError
from rt_pose.types import FloatArray, Track3D
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.camera_compiled import packed
from rt_pose.views.filter3d import CausalFilter3D, Snapshot, TrackingSpec3D
from rt_pose.views.filter3d_compiled import NEVER_NS
from rt_pose.views.live_check import FURTHEST, ReprojectionCheck
from rt_pose.views.live_compiled import Sightings, note, recently

HISTORY = 64
"""Newest observations among which a late one can be put in its place."""
RECENT_NS = 50 * NS_PER_MS
"""What was seen no longer before the newest observation counts for `views` and `confidence` of a track."""
STEPPED_OBSERVATIONS = 8
"""So many observations in a row that are too old mean that the clock has stepped back."""
SAME_TIME_NS = NS_PER_S
"""After the time went back, a camera whose own has not is followed again where it is no further ahead."""


@dataclass(slots=True)
class TakenObservation:
    """An observation that was used, and the state before it."""

    view: int
    t_ns: int
    xy: FloatArray
    cov: FloatArray
    confidence: FloatArray
    before: Snapshot
    sightings: Sightings

    def take(self, view: int, t_ns: int, xy: FloatArray, cov: FloatArray, confidence: FloatArray) -> None:
        """Keep an observation.

        Parameters
        ----------
        view, t_ns, xy, cov, confidence
            As of `ViewGroup.observe`.
        """
        self.view, self.t_ns = view, t_ns
        self.xy[...], self.cov[...], self.confidence[...] = xy, cov, confidence


class ViewGroup:
    """The filter in space of one group of cameras; a pure function of what it was given, in its order."""

    def __init__(
        self, name: str, cameras: Sequence[CalibratedCamera], spec: TrackingSpec3D, late_ns: int
    ) -> None:
        """Allocate all that observations need; no track has begun.

        Parameters
        ----------
        name
            Of the group.
        cameras
            V calibrated cameras, two or more, with the names of the run's and in the group's axes and unit.
        spec
            Parameters of the filter, for K keypoints.
        late_ns
            How much older than the newest an observation may be, ns.

        Raises
        ------
        UserError
            As of `CausalFilter3D`.
        """
        self.name, self.cameras, self.late_ns = name, list(cameras), late_ns
        self._filter = CausalFilter3D(cameras, spec)
        self.views, keypoints = self._filter.shape
        self.shape = 1, keypoints
        """Animals and keypoints, as of a tracker of one camera."""
        self.used = self.late = self.clock_steps = 0
        """Observations that were used, and that were too old; times that the clock was found to have stepped
        back while no camera said so."""
        self.epoch = 0
        """Counts the times that all tracks ended because the time went back."""
        self.newest_ns: int | None = None
        """Time of the newest observation that was used."""
        self.error_px = np.full(self.views, np.nan)
        """(V,) root mean square of the distances of each camera's newest observation from the tracks, on its
        image; NaN where nothing was tracked."""
        self.check = ReprojectionCheck(cameras)
        self._rows = np.stack([packed(camera) for camera in cameras])
        self._sightings = no_sightings(self.views, keypoints)
        self._taken: TakenObservation | None = None
        """The newest observation to come that was used."""
        self.moved: NDArray[np.bool_] | None = None
        """Of several animals those whose slots hold another one than before the turn, (N,); None for one."""
        self._history = [self._room() for _ in range(HISTORY)]
        """The first `_count` of them are in use, in the order of time."""
        self._count = 0
        self._dropped_ns = NEVER_NS
        """Time of the newest observation that left the history."""
        self._view_ns = [NEVER_NS] * self.views
        """Time of each camera's newest observation."""
        self._view_epoch: list[int | None] = [None] * self.views
        self._behind = [False] * self.views
        """Cameras whose own time has not yet gone back with the group's."""
        self._late_in_a_row = 0
        self._slope, self._unsummed = np.zeros((2, 3)), np.zeros(4)
        self._certain = np.ones(keypoints)

    def begin_turn(self) -> None:
        """Note that what follows is of a new turn: `moved` is since then."""

    @property
    def restarts(self) -> int:
        """Times that a keypoint's track started anew elsewhere."""
        return self._filter.restarts

    def observe(
        self,
        view: int,
        t_scene_ns: int,
        xy: FloatArray,
        cov: FloatArray,
        confidence: FloatArray | None = None,
        epoch: int = 0,
    ) -> bool:
        """Take in what one camera saw.

        Parameters
        ----------
        view
            Number of the camera.
        t_scene_ns
            Scene time of its exposure, ns.
        xy
            (K, 2) px of the full sensor frame; NaN where it does not see a keypoint.
        cov
            (K, 2, 2) px^2, covariance of the error of one frame.
        confidence
            (K,) 0..1; 1 where it is not given.
        epoch
            Of the frame's stamps.

        Returns
        -------
        bool
            Whether it was used: not where it is too old, or not newer than the camera's own before it.

        Raises
        ------
        UserError
            Where there is no such camera, or the arrays are not of the group's keypoints.
        """
        self._check_shapes(view, xy, cov)
        place = self._place(view, t_scene_ns, epoch)
        if place is None and self._has_stepped():
            self.clock_steps += 1
            self._begin_again(view)
            place = 0
        if place is None:
            self.late += 1
            return False
        self._late_in_a_row, self._view_ns[view] = 0, t_scene_ns
        self.used += 1
        self.newest_ns = t_scene_ns if self.newest_ns is None else max(self.newest_ns, t_scene_ns)
        certain = self._certain if confidence is None else confidence
        self._taken = self._take_in(place, view, t_scene_ns, xy, cov, certain)
        return True

    def predict(self, t_ns: int) -> Track3D:
        """Extrapolate to a later time; the group does not change.

        Parameters
        ----------
        t_ns
            Scene time, ns; at or before the newest observation the state is given as it is.

        Returns
        -------
        Track3D
            The state at that time; what is lost, views and confidence are as of the newest observation.
        """
        ahead, keypoints = self._filter.predict(t_ns), self._filter.shape[1]
        views, confidence = np.empty(keypoints, np.int64), np.empty(keypoints)
        recently(self._sightings, self.newest_ns or 0, RECENT_NS, views, confidence)
        return Track3D(
            ahead.t_valid_ns, ahead.xyz, ahead.velocity, ahead.cov, ahead.seen_ms_ago, ahead.lost,
            views, confidence,
        )  # fmt: skip

    # ------------------------------------------------------------ where an observation belongs

    def _place(self, view: int, t_ns: int, epoch: int) -> int | None:
        """Where among the history an observation belongs; None where it is too old."""
        if not self._follows(view, t_ns, epoch) or t_ns <= self._view_ns[view]:
            return None
        if self.newest_ns is None or t_ns >= self.newest_ns:
            return self._count
        if self.newest_ns - t_ns > self.late_ns or t_ns < self._dropped_ns:
            return None
        place = self._count
        while place and self._history[place - 1].t_ns > t_ns:
            place -= 1
        return place if place or self._count < HISTORY else None

    def _follows(self, view: int, t_ns: int, epoch: int) -> bool:
        """Whether a camera's time is the group's; begins anew where it goes back with a new epoch."""
        known = self._view_epoch[view]
        self._view_epoch[view] = epoch
        if known is not None and known != epoch:
            self._view_ns[view] = NEVER_NS
            joins, self._behind[view] = self._behind[view], False
            if not joins and self.newest_ns is not None and t_ns < self.newest_ns - self.late_ns:
                self._begin_again(view)
        elif self._behind[view]:
            if self.newest_ns is not None and t_ns > self.newest_ns + SAME_TIME_NS:
                return False
            self._behind[view] = False
        return True

    def _has_stepped(self) -> bool:
        """Count an observation that is too old; whether so many came in a row that the clock has stepped."""
        self._late_in_a_row += 1
        return self._late_in_a_row >= STEPPED_OBSERVATIONS

    def _begin_again(self, view: int) -> None:
        """End all tracks, since a camera's time went back; the others follow it, or are waited for."""
        self._end_tracks()
        self.epoch += 1
        self.newest_ns, self._count, self._dropped_ns = None, 0, NEVER_NS
        self._view_ns = [NEVER_NS] * self.views
        self._behind = [v != view for v in range(self.views)]
        self._late_in_a_row = 0

    def _end_tracks(self) -> None:
        """Empty the state: nothing was seen."""
        self._filter.reset()
        for now, empty in zip(self._sightings, no_sightings(*self._sightings.inside_ns.shape), strict=True):
            now[...] = empty

    # ------------------------------------------------------------ taking it in

    def _take_in(
        self, place: int, view: int, t_ns: int, xy: FloatArray, cov: FloatArray, confidence: FloatArray
    ) -> TakenObservation:
        """Use an observation at its place, and those after it again."""
        if self._count == HISTORY:
            self._dropped_ns = self._history[0].t_ns
            self._history.append(self._history.pop(0))
            self._count, place = HISTORY - 1, place - 1
        if place < self._count:
            self._go_back(self._history[place])
        taken = self._history.pop(self._count)
        self._history.insert(place, taken)
        self._count += 1
        taken.take(view, t_ns, xy, cov, confidence)
        self._use(taken, self.check.sums[view])
        for newer in self._history[place + 1 : self._count]:
            self._use(newer, self._unsummed)
        return taken

    def _use(self, taken: TakenObservation, sums: FloatArray) -> None:
        """Update the filter by an observation, and save the state before it."""
        self._save(taken)
        view, tracks = taken.view, self._filter.state
        xy, cov, confidence = self._in_rows(taken)
        self._filter.observe(view, taken.t_ns, xy, cov)
        self.error_px[view] = note(
            self._sightings, view, taken.t_ns, self._rows[view], xy, confidence,
            self._filter.factor, tracks.mean, tracks.known, FURTHEST * self.check.limits_px[view],
            self._slope, sums,
        )  # fmt: skip

    def _in_rows(self, taken: TakenObservation) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What an observation holds, in the order of the filter's rows."""
        return taken.xy, taken.cov, taken.confidence

    def _save(self, taken: TakenObservation) -> None:
        """Keep the state as it is before an observation."""
        self._filter.save(taken.before)
        for kept, now in zip(taken.sightings, self._sightings, strict=True):
            kept[...] = now

    def _go_back(self, to: TakenObservation) -> None:
        self._filter.restore(to.before)
        for now, kept in zip(self._sightings, to.sightings, strict=True):
            now[...] = kept

    def _room(self) -> TakenObservation:
        keypoints = self.shape[1]
        return TakenObservation(
            0,
            NEVER_NS,
            np.empty((keypoints, 2)),
            np.empty((keypoints, 2, 2)),
            np.empty(keypoints),
            self._filter.snapshot(),
            no_sightings(self.views, keypoints),
        )

    def _check_shapes(self, view: int, xy: FloatArray, cov: FloatArray) -> None:
        keypoints = self.shape[1]
        if not 0 <= view < self.views or xy.shape != (keypoints, 2) or cov.shape != (keypoints, 2, 2):
            raise UserError(
                f"views '{self.name}': an observation of view {view} with positions of shape {xy.shape} and "
                f"covariances of {cov.shape}; the group is of {self.views} views and {keypoints} keypoints"
            )


def no_sightings(views: int, keypoints: int) -> Sightings:
    """Make what cameras have seen before they have seen anything.

    Parameters
    ----------
    views, keypoints
        How many cameras, and keypoints of all animals together.

    Returns
    -------
    Sightings
        Nothing was ever seen.
    """
    shape = views, keypoints
    return Sightings(np.full(shape, NEVER_NS), np.full(shape, NEVER_NS), np.zeros(shape))


def precompile(like: ViewGroup) -> None:
    """Take observations through a spare group of the same cameras, so that every step is compiled.

    Parameters
    ----------
    like
        The group that will run; it does not change.
    """
    _, keypoints = like.shape
    each = np.ones(keypoints)
    spare = ViewGroup(like.name, like.cameras, TrackingSpec3D(each, each, each), NS_PER_S)
    cov = np.tile(np.eye(2), (keypoints, 1, 1))
    for t_ns in (0, NS_PER_MS):
        for view, camera in enumerate(like.cameras):
            spare.observe(view, t_ns, np.tile(camera.centre, (keypoints, 1)), cov)
    spare.predict(2 * NS_PER_S)
