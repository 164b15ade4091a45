"""Parameters of the filter in space by the likelihood of its innovations, as for one camera.

The likelihood is the causal filter's own, gate and restarts included, over all that was seen: an observation
that no track expects may lie anywhere on the image, so that parameters that end tracks do not score by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rt_pose.offline.pattern_search import pattern_search
from rt_pose.offline.view_sequence import ViewSequence
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import CausalFilter3D, TrackingSpec3D

PIECE_FRAMES, MOST_PIECES = 250, 4
"""Of a recording, evenly spaced, that parameters are fitted to."""
START = (1e6, 0.05, 1.0)
"""q (px^2/s^3 where the animal is), tau (s) and gain, as in what follows."""
LEAST = (1e1, 0.01, 0.02)
MOST = (1e12, 1.0, 50.0)


def fit_views(
    cameras: Sequence[CalibratedCamera],
    sequence: ViewSequence,
    xyz: FloatArray,
    tau_s: tuple[float, float] = (LEAST[1], MOST[1]),
    report_progress: Callable[[int], None] = lambda _: None,
) -> TrackingSpec3D:
    """Fit the filter's parameters by maximum likelihood.

    A keypoint that is never placed keeps the values with which the search began.

    Parameters
    ----------
    cameras
        V cameras.
    sequence
        What they saw.
    xyz
        (F, K, 3) places frame by frame, which tell how large a pixel is where the animal is.
    tau_s
        Bounds of the velocity's time constant.
    report_progress
        Called with the number of each round, at most `pattern_search.MOST_ROUNDS`.

    Returns
    -------
    TrackingSpec3D
        The parameters.
    """
    per_px2 = _unit_per_px(cameras, xyz) ** 2
    unit = np.array([per_px2, 1.0, 1.0])
    pieces = [sequence.part(part) for part in _pieces(sequence)]

    def score(tried: FloatArray) -> FloatArray:
        total = np.zeros(tried.shape[1:])
        for c, (q, tau, gain) in enumerate(np.moveaxis(tried, 1, 0)):
            for view, t_ns, xy, cov in pieces:
                tracker = CausalFilter3D(cameras, TrackingSpec3D(q, tau, gain))
                total[c] += tracker.observe_all(view, t_ns, xy, cov)[1].sum(axis=0)
        return np.nan_to_num(total, nan=-np.inf, posinf=-np.inf)

    least, most = np.array(LEAST) * unit, np.array(MOST) * unit
    least[1], most[1] = tau_s
    start = np.repeat((np.array(START) * unit)[:, None], xyz.shape[1], axis=1)
    (q, tau, gain), _ = pattern_search(score, start, least, most, report_progress)
    return TrackingSpec3D(q, tau, gain)


def _unit_per_px(cameras: Sequence[CalibratedCamera], xyz: FloatArray) -> float:
    """How large a pixel is where the animal is, in the calibration's unit; the middle one of the cameras."""
    middle = np.nanmedian(xyz.reshape(-1, 3), axis=0)
    sizes = [np.linalg.norm(camera.position - middle) / camera.focal.mean() for camera in cameras]
    return float(np.median(sizes))


def _pieces(sequence: ViewSequence) -> list[slice]:
    """Exposures of pieces of the recording."""
    firsts = np.arange(0, sequence.xy.shape[1], PIECE_FRAMES)
    chosen = np.linspace(0, len(firsts) - 1, min(len(firsts), MOST_PIECES)).round().astype(np.intp)
    bounds = np.stack([firsts[chosen], firsts[chosen] + PIECE_FRAMES])
    return [slice(a, b) for a, b in np.searchsorted(sequence.frame, bounds).T.tolist()]
