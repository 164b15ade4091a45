"""How good the poses of a video are: the shares of frames that are lost, implausible, frozen or drifted.

It is measured on the table, so that it can be measured again, by other options, without the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.pose_space import residuals
from rt_pose.offline.prediction_files import Predictions
from rt_pose.offline.quality_config import LimitsConfig, QualityConfig
from rt_pose.package import Subspace
from rt_pose.types import FloatArray

Mask = NDArray[np.bool_]

KINDS = ("lost", "implausible", "frozen", "drifted")
GRADES = ("good", "check", "bad")
ALIKE_PX, ALIKE_CONFIDENCE = 0.01, 0.001
"""Positions and confidences that differ by no more come from the same picture: a camera's noise alone moves
them further."""
LEAST_WINDOWS = 4
"""With fewer a video is not compared with itself."""
LEAST_SHARE = 0.1
"""Share of a window's frames that must be known for the window to be compared."""
APART = 4
"""Two of W worst frames lie at least a W-th of the video, divided by this, apart."""


@dataclass
class WorstFrame:
    """A frame to check first."""

    frame: int
    """Its number in the video."""
    reason: str


@dataclass
class Quality:
    """How good the poses of a video are; shares are of its frames."""

    lost: float
    implausible: float | None
    """None where no space of poses is known for these frames."""
    frozen: float
    drifted: float
    confidence: float
    """Mean of all keypoints and frames."""
    worst: list[WorstFrame]
    """Those that count against the video, in its order; where there are none, the least confident."""
    options: QualityConfig
    """By which it was measured."""


@dataclass
class _Mark:
    """What counts against each of F frames."""

    severity: FloatArray
    """(F,) the higher the worse, 0 for frames that are well."""
    reason: Callable[[int], str]
    """Of a frame."""

    def share(self) -> float:
        return float((self.severity > 0.0).mean())


def shares_text(measured: object) -> str:
    """Format the shares of a video that are not zero.

    Parameters
    ----------
    measured
        Has an attribute for each of `KINDS`.

    Returns
    -------
    str
        Such as `lost 3 %, frozen 12 %`; empty where there is nothing to say.
    """
    shares = ((kind, getattr(measured, kind)) for kind in KINDS)
    return ", ".join(f"{kind} {100.0 * share:.2g} %" for kind, share in shares if share)


def check_quality_config(quality: QualityConfig, limits: LimitsConfig) -> None:
    """Check options that the user gave.

    Parameters
    ----------
    quality, limits
        The options.

    Raises
    ------
    UserError
        With every value that means nothing.
    """
    wrong = [
        f"quality.{name}: expected {expected}, got {getattr(quality, name)}"
        for name, expected, good in (
            ("seen_share", "a share above 0, at most 1", 0.0 < quality.seen_share <= 1.0),
            ("implausible_sd", "a number above 0", quality.implausible_sd > 0.0),
            ("frozen_frames", "at least 2", quality.frozen_frames >= 2),
            ("drift_frames", "at least 10", quality.drift_frames >= 10),
            ("drift_sd", "a number above 0", quality.drift_sd > 0.0),
            ("drift_confidence", "a share above 0, at most 1", 0.0 < quality.drift_confidence <= 1.0),
            ("worst", "0 to 100", 0 <= quality.worst <= 100),
        )
        if not good
    ]
    for field in fields(limits):
        pair = getattr(limits, field.name)
        if len(pair) != 2 or not 0.0 < pair[0] <= pair[1]:
            wrong.append(
                f"limits.{field.name}: expected two shares above 0, from which a video is to be checked and "
                f"from which it is bad, such as 0.05 0.25; got {pair}"
            )
    if wrong:
        raise UserError("\n".join(wrong))


def grade_of(quality: Quality, limits: LimitsConfig) -> str:
    """Grade a video.

    Parameters
    ----------
    quality
        Its quality.
    limits
        Shares of frames from which it is to be checked, and bad.

    Returns
    -------
    str
        One of `GRADES`, by its worst share.
    """
    shares = ((getattr(quality, kind) or 0.0, getattr(limits, kind)) for kind in KINDS)
    return GRADES[max(sum(share >= limit for limit in pair) for share, pair in shares)]


def measure_quality(
    poses: Predictions, min_confidence: float, spaces: Sequence[Subspace], config: QualityConfig
) -> Quality:
    """Measure the poses of a video.

    Parameters
    ----------
    poses
        The table, F frames in order.
    min_confidence
        From it on a keypoint counts as seen.
    spaces
        Spaces that poses keep to, in px of these frames; empty where none are known.
    config
        What counts against a frame.

    Returns
    -------
    Quality
        Shares of frames, and the worst of them.
    """
    confidence = np.where(np.isfinite(poses.likelihood), poses.likelihood, 0.0)
    seen = np.isfinite(poses.xy).all(axis=-1) & (confidence >= min_confidence)
    far = deviations(poses.xy, seen, spaces)
    lost = _lost(seen, config)
    implausible = _implausible(far, poses.keypoints, config)
    frozen = _frozen(poses.xy, confidence, config)
    drifted = _drifted(far, confidence, lost.severity > 0.0, poses.keypoints, config)
    average = confidence.mean(axis=1)
    least = _Mark(1.0 + average.max() - average, lambda row: f"confidence {average[row]:.2f}")
    counted = list(_pick((lost, implausible, frozen, drifted), config.worst))
    picked = counted or list(_pick([least], config.worst))
    return Quality(
        lost=lost.share(),
        implausible=implausible.share() if spaces else None,
        frozen=frozen.share(),
        drifted=drifted.share(),
        confidence=float(average.mean()),
        worst=[WorstFrame(int(float(poses.frames[row])), reason) for row, reason in sorted(picked)],
        options=config,
    )


def deviations(xy: FloatArray, seen: Mask, spaces: Sequence[Subspace]) -> FloatArray:
    """Compute how far keypoints lie from the spaces that poses keep to.

    Parameters
    ----------
    xy
        (F, K, 2) px.
    seen
        (F, K) keypoints that count.
    spaces
        Spaces of poses, px.

    Returns
    -------
    FloatArray
        (F, K) standard deviations, the largest of all spaces; NaN where no space holds a keypoint, or not
        every keypoint of its space was seen.
    """
    far = np.full(seen.shape, np.nan)
    for space in spaces:
        rows = np.flatnonzero(seen[:, space.keypoints].all(axis=1))
        if not len(rows):
            continue
        at = np.ix_(rows, np.array(space.keypoints, np.intp))
        d = xy[at].reshape(len(rows), -1)
        off = residuals(d, np.array(space.mean_px), np.array(space.components)) / np.sqrt(space.eps_px2)
        far[at] = np.fmax(far[at], off)
    return far


def _lost(seen: Mask, config: QualityConfig) -> _Mark:
    share, count = seen.mean(axis=1), seen.sum(axis=1)
    severity = np.where(share < config.seen_share, 1.0 + config.seen_share - share, 0.0)
    return _Mark(severity, lambda row: f"lost: {count[row]} of {seen.shape[1]} seen")


def _implausible(far: FloatArray, keypoints: Sequence[str], config: QualityConfig) -> _Mark:
    known = np.where(np.isfinite(far), far, 0.0)
    largest, at = known.max(axis=1), known.argmax(axis=1)
    severity = np.where(largest > config.implausible_sd, largest, 0.0)
    return _Mark(severity, lambda row: f"implausible: {keypoints[at[row]]} {largest[row]:.0f} sd off")


def _frozen(xy: FloatArray, confidence: FloatArray, config: QualityConfig) -> _Mark:
    """Runs in which each frame is like the one before it; the severity is the run's length."""
    blank = np.isnan(xy)
    still = (np.abs(np.diff(xy, axis=0)) <= ALIKE_PX) | (blank[1:] & blank[:-1])
    alike = np.zeros(len(xy), bool)
    alike[1:] = still.all(axis=(1, 2)) & (np.abs(np.diff(confidence, axis=0)) <= ALIKE_CONFIDENCE).all(axis=1)
    alike &= ~blank.all(axis=(1, 2))
    severity = np.zeros(len(xy))
    steps = np.diff(alike.astype(np.int8), prepend=0, append=0)
    runs = zip(np.flatnonzero(steps > 0).tolist(), np.flatnonzero(steps < 0).tolist(), strict=True)
    for start, stop in runs:
        if stop - start >= config.frozen_frames:
            severity[start:stop] = stop - start
    return _Mark(severity, lambda row: f"frozen: {severity[row]:.0f} frames alike")


def _drifted(
    far: FloatArray, confidence: FloatArray, lost: Mask, keypoints: Sequence[str], config: QualityConfig
) -> _Mark:
    """Windows whose typical pose lies off the spaces, or whose typical confidence has fallen."""
    count = max(len(far) // config.drift_frames, 1)
    bounds = np.linspace(0, len(far), count + 1).astype(int).tolist()
    windows = [slice(start, stop) for start, stop in pairwise(bounds)]
    average = np.where(lost, np.nan, confidence.mean(axis=1))
    levels = [_median(average[window]) for window in windows]
    own = _median(np.array(levels)) if count >= LEAST_WINDOWS else np.nan
    severity, texts = np.zeros(len(far)), np.full(len(far), "", object)
    for window, level in zip(windows, levels, strict=True):
        off = np.nan_to_num([_median(column) for column in far[window].T])
        most = int(off.argmax())
        fall = np.nan_to_num(1.0 - level / own) if own > 0.0 else 0.0
        by_pose, by_confidence = off[most] / config.drift_sd, fall / config.drift_confidence
        if max(by_pose, by_confidence) > 1.0:
            severity[window] = max(by_pose, by_confidence)
            texts[window] = (
                f"drifted: {keypoints[most]} {off[most]:.0f} sd off"
                if by_pose >= by_confidence
                else f"drifted: confidence {100.0 * fall:.0f} % lower"
            )
    return _Mark(severity, lambda row: str(texts[row]))


def _median(values: FloatArray) -> float:
    """The median of those that are known; NaN where these are too few."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) > LEAST_SHARE * len(values) else np.nan


def _pick(marks: Sequence[_Mark], count: int) -> Iterator[tuple[int, str]]:
    """Rows and reasons: by turns the worst of each mark, none close to one that was picked before."""
    frames = len(marks[0].severity)
    free, left = np.ones(frames, bool), count
    apart = frames // (APART * count) if count else 0
    while left > 0:
        before = left
        for mark in marks:
            severity = np.where(free, mark.severity, 0.0)
            row = int(severity.argmax())
            if left > 0 and severity[row] > 0.0:
                yield row, mark.reason(row)
                free[max(row - apart, 0) : row + apart + 1] = False
                left -= 1
        if left == before:
            return
