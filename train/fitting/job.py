"""What is known, and checked, of a training before its first step."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rt_pose.package import InputSpec
from train.config import TrainConfig
from train.data.labels import LabeledFrames
from train.data.pseudo import Pseudo
from train.data.split import Split
from train.fitting.unlabeled import Unlabeled


@dataclass
class Job:
    """A training that can begin."""

    config: TrainConfig
    """As resolved: every weight written out."""
    data: Path
    frames: LabeledFrames
    split: Split
    spec: InputSpec
    unlabeled: Unlabeled
    pseudo: Pseudo | None = None
    """What an ensemble says of unlabeled video, to learn from as well."""
    seen_before: list[str] = field(default_factory=list)
    """Frames that the network which it begins as has trained on."""

    @property
    def train(self) -> LabeledFrames:
        return self.frames.subset(self.split.train)

    @property
    def validation(self) -> LabeledFrames:
        return self.frames.subset(self.split.validation)

    @property
    def watched(self) -> LabeledFrames:
        """The frames by which one sees how it goes: those kept back, else those that train."""
        return self.validation if self.config.keeps_back else self.train
