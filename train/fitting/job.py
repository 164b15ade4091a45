"""The inputs of a training, read and checked before its first step."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rt_pose.package import InputSpec
from train.config import TrainConfig
from train.data.labels import LabeledFrames
from train.data.pseudo import Pseudo
from train.data.split import Split
from train.fitting.unlabeled import Unlabeled
from train.models.network import PoseNetwork


@dataclass
class Job:
    """A training that can start."""

    config: TrainConfig
    """As resolved: every weight written out."""
    data: Path
    frames: LabeledFrames
    split: Split
    spec: InputSpec
    unlabeled: Unlabeled
    pseudo: Pseudo | None = None
    """Pseudo-labels of an ensemble on unlabeled video, to learn from as well."""
    seen_before: list[str] = field(default_factory=list)
    """Frames that the network which it starts from has trained on."""
    datasets: list[str] = field(default_factory=list)
    """Names of the data folders, where there are several: those of the images begin with them."""

    @property
    def train(self) -> LabeledFrames:
        """The frames that train."""
        return self.frames.subset(self.split.train)

    @property
    def validation(self) -> LabeledFrames:
        """The frames that are kept back to validate."""
        return self.frames.subset(self.split.validation)

    @property
    def watched(self) -> LabeledFrames:
        """The frames that validations run on: those kept back, else those that train."""
        return self.validation if self.config.keeps_back else self.train

    @property
    def individuals(self) -> int:
        """The most animals in a frame."""
        return self.frames.individuals

    def make_network(self) -> PoseNetwork:
        """Make the network that is to be trained, with the weights it begins with.

        Returns
        -------
        PoseNetwork
            A new one.
        """
        keypoints = len(self.frames.keypoints)
        return PoseNetwork(self.config.network, self.spec.channels, keypoints, self.individuals)
