"""A DeepLabCut project from its folder to poses of another animal, beside four DeepLabCut networks' there.

    python -m bench.openfield --data PROJECT --work WORK [--model PACKAGE] [--out bench/results/NAME]

The project is trained as it stands, with every setting at its default (`rt-pose train fit --data PROJECT`),
unless a package is given. Its labels are of one mouse; the video is of another and has no labels, and what
DeepLabCut's networks found in it lies in PROJECT/predictions. Where those agree they are as near to a truth
as one gets there: `bench.openfield.consensus` says how each network is judged by the others.

OUT.json, OUT.md and OUT.html hold figures and plots; frames of the video are shown only in WORK/worst.html,
as many recordings may not be handed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from bench.openfield.consensus import (
    Limits,
    NetworkPoses,
    by_keypoint,
    by_likelihood,
    consensus,
    consensus_distances,
    leave_one_out,
    outlier_frames,
    pooled_by_likelihood,
)
from bench.openfield.page import page, text, worst_page
from bench.output import check_out, conditions, finish
from bench.program import guarded
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError, nearest
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.offline.predict import predict_video
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.package import Package, read_package
from rt_pose.types import FloatArray
from rt_pose.video import probe, read_frames
from train.accuracy import distances
from train.config import TrainConfig
from train.data.labels import read_labels
from train.evaluation.agreement import pixel_errors
from train.evaluation.labeled import VALIDATION, sets_of
from train.evaluation.pictures import Picture, crop
from train.fitting.fit import fit

WITHIN_PX = (2.0, 5.0, 10.0, 20.0)
OURS = "ours"
WORST = 24
"""Number of frames shown, of those in which ours is furthest from the consensus."""
WORST_APART = 10
"""Least number of frames between two that are shown: neighbours look alike."""


def validate(package: Package, data: Path) -> dict[str, Any]:
    """Measure a package's errors on the labeled frames that its training kept back.

    Parameters
    ----------
    package
        The package.
    data
        The labeled folder.

    Returns
    -------
    dict[str, Any]
        Errors (px), the split and the engine.

    Raises
    ------
    UserError
        Where no frame was kept back.
    """
    manifest = package.manifest
    frames = read_labels(data, "", "gray" if manifest.input.channels == 1 else "rgb", manifest.keypoints)
    sets = sets_of(frames, data.resolve(), manifest)
    kept_back = frames.subset(np.flatnonzero(sets.of(VALIDATION)))
    if not len(kept_back):
        raise UserError(
            f"model package {package.path}: it was trained on every labeled frame of {data}, so none is left "
            "to measure errors on; give `--model` a package whose training kept some back, or none"
        )
    choice = choose_engine(package, EngineConfig())
    found = choice.estimator.estimate_all(kept_back.images)
    errors = pixel_errors(distances(found.xy, kept_back.xy), manifest.keypoints, WITHIN_PX)
    return {"frames": len(kept_back), "split": sets.how, "engine": str(choice)} | errors


def find(path: Path, keypoints: Sequence[str], name: str) -> NetworkPoses:
    """Read the poses of a prediction file.

    Parameters
    ----------
    path
        The file.
    keypoints
        K names; their order is that of the poses.
    name
        Name of the network.

    Returns
    -------
    NetworkPoses
        Its poses, px.

    Raises
    ------
    UserError
        Where the file lacks a keypoint.
    """
    table = read_predictions(path)
    for keypoint in keypoints:
        if keypoint not in table.keypoints:
            hint = nearest(keypoint, table.keypoints)
            raise UserError(f"predictions {path}: no keypoint '{keypoint}'{hint}")
    order = [table.keypoints.index(keypoint) for keypoint in keypoints]
    return NetworkPoses(name, table.xy[:, order], table.likelihood[:, order])


def prediction_files(folder: Path) -> list[Path]:
    """List the prediction files of other networks.

    Parameters
    ----------
    folder
        Where they are.

    Returns
    -------
    list[Path]
        Sorted.

    Raises
    ------
    UserError
        Where they are too few to judge each other.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in (".h5", ".csv"))
    if len(files) < 3:
        raise UserError(
            f"{folder}: {len(files)} prediction files (.h5, .csv); expected three networks' or more, so that "
            "each can be judged by the others; give --predictions FOLDER"
        )
    return files


def find_all(
    ours: Path, files: Sequence[Path], keypoints: Sequence[str]
) -> tuple[NetworkPoses, list[NetworkPoses]]:
    """Read our poses and those of the other networks.

    Parameters
    ----------
    ours
        Our prediction file.
    files
        Those of the others.
    keypoints
        K names.

    Returns
    -------
    tuple[NetworkPoses, list[NetworkPoses]]
        Ours, and the others'.

    Raises
    ------
    UserError
        Where they cannot be of one video.
    """
    own = find(ours, keypoints, OURS)
    others = [find(file, keypoints, file.stem) for file in files]
    for other in others:
        if len(other.xy) != len(own.xy):
            raise UserError(
                f"predictions {other.name}: {len(other.xy)} frames where the video has {len(own.xy)}; "
                "give --predictions the folder of this video's"
            )
    return own, others


def compare(
    ours: NetworkPoses, others: Sequence[NetworkPoses], keypoints: Sequence[str], limits: Limits
) -> tuple[dict[str, Any], FloatArray, FloatArray]:
    """Compare our poses with the others'.

    Parameters
    ----------
    ours
        Our poses.
    others
        Those of the other networks.
    keypoints
        K names.
    limits
        What counts as near and as far.

    Returns
    -------
    tuple[dict[str, Any], FloatArray, FloatArray]
        The figures; the others' consensus (F, K, 2) px, and the distance of ours to it (F, K) px.
    """
    agreed = consensus(others, limits.agree_px)
    apart = consensus_distances(ours, agreed)
    agree = ~np.isnan(apart)
    figures = {
        "agree_px": limits.agree_px,
        "outlier_px": limits.outlier_px,
        "agreed": {
            "keypoints": float(agree.mean()),
            "likelihood_median": float(np.median(ours.likelihood[agree])),
            "likelihood_median_elsewhere": _median(ours.likelihood[~agree]),
        },
        "not_given": int(np.isnan(ours.xy).any(axis=-1).sum()),
        "ours": by_keypoint(apart, keypoints, limits),
        "outlier_frames": outlier_frames(apart, limits),
        "left_out": leave_one_out(ours, others, keypoints, limits),
        "by_likelihood": {
            OURS: by_likelihood(ours.likelihood, apart, limits),
            "theirs": pooled_by_likelihood(others, limits),
        },
    }
    return figures, agreed, apart


def _median(values: FloatArray) -> float | None:
    return float(np.median(values)) if len(values) else None


def worst(
    video: Path, keypoints: Sequence[str], ours: NetworkPoses, agreed: FloatArray, apart: FloatArray
) -> list[Picture]:
    """Draw the frames in which ours is furthest from the consensus, none of them close to another in time.

    Parameters
    ----------
    video
        The video.
    keypoints
        K names.
    ours
        Our poses.
    agreed
        (F, K, 2) the consensus, px.
    apart
        (F, K) distance of ours to it, px.

    Returns
    -------
    list[Picture]
        At most `WORST`.
    """
    finite = np.where(np.isfinite(apart), apart, -1.0)
    taken: dict[int, int] = {}
    for frame in np.argsort(-finite.max(axis=1), kind="stable"):
        if len(taken) == WORST or finite[frame].max() < 0:
            break
        if all(abs(frame - other) >= WORST_APART for other in taken):
            taken[int(frame)] = int(finite[frame].argmax())
    images = {f.index: f.image for f in read_frames(video, 1) if f.index in taken}
    return [
        crop(
            images[t],
            ours.xy[t, k],
            agreed[t, k],
            f"{keypoints[k]}, frame {t}: {apart[t, k]:.1f} px, likelihood {ours.likelihood[t, k]:.2f}",
        )
        for t, k in taken.items()
    ]


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    data: Annotated[Path, "the DeepLabCut project's folder"]
    work: Annotated[Path, "folder for the training, poses.csv and worst.html"]
    model: Annotated[str, "model package; one is trained where none is given"] = ""
    video: Annotated[Path | None, "the other animal's video; else the only one in PROJECT/videos"] = None
    predictions: Annotated[Path | None, "folder of others' predictions; else PROJECT/predictions"] = None
    agree: Annotated[float, "networks so near their median agree (px)"] = 10.0
    outlier: Annotated[float, "further away is an outlier (px)"] = 20.0
    note: Annotated[str, "what readers should know of this run; stands on top"] = ""
    out: Annotated[Path | None, "write OUT.json, OUT.md and OUT.html"] = None


def measure(options: Options) -> dict[str, Any]:
    """Train unless there is a package, predict, and compare.

    Parameters
    ----------
    options
        The command line; its `work` is written to.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    data, work = options.data, options.work
    files = prediction_files(options.predictions or data / "predictions")
    video = options.video or _only_video(data / "videos")
    info = probe(video)
    work.mkdir(parents=True, exist_ok=True)
    model = options.model or str(fit(TrainConfig(data=str(data), out=str(work / "training"))))
    package = read_package(model)
    keypoints, table = package.manifest.keypoints, work / "poses.csv"
    engine = predict_video(package, video, table, EngineConfig())
    ours, others = find_all(table, files, keypoints)
    limits = Limits(options.agree, options.outlier)
    figures, agreed, apart = compare(ours, others, keypoints, limits)
    shown = worst_page(worst(video, keypoints, ours, agreed, apart))
    (work / "worst.html").write_text(shown, encoding="utf-8")
    print(f"the frames furthest from the consensus: {work / 'worst.html'}")
    return {
        "bench": "openfield",
        "note": options.note,
        **conditions(),
        "package": package.sha256,
        "training": package.manifest.training,
        "input": [package.manifest.input.width, package.manifest.input.height],
        "validation": validate(package, data),
        "video": {"name": video.name, "size": [info.width, info.height], "frames": len(ours.xy)},
        "engine": str(engine),
        "networks": [other.name for other in others],
        "curves": _curves(ours, others, limits),
        **figures,
    }


def _curves(ours: NetworkPoses, others: Sequence[NetworkPoses], limits: Limits) -> dict[str, list[float]]:
    """Get each network's share of keypoints within 0, 0.5, 1 ... px of where the (other) networks agree."""
    at = np.arange(0.0, limits.outlier_px + 0.25, 0.5)
    curves = {"px": at.tolist()}
    for network in [ours, *others]:
        apart = consensus_distances(
            network, consensus([o for o in others if o is not network], limits.agree_px)
        )
        known = np.sort(apart[~np.isnan(apart)])
        curves[network.name] = (np.searchsorted(known, at, side="right") / max(len(known), 1)).tolist()
    return curves


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison that the command line describes.

    Parameters
    ----------
    argv
        The command line; that of the process where none is given.

    Returns
    -------
    int
        Exit status.
    """
    return guarded(Options, _main, argv)


def _main(options: Options) -> int:
    check_out(options.out)
    figures = measure(options)
    if options.out is not None:
        options.out.with_name(options.out.name + ".html").write_text(page(figures), encoding="utf-8")
    finish(figures, text(figures), options.out)
    return 0


def _only_video(folder: Path) -> Path:
    found = sorted(folder.glob("*.*"))
    if len(found) != 1:
        raise UserError(f"{folder}: {len(found)} files where one video was expected; give --video FILE")
    return found[0]
