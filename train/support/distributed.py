"""Several processes that train together, one a GPU (Lightning's DDP).

Lightning starts the program again for each GPU but the first, with `LOCAL_RANK` set. Each has its share of
every batch and clips of its own; gradients are averaged. The first one reports, validates for the record and
exports; the others end with the training.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as lightning

from rt_pose.console import LOGGERS
from train.config import TrainConfig


def rank(config: TrainConfig) -> int:
    """Return which of the processes this is, from 0; 0 where one trains alone.

    Parameters
    ----------
    config
        Of the training; its number of GPUs.
    """
    return int(os.environ.get("LOCAL_RANK", "0")) if config.devices > 1 else 0


def quiet_unless_rank_zero(config: TrainConfig) -> None:
    """Log warnings only, in every process but the first: the first one informs the user.

    Parameters
    ----------
    config
        The training's configuration; one on a single device is always the first process.
    """
    if rank(config):
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)


def exit_unless_rank_zero(config: TrainConfig) -> None:
    """End this process where it is not the first: it was there for the training alone.

    Parameters
    ----------
    config
        Of the training; its number of GPUs.
    """
    if rank(config):
        sys.exit(0)


def distributed_settings(config: TrainConfig) -> dict[str, Any]:
    """Return the arguments of Lightning's trainer that concern the devices.

    Parameters
    ----------
    config
        Of the training: device and number of GPUs.
    """
    if config.devices == 1:
        return {"devices": 1}
    from pytorch_lightning.plugins.environments import LightningEnvironment
    from pytorch_lightning.strategies import DDPStrategy

    return {
        "devices": config.devices,
        "strategy": DDPStrategy(
            # The backbone stands still at first: DDP must not wait for gradients that never come.
            find_unused_parameters=True,
            # Stated, or in a job of SLURM Lightning would expect SLURM to have started a process a GPU.
            cluster_environment=LightningEnvironment(),
        ),
        "use_distributed_sampler": False,  # batches know their share themselves
        "sync_batchnorm": config.device == "gpu",
    }


@contextmanager
def kill_other_ranks_on_failure(trainer: lightning.Trainer) -> Iterator[None]:
    """End the other processes where the first one fails within the context: they would wait for it.

    Parameters
    ----------
    trainer
        Lightning's trainer, which started them.
    """
    try:
        yield
    except BaseException:
        launcher = trainer.strategy.launcher
        if launcher is not None:
            # At the very end: Lightning ends this process too once it sees one of them gone.
            atexit.register(launcher.kill, signal.SIGKILL)
        raise
