"""The cells of the accuracy grid: what each trains on, and its folder.

WORK/unlabeled/first.mp4        first half of the recording: the unlabeled training video
WORK/held/second.mp4            second half: nothing ever trains on it
WORK/data/60-f0/                labels and split of 60 training frames, fold 0
WORK/cells/all-60-f0-s0/        train.yaml, train.log, package/, measured.npz, result.json
"""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import yaml

from rt_pose.errors import UserError, nearest
from rt_pose.files import atomic_writer
from train.data.split import SPLIT_FILE
from train.losses import LOSSES, LabelRow

FITS = {
    "supervised": (),
    "temporal": ("temporal",),
    "pose_pca": ("pose_pca",),
    "multiview_pca": ("multiview_pca",),
    "all": None,
}
"""Rows that are one training, and the losses on unlabeled video that each has; None: all of the
configuration's."""
ENSEMBLE = "ensemble"
LEARNERS = {"distilled": (), "distilled_all": None}
"""Rows that learn from an ensemble's answers to the unlabeled video, and their losses on clips."""
ROWS = (*FITS, ENSEMBLE, *LEARNERS)
FOLDS = 6
HEADER_ROWS = 3
RESULT = "result.json"


@dataclass(frozen=True)
class Cell:
    """One network of the grid."""

    row: str
    labels: int
    fold: int
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.row}-{self.labels}-f{self.fold}-s{self.seed}"


def folds_of(frames: int, folds: int = FOLDS) -> tuple[np.ndarray, list[np.ndarray]]:
    """Divide frames into folds.

    Parameters
    ----------
    frames
        Number of labeled frames.
    folds
        Number of folds.

    Returns
    -------
    tuple[np.ndarray, list[np.ndarray]]
        All frames in a seeded order, and each fold's held-out ones: equally many, and no frame twice.
    """
    order = np.random.default_rng(0).permutation(frames)
    size = frames // folds
    return order, [order[i * size : (i + 1) * size] for i in range(folds)]


def training_frames(frames: int, fold: int, labels: int) -> np.ndarray:
    """Choose the training frames of a fold; fewer labels are the first of more labels.

    Parameters
    ----------
    frames
        Number of labeled frames.
    fold
        Number of the fold.
    labels
        Number of training frames.

    Returns
    -------
    np.ndarray
        Indices of frames.

    Raises
    ------
    UserError
        Where the fold does not have so many.
    """
    order, held = folds_of(frames)
    rest = order[~np.isin(order, held[fold])]
    if labels > len(rest):
        raise UserError(
            f"--labels {labels}: a fold of {frames} labeled frames leaves {len(rest)} to train on; ask for "
            "fewer"
        )
    return rest[:labels]


def make_data(source: Path, labels_file: str, work: Path, cell: Cell) -> Path:
    """Make the data folder of a cell anew: its labels, its split, and links to images and video.

    Parameters
    ----------
    source
        The labeled folder.
    labels_file
        Name of its labels file.
    work
        The grid's folder.
    cell
        The cell.

    Returns
    -------
    Path
        The data folder.
    """
    with (source / labels_file).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    head, body = rows[:HEADER_ROWS], rows[HEADER_ROWS:]
    held = folds_of(len(body))[1][cell.fold]
    chosen = training_frames(len(body), cell.fold, cell.labels)
    folder = data_folder(work, cell)
    folder.mkdir(parents=True, exist_ok=True)
    kept = sorted([*chosen.tolist(), *held.tolist()])
    with atomic_writer(folder / labels_file) as out:
        csv.writer(out, lineterminator="\n").writerows([*head, *(body[i] for i in kept)])
    with atomic_writer(folder / SPLIT_FILE) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["image", "split"])
        writer.writerows([body[i][0].replace("\\", "/"), "val" if i in held else "train"] for i in kept)
    for name, target in (("labeled-data", source / "labeled-data"), ("videos", work / "unlabeled")):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(target.resolve())
    return folder


def data_folder(work: Path, cell: Cell) -> Path:
    """Get the folder of a cell's labels; cells that differ in row or seed alone share it.

    Parameters
    ----------
    work
        The grid's folder.
    cell
        The cell.

    Returns
    -------
    Path
        The folder.
    """
    return work / "data" / f"{cell.labels}-f{cell.fold}"


def halves(video: Path, work: Path) -> tuple[Path, Path]:
    """Cut a recording into its first and second half, without loss; done once.

    Parameters
    ----------
    video
        The recording.
    work
        The grid's folder.

    Returns
    -------
    tuple[Path, Path]
        The two files.
    """
    first, second = work / "unlabeled" / "first.mp4", work / "held" / "second.mp4"
    if first.is_file() and second.is_file():
        return first, second
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        rate = stream.average_rate
    middle = len(frames) // 2
    for path, part in ((first, frames[:middle]), (second, frames[middle:])):
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(".part.mp4")
        _write(whole, part, rate)
        whole.replace(path)
    return first, second


def _write(path: Path, frames: Sequence[av.VideoFrame], rate: Any) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"qp": "0", "preset": "fast", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        stream.codec_context.color_range = frames[0].color_range
        for i, frame in enumerate(frames):
            copied = frame.reformat(format="yuv420p")
            copied.pts, copied.time_base = i, 1 / rate
            container.mux(stream.encode(copied))
        container.mux(stream.encode())


def base_settings(config: Path, size: int, steps: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Make the configuration that all cells share.

    There is one validation, at the end: no checkpoint is chosen by the frames that a cell is judged on.

    Parameters
    ----------
    config
        YAML file of row `all`.
    size
        Side of the network's input, px.
    steps
        Number of training steps.
    overrides
        KEY.KEY=VALUE, the value as in YAML.

    Returns
    -------
    dict[str, Any]
        The settings.

    Raises
    ------
    UserError
        Where there is no such file, or an override is not KEY=VALUE.
    """
    if not config.is_file():
        raise UserError(f"--config {config}: no such file")
    settings = dict(yaml.safe_load(config.read_text(encoding="utf-8")))
    settings.setdefault("network", {}).update(width=size, height=size)
    settings |= {"steps": steps, "validate_every": steps, "threads": 1}
    for override in overrides:
        _set(settings, override)
    return settings


def settings_of(cell: Cell, base: dict[str, Any]) -> dict[str, Any]:
    """Make the training configuration of a cell.

    Parameters
    ----------
    cell
        The cell.
    base
        What all cells share.

    Returns
    -------
    dict[str, Any]
        The settings.

    Raises
    ------
    UserError
        Where the configuration lacks a loss of the row.
    """
    losses = _losses(cell.row, base["losses"])
    watches = cell.row in LEARNERS or any(not isinstance(LOSSES[name], LabelRow) for name in losses)
    return copy.deepcopy(base) | {
        "losses": losses,
        "videos": ["videos"] if watches else [],
        "seed": cell.seed,
    }


def _losses(row: str, losses: dict[str, Any]) -> dict[str, Any]:
    wanted = (FITS | LEARNERS)[row]
    if wanted is None:
        return losses
    for name in wanted:
        if name not in losses:
            raise UserError(f"--rows {row}: the configuration has no loss '{name}'")
    return {name: own for name, own in losses.items() if name in wanted or isinstance(LOSSES[name], LabelRow)}


def _set(settings: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise UserError(f"--set {override}: expected KEY=VALUE, as in clip_length=8")
    *path, last = key.split(".")
    for name in path:
        settings = settings.setdefault(name, {})
    settings[last] = yaml.safe_load(value)


def check_rows(rows: Sequence[str]) -> None:
    """Check the names of rows.

    Parameters
    ----------
    rows
        The names.

    Raises
    ------
    UserError
        Where there is no such row.
    """
    for row in rows:
        if row not in ROWS:
            raise UserError(
                f"--rows {row}: no such row{nearest(row, list(ROWS))}; there are {', '.join(ROWS)}"
            )


def read_result(folder: Path) -> dict[str, Any] | None:
    """Read what became of a cell.

    Parameters
    ----------
    folder
        The cell's folder.

    Returns
    -------
    dict[str, Any] or None
        None where the cell has not been done.
    """
    path = folder / RESULT
    return dict(json.loads(path.read_bytes())) if path.is_file() else None
