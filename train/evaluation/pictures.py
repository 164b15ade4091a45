"""The worst frames, as crops with what was found and what was labeled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.reports.pictures import data_uri
from rt_pose.types import FloatArray
from rt_pose.video import read_frames
from train.evaluation.labeled import VALIDATION, Labeled
from train.evaluation.video_metrics import TEMPORAL, VideoPrediction

HALF_PX = 70
"""Half of a crop's side, frame px."""


@dataclass
class Picture:
    """A crop, and points in its own px (pixel centres at integers)."""

    uri: str
    size: tuple[int, int]
    found: tuple[float, float]
    other: tuple[float, float] | None
    """The label, or where the keypoint was a frame before."""
    caption: str


def worst_labeled(labeled: Labeled, count: int) -> list[Picture]:
    """Show the worst keypoints of frames that were not trained on (of all, where all were), one a frame.

    Parameters
    ----------
    labeled
        Predictions and errors.
    count
        Largest number of pictures.

    Returns
    -------
    list of Picture
        The largest error first.
    """
    of = labeled.sets.of(VALIDATION)
    xy, labels = (points.reshape(len(of), -1, 2) for points in (labeled.found.xy, labeled.frames.xy))
    confidence, apart = (part.reshape(len(of), -1) for part in (labeled.found.confidence, labeled.apart))
    shown = (of if of.any() else ~of)[:, None] & np.isfinite(xy).all(axis=-1)
    apart = np.where(shown, apart, np.nan)
    keypoints = labeled.frames.keypoints
    pictures = []
    for i, k in _worst(apart, count):
        name = keypoints[k % len(keypoints)]
        caption = (
            f"{name}, {labeled.frames.names[i]}: {apart[i, k]:.1f} px, confidence {confidence[i, k]:.2f}"
        )
        pictures.append(crop(labeled.frames.images[i], xy[i, k], labels[i, k], caption))
    return pictures


def worst_steps(
    prediction: VideoPrediction, keypoints: list[str], channels: int, count: int
) -> list[Picture]:
    """Show the largest steps of a video from one frame to the next, one a frame.

    Parameters
    ----------
    prediction
        Predictions of the video, with their temporal norm.
    keypoints
        Names of the K keypoints.
    channels
        Channels in which the network sees frames: 1 gray, 3 RGB.
    count
        Largest number of pictures.

    Returns
    -------
    list of Picture
        The largest step first.
    """
    steps = prediction.metrics[TEMPORAL]
    worst = dict(_worst(steps, count))
    images = {}
    if worst:
        for frame in read_frames(prediction.info.path, 1 if channels == 1 else 3):
            if frame.index in worst:
                images[frame.index] = frame.image
            if len(images) == len(worst):
                break
    pictures = []
    for t, k in worst.items():
        xy = prediction.found.xy
        caption = f"{keypoints[k]}, frame {t}: a step of {steps[t, k]:.1f} px, confidence "
        caption += f"{prediction.found.confidence[t, k]:.2f}"
        pictures.append(crop(images[t], xy[t, k], xy[t - 1, k], caption))
    return pictures


def crop(image: NDArray[np.uint8], found: FloatArray, other: FloatArray, caption: str) -> Picture:
    """Cut out the part of a frame around two points; it grows where they are far apart.

    Parameters
    ----------
    image
        Frame (H, W, C) uint8.
    found, other
        Points (2,), frame px.
    caption
        Text below the picture.

    Returns
    -------
    Picture
        The crop as a PNG data URI, with the points in its own px.
    """
    middle = (found + other) / 2
    half = max(HALF_PX, float(np.abs(found - other).max()) / 2 + 20)
    size = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(middle - half), 0, size - 1).astype(int)
    high = np.clip(np.ceil(middle + half) + 1, low + 1, size).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    (fx, fy), (ox, oy) = (found - low).tolist(), (other - low).tolist()
    return Picture(data_uri(part, "png"), (part.shape[1], part.shape[0]), (fx, fy), (ox, oy), caption)


def _worst(values: FloatArray, count: int) -> Iterator[tuple[int, int]]:
    """(frame, keypoint) of the largest finite values, at most one of a frame, the largest first."""
    known = np.where(np.isfinite(values), values, -1.0)
    columns, largest = known.argmax(axis=1), known.max(axis=1)
    for i in np.argsort(-largest, kind="stable")[:count]:
        if largest[i] >= 0:
            yield int(i), int(columns[i])
