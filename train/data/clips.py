"""Clips: consecutive frames of unlabeled videos, augmented as the labeled frames are.

    video -> seek, decode (PyAV) -> one warp and one set of levels a clip -> sensor noise -> preprocessing

Every clip is a function of the seed and its step alone, so a training resumed at a step sees what it would
have seen. A clip never crosses from one video to another, nor a gap in one. Where several cameras recorded
together, a step has the same frames of each, every camera under a warp and levels of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.errors import UserError
from rt_pose.inference.preprocess import frame_from_input
from rt_pose.package import InputSpec
from rt_pose.types import FloatArray
from train.config import AugmentConfig
from train.data.augment import draw_levels, is_noisy, random_warp
from train.data.augmentation import Augmentation
from train.data.clip_reader import ClipReader
from train.data.videos import IndexedVideo

ATTEMPTS = 100
"""Clips drawn for one step before the videos are given up as damaged."""
_DECODING, _CHANGING = 0, 1
"""What the random numbers of a step are for."""


@dataclass
class ClipBatch:
    """One clip as the network sees it. T consecutive frames of one video."""

    images: Tensor
    """(T, C, h, w) float32, preprocessed."""
    from_input: Tensor
    """(2, 3) float32, affine from px of the network's input to px of the video's frame, one for all T."""
    again: list[int]
    """Which S of the T frames are there under another draw of the sensor's noise as well."""
    second: Tensor
    """(S, C, h, w) those."""
    frame_size: tuple[int, int]
    """(width, height) of the video's frames, px."""
    video: Path
    start: int
    """Index of the first frame in the video."""
    others: Sequence[ClipBatch] = ()
    """The same frames as the other cameras recorded them, in the order of the cameras."""

    @property
    def views(self) -> list[ClipBatch]:
        """The clip of each camera."""
        return [self, *self.others]


class ClipBatches:
    """A clip a step: the same for the same seed and step, whatever came before."""

    def __init__(
        self,
        videos: Sequence[IndexedVideo],
        spec: InputSpec,
        augment: AugmentConfig,
        clip_length: int,
        seed: int,
        steps: int,
        first_step: int = 0,
        again: int = 0,
        threads: int = 1,
        rank: int = 0,
        others: Sequence[Sequence[IndexedVideo]] = (),
    ) -> None:
        """Choose what the clips are taken from.

        Parameters
        ----------
        videos
            Indexed videos.
        spec
            Input of the network.
        augment
            Ranges of all changes; a clip has one warp and one set of levels.
        clip_length
            Frames T of a clip.
        seed
            Seed of the choice and of all changes.
        steps
            Number of clips.
        first_step
            Step of the first clip.
        again
            This many frames of each clip, evenly spread, come under a second draw of the sensor's noise as
            well.
        threads
            Threads of the augmentation.
        rank
            Of several processes that train together, each has clips of its own.
        others
            For each video those of the other cameras, whose frames were exposed with its own, one by one;
            empty: every video is by itself.

        Raises
        ------
        UserError
            Where `again` is asked for while the augmentation has no such noise.
        """
        if again and not is_noisy(augment):
            raise UserError(
                "clips under two draws of sensor noise need noise: both would be the same frames; set "
                "augment.noise or augment.shot_noise above 0"
            )
        self.reader = ClipReader(spec.channels)
        self._spec = spec
        self._augment = augment
        self._length = clip_length
        self._seed = [seed, *([rank] if rank else [])]
        self._steps = range(first_step, first_step + steps)
        self._again = [i * clip_length // again for i in range(again)]
        self._threads = threads
        self._recordings = [
            [video, *own] for video, own in zip(videos, others or [()] * len(videos), strict=True)
        ]
        self._starts = [common_starts(recording, clip_length) for recording in self._recordings]

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[ClipBatch]:
        changed = self._augmentation()
        # The next clip is decoded while the network works on this one.
        with ThreadPoolExecutor(1, "rt-pose-clips") as pool:
            ahead: Future[list[Clip]] | None = None
            for step in self._steps:
                clips = (ahead or pool.submit(self._decode, step)).result()
                ahead = pool.submit(self._decode, step + 1) if step + 1 in self._steps else None
                yield self._batch(changed, clips, step)

    def _decode(self, step: int) -> list[Clip]:
        """The first clip drawn for `step` that is whole, of each camera."""
        for recording, start in itertools.islice(self._drawn(step), ATTEMPTS):
            clips = []
            for video in recording:
                images = self.reader.read(video, start, self._length)
                if images is None:
                    break
                clips.append(Clip(video, start, images))
            else:
                return clips
        raise UserError(
            f"videos: {ATTEMPTS} clips drawn one after another hold frames that cannot be decoded "
            f"({len(self.reader.corrupt)} such frames so far); copy or convert the videos again"
        )

    def _drawn(self, step: int) -> Iterator[tuple[list[IndexedVideo], int]]:
        """Recordings and first frames drawn for `step`, one after another without end."""
        random = np.random.default_rng([*self._seed, step, _DECODING])
        counts = np.cumsum([len(starts) for starts in self._starts])
        while True:
            drawn = int(random.integers(counts[-1]))
            which = int(np.searchsorted(counts, drawn, side="right"))
            start = self._starts[which][drawn - (counts[which - 1] if which else 0)]
            yield self._recordings[which], int(start)

    def _augmentation(self, device_id: int | None = None) -> Augmentation:
        size = self._length + len(self._again)
        return Augmentation(self._augment, self._spec, self._spec.channels, size, self._threads, device_id)

    def _batch(self, changed: Augmentation, clips: list[Clip], step: int) -> ClipBatch:
        random = np.random.default_rng([*self._seed, step, _CHANGING])
        first, *others = [self._changed(changed, clip, random) for clip in clips]
        return replace(first, others=others)

    def _changed(self, changed: Augmentation, clip: Clip, random: np.random.Generator) -> ClipBatch:
        """The clip of one camera as the network sees it."""
        warp = random_warp(self._augment, clip.images[0].shape, random)
        levels = draw_levels(self._augment, 1, random)
        frames = clip.images + [clip.images[i] for i in self._again]
        same = {name: np.repeat(values, len(frames), axis=0) for name, values in levels.items()}
        images = changed(frames, [warp] * len(frames), same, int(random.integers(2**63)))
        affine = frame_from_augmented_input(self._spec, clip.video.size, warp)
        return ClipBatch(
            images[: self._length],
            torch.from_numpy(affine.astype(np.float32)),
            self._again,
            images[self._length :],
            clip.video.size,
            clip.video.path,
            clip.start,
        )


@dataclass
class Clip:
    """Decoded frames of one clip."""

    video: IndexedVideo
    start: int
    images: list[Any]
    """(H, W, C) uint8 each: arrays, or tensors on a device."""


def common_starts(videos: Sequence[IndexedVideo], clip_length: int) -> NDArray[np.intp]:
    """Return the frames at which a clip can begin in each of several videos.

    Parameters
    ----------
    videos
        Videos that recorded together: frame i of each was exposed at one time.
    clip_length
        Number of frames T of a clip.

    Returns
    -------
    NDArray
        Indices, rising; empty where there is none.
    """
    starts = videos[0].starts(clip_length)
    for video in videos[1:]:
        starts = np.intersect1d(starts, video.starts(clip_length))
    return starts


def frame_from_augmented_input(spec: InputSpec, frame_size: tuple[int, int], warp: FloatArray) -> FloatArray:
    """Return the affine from the network's input to the frame as it was before its warp.

    Parameters
    ----------
    spec
        Input of the network.
    frame_size
        (width, height) of the frame, px.
    warp
        Affine (2, 3) from frame px to frame px, as `random_warp` draws it.

    Returns
    -------
    FloatArray
        Affine (2, 3) from input px to frame px.
    """
    to_warped = frame_from_input(spec, frame_size)
    back = np.linalg.inv(warp[:, :2])
    return np.column_stack([back @ to_warped[:, :2], back @ (to_warped[:, 2] - warp[:, 2])])


def undo_affine(xy: Tensor, affine: Tensor) -> Tensor:
    """Convert keypoints from px of the network's input to px of the frame.

    Parameters
    ----------
    xy
        Keypoints (..., 2), input px.
    affine
        Affine (2, 3) from input px to frame px.

    Returns
    -------
    Tensor
        Keypoints (..., 2), frame px. Gradients flow through; NaN stays NaN.
    """
    return xy @ affine[:, :2].T + affine[:, 2]


def redo_affine(xy: Tensor, affine: Tensor) -> Tensor:
    """Convert keypoints from px of the frame to px of the network's input: the inverse of `undo_affine`.

    Parameters
    ----------
    xy
        Keypoints (..., 2), frame px.
    affine
        Affine (2, 3) from input px to frame px.

    Returns
    -------
    Tensor
        Keypoints (..., 2), input px. Gradients flow through.
    """
    return (xy - affine[:, 2]) @ torch.linalg.inv(affine[:, :2]).T
