"""The options of `rt-pose train evaluate`. Nothing heavy is imported here: `--help` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class EvaluateConfig:
    """What to evaluate, and on what."""

    model: str
    """Folder of the model package."""
    data: str
    """Folder of labeled frames: in Lightning Pose layout, a DeepLabCut project, one with a SLEAP file or an
    .h5, or one with a subfolder of these for each camera."""
    out: str
    """Folder for evaluation.html, evaluation.json and the CSVs."""
    labels: str = ""
    """Labels in the data folder, as in training: a CSV, an .h5, `.` where the folder is a DeepLabCut project,
    or a SLEAP file. Empty: the one that the folder holds."""
    videos: str = ""
    """Videos to look at as well: a folder, a pattern in quotes, a list of paths, or one video."""
    views: list[str] = field(default_factory=list)
    """Keypoints that are one body part in several views, joined by '=': paw1_top=paw1_bottom."""
    frames: int = 3000
    """Frames of each video to use, from its beginning."""
    within_px: list[float] = field(default_factory=lambda: [2.0, 5.0, 10.0, 20.0])
    """Distances for the share of correct keypoints (PCK), frame px."""
    sure_px: float = 10.0
    """A keypoint so near its label counts as right in the confidence's calibration curve, frame px."""
    jitter_frames: int = 100
    """Frames, evenly spaced, on which noise and precisions are tried: of the labeled, and of each video."""
    worst: int = 8
    """Worst frames shown, of the labeled ones and of each video."""
    engine: str = "float32"
    """Precision in which the network is run; float32 is what other precisions are compared with."""
