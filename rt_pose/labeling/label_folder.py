"""A folder of labeled frames: a DeepLabCut project, or one in Lightning Pose's layout."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from rt_pose.errors import UserError, nearest
from rt_pose.image_file import SUFFIXES
from rt_pose.labeling.animal_points import AnimalPoints, point_name
from rt_pose.labeling.label_file import (
    UNLABELED,
    FrameRow,
    create_file,
    finish_writing,
    has_visible,
    points_of,
    read_rows,
    unpack_hdf,
    write_row,
)
from rt_pose.labeling.label_record import read_record
from rt_pose.offline.hdf import is_hdf
from rt_pose.offline.prediction_files import INDIVIDUALS
from train.data.dlc_project import ProjectSettings, find_table, read_settings
from train.data.source import on_disk
from train.data.sources import PROJECT_FILE, USUAL_FILE, find_labels
from train.data.tables import IMAGE_FOLDER, PATH_COLUMNS, read_layout


@dataclass
class LabelFolder:
    """Labels of a folder, and where they are written."""

    folder: Path
    points: AnimalPoints
    """Its animals and keypoints."""
    skeleton: list[list[str]]
    scorer: str
    table: Path | None
    """The one labels file; None for a DeepLabCut project, which has one for each video."""
    rows: dict[str, FrameRow] = field(default_factory=dict)
    """Labels by the path of the image, points in the folder's order."""
    order: dict[Path, list[int]] = field(default_factory=dict)
    """Of each labels file the places of its points among the folder's."""
    columns: dict[Path, list[str]] = field(default_factory=dict)
    """Of each labels file the names of its points, as it has them."""
    files: dict[str, Path] = field(default_factory=dict)
    """The labels file of each image that stands in one."""

    @property
    def is_project(self) -> bool:
        """Whether it is a DeepLabCut project."""
        return self.table is None

    def image(self, name: str) -> Path:
        """Return where an image lies.

        Parameters
        ----------
        name
            Its path, as the labels have it.

        Returns
        -------
        Path
            The file.
        """
        return on_disk(self.folder, name)

    def has_visible(self) -> bool:
        """Tell whether occluded keypoints can be labeled as such: its files have columns for it."""
        return bool(self.order) and all(has_visible(path) for path in self.order)

    def write(self, name: str, row: FrameRow) -> None:
        """Write the labels of one image.

        Parameters
        ----------
        name
            Path of the image.
        row
            Its labels, points in the folder's order.

        Raises
        ------
        UserError
            Where they cannot be written, or a keypoint has no columns in the file of this video.
        """
        path, names = self.files.get(name) or self._table_of(name), self.points.names
        if not path.is_file():
            create_file(path, self.points, self.scorer, PATH_COLUMNS if self.is_project else 1)
            self.columns[path], self.order[path] = names, list(range(len(names)))
        elif path not in self.order:  # another program has begun it meanwhile
            self.take_file(path)
        order = self.order[path]
        without = [k for k in range(len(names)) if k not in order and row.visible[k] != UNLABELED]
        if without:
            raise UserError(
                f"labels {path}: has no columns for '{names[without[0]]}'; add them (in DeepLabCut "
                "by labeling one frame), or mark it as not visible"
            )
        of_file = FrameRow(row.xy[order], row.visible[order])
        write_row(path, name, of_file, self.is_project, self.columns[path])
        self.files[name] = path
        self.rows[name] = row

    def take_file(self, path: Path) -> None:
        """Read a labels file into `rows`.

        Parameters
        ----------
        path
            The .csv.

        Raises
        ------
        UserError
            Where it cannot be read, or names an animal or a keypoint that the folder has not.
        """
        self.columns[path], rows = read_rows(path)
        known = self.points.names
        own = self._own_names(path)
        for name in own:
            if name not in known:
                raise UserError(f"labels {path}: '{name}' is not in {PROJECT_FILE}{nearest(name, known)}")
        order = self.order[path] = [known.index(name) for name in own]
        for name, row in rows.items():
            whole = empty_row(len(known))
            whole.xy[order], whole.visible[order] = row.xy, row.visible
            self.rows[name] = whole
            self.files[name] = path

    def _own_names(self, path: Path) -> list[str]:
        """The points of a file; its one animal, which its columns need not name, is one of several here."""
        names = self.columns[path]
        if not self.points.several or points_of(path).several:
            return names
        animal = read_layout(path).animal
        if not animal:
            raise UserError(
                f"labels {path}: is of one animal without a name; this folder has "
                f"{', '.join(self.points.animals)}; give it a row {INDIVIDUALS}"
            )
        return [point_name(animal, name) for name in names]

    def _table_of(self, name: str) -> Path:
        if self.table is not None:
            return self.table
        own = self.folder / PurePosixPath(name).parent / f"CollectedData_{self.scorer}.csv"
        return next((path for path in self.order if path.parent == own.parent), own)


def empty_row(points: int) -> FrameRow:
    """Make a row without a label.

    Parameters
    ----------
    points
        Number of points P.

    Returns
    -------
    FrameRow
        All unlabeled.
    """
    return FrameRow(np.full((points, 2), np.nan), np.zeros(points, np.uint8))


def open_folder(folder: Path, labels: str = "") -> LabelFolder | None:
    """Open a folder that holds labels, or where labeling was begun.

    Parameters
    ----------
    folder
        The folder.
    labels
        A CSV in it, or `.` where it is a DeepLabCut project; empty: what it holds.

    Returns
    -------
    LabelFolder | None
        None where the folder holds nothing of the kind, or does not exist.

    Raises
    ------
    UserError
        Where its labels cannot be read, cannot be written back, or where it holds several to choose from.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder}: is a file; give the name of a folder")
    if labels and labels != "." and not (folder / labels).is_file():
        raise UserError(f"labels {folder / labels}: no such file; set `--labels` to a CSV of the folder")
    found = [folder / labels] if labels else _labels_in(folder)
    if not found:
        begun = read_record(folder)
        if not begun.keypoints:
            return None
        points = AnimalPoints(begun.keypoints, begun.animals)
        return LabelFolder(folder, points, begun.skeleton, "", folder / USUAL_FILE)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(f"--out {folder}: holds several labels ({names}); choose one: --labels NAME")
    (path,) = found
    if path.suffix.lower() == ".slp":
        raise UserError(
            f"labels {path}: a SLEAP file is read but not written; mend it in SLEAP, or give another --out"
        )
    return _open_project(folder) if path.is_dir() else _open_table(folder, _as_csv(path))


def _as_csv(path: Path) -> Path:
    """The CSV of labels, which is written where there is an HDF alone."""
    if not is_hdf(path):
        return path
    out = path.with_suffix(".csv")
    if out.exists():
        raise UserError(
            f"labels {path}: {out.name} lies beside it and is what is written: `--labels {out.name}`"
        )
    return unpack_hdf(path)


def _labels_in(folder: Path) -> list[Path]:
    if (folder / USUAL_FILE).is_file():
        return [folder / USUAL_FILE]
    if (folder / PROJECT_FILE).is_file():
        return [folder]
    return find_labels(folder) if folder.is_dir() else []


def _open_table(folder: Path, path: Path) -> LabelFolder:
    finish_writing(path)
    opened = LabelFolder(folder, points_of(path), read_record(folder).skeleton, "", path)
    opened.take_file(path)
    return opened


def _open_project(folder: Path) -> LabelFolder:
    settings = read_settings(folder)
    problems: list[str] = []
    tables = []
    for video in sorted(p for p in (folder / IMAGE_FOLDER).glob("*") if p.is_dir()):
        path = find_table(video, settings.scorer, problems)
        if path is not None:
            tables.append(unpack_hdf(path) if is_hdf(path) else path)
            finish_writing(tables[-1])
    points = _project_points(settings, tables)
    if not points.keypoints:
        problems.append(f"{PROJECT_FILE} names no bodyparts")
    if not settings.scorer:
        problems.append(f"{PROJECT_FILE} names no scorer")
    if problems:
        raise UserError(f"labels {folder}: correct the following first:\n  " + "\n  ".join(problems))
    opened = LabelFolder(folder, points, settings.skeleton, settings.scorer, None)
    for path in tables:
        opened.take_file(path)
    return opened


def _project_points(settings: ProjectSettings, tables: Sequence[Path]) -> AnimalPoints:
    """Animals and keypoints of a project: by its configuration, and what that does not say by its tables."""
    points = AnimalPoints(settings.keypoints, settings.animals, settings.unique)
    found = max(map(points_of, tables), key=lambda own: len(own.groups), default=points)
    if not points.keypoints:
        return found
    return replace(points, animals=found.animals, unique=found.unique) if not points.animals else points


def frames_of(opened: LabelFolder, picked: Iterable[str]) -> tuple[list[str], list[str]]:
    """List the frames of a folder, those of one video one after another.

    Parameters
    ----------
    opened
        The folder. Of a DeepLabCut project images that were extracted and not labeled belong to it too.
    picked
        Paths of images that were picked here.

    Returns
    -------
    names : list of str
        Paths of the images that are there.
    missing : list of str
        Paths of those that have labels and are not there.
    """
    known = {*opened.rows, *picked}
    if opened.is_project:
        composed = {_composed(name) for name in known}
        images = (opened.folder / IMAGE_FOLDER).glob("*/*")
        there = [
            path.relative_to(opened.folder).as_posix()
            for path in images
            if path.suffix.lower() in SUFFIXES and not _made_by_a_program(path)
        ]
        known |= {name for name in there if _composed(name) not in composed}
    names = sorted((name for name in known if opened.image(name).is_file()), key=_natural)
    return names, sorted(name for name in opened.rows if not opened.image(name).is_file())


def _composed(name: str) -> str:
    """A path by which names are the same whose accented letters are composed otherwise."""
    return unicodedata.normalize("NFC", name)


def _made_by_a_program(image: Path) -> bool:
    """Whether an image is no frame: half written, or one of DeepLabCut's `check_labels`."""
    return image.name.startswith(".") or image.parent.name.endswith("_labeled")


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts img9 before img10."""
    pieces = re.findall(r"\d+|\D+", name)
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def check_keypoints(keypoints: Sequence[str], skeleton: Sequence[Sequence[str]]) -> None:
    """Check names of keypoints, and bones between them.

    Parameters
    ----------
    keypoints
        Names of the K keypoints.
    skeleton
        Pairs of them.

    Raises
    ------
    UserError
        Where a name is there twice or cannot be written, or a bone names none of them.
    """
    twice = sorted({name for name in keypoints if keypoints.count(name) > 1})
    if twice:
        raise UserError(f"--keypoints: '{twice[0]}' is there twice; give every keypoint a name of its own")
    odd = [name for name in keypoints if not name.strip() or name != name.strip() or not name.isprintable()]
    if odd:
        raise UserError(f"--keypoints: {odd[0]!r} is no name; write letters, digits and underscores")
    for bone in skeleton:
        for name in bone:
            if name not in keypoints:
                raise UserError(f"--skeleton: no keypoint '{name}'{nearest(name, keypoints)}")
        if len(bone) != 2:
            raise UserError(f"--skeleton: expected two keypoints as in nose=neck, got {'='.join(bone)!r}")
