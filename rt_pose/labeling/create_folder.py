"""A new folder to label in: a DeepLabCut project, or one table as Lightning Pose has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import yaml

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.config.edit import set_value
from rt_pose.errors import UserError
from rt_pose.files import write_atomic
from rt_pose.labeling.animal_points import AnimalPoints, check_points
from rt_pose.labeling.label_folder import LabelFolder, check_keypoints
from rt_pose.labeling.label_record import LabelRecord, write_record
from rt_pose.video import VideoInfo
from train.data.dlc_project import read_settings
from train.data.sources import PROJECT_FILE, USUAL_FILE

Layout = Literal["deeplabcut", "lightning-pose"]
REMEDY = "give another --out, or check its permissions"


def create_folder(
    folder: Path,
    layout: Layout,
    points: AnimalPoints,
    skeleton: Sequence[Sequence[str]],
    scorer: str,
    clock: Clock,
    videos: Sequence[VideoInfo] = (),
) -> LabelFolder:
    """Make a folder to label in.

    Parameters
    ----------
    folder
        The folder; made where it does not exist.
    layout
        deeplabcut: a project, with a labels file for each video; lightning-pose: one CollectedData.csv.
    points
        Its animals and keypoints.
    skeleton
        Pairs of keypoints.
    scorer
        Who labels.
    clock
        For the date of a project.
    videos
        What a project is of.

    Returns
    -------
    LabelFolder
        The folder, without a label.

    Raises
    ------
    UserError
        Where a name cannot be used, or the folder cannot be written.
    """
    check_keypoints(points.keypoints, skeleton)
    check_points(points, "--individuals")
    if (
        not scorer
        or set(scorer) & set('/\\\0:*?"<>|')
        or scorer != scorer.strip()
        or not scorer.isprintable()
    ):
        raise UserError(f"--scorer {scorer!r}: becomes part of a file's name; write letters and digits")
    bones = [list(bone) for bone in skeleton]
    if layout == "deeplabcut":
        _write_project(folder, points, bones, scorer, clock, videos)
    write_record(folder, LabelRecord(points.keypoints, bones, animals=points.animals))
    table = folder / USUAL_FILE if layout == "lightning-pose" else None
    return LabelFolder(folder, points, bones, scorer, table)


def add_videos(folder: Path, videos: Sequence[VideoInfo]) -> None:
    """Enter videos in a project's configuration: DeepLabCut reads the labels of those that stand there.

    Parameters
    ----------
    folder
        The project's folder.
    videos
        The videos; those that stand there already, in whichever folder, are left as they are.

    Raises
    ------
    UserError
        Where the configuration is written so that they must be entered by hand.
    """
    path = folder / PROJECT_FILE
    known = {Path(video.replace("\\", "/")).stem for video in read_settings(folder).videos}
    before = text = path.read_bytes().decode("utf-8")  # as they are: with the line ends of the file
    for video in videos:
        if video.path.stem not in known:
            text = set_value(text, ["video_sets", str(video.path.resolve())], _crop(video), str(path))
    if text != before:
        write_atomic(path, text, REMEDY)


def _write_project(
    folder: Path,
    points: AnimalPoints,
    bones: list[list[str]],
    scorer: str,
    clock: Clock,
    videos: Sequence[VideoInfo],
) -> None:
    """Write config.yaml, with DeepLabCut's own keys and defaults."""
    today = datetime.fromtimestamp(clock.utc_ns() / NS_PER_S, UTC)
    config = {
        "Task": folder.resolve().name,
        "scorer": scorer,
        "date": f"{today:%b}{today.day}",
        "multianimalproject": bool(points.animals),
        "identity": False if points.animals else None,
        "project_path": str(folder.resolve()),
        "engine": "pytorch",
        "video_sets": {str(video.path.resolve()): _crop(video) for video in videos},
        **_body_parts(points),
        "start": 0,
        "stop": 1,
        "numframes2pick": 20,
        "skeleton": bones,
        "skeleton_color": "black",
        "pcutoff": 0.6,
        "dotsize": 12,
        "alphavalue": 0.7,
        "colormap": "rainbow",
        "TrainingFraction": [0.95],
        "iteration": 0,
        "default_net_type": "resnet_50",
        "default_augmenter": "default",
        "snapshotindex": -1,
        "detector_snapshotindex": -1,
        "batch_size": 8,
        "detector_batch_size": 1,
        "cropping": False,
        "x1": 0,
        "x2": 640,
        "y1": 277,
        "y2": 624,
        "corner2move2": [50, 50],
        "move2corner": True,
    }
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    write_atomic(folder / PROJECT_FILE, text, REMEDY)


def _body_parts(points: AnimalPoints) -> dict[str, list[str] | str]:
    """The keys of body parts: a project of several animals has others."""
    if not points.animals:
        return {"bodyparts": list(points.keypoints)}
    return {
        "individuals": list(points.animals),
        "uniquebodyparts": list(points.unique),
        "multianimalbodyparts": list(points.keypoints),
        "bodyparts": "MULTI!",
    }


def _crop(video: VideoInfo) -> dict[str, str]:
    return {"crop": f"0, {video.width}, 0, {video.height}"}
