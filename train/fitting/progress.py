"""The progress of a training: a bar with the time left, and one line a validation."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as lightning
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rt_pose.console import ProgressLines
from train.fitting.pose_module import MONITORED, SEEN, VALIDATION

_LOG = logging.getLogger(__name__)


class TrainingProgress(lightning.Callback):
    """Progress of one training."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps, left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
        )
        self._task = self._bar.add_task("training", loss="")
        self._lines = ProgressLines(self._bar, "training, steps")

    def on_train_start(self, trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        """See `Callback.on_train_start`."""
        self._bar.update(self._task, total=trainer.max_steps)
        self._bar.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, _module: lightning.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """See `Callback.on_train_batch_end`."""
        loss = f"loss {outputs['loss'].item():.3f}"
        self._bar.update(self._task, completed=trainer.global_step, loss=loss)
        self._lines.print_if_due(f", {loss}")

    def on_validation_end(self, trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        """See `Callback.on_validation_end`."""
        figures = trainer.callback_metrics
        kept_back = MONITORED in figures
        median, mean, p90 = (
            figures[f"{VALIDATION if kept_back else SEEN}/{name}_px"] for name in ("median", "mean", "p90")
        )
        _LOG.info(
            f"step {trainer.global_step}: {'validation' if kept_back else 'training'} error median "
            f"{median:.2f} px, mean {mean:.2f}, P90 {p90:.2f}{_format_animals(figures)}"
        )

    def on_train_end(self, _trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        """See `Callback.on_train_end`."""
        self._bar.stop()

    def on_exception(
        self, _trainer: lightning.Trainer, _module: lightning.LightningModule, _exception: BaseException
    ) -> None:
        """See `Callback.on_exception`."""
        self._bar.stop()


def _format_animals(figures: Mapping[str, Any]) -> str:
    """What is measured of several animals beside their keypoints' errors."""
    known = {name: value for name, value in figures.items() if name.endswith(("/found", "/oks_map"))}
    if not known:
        return ""
    found, precision = known.values()
    return f"; {found:.1%} of keypoints found, OKS mAP {precision:.3f}"
