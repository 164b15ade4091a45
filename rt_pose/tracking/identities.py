"""Who is in which slot: births, deaths, and the hypotheses from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rt_pose.errors import check_range
from rt_pose.package import TrackingSpec
from rt_pose.tracking import hypotheses, slot_identity
from rt_pose.tracking.hypotheses import Indices, Mask, State, make_state
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
    """How individuals come, go, are seen and are mistaken for one another."""

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
    confusion_hz: float = 0.05
    """How often a second two animals whose bodies overlap are exchanged without any hypothesis of it."""
    hidden_confusion_hz: float = 0.15
    """The same while one of the two is not seen. Both were fitted to simulated animals that cross."""

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
            ("confusion_hz", 0.0, 100.0), ("hidden_confusion_hz", 0.0, 100.0),
        ):  # fmt: skip
            check_range(where, name, getattr(self, name), low, high)


class Identities:
    """The slots of one camera, and what is known of who is in them."""

    def __init__(
        self,
        spec: TrackingSpec,
        individuals: int,
        keypoints: int,
        frame_px: tuple[int, int],
        options: IndividualOptions,
        detections: int,
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
            How individuals come, go, are seen and are mistaken for one another.
        detections
            Most that a frame may have.
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
        self._q = np.tile(np.asarray(spec.q_px2_s3, np.float64), n)
        self._tau = np.tile(np.asarray(spec.tau_s, np.float64), n)
        self._gain, self._floor = np.asarray(spec.gain, np.float64), np.asarray(spec.floor_px2, np.float64)
        self._speed2 = 0.5 * self._q * self._tau
        self._log_area = math.log(max(1, frame_px[0] * frame_px[1]))
        self._log_seen = math.log(options.seen / options.false_detections)
        self._log_unseen = math.log(1.0 - options.seen)
        self._state = make_state(options.hypotheses, n, k)
        self._next = make_state(options.hypotheses, n, k)
        self._count = 1
        self._used = np.zeros(n, dtype=bool)
        """Alive, or seen in too few frames for that yet."""
        self._sightings = np.zeros(n, dtype=np.int64)
        self._match = np.zeros(n, dtype=np.int64)
        self._place = np.zeros((n, 3))
        self._unmoved: Indices = np.arange(n)
        self._workspaces = [_Workspace(options.hypotheses, n, k, d) for d in range(detections + 1)]

    @property
    def detection(self) -> Indices:
        """(N,) the detection of the newest frame in which each slot was seen; -1 where in none."""
        return self._state.detection[0]

    @property
    def moved(self) -> bool:
        """Whether a slot holds another track than before the newest frame."""
        return not (self.kept.all() and (self.order == self._unmoved).all())

    def keep_all(self) -> None:
        """Note that every slot holds the track that it held."""
        self.order[:], self.kept[:] = self._unmoved, True

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
        self.keep_all()
        room, options, keypoints = self._workspaces[len(xy)], self._options, self._shape[1]
        measure(
            xy, cov, confidence, self._min_confidence, self._gain, self._floor,
            room.r, room.seen, room.log_spread,
        )  # fmt: skip
        hypotheses.predict(self._state, self._count, dt_s, self._q, self._tau)
        found = hypotheses.branch(
            self._state, self._count, self._used, xy, room.r, room.seen, room.log_spread, self._log_area,
            self._log_seen, self._log_unseen, -math.log(LEAST_LIKELY),
            *room.search, *room.assignments,
        )  # fmt: skip
        self._choose_published(found, *room.assignments)
        hypotheses.grow(
            self._state, self._next, found, *room.assignments, xy, room.r, room.seen, room.search[1],
            self._speed2, self._gate, *room.work,
        )  # fmt: skip
        self._state, self._next = self._next, self._state
        self._count = slot_identity.merge(self._state, found, self._used, keypoints, self._match)
        shares = (
            exchange_probability(hz, dt_s) for hz in (options.confusion_hz, options.hidden_confusion_hz)
        )
        slot_identity.confuse(self._state, self._count, self._used, keypoints, *shares, self._place)
        self._end_slots()
        self._begin_slots(xy, room)
        slot_identity.identity_probability(
            self._state, self._count, self._used, self._match, self.identity_p
        )  # fmt: skip

    def _choose_published(self, found: int, parent: Indices, choice: Indices, log_p: FloatArray) -> None:
        """Put the assignment first that is to be published: of the hypothesis that was, if it may stay."""
        at = next((c for c in range(found) if parent[c] == 0), -1)
        if at < 0 or log_p[at] < log_p[0] - math.log(STAY):
            at = 0
        if at > 0:
            order = [at, *range(at), *range(at + 1, found)]
            parent[:found], choice[:found], log_p[:found] = parent[order], choice[order], log_p[order]
        if parent[0] == 0:
            return
        self.changes += 1
        state, g = self._state, int(parent[0])
        slot_identity.match_slots(state.detection[0], state.detection[g], self._match)
        self.order[:] = np.argsort(self._match)
        for s, t in enumerate(self._match.tolist()):
            together = 0 <= state.detection[0, s] == state.detection[g, t]
            self.kept[t] = together or slot_identity.same_body(state, 0, s, g, t, self._shape[1])

    def _end_slots(self) -> None:
        """Empty the slots whose animal may be anywhere, and those that were no animal's after all."""
        self._sightings += (self.detection >= 0) & self._used
        for s, used in enumerate(self._used.tolist()):
            if not used:
                continue
            if self.detection[s] < 0 and self._is_gone(s):
                self._end_slot(s)
            elif not self.alive[s] and self._sightings[s] >= self._options.birth_frames:
                self.alive[s] = True
                self.births += 1

    def _is_gone(self, s: int) -> bool:
        """Whether a slot that is not seen held no animal yet, or one that may be anywhere by now."""
        if not self.alive[s]:
            return True
        extent = slot_identity.log_extent(self._state, 0, s, self._shape[1])
        return bool(extent > self._log_area + math.log(self._options.empty_areas))

    def _end_slot(self, s: int) -> None:
        self.deaths += int(self.alive[s])
        self._used[s] = self.alive[s] = False
        for h in range(1, self._count):
            # The animal that is gone may have another slot there: all take the published order.
            slot_identity.match_slots(self._state.detection[0], self._state.detection[h], self._match)
            _reorder(self._state, h, self._match, self._shape[1])
        self._state.detection[:, s] = -1

    def _begin_slots(self, xy: FloatArray, room: _Workspace) -> None:
        """Take empty slots into use for detections that nobody explains."""
        if self._used.all():
            return
        detection, p = self._state.detection, np.exp(self._state.log_p)
        for d in range(len(xy)):
            free = ~(detection[: self._count] == d).any(axis=1)
            if not free[0] or 2 * np.count_nonzero(room.seen[d]) < self._shape[1]:
                continue
            empty = np.flatnonzero(~self._used)
            if len(empty) and p[: self._count][free].sum() >= UNEXPLAINED:
                self._drop_hypotheses(free)
                p = np.exp(self._state.log_p)
                self._begin_slot(int(empty[0]), d, xy, room)

    def _begin_slot(self, s: int, d: int, xy: FloatArray, room: _Workspace) -> None:
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
                slot_identity.copy(self._state, source, target)
        self._count = len(at)
        log_p = self._state.log_p[: self._count]
        log_p -= np.log(np.exp(log_p).sum())


class _Workspace:
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


def _reorder(state: State, h: int, order: Indices, keypoints: int) -> None:
    """Move a hypothesis's slots: slot i becomes what slot `order[i]` was."""
    at = (order[:, None] * keypoints + np.arange(keypoints)).ravel()
    state.mean[h], state.cov[h] = state.mean[h][:, at], state.cov[h][:, :, at]
    state.known[h] = state.known[h][at]
    state.identity[h], state.detection[h] = state.identity[h][order], state.detection[h][order]


def exchange_probability(rate_hz: float, dt_s: float) -> float:
    """Compute how probably exchanges of a rate have left two the other way round after a time.

    Parameters
    ----------
    rate_hz
        Exchanges a second.
    dt_s
        The time, s.

    Returns
    -------
    float
        0 to 0.5.
    """
    return -0.5 * math.expm1(-2.0 * rate_hz * dt_s)
