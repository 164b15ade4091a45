"""A folder of images as a camera: each file is a frame, in the order of their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rigs.cameras.video import FrameReader, VideoCamera, VideoOptions
from rt_pose.drivers import FoundDevice, camera_driver
from rt_pose.errors import UserError
from rt_pose.image_file import SUFFIXES, read_image
from rt_pose.video import Channels, VideoFrame, VideoInfo


@dataclass
class ImageFolderOptions(VideoOptions):
    """Which folder, and how it is shown; further keys as for a recording."""

    path: str
    """The folder, with .png, .jpg, .tif or .bmp files. Numbers in their names count as numbers: 9 before
    10."""
    rate_hz: float | None = 30.0
    """Frames a second, of the scene as of the host's time."""


@camera_driver("images")
class ImageFolderCamera(VideoCamera):
    """Plays a folder of images as `video` plays a file."""

    Options: ClassVar[type] = ImageFolderOptions
    driver: ClassVar[str] = "images"

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Camera.find`."""
        return [FoundDevice("images", "PATH", "any folder of images, e.g. `--camera images:frames/`")]

    def _probe(self) -> VideoInfo:
        files = image_files(Path(self._options.path), self._where)
        height, width, channels = _read(files[0], None).shape
        rate_hz = self._options.rate_hz or 30.0
        one_or_three: Channels = 1 if channels == 1 else 3
        return VideoInfo(
            Path(self._options.path), width, height, one_or_three, rate_hz, len(files), len(files) / rate_hz
        )

    def _open_reader(self) -> FrameReader:
        files = image_files(Path(self._options.path), self._where)
        return _ImageReader(files, self._channels, self._size, self._scene_period_ns)


class _ImageReader:
    """The images of a folder, read like a video."""

    def __init__(
        self, files: list[Path], channels: Channels, size: tuple[int, int] | None, period_ns: int
    ) -> None:
        self._files, self._channels, self._size, self._period_ns = files, channels, size, period_ns
        self._shape: tuple[int, ...] | None = None
        self.at = 0

    def read(self, into: NDArray[np.uint8] | None = None) -> VideoFrame | None:
        if self.at >= len(self._files):
            return None
        index, path = self.at, self._files[self.at]
        image = _read(path, self._channels)
        if self._shape is not None and image.shape != self._shape:
            raise UserError(
                f"image {path}: its size {image.shape[1]}x{image.shape[0]} is not that of the first"
            )
        self._shape = image.shape
        if self._size is not None and self._size != (image.shape[1], image.shape[0]):
            import cv2

            image = cv2.resize(image, self._size, interpolation=cv2.INTER_LINEAR).reshape(
                self._size[1], self._size[0], self._channels
            )
        if into is not None:
            np.copyto(into, image)
            image = into
        self.at += 1
        return VideoFrame(index, index * self._period_ns, image)

    def skip(self, frames: int) -> None:
        self.at += frames

    def close(self) -> None:
        self.at = len(self._files)


def image_files(folder: Path, where: str) -> list[Path]:
    """List the images of a folder in the order in which they are shown.

    Parameters
    ----------
    folder
        The folder.
    where
        Key of the configuration to name in an error.

    Returns
    -------
    list[Path]
        At least one.

    Raises
    ------
    UserError
        Where it is no folder, or holds no image.
    """
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise UserError(
            f"{where}: path: {str(folder)!r} is no folder of images ({error.strerror})"
        ) from error
    if not found:
        raise UserError(f"{where}: path: no image in {folder}; expected files of {', '.join(SUFFIXES)}")
    return sorted(found, key=_by_numbers)


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    """Digits in a name as the number that they are."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _read(path: Path, channels: Literal[1, 3] | None) -> NDArray[np.uint8]:
    """An image, (H, W, C); None channels for its own."""
    image = read_image(path, channels)
    if image is None:
        raise UserError(
            f"image {path}: it is no image of 8 bits that can be read; write it anew, or take it out"
        )
    return image
