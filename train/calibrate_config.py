"""The options of `rt-pose train calibrate`. Nothing heavy is imported here: `--help` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from rt_pose.config.schema import EngineConfig


@dataclass
class CalibrateConfig:
    """What to calibrate with."""

    model: str
    """Folder of the model package; its manifest is rewritten."""
    video: list[str]
    """Recordings of the rig, unlabeled; several are used together."""
    labels: str | None = None
    """Labeled frames for the bias: a folder as `train fit --data` takes it, or a labels file. Those are taken
    that the package's training kept back, or split.csv does; all of them where neither says."""
    bias_from: str = ""
    """In place of labels: folder of the package of an earlier training on some of them, whose bias this one
    takes over; for a network that was trained on every label (`validation_fraction: 0`)."""
    views: list[str] = field(default_factory=list)
    """Keypoints that are one body part in several views, joined by '=': paw1_top=paw1_bottom."""
    frames: int = 3000
    """Frames of each recording to use, from its beginning."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    """How the network is run."""
