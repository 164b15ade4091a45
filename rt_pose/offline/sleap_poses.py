"""Predictions of SLEAP: project files (.slp) and analysis tables (.h5), of one video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.errors import UserError
from rt_pose.offline.prediction_files import Predictions
from rt_pose.types import FloatArray

AXES = ("track", "xy", "node", "frame")
"""Of the array `tracks`, as SLEAP writes it; a file may say otherwise."""
ONE_ANIMAL = "one animal can be read: keep one track in SLEAP and save it as a new file"
A_TRACK_EACH = "of several animals each needs one track: join them in SLEAP and save it as a new file"
_UNREADABLE = (OSError, KeyError, ValueError, IndexError, TypeError, AttributeError, RuntimeError)


def is_analysis_table(path: Path) -> bool:
    """Tell whether an HDF file is an analysis table of SLEAP.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    bool
        Whether it is; False where it cannot be read.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "track_occupancy" in file and "node_names" in file
    except OSError:
        return False


def read_analysis_table(path: Path, several: bool = False) -> Predictions:
    """Read an analysis table.

    Parameters
    ----------
    path
        The file.
    several
        Whether it may be of several animals, with a track for each.

    Returns
    -------
    Predictions
        A row for every frame of its video.

    Raises
    ------
    UserError
        Where it cannot be read, or holds several animals.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            axes = json.loads(file["tracks"].attrs["dims"]) if "dims" in file["tracks"].attrs else list(AXES)
            order = [axes.index(axis) for axis in ("track", "frame", "node", "xy")]
            xy = np.asarray(file["tracks"], float).transpose(order)
            own = [axis for axis in axes if axis != "xy"]
            scores = np.ones(xy.shape[:3])
            if "point_scores" in file:
                scores = np.asarray(file["point_scores"], float)
                scores = scores.transpose([own.index(axis) for axis in ("track", "frame", "node")])
            nodes = [name.decode() for name in file["node_names"]]
            names = [name.decode() for name in file["track_names"]] if "track_names" in file else []
            bones = [(a.decode(), b.decode()) for a, b in file["edge_names"]] if "edge_names" in file else []
            video = file["video_path"][()].decode() if "video_path" in file else ""
    except _UNREADABLE as error:
        raise UserError(f"predictions {path}: not an analysis table of SLEAP: {error}") from error
    seen = np.isfinite(xy).any(axis=(2, 3))
    crowded = np.flatnonzero(seen.sum(axis=0) > 1)
    track, frame = seen.argmax(axis=0), np.arange(xy.shape[1])
    frames = [str(number) for number in frame]
    if not crowded.size:  # one animal may have been given several tracks, one after the other
        poses = xy[track, frame], scores[track, frame]
        return Predictions(nodes, frames, *poses, str(path), bones, video=video)
    if not several:
        raise _crowded(path, len(crowded), int(crowded[0]))
    used = np.flatnonzero(seen.any(axis=1))
    _check_tracks(path, len(used), int(seen.sum(axis=0).max()))
    animals = [names[t] if t < len(names) else f"track_{t}" for t in used.tolist()]
    poses = xy[used].swapaxes(0, 1), scores[used].swapaxes(0, 1)
    return Predictions(nodes, frames, *poses, str(path), bones, video=video, individuals=animals)


def read_slp(path: Path, several: bool = False) -> Predictions:
    """Read the predictions of a project file; where it holds none, its labels.

    Parameters
    ----------
    path
        The file.
    several
        Whether it may be of several animals, with a track for each.

    Returns
    -------
    Predictions
        A row for every frame that has an animal.

    Raises
    ------
    UserError
        Where it cannot be read, or holds several animals or videos.
    """
    import sleap_io

    try:
        labels = sleap_io.load_slp(str(path), open_videos=False)
    except _UNREADABLE as error:
        raise UserError(f"predictions {path}: not a file of SLEAP that can be read: {error}") from error
    predicted = any(frame.predicted_instances for frame in labels)
    rows = [(frame, frame.predicted_instances if predicted else frame.user_instances) for frame in labels]
    rows = sorted((row for row in rows if row[1]), key=lambda row: int(row[0].frame_idx))
    videos = {id(frame.video): frame.video for frame, _ in rows}
    if len(videos) != 1 or len(labels.skeletons) != 1:
        raise UserError(
            f"predictions {path}: expected poses of one skeleton in one video, got {len(labels.skeletons)} "
            f"skeletons and {len(videos)} videos; save those of one video as a new file in SLEAP"
        )
    crowded = [int(frame.frame_idx) for frame, found in rows if len(found) > 1]
    if crowded and not several:
        raise _crowded(path, len(crowded), crowded[0])
    skeleton = labels.skeletons[0]
    nodes, animals = list(skeleton.node_names), list[str]()
    if crowded:
        points, animals = _points_of_tracks(path, [found for _, found in rows], nodes)
    else:
        points = np.stack([_points(found[0], nodes) for _, found in rows])
    bones = [(str(a), str(b)) for a, b in skeleton.edge_names]
    frames = [str(int(frame.frame_idx)) for frame, _ in rows]
    (video,) = videos.values()
    name = video.filename if isinstance(video.filename, str) else ""
    poses = points[..., :2], points[..., 2]
    return Predictions(nodes, frames, *poses, str(path), bones, video=name, individuals=animals)


def _crowded(path: Path, count: int, first: int) -> UserError:
    """The error of a file of several animals where one is expected."""
    return UserError(
        f"predictions {path}: {count} frames hold more than one animal (the first is frame {first}); "
        f"{ONE_ANIMAL}"
    )


def _check_tracks(path: Path, tracks: int, most: int) -> None:
    """Refuse more tracks than there are animals at a time: which of them are one animal is not known."""
    if tracks > most:
        raise UserError(
            f"predictions {path}: it has {tracks} tracks, and no frame more than {most} animals; "
            f"{A_TRACK_EACH}"
        )


def _points_of_tracks(path: Path, rows: list[Any], nodes: list[str]) -> tuple[FloatArray, list[str]]:
    """(F, N, K, 3) x, y and score of the instances of each frame, a track in a row, and the tracks' names."""
    if any(animal.track is None for found in rows for animal in found):
        raise UserError(f"predictions {path}: an animal in it belongs to no track; {A_TRACK_EACH}")
    tracks = list({id(animal.track): animal.track for found in rows for animal in found}.values())
    _check_tracks(path, len(tracks), max(map(len, rows)))
    order = {id(track): n for n, track in enumerate(tracks)}
    points = np.full((len(rows), len(tracks), len(nodes), 3), np.nan)
    for i, found in enumerate(rows):
        for animal in found:
            points[i, order[id(animal.track)]] = _points(animal, nodes)
    return points, [str(track.name) for track in tracks]


def _points(instance: Any, nodes: list[str]) -> FloatArray:
    """(K, 3) x, y and score in the order of the skeleton's own list; a label has the score 1."""
    xy = np.asarray(instance.numpy(), float)
    scores = instance.points["score"] if "score" in (instance.points.dtype.names or ()) else np.ones(len(xy))
    own = dict(zip(instance.skeleton.node_names, np.column_stack([xy, scores]), strict=True))
    return np.array([own[name] for name in nodes], float)
