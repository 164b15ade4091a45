"""What `bench.training` measures: networks, batches and losses, in our terms and in Lightning Pose's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from train.config import LossConfig, NetworkConfig, OptimiserConfig, TrainConfig

PEER = Path(__file__).with_name("litpose.yaml")
STEPS = 1000
"""More than any measurement takes."""
VIEWS = ["paw1LH", "paw2LF", "paw3RF", "paw4RH", "tailBase", "tailMid", "nose"]
"""Keypoints of mirror-mouse: seen from the side (_top) and in the mirror from below (_bot)."""
UNSURE = ("tailBase_top", "tailMid_top")
"""Keypoints that are often out of view, left out of the poses as in the semi-supervised configuration."""
POSE = [f"{name}{view}" for view in ("_top", "_bot") for name in VIEWS if f"{name}{view}" not in UNSURE]


@dataclass(frozen=True)
class Case:
    """A training step of ours, and the peer's that is compared with it."""

    title: str
    backbone: str
    channels: str
    batch: int
    clip: int
    """Frames of the unlabeled clip; 0: supervised."""
    losses: tuple[str, ...]
    theirs: tuple[str, ...] | None
    """Lightning Pose's losses on clips; None: it has no such network, or not these losses."""


_PLAIN, _ALL = ("heatmap_kl",), ("temporal", "temporal_heatmap", "pose_pca", "multiview_pca", "unimodal_kl")
_PEER = ("temporal", "pose_pca", "multiview_pca")
CASES = {
    "resnet18": Case("ResNet-18, supervised", "resnet18", "rgb", 16, 0, ("heatmap_mse",), ()),
    "resnet18-semi": Case(
        "ResNet-18, semi-supervised",
        "resnet18",
        "rgb",
        16,
        16,
        ("heatmap_mse", *_PEER),
        ("temporal", "pca_singleview", "pca_multiview"),
    ),
    "lite0": Case("Lite0 (default), supervised", "lite0", "auto", 8, 0, _PLAIN, None),
    "lite0-semi": Case(
        "Lite0 (default), semi-supervised",
        "lite0",
        "auto",
        8,
        16,
        (*_PLAIN, *_ALL, "noise_consistency"),
        None,
    ),
}


def configuration(case: Case) -> TrainConfig:
    """Make our configuration: everything learns from the first step, and every loss has its whole weight.

    Parameters
    ----------
    case
        The case.

    Returns
    -------
    TrainConfig
        The configuration.
    """
    return TrainConfig(
        blank="absent",
        network=NetworkConfig(backbone=case.backbone, channels=case.channels),  # type: ignore[arg-type]
        losses={name: _loss(name) for name in case.losses},
        views=[[f"{name}_top", f"{name}_bot"] for name in VIEWS],
        videos=["videos"] if case.clip else [],
        clip_length=case.clip or 16,
        batch_size=case.batch,
        optimiser=OptimiserConfig(freeze_backbone_steps=0),
        steps=STEPS,
        validate_every=STEPS,
    )


def _loss(name: str) -> LossConfig:
    if name.startswith("heatmap_"):
        return LossConfig()
    every = LossConfig(start=0.0, ramp=0.0)
    return replace(every, keypoints=POSE) if name == "pose_pca" else every


def peer_configuration(case: Case, data: str, size: int, keypoints: list[str]) -> dict[str, Any]:
    """Make Lightning Pose's configuration: its own example for these data, with other network and losses.

    Parameters
    ----------
    case
        The case.
    data
        Folder of its data.
    size
        Side of the input, px.
    keypoints
        Names of the keypoints.

    Returns
    -------
    dict[str, Any]
        The configuration, as plain values.
    """
    found: dict[str, Any] = yaml.safe_load(PEER.read_text(encoding="utf-8"))
    found["data"] |= {
        "image_resize_dims": {"width": size, "height": size},
        "data_dir": data,
        "video_dir": f"{data}/videos",
        "num_keypoints": len(keypoints),
        "keypoint_names": keypoints,
        "mirrored_column_matches": [
            [keypoints.index(f"{name}{view}") for name in VIEWS] for view in ("_top", "_bot")
        ],
        "columns_for_singleview_pca": [keypoints.index(name) for name in POSE],
    }
    found["training"] |= dict.fromkeys(("train_batch_size", "val_batch_size", "test_batch_size"), case.batch)
    found["model"] |= {"losses_to_use": list(case.theirs or ()), "backbone": case.backbone}
    found["dali"]["base"]["train"] = {"sequence_length": case.clip or 16}
    return found
