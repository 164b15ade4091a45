"""The calibrated cameras of unlabeled clips: their file, their recordings, and the labels of one time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.views.calibration_file import read_calibration
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.explain import same_pose
from rt_pose.views.view_poses import cameras_of
from train.config import LossConfig, TrainConfig
from train.data.camera_paths import CameraPaths, group_videos
from train.data.labels import LabeledFrames
from train.data.videos import IndexedVideo
from train.losses.loss_context import CalibratedViews


def calibrated_views(
    name: str, config: TrainConfig, folder: Path, videos: Sequence[IndexedVideo], frames: LabeledFrames
) -> tuple[CalibratedViews, list[list[IndexedVideo]]]:
    """Read the cameras of a loss, and find what they recorded and what is labeled of one time.

    Parameters
    ----------
    name
        Of the loss.
    config
        Of the training.
    folder
        The data folder, which the calibration's path is relative to.
    videos
        The unlabeled videos.
    frames
        Labeled frames.

    Returns
    -------
    views : CalibratedViews
        In the order of the configured cameras.
    recordings : list of list of IndexedVideo
        For each recording the video of each of them.

    Raises
    ------
    UserError
        Where the calibration cannot be read, lacks a camera, has two at one place, or is of other frames than
        videos or labels; where the videos are not recordings of these cameras; where labels hold several
        animals.
    """
    where = f"losses.{name}"
    if frames.several:
        raise UserError(
            f"{where}: the labels hold several animals, and it is not known which of those that one camera "
            "sees is which in another; leave the loss out"
        )
    settings = config.losses[name]
    file = _file(settings.calibration or "", folder, where)
    cameras = _cameras(settings, file, where)
    recordings = group_videos(videos, [camera.name for camera in cameras], config.clip_length, where)
    for recording in recordings:
        for camera, video in zip(cameras, recording, strict=True):
            _check_size(camera, video.path.name, video.size, file, where)
    return CalibratedViews(file.name, cameras, _labels(cameras, frames, file, where)), recordings


def _file(calibration: str, folder: Path, where: str) -> Path:
    given = Path(calibration).expanduser()
    file = folder / given
    if not file.is_file() and given.is_file():
        raise UserError(
            f"{where}.calibration: no such file: {file}; for the one in the current folder write "
            f"{given.absolute()}"
        )
    return file


def _cameras(settings: LossConfig, file: Path, where: str) -> list[CalibratedCamera]:
    """The configured cameras, by the names that paths have them by."""
    calibration = read_calibration(file)
    given = [camera.name for camera in calibration] if settings.cameras is None else settings.cameras
    names = given if isinstance(given, dict) else dict(zip(given, given, strict=True))
    if len(names) < len(given):
        raise UserError(f"{where}.cameras: expected each camera once, got {', '.join(given)}")
    found = cameras_of(calibration, list(names.values()), f"{where}.cameras: calibration {file}")
    for one, other in combinations(found, 2):
        if same_pose(one, other):
            raise UserError(
                f"{where}: cameras '{one.name}' and '{other.name}' stand at the same place in {file}: one is "
                "a copy of the other; calibrate again, `rt-pose rig calibrate-cameras`"
            )
    return [replace(camera, name=ours) for ours, camera in zip(names, found, strict=True)]


def _labels(cameras: Sequence[CalibratedCamera], frames: LabeledFrames, file: Path, where: str) -> FloatArray:
    """(V, G, K, 2) px: of frames whose paths differ in nothing but the camera's name."""
    paths = CameraPaths([camera.name for camera in cameras])
    times: dict[str, dict[int, int]] = {}
    for row, name in enumerate(frames.names):
        named = paths.cameras_in(name)
        if len(named) == 1:
            times.setdefault(paths.recording_of(name), {})[paths.cameras.index(named[0])] = row
    shared = [rows for rows in times.values() if len(rows) > 1]
    labels = np.full((len(cameras), len(shared), len(frames.keypoints), 2), np.nan)
    for g, rows in enumerate(shared):
        for v, row in rows.items():
            height, width = frames.images[row].shape[:2]
            _check_size(cameras[v], frames.names[row], (width, height), file, where)
            labels[v, g] = frames.xy[row]
    return labels


def _check_size(camera: CalibratedCamera, name: str, size: tuple[int, int], file: Path, where: str) -> None:
    """Refuse frames that are not those of the calibration, which is in their px."""
    (width, height), (w, h) = camera.size, size
    if size != camera.size:
        raise UserError(
            f"{where}: {name} has frames of {w}x{h} px, camera '{camera.name}' was calibrated with frames of "
            f"{width}x{height} ({file}); give the frames of the calibration, or calibrate with these, "
            "`rt-pose rig calibrate-cameras`"
        )
