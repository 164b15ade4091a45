"""The truth of several animals: each smoothed by itself, from the detections that its slot took.

Detections are in no order; which are whose is what the run itself found, computed again from the log. A slot
that is emptied, or that later frames gave to another animal, ends a stretch: nothing is smoothed across it.
Within a stretch an animal that is hidden for a while is interpolated, before its first and after its last
sight nothing is known of it. Where two animals were exchanged unnoticed, hindsight is as wrong as the run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rt_pose.audit.recompute import ReplaySetup, logged_pose
from rt_pose.audit.replay import before_gap, usable_inputs
from rt_pose.audit.truth import Smoother, TruthSeries
from rt_pose.package import TrackingSpec
from rt_pose.records import Observation
from rt_pose.session.read import Session
from rt_pose.tracking.individuals import IndividualTracker
from rt_pose.types import FloatArray, Pose

LEAST_SIGHTS = 2
"""In a stretch: of one sight there is no velocity."""


@dataclass
class _SlotSeries:
    """What the slots of one camera took in over one epoch, frame by frame."""

    t_ns: list[int] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    poses: list[Pose] = field(default_factory=list)
    """(N, K), NaN where a slot was not seen."""
    alive: list[NDArray[np.bool_]] = field(default_factory=list)
    """(N,) whether a slot holds an animal."""
    cuts: list[NDArray[np.bool_]] = field(default_factory=list)
    """(N,) whether a slot holds another track than in the frame before."""


def smoothed_slots(session: Session, setup: ReplaySetup, smooth: Smoother) -> list[TruthSeries]:
    """Smooth the animals of a session, over each playing of each camera, with the filter's model.

    Parameters
    ----------
    session
        The session, of several individuals.
    setup
        What its tracks depend on.
    smooth
        The smoother.

    Returns
    -------
    list[TruthSeries]
        One for each camera and epoch; NaN where a slot is empty. What follows an input that is missing in the
        log is left out.

    Raises
    ------
    NotComparableError
        Where nothing was observed.
    """
    inputs = before_gap(list(usable_inputs(session)))
    found = []
    for camera in setup.cameras:
        tracker, spec = setup.tracker_of(camera), setup.tracking_of(camera)
        assert isinstance(tracker, IndividualTracker)
        seen = [item for item in inputs if isinstance(item, Observation) and item.camera == camera]
        for epoch, series in _sort(seen, tracker).items():
            found.append(_smooth(camera, epoch, series, spec, smooth))
    return found


def _sort(observations: list[Observation], tracker: IndividualTracker) -> dict[int, _SlotSeries]:
    """The slots' series by epoch, without frames that come out of order, which the filter ignores."""
    found: dict[int, _SlotSeries] = defaultdict(_SlotSeries)
    cut = np.zeros(tracker.shape[0], dtype=bool)
    for seen in observations:
        tracker.step(logged_pose(seen))
        cut |= tracker.newest.moved
        series, stamps, by_slot = found[seen.stamps.epoch], seen.stamps, tracker.by_slot
        if series.t_ns and stamps.t_scene_ns <= series.t_ns[-1]:
            continue
        series.t_ns.append(stamps.t_scene_ns)
        series.index.append(stamps.index)
        copies = (part.copy() for part in (by_slot.xy, by_slot.cov, by_slot.confidence))
        series.poses.append(Pose(seen.camera, stamps, *copies))
        series.alive.append(tracker.newest.alive)
        series.cuts.append(cut.copy())
        cut[:] = False
    return dict(found)


def _smooth(
    camera: str, epoch: int, series: _SlotSeries, spec: TrackingSpec, smooth: Smoother
) -> TruthSeries:
    t_ns, cuts = np.array(series.t_ns, np.int64), np.stack(series.cuts)
    xy, cov, confidence = (
        np.stack([getattr(pose, name) for pose in series.poses]) for name in ("xy", "cov", "confidence")
    )
    shape = confidence.shape  # (F, N, K)
    truth = TruthSeries(
        "the session smoothed in hindsight",
        camera,
        epoch,
        t_ns,
        np.array(series.index, np.int64),
        np.full((*shape, 2), np.nan),
        np.full((*shape, 2), np.nan),
        np.full((*shape, 4, 4), np.nan),
        cuts,
    )
    assert truth.cov is not None
    for n in range(shape[1]):
        alive = np.array([frame[n] for frame in series.alive])
        for part in _segments(confidence[:, n], alive, cuts[:, n]):
            smoothed = smooth(t_ns[part], xy[part, n], cov[part, n], confidence[part, n], spec)
            truth.xy[part, n], truth.velocity[part, n] = smoothed.xy, smoothed.velocity
            truth.cov[part, n] = smoothed.cov
    return truth


def _segments(confidence: FloatArray, alive: NDArray[np.bool_], cuts: NDArray[np.bool_]) -> Iterator[slice]:
    """The frames of each animal that a slot held, from its first to its last sight."""
    bounds = [0, *np.flatnonzero(cuts).tolist(), len(cuts)]
    for begin, end in pairwise(bounds):
        sights = begin + np.flatnonzero((confidence[begin:end] > 0.0).any(axis=1))
        if len(sights) >= LEAST_SIGHTS and alive[begin:end].any():
            yield slice(int(sights[0]), int(sights[-1]) + 1)
