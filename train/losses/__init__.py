"""The losses, one file each, and their registry.

A loss is a function of a `LossInputs`; a configured name that is not here is an error, so no loss can be
configured and silently do nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from train.losses.heatmap import LossInputs, heatmap_kl

LOSSES: dict[str, Callable[[LossInputs], Tensor]] = {
    "heatmap_kl": heatmap_kl,
}
