"""Errors on recorded poses of several cameras, with views taken away.

The reference is made from all views as they were proofread. The views that are left are part of it, so that
the figures compare methods; none is an error against the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.program import say
from bench.views.linear import triangulate_linear
from rt_pose.audit.recorded_views import read_view_poses
from rt_pose.offline.filter_views import filter_causal, smooth_recording
from rt_pose.offline.fit_views import fit_views
from rt_pose.offline.view_sequence import ViewSequence
from rt_pose.types import FloatArray
from rt_pose.views.calibration_file import read_calibration
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.check import check_calibration, expected_noise
from rt_pose.views.placed import place_keypoints
from rt_pose.views.view_poses import ViewPoses, cameras_of

NOISE_PX, OUTLIERS, MISSING = 5.0, 0.03, 0.15
"""Of what a network adds: normal noise, keypoints that are anywhere, and keypoints that are not found."""
BLOCK_FRAMES, DRAWS = 10, 300
"""Of the bootstrap: frames that follow each other are alike."""
METHODS = ("linear", "weighted", "causal", "smooth")
"""Frame by frame as OpenCV and aniposelib, frame by frame as `rt-pose triangulate`, and its two filters."""


def measure_recorded(given: Sequence[str], calibration: Path, fps: float) -> list[dict[str, Any]]:
    """Compare the methods.

    Parameters
    ----------
    given
        CAMERA=FILE of proofread poses.
    calibration
        The right calibration.
    fps
        Rate of the frames.

    Returns
    -------
    list[dict[str, Any]]
        A row for each input and number of views.
    """
    poses = read_view_poses(given, 0.5)
    cameras = cameras_of(read_calibration(calibration), poses.cameras, "--poses")
    noise_px = check_calibration(cameras, poses, expected_noise(cameras)).noise_px
    reference = place_keypoints(cameras, poses, noise_px).xyz
    rows = []
    for name, xy, px in (
        ("as proofread", poses.xy, noise_px),
        ("with a network's errors", _worse(poses.xy, cameras), float(np.hypot(noise_px, NOISE_PX))),
    ):
        for views in range(len(cameras), 1, -1):
            say(f"{name}, {views} of {len(cameras)} views")
            errors = [
                _errors(cameras, replace(poses, xy=xy), list(chosen), px, fps, reference)
                for chosen in combinations(range(len(cameras)), views)
            ]
            rows.append(
                {"input": name, "views": views, "choices": len(errors), **_summary(np.stack(errors, 1))}
            )
    return rows


def _worse(xy: FloatArray, cameras: Sequence[CalibratedCamera]) -> FloatArray:
    """Poses as a network might have found them."""
    random = np.random.default_rng(0)
    found: FloatArray = xy + random.normal(0, NOISE_PX, xy.shape)
    size = np.array([camera.size for camera in cameras])[:, None, None]
    anywhere = random.random(xy.shape[:3]) < OUTLIERS
    found = np.where(anywhere[..., None], random.uniform(0, 1, xy.shape) * size, found)
    found[random.random(xy.shape[:3]) < MISSING] = np.nan
    return np.where(np.isfinite(xy), found, np.nan)


def _errors(
    cameras: Sequence[CalibratedCamera],
    poses: ViewPoses,
    chosen: list[int],
    noise_px: float,
    fps: float,
    reference: FloatArray,
) -> FloatArray:
    """(methods, F, K) distances from the reference with some views; NaN where there is no place."""
    some = replace(poses, cameras=[poses.cameras[v] for v in chosen], xy=poses.xy[chosen])
    used = [cameras[v] for v in chosen]
    placed = place_keypoints(used, some, noise_px)
    ordered = ViewSequence.of(some, noise_px, fps)
    spec = fit_views(used, ordered, placed.xyz)
    found = (
        triangulate_linear(used, some.xy),
        placed.xyz,
        filter_causal(used, ordered, spec).placed.xyz,
        smooth_recording(used, ordered, spec, placed).placed.xyz,
    )
    return np.linalg.norm(np.stack(found) - reference, axis=-1)


def _summary(errors: FloatArray) -> dict[str, Any]:
    """Of (methods, choices, F, K): medians and P90 where every method has a place, and shares placed."""
    known, possible = np.asarray(np.isfinite(errors).all(axis=0)), np.isfinite(errors).any(axis=0)
    draws = _draws(errors.shape[2])
    quantiles = [_quantiles(own, known, draws) for own in errors]  # (draws, 2) each
    row: dict[str, Any] = {"n": int(known.sum()), "frames": errors.shape[2]}
    for method, own, of in zip(METHODS, errors, quantiles, strict=True):
        placed, all_of_them = (part.sum(axis=(0, 2)) for part in (np.isfinite(own) & possible, possible))
        row[method] = {
            "median": _with_interval(of[:, 0]),
            "p90": _with_interval(of[:, 1]),
            "of_linear": _with_interval(of[:, 0] / quantiles[0][:, 0]),
            "placed": _with_interval(np.array([placed[d].sum() / all_of_them[d].sum() for d in draws])),
        }
    return row


def _draws(frames: int) -> list[NDArray[np.intp]]:
    """All frames, and then those of each draw: blocks with repetition."""
    random = np.random.default_rng(1)
    blocks = [np.arange(start, min(start + BLOCK_FRAMES, frames)) for start in range(0, frames, BLOCK_FRAMES)]
    drawn = random.integers(0, len(blocks), (DRAWS, len(blocks)))
    return [np.arange(frames), *(np.concatenate([blocks[b] for b in chosen]) for chosen in drawn)]


def _quantiles(errors: FloatArray, known: NDArray[np.bool_], draws: Sequence[NDArray[np.intp]]) -> FloatArray:
    """Median and P90 of (choices, F, K) over the frames of each draw."""
    by_frame = [errors[:, f][known[:, f]] for f in range(errors.shape[1])]
    return np.array([np.percentile(np.concatenate([by_frame[f] for f in d]), [50, 90]) for d in draws])


def _with_interval(values: FloatArray) -> dict[str, float]:
    """The figure of all frames, which is the first, and its 95 % interval."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return {"value": float(values[0]), "low": float(low), "high": float(high)}
