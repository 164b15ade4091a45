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


@dataclass
class StepBatches:
    """The batches of a training's steps: from any step on the same as if started at the first."""

    labeled: TrainingBatches
    clips: ClipBatches | None = None
    clips_from: int = 0
    """Clips begin at the later of this step and `start`."""
    start: int = 0
    """Number of steps that are passed over, where a training is resumed."""

    def __len__(self) -> int:
        return len(self.labeled)

    def __iter__(self) -> Iterator[StepBatch]:
        clips: Iterator[ClipBatch] | None = None
        for step, batch in enumerate(self.labeled):
            # The passed ones are made nonetheless: augmentation draws from one stream of random numbers.
            if step < self.start:
                continue
            if self.clips is None or step < self.clips_from:
                yield StepBatch(batch, None)
                continue
            if clips is None:
                clips = iter(self.clips)
            yield StepBatch(batch, next(clips))
