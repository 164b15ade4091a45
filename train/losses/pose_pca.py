"""Pose PCA: a pose keeps to the space of the labeled poses (Biderman et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.errors import UserError
from train.losses.clip import ClipInputs, confident, hinge, mean_over, zero_where_unknown
from train.losses.loss_context import FittedLoss, LossContext
from train.losses.pca import PcaSpace, components_for, fit_space

LEAST_POSES = 10
"""Whole labeled poses under which no space is fitted."""
VARIANCE = 0.99


@dataclass
class PosePCA:
    """Mean over frames and keypoints of max(0, distance from the space - eps), frame px."""

    space: PcaSpace
    keypoints: list[int]
    min_confidence: float

    def __call__(self, clip: ClipInputs) -> Tensor:
        xy, confidence = clip.xy[:, self.keypoints], clip.confidence[:, self.keypoints]
        counts = confident(xy, confidence, self.min_confidence)
        residuals = self.space.residuals(zero_where_unknown(xy, counts), counts)  # (T, n)
        return mean_over(hinge(residuals, self.space.eps), counts)


def pose_pca(context: LossContext) -> FittedLoss:
    """Build the loss, with its space fitted to the labeled poses.

    Parameters
    ----------
    context
        The labels; of the settings `keypoints`, `variance` and `eps`.

    Returns
    -------
    FittedLoss
        The loss on a clip.

    Raises
    ------
    UserError
        Where too few labels are whole poses, or where the components leave nothing outside the space.
    """
    chosen = context.settings.keypoints or context.keypoints
    keypoints = context.indices(chosen, "losses.pose_pca.keypoints")
    poses = context.labels[:, keypoints]
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(poses).all(axis=-1))  # (F, n)
    whole = poses[seen.all(axis=1)]
    if len(whole) < LEAST_POSES:
        raise UserError(_too_few(chosen, seen, len(whole)))
    share = VARIANCE if context.settings.variance is None else context.settings.variance
    space = fit_space(whole, components_for(share), "pose_pca")
    dimensions = len(space.components)
    if dimensions >= min(2 * len(chosen), len(whole) - 1):
        raise UserError(
            f"losses.pose_pca: {len(whole)} whole poses of {len(chosen)} keypoints leave nothing outside the "
            f"{dimensions} components that explain {share:g} of their variance, so there is nothing to hold "
            "a pose against; lower `losses.pose_pca.variance`, or label more frames"
        )
    if context.settings.eps is not None:
        space.eps.fill_(context.settings.eps)
    return FittedLoss(PosePCA(space, keypoints, context.min_confidence), _note(space, chosen, len(whole)))


def _too_few(names: list[str], seen: NDArray[np.bool_], whole: int) -> str:
    rare = sorted(zip(seen.sum(axis=0), names, strict=True))[:3]
    listed = ", ".join(f"{name} in {count}" for count, name in rare)
    return (
        f"losses.pose_pca: {whole} of {len(seen)} training frames show all {len(names)} keypoints, "
        f"{LEAST_POSES} are needed; seldom labeled: {listed}; leave such ones out of "
        "`losses.pose_pca.keypoints`, or label more frames"
    )


def _note(space: PcaSpace, names: list[str], poses: int) -> str:
    eps = ", ".join(f"{name} {value:.1f}" for name, value in zip(names, space.eps.tolist(), strict=True))
    return f"{len(space.components)} components from {poses} labeled poses; eps in px: {eps}"
