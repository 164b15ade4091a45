"""Training in fewer bits and by several processes, as far as a CPU can go."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.labeled_folder import make_labeled_folder
from support.log_lines import log_into

from rt_pose.errors import UserError
from rt_pose.package import InputSpec
from train.config import AugmentConfig, NetworkConfig, TrainConfig
from train.data.batches import TrainingBatches
from train.data.clips import undo_affine
from train.data.labels import read_labels
from train.fitting.check import check
from train.fitting.mixed_precision import autocast, disable_tf32, full_precision
from train.fitting.pose_module import PoseModule
from train.losses.loss_context import LossContext
from train.losses.terms import build_terms
from train.models.network import PoseNetwork
from train.support.distributed import distributed_settings, quiet_unless_rank_zero, rank

CPU = torch.device("cpu")
SPEC = InputSpec(96, 64, 1, [127.0], [64.0])
CONFIG = TrainConfig(network=NetworkConfig(backbone="tiny", width=96, height=64, head_width=16))


def no_setup(*_: object) -> LossContext:
    raise AssertionError("no loss of these needs anything")


def tracker(precision: str) -> PoseModule:
    torch.manual_seed(0)
    config = replace(CONFIG, precision=precision)  # type: ignore[arg-type]
    terms = build_terms(config, no_setup)
    return PoseModule(PoseNetwork(config.network, 1, 3), SPEC, config, terms)


def test_only_the_network_works_in_fewer_bits() -> None:
    images = torch.randn(2, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        exactly, roughly = (tracker(p).eval().logits(images, None) for p in ("float32", "bf16"))
    assert roughly.dtype == torch.float32
    difference = float((roughly - exactly).abs().max())
    assert 0 < difference < 0.1 * float(exactly.abs().max())


def test_pixels_stay_exact_whatever_is_around_them() -> None:
    """Lightning's own autocast, which fp16's scaling brings along, would work an affine in 8 bits."""
    xy = torch.tensor([[301.3, 199.7]])
    affine = torch.tensor([[1.5, 0.1, 3.0], [-0.1, 1.5, 7.0]])
    expected = undo_affine(xy, affine)
    with torch.autocast("cpu", torch.bfloat16):
        assert (undo_affine(xy, affine) - expected).abs().max() > 0.3
        with full_precision(CPU):
            torch.testing.assert_close(undo_affine(xy, affine), expected)
            with autocast("bf16", CPU):
                assert (undo_affine(xy, affine) - expected).abs().max() > 0.3
            with autocast("float32", CPU):
                torch.testing.assert_close(undo_affine(xy, affine), expected)


def test_float32_of_a_gpu_is_float32_while_it_trains() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with disable_tf32():
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (False, False)
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before
    assert before[0]  # what torch does by itself, or there would be nothing to do


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"precision": "bf16"}, "precision: bf16 needs `device: gpu`"),
        ({"devices": 2}, "devices: 2 are GPUs"),
        ({"decoder": "nvdec"}, "decoder: nvdec is the GPU's own"),
        ({"devices": 3, "device": "gpu"}, r"a whole share of the batch \(8 frames\), got 3"),
        ({"devices": 0, "device": "gpu"}, "expected 1 or more"),
    ],
)
def test_what_only_gpus_have_is_refused_elsewhere(changes: dict[str, object], messages: str) -> None:
    with pytest.raises(UserError, match=messages):
        check(replace(TrainConfig(), **changes))  # type: ignore[arg-type]


def test_processes_share_a_batch_and_change_its_frames_alike(tmp_path: Path) -> None:
    frames = read_labels(make_labeled_folder(tmp_path / "discs", frames=10), "", "auto", [])
    augment = AugmentConfig(noise=0)

    def batches(rank: int = 0, ranks: int = 1) -> list[np.ndarray]:
        made = TrainingBatches(frames, SPEC, augment, 4, 3, 0, rank=rank, ranks=ranks)
        return [np.concatenate([b.images.flatten(1), b.keypoints.flatten(1)], 1) for b in made]

    for whole, first, second in zip(batches(), batches(0, 2), batches(1, 2), strict=True):
        np.testing.assert_array_equal(whole[0::2], first)
        np.testing.assert_array_equal(whole[1::2], second)


def test_each_process_draws_noise_of_its_own(tmp_path: Path) -> None:
    """Of one image in every frame; and the same again from the same seed."""
    frames = read_labels(make_labeled_folder(tmp_path / "discs", frames=4), "", "auto", [])
    frames.images = [frames.images[0]] * len(frames)
    augment = AugmentConfig(0, 0, 0, 0, 0, noise=6)

    def noise(rank: int, ranks: int = 2, seed: int = 0) -> np.ndarray:
        """(steps, pixels) of the first frame of a share: what is shown, less its mean over the steps."""
        made = list(TrainingBatches(frames, SPEC, augment, 4, 3, seed, rank=rank, ranks=ranks))
        shown = np.stack([batch.images[0].numpy().ravel() for batch in made])
        return shown - shown.mean(axis=0)

    alone, first, second = noise(0, 1), noise(0), noise(1)
    np.testing.assert_array_equal(first, alone)
    np.testing.assert_array_equal(second, noise(1))
    for step, (here, there) in enumerate(zip(first, second, strict=True)):
        assert abs(np.corrcoef(here, there)[0, 1]) < 0.1, step
    assert abs(np.corrcoef(second[0], noise(1, seed=1)[0])[0, 1]) < 0.1


def log_as_rank(config: TrainConfig, line: str) -> None:
    quiet_unless_rank_zero(config)
    logging.getLogger("train.fitting").info(line)


def test_only_the_first_process_informs_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    config, messages = replace(TrainConfig(), device="gpu", devices=2), []
    monkeypatch.setenv("LOCAL_RANK", "1")
    log_into(messages, log_as_rank, config, "from the second")
    assert rank(config) == 1
    assert rank(TrainConfig()) == 0  # alone, whatever the environment says
    monkeypatch.delenv("LOCAL_RANK")
    log_into(messages, log_as_rank, config, "from the first")
    assert messages == ["from the first"]
    assert distributed_settings(config)["devices"] == 2
    assert distributed_settings(TrainConfig()) == {"devices": 1}


@pytest.mark.timeout(500)
@pytest.mark.usefixtures("warm_programs")
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Lightning's DDP on two CPU processes in place of GPUs: one package, and neither the frozen backbone nor
    a job of SLURM around them is an obstacle."""
    make_labeled_folder(tmp_path / "discs", frames=16)
    program = tmp_path / "program.py"
    program.write_text(f"""
from pathlib import Path
import torch
import train.fitting.fit
from rt_pose.console import log_to_console
from train.config import LossConfig, NetworkConfig, OptimiserConfig, TrainConfig
log_to_console()
torch.set_num_threads(1)
train.fitting.inputs.check = lambda config: None  # two CPUs are no GPUs
config = TrainConfig(
    network=NetworkConfig(backbone="tiny", width=96, height=64, head_width=16),
    optimiser=OptimiserConfig(backbone_factor=1.0, freeze_backbone_steps=4, warmup_steps=2),
    steps=12, validate_every=6, batch_size=4, devices=2, threads=1,
)
try:
    train.fitting.fit.fit(config, Path({str(tmp_path / "discs")!r}), Path({str(tmp_path / "out")!r}))
except train.fitting.fit.UserError as error:
    print("learned too little:", error)  # so few steps need not make a package
print("done")
""")
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=450,
        check=False,
        env=os.environ | {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    messages = done.stdout.splitlines()
    assert messages.count("done") == 1  # the second process ended with the training
    assert sum(line.startswith("step 6: validation error") for line in messages) == 1
    assert (tmp_path / "out" / "checkpoints" / "last.ckpt").is_file()
