"""The data of a training step: labeled frames, and from some step on a clip of unlabeled video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from train.data.batches import Batch, TrainingBatches
from train.data.clips import ClipBatch, ClipBatches


@dataclass
class StepBatch:
    """The data of one step."""

    labeled: Batch
    clip: ClipBatch | None
    """None while no loss on clips has any weight yet, or where there is none."""


class StepBatches:
    """The batches of a training's steps: from any step on the same as if started at the first."""

    def __init__(
        self, labeled: TrainingBatches, clips: ClipBatches | None = None, clips_from: int = 0, start: int = 0
    ):
        """Combine labeled frames and clips.

        Parameters
        ----------
        labeled
            Batches of labeled frames, one a step of the training.
        clips
            Clips of unlabeled video; None: none.
        clips_from
            First step with a clip, or `start` where that is later.
        start
            Number of steps that are passed over, where a training is resumed.
        """
        self._labeled = labeled
        self._clips = clips
        self._clips_from = clips_from
        self._start = start

    def __len__(self) -> int:
        return len(self._labeled)

    def __iter__(self) -> Iterator[StepBatch]:
        clips: Iterator[ClipBatch] | None = None
        for step, batch in enumerate(self._labeled):
            # The passed ones are made nonetheless: augmentation draws from one stream of random numbers.
            if step < self._start:
                continue
            if self._clips is None or step < self._clips_from:
                yield StepBatch(batch, None)
                continue
            if clips is None:
                clips = iter(self._clips)
            yield StepBatch(batch, next(clips))
