"""What one network finds in its held-out frames and in the video that nothing was trained on.

`python -m bench.accuracy.measure --package DIR --data DIR --labels FILE --video FILE --out FILE.npz`, in a
process of its own. Everything is kept as it is, in frame px; the figures are computed for the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.program import parse
from rt_pose.offline.find_videos import VideoJob
from rt_pose.package import read_package
from rt_pose.types import FloatArray
from rt_pose.video import probe
from train.accuracy import distances
from train.data.labels import Channels, read_labels
from train.data.split import split_frames
from train.evaluation.config import EvaluateConfig
from train.evaluation.jitter import xy_in_noise, xy_in_precision
from train.evaluation.video_metrics import predict_video
from train.quantisation.precisions import estimator, precisions_of

BF16 = "bf16"


@dataclass
class Measured:
    """A network's answers. H held-out frames, T video frames, J of them for jitter, K keypoints."""

    held_names: list[str]
    held_labels: FloatArray
    """(H, K, 2) px; NaN where unlabeled."""
    held_xy: FloatArray
    """(H, K, 2) px."""
    xy: FloatArray
    """(T, K, 2) px."""
    confidence: FloatArray
    """(T, K)."""
    some: NDArray[np.intp]
    """(J,) the frames on which jitter was tried."""
    still_xy: FloatArray
    """(J, K, 2) px in those frames as they are."""
    noisy_xy: FloatArray
    """(J, K, 2) px under one grey level of noise."""
    bf16_xy: FloatArray
    """(J, K, 2) px; NaN where the processor has no bf16."""

    @property
    def errors(self) -> FloatArray:
        """(H, K) distance to the labels, px; NaN where unlabeled."""
        return distances(self.held_xy, self.held_labels)


def measure(package_folder: Path, data: Path, labels: str, video: Path, jitter_frames: int) -> Measured:
    """Run a package on its held-out frames and on a video.

    Parameters
    ----------
    package_folder
        The model package.
    data
        The cell's data folder, with its split.
    labels
        Name of the labels file in it.
    video
        The video.
    jitter_frames
        Number of its frames on which jitter is measured.

    Returns
    -------
    Measured
        The answers, frame px.
    """
    package = read_package(package_folder)
    manifest = package.manifest
    network = estimator(package.path, manifest.input, manifest.decode, "float32")
    channels: Channels = "gray" if manifest.input.channels == 1 else "rgb"
    frames = read_labels(data, labels, channels, manifest.keypoints)
    held = frames.subset(split_frames(data, frames.names, 0.0, 0).validation)
    info = probe(video)
    config = EvaluateConfig("", "", "", frames=info.frames, jitter_frames=jitter_frames)
    film = predict_video(package, network, VideoJob(video, video.name, video), info, {}, config)
    still = film.found.xy[film.some]
    has_bf16 = BF16 in precisions_of(package.path)
    return Measured(
        held.names,
        held.xy,
        network.estimate_all(held.images).xy,
        film.found.xy,
        film.found.confidence,
        film.some,
        still,
        xy_in_noise(network, film.images),
        xy_in_precision(package, film.images, BF16) if has_bf16 else np.full_like(still, np.nan),
    )


def write_measured(measured: Measured, path: Path) -> None:
    """Write what was measured; the file takes its name only when it is whole.

    Parameters
    ----------
    measured
        The answers.
    path
        An npz file.
    """
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **vars(measured))
    part.replace(path)


def read_measured(path: Path) -> Measured:
    """Read what `write_measured` wrote.

    Parameters
    ----------
    path
        The npz file.

    Returns
    -------
    Measured
        The answers.
    """
    with np.load(path) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    return Measured(**found | {"held_names": found["held_names"].tolist()})


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    package: Path
    data: Path
    labels: str
    video: Path
    jitter_frames: int = 100
    out: Path


def main() -> None:
    """Measure the package on the command line."""
    o = parse(Options)
    write_measured(measure(o.package, o.data, o.labels, o.video, o.jitter_frames), o.out)


if __name__ == "__main__":
    main()
