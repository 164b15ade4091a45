"""Lightning Pose's example, trained by its program and by ours, and both shown the same frames.

WORK/litpose/data/60-f0/         labels of the fold; train.csv holds its 60 training frames
WORK/litpose/litpose-resnet18-f0/ configuration.json, train.log, model/, measured.npz, other_day.npz
WORK/rt-pose-lite0/cells/...     a cell of the accuracy grid, with other_day.npz
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy.cells import Cell, base_settings, halves, make_data
from bench.accuracy.grid import MEASURED, PACKAGE, Grid, run
from bench.accuracy.measure import write_measured
from bench.headtohead.answers import (
    OtherDay,
    frames_to_find,
    measured_of,
    write_other_day,
)
from bench.headtohead.litpose_settings import (
    LABELS,
    SIZE,
    TRAINING_FRAMES,
    their_configuration,
    write_training_labels,
)
from bench.headtohead.steps import call, once, worker_command
from rt_pose.errors import UserError
from rt_pose.offline.find_videos import VideoJob
from rt_pose.package import read_package
from rt_pose.video import probe, read_frames
from train.data.labels import read_labels
from train.evaluation.config import EvaluateConfig
from train.evaluation.video_metrics import predict_video
from train.quantisation.precisions import estimator

WORKER = Path(__file__).with_name("litpose_worker.py")
CONFIGURATION = Path("configs/train/mirror-mouse-semi.yaml")
DATA, RECORDING = "mirror-mouse", "videos/test_vid.mp4"
OTHER_DAY = "mirror-mouse-other-day/180607_004_first500.mp4"
OTHER_DAY_FILE = "other_day.npz"
SEED_OF_OURS = 0
JITTER_FRAMES = 100
RANDOM_WEIGHTS = (
    "optimiser.backbone_factor=1.0",
    "optimiser.freeze_backbone_steps=0",
)
"""What our training needs where the backbone begins with random weights."""
PRETRAINED = ("lite0", "lite1", "lite2")


@dataclass(frozen=True)
class MouseNetwork:
    """A network of one of the programs."""

    program: str
    """litpose or rt-pose."""
    backbone: str
    semi: bool
    fold: int

    @property
    def group(self) -> str:
        """Networks that differ in their fold alone."""
        return f"{self.program}-{self.backbone}{'-semi' if self.semi else ''}"

    @property
    def cell(self) -> Cell:
        """The same in the accuracy grid."""
        return Cell("all" if self.semi else "supervised", TRAINING_FRAMES, self.fold, SEED_OF_OURS)


def train_theirs(
    shared: Path, work: Path, python: Path, fold: int, semi: bool, steps: int, threads: int
) -> dict[str, Any]:
    """Train Lightning Pose on a fold, and show it all frames; done once.

    Parameters
    ----------
    shared
        Folder of the data sets.
    work
        Folder of this comparison.
    python
        Python of its environment.
    fold
        Number of the fold.
    semi
        Whether it has its losses on clips of the first half of the recording.
    steps
        Training steps.
    threads
        Of its program.

    Returns
    -------
    dict[str, Any]
        Version, steps and seconds.

    Raises
    ------
    UserError
        Where its program fails, or took another number of steps.
    """
    place = work / "litpose"
    network = MouseNetwork("litpose", "resnet18", semi, fold)
    first, second = halves(shared / DATA / RECORDING, place)
    data = make_data(shared / DATA, LABELS, place, network.cell)
    write_training_labels(data)
    keypoints = read_labels(data, LABELS, "gray").keypoints
    settings: dict[str, Any] = {
        "steps": steps,
        "configuration": their_configuration(data, first, keypoints, semi, steps),
    }
    folder = place / f"{network.group}-f{fold}"

    def do() -> dict[str, Any]:
        return _their_training(folder, settings["configuration"], python, threads, first if semi else None)

    trained = once(folder, _without_paths(settings), do)
    if trained["steps"] != steps:
        raise UserError(f"{folder}: its program took {trained['steps']} steps; {steps} were asked for")
    if not (folder / OTHER_DAY_FILE).is_file():
        _show_theirs(folder, data, second, shared / OTHER_DAY, python, threads)
    return trained


def _without_paths(settings: dict[str, Any]) -> dict[str, Any]:
    """What a result depends on, wherever the folders lie."""
    plain = json.loads(json.dumps(settings))
    for key in ("data_dir", "video_dir"):
        plain["configuration"]["data"].pop(key)
    plain["configuration"]["eval"].pop("test_videos_directory")
    return dict(plain)


def _their_training(
    folder: Path, configuration: dict[str, Any], python: Path, threads: int, video: Path | None
) -> dict[str, Any]:
    asked, answer, model = folder / "configuration.json", folder / "answer.json", folder / "model"
    asked.write_text(json.dumps(configuration, indent=1), encoding="utf-8")
    clips = [] if video is None else [str(video)]
    words = ["train", asked, model, answer, threads, *clips]
    call(worker_command(python, WORKER, words), folder / "train.log")
    return dict(json.loads(answer.read_bytes()))


def _show_theirs(
    folder: Path,
    data: Path,
    video: Path,
    other_day: Path,
    python: Path,
    threads: int,
) -> None:
    """Its answers to the same frames, in the form of ours; the file of the other day is the last written."""
    frames = frames_to_find(data, video, JITTER_FRAMES)
    asked, answer = folder / "frames.npz", folder / "answer.npz"
    day = [frame.image.copy() for frame in read_frames(other_day, 1)]
    given: dict[str, Any] = {"held": frames.held, "video": frames.video, "noisy": frames.noisy, "day": day}
    np.savez(asked, **given)
    words = ["predict", folder / "model", asked, answer, threads]
    call(worker_command(python, WORKER, words), folder / "predict.log")
    with np.load(answer) as found:
        answers = {name: found[name] for name in found.files}
    write_measured(measured_of(answers, frames), folder / MEASURED)
    write_other_day(OtherDay(answers["day_xy"], answers["day_confidence"]), folder / OTHER_DAY_FILE)
    for file in (asked, answer):
        file.unlink()


def train_ours(
    shared: Path, work: Path, folds: Sequence[int], backbone: str, semi: bool, steps: int, jobs: int
) -> None:
    """Train our networks on folds as cells of an accuracy grid, and show them the other day; done once.

    Parameters
    ----------
    shared
        Folder of the data sets.
    work
        Folder of this comparison.
    folds
        Numbers of the folds.
    backbone
        Of the network.
    semi
        Whether it has its losses on clips of the first half of the recording.
    steps
        Training steps.
    jobs
        How many side by side, each on a core.

    Raises
    ------
    UserError
        Where a training fails.
    """
    grid = our_grid(shared, work, backbone, steps)
    cells = [MouseNetwork("rt-pose", backbone, semi, fold).cell for fold in folds]
    grid.check(cells)
    failed = run(grid, cells, jobs)
    if failed:
        raise UserError("; ".join(f"{cell.name}: {why}" for cell, why in failed))
    for cell in cells:
        _show_ours(grid.folder(cell), shared / OTHER_DAY)


def our_grid(shared: Path, work: Path, backbone: str, steps: int) -> Grid:
    """Make the accuracy grid of our networks with a backbone.

    Parameters
    ----------
    shared
        Folder of the data sets.
    work
        Folder of this comparison.
    backbone
        Of the networks.
    steps
        Training steps.

    Returns
    -------
    Grid
        With both halves of the recording.
    """
    place = work / f"rt-pose-{backbone}"
    _, second = halves(shared / DATA / RECORDING, place)
    begins = () if backbone in PRETRAINED else RANDOM_WEIGHTS
    overrides = [f"network.backbone={backbone}", *begins]
    return Grid(shared / DATA, place, second, base_settings(CONFIGURATION, SIZE, steps, overrides))


def _show_ours(folder: Path, other_day: Path) -> None:
    target = folder / OTHER_DAY_FILE
    if target.is_file():
        return
    package = read_package(folder / PACKAGE)
    manifest = package.manifest
    network = estimator(package.path, manifest.input, manifest.decode, "float32")
    info = probe(other_day)
    config = EvaluateConfig("", "", "", frames=info.frames, jitter_frames=1)
    job = VideoJob(other_day, other_day.name, other_day)
    found = predict_video(package, network, job, info, {}, config).found
    write_other_day(OtherDay(found.xy, found.confidence), target)
