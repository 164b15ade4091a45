"""Real ensembles for `bench.tracking`: jumps, lag and the smoother, parameters from the first half.

Each series is filtered as it would be live: the members' median, their variance over their confidence as its
covariance. The reference is the smoother with the plain parameters; no step is clamped anywhere.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.offline.ensemble import Ensemble, ensemble_of, smooth_single
from rt_pose.offline.innovations import Recorded, fit_parameters
from rt_pose.offline.pose_space import pose_space, view_space
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.offline.smooth import smooth_observations
from rt_pose.package import Subspace, TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import FloatArray, FrameStamps, Pose

GATE_CHI2, NO_GATE = 10.6, 1e12
CONFIDENT, SPREAD_PX, SPREAD_PRIOR_PX = 0.9, 3.0, 4.0
"""Limits of confidence: mean likelihood, and the members' spread (standard deviation, both axes together)."""
JUMP_PX = 30.0
PAWS = ("paw1LH", "paw2LF", "paw3RF", "paw4RH")
SERIES = {"mirror-mouse": 250.0, "ibl-pupil": 150.0}
SMOOTHER_FRAMES, SMOOTHER_KEYPOINTS, SMOOTHER_MEMBERS = 10_000, 17, 5

EKS = """
import json, sys, time
import numpy as np
from eks.marker_array import MarkerArray
from eks.singlecam_smoother import ensemble_kalman_smoother_singlecam as smooth
xyl = np.load(sys.argv[1])  # (members, frames, keypoints, 3)
data = MarkerArray(xyl[:, None], data_fields=["x", "y", "likelihood"])
names = [f"k{i}" for i in range(xyl.shape[2])]
seconds = []
for _ in range(int(sys.argv[2])):
    begin = time.perf_counter()
    smooth(data, names)
    seconds.append(time.perf_counter() - begin)
print(json.dumps(seconds))
"""


def load(folder: Path, name: str) -> Ensemble:
    """Read the members of an ensemble.

    Parameters
    ----------
    folder
        Folder of the ensembles.
    name
        Name of one of them.

    Returns
    -------
    Ensemble
        The members together.
    """
    return ensemble_of([read_predictions(file) for file in sorted((folder / name).glob("*.csv"))])


def series(folder: Path) -> dict[str, Any]:
    """Filter every keypoint of both data sets with each filter.

    Parameters
    ----------
    folder
        Folder of the ensembles.

    Returns
    -------
    dict[str, Any]
        Figures (px, frames) by data set, keypoint and filter.
    """
    return {name: _one(load(folder, name), 1.0 / rate, name) for name, rate in SERIES.items()}


def _one(ensemble: Ensemble, dt_s: float, name: str) -> dict[str, Any]:
    xy, half = ensemble.median, len(ensemble.frames) // 2
    cov = ensemble.var[..., None] * np.eye(2)
    recorded = Recorded(dt_s, xy, cov, ensemble.likelihood)
    plain = _fit(recorded, half, NO_GATE)
    gated = _fit(recorded, half, GATE_CHI2)
    spread = np.sqrt(ensemble.var.sum(axis=-1))
    spaces = _spaces(ensemble, xy[:half], spread[:half], name)
    specs = {
        "plain filter": plain,
        "gate": gated,
        "gate and pose prior": dataclasses.replace(gated, subspaces=spaces),
    }
    t_ns = (np.arange(len(xy)) * dt_s * 1e9).astype(np.int64)
    hindsight = smooth_observations(
        t_ns, xy, cov, ensemble.likelihood, dataclasses.replace(plain, gate_chi2=GATE_CHI2)
    )
    confident = (ensemble.likelihood >= CONFIDENT) & (spread < SPREAD_PX)
    tracks = {
        "median": xy,
        **{label: _run(recorded, spec) for label, spec in specs.items()},
        "smoother": hindsight.xy,
    }
    return {
        "subspaces": [f"{s.name}: {len(s.components)} of {len(s.mean_px)}" for s in spaces],
        "keypoints": {
            keypoint: {
                label: _figures(track, xy, hindsight.xy, confident, k, half)
                for label, track in tracks.items()
            }
            for k, keypoint in enumerate(ensemble.keypoints)
        },
    }


def _fit(recorded: Recorded, half: int, gate: float) -> TrackingSpec:
    first = Recorded(recorded.dt_s, recorded.xy[:half], recorded.cov[:half], recorded.confidence[:half])
    fit = fit_parameters([first], gate_chi2=gate, restart_frames=8, min_confidence=0.05)
    return fit.spec(min_confidence=0.05, gate_chi2=gate)


def _spaces(ensemble: Ensemble, xy: FloatArray, spread: FloatArray, name: str) -> list[Subspace]:
    """Fit views where there are any, and else whole poses, to the first half."""
    known = (ensemble.likelihood[: len(xy)] >= CONFIDENT) & (spread < SPREAD_PRIOR_PX)
    poses = np.where(known[..., None], xy, np.nan)
    spaces = []
    if name == "mirror-mouse":
        for paw in PAWS:
            pair = [ensemble.keypoints.index(f"{paw}_{view}") for view in ("top", "bot")]
            spaces.append(view_space(paw, poses, pair))
    else:
        spaces.append(pose_space(poses, range(len(ensemble.keypoints))))
    return [space for space in spaces if space is not None]


def _run(recorded: Recorded, spec: TrackingSpec) -> FloatArray:
    tracker, out = CausalFilter(spec, 1, recorded.xy.shape[1]), np.empty_like(recorded.xy)
    for i in range(len(out)):
        t = round(i * recorded.dt_s * 1e9)
        part = slice(i, i + 1)
        seen = Pose(
            "bench", FrameStamps(i, t, t, t), recorded.xy[part], recorded.cov[part], recorded.confidence[part]
        )
        out[i] = tracker.step(seen).xy[0]
    return out


def _figures(
    track: FloatArray,
    median: FloatArray,
    hindsight: FloatArray,
    confident: np.ndarray[Any, Any],
    k: int,
    half: int,
) -> dict[str, float]:
    """Figures of one keypoint: steps of all frames and of the second half; distances in the second half."""
    step = np.linalg.norm(np.diff(track[:, k], axis=0), axis=1)
    speed = np.concatenate([[0.0], np.linalg.norm(np.diff(hindsight[:, k], axis=0), axis=1)])[half:]
    fast = speed >= np.quantile(speed, 0.9)
    later, behind = track[half:, k] - hindsight[half:, k], track[half:, k] - median[half:, k]
    both = fast & confident[half:, k]
    return {
        "step_99.9_second_half": float(np.percentile(step[half:], 99.9)),
        "step_99.9_all": float(np.percentile(step, 99.9)),
        "steps_over_30_second_half": int((step[half:] > JUMP_PX).sum()),
        "steps_over_30_all": int((step > JUMP_PX).sum()),
        "rms_to_smoother": _rms(later),
        "rms_to_smoother_fastest_tenth": _rms(later[fast]),
        "rms_to_median_fast_and_confident": _rms(behind[both]),
        "n_fast_and_confident": int(both.sum()),
        "lag_frames": _lag(track[half:, k], hindsight[half:, k], np.ones_like(fast)),
        "lag_frames_fastest_tenth": _lag(track[half:, k], hindsight[half:, k], fast),
    }


def _rms(e: FloatArray) -> float:
    return float(np.sqrt((e * e).sum(axis=-1).mean())) if len(e) else float("nan")


def _lag(track: FloatArray, hindsight: FloatArray, where: np.ndarray[Any, Any]) -> float:
    """Frames by which the track is behind: least squares of what is missing against the velocity."""
    velocity = np.gradient(hindsight, axis=0)[where]
    return float(((hindsight - track)[where] * velocity).sum() / (velocity * velocity).sum())


def smoother_time(eks_python: Path | None, repeats: int = 3) -> dict[str, Any]:
    """Time our smoother and ensemble-kalman-smoother on the same arrays, in turn.

    Parameters
    ----------
    eks_python
        A Python that has ensemble-kalman-smoother; None leaves it out.
    repeats
        How often each runs.

    Returns
    -------
    dict[str, Any]
        Times (s), and errors of our smoother and of the median (px).
    """
    random = np.random.default_rng(8)
    shape = (SMOOTHER_FRAMES, SMOOTHER_KEYPOINTS, 2)
    truth = 200 + np.cumsum(random.normal(0, 1, shape), axis=0)
    xy = truth + random.normal(0, 2, (SMOOTHER_MEMBERS, *shape))
    likelihood = random.uniform(0.7, 1.0, xy.shape[:-1])
    clock = HostClock()
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "members.npy"
        np.save(file, np.concatenate([xy, likelihood[..., None]], axis=-1))
        for _ in range(repeats):
            begin = clock.now_ns()
            confident = likelihood.mean(axis=0)
            ensemble = Ensemble(
                [f"k{i}" for i in range(SMOOTHER_KEYPOINTS)],
                [str(i) for i in range(SMOOTHER_FRAMES)],
                np.median(xy, axis=0),
                xy.var(axis=0) / confident[..., None],
                confident,
            )
            found = smooth_single(ensemble)
            ours.append((clock.now_ns() - begin) / NS_PER_S)
            if eks_python is not None:
                command = [str(eks_python), "-c", EKS, str(file), "1"]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                theirs += json.loads(done.stdout.splitlines()[-1])
    result: dict[str, Any] = {
        "frames": SMOOTHER_FRAMES,
        "keypoints": SMOOTHER_KEYPOINTS,
        "members": SMOOTHER_MEMBERS,
        "ours_s": ours,
        "error_px": float(np.linalg.norm(found.xy - truth, axis=-1).mean()),
        "median_error_px": float(np.linalg.norm(ensemble.median - truth, axis=-1).mean()),
        "eks_s": theirs or None,
    }
    if theirs:
        result["ratio"] = float(np.median(theirs) / np.median(ours))
    return result
