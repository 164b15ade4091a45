"""Labels of a SLEAP file (.slp), read through sleap-io: one animal, frames of a video or embedded images.

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

    A person's labels are taken; where the file holds none, the predictions in it are, and a note says so.

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
        Where the file cannot be read, has no labeled frame, not exactly one skeleton, or frames with more
        than one animal.
    """
    labels = _load(path)
    user = any(frame.has_user_instances for frame in labels.labeled_frames)
    rows = [(frame, _instances(frame, user)) for frame in labels.labeled_frames]
    rows = [(frame, found) for frame, found in rows if found]
    if not rows:
        raise UserError(f"labels {path}: it holds no labeled frame")
    skeleton = labels.skeletons[0]
    _refuse_several(path, rows)
    videos = SlpVideos(path, [frame.video for frame, _ in rows])
    names = [videos.frame_name(frame.video, frame.frame_idx) for frame, _ in rows]
    xy = np.stack([_points(found[0], skeleton.node_names) for _, found in rows])
    table = LabelTable(
        list(skeleton.node_names),
        names,
        [f"frame {frame.frame_idx} of {videos.short(frame.video)}" for frame, _ in rows],
        xy,
        np.where(np.isfinite(xy).all(axis=-1), 2, 0).astype(np.uint8),
    )
    notes = [] if user else [f"{path.name} holds no label of a person: its {len(rows)} predictions are taken"]
    frames = [frame for frame, _ in rows]
    return Source(
        path,
        table,
        [],
        lambda: _read_images(videos, frames),
        [[str(a), str(b)] for a, b in skeleton.edge_names],
        notes,
    )


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


def _refuse_several(path: Path, rows: list[tuple[Any, list[Any]]]) -> None:
    crowded = [frame.frame_idx for frame, found in rows if len(found) > 1]
    if crowded:
        raise UserError(
            f"labels {path}: {len(crowded)} of {len(rows)} frames hold more than one animal (the first is "
            f"frame {crowded[0]}); one can be learned: keep one track in SLEAP and save it as a new file"
        )


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
