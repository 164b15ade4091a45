"""Reprojection: where calibrated cameras see a keypoint is where the place that they agree on is seen.

The same keypoint of all cameras' clips is placed in space, and projected back onto each of their images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.views.check import EXPECTED_SHARE, LEAST_POINTS, check_calibration, expected_noise
from rt_pose.views.triangulation import LEAST_VIEWS, triangulate
from rt_pose.views.view_poses import ViewPoses
from train.losses.clip import ClipInputs, confident, hinge, mean_over, zero_where_unknown
from train.losses.loss_context import CalibratedViews, FittedViewsLoss, LossContext
from train.losses.projection import Cameras

PERCENTILE = 99.0
"""Reprojection errors of labels up to this percentile (0..100) cost nothing."""
LEAST_PX = 1.0
"""Labels are no finer than this."""
LEAST_ROWS = 12
"""Labels of a camera that another one shares, under which they say nothing of how large its errors are."""
LEAST_WEIGHT = 0.01
"""Of a keypoint that counts, however small its confidence."""


@dataclass
class Reprojection:
    """Mean over frames, keypoints and views of max(0, reprojection error - eps), frame px.

    A keypoint weighs as much as it is confident where its place in space is found. One that fewer than two
    cameras see has no place; neither has one whose place lies behind a camera that sees it.
    """

    cameras: Cameras
    eps: Tensor
    """(V,) frame px."""
    min_confidence: float

    def __call__(self, clips: Sequence[ClipInputs]) -> Tensor:
        cameras = self.cameras.to(clips[0].xy.device)
        seen = torch.stack([clip.xy for clip in clips]).flatten(1, 2).double()  # (V, T K, 2)
        confidence = torch.stack([clip.confidence for clip in clips]).flatten(1).double()
        counts = confident(seen, confidence, self.min_confidence)  # (V, T K)
        ideal, found = cameras.undistort(zero_where_unknown(seen - cameras.centre, counts) + cameras.centre)
        counts = counts & found
        counts = counts & (counts.sum(dim=0) >= LEAST_VIEWS)
        weight = torch.where(counts, confidence.detach().clamp(min=LEAST_WEIGHT), 0.0)
        xyz, placed = cameras.triangulate(ideal, weight)
        px, shown = cameras.project(xyz)
        counts = counts & placed & (shown | ~counts).all(dim=0)
        off = zero_where_unknown(seen - px, counts)
        error = torch.linalg.vector_norm(off, dim=-1).T  # (T K, V)
        return mean_over(hinge(error, self.eps), counts.T).to(clips[0].xy.dtype)


def reprojection(context: LossContext) -> FittedViewsLoss:
    """Build the loss, its calibration checked against the labels where these are of several cameras at once.

    Parameters
    ----------
    context
        The cameras with their labels; `eps`, where it is set, replaces the one from the labels.

    Returns
    -------
    FittedViewsLoss
        The loss on the clips of the cameras.

    Raises
    ------
    UserError
        Where the labels contradict the calibration.
    """
    if context.calibrated is None:
        raise ValueError("reprojection: there are no calibrated cameras")
    views = context.calibrated
    xy = views.labels.reshape(len(views.cameras), -1, 2)
    xy = xy[:, np.isfinite(xy).all(axis=-1).sum(axis=0) >= LEAST_VIEWS]
    checked = bool((np.isfinite(xy).all(axis=-1).sum(axis=1) >= LEAST_POINTS).all())
    if checked:
        _check(context, views)
    eps, how = _eps(context, views, xy)
    fits = f"the calibration fits {xy.shape[1]} labeled keypoints" if checked else _unchecked(xy.shape[1])
    names = (camera.name for camera in views.cameras)
    listed = ", ".join(f"{name} {value:.1f}" for name, value in zip(names, eps, strict=True))
    loss = Reprojection(Cameras.of(views.cameras), torch.from_numpy(eps), context.min_confidence)
    return FittedViewsLoss(loss, f"{fits}; eps in px, {how}: {listed}")


def _check(context: LossContext, views: CalibratedViews) -> None:
    """Hold the calibration against the labels; UserError with the camera's name where they contradict it."""
    names = [camera.name for camera in views.cameras]
    poses = ViewPoses(names, context.keypoints, list(range(views.labels.shape[1])), views.labels)
    expected_px = max(expected_noise(views.cameras), context.settings.eps or 0.0)
    wrong = check_calibration(views.cameras, poses, expected_px).explanation
    if wrong is None:
        return
    listed = f"camera{'s' * (len(wrong.cameras) > 1)} {', '.join(wrong.cameras)}"
    raise UserError(
        f"losses.{context.name}: the labels contradict the calibration {views.calibration}: {listed}: "
        f"{wrong.text}. Images count as exposed together whose paths differ in the camera's name alone; if "
        "they were, calibrate again (`rt-pose rig calibrate-cameras`), correct the labels, or leave the loss "
        f"out; if labels are rougher than {expected_px:.1f} px, set `losses.{context.name}.eps` to how rough "
        "they are"
    )


def _unchecked(points: int) -> str:
    """What is said of a calibration that the labels are too few to check."""
    return (
        f"the calibration was not checked: {points} keypoints are labeled in frames that two cameras or more "
        f"exposed at one time, {LEAST_POINTS} are needed of each camera"
    )


def _eps(context: LossContext, views: CalibratedViews, xy: FloatArray) -> tuple[FloatArray, str]:
    """The tolerance of each camera (V,), px, and where it is from; `xy` (V, n, 2): labels that two share."""
    if context.settings.eps is not None:
        return np.full(len(views.cameras), float(context.settings.eps)), "as configured"
    usual = np.array([EXPECTED_SHARE * np.hypot(*camera.size) for camera in views.cameras])
    residual = triangulate(views.cameras, xy).residual if xy.shape[1] else xy  # (V, n, 2)
    own = [error[np.isfinite(error)] for error in np.linalg.norm(residual, axis=-1)]
    if min(len(errors) for errors in own) < LEAST_ROWS:
        return usual, f"{EXPECTED_SHARE:.1%} of a frame's diagonal"
    eps = np.array([np.percentile(errors, PERCENTILE) for errors in own])
    return np.maximum(eps, LEAST_PX), "from the labels' own errors"
