"""What counts against a frame, and how much of it against a video. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class QualityConfig:
    """By what frames of a predicted video count as lost, implausible, frozen or drifted."""

    seen_share: float = 0.5
    """A frame is lost where fewer of its keypoints than this share are seen: have the package's
    `min_confidence`."""
    implausible_sd: float = 6.0
    """A frame is implausible where a keypoint lies so far from the package's space of poses, in standard
    deviations of that space. Not known for packages without such spaces, and for frames of another size than
    those trained on."""
    frozen_frames: int = 10
    """A frame is frozen in a run of so many in which every position and confidence is that of the frame
    before."""
    drift_frames: int = 500
    """By windows of so many frames a video is compared with itself, and with the package's space of poses."""
    drift_sd: float = 3.0
    """A window has drifted where the median of a keypoint's distance from the space of poses is larger."""
    drift_confidence: float = 0.3
    """A window has drifted where its median confidence is lower than that of all windows by this share."""
    worst: int = 12
    """Frames in the picture of a video's worst frames; 0 makes none."""


@dataclass
class LimitsConfig:
    """Shares of frames from which a video is to be checked, and from which it is bad."""

    lost: list[float] = field(default_factory=lambda: [0.05, 0.25])
    """Of lost frames: check, bad."""
    implausible: list[float] = field(default_factory=lambda: [0.03, 0.15])
    """Of implausible frames."""
    frozen: list[float] = field(default_factory=lambda: [0.02, 0.15])
    """Of frozen frames."""
    drifted: list[float] = field(default_factory=lambda: [0.1, 0.4])
    """Of drifted frames."""


@dataclass
class OverviewConfig:
    """How the videos of an overview are graded."""

    limits: LimitsConfig = field(default_factory=LimitsConfig)
    """Shares of frames from which a video is to be checked, and from which it is bad."""
