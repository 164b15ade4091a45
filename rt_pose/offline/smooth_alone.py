"""One network's predictions of a video, smoothed by themselves.

Several networks show by their disagreement where one errs. One network shows by its innovations how much of
what it finds is no movement: the model's parameters are fitted to them as `rt-pose train calibrate` fits the
filter's, with 1 / likelihood in place of a covariance, and the smoother doubts what neither the frames before
nor those after expect. Where it errs alike over many frames, nothing in its file shows it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.offline.ensemble import Ensemble, SmoothedEnsemble
from rt_pose.offline.innovations import (
    LEAST,
    MOST,
    PIECE_FRAMES,
    FittedParameters,
    Recorded,
    fit_parameters,
)
from rt_pose.offline.smooth import smooth_observations
from rt_pose.types import FloatArray

FRAME_S = 0.01
"""A file has numbers of frames and no times. With so many seconds for each, the fit's bounds, which are in
seconds, stand for 1e-5 to 1e6 px^2/frame^3 and velocities that last for 1 to 100 frames."""
FITTED_PIECES = 80
"""Pieces of a recording, evenly spaced, that parameters are fitted to."""
GATE_CHI2 = 10.6
"""99.5 % of chi-square with 2 degrees of freedom."""
RESTART_FRAMES = 8
SHORT_FRAMES, CLEAR_SHARE = 1.2, 0.5
"""Where the fitted velocity lasts no longer than this, or the fitted noise is the most that is tried, the
steps' own correlation must show this share of the noise: the model takes a walk of independent steps for a
smoother one with noise."""
NEAR_MOST = 0.9
DOUBTED_SHARE = 0.1
"""Where more of the measurements than this lie beyond the gate, they are movement."""


def smooth_alone(ensemble: Ensemble) -> tuple[SmoothedEnsemble, list[str]]:
    """Smooth what a single network found, each keypoint by itself.

    Parameters
    ----------
    ensemble
        The predictions of one member.

    Returns
    -------
    smoothed : SmoothedEnsemble
        Positions and variances.
    notes : list of str
        Lines that say what it did, and for which keypoints it can do nothing.
    """
    cov = np.nan_to_num(ensemble.var, nan=1.0)[..., None] * np.eye(2)
    fitted = fit_parameters(
        _pieces(ensemble, cov), gate_chi2=GATE_CHI2, restart_frames=RESTART_FRAMES, min_confidence=0.0
    )
    spec = fitted.spec(gate_chi2=GATE_CHI2, restart_frames=RESTART_FRAMES, min_confidence=0.0)
    t_ns = np.arange(len(cov), dtype=np.int64) * round(1e9 * FRAME_S)
    found = smooth_observations(t_ns, ensemble.median, cov, ensemble.likelihood, spec)
    xy, variance = found.xy, np.stack([found.cov[..., 0, 0], found.cov[..., 1, 1]], axis=-1)
    hidden = _hidden_noise(ensemble, xy, fitted)
    seen = np.isfinite(ensemble.median) & hidden[:, None]
    xy[seen], variance[seen] = ensemble.median[seen], ensemble.var[seen]
    smoothed = SmoothedEnsemble(xy, variance, fitted.q_px2_s3 * FRAME_S**3, *_at_bounds(ensemble, fitted))
    return smoothed, _notes(ensemble, smoothed, hidden)


def _pieces(ensemble: Ensemble, cov: FloatArray) -> list[Recorded]:
    firsts = np.arange(0, len(cov), PIECE_FRAMES)
    chosen = np.linspace(0, len(firsts) - 1, min(len(firsts), FITTED_PIECES)).round().astype(np.intp)
    return [
        Recorded(FRAME_S, ensemble.median[part], cov[part], ensemble.likelihood[part])
        for part in (slice(first, first + PIECE_FRAMES) for first in firsts[chosen].tolist())
    ]


def _at_bounds(ensemble: Ensemble, fitted: FittedParameters) -> tuple[list[str], list[str]]:
    """Keypoints whose strength is the least, and those whose strength is the greatest, that the fit tries."""
    seen = ~ensemble.never_seen
    low, high = (np.isclose(fitted.q_px2_s3, bound[0]) & seen for bound in (LEAST, MOST))
    names = np.array(ensemble.keypoints, dtype=object)
    return names[low].tolist(), names[high].tolist()


def _hidden_noise(ensemble: Ensemble, xy: FloatArray, fitted: FittedParameters) -> NDArray[np.bool_]:
    """(K,) keypoints whose noise cannot be told from their movement."""
    noise = fitted.gain[:, None] * ensemble.var + fitted.floor_px2[:, None]  # (F, K, 2)
    hidden = np.zeros(len(ensemble.keypoints), bool)
    for k in np.flatnonzero(~ensemble.never_seen).tolist():
        own, seen = ensemble.median[:, k], np.isfinite(ensemble.median[:, k, 0])
        apart2 = ((xy[seen, k] - own[seen]) ** 2 / noise[seen, k]).sum(axis=-1)
        most = fitted.gain[k] > NEAR_MOST * MOST[2] or fitted.floor_px2[k] > NEAR_MOST * MOST[3]
        if most or fitted.tau_s[k] <= SHORT_FRAMES * FRAME_S:
            hidden[k] = _step_noise(own) < CLEAR_SHARE * np.median(noise[seen, k])
        hidden[k] |= (apart2 > GATE_CHI2).mean() > DOUBTED_SHARE
    return hidden


def _step_noise(xy: FloatArray) -> float:
    """The noise variance that one step's opposition to the next shows, px^2; 0 for fewer than two steps."""
    steps = np.diff(xy, axis=0)
    if np.isfinite(steps).any():
        most = 5.0 * float(np.nanmedian(np.abs(steps)))
        steps = np.clip(steps, -most, most)
    products = steps[1:] * steps[:-1]
    known = products[np.isfinite(products)]
    return float(-known.mean()) if len(known) else 0.0


def _notes(ensemble: Ensemble, smoothed: SmoothedEnsemble, hidden: NDArray[np.bool_]) -> list[str]:
    moved = np.linalg.norm(smoothed.xy - ensemble.median, axis=-1)
    known = moved[np.isfinite(moved)]
    notes = [
        "one network: its noise is what does not look like movement; where it errs alike over many frames "
        "only further networks would show it"
    ]
    if len(known):
        notes.append(f"moved by {np.median(known):.2f} px (median), at most {known.max():.1f} px")
    if hidden.any():
        names = [name for name, own in zip(ensemble.keypoints, hidden, strict=True) if own]
        notes.append(
            "one network's file does not tell their noise from their movement, so they are left as they are: "
            f"{', '.join(names)}"
        )
    return notes
