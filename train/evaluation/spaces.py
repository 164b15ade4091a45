"""Pose-PCA and multi-view errors: how far poses are from the linear spaces that labeled poses keep to.

As the losses of the same names, but without a tolerance: an error is the distance (frame px) of a keypoint
from its place in the reconstructed pose. Frame px throughout, for fitting and for use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rt_pose.errors import UserError, nearest
from rt_pose.offline.pose_space import VIEW_DIMENSIONS, complete_poses, principal, residuals
from rt_pose.types import FloatArray
from train.losses.pca import components_for
from train.losses.pose_pca import VARIANCE

OFTEN = 0.9
"""A keypoint labeled in at least this share of the frames takes part in the pose."""


@dataclass
class Space:
    """A linear space of n keypoints, or of one body part seen n times."""

    keypoints: list[list[int]]
    """Groups of n keypoints each (indices); one for a pose, one a body part for views."""
    mean: FloatArray
    """(2 n,) px."""
    components: FloatArray
    """(C, 2 n), orthonormal rows."""
    poses: int
    """Labeled poses it was fitted to."""

    def errors(self, xy: FloatArray) -> FloatArray:
        """Return the distances of keypoints from their places in the reconstructed poses.

        Parameters
        ----------
        xy
            Poses (F, K, 2), frame px.

        Returns
        -------
        FloatArray
            Distances (F, K), frame px; NaN for keypoints of no group, and for a group in which one is
            missing.
        """
        far = np.full(xy.shape[:2], np.nan)
        for group in self.keypoints:
            far[:, group] = residuals(xy[:, group].reshape(len(xy), -1), self.mean, self.components)
        return far


def fit_pose(labels: FloatArray) -> Space | None:
    """Fit the space of whole poses, of the keypoints that are labeled in most frames.

    Parameters
    ----------
    labels
        Labels (F, K, 2), frame px; NaN where unlabeled.

    Returns
    -------
    Space or None
        None where too few frames have all of these keypoints.
    """
    often = np.flatnonzero(np.isfinite(labels).all(axis=-1).mean(axis=0) >= OFTEN).tolist()
    d = complete_poses(labels, often) if len(often) > 1 else np.empty((0, 0))
    if len(d) < 3:
        return None
    return _space([often], d, components_for(VARIANCE)(d))


def fit_views(labels: FloatArray, views: Sequence[Sequence[int]]) -> Space | None:
    """Fit the three-dimensional space of body parts that are seen in several views.

    Parameters
    ----------
    labels
        Labels (F, K, 2), frame px; NaN where unlabeled.
    views
        For each body part the indices of its keypoints, one a view. Every part of every frame is a row.

    Returns
    -------
    Space or None
        None without views, or with too few labels in all of them.

    Raises
    ------
    UserError
        Where parts differ in the number of their views.
    """
    if not views:
        return None
    if len({len(view) for view in views}) > 1:
        raise UserError("views: every body part must be seen in the same number of views, in the same order")
    rows = np.concatenate([complete_poses(labels, view) for view in views])
    if len(rows) <= 2 * len(views[0]):
        return None
    return _space([list(view) for view in views], rows, VIEW_DIMENSIONS)


def resolve_views(texts: Sequence[str], keypoints: list[str]) -> list[list[int]]:
    """Convert texts such as `paw_top=paw_bottom` to the keypoints' indices.

    Parameters
    ----------
    texts
        One body part each.
    keypoints
        Names of the K keypoints.

    Returns
    -------
    list of list of int
        Indices of each body part's keypoints, one a view.

    Raises
    ------
    UserError
        Where a name is no keypoint, or where a text names fewer than two.
    """
    views = []
    for text in texts:
        names = [name.strip() for name in text.split("=")]
        for name in names:
            if name not in keypoints:
                raise UserError(f"views '{text}': no keypoint '{name}'{nearest(name, keypoints)}")
        if len(set(names)) < 2:
            raise UserError(f"views '{text}': expected two keypoints or more, as in paw_top=paw_bottom")
        views.append([keypoints.index(name) for name in names])
    return views


def _space(groups: list[list[int]], d: FloatArray, dimensions: int) -> Space:
    mean, components, _ = principal(d, dimensions)
    return Space(groups, mean, components, len(d))
