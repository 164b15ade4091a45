"""What the loop keeps for each camera: its filter, its decisions, its window, what its network remembers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rt_pose.decisions.decide import Decider, Rule
from rt_pose.decisions.limits import Limits
from rt_pose.decisions.protocol import Protocol
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
    *,
    keypoints: int,
    tracking: TrackingSpec,
    estimator: Estimator,
    rules: list[Rule],
    seed: int,
    limits: Limits | None,
    protocol: Protocol,
    crops: Mapping[str, CropFollower],
) -> dict[str, CameraPath]:
    """A path for each camera, by its name.

    Each camera's events count on their own lattice (first id and step), so ids do not depend on how frames of
    several cameras interleave.
    """
    return {
        info.name: CameraPath(
            info,
            CausalFilter(tracking, 1, keypoints),
            Decider(
                rules, seed, first_event_id=i + 1, id_step=len(cameras), limits=limits, protocol=protocol
            ),
            estimator.new_context(),
            crops.get(info.name),
        )
        for i, info in enumerate(cameras)
    }
