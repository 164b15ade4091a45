"""How far a map is from another: what the losses on heatmaps share.

Maps are flattened, sum to 1, and are given as (..., pixels); the network's as logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Divergence = Callable[[Tensor, Tensor], Tensor]
"""(log maps, targets) -> one number a map."""

_TINIEST = torch.finfo(torch.float32).tiny


def kullback_leibler(log_maps: Tensor, targets: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence KL(target || map); it has no upper bound.

    Parameters
    ----------
    log_maps
        Logarithms of the network's maps (..., pixels).
    targets
        Target maps (..., pixels), each summing to 1.

    Returns
    -------
    Tensor
        Divergence (...,), nats.
    """
    return (torch.xlogy(targets, targets) - targets * log_maps).sum(-1)


def jensen_shannon(log_maps: Tensor, targets: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence: the mean divergence of both from their middle.

    Parameters
    ----------
    log_maps
        Logarithms of the network's maps (..., pixels).
    targets
        Target maps (..., pixels), each summing to 1.

    Returns
    -------
    Tensor
        Divergence (...,), nats; 0 to log 2.

    Notes
    -----
    Lin, J. (1991), "Divergence measures based on the Shannon entropy", IEEE Transactions on Information
    Theory 37.
    """
    log_targets = targets.clamp_min(_TINIEST).log()
    log_middle = torch.logaddexp(log_maps, log_targets) - math.log(2)
    maps = log_maps.exp()
    return 0.5 * (maps * (log_maps - log_middle) + targets * (log_targets - log_middle)).sum(-1)


def squared_error(log_maps: Tensor, targets: Tensor) -> Tensor:
    """Return the squared difference, summed over pixels: a mean would vanish with the map's size.

    Parameters
    ----------
    log_maps
        Logarithms of the network's maps (..., pixels).
    targets
        Target maps (..., pixels), each summing to 1.

    Returns
    -------
    Tensor
        Sums (...,), without unit.
    """
    return (log_maps.exp() - targets).square().sum(-1)
