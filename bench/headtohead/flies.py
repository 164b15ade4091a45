"""Two flies: sleap-nn trained by its program, ours by ours, for the same time; both track the same frames.

WORK/flies/data/       train.slp, validation.slp for sleap-nn; ours/clip.slp and ours/split.csv
WORK/flies/sleap/      configuration.yaml, train.log, model/, export/, tracks-METHOD.npz, result.json
WORK/flies/probe/      how long a step of ours takes
WORK/flies/rt-pose/    train.yaml, train.log, fit/package, tracks.npz, result.json
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from bench.headtohead.fly_data import (
    ANIMALS,
    OURS,
    SPLIT,
    TRAIN,
    VALIDATION,
    FlyTruth,
    read_truth,
    write_labels,
)
from bench.headtohead.our_chain import our_chain, track_ours
from bench.headtohead.steps import call, once, worker_command
from bench.headtohead.tracks import tracks_of, write_tracks
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from train.importing.original_program import WorkerProcess
from train.models.backbones import BACKBONES

WORKER = Path(__file__).with_name("sleap_worker.py")
THEIR_CONFIGURATION = Path(__file__).with_name("sleap.yaml")
CONFIGURATION = Path("configs/train/flies.yaml")
SIZE = 512
"""Side of both networks' input, px: frames at half scale."""
METHODS = ("fixed_window", "local_queues")
PROBE_STEPS = (8, 24)
"""Steps of two short trainings of ours; what the second took longer is the time of the steps between."""
FULL_SHARE = 0.95
"""Share of the time that our steps are planned to fill; the rest is for validations."""
VALIDATIONS = 6
"""Of our training, evenly spread; the best is exported, as theirs is."""
SECONDS_PER_MINUTE = 60.0
NO_PACKAGE = "no package was written"
"""What a training says that has learned too little."""


def prepare(shared: Path, work: Path, stride: int) -> tuple[Path, FlyTruth]:
    """Write the labels of both trainings, and read what they are measured on.

    Parameters
    ----------
    shared
        Folder of the data sets.
    work
        Folder of this comparison.
    stride
        Every how many-th frame is learned from.

    Returns
    -------
    tuple[Path, FlyTruth]
        Folder of the labels, and the frames that are measured.
    """
    folder = work / "flies" / "data"
    settings = {"stride": stride, "split": json.loads(json.dumps(asdict(SPLIT)))}
    once(folder, settings, partial(write_labels, shared, folder, SPLIT, stride))
    return folder, read_truth(shared, SPLIT)


def train_theirs(
    shared: Path, work: Path, python: Path, minutes: float, stride: int, threads: int
) -> dict[str, Any]:
    """Train sleap-nn, export it, and let it track the frames; done once.

    Parameters
    ----------
    shared
        Folder of the data sets.
    work
        Folder of this comparison.
    python
        Python of its environment.
    minutes
        Length of its training.
    stride
        Every how many-th frame is learned from.
    threads
        Of its program.

    Returns
    -------
    dict[str, Any]
        Version, steps and seconds.
    """
    data, truth = prepare(shared, work, stride)
    folder = work / "flies" / "sleap"
    settings = {"minutes": minutes, "stride": stride, "configuration": their_settings()}

    def do() -> dict[str, Any]:
        shutil.rmtree(folder / "model", ignore_errors=True)
        found = their_settings()
        found["data_config"] |= {
            "train_labels_path": [str((data / TRAIN).resolve())],
            "val_labels_path": [str((data / VALIDATION).resolve())],
        }
        found["trainer_config"] |= {"ckpt_dir": str(folder.resolve()), "run_name": "model"}
        asked, answer = folder / "configuration.yaml", folder / "answer.json"
        asked.write_text(yaml.safe_dump(found), encoding="utf-8")
        words = ["train", asked, minutes * SECONDS_PER_MINUTE, threads, answer]
        call(worker_command(python, WORKER, words), folder / "train.log")
        exports = ["export", folder / "model", folder / "export"]
        call(worker_command(python, WORKER, exports), folder / "export.log")
        return dict(json.loads(answer.read_bytes()))

    figures = once(folder, settings, do)
    if not all(tracks_file(folder, method).is_file() for method in METHODS):
        with their_program(folder, python, threads) as program:
            send_frames(program, truth)
            program.order({"do": "track"})
            for method, animals in program.answer()["animals"].items():
                write_tracks(tracks_of(animals, len(truth.keypoints)), tracks_file(folder, method))
    return figures


def their_settings() -> dict[str, Any]:
    """Read sleap-nn's configuration, but for its paths.

    Returns
    -------
    dict[str, Any]
        Plain values.
    """
    return dict(yaml.safe_load(THEIR_CONFIGURATION.read_text(encoding="utf-8")))


def tracks_file(folder: Path, method: str = "") -> Path:
    """Name the file of a program's tracks.

    Parameters
    ----------
    folder
        Folder of its training.
    method
        Of its tracker, where it has several.

    Returns
    -------
    Path
        May not exist.
    """
    return folder / f"tracks{'-' if method else ''}{method}.npz"


def their_program(folder: Path, python: Path, threads: int) -> WorkerProcess:
    """Start sleap-nn with what it exported.

    Parameters
    ----------
    folder
        Folder of its training.
    python
        Python of its environment.
    threads
        Of its program.

    Returns
    -------
    WorkerProcess
        The process, its name not yet read.
    """
    command = worker_command(python, WORKER, ["serve", folder / "export", threads, ANIMALS])
    return WorkerProcess(command, f"{python} (sleap-nn)")


def send_frames(program: WorkerProcess, truth: FlyTruth) -> str:
    """Hand over the frames.

    Parameters
    ----------
    program
        A process that has just started.
    truth
        Holds the frames.

    Returns
    -------
    str
        Name of the program.
    """
    name = str(program.answer()["name"])
    stack = np.stack(truth.images)
    program.order({"do": "frames", "shape": stack.shape}, stack.tobytes())
    program.answer()
    return name


def train_ours(
    shared: Path, work: Path, minutes: float, stride: int, threads: int, own_weights: bool
) -> dict[str, Any]:
    """Train ours for the same time, and let it track the frames; done once.

    Parameters
    ----------
    shared
        Folder of the data sets.
    work
        Folder of this comparison.
    minutes
        Length of the training.
    stride
        Every how many-th frame is learned from.
    threads
        Of the program.
    own_weights
        Whether the backbone begins with weights that know images, not with random ones.

    Returns
    -------
    dict[str, Any]
        Steps and seconds.
    """
    data, truth = prepare(shared, work, stride)
    place = work / "flies"
    settings = {"stride": stride, "own_weights": own_weights, "configuration": our_settings(own_weights)}
    probe = once(
        place / f"probe{'-own' * own_weights}",
        settings,
        partial(_time_steps, data, place / f"probe{'-own' * own_weights}", own_weights, threads),
    )
    folder = place / f"rt-pose{'-own' * own_weights}"

    def do() -> dict[str, Any]:
        steps = steps_in(minutes * SECONDS_PER_MINUTE, probe["step_of_training_s"])
        seconds = _fit(data, folder, own_weights, threads, steps)
        return {"steps": steps, "wall_s": seconds, "step_of_training_s": probe["step_of_training_s"]}

    figures = once(folder, settings | {"minutes": minutes}, do)
    if not tracks_file(folder).is_file():
        write_tracks(
            track_ours(our_chain(folder / "fit" / "package", truth.rate_hz, threads), truth),
            tracks_file(folder),
        )
    return figures


def our_settings(own_weights: bool) -> dict[str, Any]:
    """Read our configuration, at the size of sleap-nn's.

    Parameters
    ----------
    own_weights
        Whether the backbone begins with weights that know images, not with random ones.

    Returns
    -------
    dict[str, Any]
        Plain values, without number of steps and file of weights.
    """
    found = dict(yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8")))
    found["network"] |= {"width": SIZE, "height": SIZE}
    if not own_weights:
        found["optimiser"] |= {"backbone_factor": 1.0, "freeze_backbone_steps": 0}
    return found


def steps_in(seconds: float, step_s: float) -> int:
    """Plan the steps of a training.

    Parameters
    ----------
    seconds
        Its length.
    step_s
        Of a step.

    Returns
    -------
    int
        A multiple of `VALIDATIONS`, at least one of each.
    """
    return max(1, int(FULL_SHARE * seconds / step_s / VALIDATIONS)) * VALIDATIONS


def _time_steps(data: Path, folder: Path, own_weights: bool, threads: int) -> dict[str, Any]:
    first, second = (
        _fit(data, folder / str(steps), own_weights, threads, steps, True) for steps in PROBE_STEPS
    )
    return {"step_of_training_s": (second - first) / (PROBE_STEPS[1] - PROBE_STEPS[0])}


def _fit(
    data: Path, folder: Path, own_weights: bool, threads: int, steps: int, only_times: bool = False
) -> float:
    """Train; how long it took, s. Where that is all that is asked for, it need not learn anything."""
    shutil.rmtree(folder / "fit", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    settings = our_settings(own_weights)
    if not own_weights:
        weights = folder / "random.pt"
        torch.manual_seed(0)
        torch.save(BACKBONES[settings["network"]["backbone"]].build(1).state_dict(), weights)
        settings["network"]["weights"] = str(weights.absolute())
    every = steps if only_times else steps // VALIDATIONS
    settings |= {"steps": steps, "validate_every": every, "threads": threads, "seed": 0}
    if only_times:
        settings["optimiser"]["freeze_backbone_steps"] = 0  # most steps of a training move all weights
    asked = folder / "train.yaml"
    asked.write_text(yaml.safe_dump(settings), encoding="utf-8")
    clock = HostClock()
    start = clock.now_ns()
    words = ["--config", asked, "--data", (data / OURS).parent, "--out", folder / "fit"]
    command = [sys.executable, "-m", "rt_pose.cli", "train", "fit", *map(str, words)]
    try:
        call([*command, "--labels", Path(OURS).name], folder / "train.log")
    except UserError as error:
        if not (only_times and NO_PACKAGE in str(error)):
            raise
    return (clock.now_ns() - start) / NS_PER_S
