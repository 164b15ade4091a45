"""What the loop keeps for each camera: its filter, its decisions, its window, what its network remembers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from rt_pose.decisions.decide import Decider, RuleSet
from rt_pose.inference.estimator import Estimator
from rt_pose.inference.temporal_context import TemporalContext
from rt_pose.package import TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.crop import CropFollower
from rt_pose.types import CameraInfo


@dataclass(slots=True)
class CameraPath:
    """What the loop keeps for one camera."""

    info: CameraInfo
    causal_filter: CausalFilter
    decider: Decider
    context: TemporalContext
    """Of its frames, for a network that sees past ones."""
    crop: CropFollower | None = None
    processed: int = 0

    def counts(self) -> dict[str, Any]:
        """What became of its frames in the loop."""
        crop = {} if self.crop is None else {"crop": dataclasses.asdict(self.crop.counts)}
        context = {"context": {"emptied": self.context.resets}} if self.context.maps.size else {}
        return {"processed": self.processed, **crop, **context}

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.info.width, self.info.height


def camera_paths(
    cameras: Sequence[CameraInfo],
    rules: RuleSet,
    estimator: Estimator,
    tracking: TrackingSpec,
    crops: Mapping[str, CropFollower] = MappingProxyType({}),
) -> dict[str, CameraPath]:
    """A path for each camera, by its name. `crops`: who chooses the window, of the cameras that have one."""
    keypoints = len(tracking.floor_px2)
    return {
        info.name: CameraPath(
            info,
            CausalFilter(tracking, 1, keypoints),
            rules.decider(i, len(cameras)),
            estimator.new_context(),
            crops.get(info.name),
        )
        for i, info in enumerate(cameras)
    }
