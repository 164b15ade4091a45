"""The losses on unlabeled video and their videos, prepared and checked before the first step."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.inference.gpu.video import check_upright
from rt_pose.package import InputSpec
from train.config import LossConfig, TrainConfig
from train.data.augment import is_noisy
from train.data.clips import ClipBatches
from train.data.device_clips import DeviceClipBatches
from train.data.labels import LabeledFrames
from train.data.videos import IndexedVideo, check_videos, find_videos
from train.fitting.calibrated_views import calibrated_views
from train.losses import LOSSES, ViewsRow
from train.losses.loss_context import CalibratedViews, LossContext
from train.losses.motion import motion_px
from train.losses.terms import Terms, build_terms, resampled_frames, uses_clips
from train.models.heads import STRIDE
from train.support.distributed import rank

_LOG = logging.getLogger(__name__)


@dataclass
class Unlabeled:
    """The loss's terms, and the videos that those on clips work on."""

    terms: Terms
    recordings: list[list[IndexedVideo]]
    """For each recording the video of each camera; of a single camera one."""

    @property
    def views(self) -> int:
        """How many cameras a step has a clip of."""
        return max(map(len, self.recordings), default=0)

    def clips(self, config: TrainConfig, spec: InputSpec, start: int) -> ClipBatches | None:
        """Return the clips of a training's steps, from the first that needs one.

        Parameters
        ----------
        config
            Of the training.
        spec
            Input of the network.
        start
            Step at which the training starts.

        Returns
        -------
        ClipBatches or None
            None where no loss works on clips.
        """
        if not self.terms.clips:
            return None
        first = max(start, self.terms.first_clip_step)
        kind = DeviceClipBatches if config.decoder == "nvdec" else ClipBatches
        return kind(
            [recording[0] for recording in self.recordings],
            spec,
            config.augment,
            config.clip_length,
            seed=config.seed,
            steps=max(config.steps - first, 1),
            first_step=first,
            again=resampled_frames(config),
            threads=2,
            rank=rank(config),
            others=[recording[1:] for recording in self.recordings],
        )


def index_videos(config: TrainConfig, folder: Path) -> list[IndexedVideo]:
    """Index the unlabeled videos, where a loss works on them.

    Parameters
    ----------
    config
        Of the training.
    folder
        The data folder, which `config.videos` is relative to.

    Returns
    -------
    list of IndexedVideo
        Empty where no loss works on clips.

    Raises
    ------
    UserError
        With all that is wrong with the videos.
    """
    if not uses_clips(config):
        return []
    videos = check_videos(find_videos(folder, config.videos), config.clip_length)
    for video in videos:
        if config.decoder == "nvdec":
            check_upright(video.info)
        for note in video.info.notes:
            _LOG.info(note)
    return videos


def prepare(
    config: TrainConfig,
    videos: list[IndexedVideo],
    train: LabeledFrames,
    spec: InputSpec,
    folder: Path = Path(),
) -> Unlabeled:
    """Build every loss.

    Parameters
    ----------
    config
        Of the training.
    videos
        Unlabeled videos.
    train
        The training frames: nothing is fitted to those that validate.
    spec
        Input of the network.
    folder
        The data folder, which the path of a calibration is relative to.

    Returns
    -------
    Unlabeled
        All losses, and the videos that those on clips work on.

    Raises
    ------
    UserError
        Where a loss gets nothing to work on, or where labels and videos differ in size.
    """
    _check_noise(config)
    calibrated: CalibratedViews | None = None
    recordings = [[video] for video in videos]
    for name in uses_clips(config):
        row = LOSSES[name]
        if isinstance(row, ViewsRow):
            calibrated, recordings = calibrated_views(name, config, folder, videos, train)
        elif "eps" in row.settings:
            _check_sizes(name, train, videos)
    height, width = train.images[0].shape[:2]
    labels = train.xy.reshape(-1, len(train.keypoints), 2)  # of several animals a row for each
    derived = cache(lambda: motion_px(labels, [video.info for video in videos]))

    def context(name: str, settings: LossConfig) -> LossContext:
        return LossContext(
            name,
            settings,
            labels,
            train.keypoints,
            config.views,
            (width / spec.width * STRIDE, height / spec.height * STRIDE),
            (spec.width // STRIDE, spec.height // STRIDE),
            derived,
            calibrated,
        )

    if videos:
        frames = sum(len(video.times) for video in videos)
        cameras = f" of each of {len(recordings[0])} cameras" if calibrated else ""
        _LOG.info(
            f"{len(videos)} unlabeled videos, {frames} frames; a clip of {config.clip_length}{cameras} a step"
        )
    return Unlabeled(build_terms(config, context), recordings)


def _check_noise(config: TrainConfig) -> None:
    if "noise_consistency" in config.losses and not is_noisy(config.augment):
        raise UserError(
            "losses.noise_consistency: it compares two draws of the sensor's noise, and the augmentation has "
            "none; set `augment.noise` or `augment.shot_noise` above 0"
        )
    if resampled_frames(config) > config.clip_length:
        raise UserError(
            f"losses.noise_consistency.frames: expected at most clip_length ({config.clip_length}), got "
            f"{resampled_frames(config)}"
        )


def _check_sizes(name: str, frames: LabeledFrames, videos: list[IndexedVideo]) -> None:
    """Pixels of labels and of videos must mean the same to a loss that holds one against the other."""
    labeled = {(image.shape[1], image.shape[0]) for image in frames.images}
    wanted = next(iter(labeled))
    others = [f"{width}x{height} among the labeled images" for width, height in labeled - {wanted}]
    others += [f"{v.size[0]}x{v.size[1]} in {v.path.name}" for v in videos if v.size != wanted]
    if others:
        raise UserError(
            f"losses.{name}: labels and videos must have frames of one size, as it works in their pixels: "
            f"expected {wanted[0]}x{wanted[1]}, got {', '.join(others)}; crop or scale them alike, or leave "
            "the loss out"
        )
