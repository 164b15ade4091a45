"""What both programs are shown of the mouse, and their answers in one form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.accuracy.measure import Measured
from bench.headtohead.litpose_settings import LABELS
from rt_pose.types import FloatArray
from rt_pose.video import read_frames
from train.data.labels import read_labels
from train.data.split import split_frames
from train.evaluation.jitter import SEED, add_noise
from train.evaluation.labeled import evenly_spaced


@dataclass
class OtherDay:
    """A network's answers to the frames of another day. F frames, K keypoints."""

    xy: FloatArray
    """(F, K, 2) px."""
    confidence: FloatArray
    """(F, K)."""


@dataclass
class FramesToFind:
    """All frames that both programs are shown: gray, (H, W, 1) uint8 each."""

    held_names: list[str]
    held_labels: FloatArray
    held: list[NDArray[np.uint8]]
    video: list[NDArray[np.uint8]]
    some: NDArray[np.intp]
    noisy: list[NDArray[np.uint8]]


def frames_to_find(data: Path, video: Path, jitter_frames: int) -> FramesToFind:
    """Collect the frames on which `bench.accuracy.measure` measures our networks.

    Parameters
    ----------
    data
        The fold's data folder.
    video
        The second half of the recording.
    jitter_frames
        Number of its frames that are seen under noise as well.

    Returns
    -------
    FramesToFind
        The frames.
    """
    frames = read_labels(data, LABELS, "gray")
    held = frames.subset(split_frames(data, frames.names, 0.0, 0).validation)
    images = [frame.image.copy() for frame in read_frames(video, 1)]
    some = evenly_spaced(len(images), jitter_frames)
    random = np.random.default_rng(SEED)
    noisy = [add_noise(images[i], random) for i in some]
    return FramesToFind(held.names, held.xy, held.images, images, some, noisy)


def measured_of(answers: dict[str, FloatArray], frames: FramesToFind) -> Measured:
    """Bring a program's answers into the form of our own networks'.

    Parameters
    ----------
    answers
        held_xy, video_xy, video_confidence and noisy_xy.
    frames
        The frames.

    Returns
    -------
    Measured
        The answers; nothing of bf16.
    """
    still = answers["video_xy"][frames.some]
    return Measured(
        frames.held_names,
        frames.held_labels,
        answers["held_xy"],
        answers["video_xy"],
        answers["video_confidence"],
        frames.some,
        still,
        answers["noisy_xy"],
        np.full_like(still, np.nan),
    )


def write_other_day(answers: OtherDay, path: Path) -> None:
    """Write answers; the file takes its name only when it is whole.

    Parameters
    ----------
    answers
        The answers.
    path
        An npz file.
    """
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, xy=answers.xy, confidence=answers.confidence)
    part.replace(path)


def read_other_day(path: Path) -> OtherDay:
    """Read what `write_other_day` wrote.

    Parameters
    ----------
    path
        The npz file.

    Returns
    -------
    OtherDay
        The answers.
    """
    with np.load(path) as arrays:
        return OtherDay(arrays["xy"], arrays["confidence"])
