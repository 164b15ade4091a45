"""The frames that lower precisions are calibrated and measured on.

A package of `rt-pose train fit` names its training frames, which calibrate, and those kept back, which
measure. Where it kept none back its golden frames measure, and do not calibrate. Without that data recordings
calibrate, and the golden frames measure. Of an imported network nobody knows which frames it was trained on:
its recordings calibrate, and its labels, where there are any, only measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.package import Manifest, Package, check_frame_size
from rt_pose.video import Channels as Count
from rt_pose.video import probe, read_frames
from train.data.labels import Channels, LabeledFrames, read_labels
from train.data.sample_frames import labels_of, read_tried_frames
from train.data.split import known_as, split_again
from train.quantisation.config import QuantiseConfig

VIDEO_FRAMES = 600
"""Frames of the recordings that are looked at, evenly spaced; every second one to calibrate, the others to
measure on."""
LEAST_FRAMES = 8
"""Of an imported network's recordings: of fewer, half would say nothing of the ranges of its maps."""


@dataclass
class CalibrationFrames:
    """Frames, each (H, W, C)."""

    calibrate: Sequence[NDArray[np.uint8]]
    labeled: LabeledFrames | None
    """Not calibrated on; None: there are no labels, or none that were kept back from training. The golden
    frames, which then take their place, are not calibrated on either."""
    recorded: Sequence[NDArray[np.uint8]]
    """Without labels, not calibrated on."""


def collect_frames(package: Package, config: QuantiseConfig) -> CalibrationFrames:
    """Read the frames that a configuration gives to calibrate and to measure on.

    Parameters
    ----------
    package
        The package that precisions are added to.
    config
        Labels and recordings.

    Returns
    -------
    CalibrationFrames
        Frames (H, W, C) uint8.

    Raises
    ------
    UserError
        Where the package or the labels do not fit it, or where too few frames are given.
    """
    spec, recorded = package.manifest.input, _recorded(package, config.frames)
    own = "imported" not in package.manifest.training
    if own and config.data:
        training, kept_back = labeled_frames(package.manifest, Path(config.data))
        labeled = kept_back if len(kept_back) else None
        images = training.images if labeled else _drop(package.golden.frames, training.images)
        calibrate = [*images, *recorded[::2]]
        if not calibrate and "int8" in config.precisions:
            raise UserError(
                f"data {config.data}: none of its {len(training) + len(kept_back)} labeled frames is left to "
                "calibrate int8 on: those kept back from training measure, or else the golden frames; give "
                "recordings: `--frames '[VIDEO]'`"
            )
        return CalibrationFrames(calibrate, labeled, recorded[1::2])
    if len(recorded) < LEAST_FRAMES:
        what = "a network without the data that it was trained on" if own else "an imported network"
        raise UserError(
            f"frames: {what} is calibrated on recordings like those it will be used on, at least "
            f"{LEAST_FRAMES} frames, here are {len(recorded)}; say "
            "`--frames '[VIDEO]'` (or a folder of images)" + (", or `--data FOLDER`" if own else "")
        )
    labels = labels_of(spec, package.manifest.keypoints, Path(config.data)) if config.data else None
    return CalibrationFrames(recorded[::2], labels, recorded[1::2])


def labeled_frames(manifest: Manifest, data: Path) -> tuple[LabeledFrames, LabeledFrames]:
    """Read the frames that a package was trained on, and those that were kept back, by its own account.

    Parameters
    ----------
    manifest
        Of the package.
    data
        The data folder that it was trained on.

    Returns
    -------
    train, kept_back : LabeledFrames
        Either may be empty.

    Raises
    ------
    UserError
        Where the package does not say how it was trained.
    """
    configuration = manifest.training.get("configuration")
    if not isinstance(configuration, dict):
        raise UserError(
            "the package does not say how it was trained, so the frames kept back from training cannot be "
            "distinguished from the others; `rt-pose train fit` writes packages that do"
        )
    channels: Channels = "gray" if manifest.input.channels == 1 else "rgb"
    several = manifest.individuals > 1
    frames = read_labels(data, configuration["labels"], channels, manifest.keypoints, several=several)
    frames = frames.as_several() if several else frames
    split = split_again(manifest.training, data, known_as(manifest.training, data, frames.names))
    return frames.subset(split.train), frames.subset(split.validation)


def _drop(some: NDArray[np.uint8], images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The images that are none of `some` (G, H, W, C)."""
    known = {image.tobytes() for image in some}
    return [image for image in images if image.shape != some.shape[1:] or image.tobytes() not in known]


def _recorded(package: Package, sources: Sequence[str]) -> list[NDArray[np.uint8]]:
    """Up to about `VIDEO_FRAMES` frames of the recordings, evenly spaced, and as many of each folder."""
    channels: Count = package.manifest.input.channels
    folders = [Path(source) for source in sources if Path(source).is_dir()]
    infos = [probe(Path(source)) for source in sources if not Path(source).is_dir()]
    step = max(round(sum(info.frames for info in infos) / VIDEO_FRAMES), 1)
    frames = [
        frame.image for info in infos for frame in read_frames(info.path, channels) if frame.index % step == 0
    ]
    frames += [
        image for folder in folders for image in read_tried_frames(folder, channels, VIDEO_FRAMES).images
    ]
    for height, width in sorted({image.shape[:2] for image in frames}):
        check_frame_size(package, width, height, f"--frames {', '.join(sources)}")
    return frames
