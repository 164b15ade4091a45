"""Fitting the drift detector to recordings: what is usual, and allowance and threshold for a rate of false
alarms.

A second of frames at 250 Hz is not 250 observations of an animal, and a minute holds a few bouts of each
thing that it does. So nothing is derived as for independent frames. How far the mean of a session may lie
from that of the recordings is bounded by a Student quantile, with as many degrees of freedom as there are
pieces of recording; it joins the allowance. The sum's fluctuations are those of hours put together from such
pieces (moving block bootstrap, Kuensch 1989), and, for bouts that are too rare to be in the recordings, those
of a diffusion with the recordings' long-run variance (Siegmund 1985); the threshold is the larger of the two.
Mean and fluctuations take half of the permitted false alarms each, and each statistic a third of that. A
piece is the square root of the number of blocks long, longer than the bootstrap's best length for a mean (the
cube root), to keep what lasts. An hour is drawn from one recording, as a session is of one day, and no
recording is drift by its own mean.

The poses' space is fitted to all frames, but its distances are taken from frames that had no part in the fit:
a space fits its own frames better than any that will come.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.offline.innovations import Recorded
from rt_pose.offline.pose_space import POSES_PER_COORDINATE, principal
from rt_pose.package import DriftLimits, DriftSpec, Subspace, TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.drift import FrameStatistics
from rt_pose.tracking.drift_compiled import LEAST_PX2, MOST_Z
from rt_pose.tracking.drift_statistics import STATISTICS
from rt_pose.types import FloatArray, FrameStamps, Pose, Track

FALSE_ALARM_HOURS = 20.0
BLOCKS_WANTED, SHORTEST_BLOCK_S, LONGEST_BLOCK_S = 40, 0.1, 1.0
"""Recordings shorter than 40 s are cut into shorter blocks, to have that many."""
LEAST_BLOCKS = 12
"""Fewer than this say nothing."""
LEAST_SHIFT = 1.0
"""A mean within one spread of the recordings' is ground that the model knows: frames were there."""
LEAST_SPREAD = 0.2
"""Of any statistic: a change by a fifth is never more than one spread."""
LEAST_THRESHOLD = 3.0
"""Spreads times seconds: no alarm comes of less than a shift of four spreads for a second."""
SHARE_OF_VARIANCE = 0.95
"""What the poses' space holds."""
FOLDS = 4
"""Parts whose distances come from a space of the other parts."""
OFTEN = 0.5
"""A keypoint that was seen in a larger share of frames belongs to the space."""
HOURS, DRAWS, SEED = 4000, 200_000, 0
"""Hours that are put together, and draws of Student's distribution."""


def fit_drift(recordings: Sequence[Recorded], spec: TrackingSpec) -> DriftSpec | None:
    """Fit the drift detector to recordings.

    Parameters
    ----------
    recordings
        What a network saw in recordings, all with the same keypoints.
    spec
        The filter's parameters, fitted already.

    Returns
    -------
    DriftSpec | None
        The detector's parameters; None where the recordings are too short.
    """
    total_s = sum(len(r.xy) * r.dt_s for r in recordings)
    block_s = min(max(total_s / BLOCKS_WANTED, SHORTEST_BLOCK_S), LONGEST_BLOCK_S)
    seen = np.concatenate([r.seen(spec.min_confidence) for r in recordings])
    poses, values = zip(*(_through_filter(recorded, spec) for recorded in recordings), strict=True)
    space, distances = _space(np.concatenate(poses), seen)
    at = 0
    for one in values:
        one[:, 0], at = distances[at : at + len(one)], at + len(one)
    limits = {}
    for place, name in enumerate(STATISTICS):
        columns = [one[:, place] for one in values]
        found = _limits(columns, [r.dt_s for r in recordings], block_s)
        if found is not None:
            limits[name] = found
    if not limits:
        return None
    return DriftSpec(limits, block_s, FALSE_ALARM_HOURS, total_s, space if "pose" in limits else None)


def filter_recorded(recorded: Recorded, spec: TrackingSpec) -> Iterator[tuple[Pose, Track, CausalFilter]]:
    """Take a recording through the filter, as a run would.

    Parameters
    ----------
    recorded
        What a network saw.
    spec
        The filter's parameters.

    Yields
    ------
    tuple[Pose, Track, CausalFilter]
        Each frame's pose, its track, and the filter just after it.
    """
    causal_filter = CausalFilter(spec, 1, recorded.xy.shape[1])
    for i in range(len(recorded.xy)):
        t_ns = round(i * recorded.dt_s * NS_PER_S)
        one = slice(i, i + 1)
        stamps = FrameStamps(i, t_ns, t_ns, t_ns)
        pose = Pose("recording", stamps, recorded.xy[one], recorded.cov[one], recorded.confidence[one])
        yield pose, causal_filter.step(pose), causal_filter


def _through_filter(recorded: Recorded, spec: TrackingSpec) -> tuple[FloatArray, FloatArray]:
    """Poses (F, K, 2), the track where a keypoint was not seen, and statistics (F, 3) but the distance."""
    statistics = FrameStatistics(None)
    poses, values = np.empty_like(recorded.xy), np.empty((len(recorded.xy), len(STATISTICS)))
    for i, (pose, track, causal_filter) in enumerate(filter_recorded(recorded, spec)):
        values[i] = statistics.of(pose, track, causal_filter)
        seen, *_ = causal_filter.measurement()
        poses[i] = np.where(seen[:, None], pose.xy[0], track.xy[0])
    return poses, values


def _space(poses: FloatArray, seen: NDArray[np.bool_]) -> tuple[Subspace | None, FloatArray]:
    """The space of poses (F, K, 2), and the statistic `pose` of each (F,), from spaces of other frames.

    A frame in which less than half of its keypoints were seen has none (NaN), as in the detector.
    """
    nothing = np.full(len(poses), np.nan)
    chosen = np.flatnonzero(seen.mean(axis=0) > OFTEN).tolist()
    if len(chosen) < 2:
        return None, nothing
    d = poses[:, chosen].reshape(len(poses), -1)
    present = 2 * seen[:, chosen].sum(axis=1) >= len(chosen)
    whole = np.flatnonzero(present & np.isfinite(d).all(axis=1))
    if len(whole) < POSES_PER_COORDINATE * d.shape[1]:
        return None, nothing
    distances = nothing
    for fold in np.array_split(whole, FOLDS):
        mean, rows = _basis(d[np.setdiff1d(whole, fold)])
        distances[fold] = _log_distance(d[fold], mean, rows)
    mean, rows = _basis(d[whole])
    off = d[whole] - mean
    rest = (off - off @ rows.T @ rows).reshape(len(whole), -1, 2)
    eps = 0.5 * (rest * rest).sum(axis=2).mean(axis=0)
    return Subspace("drift", chosen, mean.tolist(), rows.tolist(), eps.tolist()), distances


def _basis(d: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (2 n,) and the fewest components (C, 2 n) that hold `SHARE_OF_VARIANCE` of poses (P, 2 n)."""
    mean, rows, _ = principal(d, d.shape[1] - 1)
    along = (d - mean) @ rows.T
    held = np.cumsum((along * along).mean(axis=0)) / max(((d - mean) ** 2).mean(axis=0).sum(), LEAST_PX2)
    return mean, rows[: int(np.searchsorted(held, SHARE_OF_VARIANCE)) + 1]


def _log_distance(d: FloatArray, mean: FloatArray, rows: FloatArray) -> FloatArray:
    """The statistic `pose` of poses (P, 2 n): (P,)."""
    off = d - mean
    square = (off * off).sum(axis=1) - ((off @ rows.T) ** 2).sum(axis=1)
    return 0.5 * np.log(LEAST_PX2 + 2.0 * np.maximum(square, 0.0) / d.shape[1])


def _limits(values: list[FloatArray], dt_s: list[float], block_s: float) -> DriftLimits | None:
    """Limits from the values of a statistic in each recording; None where they are too few."""
    together = np.concatenate(values)
    together = together[np.isfinite(together)]
    if not len(together):
        return None
    mean, spread = float(together.mean()), max(float(together.std()), LEAST_SPREAD)
    deviations = [np.clip((v - mean) / spread, -MOST_Z, MOST_Z) for v in values]
    blocks = [_block_means(z, max(1, round(block_s / dt))) for z, dt in zip(deviations, dt_s, strict=True)]
    blocks = [b for b in blocks if len(b)]
    count = sum(map(len, blocks))
    if count < LEAST_BLOCKS:
        return None
    random = np.random.default_rng(SEED)
    piece = int(np.ceil(np.sqrt(count)))
    permitted = 1.0 / (FALSE_ALARM_HOURS * len(STATISTICS) * 2)
    per_s = _long_run_variance(blocks, piece) * block_s
    error = math.sqrt(per_s / (count * block_s))
    student = random.standard_t(max(count / piece - 1.0, 2.0), DRAWS)
    uncertainty = error * float(np.quantile(student, 1.0 - permitted))
    worst = max(float(b.mean()) for b in blocks) if len(blocks) > 1 else 0.0
    allowance = LEAST_SHIFT + max(uncertainty, worst)
    highest = _hourly_maxima(blocks, allowance, block_s, piece, random)
    resampled = float(np.quantile(highest, 1.0 - permitted))
    threshold = max(LEAST_THRESHOLD, resampled, _diffusion_threshold(allowance - worst, per_s, permitted))
    return DriftLimits(mean, spread, allowance, threshold)


def _block_means(z: FloatArray, frames: int) -> FloatArray:
    """Means of blocks of so many frames; blocks without any value are left out."""
    whole = z[: len(z) // frames * frames].reshape(-1, frames)
    known = np.isfinite(whole)
    some = known.any(axis=1)
    return np.where(known, whole, 0.0).sum(axis=1)[some] / known.sum(axis=1)[some]


def _long_run_variance(blocks: list[FloatArray], piece: int) -> float:
    """Estimate n times the variance of the mean of n blocks, n large, within recordings."""
    means = np.concatenate([_moving_means(b, min(piece, len(b))) - b.mean() for b in blocks])
    return piece * float((means * means).mean())


def _diffusion_threshold(allowance: float, per_s: float, permitted: float) -> float:
    """What a CUSUM of a diffusion with this variance a second exceeds in a share `permitted` of hours.

    Its mean time to a level h is about exp(s h) / (s a), with a the allowance and s = 2 a / variance.
    """
    steepness = 2.0 * allowance / max(per_s, 1e-9)
    return math.log(max(3600.0 * steepness * allowance / permitted, 1.0)) / steepness


def _moving_means(values: FloatArray, length: int) -> FloatArray:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[length:] - sums[:-length]) / length


def _hourly_maxima(
    blocks: list[FloatArray], allowance: float, block_s: float, piece: int, random: np.random.Generator
) -> FloatArray:
    """The largest CUSUM of each of `HOURS` hours that are put together from pieces of recordings.

    A piece may begin at any block; at a recording's end it goes on at its beginning. What it does to a sum is
    computed once for each beginning: to a sum of 0 and to one that never falls to it.
    """
    parts = [_pieces((b - allowance) * block_s, piece) for b in blocks]
    total, end, highest, top = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not top.any():
        return np.zeros(HOURS)  # no block is above the allowance, in any order
    lengths = np.array([len(b) for b in blocks])
    recording = random.choice(len(blocks), HOURS, p=lengths / lengths.sum())
    first, count = (np.cumsum(lengths) - lengths)[recording], lengths[recording]
    value, found = np.zeros(HOURS), np.zeros(HOURS)
    for _ in range(int(np.ceil(3600.0 / (block_s * piece)))):
        at = first + (random.random(HOURS) * count).astype(np.int64)
        np.maximum(found, np.maximum(value + highest[at], top[at]), out=found)
        value = np.maximum(value + total[at], end[at])
    return found


def _pieces(x: FloatArray, length: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Of the piece from each block on (n,): its sum, the CUSUM at its end, the largest partial sum, and the
    largest CUSUM; both CUSUMs from 0."""
    total, end = np.zeros(len(x)), np.zeros(len(x))
    highest, top = np.full(len(x), -np.inf), np.zeros(len(x))
    for step in range(length):
        now = np.roll(x, -step)
        total += now
        end = np.maximum(end + now, 0.0)
        np.maximum(highest, total, out=highest)
        np.maximum(top, end, out=top)
    return total, end, highest, top
