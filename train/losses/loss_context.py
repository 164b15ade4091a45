"""What a loss is built from, before the first step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rt_pose.errors import UserError, nearest
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from train.config import LossConfig
from train.losses.clip import ClipInputs

ClipLoss = Callable[[ClipInputs], Tensor]
ViewsLoss = Callable[[Sequence[ClipInputs]], Tensor]
"""Of the clips that V cameras recorded together, in the order of the cameras."""


@dataclass
class CalibratedViews:
    """The V calibrated cameras of the clips, and the labels of frames that were exposed together."""

    calibration: str
    """The file, for messages."""
    cameras: list[CalibratedCamera]
    """With the names that paths of videos and labels have them by, in px of the frames."""
    labels: FloatArray
    """(V, G, K, 2) of G times at which two cameras or more have a labeled frame, frame px; NaN where
    unlabeled."""


@dataclass
class LossContext:
    """What is known of labels and videos. F labeled frames, K keypoints."""

    name: str
    """The loss's own, for messages."""
    settings: LossConfig
    """As configured; null is the default."""
    labels: FloatArray
    """(F, K, 2) of the training frames, frame px; NaN where unlabeled."""
    keypoints: list[str]
    views: list[list[str]]
    heatmap_px: tuple[float, float]
    """Frame px a heatmap pixel, along x and y."""
    heatmap_size: tuple[int, int]
    """(width, height)."""
    motion: Callable[[], FloatArray]
    """(K,) frame px that keypoints move from frame to frame, derived from labels and videos."""
    calibrated: CalibratedViews | None = None
    """Where a loss holds several calibrated cameras against each other."""

    @property
    def min_confidence(self) -> float:
        """Confidence under which a keypoint does not count, 0..1: as configured, else `MIN_CONFIDENCE`."""
        given = self.settings.min_confidence
        return MIN_CONFIDENCE if given is None else given

    def motion_px(self) -> Tensor:
        """Return how far each keypoint may move (K,), frame px a frame: as configured, else derived."""
        if self.settings.eps is not None:
            return torch.full((len(self.keypoints),), self.settings.eps)
        return torch.from_numpy(self.motion()).float()

    def indices(self, names: list[str], key: str) -> list[int]:
        """Return the indices of keypoints by name.

        Parameters
        ----------
        names
            Names of keypoints, in the order of the result.
        key
            Key of the configuration to name in an error.

        Returns
        -------
        list of int
            Indices, 0 to K - 1.

        Raises
        ------
        UserError
            Where a name is not among the labels' keypoints.
        """
        for name in names:
            if name not in self.keypoints:
                raise UserError(f"{key}: no keypoint '{name}' in the labels{nearest(name, self.keypoints)}")
        return [self.keypoints.index(name) for name in names]


@dataclass
class FittedLoss:
    """A loss that is ready, and a sentence that says what it tolerates."""

    loss: ClipLoss
    note: str


@dataclass
class FittedViewsLoss:
    """The same of a loss on the clips of several cameras."""

    loss: ViewsLoss
    note: str


MIN_CONFIDENCE = 0.05


def format_eps(context: LossContext, eps: Tensor, per: str) -> str:
    """Describe the tolerance of every keypoint, in one figure where they are equal.

    Parameters
    ----------
    context
        Of the loss; says whether the tolerance was configured or derived.
    eps
        Tolerance (K,), frame px.
    per
        What it is related to, such as "a frame".
    """
    values = eps.numpy()
    how = "as configured" if context.settings.eps is not None else "from the videos' own motion"
    if np.ptp(values) < 1e-6:
        return f"eps {values[0]:.1f} px {per}, {how}"
    listed = ", ".join(f"{name} {value:.1f}" for name, value in zip(context.keypoints, values, strict=True))
    return f"eps in px {per}, {how}: {listed}"
