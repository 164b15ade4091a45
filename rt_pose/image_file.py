"""Image files: the one way to read a picture, for labels, cameras and people."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
"""Endings of pictures that are looked for in a folder."""
EXIF_BYTES = 1 << 18
"""Metadata stands at a file's head."""


def read_image(path: Path | str, channels: Literal[1, 3] | None = None) -> NDArray[np.uint8] | None:
    """Read a picture as it is stored.

    Programs differ in whether they turn a picture that its metadata (EXIF) calls turned: labels of one do not
    lie on the animal in another. So such a picture is read by none of ours.

    Parameters
    ----------
    path
        The file.
    channels
        1 for gray, 3 for RGB; None for what the file has.

    Returns
    -------
    NDArray[np.uint8] or None
        (H, W, C); None where it is no image of 8 bits that can be read.

    Raises
    ------
    UserError
        Where its metadata turns it.
    """
    import cv2  # heavy, and not needed by all who import this

    flag = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR_RGB}.get(channels or 0, cv2.IMREAD_UNCHANGED)
    if channels is not None:
        flag |= cv2.IMREAD_IGNORE_ORIENTATION  # which is part of `IMREAD_UNCHANGED`
    image = cv2.imread(str(path), flag)
    if image is None or image.dtype != np.uint8:
        return None
    if _is_turned(Path(path)):
        raise UserError(
            f"{path}: its metadata (EXIF) says that it is shown turned, and programs differ in whether they "
            f"do so; write it anew, as it is shown with `mogrify -auto-orient '{path}'`, or, where it was "
            f"labeled as it is stored, with `mogrify -strip '{path}'`"
        )
    if image.ndim == 2:
        return image[..., None]
    return np.ascontiguousarray(image[..., 2::-1] if channels is None else image)


def _is_turned(path: Path) -> bool:
    """Whether its metadata changes how it is shown: tried, since OpenCV heeds it and tells it not."""
    import cv2

    with path.open("rb") as file:
        head = file.read(EXIF_BYTES).lower()
    if b"exif" not in head:
        return False
    stored = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    shown = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if stored is None or shown is None:
        return False
    return stored.shape != shown.shape or not np.array_equal(stored, shown)
