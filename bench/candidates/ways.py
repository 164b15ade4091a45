"""Ways of choosing: the highest peak; candidates by the pose prior, and by predictions too."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.candidates.found import Found
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.inference.decode import CANDIDATES
from rt_pose.package import TrackingSpec
from rt_pose.tracking.candidate_choice import CandidateChoice, ChoiceSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import FloatArray, FrameStamps, Pose

CONTRADICT_CHI2 = 18.4
"""Predictions from before and after that are further apart contradict each other."""


@dataclass
class Variant:
    """What one way of choosing gives."""

    xy: FloatArray
    """(F, K, 2) px."""
    confidence: FloatArray
    """(F, K)."""
    choose_us: list[float] = field(default_factory=list)
    """Time that the choice took, of each frame."""


@dataclass
class Rules:
    """What all ways of choosing share."""

    tracking: TrackingSpec
    """Of the package: filter and pose prior."""
    paws: list[list[int]]
    """Of each view: they exclude each other."""
    spec: ChoiceSpec

    def choice(self) -> CandidateChoice:
        """Make what chooses.

        Returns
        -------
        CandidateChoice
            With room of its own.
        """
        return CandidateChoice(self.tracking, CANDIDATES, self.paws, self.spec)


@dataclass
class Predictions:
    """Where keypoints are expected in every frame, by other frames."""

    xy: FloatArray
    """(F, K, 2) px."""
    cov: FloatArray
    """(F, K, 2, 2) px^2."""
    known: NDArray[np.bool_]
    """(F, K)."""


def variants(found: Found, rules: Rules, rate_hz: float) -> dict[str, Variant]:
    """Choose in every way that needs no reference.

    Parameters
    ----------
    found
        Candidates of a recording.
    rules
        How to choose.
    rate_hz
        Of the recording.

    Returns
    -------
    dict[str, Variant]
        By name.
    """
    peak = take_highest(found)
    chosen, filtered, forward = choose_by_filter(found, rules, rate_hz)
    after = Found(*(part[::-1] for part in (found.xy, found.cov, found.mass, found.decode_us)))
    backward = choose_by_filter(after, rules, rate_hz)[2]
    return {
        "highest peak": peak,
        "highest peak, filtered": filter_highest(found, rules.tracking, rate_hz),
        "candidates, prior": choose_by_prior(found, rules),
        "candidates, prior, prediction": chosen,
        "candidates, prior, prediction, filtered": filtered,
        "candidates, prior, both ways": choose_by(found, rules, fuse(forward, backward)),
    }


def take_highest(found: Found) -> Variant:
    """Take the highest peak.

    Parameters
    ----------
    found
        The candidates.

    Returns
    -------
    Variant
        What the decoder gives.
    """
    return Variant(found.xy[:, :, 0], found.mass[:, :, 0])


def filter_highest(found: Found, tracking: TrackingSpec, rate_hz: float) -> Variant:
    """Filter the highest peaks.

    Parameters
    ----------
    found
        The candidates.
    tracking
        Of the package.
    rate_hz
        Of the recording.

    Returns
    -------
    Variant
        The filter's positions; the confidence is that of the peak.
    """
    tracker, xy = CausalFilter(tracking, 1, found.xy.shape[1]), np.empty(found.xy[:, :, 0].shape)
    for i in range(len(xy)):
        pose = _pose(i, rate_hz, found.xy[i, :, 0], found.cov[i, :, 0], found.mass[i, :, 0])
        xy[i] = tracker.step(pose).xy[0]
    return Variant(xy, found.mass[:, :, 0])


def choose_by_prior(found: Found, rules: Rules) -> Variant:
    """Choose in each frame by itself.

    Parameters
    ----------
    found
        The candidates.
    rules
        How to choose.

    Returns
    -------
    Variant
        What `choose_by` returns.
    """
    f, k = found.xy.shape[:2]
    nowhere = Predictions(np.zeros((f, k, 2)), np.zeros((f, k, 2, 2)), np.zeros((f, k), dtype=bool))
    return choose_by(found, rules, nowhere)


def choose_by(found: Found, rules: Rules, predictions: Predictions) -> Variant:
    """Choose in each frame by given predictions.

    Parameters
    ----------
    found
        The candidates.
    rules
        How to choose.
    predictions
        For every frame.

    Returns
    -------
    Variant
        The candidates that were chosen; the highest where none was, with confidence 0.
    """
    choice, rows = rules.choice(), []
    for i, now in enumerate(zip(found.xy, found.cov, found.mass, strict=True)):
        chosen = choice.choose(*now, predictions.xy[i], predictions.cov[i], predictions.known[i])
        xy, _, confidence = _taken(*chosen, *now)
        rows.append((xy, confidence))
    return Variant(np.array([xy for xy, _ in rows]), np.array([confidence for _, confidence in rows]))


def choose_by_filter(found: Found, rules: Rules, rate_hz: float) -> tuple[Variant, Variant, Predictions]:
    """Choose frame after frame, each by what the causal filter predicts for it.

    Parameters
    ----------
    found
        The candidates.
    rules
        How to choose.
    rate_hz
        Of the recording.

    Returns
    -------
    tuple[Variant, Variant, Predictions]
        The candidates that were chosen, what the filter makes of them, and its predictions.
    """
    choice, tracker = rules.choice(), CausalFilter(rules.tracking, 1, found.xy.shape[1])
    clock, times, rows = HostClock(), [], []
    for i, now in enumerate(zip(found.xy, found.cov, found.mass, strict=True)):
        ahead = tracker.predict("bench", i, _t_ns(i, rate_hz))
        known = ~ahead.lost[0] & np.isfinite(ahead.xy[0, :, 0])
        expected = np.ascontiguousarray(ahead.cov[0, :, :2, :2])
        begin = clock.now_ns()
        chosen = choice.choose(*now, ahead.xy[0], expected, known)
        times.append((clock.now_ns() - begin) / 1e3)
        xy, cov, confidence = _taken(*chosen, *now)
        track = tracker.step(_pose(i, rate_hz, xy, cov, confidence))
        rows.append((xy, confidence, track.xy[0], ahead.xy[0], expected, known))
    xy, confidence, filtered, *predicted = (np.array(part) for part in zip(*rows, strict=True))
    return Variant(xy, confidence, times), Variant(filtered, confidence), Predictions(*predicted)


def fuse(forward: Predictions, backward: Predictions) -> Predictions:
    """Fuse predictions from the frames before with those from the frames after, which run backward.

    Parameters
    ----------
    forward
        Of the frames as they were taken.
    backward
        Of the frames in reverse.

    Returns
    -------
    Predictions
        In the order of `forward`: the product of both Gaussians, one of them where there is no other, and
        none where they contradict each other.
    """
    xy, cov, known = backward.xy[::-1], backward.cov[::-1], backward.known[::-1]
    both = forward.known & known
    total = np.where(both[..., None, None], forward.cov + cov, np.eye(2))
    own = np.where(both[..., None, None], forward.cov, 0.0)
    gain = own @ np.linalg.inv(total)
    apart = np.where(both[..., None], xy - forward.xy, 0.0)
    distance2 = np.einsum("fki,fkij,fkj->fk", apart, np.linalg.inv(total), apart)
    only = (known & ~forward.known)[..., None]
    fused_xy = np.where(only, xy, forward.xy + (gain @ apart[..., None])[..., 0])
    fused_cov = np.where(only[..., None], cov, forward.cov - gain @ own)
    return Predictions(fused_xy, fused_cov, (forward.known | known) & (distance2 <= CONTRADICT_CHI2))


def take_nearest(found: Found, reference: FloatArray) -> Variant:
    """Take the candidate that is nearest to the reference.

    Parameters
    ----------
    found
        The candidates.
    reference
        (F, K, 2) px; NaN where it is not known.

    Returns
    -------
    Variant
        What no choice can better.
    """
    apart = np.linalg.norm(found.xy - reference[:, :, None], axis=-1)
    index = np.nan_to_num(apart, nan=np.inf).argmin(axis=-1)[..., None]
    mass = np.take_along_axis(found.mass, index, axis=-1)[..., 0]
    return Variant(np.take_along_axis(found.xy, index[..., None], axis=2)[:, :, 0], mass)


def _taken(
    index: NDArray[np.int64], probability: FloatArray, xy: FloatArray, cov: FloatArray, mass: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Position, covariance and confidence of what was chosen in a frame.

    The confidence: the mass in all candidates, that the keypoint is seen at all, times the probability that
    it is this one.
    """
    at = np.arange(len(index)), np.maximum(index, 0)
    return xy[at], cov[at], probability * np.minimum(mass.sum(axis=1), 1.0)


def _t_ns(i: int, rate_hz: float) -> int:
    return round(i / rate_hz * NS_PER_S)


def _pose(i: int, rate_hz: float, xy: FloatArray, cov: FloatArray, confidence: FloatArray) -> Pose:
    t_ns = _t_ns(i, rate_hz)
    arrays = (np.ascontiguousarray(part)[None] for part in (xy, cov, confidence))
    return Pose("bench", FrameStamps(i, t_ns, t_ns, t_ns), *arrays)
