"""Memory that a step will need, told before it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.training.cases import CASES, configuration
from rt_pose.errors import UserError
from train.config import NetworkConfig, TrainConfig
from train.fitting.memory import (
    GIB,
    LOADER,
    StepMemory,
    TrainingMemory,
    check_memory,
    free_memory,
    step_memory,
    training_memory,
)
from train.losses.terms import resampled_frames
from train.models.network import PoseNetwork, input_spec

CONFIG = TrainConfig(batch_size=8, clip_length=16)
KIND = StepMemory(fixed=GIB // 10, per_frame=GIB // 20)
MEMORY = TrainingMemory(labels=KIND, clips=KIND)
MEASURED = Path(__file__).parents[3] / "bench" / "results" / "2026-11-25-training.json"
BEFORE = {"resnet18": 0.58 * GIB, "resnet18-semi": 0.59 * GIB, "lite0": 0.53 * GIB, "lite0-semi": 0.54 * GIB}
"""Bytes that the measured processes had resident before their first batch."""
FRAME_BYTES = {1: 396 * 406, 3: 396 * 406 * 3}
"""Of the frames they saw, by channels."""


@pytest.mark.parametrize("name", CASES)
def test_the_estimate_is_near_the_measured_peak(name: str) -> None:
    """Of what a training adds to its process; with and without clips, two networks."""
    cases = json.loads(MEASURED.read_text(encoding="utf-8"))["cases"]
    (programs,) = (case["programs"] for case in cases if case["case"] == name)
    (peak,) = (program["peak_bytes"] for program in programs if program["program"] == "rt-pose")
    config = configuration(CASES[name])
    channels = 3 if config.network.channels == "rgb" else 1  # the data are gray
    network = PoseNetwork(config.network, channels, 17)
    memory = training_memory(network, input_spec(config.network, channels), FRAME_BYTES[channels])
    clip = CASES[name].clip and config.clip_length + resampled_frames(config)
    assert 0.9 < memory.total(config.batch_size, clip) / (peak - BEFORE[name]) < 1.2


def test_what_fits_is_told_and_what_does_not_is_refused() -> None:
    assert (
        check_memory(MEMORY, CONFIG, 0, GIB) == "memory: about 0.5 GiB for a step of 8 frames, 1.0 GiB free"
    )
    assert check_memory(MEMORY, CONFIG, 32, None) is None
    with pytest.raises(UserError, match=r"about 2\.1 GiB for a step of 40 frames, but 2\.0 GiB are free"):
        check_memory(MEMORY, CONFIG, 32, 2 * GIB)


def test_the_larger_kind_of_step_counts_and_each_process_has_its_share() -> None:
    memory = TrainingMemory(StepMemory(0, GIB // 8), StepMemory(0, GIB // 16))
    assert memory.total(8, 0) == memory.total(8, 2) == GIB
    assert memory.total(8, 24) == 2 * GIB
    notes = check_memory(memory, replace(CONFIG, devices=2), 0, GIB)
    assert notes == "memory: about 0.5 GiB for a step of 4 frames, 1.0 GiB free"
    with pytest.raises(UserError, match="set `batch_size: 6` or less"):
        check_memory(memory, replace(CONFIG, devices=2), 0, int(0.4 * GIB))


@pytest.mark.parametrize(
    ("clip_frames", "free", "setting"),
    [
        (0, 0.4, "set `batch_size: 6` or less"),
        (16, 1.0, "set `clip_length: 10` or less"),
        (32, 1.5, "set `clip_length: 10` or less"),
        (0, 0.12, "set a smaller `network.width` and `network.height` than 256x256"),
    ],
)
def test_the_setting_to_change_is_named_and_then_it_fits(clip_frames: int, free: float, setting: str) -> None:
    with pytest.raises(UserError) as refused:
        check_memory(MEMORY, CONFIG, clip_frames, int(free * GIB))
    assert setting in str(refused.value)
    if "batch_size" in setting:
        assert check_memory(MEMORY, replace(CONFIG, batch_size=6), 0, int(free * GIB))
    if "clip_length" in setting:
        assert check_memory(MEMORY, replace(CONFIG, clip_length=10), clip_frames // 16 * 10, int(free * GIB))


def test_the_estimate_grows_with_the_input_and_leaves_the_network_alone() -> None:
    def of(width: int, height: int) -> StepMemory:
        config = NetworkConfig(backbone="tiny", width=width, height=height, head_width=16)
        return step_memory(network, input_spec(config, 1))

    network = PoseNetwork(NetworkConfig(backbone="tiny", head_width=16), 1, 3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    small, large = of(64, 64), of(128, 64)
    adam = 16 * sum(p.numel() for p in network.parameters())
    assert adam <= large.fixed - LOADER == small.fixed - LOADER < 1.01 * adam
    assert large.per_frame == pytest.approx(2 * small.per_frame, rel=0.01)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_estimate_holds_what_autograd_keeps() -> None:
    """A real step's saved tensors, each storage once, are within the estimate and more than a third of it."""
    config = NetworkConfig(backbone="tiny", width=64, height=64, head_width=16)
    network = PoseNetwork(config, 1, 3).train()
    estimate = step_memory(network, input_spec(config, 1)).per_frame
    own = {p.untyped_storage().data_ptr() for p in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    frames = 6
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.randn(frames, 1, 64, 64)).sum()
    assert frames * estimate / 3 < sum(kept.values()) < frames * estimate


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="only Linux tells it here")
def test_free_memory_is_some_of_the_machines() -> None:
    free = free_memory("cpu")
    assert free is not None
    assert 0 < free < 2**50
