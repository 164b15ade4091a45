"""A training says how far it is, also where its output goes to a file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from rt_pose import console
from train.fitting.progress import TrainingProgress


def test_a_training_whose_output_goes_to_a_file_is_not_silent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.0)
    progress, module = TrainingProgress(), cast(Any, None)
    progress.on_train_start(cast(Any, SimpleNamespace(max_steps=1500)), module)
    for step in (1, 2):
        trainer = cast(Any, SimpleNamespace(global_step=step))
        progress.on_train_batch_end(trainer, module, {"loss": torch.tensor(0.25)})
    before_the_end = capsys.readouterr().out
    progress.on_train_end(cast(Any, None), module)
    lines = [line for line in before_the_end.splitlines() if line.startswith("training, steps: ")]
    assert [line.partition(",")[2].partition(",")[0] for line in lines] == [
        " steps: 1 of 1500",
        " steps: 2 of 1500",
    ]
    assert all(line.endswith(", loss 0.250") for line in lines)
