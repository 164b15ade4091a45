"""A board in the recordings of several cameras, whose frames of one number were exposed together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.video import VideoReader, probe
from rt_pose.views.board import Board, SeenBoard
from rt_pose.views.view_poses import ViewPoses, evenly_spaced


@dataclass(frozen=True, eq=False)
class RecordedBoard:
    """What each camera saw of a board."""

    seen: dict[str, dict[int, SeenBoard]]
    """By camera and number of frame."""
    sizes: dict[str, tuple[int, int]]
    """Width and height of the frames of each camera, px."""

    def poses(self, board: Board) -> ViewPoses:
        """Take the corners for keypoints.

        Parameters
        ----------
        board
            The board.

        Returns
        -------
        ViewPoses
            Frames in which any camera saw it.
        """
        frames = sorted(set().union(*self.seen.values()))
        corners = [f"corner {i}" for i in range(len(board.corners))]
        xy: FloatArray = np.full((len(self.seen), len(frames), len(corners), 2), np.nan)
        for v, found in enumerate(self.seen.values()):
            for f, frame in enumerate(frames):
                if frame in found:
                    xy[v, f, found[frame].ids] = found[frame].px
        return ViewPoses(list(self.seen), corners, frames, xy, sizes=self.sizes)


def find_board(
    board: Board, recordings: Mapping[str, Path], most_frames: int, emit: Callable[[str], None]
) -> RecordedBoard:
    """Find a board in recordings.

    Parameters
    ----------
    board
        The board.
    recordings
        The video of each camera.
    most_frames
        How many frames of each are looked at, evenly: the same numbers in all.
    emit
        Reports what was found in each.

    Returns
    -------
    RecordedBoard
        The corners.

    Raises
    ------
    UserError
        Where a video cannot be read, or they have different numbers of frames.
    """
    infos = {name: probe(path) for name, path in recordings.items()}
    counts = {name: info.frames for name, info in infos.items()}
    if len(set(counts.values())) > 1:
        raise UserError(
            "--recordings: frame i of every video must have been taken at the same time, but they have "
            f"different numbers of frames ({', '.join(f'{name} {n}' for name, n in counts.items())}); give "
            "recordings of one trigger, without lost frames"
        )
    wanted = evenly_spaced(min(counts.values()), most_frames).tolist()
    seen = {}
    for name, path in recordings.items():
        seen[name] = _find_in(board, path, wanted)
        emit(f"{name}: the board is in {len(seen[name])} of {len(wanted)} frames")
    return RecordedBoard(seen, {name: (info.width, info.height) for name, info in infos.items()})


def _find_in(board: Board, path: Path, wanted: list[int]) -> dict[int, SeenBoard]:
    found = {}
    with VideoReader(path, 1) as reader:
        for number in wanted:
            reader.skip(number - reader.at)
            frame = reader.read()
            if frame is None:
                break
            if one := board.find(np.ascontiguousarray(frame.image[..., 0])):
                found[number] = one
    return found
