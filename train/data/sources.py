"""Where labels come from: a CSV or HDF file, a DeepLabCut project, a SLEAP file, or a folder of one a camera;
named, or found in a folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.extras import installed
from rt_pose.offline.hdf import is_hdf
from rt_pose.offline.sleap_poses import is_analysis_table
from rt_pose.offline.table_text import table_text
from train.data.dlc_project import open_project
from train.data.gather import gather
from train.data.hdf_labels import open_hdf
from train.data.sleap_labels import open_slp
from train.data.source import Source, images_of
from train.data.tables import read_table

USUAL_FILE = "CollectedData.csv"
"""Lightning Pose's own name: taken before anything else that a folder holds."""
PROJECT_FILE = "config.yaml"
"""A DeepLabCut project's own."""


def open_source(folder: Path, labels: str) -> Source:
    """Open the labels that are named, or those found in a folder.

    Parameters
    ----------
    folder
        The data folder.
    labels
        A CSV, an .h5, a .slp or a DeepLabCut project, relative to the folder; empty: what the folder holds,
        or what each of its subfolders does, which are then joined.

    Returns
    -------
    Source
        The labels, not yet checked against their images.

    Raises
    ------
    UserError
        Where there is no such folder, where it holds no labels or several to choose from, or where they
        cannot be read at all.
    """
    if folder.is_file():
        name = "." if folder.name == PROJECT_FILE else folder.name
        raise UserError(
            f"data folder {folder}: is a file; give its folder: --data {folder.parent} --labels {name}"
        )
    if not folder.is_dir():
        raise UserError(
            f"data folder {folder}: no such folder; give one with a labels CSV, a .slp or a DLC project"
        )
    if labels:
        return _open(folder, folder / labels)
    path = _find(folder)
    if path is None:
        return _open_subfolders(folder)
    source = _open(folder, path)
    source.notes.insert(0, f"labels: {'this folder' if path == folder else path.name} ({_kind(path)})")
    return source


def open_sources(folders: Sequence[Path], labels: str) -> Source:
    """Open the labels of one data folder, or of several as one set.

    Parameters
    ----------
    folders
        The data folders; several must have names of their own.
    labels
        As of `open_source`, in each of them.

    Returns
    -------
    Source
        The labels, not yet checked against their images. Of several folders, the names of images begin with
        that of their folder.

    Raises
    ------
    UserError
        As `open_source`, and where two folders have one name.
    """
    if len(folders) == 1:
        return open_source(folders[0], labels)
    names = [folder.name for folder in folders]
    for name in names:
        if names.count(name) > 1:
            same = " and ".join(str(folder) for folder in folders if folder.name == name)
            raise UserError(
                f"data: {same} have one name, by which their images are told apart; give each folder once, "
                "and rename one"
            )
    parts = {folder.name: (folder, open_source(folder, labels)) for folder in folders}
    return gather(Path(" + ".join(names)), parts)


def _open_subfolders(folder: Path) -> Source:
    """What the subfolders of a folder hold, such as one a camera, as one set."""
    cameras = [place for place in sorted(folder.iterdir()) if place.is_dir() and _holds_labels(place)]
    if len(cameras) < 2:
        hint = f"; {cameras[0].name} in it does: --data {cameras[0]}" if cameras else ""
        raise UserError(
            f"data folder {folder}: nothing that holds labels; {_list_files(folder)}; set `labels` "
            f"(--labels NAME){hint}"
        )
    source = gather(folder, {place.name: (place, open_source(place, "")) for place in cameras})
    names = ", ".join(place.name for place in cameras)
    source.notes.insert(0, f"labels: of {len(cameras)} subfolders, such as one a camera: {names}")
    return source


def _open(folder: Path, path: Path) -> Source:
    if path.suffix.lower() == ".slp":
        return open_slp(path)
    if path.is_dir() or path.name == PROJECT_FILE:
        return open_project(path if path.is_dir() else path.parent)
    if not path.is_file():
        raise UserError(f"labels {path}: no such file; {_list_files(folder)}; set `labels` (--labels NAME)")
    if is_hdf(path):
        return open_hdf(folder, path)
    table, problems = read_table(path)
    return Source(path, table, problems, lambda: images_of(folder, table), notes=table.notes)


def _find(folder: Path) -> Path | None:
    """The one thing in a folder that holds labels; None where there is none."""
    if (folder / USUAL_FILE).is_file():
        return folder / USUAL_FILE
    found = find_labels(folder) or _find_hdf(folder)
    if len(found) > 1:
        raise UserError(
            f"data folder {folder}: several that hold labels; {_list_files(folder)}; set `labels` "
            "(--labels NAME)"
        )
    return found[0] if found else None


def _holds_labels(folder: Path) -> bool:
    try:
        return (folder / USUAL_FILE).is_file() or bool(find_labels(folder) or _find_hdf(folder))
    except OSError:  # a folder that may not be read
        return False


def find_labels(folder: Path) -> list[Path]:
    """List what a folder holds that has labels.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    list of Path
        CSVs of labels, SLEAP files, and the folder itself where it is a DeepLabCut project.
    """
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() == ".csv" and _is_labels(p)]
    found += sorted(folder.glob("*.slp"))
    if (folder / PROJECT_FILE).is_file() and any(folder.glob("labeled-data/*/CollectedData_*")):
        found.append(folder)
    return found


def _find_hdf(folder: Path) -> list[Path]:
    """HDF files with labels, which count where there is nothing else: most lie beside the CSV they repeat."""
    if not installed("h5py"):
        return []
    return [p for p in sorted(folder.iterdir()) if is_hdf(p) and (is_analysis_table(p) or _is_labels(p))]


def _is_labels(path: Path) -> bool:
    """Whether a table has a labels file's header; predictions have a likelihood."""
    try:
        head = list(islice(filter(None, csv.reader(io.StringIO(table_text(path, "labels"), newline=""))), 5))
    except (UserError, csv.Error):
        return False
    names = {row[0].strip() for row in head}
    return {"bodyparts", "coords"} <= names and not any("likelihood" in row for row in head)


def _list_files(folder: Path) -> str:
    """Describe what a folder holds instead, for an error."""
    csvs = ", ".join(sorted(p.name for p in folder.glob("*.csv"))) or "none"
    others = ["the folder itself, a DeepLabCut project ('.')"] if folder in find_labels(folder) else []
    others += sorted(p.name for p in folder.iterdir() if p.suffix.lower() == ".slp" or is_hdf(p))
    return f"CSV files there: {csvs}" + (f"; also {', '.join(others)}" if others else "")


def _kind(path: Path) -> str:
    if path.is_dir():
        return "DeepLabCut project"
    if is_hdf(path):
        return "HDF"
    return "SLEAP" if path.suffix.lower() == ".slp" else "Lightning Pose CSV"
