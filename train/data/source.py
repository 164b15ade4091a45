"""Labels as their format holds them, and the images they name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

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
