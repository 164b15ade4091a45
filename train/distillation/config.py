"""The typed configuration of distillation. Nothing heavy is imported here: `--help` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from train.config import TrainConfig

TEACHER = "teacher"
"""Value of `init_from` for a network that starts from one of its teachers."""


@dataclass
class PseudoConfig:
    """Which of the ensemble's answers the network learns from, and how much they count."""

    sure_px: float | None = None
    """A keypoint is sure where the ensemble's uncertainty is no more than this, frame px: the larger of the
    smoother's posterior standard deviation and the members' distance (root mean square) from the smoothed
    keypoint. null = the teachers' own median validation error, printed."""
    min_confidence: float = 0.5
    """And where the members' mean confidence is at least this."""
    absent_below: float = 0.1
    """Where blank labels mean absent, for the teachers too: a keypoint is absent where more than half of the
    members have less confidence than this and none has `min_confidence`. Everything else that is not sure is
    unknown, and nothing is learned from it."""
    frames: int = 300
    """Frames of the videos to take, those whose sure poses differ most."""
    margin: int = 10
    """Frames of a video that are this near to one that validates are not taken, where the images' names tell
    which it is (VIDEO/img0123.png): what is learned from neighbours makes the error on it too small."""
    share: float = 0.5
    """Of every batch, between 0 and 1: so much of it are pseudo-labeled frames."""
    weight: float = 1.0
    """Of a pseudo-labeled keypoint in the losses on labels; that of a person's label is 1."""


@dataclass
class DistillConfig(TrainConfig):
    """One small network that learns from labels, and from an ensemble's answers to unlabeled video.

    `videos` are the ensemble's to answer, and the clip losses' where some are configured.
    """

    teachers: list[str] = field(default_factory=list)
    """Model packages, or a folder that `train fit --seeds` filled."""
    pseudo: PseudoConfig = field(default_factory=PseudoConfig)
    """Which of the ensemble's answers count, and how much."""
    init_from: str = TEACHER
    """teacher: the network starts from the best teacher of its own kind whose checkpoint lies beside its
    package, as `train fit` leaves it; where there is none, as `network` says. Else as for `train fit`."""
