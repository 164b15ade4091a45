"""Which labeled frames train and which validate."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.table_text import table_text
from train.data.labels import MAX_PROBLEMS_SHOWN

SPLIT_FILE = "split.csv"
SESSION_FRAMES = 2
"""Images whose names begin alike are a session's where every session has at least so many."""
DRAWS = 32
"""Draws of whole videos, of which the one is taken that comes nearest to the asked share."""
FAR_SHARE = 0.34
"""A share that differs from the asked one by more than this part of it is told."""
_PARTS = {"train": True, "val": False}


@dataclass
class Split:
    """Indices of frames, and a phrase that says how they were chosen."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    how: str


def split_frames(folder: Path, names: list[str], fraction: float, seed: int) -> Split:
    """Split frames as `split.csv` says, else by video, else by frame.

    `split.csv` has the columns image and split (train or val). Without it, frames of one subfolder are taken
    for one video and stay together, as neighbours in time look alike; in one subfolder, those whose names
    begin alike are taken for one session; with one session only, frames are drawn singly.

    Parameters
    ----------
    folder
        The data folder.
    names
        Paths of the F labeled images.
    fraction
        Share of the frames that is kept back, where there is no `split.csv`.
    seed
        Seed of the draw.

    Returns
    -------
    Split
        Both sides hold at least one frame.

    Raises
    ------
    UserError
        Where either side would be empty, or where `split.csv` is faulty or leaves out a labeled image.
    """
    if len(names) < 2:
        raise UserError(f"{folder}: {len(names)} labeled frame; training needs at least two, one to validate")
    if (folder / SPLIT_FILE).is_file():
        training, how = _from_file(folder / SPLIT_FILE, names), f"as {SPLIT_FILE} says"
    else:
        training, how = _draw_split(names, fraction, seed)
    split = Split(np.flatnonzero(training), np.flatnonzero(~training), how)
    if not len(split.train) or not len(split.validation):
        raise UserError(
            f"{folder}: {len(split.train)} frames to train and {len(split.validation)} to validate ({how}); "
            "both need at least one"
        )
    return split


def split_sets(sets: Mapping[str, Path], names: list[str], fraction: float, seed: int) -> Split:
    """Split each of several sets of labels by itself, as `split_frames` does.

    Sets whose images are called alike, such as those of cameras that see the same moments, keep back the same
    ones.

    Parameters
    ----------
    sets
        The folder of each set by what its images' names begin with.
    names
        Paths of the F labeled images of all sets.
    fraction, seed
        As in `split_frames`.

    Returns
    -------
    Split
        Of all frames. A set of a single frame trains.

    Raises
    ------
    UserError
        As of `split_frames`, and where no frame is left to validate.
    """
    training = np.ones(len(names), bool)
    how = []
    for part, folder in sets.items():
        rows = np.array([i for i, name in enumerate(names) if name.startswith(f"{part}/")], np.intp)
        if len(rows) < 2:
            how.append(f"{part}: {len(rows)} frame, which trains")
            continue
        own = split_frames(folder, [names[i].removeprefix(f"{part}/") for i in rows], fraction, seed)
        training[rows[own.validation]] = False
        how.append(f"{part}: {own.how}")
    if training.all():
        raise UserError(
            f"labels: no frame is left to validate ({'; '.join(how)}); label more frames of a set"
        )
    return Split(np.flatnonzero(training), np.flatnonzero(~training), "; ".join(how))


def known_as(training: Mapping[str, Any], folder: Path, names: list[str]) -> list[str]:
    """Return the names by which a training of several data folders knows the images of one of them.

    A folder is one of them by its name, or where all of that one's images that were trained on are among its
    own: it may have been renamed since.

    Parameters
    ----------
    training
        `training` of the package's manifest.
    folder
        A data folder.
    names
        Paths of its labeled images.

    Returns
    -------
    list of str
        With the data folder's name at the time before each; as they are where the folder is none of them.
    """
    trained_on = training.get("trained_on", [])
    for part in training.get("datasets", []):
        here = [f"{part}/{name}" for name in names]
        own = {name for name in trained_on if name.startswith(f"{part}/")}
        if part == folder.name or (own and own <= set(here)):
            return here
    return names


def all_train(frames: int) -> Split:
    """Return the split in which every frame trains and none is kept back.

    Parameters
    ----------
    frames
        Number of frames.
    """
    return Split(np.arange(frames), np.arange(0), "not at all: every frame trains")


def trained_names(training: Mapping[str, Any], names: list[str]) -> list[str] | None:
    """Return which images a network has trained on by its own account.

    An older package names only what it kept back: it may have trained on any other (`how_seen` says so).

    Parameters
    ----------
    training
        `training` of the package's manifest.
    names
        Paths of the images in question.

    Returns
    -------
    list of str or None
        Those of `names`; None where the package does not say.
    """
    if "trained_on" in training:
        trained_on = _with_synonyms(training, training["trained_on"])
        return [name for name in names if name in trained_on]
    if "kept_back" in training:
        kept_back = _with_synonyms(training, training["kept_back"])
        return [name for name in names if name not in kept_back]
    return None


def _with_synonyms(training: Mapping[str, Any], names: list[str]) -> set[str]:
    """Names of images, with those that they have where their folder is one of several, or the only one."""
    every = set(names)
    for part in training.get("datasets", []):
        every |= {name.removeprefix(f"{part}/") for name in names}
    if "dataset" in training and "datasets" not in training:
        every |= {f"{training['dataset']}/{name}" for name in names}
    return every


def how_seen(training: Mapping[str, Any]) -> str:
    """Return a phrase that says how certain the answer of `trained_names` is.

    Parameters
    ----------
    training
        `training` of the package's manifest.
    """
    return "trained on" if "trained_on" in training else "may have trained on"


def split_again(training: Mapping[str, Any], folder: Path, names: list[str]) -> Split:
    """Return the split that a package was trained with, by its own account.

    The frames that it names as trained on train. All others validate, as it has never seen them: those that
    it kept back, and those labeled since. An older package names only those kept back, which then validate;
    all do where it names none of these. One that names neither is split as it was then.

    Parameters
    ----------
    training
        `training` of the package's manifest.
    folder
        The data folder.
    names
        Paths of the labeled images.

    Returns
    -------
    Split
        Either side may be empty.
    """
    if "trained_on" in training:
        return _by_what_was_seen(training, names)
    settings = training.get("configuration", {})
    fraction = settings.get("validation_fraction", 0.15)
    if not fraction:
        return all_train(len(names))
    if kept_back := training.get("kept_back"):
        return _by_what_was_kept_back(kept_back, training["split"], names)
    return split_frames(folder, names, fraction, split_seed_of(settings))


def _by_what_was_seen(training: Mapping[str, Any], names: list[str]) -> Split:
    trains = np.isin(names, training["trained_on"])
    since = int((~trains & ~np.isin(names, training["kept_back"])).sum())
    how = training["split"] + (f"; labeled since, and never trained on: {since}" if since else "")
    return Split(np.flatnonzero(trains), np.flatnonzero(~trains), how)


def _by_what_was_kept_back(kept_back: list[str], how: str, names: list[str]) -> Split:
    validates = np.isin(names, kept_back)
    if not validates.any():
        validates[:] = True
        how = "unknown: none of the frames that the training knew, so all are taken for validation"
    return Split(np.flatnonzero(~validates), np.flatnonzero(validates), how)


def split_seed_of(settings: Mapping[str, Any]) -> int:
    """Return the seed by which a training with these settings was split.

    Parameters
    ----------
    settings
        The configuration as the manifest holds it: `split_seed`, else `seed`, else 0.
    """
    own = settings.get("split_seed")
    return int(settings.get("seed", 0) if own is None else own)


def check_sides(split: Split, labeled: NDArray[np.bool_], keypoints: list[str]) -> list[str]:
    """Check that every keypoint is labeled on both sides of a split.

    Parameters
    ----------
    split
        The split of the F frames.
    labeled
        Which keypoints are labeled (F, K).
    keypoints
        Names of the K keypoints.

    Returns
    -------
    list of str
        A line where keypoints are labeled in no frame that validates, which says that they are not measured.

    Raises
    ------
    UserError
        With every keypoint that is labeled in no training frame: nothing would be learned of it.
    """
    trained, validated = (
        set(np.flatnonzero(labeled[side].any(axis=0)).tolist()) for side in (split.train, split.validation)
    )
    unlearned = [name for k, name in enumerate(keypoints) if k not in trained]
    if unlearned:
        where = f"labels: {', '.join(unlearned)}: labeled in none of the {len(split.train)} training frames "
        if not len(split.validation):
            raise UserError(
                f"{where}(all there are), so nothing would be learned of it; label it in some of them, or "
                "remove its columns (or node)"
            )
        raise UserError(
            f"{where}(split {split.how}), so nothing would be learned of it; label it there, split in "
            f"another way ({SPLIT_FILE}, or another `seed`), or remove its columns (or node)"
        )
    if not len(split.validation):
        return []
    unmeasured = [name for k, name in enumerate(keypoints) if k not in validated]
    if not unmeasured:
        return []
    return [f"labeled in no frame that validates, so without a validation error: {', '.join(unmeasured)}"]


def _from_file(path: Path, names: list[str]) -> NDArray[np.bool_]:
    reader = csv.DictReader(io.StringIO(table_text(path, "split"), newline=""))
    if not {"image", "split"} <= set(reader.fieldnames or []):
        raise UserError(f"{path}: expected the columns image and split, got {reader.fieldnames}")
    rows = [(reader.line_num, _plain(row["image"]), (row["split"] or "").strip()) for row in reader]
    rows = [row for row in rows if any(row[1:])]
    problems = [
        f"row {number}: split is '{part}'; expected train or val"
        for number, _, part in rows
        if part not in _PARTS
    ]
    parts = {image: part for _, image, part in rows}
    problems += [f"has no row for {name}, which is labeled" for name in names if _plain(name) not in parts]
    if problems:
        listed = "\n  ".join(problems[:MAX_PROBLEMS_SHOWN])
        raise UserError(f"{path}: correct the following ({len(problems)} in all):\n  {listed}")
    return np.array([_PARTS[parts[_plain(name)]] for name in names])


def _plain(name: str) -> str:
    """A path with forward slashes and composed letters, so that one path is written in one way."""
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/"))


def _draw_split(names: list[str], fraction: float, seed: int) -> tuple[NDArray[np.bool_], str]:
    random = np.random.default_rng(seed)
    wanted = min(max(round(fraction * len(names)), 1), len(names) - 1)
    folders = np.array([str(PurePosixPath(name).parent) for name in names])
    videos = np.unique(folders)
    training = np.ones(len(names), bool)
    if len(videos) == 1:
        folders = np.array([_session(name) for name in names])
        videos, counts = np.unique(folders, return_counts=True)
        if counts.min() < SESSION_FRAMES:
            videos = videos[:1]
    if len(videos) == 1:
        training[random.permutation(len(names))[:wanted]] = False
        return training, f"by frame, drawn with seed {seed}: the images lie in one folder"
    what = "video" if _session(names[0]) not in videos else "session"
    # Of equal draws the first counts: more of them matter only where groups differ in size.
    draws = [_drawn_groups(folders, random.permutation(videos), wanted) for _ in range(DRAWS)]
    kept = min(draws, key=lambda groups: abs(np.isin(folders, groups).sum() - wanted))
    training = ~np.isin(folders, kept)
    how = f"by {what}, drawn with seed {seed}: {', '.join(sorted(kept))} kept back"
    share = (~training).mean()
    if abs(share - fraction) > FAR_SHARE * fraction:
        how += (
            f"; that is {share:.0%} of the frames, not the {fraction:.0%} asked for, as a {what} stays "
            f"whole: label further {what}s, or write {SPLIT_FILE}"
        )
    return training, how


def _drawn_groups(groups: NDArray[np.str_], drawn: NDArray[np.str_], wanted: int) -> list[str]:
    """The groups of frames to keep back, in the order `drawn`: each that brings their number nearer.

    Where each by itself is too large, the smallest; one is always left to train.
    """
    sizes = {group: int((groups == group).sum()) for group in drawn.tolist()}
    kept: list[str] = []
    count = 0
    for group, size in sizes.items():
        nearer = abs(count + size - wanted) <= abs(count - wanted)
        if nearer and len(kept) < len(sizes) - 1:
            kept.append(group)
            count += size
    return kept or [min(sizes, key=lambda group: sizes[group])]


def _session(name: str) -> str:
    """An image's name up to its number: `monday_img012.png` belongs to `monday_img`."""
    return PurePosixPath(name).stem.rstrip("0123456789")
