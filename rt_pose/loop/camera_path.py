"""What the loop keeps for each camera: filter, decisions, crop window and the network's temporal context."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from rt_pose.decisions.decide import Decider
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.estimator import Estimator
from rt_pose.inference.temporal_context import TemporalContext
from rt_pose.package import DriftSpec, TrackingSpec
from rt_pose.tracking.crop import CropFollower
from rt_pose.tracking.drift import DriftMonitor
from rt_pose.tracking.individuals import Tracker, make_tracker
from rt_pose.types import CameraInfo, FloatArray, FrameStamps, Pose


@dataclass(slots=True)
class CameraPath:
    """What the loop keeps for one camera."""

    info: CameraInfo
    tracker: Tracker
    decider: Decider
    estimator: Estimator
    """Preprocesses, infers and decodes its frames."""
    context: TemporalContext
    """What the network keeps of the camera's past frames."""
    crop: CropFollower | None = None
    processed: int = 0
    drift: DriftMonitor | None = None
    """Compares its poses with the calibration recordings; None where that is off, or its package has none."""

    def counts(self) -> dict[str, Any]:
        """Count what became of the camera's frames in the loop.

        Returns
        -------
        dict[str, Any]
            `processed`; `crop` for a camera with a crop window; `context` for a network that keeps past
            frames.
        """
        crop = {} if self.crop is None else {"crop": dataclasses.asdict(self.crop.counts)}
        context = {"context": {"emptied": self.context.resets}} if self.context.maps.size else {}
        return {"processed": self.processed, **crop, **context}

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the camera's frames, px."""
        return self.info.width, self.info.height


def camera_paths(
    cameras: Sequence[CameraInfo],
    rules: RuleSet,
    estimator: Estimator,
    tracking: TrackingSpec,
    crops: Mapping[str, CropFollower] = MappingProxyType({}),
    own: Mapping[str, tuple[Estimator, TrackingSpec]] = MappingProxyType({}),
    drift: Mapping[str, DriftSpec] = MappingProxyType({}),
    individuals: int = 1,
    groups: int = 0,
) -> dict[str, CameraPath]:
    """Make the path of each camera.

    Parameters
    ----------
    cameras
        The opened cameras.
    rules
        The run's rules; each camera gets a decider of its own.
    estimator
        That of every camera without a model of its own.
    tracking
        Parameters of the filter; `floor_px2` has one entry a keypoint.
    crops
        By name, what places the crop window of the cameras that have one.
    own
        By name, estimator and filter parameters of the cameras that have a model of their own.
    drift
        By name, what the calibration recordings were like, of the cameras whose poses are compared with them.
    individuals
        How many animals each camera tracks.
    groups
        How many groups of views decide besides the cameras.

    Returns
    -------
    dict[str, CameraPath]
        By the camera's name, in the order of `cameras`.
    """
    paths = {}
    for i, info in enumerate(cameras):
        its_estimator, spec = own.get(info.name, (estimator, tracking))
        paths[info.name] = CameraPath(
            info,
            make_tracker(spec, individuals, len(spec.floor_px2), (info.width, info.height)),
            rules.decider(i, len(cameras) + groups),
            its_estimator,
            its_estimator.new_context(),
            crops.get(info.name),
            drift=DriftMonitor(drift[info.name], info.offset_xy) if info.name in drift else None,
        )
    return paths


def pose_of(camera: str, stamps: FrameStamps, found: Keypoints[FloatArray]) -> Pose:
    """Make the pose of a frame from what was decoded of it.

    Parameters
    ----------
    camera
        Name of the camera.
    stamps
        Those of the frame.
    found
        Keypoints (1, K) of a network of one animal, or detections (1, D, K) of one of several.

    Returns
    -------
    Pose
        One row, or D of them.
    """
    if found.confidence.ndim == 2:
        return Pose(camera, stamps, found.xy, found.cov, found.confidence)
    return Pose(camera, stamps, found.xy[0], found.cov[0], found.confidence[0])
