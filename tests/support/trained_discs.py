"""A small network that was trained on drawn discs, once a test run."""

from __future__ import annotations

from pathlib import Path

from support.labeled_folder import make_labeled_folder
from support.log_lines import log_into
from support.shared import made_once

from train.config import AugmentConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.fitting.fit import fit

CONFIG = TrainConfig(
    skeleton=[["large", "small"]],
    network=NetworkConfig(backbone="tiny", width=96, height=64, head_width=16),
    optimiser=OptimiserConfig(
        learning_rate=5e-3, backbone_factor=1.0, freeze_backbone_steps=0, warmup_steps=10
    ),
    augment=AugmentConfig(rotate_deg=20, shift=0.1, noise=3),
    steps=120,
    validate_every=30,
)
LINES = "lines.txt"


def labeled_discs() -> Path:
    """A folder of 40 labeled frames; read only."""
    return (
        made_once("labeled-discs", lambda folder: make_labeled_folder(folder / "discs", frames=40)) / "discs"
    )


def trained_discs() -> tuple[Path, list[str]]:
    """The folder of a training with `CONFIG`, read only, and the lines that it logged."""

    def train(folder: Path) -> None:
        lines: list[str] = []
        log_into(lines, fit, CONFIG, labeled_discs(), folder)
        (folder / LINES).write_text("\n".join(lines))

    folder = made_once("trained-discs", train)
    return folder, (folder / LINES).read_text().split("\n")
