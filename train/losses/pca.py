"""A linear space that positions keep to, and how far a keypoint lies outside it: what both PCA losses share.

Everything is in frame px, the fit as well as the keypoints that are compared with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rt_pose.errors import UserError
from rt_pose.offline.pose_space import principal, residuals
from rt_pose.types import FloatArray

PERCENTILE = 99.0
"""Residuals of labels up to this percentile (0..100) cost nothing."""
FOLDS = 20
LEAST_PX2 = 1e-6
"""Variance along a component under which positions do not vary: rounding leaves as much."""


@dataclass
class PcaSpace:
    """Mean and components of n positions, with the distances from them that are usual."""

    mean: Tensor
    """(2 n,) frame px."""
    components: Tensor
    """(C, 2 n), orthonormal rows."""
    variances: Tensor
    """(C,) px^2 along them."""
    rest_px2: float
    """Variance of one coordinate outside the space."""
    eps: Tensor
    """(n,) frame px: the 99th percentile of the labels' residuals."""

    def residuals(self, xy: Tensor, counts: Tensor) -> Tensor:
        """Return the distances between keypoints and their projections onto the space.

        Parameters
        ----------
        xy
            Keypoints (R, n, 2), frame px; finite.
        counts
            Booleans (R, n). A row with keypoints that do not count is projected by the others, towards the
            mean where they leave it open.

        Returns
        -------
        Tensor
            Distances (R, n), frame px.

        Notes
        -----
        Tipping, M. and Bishop, C. (1999), "Probabilistic principal component analysis", for rows with gaps.
        """
        mean, components = self.mean.to(xy.device), self.components.to(xy.device)
        d = xy.flatten(1) - mean  # (R, 2 n)
        used = counts.repeat_interleave(2, dim=1).to(xy.dtype)
        off = d * used
        gram = torch.einsum("cn,rn,en->rce", components, used, components)
        pull = self.rest_px2 / self.variances.to(xy.device) * ~counts.all(dim=1, keepdim=True)  # (R, C)
        scores = torch.linalg.solve(gram + torch.diag_embed(pull), torch.einsum("cn,rn->rc", components, off))
        return torch.linalg.vector_norm((d - scores @ components).unflatten(1, (-1, 2)), dim=-1)


def fit_space(rows: FloatArray, dimensions: Callable[[FloatArray], int], loss: str) -> PcaSpace:
    """Fit a space to positions.

    Parameters
    ----------
    rows
        Positions (P, n, 2), frame px; none missing.
    dimensions
        Counts the components to keep, given the rows as (P, 2 n). Fewer are kept where positions do not vary
        along all of them.
    loss
        Name of the loss, for messages.

    Returns
    -------
    PcaSpace
        The space with its tolerance.

    Raises
    ------
    UserError
        Where the positions do not vary at all.

    Notes
    -----
    eps comes from the residual of every row in a fit that did not see it (`FOLDS` parts): with few labels the
    residuals of the fit itself are too small, and correct poses would be punished.
    """
    d = rows.reshape(len(rows), -1)
    varying = int((np.linalg.svd(d - d.mean(axis=0), compute_uv=False) ** 2 / len(d) > LEAST_PX2).sum())
    if not varying:
        raise UserError(
            f"losses.{loss}: its keypoints stand at one and the same place in all {len(d)} labels, so there "
            "is no space that poses keep to; leave the loss out, or give it keypoints that move"
        )
    count = min(dimensions(d), varying)
    mean, components, far = principal(d, count)
    variances = ((d - mean) @ components.T).var(axis=0)
    rest = far.sum() / max(len(d) * (d.shape[1] - count), 1)
    eps = np.percentile(held_out(d, count), PERCENTILE, axis=0)
    return PcaSpace(
        _tensor(mean), _tensor(components), _tensor(variances), max(float(rest), 1e-2), _tensor(eps)
    )


def held_out(d: FloatArray, dimensions: int) -> FloatArray:
    """Return the residual of each row in the space of the other parts' rows.

    Parameters
    ----------
    d
        Positions (P, 2 n), frame px.
    dimensions
        Number of components.

    Returns
    -------
    FloatArray
        Residuals (P, n), px.
    """
    part = np.arange(len(d)) % FOLDS
    found = np.empty((len(d), d.shape[1] // 2))
    for fold in range(min(FOLDS, len(d))):
        mean, components, _ = principal(d[part != fold], dimensions)
        found[part == fold] = residuals(d[part == fold], mean, components)
    return found


def components_for(share: float) -> Callable[[FloatArray], int]:
    """Return a function that counts the components which explain a share of the variance.

    Parameters
    ----------
    share
        Share of the variance, 0..1.

    Returns
    -------
    Callable
        From positions (P, 2 n) to a number of components, at least 1.
    """

    def count(d: FloatArray) -> int:
        strength = np.linalg.svd(d - d.mean(axis=0), compute_uv=False) ** 2
        # Rounding may leave the whole sum a hair under the share that is asked for.
        return int(np.searchsorted(np.cumsum(strength), (share - 1e-12) * strength.sum()) + 1)

    return count


def _tensor(values: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()
