"""Real frames on which a network is tried: spread over a recording, from a folder of images, or labeled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.image_file import SUFFIXES, read_image
from rt_pose.package import InputSpec
from rt_pose.video import Channels, VideoFrame, VideoReader, probe
from train.data.labels import LabeledFrames, read_labels

TRIED_FRAMES = 64
"""Frames taken from a recording or folder, evenly spread."""


@dataclass
class SampleFrames:
    """Real frames of one size."""

    images: list[NDArray[np.uint8]]
    """(H, W, C)."""
    source: Path

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        height, width = self.images[0].shape[:2]
        return width, height


def read_tried_frames(source: Path, channels: Channels, count: int = TRIED_FRAMES) -> SampleFrames:
    """Read frames, evenly spread, of a video or of a folder of images.

    Parameters
    ----------
    source
        The video, or the folder.
    channels
        1 gray, 3 RGB.
    count
        Largest number of frames.

    Returns
    -------
    SampleFrames
        Frames (H, W, C) uint8 of one size.

    Raises
    ------
    UserError
        Where there is no such file, no image, or one that cannot be read, or where images differ in size.
    """
    if source.is_dir():
        return SampleFrames(_images(source, channels, count), source)
    if not source.exists():
        raise UserError(f"--frames {source}: no such video or folder of images")
    wanted = spread_indices(probe(source).frames, count)
    return SampleFrames([frame.image for frame in read_frames_at(source, wanted, channels)], source)


def read_frames_at(video: Path, indices: Sequence[int], channels: Channels) -> Iterator[VideoFrame]:
    """Decode some frames of a video, those between them without their pixels.

    Parameters
    ----------
    video
        The video.
    indices
        Which ones, rising.
    channels
        1 gray, 3 RGB.

    Yields
    ------
    VideoFrame
        The frames that are there.

    Raises
    ------
    UserError
        Where the file is not a video, or breaks off.
    """
    with VideoReader(video, channels) as reader:
        yield from reader.read_at(indices)


def labels_of(spec: InputSpec, keypoints: list[str], file: Path) -> LabeledFrames:
    """Read labeled frames on which an imported network is measured.

    Parameters
    ----------
    spec
        Input of the network, and the frame size that it was imported for.
    keypoints
        Its keypoints.
    file
        A CSV of labeled frames.

    Returns
    -------
    LabeledFrames
        All labeled frames of the file.

    Raises
    ------
    UserError
        Where there is no such file, where frames are of a size that the network was not imported for, or
        where the keypoints are others.
    """
    if not file.is_file():
        raise UserError(f"labels {file}: no such file; expected the CSV of labeled frames (Lightning Pose)")
    labels = read_labels(file.parent, file.name, "gray" if spec.channels == 1 else "rgb", keypoints)
    for name, image in zip(labels.names, labels.images, strict=True):
        if spec.frame is not None and (image.shape[1], image.shape[0]) != tuple(spec.frame):
            raise UserError(
                f"labels {file}: {name} is {image.shape[1]}x{image.shape[0]}, the network was imported for "
                f"frames of {spec.frame[0]}x{spec.frame[1]}"
            )
    return labels


def resized(frames: SampleFrames, width: int, height: int) -> SampleFrames:
    """Return the frames as images of another size: the input of a program that does not resize.

    Parameters
    ----------
    frames
        Frames of one size.
    width, height
        Size of the result, px.

    Returns
    -------
    SampleFrames
        uint8 images, resampled by area; `frames` itself where the size is the same.
    """
    if frames.size == (width, height):
        return frames
    channels = frames.images[0].shape[2]
    images = [
        np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8).reshape(
            height, width, channels
        )
        for image in frames.images
    ]
    return SampleFrames(images, frames.source)


def spread_indices(total: int, count: int) -> list[int]:
    """Spread indices evenly over a recording.

    Parameters
    ----------
    total
        Number of its frames.
    count
        Number of indices, or fewer where there are not so many frames.

    Returns
    -------
    list of int
        The indices, rising, with the first and the last frame.
    """
    return sorted({round(i) for i in np.linspace(0, total - 1, min(count, total))})


def _images(folder: Path, channels: Channels, count: int) -> list[NDArray[np.uint8]]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"--frames {folder}: no image there ({', '.join(SUFFIXES)}); or give a video")
    images = []
    for index in spread_indices(len(paths), count):
        image = read_image(paths[index], channels)
        if image is None:
            raise UserError(f"--frames {paths[index]}: not an image that can be read; remove it")
        images.append(image)
    if any(image.shape != images[0].shape for image in images):
        raise UserError(f"--frames {folder}: its images have several sizes; give a folder with one")
    return images
