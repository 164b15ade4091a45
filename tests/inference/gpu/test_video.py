"""Videos for the GPU's decoder: what is asked of it, and that its frames go through the same chain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.gpu import needs_gpu
from support.host_stream import HostStream
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.engines.torch_cuda import TorchCudaEngine
from rt_pose.inference.gpu.estimator import GpuEstimator
from rt_pose.inference.gpu.video import (
    FrameRange,
    _plain_names,
    file_list,
    read_on_device,
    read_ranges,
    to_gray,
)
from rt_pose.inference.preprocess import Preprocess
from rt_pose.offline.predict import Predictor
from rt_pose.package import InputSpec, Package
from rt_pose.video import read_frames


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"))


def test_each_stretch_is_a_line_in_the_order_asked_for(tmp_path: Path) -> None:
    """DALI splits lines at blanks, so files are named by links without any."""
    files = [tmp_path / "a video.mp4", tmp_path / "b.avi"]
    for file in files:
        file.touch()
    ranges = [FrameRange(files[0], 30), FrameRange(files[1], 0), FrameRange(files[0], 5)]
    (tmp_path / "links").mkdir()
    names = _plain_names([s.video for s in ranges], tmp_path / "links")
    lines = [line.split() for line in file_list(ranges, 16, names).splitlines()]
    assert [[line[1], line[2], line[3]] for line in lines] == [
        ["0", "30", "46"],
        ["1", "0", "16"],
        ["2", "5", "21"],
    ]
    assert [Path(line[0]).resolve() for line in lines] == [files[0], files[1], files[0]]


def test_gray_is_that_of_the_preprocessing() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    gray = to_gray(torch.from_numpy(colours))
    assert gray.shape == (40, 60, 1)
    spec = InputSpec(60, 40, 1, [0.0], [1.0], antialias=False)
    np.testing.assert_allclose(gray.numpy()[..., 0], Preprocess(spec)([colours])[0, 0], atol=1.01)


def test_a_frame_on_the_device_gives_the_keypoints_of_one_on_the_host(package: Package) -> None:
    engine = TorchCudaEngine(package.path, package.manifest.input, "float32", 1, HostStream())
    estimator = GpuEstimator(engine, package.manifest.decode, "compiled")
    xy = np.array([[40.0, 60.0], [120.0, 200.0], [200.0, 90.0], [270.0, 140.0]])
    image = disc_frame(xy, 320, 256, 1, radius=16.0)
    found = estimator.estimate_on_device(torch.from_numpy(image)).xy
    np.testing.assert_array_equal(found, estimator.estimate(image).xy)
    assert np.abs(found[0] - xy).max() < 2


def test_dalis_preprocessing_is_fed_from_the_host(package: Package) -> None:
    engine = TorchCudaEngine(package.path, package.manifest.input, "float32", 1, HostStream())
    estimator = GpuEstimator(engine, package.manifest.decode, "dali")
    with pytest.raises(UserError, match=r"--engine\.preprocess compiled"):
        estimator.estimate_on_device(torch.zeros(256, 320, 1, dtype=torch.uint8))


def test_the_gpus_decoder_needs_the_gpu(package: Package) -> None:
    with pytest.raises(UserError, match=r"'nvdec' is the GPU's own decoder.*--engine\.device gpu"):
        Predictor(package, EngineConfig(decoder="nvdec"))


class TestOnGpu:
    """Frames of a video with B frames, against PyAV's."""

    pytestmark = needs_gpu

    @pytest.fixture
    def film(self, tmp_path: Path) -> Path:
        from bench.gpu.video import write_recording

        return write_recording(tmp_path / "a film.mp4", (320, 256), 101)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_every_frame_comes_in_its_place(self, film: Path, channels: int) -> None:
        expected = [frame.image for frame in read_frames(film, channels)]  # type: ignore[arg-type]
        device = torch.device("cuda", 0)
        found = [frame.cpu().numpy() for frame in read_on_device(film, channels, device)]  # type: ignore[arg-type]
        assert len(found) == len(expected) == 101
        for one, other in zip(found, expected, strict=True):
            assert np.abs(one.astype(float) - other).mean() < 2.0

    def test_stretches_are_the_frames_asked_for(self, film: Path) -> None:
        expected = [frame.image for frame in read_frames(film, 1)]
        drawn = [FrameRange(film, start) for start in (60, 3, 85, 3, 0)]
        for frame_range, frames in zip(drawn, read_ranges(drawn, 8, 1, torch.device("cuda", 0)), strict=True):
            wanted = np.stack(expected[frame_range.start : frame_range.start + 8]).astype(float)
            assert np.abs(frames.cpu().numpy() - wanted).mean() < 2.0

    def test_predicted_like_pyavs_frames(self, film: Path, package: Package, tmp_path: Path) -> None:
        config = EngineConfig(device="gpu", precision="float32", decoder="nvdec", preprocess="compiled")
        counts = [
            Predictor(package, how).write(film, tmp_path / f"{how.decoder}.csv", lambda _: None)
            for how in (config, replace(config, decoder="pyav"))
        ]
        assert counts == [101, 101]
