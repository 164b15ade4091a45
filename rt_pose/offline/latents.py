"""Ensemble Kalman smoothing of keypoints that move together.

One point in space seen in several views (mirrors in one image) has three latent coordinates, by PCA of its
most confident frames; a pupil has a diameter and a centre, seen at four points. The latent coordinates move
as a keypoint does, and their observations are the rows of `rt_pose.offline.rows`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError, nearest
from rt_pose.offline.ensemble import (
    Ensemble,
    SmoothedEnsemble,
    at_bounds,
    observations,
    row_likelihood,
    search,
    smooth_rows,
    smooth_single,
)
from rt_pose.offline.pose_space import VIEW_DIMENSIONS, principal
from rt_pose.types import FloatArray

PCA_SHARE = 0.5
"""Share of each part's frames, the most confident ones, that its views are fitted to."""
LEAST_FRAMES = 4 * VIEW_DIMENSIONS
"""With a part in all its views: half of them must still span the space."""
GATE_CHI2 = 9.21
"""The noise of a point further than this from where the other views have it is inflated."""
PUPIL = ("top", "bottom", "left", "right")
PUPIL_START = (1e-1, 1e-2)
"""Strengths of centre and diameter with which the search begins."""


def smooth_multiview(ensemble: Ensemble, views: Sequence[Sequence[str]]) -> SmoothedEnsemble:
    """Smooth body parts seen in several views, and the other keypoints each by itself.

    Parameters
    ----------
    ensemble
        The combined predictions.
    views
        Of each part its keypoints, one a view; all parts in the same number of views, two or more.

    Returns
    -------
    SmoothedEnsemble
        Smoothed positions and variances of all keypoints.

    Raises
    ------
    UserError
        Where views or keypoints are not valid.
    """
    parts = [_indices(ensemble, names) for names in views]
    if len({len(part) for part in parts}) != 1 or len(parts[0]) < 2:
        raise UserError(
            "smoothing in views: give each part in the same views, two or more, as in paw_top=paw_bot"
        )
    z, r = observations(ensemble)
    groups = np.array(parts)  # (G, V)
    z = z[:, groups].reshape(len(z), len(parts), -1)  # (F, G, 2 V)
    r = r[:, groups].reshape(z.shape)
    for part, whole in zip(views, np.isfinite(r).all(axis=-1).sum(axis=0), strict=True):
        if whole < LEAST_FRAMES:
            raise UserError(
                f"smoothing in views: {'='.join(part)} is seen in all its views in {whole} frames, "
                f"{LEAST_FRAMES} are needed; leave this part out of `--parts`"
            )
    mean, h = _view_bases(z, r)  # (G, 2 V), (G, 2 V, 3)
    d = np.where(np.isfinite(r), z - mean, 0.0)
    r = _inflate_views(h, d, r)
    rows_h, rows_z, rows_r = h.transpose(1, 2, 0)[None], d.transpose(0, 2, 1), r.transpose(0, 2, 1)
    q = search(lambda c: row_likelihood(rows_h, rows_z, rows_r, c), len(parts))
    means, covs = smooth_rows(rows_h, rows_z, rows_r, q)
    xy = np.einsum("gcd,tdg->tgc", h, means[:, :VIEW_DIMENSIONS]) + mean
    var = np.einsum("gcd,tdeg,gce->tgc", h, covs[:, :VIEW_DIMENSIONS, :VIEW_DIMENSIONS], h)
    result = _other_keypoints(ensemble, groups.ravel(), q, ["=".join(names) for names in views])
    result.xy[:, groups] = xy.reshape(len(xy), *groups.shape, 2)
    result.var[:, groups] = var.reshape(len(var), *groups.shape, 2)
    return result


def smooth_pupil(
    ensemble: Ensemble, points: dict[str, str]
) -> tuple[SmoothedEnsemble, FloatArray, FloatArray]:
    """Smooth a pupil: a circle seen at its top, bottom, left and right.

    Parameters
    ----------
    ensemble
        The combined predictions.
    points
        The keypoint at each of `PUPIL`.

    Returns
    -------
    tuple[SmoothedEnsemble, FloatArray, FloatArray]
        Smoothed positions and variances of all keypoints, the pupil's diameter (F,) px, and its centre (F, 2)
        px.

    Raises
    ------
    UserError
        Where a point is missing, or a keypoint is not known.
    """
    if set(points) != set(PUPIL):
        raise UserError(f"smoothing a pupil: name its {', '.join(PUPIL)}, as in top=pupil_top_r")
    at = _indices(ensemble, [points[name] for name in PUPIL])
    z, r = observations(ensemble)
    h = np.zeros((8, 3))  # rows: x and y of each point; columns: centre x, y, diameter
    h[0::2, 0] = h[1::2, 1] = 1.0
    h[[1, 3], 2] = -0.5, 0.5  # top lies above: y is down
    h[[4, 6], 2] = -0.5, 0.5
    rows_z, rows_r = z[:, at].reshape(len(z), 8), r[:, at].reshape(len(z), 8)
    q = _pupil_strengths(h, rows_z, rows_r)
    means, covs = smooth_rows(h[None], rows_z, rows_r, q[[0, 0, 1]])
    xy = (means[:, :3] @ h.T).reshape(-1, 4, 2)
    var = np.einsum("cd,tde,ce->tc", h, covs[:, :3, :3], h).reshape(-1, 4, 2)
    result = _other_keypoints(ensemble, np.array(at), q, ["the pupil's centre", "the pupil's diameter"])
    unseen = ensemble.never_seen[at]
    xy[:, unseen] = var[:, unseen] = np.nan
    result.xy[:, at], result.var[:, at] = xy, var
    return result, means[:, 2], means[:, :2]


def _indices(ensemble: Ensemble, names: Sequence[str]) -> list[int]:
    for name in names:
        if name not in ensemble.keypoints:
            raise UserError(f"smoothing: no keypoint '{name}'{nearest(name, ensemble.keypoints)}")
    return [ensemble.keypoints.index(name) for name in names]


def _other_keypoints(
    ensemble: Ensemble, taken: NDArray[np.intp], q: FloatArray, names: list[str]
) -> SmoothedEnsemble:
    """A result whose keypoints outside `taken` are smoothed each by itself; the others are to be set.

    `names` say what each of the strengths `q` of the others belongs to.
    """
    lowest, highest = at_bounds(names, q)
    result = SmoothedEnsemble(np.empty_like(ensemble.median), np.empty_like(ensemble.var), q, lowest, highest)
    rest = np.setdiff1d(np.arange(len(ensemble.keypoints)), taken)
    if len(rest):
        alone = smooth_single(
            Ensemble(
                [ensemble.keypoints[k] for k in rest],
                ensemble.frames,
                ensemble.median[:, rest],
                ensemble.var[:, rest],
                ensemble.likelihood[:, rest],
            )
        )
        result.xy[:, rest], result.var[:, rest] = alone.xy, alone.var
        result.lowest += alone.lowest
        result.highest += alone.highest
    return result


def _pupil_strengths(h: FloatArray, z: FloatArray, r: FloatArray) -> FloatArray:
    """(centre, diameter), one searched while the other is held."""
    q = np.array(PUPIL_START)
    for axis in (0, 1, 0, 1):

        def likelihood(c: FloatArray, axis: int = axis) -> FloatArray:
            both = np.empty((2, len(c)))
            both[axis], both[1 - axis] = c[:, 0], q[1 - axis]
            return row_likelihood(h[None], z, r, both[[0, 0, 1]])[:, None]

        q[axis] = search(likelihood, 1)[0]
    return q


def _view_bases(z: FloatArray, r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means (G, 2 V) and bases (G, 2 V, 3) of parts `z` (F, G, 2 V), from their most confident frames."""
    means, bases = np.empty(z.shape[1:]), np.empty((*z.shape[1:], VIEW_DIMENSIONS))
    for g in range(z.shape[1]):
        noise = r[:, g].max(axis=1)
        confident = z[(noise <= np.quantile(noise[np.isfinite(noise)], PCA_SHARE)) & np.isfinite(noise), g]
        means[g], components, _ = principal(confident, VIEW_DIMENSIONS)
        bases[g] = components.T
    return means, bases


def _inflate_views(h: FloatArray, d: FloatArray, r: FloatArray) -> FloatArray:
    """Noise (F, G, 2 V) with the squared distance from the space added where that is beyond the gate."""
    weighed = r
    for _ in range(2):
        w = 1.0 / weighed
        normal = np.einsum("gcd,tgc,gce->tgde", h, w, h) + 1e-9 * np.eye(VIEW_DIMENSIONS)
        right = np.einsum("gcd,tgc->tgd", h, w * d)
        rest = d - np.einsum("gcd,tgd->tgc", h, np.linalg.solve(normal, right[..., None])[..., 0])
        pairs = (rest * rest).reshape(*rest.shape[:2], -1, 2).sum(axis=-1)  # (F, G, V)
        limit = GATE_CHI2 * r.reshape(*rest.shape[:2], -1, 2).mean(axis=-1)
        weighed = r + np.repeat(np.maximum(pairs - limit, 0.0), 2, axis=-1)
    return weighed
