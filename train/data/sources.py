"""Where labels come from: a CSV file, a DeepLabCut project or a SLEAP file, named or found in a folder."""

from __future__ import annotations

import csv
import io
from itertools import islice
from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.offline.table_text import table_text
from train.data.dlc_project import open_project
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
        A CSV, a .slp or a DeepLabCut project, relative to the folder; empty: what the folder holds.

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
    path = folder / labels if labels else _find(folder)
    source = _open(folder, path)
    if not labels:
        source.notes.insert(0, f"labels: {'this folder' if path == folder else path.name} ({_kind(path)})")
    return source


def _open(folder: Path, path: Path) -> Source:
    if path.suffix.lower() == ".slp":
        return open_slp(path)
    if path.is_dir() or path.name == PROJECT_FILE:
        return open_project(path if path.is_dir() else path.parent)
    if not path.is_file():
        raise UserError(f"labels {path}: no such file; {_list_files(folder)}; set `labels` (--labels NAME)")
    table, problems = read_table(path)
    return Source(path, table, problems, lambda: images_of(folder, table))


def _find(folder: Path) -> Path:
    """The one thing in a folder that holds labels."""
    if (folder / USUAL_FILE).is_file():
        return folder / USUAL_FILE
    found = find_labels(folder)
    if len(found) == 1:
        return found[0]
    what = "nothing that holds labels" if not found else "several that hold labels"
    raise UserError(f"data folder {folder}: {what}; {_list_files(folder)}; set `labels` (--labels NAME)")


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


def _is_labels(path: Path) -> bool:
    """Whether a CSV has a labels file's header; predictions have a likelihood."""
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
    others += sorted(p.name for p in folder.glob("*.slp"))
    return f"CSV files there: {csvs}" + (f"; also {', '.join(others)}" if others else "")


def _kind(path: Path) -> str:
    if path.is_dir():
        return "DeepLabCut project"
    return "SLEAP" if path.suffix.lower() == ".slp" else "Lightning Pose CSV"
