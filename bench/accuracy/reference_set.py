"""From networks' answers to what is compared: ensembles, one reference set for all, distances and movements.

The reference set does not depend on the network that it measures: the spaces of poses and of mirrored views
are fitted to all labels once, in frame px; a keypoint counts as seen in a video frame where the networks with
the most labels are confident of it on average, so that none can choose its own frames; and steps are compared
with those of the smoothed ensemble. Keypoints that are often out of view (the obstacle) are left out where
they are not seen, and everywhere if they are seen in less than half of the video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.accuracy.cells import ENSEMBLE, Cell
from bench.accuracy.measure import Measured
from rt_pose.errors import UserError
from rt_pose.offline.ensemble import ensemble_of, smooth_single
from rt_pose.offline.prediction_files import Predictions
from rt_pose.package import GOLDEN_CONFIDENCE
from rt_pose.types import FloatArray
from train.evaluation.amplitude import fast_speed, step_amplitude
from train.evaluation.spaces import Space
from train.evaluation.video_metrics import temporal_norm

OFTEN_SEEN = 0.5
Mask = NDArray[np.bool_]


@dataclass
class ReferenceSet:
    """What all networks are measured with. T video frames, K keypoints."""

    pose: Space | None
    mirror: Space | None
    seen: Mask
    """(T, K)."""
    steppers: list[int]
    """Keypoints whose steps are compared."""
    rate_hz: float
    references: dict[str, FloatArray] = field(default_factory=dict)
    """(T, K, 2) px: smooth poses that step, by name. More than one: an ensemble of networks that have learned
    to stand still would find that they step as far as they should."""

    @property
    def present(self) -> Mask:
        """(K,) keypoints that are seen in the video often enough to be compared."""
        found: Mask = self.seen.mean(axis=0) >= OFTEN_SEEN
        return found


@dataclass
class Network:
    """A network, or an ensemble of some, and its distances."""

    cell: Cell
    measured: Measured
    temporal: FloatArray
    """(T, K) px from the frame before; NaN in the first."""
    pose: FloatArray
    """(T, K) px from the space of poses; NaN for keypoints that are not part of it."""
    mirror: FloatArray
    """(T, K) px from the space of views."""
    noise: FloatArray
    """(J, K) px."""
    bf16: FloatArray
    """(J, K) px; NaN where the processor has no bf16."""
    steps: dict[str, FloatArray]
    """(S,) ratio of the step amplitude of each stepper to each reference's."""
    speeds: dict[str, FloatArray]
    """(S,) ratio of the fast speed of each stepper to each reference's."""


def ensemble(members: Sequence[Measured], keypoints: list[str]) -> Measured:
    """Combine members as `rt-pose smooth` does; take their median on single images, without neighbours.

    Jitter is that of the median, before smoothing: what one frame's noise does.

    Parameters
    ----------
    members
        Answers of the members, on the same frames.
    keypoints
        K names.

    Returns
    -------
    Measured
        Answers of the ensemble.

    Raises
    ------
    UserError
        Where the members saw different frames or videos.
    """
    first = members[0]
    if any(m.held_names != first.held_names for m in members):
        raise UserError("ensemble: its members saw different frames")
    xy, confidence = smooth_members(members, keypoints)
    return Measured(
        first.held_names,
        first.held_labels,
        np.median([m.held_xy for m in members], axis=0),
        xy,
        confidence,
        first.some,
        np.median([m.still_xy for m in members], axis=0),
        np.median([m.noisy_xy for m in members], axis=0),
        np.median([m.bf16_xy for m in members], axis=0),
    )


def smooth_members(members: Sequence[Measured], keypoints: list[str]) -> tuple[FloatArray, FloatArray]:
    """Smooth the members' answers to the video, of whatever folds they are.

    Parameters
    ----------
    members
        Answers of the members.
    keypoints
        K names.

    Returns
    -------
    tuple[FloatArray, FloatArray]
        Positions (T, K, 2) px, and confidence (T, K).

    Raises
    ------
    UserError
        Where the members saw different videos.
    """
    if len({len(m.xy) for m in members}) > 1:
        raise UserError("ensemble: its members saw different videos")
    frames = [str(i) for i in range(len(members[0].xy))]
    together = ensemble_of([Predictions(keypoints, frames, m.xy, m.confidence) for m in members])
    return smooth_single(together).xy, together.likelihood


def visible_mask(networks: Sequence[Measured]) -> Mask:
    """Find where networks are confident on average.

    Parameters
    ----------
    networks
        Their answers.

    Returns
    -------
    Mask
        (T, K).
    """
    found: Mask = np.mean([m.confidence for m in networks], axis=0) >= GOLDEN_CONFIDENCE
    return found


def measure_network(cell: Cell, measured: Measured, reference_set: ReferenceSet) -> Network:
    """Measure a network's answers.

    Parameters
    ----------
    cell
        The network.
    measured
        Its answers.
    reference_set
        What it is measured with.

    Returns
    -------
    Network
        Its distances and ratios.

    Raises
    ------
    UserError
        Where it saw another video.
    """
    xy = measured.xy
    if np.shape(xy)[:2] != reference_set.seen.shape:
        raise UserError(f"{cell.name}: measured on another video: {len(xy)} frames")
    return Network(
        cell,
        measured,
        temporal_norm(xy),
        _errors(reference_set.pose, xy),
        _errors(reference_set.mirror, xy),
        np.linalg.norm(measured.noisy_xy - measured.still_xy, axis=-1),
        np.linalg.norm(measured.bf16_xy - measured.still_xy, axis=-1),
        {name: _steps(xy, of, reference_set) for name, of in reference_set.references.items()},
        {name: _speeds(xy, of, reference_set) for name, of in reference_set.references.items()},
    )


def _errors(space: Space | None, xy: FloatArray) -> FloatArray:
    return space.errors(xy) if space else np.full(xy.shape[:2], np.nan)


def _steps(xy: FloatArray, reference: FloatArray, references: ReferenceSet) -> FloatArray:
    seen = references.seen[:, references.steppers]
    own, right = (
        step_amplitude(p[:, references.steppers], seen, references.rate_hz) for p in (xy, reference)
    )
    return own / right


def _speeds(xy: FloatArray, reference: FloatArray, references: ReferenceSet) -> FloatArray:
    seen = references.seen[:, references.steppers]
    own, right = (fast_speed(p[:, references.steppers], seen) for p in (xy, reference))
    return own / right


def ensembles(
    measured: dict[Cell, Measured], row: str, seeds: Sequence[int], keypoints: list[str]
) -> dict[Cell, Measured]:
    """Make an ensemble for each number of labels and fold that has a network for every seed.

    Parameters
    ----------
    measured
        Answers by cell.
    row
        Row of the members.
    seeds
        Seeds of the members.
    keypoints
        K names.

    Returns
    -------
    dict[Cell, Measured]
        Answers of the ensembles.
    """
    found = {}
    for labels, fold in sorted({(c.labels, c.fold) for c in measured if c.row == row}):
        members = [measured.get(Cell(row, labels, fold, seed)) for seed in seeds]
        whole = [m for m in members if m is not None]
        if len(whole) == len(members) > 1:
            found[Cell(ENSEMBLE, labels, fold, seeds[0])] = ensemble(whole, keypoints)
    return found
