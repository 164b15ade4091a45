"""Labels of a SLEAP file (.slp), read through sleap-io: frames of a video or embedded images.

sleap-io takes node names from the skeleton's own list and moves the half pixel of files before format 1.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from train.data.sleap_videos import SlpVideos
from train.data.source import NO_IMAGE, Images, Source
from train.data.tables import LabelTable
from train.data.video_frames import decoded_frames


def open_slp(path: Path) -> Source:
    """Open the labels of a SLEAP file.

    A person's labels are taken; where the file holds none, the predictions in it are, and a note says so. A
    row of several animals is a track, where every animal has one of its own; otherwise they come in the
    file's order.

    Parameters
    ----------
    path
        The .slp file.

    Returns
    -------
    Source
        Its labels, not yet checked against their images.

    Raises
    ------
    UserError
        Where the file cannot be read, or has no labeled frame, or not exactly one skeleton.
    """
    labels = _load(path)
    user = any(frame.has_user_instances for frame in labels.labeled_frames)
    rows = [(frame, _instances(frame, user)) for frame in labels.labeled_frames]
    rows = [(frame, found) for frame, found in rows if found]
    if not rows:
        raise UserError(f"labels {path}: it holds no labeled frame")
    skeleton = labels.skeletons[0]
    videos = SlpVideos(path, [frame.video for frame, _ in rows])
    names = [videos.frame_name(frame.video, frame.frame_idx) for frame, _ in rows]
    places = [f"frame {frame.frame_idx} of {videos.short(frame.video)}" for frame, _ in rows]
    xy, animals = _animals([found for _, found in rows], list(skeleton.node_names))
    visible = np.where(np.isfinite(xy).all(axis=-1), 2, 0).astype(np.uint8)
    table = LabelTable(list(skeleton.node_names), names, places, xy, visible, animals)
    notes = _notes(path, [frame for frame, _ in rows], user, xy.ndim == 4)
    frames = [frame for frame, _ in rows]
    return Source(
        path,
        table,
        [],
        lambda: _read_images(videos, frames),
        [[str(a), str(b)] for a, b in skeleton.edge_names],
        notes,
    )


def _animals(rows: list[list[Any]], nodes: list[str]) -> tuple[FloatArray, list[str]]:
    """Labels (F, N, K, 2) and the names of the N tracks; (F, K, 2) and none where no frame holds two."""
    most = max(map(len, rows))
    if most == 1:
        return np.stack([_points(found[0], nodes) for found in rows]), []
    tracks = list(dict.fromkeys(id(animal.track) for found in rows for animal in found))
    # A row is a track where that needs no more rows than there are animals; else the place in the frame.
    tracked = len(tracks) == most and all(
        animal.track is not None and len({id(other.track) for other in found}) == len(found)
        for found in rows
        for animal in found
    )
    xy = np.full((len(rows), most, len(nodes), 2), np.nan)
    names = [""] * most
    for i, found in enumerate(rows):
        for place, animal in enumerate(found):
            n = tracks.index(id(animal.track)) if tracked else place
            xy[i, n] = _points(animal, nodes)
            names[n] = str(animal.track.name) if tracked else ""
    return xy, names if all(names) and len(set(names)) == most else []


def _notes(path: Path, frames: list[Any], user: bool, several: bool) -> list[str]:
    if not user:
        return [f"{path.name} holds no label of a person: its {len(frames)} predictions are taken"]
    beside = sum(bool(frame.unused_predictions) for frame in frames) if several else 0
    if not beside:
        return []
    return [
        f"{path.name}: {beside} frames hold predictions beside a person's labels, which are left out: an "
        "animal that only a prediction marks is learned as background"
    ]


def _load(path: Path) -> Any:
    import sleap_io

    if not path.is_file():
        raise UserError(f"labels {path}: no such file")
    try:
        labels = sleap_io.load_slp(str(path), open_videos=False)
    except (OSError, KeyError, ValueError, IndexError, TypeError) as error:
        raise UserError(f"labels {path}: not a SLEAP file that can be read: {error}") from error
    if len(labels.skeletons) != 1:
        raise UserError(f"labels {path}: {len(labels.skeletons)} skeletons; expected one")
    return labels


def _instances(frame: Any, user: bool) -> list[Any]:
    found = frame.user_instances if user else frame.predicted_instances
    return [instance for instance in found if np.isfinite(instance.numpy()).any()]


def _points(instance: Any, nodes: list[str]) -> FloatArray:
    """(K, 2) in the order of the skeleton's own list; NaN where not visible."""
    own = {name: point for name, point in zip(instance.skeleton.node_names, instance.numpy(), strict=True)}
    return np.array([own[name] for name in nodes], float)


def _read_images(videos: SlpVideos, frames: list[Any]) -> tuple[Images, list[str]]:
    images = [NO_IMAGE] * len(frames)
    problems: list[str] = []
    for video in {id(frame.video): frame.video for frame in frames}.values():
        rows = {frame.frame_idx: i for i, frame in enumerate(frames) if frame.video is video}
        name = str(videos.short(video))
        try:
            if _is_embedded(video):
                found = _embedded(video, name, rows)
            else:
                found = decoded_frames(videos.locate(video), rows)
        except UserError as error:
            problems.append(str(error))
            continue
        for index, row in rows.items():
            if index in found:
                images[row] = found[index]
            else:
                problems.append(f"frame {index} of {name}: it cannot be read")
    return images, problems


def _is_embedded(video: Any) -> bool:
    return bool(video.backend_metadata.get("dataset") or video.backend_metadata.get("has_embedded_images"))


def _embedded(video: Any, name: str, rows: dict[int, int]) -> dict[int, NDArray[np.uint8]]:
    """Images that the file itself holds."""
    try:
        video.open()
        return {index: np.ascontiguousarray(video[index]) for index in rows}
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise UserError(f"embedded images of {name}: they cannot be read: {error}") from error
    finally:
        video.close()
