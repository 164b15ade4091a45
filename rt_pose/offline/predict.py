"""Keypoints of a recorded video, by the loop's own chain, as a Lightning Pose CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from rt_pose.config.schema import EngineConfig
from rt_pose.console import progress
from rt_pose.errors import UserError
from rt_pose.files import atomic_writer
from rt_pose.inference.choose_engine import EngineChoice, choose_engine, replicate_estimators
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.device import physical_cores
from rt_pose.inference.estimator import Estimator
from rt_pose.offline.in_parallel import Found, estimate_in_order
from rt_pose.package import Package, check_frame_size
from rt_pose.types import FloatArray
from rt_pose.video import Channels, VideoInfo, probe, read_frames

SCORER = "rt-pose"


def predict_video(package: Package, video: Path, out: Path, config: EngineConfig) -> EngineChoice:
    """Write the keypoints of every frame of `video` to the CSV `out`; the engine that gave them.

    `out` appears when it is whole. UserError where the video or the engine cannot be had, before anything is
    written.
    """
    video, out = Path(video), Path(out)
    info = check_video(package, video, out)
    predictor = Predictor(package, config)
    with progress(video.name, info.frames) as report_progress:
        predictor.write(video, out, report_progress)
    return predictor.choice


def check_video(package: Package, video: Path, out: Path) -> VideoInfo:
    """What the video holds; UserError where it cannot be predicted into the CSV `out`."""
    if out.is_dir():
        raise UserError(f"{out}: is a folder; give `--out` the name of the CSV to write")
    info = probe(video)
    check_frame_size(package, info.width, info.height, video.name)
    return info


class Predictor:
    """A package's network, ready for one video after another."""

    def __init__(self, package: Package, config: EngineConfig) -> None:
        """UserError where no engine can serve the package."""
        if config.decoder == "nvdec" and config.device != "gpu":
            raise UserError(
                "engine.decoder: 'nvdec' is the GPU's own decoder, engine.device is 'cpu'; set "
                "`--engine.device gpu`, or `--engine.decoder pyav`"
            )
        self._package, self._config = package, config
        self.choice, self._estimators = _estimators(package, config)

    def write(self, video: Path, out: Path, report_progress: Callable[[int], object]) -> int:
        """Write the keypoints of every frame of `video` to `out`, and how many frames that was.

        Three header rows (scorer, bodyparts, coords x, y, likelihood), the first column the frame's number,
        pixels of the original frame, an empty cell where a keypoint was not seen. `out` appears when it is
        whole. `report_progress` takes how many frames are done. UserError where the video breaks off.
        """
        manifest = self._package.manifest
        count = 0
        with atomic_writer(out) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows(_header(manifest.keypoints))
            for index, found in self._found(video, manifest.input.channels):
                writer.writerow([index, *_cells(found)])
                count += 1
                report_progress(count)
        return count

    def _found(self, video: Path, channels: Channels) -> Iterator[Found]:
        """Every frame's number and keypoints."""
        if self._config.decoder == "pyav":
            return estimate_in_order(read_frames(video, channels), self._estimators)
        from rt_pose.inference.gpu.estimator import GpuEstimator
        from rt_pose.inference.gpu.video import read_on_device

        (estimator,) = self._estimators
        assert isinstance(estimator, GpuEstimator)
        frames = read_on_device(video, channels, estimator.device)
        return ((index, estimator.estimate_on_device(frame)) for index, frame in enumerate(frames))


def _estimators(package: Package, config: EngineConfig) -> tuple[EngineChoice, list[Estimator]]:
    """One estimator a core, all alike, each passed by the golden check, where the engine can run so; with a
    number of threads asked for, one with so many; on a GPU, which is busy with one, and with a network that
    needs each frame after the one before it, a single one."""
    if config.threads or config.device == "gpu" or package.manifest.input.context:
        choice = choose_engine(package, config)
        return choice, [choice.estimator]
    choice = choose_engine(package, replace(config, threads=1))
    return choice, replicate_estimators(choice, package, physical_cores())


def _header(keypoints: list[str]) -> list[list[str]]:
    return [
        ["scorer", *[SCORER] * (3 * len(keypoints))],
        ["bodyparts", *(name for name in keypoints for _ in range(3))],
        ["coords", *["x", "y", "likelihood"] * len(keypoints)],
    ]


def _cells(found: Keypoints[FloatArray]) -> Iterator[str]:
    """Cells of one frame's keypoints (1, K, ...)."""
    for (x, y), confidence in zip(found.xy[0], found.confidence[0], strict=True):
        seen = not math.isnan(x)
        yield f"{x:.4f}" if seen else ""
        yield f"{y:.4f}" if seen else ""
        yield f"{confidence:.6f}"
