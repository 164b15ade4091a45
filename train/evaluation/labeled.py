"""Predictions of labeled frames, their errors and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.console import track
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.estimator import Estimator
from rt_pose.package import Manifest, Package
from rt_pose.rules.keypoint_name import individual_names
from rt_pose.tracking.observation_noise import error_covariance
from rt_pose.types import FloatArray
from train.accuracy import distances
from train.animals import aligned, animal_figures, missed_as_size
from train.data.labels import LabeledFrames
from train.data.split import SPLIT_FILE, known_as, split_again
from train.evaluation.agreement import confidence_figures, covariance_reliability, pixel_errors
from train.evaluation.config import EvaluateConfig
from train.evaluation.jitter import noise_jitter, precision_jitter
from train.evaluation.metric_files import write_labeled_predictions, write_metric
from train.evaluation.spaces import Space

TRAIN, VALIDATION = "train", "validation"


@dataclass
class Sets:
    """Which frames the network was trained on, as far as that is known."""

    names: list[str]
    """(F,) train or validation."""
    how: str

    def of(self, name: str) -> NDArray[np.bool_]:
        """Return which frames belong to a set.

        Parameters
        ----------
        name
            train or validation.

        Returns
        -------
        NDArray
            Booleans (F,).
        """
        return np.array([own == name for own in self.names])


def sets_of(frames: LabeledFrames, folder: Path, manifest: Manifest) -> Sets:
    """Return which frames the network trained on: by its own split of this folder, else as split.csv says.

    Where neither is known, all frames validate. A folder is the training's own by its name, or where all
    frames that were trained on are among its own: it may have been renamed since.

    Parameters
    ----------
    frames
        The labeled frames of the folder.
    folder
        The data folder.
    manifest
        Of the package.

    Returns
    -------
    Sets
        The set of every frame.
    """
    training = manifest.training
    settings, trained_on = training.get("configuration", {}), training.get("trained_on", [])
    named = training.get("dataset") == folder.name and "seed" in settings
    names = known_as(training, folder, frames.names)
    own = named or names is not frames.names or (bool(trained_on) and set(trained_on) <= set(names))
    if (folder / SPLIT_FILE).is_file() or own:
        split = split_again(training if own else {}, folder, names)
        sides = np.full(len(frames), VALIDATION, dtype=object)
        sides[split.train] = TRAIN
        return Sets(sides.tolist(), _how(split.how, own, (folder / SPLIT_FILE).is_file()))
    return Sets(
        [VALIDATION] * len(frames),
        "unknown: nothing says which frames were trained on, so all are taken for validation",
    )


def _how(how: str, own: bool, has_file: bool) -> str:
    """Say where the split comes from: what a training says of its own may name a file that is not here."""
    if own and SPLIT_FILE in how and not has_file:
        return f"as in the training ({how}; the package names the frames, this folder has no {SPLIT_FILE})"
    return how


@dataclass
class Labeled:
    """Predictions of labeled frames and their errors."""

    frames: LabeledFrames
    sets: Sets
    found: Keypoints[FloatArray]
    apart: FloatArray
    """(F, K), or (F, N, K), px from the labels; NaN where unlabeled. What was not found of several animals is
    as far away as the animal is large."""
    spaces: dict[str, Space]
    """By the metric's name."""
    in_any_order: Keypoints[FloatArray] | None = None
    """Of several animals (F, D, K) as they were found; `found` has them in the order of the labels."""


def predict_labeled(
    frames: LabeledFrames, sets: Sets, network: Estimator, spaces: dict[str, Space]
) -> Labeled:
    """Run the network on all frames.

    Parameters
    ----------
    frames, sets
        F labeled frames and the sets that they belong to.
    network
        The network to run.
    spaces
        Spaces of plausible poses, by the metric's name.

    Returns
    -------
    Labeled
        Predictions and their errors, frame px.
    """
    found = network.estimate_all(track(frames.images, "labeled frames", len(frames)))
    if not frames.several:
        return Labeled(frames, sets, found, distances(found.xy, frames.xy), spaces)
    own = aligned(found, frames.xy)
    return Labeled(frames, sets, own, missed_as_size(own.xy, frames.xy), spaces, found)


def figures_of(
    labeled: Labeled, package: Package, network: Estimator, config: EvaluateConfig
) -> dict[str, dict[str, Any]]:
    """Compute the figures of each set that has frames.

    Parameters
    ----------
    labeled
        Predictions and errors.
    package, network
        The package, and the network that made the predictions: they run again for the jitter.
    config
        Of the evaluation: limits of PCK and confidence, number of frames for the jitter.

    Returns
    -------
    dict of str to dict
        Figures by the name of the set, as they stand in evaluation.json.
    """
    figures = {}
    for name in (VALIDATION, TRAIN):
        of = labeled.sets.of(name)
        if of.any():
            figures[name] = _set_figures(labeled, of, package, network, config)
    return figures


def _set_figures(
    labeled: Labeled, of: NDArray[np.bool_], package: Package, network: Estimator, config: EvaluateConfig
) -> dict[str, Any]:
    frames, tracking = labeled.frames.subset(np.flatnonzero(of)), package.manifest.tracking
    animals = {}
    if labeled.in_any_order is not None:
        animals = {"animals": animal_figures(select(labeled.in_any_order, of), frames.xy)}
    found = select(labeled.found, of)
    apart = labeled.apart[of]
    some = evenly_spaced(len(frames), config.jitter_frames)
    images, stands = [frames.images[i] for i in some], select(found, some)
    return {
        "frames": len(frames),
        **animals,
        "pixel_error": pixel_errors(apart.reshape(-1, apart.shape[-1]), frames.keypoints, config.within_px),
        "spaces": {name: spread(space.errors(found.xy)) for name, space in labeled.spaces.items()},
        "confidence": confidence_figures(found.confidence, apart, config.sure_px),
        "covariance": {
            "network": covariance_reliability(found, frames.xy, found.cov, tracking.min_confidence),
            "filter": covariance_reliability(
                found, frames.xy, error_covariance(found.cov, tracking), tracking.min_confidence
            ),
        },
        "jitter": {
            "noise": noise_jitter(network, images, stands),
            **precision_jitter(package, images, stands),
        },
    }


def write_files(labeled: Labeled, out: Path) -> None:
    """Write predictions.csv and predictions_METRIC.csv, in Lightning Pose's layout.

    Parameters
    ----------
    labeled
        Predictions and errors.
    out
        Folder to write to.
    """
    frames, names = labeled.frames, labeled.sets.names
    animals = animal_names(frames) if frames.several else []
    write_labeled_predictions(
        out / "predictions.csv", frames.names, frames.keypoints, labeled.found, names, animals
    )
    columns = [f"{animal}.{k}" for animal in animals for k in frames.keypoints] or frames.keypoints
    metrics = {"pixel_error": labeled.apart}
    metrics |= {name: space.errors(labeled.found.xy) for name, space in labeled.spaces.items()}
    for name, values in metrics.items():
        flat = values.reshape(len(values), -1)
        write_metric(out / f"predictions_{name}.csv", frames.names, columns, flat, names)


def select(found: Keypoints[FloatArray], which: NDArray[Any] | Sequence[int]) -> Keypoints[FloatArray]:
    """Return the keypoints of some frames.

    Parameters
    ----------
    found
        Keypoints of F frames.
    which
        Booleans (F,), or indices.
    """
    return Keypoints(found.xy[which], found.cov[which], found.confidence[which])


def evenly_spaced(frames: int, most: int) -> NDArray[np.intp]:
    """Return the indices of evenly spaced frames.

    Parameters
    ----------
    frames
        Number of frames to choose from.
    most
        Largest number of indices.

    Returns
    -------
    NDArray
        Indices, rising.
    """
    return np.unique(np.linspace(0, frames - 1, min(frames, most)).round().astype(np.intp))


def spread(values: FloatArray) -> dict[str, Any]:
    """Summarise the values that are finite.

    Parameters
    ----------
    values
        Distances of any shape, px.

    Returns
    -------
    dict
        n, median, mean, P90, P99, P99.9 and the largest, px; only n = 0 where none is finite.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return {"n": 0}
    names = ("median_px", "p90_px", "p99_px", "p99_9_px", "max_px")
    quantiles = np.percentile(known, [50, 90, 99, 99.9, 100])
    return {"n": len(known), "mean_px": float(known.mean())} | dict(
        zip(names, map(float, quantiles), strict=True)
    )


def animal_names(frames: LabeledFrames) -> list[str]:
    """Return names for the rows of animals: those that the labels have, or numbers.

    Parameters
    ----------
    frames
        Labeled frames of several animals.
    """
    return frames.animals or list(individual_names(frames.xy.shape[1]))
