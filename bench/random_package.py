"""A model package of the real size with a random head: for timing, and for nothing else.

    python -m bench.random_package OUT --keypoints 17 --channels 3 [--video FILE]

The backbone has its ImageNet weights, the head random ones, sharpened until the maps have a peak that the
golden check can hold on to. Everything else goes the way of a trained network: the same export, the same
measurement of precisions, the same manifest, which says what this package is. Its keypoints mean nothing.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.program import POSITIONAL, guarded
from bench.synthetic_heatmaps import random_frames, sharpen
from rt_pose.errors import UserError
from rt_pose.package import DecodeSpec, Package
from rt_pose.video import Channels, read_frames
from train.config import NetworkConfig
from train.data.labels import LabeledFrames
from train.export import Trained, export
from train.models.heads import STRIDE
from train.models.network import PoseNetwork, input_spec

FRAMES = 8
NOTE = "head not trained: this package is for timing only, its keypoints and errors mean nothing"


def random_package(
    folder: Path,
    keypoints: int,
    channels: Channels,
    frames: list[NDArray[np.uint8]] | None = None,
    config: NetworkConfig | None = None,
    seed: int = 0,
) -> Package:
    """Write a package with a random head.

    Parameters
    ----------
    folder
        The package's folder, new or empty.
    keypoints
        Number of keypoints.
    channels
        1 (gray) or 3 (RGB).
    frames
        (H, W, channels) that become the golden frames; random ones where none are given.
    config
        The network; the default one where none is given.
    seed
        Seed of head and frames.

    Returns
    -------
    Package
        The package.

    Raises
    ------
    UserError
        Where the folder holds something already, or the head cannot be made to have peaks.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: exists already and is not empty; give another folder")
    config = config or NetworkConfig()
    torch.manual_seed(seed)
    images = frames or random_frames(FRAMES, 640, 480, channels, seed)
    network = PoseNetwork(config, channels, keypoints).eval()
    spec, decode = input_spec(config, channels), DecodeSpec(stride=STRIDE)
    sharpen(network, network.head.heatmaps, spec, decode, images)
    labeled = _labeled(images, keypoints, seed)
    training: dict[str, Any] = {"note": NOTE, "backbone": config.backbone, "seed": seed}
    return export(Trained(network, spec, decode, [], labeled, labeled, training), folder)


def _labeled(images: list[NDArray[np.uint8]], keypoints: int, seed: int) -> LabeledFrames:
    """The frames with points at random places: an export measures the distance to something."""
    height, width = images[0].shape[:2]
    random = np.random.default_rng(seed)
    xy = random.uniform((0, 0), (width - 1, height - 1), (len(images), keypoints, 2))
    return LabeledFrames(
        [f"frame{i}.png" for i in range(len(images))],
        images,
        xy,
        np.full((len(images), keypoints), 2, np.uint8),
        [f"k{i}" for i in range(keypoints)],
    )


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    out: Annotated[Path, "folder of the package", POSITIONAL]
    keypoints: int = 17
    channels: Annotated[Channels, "1 gray, 3 RGB"] = 1
    video: Annotated[Path | None, "recording whose first frames become the golden ones"] = None


def make(options: Options) -> int:
    """Write the package of the command line.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    int
        Exit status.
    """
    if options.keypoints < 1:
        raise UserError(f"--keypoints: expected 1 or more, got {options.keypoints}")
    frames = None
    if options.video is not None:
        frames = [f.image for f in itertools.islice(read_frames(options.video, options.channels), FRAMES)]
    package = random_package(options.out, options.keypoints, options.channels, frames)
    print(f"model package: {package.path} ({NOTE})")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(Options, make))
