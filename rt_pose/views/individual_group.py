"""Several animals before a group of views: whose the detections are in space, and tracks of all of them.

A network hands over detections in no order, and the identities that each camera's own tracker gives them need
not be the same from camera to camera. So a group takes the detections as they were found, and assigns them to
bodies in space itself, camera by camera as frames come (`bodies_compiled.py`); what two cameras or more find
and nobody explains begins a body (`births_compiled.py`). All bodies go through one filter in space, slot by
slot: K rows each.

Of the options of several individuals those count that speak of what one frame shows; a slot is named as in
the plane, by the body that it held at its birth. All of it belongs to the state to which a group goes back
when an observation comes late, so that order does not matter here either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.errors import UserError
from rt_pose.tracking.hypotheses import State, make_state
from rt_pose.tracking.identities import (
    LEAST_LIKELY,
    UNEXPLAINED,
    IndividualOptions,
    exchange_probability,
)
from rt_pose.tracking.individuals import SPARE_DETECTIONS
from rt_pose.types import FloatArray, Individuals, Track3D
from rt_pose.views import live
from rt_pose.views.assign_compiled import assign_detections, make_room
from rt_pose.views.births_compiled import make_proposals
from rt_pose.views.bodies import Bodies, Indices, Settings, make_bodies
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import TrackingSpec3D
from rt_pose.views.filter3d_compiled import NEVER_NS
from rt_pose.views.live import RECENT_NS, TakenObservation, ViewGroup, no_sightings


@dataclass(slots=True)
class TakenDetections(TakenObservation):
    """What one frame of a camera showed of several animals, and the state before it."""

    bodies: Bodies
    found: Indices
    """(N,) the detection of each slot; -1 where it was not found."""
    count: int = 0
    """How many of the rows of `xy`, `cov` and `confidence` there are."""

    def take(self, view: int, t_ns: int, xy: FloatArray, cov: FloatArray, confidence: FloatArray) -> None:
        """Keep an observation.

        Parameters
        ----------
        view, t_ns, xy, cov, confidence
            As of `IndividualViewGroup.observe`.
        """
        count = self.count = len(xy)
        self.view, self.t_ns = view, t_ns
        self.xy[:count], self.cov[:count], self.confidence[:count] = xy, cov, confidence


class IndividualViewGroup(ViewGroup):
    """A group of cameras that see several animals; a pure function of what it was given, in its order."""

    def __init__(
        self,
        name: str,
        cameras: Sequence[CalibratedCamera],
        spec: TrackingSpec3D,
        late_ns: int,
        individuals: int,
        options: IndividualOptions | None = None,
    ) -> None:
        """Allocate all that observations need; all slots are empty.

        Parameters
        ----------
        name, cameras, late_ns
            As of `ViewGroup`.
        spec
            Parameters of the filter, for the K keypoints of one animal.
        individuals
            N.
        options
            How individuals come, go, are seen and are mistaken for one another; None: the defaults.

        Raises
        ------
        UserError
            As of `ViewGroup`, and where an option is out of range.
        """
        self.options = options or IndividualOptions()
        self.options.check(f"views '{name}'")
        n, k = individuals, len(spec.q)
        self.most_detections = n + SPARE_DETECTIONS
        """More detections of a frame are not taken."""
        self._spec, self._keypoints = spec, k
        self._bodies = make_bodies(len(cameras), n, k, self.most_detections)
        rows = (np.tile(values, n) for values in (spec.q, spec.tau_s, spec.gain))
        q, tau_s, gain = rows
        super().__init__(name, cameras, replace(spec, q=q, tau_s=tau_s, gain=gain), late_ns)
        self.shape = n, k
        self.moved = np.zeros(n, dtype=bool)
        self._certain = np.ones(k)
        self._lost_ns = round(spec.lost_ms * NS_PER_MS)
        self._plane: State = make_state(1, n, k)
        self._working = make_room(self.options.hypotheses, n, k, self.most_detections)
        self._proposals = make_proposals(len(cameras), k, self.most_detections)
        self._settings = Settings(
            log_seen=math.log(self.options.seen / self.options.false_detections),
            log_unseen=math.log(1.0 - self.options.seen),
            slack=-math.log(LEAST_LIKELY),
            unexplained=UNEXPLAINED,
            birth_frames=self.options.birth_frames,
            log_areas=math.log(self.options.empty_areas),
            recent_ns=RECENT_NS,
        )
        self._born = self._bodies.born.copy()
        """As the turn began."""

    @property
    def found(self) -> Indices:
        """(N,) of the newest observation to come: the detection of each slot, -1 where it was not found."""
        if isinstance(self._taken, TakenDetections):
            return np.where(self._bodies.alive, self._taken.found, -1)
        return np.full(self.shape[0], -1, np.int64)

    @property
    def births(self) -> int:
        """Animals that were found."""
        return int(self._bodies.counts[0])

    @property
    def deaths(self) -> int:
        """Slots that became empty."""
        return int(self._bodies.counts[1])

    def begin_turn(self) -> None:
        """Note that what follows is of a new turn: `moved` is since then."""
        self._born[:] = self._bodies.born

    def predict(self, t_ns: int) -> Track3D:
        """Extrapolate to a later time; the group does not change.

        Parameters
        ----------
        t_ns
            Scene time, ns; at or before the newest observation the state is given as it is.

        Returns
        -------
        Track3D
            As of `ViewGroup.predict`, with an axis of individuals before that of keypoints; NaN and lost
            where a slot is empty.
        """
        one, (n, k) = super().predict(t_ns), self.shape
        assert one.views is not None
        assert one.confidence is not None
        alive = self._bodies.alive.copy()
        empty = np.repeat(~alive, k)
        for values in (one.xyz, one.velocity, one.cov, one.seen_ms_ago):
            values[empty] = np.nan
        one.lost[empty] = True
        one.views[empty], one.confidence[empty] = 0, 0.0
        confidence = one.confidence.reshape(n, k)
        p = np.minimum(np.diagonal(self._bodies.identity), 1.0)  # rounding alone exceeds 1
        assert self.moved is not None
        return Track3D(
            one.t_valid_ns,
            one.xyz.reshape(n, k, 3),
            one.velocity.reshape(n, k, 3),
            one.cov.reshape(n, k, 6, 6),
            one.seen_ms_ago.reshape(n, k),
            one.lost.reshape(n, k),
            one.views.reshape(n, k),
            confidence,
            Individuals(alive, np.where(alive, p, np.nan), self.found, confidence, self.moved.copy()),
        )

    def _take_in(
        self, place: int, view: int, t_ns: int, xy: FloatArray, cov: FloatArray, confidence: FloatArray
    ) -> TakenObservation:
        taken = super()._take_in(place, view, t_ns, xy, cov, confidence)
        assert self.moved is not None
        np.not_equal(self._born, self._bodies.born, out=self.moved)
        return taken

    def _in_rows(self, taken: TakenObservation) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Assign the detections; what was found of each slot, in the order of the filter's rows."""
        assert isinstance(taken, TakenDetections)
        count, before_ns, options = taken.count, taken.before.t_ns, self.options
        dt_s = 0.0 if before_ns is None else (taken.t_ns - before_ns) / NS_PER_S
        room = self._working
        assign_detections(
            self._bodies, self._filter.state, self._sightings, self._filter.parameters, self._plane, room,
            self._proposals, self._settings, taken.view, taken.t_ns, dt_s, self._lost_ns,
            exchange_probability(options.confusion_hz, dt_s),
            exchange_probability(options.hidden_confusion_hz, dt_s),
            taken.xy[:count], taken.cov[:count], taken.confidence[:count], taken.found,
        )  # fmt: skip
        return room.xy, room.cov, room.confidence

    def _save(self, taken: TakenObservation) -> None:
        super()._save(taken)
        assert isinstance(taken, TakenDetections)
        for kept, now in zip(taken.bodies, self._bodies, strict=True):
            kept[...] = now

    def _go_back(self, to: TakenObservation) -> None:
        super()._go_back(to)
        assert isinstance(to, TakenDetections)
        for now, kept in zip(self._bodies, to.bodies, strict=True):
            now[...] = kept

    def _end_tracks(self) -> None:
        super()._end_tracks()
        counts = self._bodies.counts.copy()
        born = self._bodies.born.copy()
        empty = make_bodies(self.views, *self.shape, self.most_detections)
        for now, none in zip(self._bodies, empty, strict=True):
            now[...] = none
        self._bodies.counts[:], self._bodies.born[:] = counts, born

    def _room(self) -> TakenObservation:
        d, k, n = self.most_detections, self._keypoints, len(self._bodies.used)
        return TakenDetections(
            0,
            NEVER_NS,
            np.empty((d, k, 2)),
            np.empty((d, k, 2, 2)),
            np.empty((d, k)),
            self._filter.snapshot(),
            no_sightings(self.views, n * k),
            make_bodies(self.views, n, k, d),
            np.full(n, -1, np.int64),
        )

    def _check_shapes(self, view: int, xy: FloatArray, cov: FloatArray) -> None:
        d, k, most = len(xy), self.shape[1], self.most_detections
        if not 0 <= view < self.views or d > most or (xy.shape, cov.shape) != ((d, k, 2), (d, k, 2, 2)):
            raise UserError(
                f"views '{self.name}': an observation of view {view} with detections of shape {xy.shape} and "
                f"covariances of {cov.shape}; the group is of {self.views} views, {k} keypoints an "
                f"individual and at most {most} detections"
            )


def precompile(like: ViewGroup) -> None:
    """Take observations through a spare group of the same cameras, so that every step is compiled.

    Parameters
    ----------
    like
        The group that will run; it does not change.
    """
    if not isinstance(like, IndividualViewGroup):
        live.precompile(like)
        return
    (n, k), each = like.shape, np.ones(like.shape[1])
    spare = IndividualViewGroup(like.name, like.cameras, TrackingSpec3D(each, each, each), NS_PER_S, n)
    cov = np.tile(np.eye(2), (1, k, 1, 1))
    for t_ns in (0, NS_PER_MS):
        spare.begin_turn()
        for view, camera in enumerate(like.cameras):
            spare.observe(view, t_ns, np.tile(camera.centre, (1, k, 1)), cov)
    spare.predict(2 * NS_PER_S)
