"""A DeepLabCut project: its configuration, and the labels of all its videos gathered into one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.config.files import read_config
from rt_pose.errors import UserError, nearest
from rt_pose.offline.prediction_files import NO_ANIMAL
from train.data.source import Source, images_of
from train.data.tables import LabelTable, read_table

Read = Callable[[Path], tuple[LabelTable, list[str]]]

SAME_PX = 1e-6
"""The CSV and the HDF of one video hold the same labels where they differ by no more."""


@dataclass
class ProjectSettings:
    """What a DeepLabCut project's configuration says of its labels."""

    scorer: str
    keypoints: list[str]
    """Empty where it names none."""
    skeleton: list[list[str]]
    """Bones between keypoints that it names."""
    videos: list[str]
    """Paths of its videos, as they are written."""
    animals: list[str] = field(default_factory=list)
    """Names of a multi-animal project's animals; empty of a project of one."""
    unique: list[str] = field(default_factory=list)
    """Body parts of no animal, which a multi-animal project may have."""


def read_settings(folder: Path) -> ProjectSettings:
    """Read the configuration of a project, which may hold no labels yet.

    Parameters
    ----------
    folder
        The project's folder.

    Returns
    -------
    ProjectSettings
        What it says of its labels.

    Raises
    ------
    UserError
        Where there is no configuration, or it cannot be read.
    """
    config = _read_config(folder / "config.yaml")
    keypoints = _body_parts(config)
    videos = config.get("video_sets")
    several = config.get("multianimalproject") is True
    return ProjectSettings(
        str(config.get("scorer", "")),
        keypoints,
        _skeleton(config, keypoints, []),
        [str(video) for video in videos] if isinstance(videos, dict) else [],
        [name for name in _names(config, "individuals") if name != NO_ANIMAL] if several else [],
        _names(config, "uniquebodyparts") if several else [],
    )


def open_project(folder: Path) -> Source:
    """Gather the labels of a DeepLabCut project.

    Parameters
    ----------
    folder
        The project's folder, which holds config.yaml and labeled-data.

    Returns
    -------
    Source
        The labels of all its videos, not yet checked against their images.

    Raises
    ------
    UserError
        Where the folder is no project, or where none of its videos is labeled.
    """
    config = _read_config(folder / "config.yaml")
    problems: list[str] = []
    tables: list[LabelTable] = []
    for video in sorted(p for p in (folder / "labeled-data").glob("*") if p.is_dir()):
        file = find_table(video, str(config.get("scorer", "")), problems)
        if file is None:
            continue
        table, found = read_table(file)
        place = file.relative_to(folder).as_posix()
        table.places = [f"{place} {row}" for row in table.places]
        problems += [f"{place} {problem}" for problem in found]
        problems += compare_twin(file, table, place)
        tables.append(table)
    if not tables:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise UserError(
            f"labels {folder}: no labeled-data/VIDEO/CollectedData_SCORER.csv or .h5 in it{listed}"
        )
    keypoints = _keypoints(config, tables[0])
    table = merge_tables(keypoints, tables, problems)
    gathered = f"{len(tables)} labels file{'s' * (len(tables) > 1)} of the DeepLabCut project gathered"
    notes = [gathered, *table.notes]
    return Source(
        folder, table, problems, lambda: images_of(folder, table), _skeleton(config, keypoints, notes), notes
    )


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"labels {path.parent}: no config.yaml in it; expected a DeepLabCut project's folder")
    source = read_config(path)
    source.check()
    return source.plain


def find_table(video: Path, scorer: str, problems: list[str]) -> Path | None:
    """Find the labels file of one video's folder: the configured scorer's, or the only one's.

    Parameters
    ----------
    video
        The folder.
    scorer
        The scorer that the configuration names.
    problems
        Gets a line where several scorers are there and none is the configured one.

    Returns
    -------
    Path or None
        The CSV, or where there is none the HDF; None where the video is not labeled.
    """
    found = {p.stem: p for p in sorted(video.glob("CollectedData_*.h5"))}
    found |= {p.stem: p for p in sorted(video.glob("CollectedData_*.csv"))}
    if f"CollectedData_{scorer}" in found:
        return found[f"CollectedData_{scorer}"]
    if len(found) > 1:
        problems.append(
            f"labeled-data/{video.name}: labels of several scorers ({', '.join(found)}); write the one to "
            f"take into config.yaml as `scorer` (now '{scorer}')"
        )
    return next(iter(found.values())) if len(found) == 1 else None


def compare_twin(file: Path, table: LabelTable, place: str, read: Read = read_table) -> list[str]:
    """Compare the CSV and the HDF that DeepLabCut writes of one table: one of them may be outdated.

    Parameters
    ----------
    file
        The CSV, or an HDF that has none beside it.
    table
        What it holds.
    place
        Name of the file, for the message.
    read
        How the table was read.

    Returns
    -------
    list of str
        A line where they differ.
    """
    twin = file.with_suffix(".h5")
    if file.suffix == ".h5" or not twin.is_file():
        return []
    other, _ = read(twin)
    same = (other.names, other.keypoints, other.xy.shape) == (table.names, table.keypoints, table.xy.shape)
    if same and np.allclose(other.xy, table.xy, rtol=0, atol=SAME_PX, equal_nan=True):
        return []
    return [f"{place}: {twin.name} beside it holds other labels; delete the older of the two"]


def _keypoints(config: dict[str, Any], table: LabelTable) -> list[str]:
    """Return the keypoints in the configuration's order, or in the first file's where it names none."""
    keypoints = _body_parts(config)
    return keypoints or table.keypoints


def merge_tables(keypoints: list[str], tables: list[LabelTable], problems: list[str]) -> LabelTable:
    """Join tables, each one's columns brought into the order of `keypoints`.

    Parameters
    ----------
    keypoints
        Names of the K keypoints.
    tables
        The tables; a keypoint that one does not hold is unlabeled in its rows.
    problems
        Gets a line for each keypoint of a table that is none of `keypoints`.

    Returns
    -------
    LabelTable
        The rows of all tables, one after the other.
    """
    for table in tables:
        place = table.places[0].rsplit(" row ", 1)[0]
        for name in table.keypoints:
            if name not in keypoints:
                problems.append(f"{place}: keypoint '{name}' is not in config.yaml{nearest(name, keypoints)}")
    most = max(table.xy.shape[1] if table.xy.ndim == 4 else 0 for table in tables)
    animals = max((table.animals for table in tables), key=len)
    xy, visible = [], []
    for own in tables:
        table = _padded(_with_animals(own, animals), most)
        places = {name: k for k, name in enumerate(table.keypoints)}
        columns = [places.get(name, len(table.keypoints)) for name in keypoints]
        # A body part that this file does not hold was not labeled in its video.
        lead = [(0, 0)] * (table.xy.ndim - 2)
        blank = np.pad(table.xy, (*lead, (0, 1), (0, 0)), constant_values=np.nan)
        xy.append(blank[..., columns, :])
        visible.append(np.pad(table.visible, (*lead, (0, 1)))[..., columns])
    return LabelTable(
        keypoints,
        [name for table in tables for name in table.names],
        [row for table in tables for row in table.places],
        np.concatenate(xy),
        np.concatenate(visible),
        animals,
        list(dict.fromkeys(note for table in tables for note in table.notes)),
    )


def _names(config: dict[str, Any], key: str) -> list[str]:
    names = config.get(key)
    return [str(name) for name in names] if isinstance(names, list) else []


def _body_parts(config: dict[str, Any]) -> list[str]:
    """Names of an animal's body parts; empty where there are none. Those of several have their own key."""
    found = [config.get(key) for key in ("bodyparts", "multianimalbodyparts")]
    return next(([str(name) for name in names] for names in found if isinstance(names, list)), [])


def _with_animals(table: LabelTable, animals: list[str]) -> LabelTable:
    """A table with its animals in the order of these, where it has the same in another."""
    if table.animals == animals or set(table.animals) != set(animals):
        return table
    order = [table.animals.index(name) for name in animals]
    return replace(table, xy=table.xy[:, order], visible=table.visible[:, order], animals=animals)


def _padded(table: LabelTable, most: int) -> LabelTable:
    """A table with room for so many animals in a frame; 0: all tables are of one animal."""
    if not most:
        return table
    xy, visible = table.xy, table.visible
    if xy.ndim == 3:
        xy, visible = xy[:, None], visible[:, None]
    more = (0, most - xy.shape[1])
    xy = np.pad(xy, ((0, 0), more, (0, 0), (0, 0)), constant_values=np.nan)
    return replace(table, xy=xy, visible=np.pad(visible, ((0, 0), more, (0, 0))))


def _skeleton(config: dict[str, Any], keypoints: list[str], notes: list[str]) -> list[list[str]]:
    """Return the project's bones between keypoints that it has."""
    bones = [[str(name) for name in bone] for bone in config.get("skeleton") or [] if isinstance(bone, list)]
    known = [bone for bone in bones if len(bone) == 2 and set(bone) <= set(keypoints)]
    if len(known) < len(bones):
        notes.append(f"{len(bones) - len(known)} bones of config.yaml name no keypoint and are left out")
    return known
