"""Who is in which slot: births, deaths, and the hypotheses from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.package import TrackingSpec
from rt_pose.tracking import hypotheses
from rt_pose.tracking.hypotheses import Indices, Mask, make_state
from rt_pose.tracking.pose_likelihood import measure
from rt_pose.types import FloatArray

LEAST_LIKELY = 1e-4
"""A hypothesis that is less likely than the best by more than this factor is dropped."""
STAY = 2.0
"""Another hypothesis is published when it is more probable than the published one by this factor."""
UNEXPLAINED = 0.99
"""A detection may be a birth where it belongs to nobody with this probability."""


@dataclass(frozen=True)
class IndividualOptions:
    """How individuals come, go and are seen."""

    seen: float = 0.9
    """Share of the frames in which an individual that is there is detected."""
    false_detections: float = 0.1
    """Detections of nobody a frame, on average."""
    birth_frames: int = 3
    """A detection that no individual explains is one itself after so many frames in a row."""
    empty_areas: float = 4.0
    """A slot becomes empty when its animal may be anywhere: when its place is as uncertain as if it were
    spread evenly over so many areas of the frame."""
    hypotheses: int = 8
    """Most that are followed at a time."""

    def check(self, where: str) -> None:
        """Check the ranges of all values.

        Parameters
        ----------
        where
            Key of the configuration to name in an error.

        Raises
        ------
        UserError
            Where a value lies outside its range.
        """
        for name, low, high in (
            ("seen", 0.01, 0.999), ("false_detections", 1e-6, 100.0), ("birth_frames", 1, 1000),
            ("empty_areas", 0.01, 1e6), ("hypotheses", 1, 64),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(f"{where}: {name} must be between {low:g} and {high:g}, got {value:g}")


class Identities:
    """The slots of one camera, and what is known of who is in them."""

    def __init__(
        self,
        spec: TrackingSpec,
        individuals: int,
        keypoints: int,
        frame_px: tuple[int, int],
        options: IndividualOptions,
    ) -> None:
        """Allocate all slots; they are empty.

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
            How individuals come, go and are seen.
        """
        n, k = individuals, keypoints
        self.births = self.deaths = 0
        """Individuals that were found, and slots that became empty."""
        self.changes = 0
        """Times another hypothesis was published: later frames spoke against the one before."""
        self.alive: Mask = np.zeros(n, dtype=bool)
        """(N,) whether a slot holds an individual."""
        self.identity_p = np.full(n, np.nan)
        """(N,) probability that a slot in use still holds the individual that it held at its birth."""
        self.order: Indices = np.arange(n)
        """(N,) the slot in which each slot's track was before the newest frame."""
        self.kept: Mask = np.ones(n, dtype=bool)
        """(N,) whether that track goes on."""
        self._options, self._shape = options, (n, k)
        self._min_confidence, self._gate = spec.min_confidence, spec.gate_chi2
        self._q, self._tau = np.tile(spec.q_px2_s3, n), np.tile(spec.tau_s, n)
        self._gain, self._floor = np.asarray(spec.gain, np.float64), np.asarray(spec.floor_px2, np.float64)
        self._speed2 = 0.5 * self._q * self._tau
        self._log_area = math.log(frame_px[0] * frame_px[1])
        self._log_seen = math.log(options.seen / options.false_detections)
        self._log_unseen = math.log(1.0 - options.seen)
        self._state = make_state(options.hypotheses, n, k)
        self._next = make_state(options.hypotheses, n, k)
        self._count = 1
        self._used = np.zeros(n, dtype=bool)
        """Alive, or seen in too few frames for that yet."""
        self._sightings = np.zeros(n, dtype=np.int64)
        self._match = np.zeros(n, dtype=np.int64)
        self._rooms: dict[int, _Room] = {}

    @property
    def detection(self) -> Indices:
        """(N,) the detection of the newest frame in which each slot was seen; -1 where in none."""
        return self._state.detection[0]

    def clear(self) -> None:
        """Empty all slots."""
        self._state.detection[:] = -1
        self._state.log_p[:] = 0.0
        self._count = 1
        self._used[:] = self.alive[:] = False

    def step(self, dt_s: float, xy: FloatArray, cov: FloatArray, confidence: FloatArray) -> None:
        """Carry everything through the detections of a frame.

        Parameters
        ----------
        dt_s
            Time since the frame before, s.
        xy, cov, confidence
            The detections, contiguous: (D, K, 2) px, (D, K, 2, 2) px^2 and (D, K).
        """
        self.order, self.kept = np.arange(self._shape[0]), np.ones(self._shape[0], dtype=bool)
        room = self._room(len(xy))
        measure(
            xy, cov, confidence, self._min_confidence, self._gain, self._floor,
            room.r, room.seen, room.log_spread,
        )  # fmt: skip
        hypotheses.predict(self._state, self._count, dt_s, self._q, self._tau)
        found = hypotheses.branch(
            self._state, self._count, self._used, xy, room.r, room.seen, room.log_spread, self._log_area,
            self._log_seen, self._log_unseen, -math.log(LEAST_LIKELY), *room.search, *room.assignments,
        )  # fmt: skip
        self._choose_published(found, *room.assignments)
        hypotheses.grow(
            self._state, self._next, found, *room.assignments, xy, room.r, room.seen, room.search[1],
            self._speed2, self._gate, *room.work,
        )  # fmt: skip
        self._state, self._next = self._next, self._state
        self._count = hypotheses.merge(self._state, found, self._used, self._shape[1], self._match)
        self._end_slots()
        self._begin_slots(xy, room)
        hypotheses.identity_probability(self._state, self._count, self._used, self._match, self.identity_p)

    def _choose_published(self, found: int, parent: Indices, choice: Indices, log_p: FloatArray) -> None:
        """Put the assignment first that is to be published: of the hypothesis that was, if it may stay."""
        own = np.flatnonzero(parent[:found] == 0)
        at = int(own[0]) if len(own) and log_p[own[0]] >= log_p[0] - math.log(STAY) else 0
        if at > 0:
            order = [at, *range(at), *range(at + 1, found)]
            parent[:found], choice[:found], log_p[:found] = parent[order], choice[order], log_p[order]
        if parent[0] == 0:
            return
        self.changes += 1
        state, g = self._state, int(parent[0])
        hypotheses.match_slots(state.detection[0], state.detection[g], self._match)
        self.order = np.argsort(self._match)
        for s, t in enumerate(self._match.tolist()):
            together = 0 <= state.detection[0, s] == state.detection[g, t]
            self.kept[t] = together or hypotheses.same_body(state, 0, s, g, t, self._shape[1])

    def _end_slots(self) -> None:
        """Empty the slots whose animal may be anywhere, and those that were no animal's after all."""
        seen = self.detection >= 0
        self._sightings[seen & self._used] += 1
        for s in np.flatnonzero(self._used & ~seen).tolist():
            extent = hypotheses.log_extent(self._state, 0, s, self._shape[1])
            if self.alive[s] and extent <= self._log_area + math.log(self._options.empty_areas):
                continue
            self.deaths += int(self.alive[s])
            self._used[s] = self.alive[s] = False
            for h in range(1, self._count):
                # The animal that is gone may have another slot there: all take the published order.
                hypotheses.match_slots(self._state.detection[0], self._state.detection[h], self._match)
                _reorder(self._state, h, self._match, self._shape[1])
            self._state.detection[:, s] = -1
        born = self._used & ~self.alive & (self._sightings >= self._options.birth_frames)
        self.births += int(np.count_nonzero(born))
        self.alive |= born

    def _begin_slots(self, xy: FloatArray, room: _Room) -> None:
        """Take empty slots into use for detections that nobody explains."""
        if self._used.all():
            return
        detection, p = self._state.detection, np.exp(self._state.log_p)
        for d in range(len(xy)):
            empty = np.flatnonzero(~self._used)
            if not len(empty) or 2 * np.count_nonzero(room.seen[d]) < self._shape[1]:
                continue
            free = ~(detection[: self._count] == d).any(axis=1)
            if free[0] and p[: self._count][free].sum() >= UNEXPLAINED:
                self._drop_hypotheses(free)
                p = np.exp(self._state.log_p)
                self._begin_slot(int(empty[0]), d, xy, room)

    def _begin_slot(self, s: int, d: int, xy: FloatArray, room: _Room) -> None:
        state, k = self._state, self._shape[1]
        self._used[s], self._sightings[s], self.kept[s] = True, 1, False
        self.alive[s] = self._options.birth_frames == 1
        self.births += int(self.alive[s])
        state.known[:, s * k : (s + 1) * k] = False
        state.identity[:, s, :] = state.identity[:, :, s] = 0.0
        state.identity[:, s, s] = 1.0
        state.detection[: self._count, s] = d
        for h in range(self._count):
            hypotheses.begin(state, h, s, xy[d], room.r[d], room.seen[d], self._speed2)

    def _drop_hypotheses(self, kept: Mask) -> None:
        at = np.flatnonzero(kept).tolist()
        for target, source in enumerate(at):
            if source != target:
                hypotheses.copy(self._state, source, target)
        self._count = len(at)
        log_p = self._state.log_p[: self._count]
        log_p -= np.log(np.exp(log_p).sum())

    def _room(self, detections: int) -> _Room:
        if detections not in self._rooms:
            self._rooms[detections] = _Room(self._options.hypotheses, *self._shape, detections)
        return self._rooms[detections]


class _Room:
    """Arrays in which one number of detections is worked on."""

    def __init__(self, h: int, n: int, k: int, d: int) -> None:
        m = n * k
        self.r = np.zeros((d, 3, k))
        self.seen = np.zeros((d, k), dtype=bool)
        self.log_spread = np.zeros(d)
        self.search = (
            np.zeros((h, n, d)),
            np.zeros((h, n, d, k), dtype=bool),
            np.zeros((h, n), dtype=np.int64),
            np.zeros(h),
        )
        """score, inlier, choices and values of `branch`."""
        self.assignments = (np.zeros(h, dtype=np.int64), np.zeros((h, n), dtype=np.int64), np.zeros(h))
        """parent, choice and log_p of `branch`."""
        self.work = (np.zeros((2, m)), np.zeros((3, m)), np.ones((3, m)), np.ones(m), np.zeros(m, dtype=bool))
        """e, p, noise, factor and fits of `grow`."""


def _reorder(state: hypotheses.State, h: int, order: NDArray[np.int64], keypoints: int) -> None:
    """Move a hypothesis's slots: slot i becomes what slot `order[i]` was."""
    at = (order[:, None] * keypoints + np.arange(keypoints)).ravel()
    state.mean[h], state.cov[h] = state.mean[h][:, at], state.cov[h][:, :, at]
    state.known[h] = state.known[h][at]
    state.identity[h], state.detection[h] = state.identity[h][order], state.detection[h][order]
