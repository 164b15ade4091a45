"""Parameters of the tracking model by the likelihood of its innovations on unlabeled recordings.

The likelihood is the causal filter's own, gate and restarts included: a measurement beyond the gate counts as
one on the gate, with the noise that puts it there, so that a jump neither counts as movement nor
dominates the likelihood. Every keypoint has its own parameters and a pattern search in their logarithms
(Hooke and Jeeves 1961) moves all of them at once; recordings are cut into pieces that run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.offline.pattern_search import pattern_search
from rt_pose.package import TrackingSpec
from rt_pose.tracking.kalman import (
    correct,
    determinant,
    distance2,
    inflation,
    position_cov,
    propagate,
    transition,
)
from rt_pose.types import FloatArray

Mask = NDArray[np.bool_]

PIECE_FRAMES = 250
START = (1e6, 0.05, 0.5, 0.5)
"""q (px^2/s^3), tau (s), gain and floor (px^2), as in all that follows."""
LEAST = (1e1, 0.01, 0.02, 0.1)
"""The floor is never less than a third of a pixel of labeling noise: with less, an ensemble whose members
agree exactly, or a spike in a heatmap, would be copied."""
MOST = (1e12, 1.0, 50.0, 50.0)


@dataclass(slots=True)
class Recorded:
    """What a network saw in one recording of F frames, K keypoints."""

    dt_s: float
    """Between frames."""
    xy: FloatArray
    """(F, K, 2) px."""
    cov: FloatArray
    """(F, K, 2, 2) px^2."""
    confidence: FloatArray
    """(F, K)."""

    def seen(self, min_confidence: float) -> Mask:
        """Find the measurements that a filter would use.

        Parameters
        ----------
        min_confidence
            Below it a keypoint counts as not seen.

        Returns
        -------
        Mask
            (F, K).
        """
        finite = np.isfinite(self.xy).all(axis=-1) & np.isfinite(self.cov).all(axis=(-2, -1))
        return finite & (self.confidence >= min_confidence)


@dataclass(slots=True)
class FittedParameters:
    """Parameters (K,) each, and the log likelihood that they reached."""

    q_px2_s3: FloatArray
    tau_s: FloatArray
    gain: FloatArray
    floor_px2: FloatArray
    log_likelihood: FloatArray

    def spec(self, **settings: Any) -> TrackingSpec:
        """Make the filter's parameters.

        Parameters
        ----------
        **settings
            Further fields of `TrackingSpec`.

        Returns
        -------
        TrackingSpec
            The parameters.
        """
        fitted = (self.q_px2_s3, self.tau_s, self.gain, self.floor_px2)
        return TrackingSpec(*(values.tolist() for values in fitted), **settings)


@dataclass(slots=True)
class _Pieces:
    """Recordings cut into S pieces of L frames; what is padded counts as not seen."""

    dt_s: FloatArray
    """(S,)."""
    z: FloatArray
    """(L, 2, K, S)."""
    s: FloatArray
    """(L, 3, K, S)."""
    seen: Mask
    """(L, K, S)."""


def fit_parameters(
    recordings: Sequence[Recorded],
    *,
    gate_chi2: float,
    restart_frames: int,
    min_confidence: float,
    report_progress: Callable[[int], None] = lambda _: None,
) -> FittedParameters:
    """Fit the parameters of the tracking model by maximum likelihood.

    A keypoint that is never seen keeps the values with which the search began.

    Parameters
    ----------
    recordings
        What a network saw in recordings, all with the same keypoints.
    gate_chi2
        Chi-square gate of the filter.
    restart_frames
        So many gated frames in a row restart a track.
    min_confidence
        Below it a keypoint counts as not seen.
    report_progress
        Called with the number of each round, at most MOST_ROUNDS.

    Returns
    -------
    FittedParameters
        The parameters of each keypoint.
    """
    pieces = _cut(recordings, min_confidence)
    start = np.repeat(np.array(START)[:, None], pieces.z.shape[2], axis=1)  # (4, K)
    (q, tau, gain, floor), reached = pattern_search(
        lambda tried: _log_likelihood(tried, pieces, gate_chi2, restart_frames),
        start,
        np.array(LEAST),
        np.array(MOST),
        report_progress,
    )
    return FittedParameters(q, tau, gain, floor, reached)


def _cut(recordings: Sequence[Recorded], min_confidence: float) -> _Pieces:
    dts: list[float] = []
    parts: list[tuple[FloatArray, FloatArray, Mask]] = []
    for recording in recordings:
        seen = recording.seen(min_confidence)
        z = np.where(seen[..., None], recording.xy, 0.0)
        flat = recording.cov.reshape(*seen.shape, 4)[..., [0, 1, 3]]
        s = np.where(seen[..., None], flat, [1.0, 0.0, 1.0])
        for first in range(0, len(seen), PIECE_FRAMES):
            part = slice(first, first + PIECE_FRAMES)
            dts.append(recording.dt_s)
            parts.append((z[part], s[part], seen[part]))
    length, keypoints = max(len(seen) for _, _, seen in parts), parts[0][2].shape[1]
    pieces = _Pieces(
        np.array(dts),
        np.zeros((length, 2, keypoints, len(parts))),
        np.zeros((length, 3, keypoints, len(parts))),
        np.zeros((length, keypoints, len(parts)), dtype=bool),
    )
    pieces.s[:, [0, 2]] = 1.0
    for i, (z, s, seen) in enumerate(parts):
        pieces.z[: len(z), ..., i] = z.transpose(0, 2, 1)
        pieces.s[: len(z), ..., i] = s.transpose(0, 2, 1)
        pieces.seen[: len(z), :, i] = seen
    return pieces


def _log_likelihood(parameters: FloatArray, pieces: _Pieces, gate: float, restart_frames: int) -> FloatArray:
    """(C, K) of C candidates `parameters` (4, C, K), up to a constant."""
    shape = (*parameters.shape[1:], len(pieces.dt_s))
    q, tau, gain, floor = (np.broadcast_to(p[..., None], shape) for p in parameters)
    step = transition(pieces.dt_s, q, tau)
    mean, cov = np.zeros((4, *shape)), np.zeros((4, 4, *shape))
    known, gated = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.int64)
    total = np.zeros(shape)
    for t in range(len(pieces.z)):
        propagate(mean, cov, step)
        z, seen = np.broadcast_to(pieces.z[t][:, None], (2, *shape)), np.broadcast_to(pieces.seen[t], shape)
        r = gain * pieces.s[t][:, None]
        r[0] += floor
        r[2] += floor
        update = seen & known
        e = np.where(update, z - mean[:2], 0.0)
        p = position_cov(cov)
        # With extreme candidates rounding makes the covariance indefinite: they are rejected.
        sound = (determinant(p + r) > 0.0) & (p[0] >= 0.0)
        p, e = np.where(sound, p, 0.0), np.where(sound, e, 0.0)
        s = p + inflation(e, p, r, gate) * r
        beyond = distance2(e, p + r) > gate
        total -= np.where(update, np.log(determinant(s)) + distance2(e, s), 0.0)
        total[update & ~sound] = -np.inf
        correct(mean, cov, e, s, update & sound)
        gated = np.where(update, np.where(beyond, gated + 1, 0), gated)
        start = (seen & ~known) | (gated >= restart_frames)
        if start.any():
            _begin(start, mean, cov, z, r, 0.5 * q * tau)
            known |= start
            gated[start] = 0
    return np.nan_to_num(0.5 * total.sum(axis=-1), nan=-np.inf, neginf=-np.inf)


def _begin(
    start: Mask, mean: FloatArray, cov: FloatArray, z: FloatArray, r: FloatArray, speed2: FloatArray
) -> None:
    """The tracks at `start` begin at their measurement, as the filter's do."""
    mean[:2, start], mean[2:, start] = z[:, start], 0.0
    cov[:, :, start] = 0.0
    cov[0, 0, start], cov[1, 1, start] = r[0, start], r[2, start]
    cov[0, 1, start] = cov[1, 0, start] = r[1, start]
    cov[2, 2, start] = cov[3, 3, start] = speed2[start]
