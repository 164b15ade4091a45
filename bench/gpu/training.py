"""A training step on the GPU: supervised and semi-supervised, by precision and by video decoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.gpu.section import Options, Row, Rows
from bench.gpu.video import recording
from bench.synthetic_heatmaps import random_frames
from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.loop.latency import summary
from rt_pose.video import probe
from train.config import AugmentConfig, LossConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.data.batches import TrainingBatches
from train.data.labels import LabeledFrames
from train.data.steps import StepBatches
from train.fitting.pose_module import PoseModule
from train.fitting.unlabeled import Unlabeled, index_videos, prepare
from train.models.network import PoseNetwork, input_spec

WARM_UP, STEPS, QUICK_STEPS = 5, 40, 10
LABELED, KEYPOINTS, BATCH, CLIP = 32, 17, 8, 16
NETWORKS = (("lite0", 256), ("resnet50", 256), ("lite0", 384), ("resnet50", 384))
SIZE = (640, 480)


def measure(options: Options, rows: Rows) -> None:
    """Measure by network, kind, precision and decoder.

    Parameters
    ----------
    options
        Of the section.
    rows
        Keeps the rows.
    """
    with recording(options.video, SIZE) as video:
        for backbone, side in NETWORKS[:1] if options.quick else NETWORKS:
            for kind, decoder in (
                ("supervised", "pyav"),
                ("semi-supervised", "pyav"),
                ("semi-supervised", "nvdec"),
            ):
                for precision in ("float32", "bf16"):
                    config = _config(backbone, side, kind, precision, decoder)
                    by = f", {decoder}" if kind != "supervised" else ""
                    what = f"{kind}, {backbone} {side}, {precision}{by}"
                    steps = QUICK_STEPS if options.quick else STEPS
                    rows.add(what, _steps, config, video, rows.clock, steps, needs_s=6.0)


def _config(backbone: str, side: int, kind: str, precision: str, decoder: str) -> TrainConfig:
    losses = {"heatmap_kl": LossConfig()}
    if kind != "supervised":
        losses |= {"temporal": LossConfig(eps=5.0, start=0.0, ramp=0.0)}
    settings: dict[str, Any] = {"precision": precision, "decoder": decoder}
    return TrainConfig(
        network=NetworkConfig(backbone=backbone, width=side, height=side),
        losses=losses,
        optimiser=OptimiserConfig(freeze_backbone_steps=0),
        augment=AugmentConfig(),
        batch_size=BATCH,
        clip_length=CLIP,
        device="gpu",
        **settings,
    )


def _steps(config: TrainConfig, video: Path, clock: Clock, steps: int) -> Row:
    """Times (ms) of whole steps, and of the wait for their frames; the largest memory."""
    torch.cuda.reset_peak_memory_stats()
    info = probe(video)
    frames = _labeled((info.width, info.height))
    spec = input_spec(config.network, 1)
    config = replace(config, videos=[str(video)] if len(config.losses) > 1 else [])
    unlabeled = prepare(config, index_videos(config, video.parent), frames, spec)
    module = PoseModule(PoseNetwork(config.network, 1, KEYPOINTS), spec, config, unlabeled.terms).cuda()
    module.train()
    optimiser = module.configure_optimizers()["optimizer"]
    whole, waited = [], []
    batches = _batches(config, frames, spec, unlabeled, steps + WARM_UP)
    for _ in range(steps + WARM_UP):
        begin_ns = clock.now_ns()
        batch = next(batches)
        got_ns = clock.now_ns()
        optimiser.zero_grad(set_to_none=True)
        loss = module.training_step(module.transfer_batch_to_device(batch, module.device, 0), 0)
        loss.backward()
        optimiser.step()
        torch.cuda.synchronize()
        whole.append((clock.now_ns() - begin_ns) / NS_PER_MS)
        waited.append((got_ns - begin_ns) / NS_PER_MS)
    return {
        "step_ms": summary(whole[WARM_UP:]),
        "frames_ms": summary(waited[WARM_UP:]),
        "memory_gib": torch.cuda.max_memory_allocated() / 2**30,
        "loss": float(loss.detach()),
    }


def _batches(
    config: TrainConfig, frames: LabeledFrames, spec: Any, unlabeled: Unlabeled, steps: int
) -> Iterator[Any]:
    labeled = TrainingBatches(frames, spec, config.augment, config.batch_size, steps, config.seed, threads=4)
    return iter(StepBatches(labeled, unlabeled.clips(replace(config, steps=steps), spec, 0)))


def _labeled(size: tuple[int, int]) -> LabeledFrames:
    images = random_frames(LABELED, *size, 1)
    far = size[0] - 20, size[1] - 20
    xy = np.random.default_rng(0).uniform((20, 20), far, (LABELED, KEYPOINTS, 2))
    names = [f"k{i}" for i in range(KEYPOINTS)]
    kept = np.full((LABELED, KEYPOINTS), 2, np.uint8)
    return LabeledFrames([f"frame{i}.png" for i in range(LABELED)], images, xy, kept, names)
