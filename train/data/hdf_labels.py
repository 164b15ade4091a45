"""Labels that are there in HDF only: DeepLabCut's table without its CSV, and SLEAP's analysis table.

Their images are those that the table names; where an image is not there, the frame of that number of the
video of that name. The files are read as numbers and text (`rt_pose.offline.hdf`); a path of a video that
stands in one is taken for its name alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path, PureWindowsPath

import numpy as np

from rt_pose.errors import UserError
from rt_pose.extras import installed, remedy
from rt_pose.offline.sleap_poses import is_analysis_table, read_analysis_table
from train.data.frame_index import frame_of
from train.data.source import NO_IMAGE, Images, Source, has_image, images_of
from train.data.tables import LabelTable, read_table
from train.data.video_frames import decoded_frames, recordings_called

MOST_LABELS = 5_000
"""Frames of an analysis table; more of them are predictions, which nobody has looked through."""
VIDEOS = "videos"
_NUMBER = re.compile(r"\d{1,9}")


def open_hdf(folder: Path, path: Path) -> Source:
    """Open labels in HDF.

    Parameters
    ----------
    folder
        The data folder, which image paths are relative to.
    path
        A table of DeepLabCut, its rows named by images or by numbers of frames, or an analysis table of
        SLEAP.

    Returns
    -------
    Source
        Its labels, not yet checked against their images.

    Raises
    ------
    UserError
        Where it is no such table, or h5py is not installed.
    """
    if not path.is_file():
        raise UserError(f"labels {path}: no such file")
    if not installed("h5py"):
        raise UserError(f"labels {path}: reading HDF needs h5py; `{remedy('train')}`")
    if is_analysis_table(path):
        return _open_analysis(folder, path)
    table, problems = read_table(path)
    if all(_NUMBER.fullmatch(name) for name in table.names):
        table.names = [_frame_name(path.stem, int(name)) for name in table.names]
    return _source(folder, path, table, problems, table.notes)


def _open_analysis(folder: Path, path: Path) -> Source:
    found = read_analysis_table(path)
    rows = np.flatnonzero(np.isfinite(found.xy).all(axis=-1).any(axis=-1))
    if not len(rows):
        raise UserError(f"labels {path}: it holds no labeled frame")
    if len(rows) > MOST_LABELS:
        raise UserError(
            f"labels {path}: {len(rows)} frames, which are predictions rather than labels; give the .slp "
            f"with those that a person placed, or a table of at most {MOST_LABELS} frames"
        )
    own = path.name.split(".")[0]
    named = PureWindowsPath(found.video).stem
    stem = named if named and recordings_called(named, _places(folder, path)) else own
    xy = np.where(np.isfinite(found.xy).all(axis=-1, keepdims=True), found.xy, np.nan)[rows]
    table = LabelTable(
        found.keypoints,
        [_frame_name(stem, int(row)) for row in rows],
        [f"frame {row}" for row in rows],
        xy,
        np.where(np.isfinite(xy).all(axis=-1), 2, 0).astype(np.uint8),
    )
    note = f"{path.name} does not say which points a person placed: all of its {len(rows)} frames are taken"
    source = _source(folder, path, table, [], [note])
    source.skeleton = [[a, b] for a, b in found.skeleton]
    return source


def _frame_name(stem: str, index: int) -> str:
    return f"{stem}/frame_{index:06d}"


def _places(folder: Path, path: Path) -> list[Path]:
    """Where the recordings may lie."""
    return [path.parent, path.parent / VIDEOS, folder, folder / VIDEOS]


def _source(folder: Path, path: Path, table: LabelTable, problems: list[str], notes: list[str]) -> Source:
    return Source(
        path, table, problems, lambda: _read_images(folder, _places(folder, path), table, notes), [], notes
    )


def _read_images(
    folder: Path, places: list[Path], table: LabelTable, notes: list[str]
) -> tuple[Images, list[str]]:
    """The images on disk, and of the others the frames of their recordings."""
    there = [i for i, name in enumerate(table.names) if has_image(folder, name)]
    images: Images = [NO_IMAGE] * len(table.names)
    some, problems = images_of(folder, _rows(table, there))
    for row, image in zip(there, some, strict=True):
        images[row] = image
    by_video: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(set(range(len(images))) - set(there)):
        place = frame_of(table.names[row])
        if place is None:
            problems.append(f"{table.places[row]}: no image '{table.names[row]}' in {folder}")
        else:
            by_video[place[0]][place[1]].append(row)
    for stem, rows in by_video.items():
        problems += _read_recording(stem, rows, places, table, images, notes)
    return images, problems


def _read_recording(
    stem: str,
    rows: dict[int, list[int]],
    places: list[Path],
    table: LabelTable,
    images: Images,
    notes: list[str],
) -> list[str]:
    """Put the frames of one recording into `images`; what is wrong with them."""
    found = recordings_called(stem, places)
    first = table.places[next(iter(rows.values()))[0]]
    if len(found) != 1:
        what = "no video" if not found else f"several videos ({', '.join(p.name for p in found)})"
        where = ", ".join(dict.fromkeys(map(str, places)))
        return [f"{first} and {len(rows) - 1} more: no image, and {what} called {stem} in {where}"]
    try:
        frames = decoded_frames(found[0], rows)
    except UserError as error:
        return [str(error)]
    problems = []
    for index, own in rows.items():
        if index not in frames:
            problems.append(f"{table.places[own[0]]}: {found[0].name} has no frame {index}")
        for row in own:
            images[row] = frames.get(index, NO_IMAGE)
    notes.append(f"{len(frames)} images are frames of {found[0].name}, by their numbers")
    return problems


def _rows(table: LabelTable, rows: list[int]) -> LabelTable:
    return LabelTable(
        table.keypoints,
        [table.names[i] for i in rows],
        [table.places[i] for i in rows],
        table.xy[rows],
        table.visible[rows],
    )
