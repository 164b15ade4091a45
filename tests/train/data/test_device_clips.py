"""Clips of the GPU against those of the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.gpu import needs_gpu
from support.moving_disc import SIZE, write_disc

from rt_pose.inference.gpu.video import FrameRange
from rt_pose.package import InputSpec
from rt_pose.video import read_frames
from train.config import AugmentConfig
from train.data import device_clips
from train.data.clips import ClipBatches
from train.data.device_clips import DeviceClipBatches
from train.data.videos import check_videos

OFF = AugmentConfig(rotate_deg=0, scale=0, shift=0, brightness=0, contrast=0, noise=0)
SPEC = InputSpec(*SIZE, 1, [0.0], [1.0])


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_disc(tmp_path_factory.mktemp("clips") / "disc.mkv")


@pytest.mark.parametrize("cameras", [1, 2])
def test_both_draw_the_same_clips_in_the_same_changes(
    disc: Path, monkeypatch: pytest.MonkeyPatch, cameras: int
) -> None:
    """Over the seam between two readers, and from any step on."""
    frames = [frame.image for frame in read_frames(disc, 1)]
    asked: list[int] = []

    def read(ranges: list[FrameRange], length: int, *_: object) -> Any:
        asked.append(len(ranges))
        for frame_range in ranges:
            yield [frames[i] for i in range(frame_range.start, frame_range.start + length)]

    monkeypatch.setattr(device_clips, "read_ranges", read)
    monkeypatch.setattr(device_clips, "AHEAD", 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: None)
    monkeypatch.setattr(torch, "device", lambda *_: None)
    augment = replace(OFF, rotate_deg=20, shift=0.05, contrast=0.2)
    videos = check_videos([disc], 4)
    made = [
        list(kind(videos, SPEC, augment, 4, 7, steps=5, first_step=3, others=[videos[: cameras - 1]]))
        for kind in (ClipBatches, DeviceClipBatches)
    ]
    for clips in zip(*made, strict=True):
        for one, other in zip(*(clip.views for clip in clips), strict=True):
            assert (one.start, one.video) == (other.start, other.video)
            np.testing.assert_array_equal(one.images.numpy(), other.images.numpy())
            np.testing.assert_array_equal(one.from_input.numpy(), other.from_input.numpy())
        assert len(clips[0].views) == cameras
    assert asked == [2 * cameras, 2 * cameras, cameras]


def test_each_process_has_clips_of_its_own(disc: Path) -> None:
    starts = [
        [clip.start for clip in ClipBatches(check_videos([disc], 4), SPEC, OFF, 4, 0, steps=6, rank=rank)]
        for rank in (0, 0, 1)
    ]
    assert starts[0] == starts[1] != starts[2]


class TestOnGpu:
    """A whole clip, decoded and changed by the device."""

    pytestmark = needs_gpu

    @pytest.fixture
    def film(self, tmp_path: Path) -> Path:
        from bench.gpu.video import write_recording

        return write_recording(tmp_path / "a film.mp4", (320, 256), 101)

    def test_clips_are_those_of_the_cpu(self, film: Path) -> None:
        augment = AugmentConfig(noise=0)
        spec = InputSpec(160, 128, 1, [110.0], [55.0])
        made = [
            list(kind(check_videos([film], 8), spec, augment, 8, 0, steps=70))
            for kind in (ClipBatches, DeviceClipBatches)
        ]
        for cpu, gpu in zip(*made, strict=True):
            assert gpu.images.is_cuda
            assert (cpu.start, cpu.video) == (gpu.start, gpu.video)
            torch.testing.assert_close(cpu.from_input, gpu.from_input.cpu())
            assert float((cpu.images - gpu.images.cpu()).abs().mean()) < 0.05

    def test_a_clip_does_not_depend_on_those_before_it(self, film: Path) -> None:
        augment = AugmentConfig()
        spec = InputSpec(160, 128, 1, [110.0], [55.0])
        first = list(DeviceClipBatches(check_videos([film], 8), spec, augment, 8, 0, steps=6))
        later = list(DeviceClipBatches(check_videos([film], 8), spec, augment, 8, 0, steps=2, first_step=4))
        for one, other in zip(first[4:], later, strict=True):
            torch.testing.assert_close(one.images, other.images, atol=0, rtol=0)

    def test_training_on_the_gpu_makes_a_package(self, tmp_path: Path) -> None:
        from support.labeled_folder import make_labeled_folder

        from rt_pose.config.schema import EngineConfig
        from rt_pose.inference.choose_engine import choose_engine
        from rt_pose.package import read_package
        from train.config import NetworkConfig, OptimiserConfig, TrainConfig
        from train.fitting.fit import fit

        config = TrainConfig(
            network=NetworkConfig(backbone="tiny", width=96, height=64, head_width=16),
            optimiser=OptimiserConfig(
                learning_rate=5e-3, backbone_factor=1.0, freeze_backbone_steps=0, warmup_steps=10
            ),
            steps=240,
            validate_every=60,
            device="gpu",
            precision="bf16",
        )
        folder = make_labeled_folder(tmp_path / "discs", frames=40)
        package = read_package(fit(config, folder, tmp_path / "out"))
        choice = choose_engine(package, EngineConfig(device="gpu"))
        assert choice.engine.device == "gpu"

    def test_memory_that_runs_out_in_training_loses_nothing(self, tmp_path: Path) -> None:
        from support.labeled_folder import make_labeled_folder

        from rt_pose.errors import UserError
        from train.config import NetworkConfig, TrainConfig
        from train.fitting.fit import fit

        folder = make_labeled_folder(tmp_path / "discs", frames=16)
        network = NetworkConfig(backbone="tiny", width=96, height=64, head_width=16)
        config = TrainConfig(network=network, device="gpu", steps=10, validate_every=10)
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (8 << 20)) / total)
        try:
            with pytest.raises(UserError, match=r"the GPU's memory ran out at step \d+.*`batch_size`"):
                fit(config, folder, tmp_path / "out")
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
