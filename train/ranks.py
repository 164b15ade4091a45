"""Several processes that train together, one a GPU (Lightning's DDP).

Lightning starts the program again for each GPU but the first, with `LOCAL_RANK` set. Each has its share of
every batch and clips of its own; gradients are averaged. The first one speaks, validates for the record and
exports; the others end with the training.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from train.config import TrainConfig
from train.progress import Say


def rank(config: TrainConfig) -> int:
    """Which of the processes this is, from 0; 0 where one trains alone."""
    return int(os.environ.get("LOCAL_RANK", "0")) if config.devices > 1 else 0


def heard(config: TrainConfig, say: Say) -> Say:
    """`say` in the first process, silence in the others."""
    return say if rank(config) == 0 else _unheard


def end_if_not_first(config: TrainConfig) -> None:
    """End this process where it is not the first: it was there for the training alone."""
    if rank(config):
        sys.exit(0)


def how_together(config: TrainConfig) -> dict[str, Any]:
    """Settings of Lightning's trainer."""
    if config.devices == 1:
        return {"devices": 1}
    from pytorch_lightning.strategies import DDPStrategy

    return {
        "devices": config.devices,
        # The backbone stands still at first: DDP must not wait for gradients that never come.
        "strategy": DDPStrategy(find_unused_parameters=True),
        "use_distributed_sampler": False,  # batches know their share themselves
        "sync_batchnorm": config.device == "gpu",
    }


def _unheard(_: str) -> None:
    pass
