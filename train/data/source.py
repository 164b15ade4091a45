"""Labels as their format holds them, and the images they name."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.image_file import read_image
from train.data.tables import LabelTable

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
    notes: list[str] = field(default_factory=list)
    """What the user should know of how it was read."""
    sets: dict[str, Path] = field(default_factory=dict)
    """Of several sets of labels the folder of each, by what its images' names begin with."""
    lacking: dict[str, list[str]] = field(default_factory=dict)
    """The keypoints that one of these sets does not have, by the same."""


def images_of(folder: Path, table: LabelTable) -> tuple[Images, list[str]]:
    """Read the image files that a table names.

    Parameters
    ----------
    folder
        Folder that the table's paths are relative to.
    table
        Names of the F images.

    Returns
    -------
    images : list of NDArray
        F images (H, W, C) uint8, C 1 or 3 (RGB); `NO_IMAGE` where one is missing or cannot be read.
    problems : list of str
        A line for each of those.
    """
    images: Images = []
    problems: list[str] = []
    for place, name in zip(table.places, table.names, strict=True):
        images.append(NO_IMAGE)
        path = on_disk(folder, name)
        if not name or not os.path.isfile(path):
            problems.append(f"{place}: no image '{name}' in {folder}")
            continue
        try:
            image = read_image(path)
        except UserError as error:
            problems.append(f"{place}: {error}")
            continue
        if image is None:
            problems.append(
                f"{place} ({name}): the file is no image that can be read (8 bits, gray or colour)"
            )
            continue
        images[-1] = image
    return images, problems


def has_image(folder: Path, name: str) -> bool:
    """Tell whether an image of a table is there.

    Parameters
    ----------
    folder
        Folder that the name is relative to.
    name
        Path of the image, as the table has it.

    Returns
    -------
    bool
        Whether it is.
    """
    return bool(name) and os.path.isfile(on_disk(folder, name))


def on_disk(folder: Path, name: str) -> Path:
    """Find an image whose accented letters may be composed otherwise on disk than in the table.

    Parameters
    ----------
    folder
        Folder that the table's paths are relative to.
    name
        Path of the image, as the table has it.

    Returns
    -------
    Path
        Where it lies, or where it should.
    """
    if os.path.isfile(folder / name):  # not `Path.is_file`, which raises where a name is too long
        return folder / name
    path = folder
    for part in PurePosixPath(name).parts:
        wanted = unicodedata.normalize("NFC", part)
        here = path.iterdir() if os.path.isdir(path) and not os.path.exists(path / part) else ()
        path /= next((p.name for p in here if unicodedata.normalize("NFC", p.name) == wanted), part)
    return path
