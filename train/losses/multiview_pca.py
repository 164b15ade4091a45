"""Multi-view PCA: a body part's places in several views (cameras, or mirrors) are one point in space.

Seen by affine cameras, the 2 V numbers of any body part lie in one space of three dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rt_pose.errors import UserError
from rt_pose.offline.pose_space import VIEW_DIMENSIONS
from train.losses.clip import ClipInputs, confident, hinge, mean_over, zero_where_unknown
from train.losses.loss_context import FittedLoss, LossContext
from train.losses.pca import PcaSpace, fit_space

LEAST_ROWS = 12
"""Labeled body parts, seen in every view, under which no space is fitted."""


@dataclass
class MultiviewPCA:
    """Mean over frames, body parts and views of max(0, distance from the space - eps), frame px."""

    space: PcaSpace
    parts: Tensor
    """(B, V) indices of keypoints."""
    min_confidence: float

    def __call__(self, clip: ClipInputs) -> Tensor:
        counts = confident(clip.xy, clip.confidence, self.min_confidence)
        # A part that is missing in one view has nothing to be compared with.
        rows = counts[:, self.parts].flatten(0, 1).all(dim=1, keepdim=True).expand(-1, self.parts.shape[1])
        xy = zero_where_unknown(clip.xy, counts)[:, self.parts].flatten(0, 1)  # (T B, V, 2)
        residuals = self.space.residuals(xy, torch.ones_like(rows))
        return mean_over(hinge(residuals, self.space.eps), rows)


def multiview_pca(context: LossContext) -> FittedLoss:
    """Build the loss, with its space fitted to the labels.

    Parameters
    ----------
    context
        The labels and the configured `views`; `eps`, where it is set, replaces the fitted one.

    Returns
    -------
    FittedLoss
        The loss on a clip.

    Raises
    ------
    UserError
        Where no views are named, or where too few labels show a body part in all of them.
    """
    if not context.views:
        raise UserError(
            "losses.multiview_pca: no body part is said to be seen in several views; give `views`, for each "
            "its keypoints: [[paw_top, paw_bottom], ...]"
        )
    parts = np.array([context.indices(names, "views") for names in context.views])  # (B, V)
    rows = context.labels[:, parts].reshape(-1, parts.shape[1], 2)
    rows = rows[np.isfinite(rows).all(axis=(1, 2))]
    if len(rows) < LEAST_ROWS:
        raise UserError(
            f"losses.multiview_pca: {len(rows)} labels show a body part of `views` in every view, "
            f"{LEAST_ROWS} are needed; label more frames, or correct `views`"
        )
    space = fit_space(rows, lambda _: VIEW_DIMENSIONS, "multiview_pca")
    if context.settings.eps is not None:
        space.eps.fill_(context.settings.eps)
    eps = ", ".join(f"{value:.1f}" for value in space.eps.tolist())
    note = f"{len(parts)} body parts, {len(rows)} labeled rows; eps {eps} px in the views"
    return FittedLoss(MultiviewPCA(space, torch.from_numpy(parts), context.min_confidence), note)
