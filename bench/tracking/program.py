"""`python -m bench.tracking`: what the filter, its predictions and the smoother are worth.

Prints a table for people and one JSON line last; writes both as OUT.json and OUT.html. Peers are measured in
the same run where they are given: DeepLabCut-Live from its unpacked wheel, ensemble-kalman-smoother in a
Python of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from bench.program import guarded
from bench.tracking.ensembles import series, smoother_time
from bench.tracking.motion import (
    CHI2,
    FROZEN,
    coverage,
    covered,
    curve_at_30,
    load_dlc,
    occlusion,
    prediction_table,
    times,
)
from bench.tracking.page import page, text
from rt_pose.config.schema import EngineConfig
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.package import read_package
from rt_pose.session.describe import machine
from train.calibrate import bias_covariances
from train.data.labels import read_labels
from train.data.split import split_frames

KEYPOINTS = (8, 20, 50, 200)
PARTS = (
    "time_us",
    "smoother",
    "prediction_rmse_px",
    "occlusion",
    "coverage_simulated",
    "ensembles",
    "coverage_labels",
)


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    data: Annotated[Path, "folder of the ensembles"]
    out: Annotated[Path, "results, without suffix"]
    dlc: Annotated[Path | None, "unpacked wheel of deeplabcut-live"] = None
    eks_python: Annotated[Path | None, "Python that has ensemble-kalman-smoother"] = None
    model: Annotated[Path | None, "calibrated package, for the coverage of labels"] = None
    repeats: Annotated[int, "of the smoother and its peer, in turn"] = 3
    labels: Annotated[Path | None, "labels file beside a split.csv"] = None
    parts: Annotated[list[str], "only these; the others are kept", PARTS] = field(
        default_factory=lambda: list(PARTS)
    )


def main() -> int:
    """Measure all that was given.

    Returns
    -------
    int
        Exit status.
    """
    return guarded(Options, _main)


def _main(options: Options) -> int:
    file = options.out.with_suffix(".json")
    results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    results["machine"] = machine()
    for part in options.parts:
        measured = _measure(part, options)
        if measured is not None:
            results[part] = measured
    file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    options.out.with_suffix(".html").write_text(page(results), encoding="utf-8")
    print(text(results))
    print(json.dumps(results))
    return 0


def _measure(part: str, options: Options) -> Any:
    """One part of the results; None where what it needs was not given."""
    makers: dict[str, Callable[[], Any]] = {
        "time_us": _times,
        "smoother": lambda: smoother_time(options.eks_python, options.repeats),
        "prediction_rmse_px": lambda: _prediction(options.dlc),
        "occlusion": occlusion,
        "coverage_simulated": coverage,
        "ensembles": lambda: series(options.data),
        "coverage_labels": lambda: (
            labels_coverage(options.model, options.labels) if options.model and options.labels else None
        ),
    }
    return makers[part]()


def _times() -> dict[str, Any]:
    return {
        str(k): {"calm": times(k, prior=False), "a keypoint always wild": times(k, prior=True)}
        for k in KEYPOINTS
    }


def _prediction(dlc: Path | None) -> dict[str, Any]:
    rows = prediction_table(load_dlc(dlc) if dlc else None)
    return {"frozen": FROZEN, "rows": rows, "curve_30": curve_at_30()}


def labels_coverage(model: Path, labels: Path) -> dict[str, Any]:
    """Measure coverage of held-out labels by the regions of single observations.

    The regions are taken as the filter takes them, and with the bias of the other held-out frames (each frame
    is judged by the rest).

    Parameters
    ----------
    model
        Folder of a calibrated package.
    labels
        A labels file beside a split.csv.

    Returns
    -------
    dict[str, Any]
        Shares within the regions, and what they were measured on.
    """
    package = read_package(model)
    spec = package.manifest.tracking
    estimator = choose_engine(package, EngineConfig()).estimator
    channels = "gray" if package.manifest.input.channels == 1 else "rgb"
    frames = read_labels(labels.parent, labels.name, "gray" if channels == "gray" else "rgb")
    frames = frames.subset(split_frames(labels.parent, frames.names, 0.0, 0).validation)
    found = estimator.estimate_all(frames.images)
    e = np.where((found.confidence >= spec.min_confidence)[..., None], found.xy - frames.xy, np.nan)
    noise = np.asarray(spec.gain)[:, None, None] * found.cov
    noise += np.asarray(spec.floor_px2)[:, None, None] * np.eye(2)
    known = np.asarray(np.isfinite(e).all(axis=-1))
    notes = noise.copy()
    for i in range(len(e)):
        rest = np.arange(len(e)) != i
        notes[i] += np.asarray(bias_covariances(e[rest], noise[rest]))
    return {
        "frames": len(e),
        "labels": int(known.sum()),
        "calibrated": spec.calibrated,
        "nominal": list(CHI2),
        "noise alone": covered(e[known], noise[known]),
        "noise and bias, leave one frame out": covered(e[known], notes[known]),
    }
