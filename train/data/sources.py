"""Where labels come from: a CSV file, a DeepLabCut project or a SLEAP file, named or found in a folder."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from train.data.tables import LabelTable, read_table

USUAL_FILE = "CollectedData.csv"
"""Lightning Pose's own name: taken before anything else that a folder holds."""
PROJECT_FILE = "config.yaml"
"""A DeepLabCut project's own."""
NO_IMAGE: NDArray[np.uint8] = np.zeros((0, 0, 1), np.uint8)
"""In place of one that is missing or cannot be read."""
Images = list[NDArray[np.uint8]]


@dataclass
class Source:
    """Labels as their format holds them, not yet checked against their images. F rows."""

    path: Path
    """What messages call it."""
    table: LabelTable
    problems: list[str]
    """What is wrong with the labels' text."""
    read_images: Callable[[], tuple[Images, list[str]]]
    """Reads all F images, (H, W, C) with C 1 or 3 (RGB) or NO_IMAGE, and says what is wrong with them."""
    skeleton: list[list[str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """What the user should know of how it was read."""


def open_source(folder: Path, labels: str) -> Source:
    """The labels that `labels` names in `folder`, or those found there where it is empty.

    UserError where there are none, several to choose from, or they cannot be read at all.
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
        source.told.insert(0, f"labels: {'this folder' if path == folder else path.name} ({_kind(path)})")
    return source


def _open(folder: Path, path: Path) -> Source:
    if path.suffix.lower() == ".slp":
        from train.data.sleap_labels import open_slp

        return open_slp(path)
    if path.is_dir() or path.name == PROJECT_FILE:
        from train.data.dlc_project import open_project

        return open_project(path if path.is_dir() else path.parent)
    if not path.is_file():
        raise UserError(f"labels {path}: no such file; {_there(folder)}; set `labels` (--labels NAME)")
    table, problems = read_table(path)
    return Source(path, table, problems, lambda: images_of(folder, table))


def _find(folder: Path) -> Path:
    """The one thing in a folder that holds labels."""
    if (folder / USUAL_FILE).is_file():
        return folder / USUAL_FILE
    found = _candidates(folder)
    if len(found) == 1:
        return found[0]
    what = "nothing that holds labels" if not found else "several that hold labels"
    raise UserError(f"data folder {folder}: {what}; {_there(folder)}; set `labels` (--labels NAME)")


def _candidates(folder: Path) -> list[Path]:
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() == ".csv" and _is_labels(p)]
    found += sorted(folder.glob("*.slp"))
    if (folder / PROJECT_FILE).is_file() and any(folder.glob("labeled-data/*/CollectedData_*")):
        found.append(folder)
    return found


def _is_labels(path: Path) -> bool:
    """Whether a CSV has a labels file's header; predictions have a likelihood."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        head = [row for row, _ in zip(csv.reader(file), range(5), strict=False) if row]
    names = {row[0].strip() for row in head}
    return {"bodyparts", "coords"} <= names and not any("likelihood" in row for row in head)


def _there(folder: Path) -> str:
    """What a message offers instead."""
    csvs = ", ".join(sorted(p.name for p in folder.glob("*.csv"))) or "none"
    others = ["the folder itself, a DeepLabCut project ('.')"] if folder in _candidates(folder) else []
    others += sorted(p.name for p in folder.glob("*.slp"))
    return f"CSV files there: {csvs}" + (f"; also {', '.join(others)}" if others else "")


def _kind(path: Path) -> str:
    if path.is_dir():
        return "DeepLabCut project"
    return "SLEAP" if path.suffix.lower() == ".slp" else "Lightning Pose CSV"


def images_of(folder: Path, table: LabelTable) -> tuple[Images, list[str]]:
    """The image files that a table names, and what is wrong with them."""
    images: Images = []
    problems: list[str] = []
    for place, name in zip(table.places, table.names, strict=True):
        images.append(NO_IMAGE)
        if not name or not (folder / name).is_file():
            problems.append(f"{place}: no image '{name}' in {folder}")
            continue
        images[-1] = _read_image(folder / name)
        if not images[-1].size:
            problems.append(
                f"{place} ({name}): the file is no image that can be read (8 bits, gray or colour)"
            )
    return images, problems


def _read_image(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8:
        return NO_IMAGE
    if image.ndim == 2:
        return image[..., None]
    return np.ascontiguousarray(image[..., 2::-1])
