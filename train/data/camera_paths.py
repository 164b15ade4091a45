"""Which camera took a video or an image, and which were taken together: by the names of files and folders.

A camera's name stands in a path as a word of its own, between characters that are neither letters nor digits:
`back/mouse_back.mp4` is of `back`. What differs in nothing but that word was exposed together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rt_pose.errors import ErrorCollector, UserError
from train.data.clips import common_starts
from train.data.videos import IndexedVideo

ANY = "*"
"""In the place of a camera's name, in what a recording is called."""


class CameraPaths:
    """Finds the names of cameras in paths."""

    def __init__(self, cameras: Sequence[str]) -> None:
        """Look for these names; of two that begin alike the longer one is found where it stands."""
        self.cameras = list(cameras)
        longest_first = "|".join(re.escape(name) for name in sorted(cameras, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<![^\W_])(?:{longest_first})(?![^\W_])")

    def cameras_in(self, path: str) -> list[str]:
        """Return the cameras that a path names.

        Parameters
        ----------
        path
            A path with `/` between its parts.

        Returns
        -------
        list of str
            Names, none twice.
        """
        return list(dict.fromkeys(self._pattern.findall(path)))

    def recording_of(self, path: str) -> str:
        """Return what a path has in common with those of the other cameras.

        Parameters
        ----------
        path
            A path with `/` between its parts.

        Returns
        -------
        str
            The path with `ANY` for the name of a camera.
        """
        return self._pattern.sub(ANY, path)


def group_videos(
    videos: Sequence[IndexedVideo], cameras: Sequence[str], clip_length: int, where: str
) -> list[list[IndexedVideo]]:
    """Put together the videos that cameras recorded together.

    Parameters
    ----------
    videos
        Videos, each of one camera.
    cameras
        Names of the cameras.
    clip_length
        Frames of a clip, which must be there at the same place of each.
    where
        Begins the message of an error.

    Returns
    -------
    list of list of IndexedVideo
        For each recording the video of each camera, in the order of `cameras`.

    Raises
    ------
    UserError
        With everything that is wrong: a video of none of the cameras or of several, a recording that lacks a
        camera, videos of one recording with other numbers of frames.
    """
    paths, errors = CameraPaths(cameras), ErrorCollector()
    found: dict[str, dict[str, IndexedVideo]] = {}
    for video, name in zip(videos, _short([video.path for video in videos]), strict=True):
        named = paths.cameras_in(name)
        if len(named) != 1:
            what = f"the names of {', '.join(named)}" if named else "no name of a camera"
            errors.messages.append(
                f"{where}: video {name} has {what} in its path, expected one of {', '.join(cameras)}; rename "
                "it, give `cameras` by the words that paths have, or leave it out of `videos`"
            )
            continue
        own = found.setdefault(paths.recording_of(name), {})
        if named[0] in own:
            errors.messages.append(f"{where}: video {name} is given twice in `videos`")
        own[named[0]] = video
    for recording, own in found.items():
        errors.run(partial(_check, recording, own, cameras, clip_length, where))
    errors.check()
    return [[own[name] for name in cameras] for own in found.values()]


def _short(videos: Sequence[Path]) -> list[str]:
    """The paths from the folder that all are in: what lies above it tells no camera from another."""
    folder = os.path.commonpath([video.absolute().parent for video in videos])
    return [video.absolute().relative_to(folder).as_posix() for video in videos]


def _check(
    recording: str,
    own: dict[str, IndexedVideo],
    cameras: Sequence[str],
    clip_length: int,
    where: str,
) -> None:
    lacking = [name for name in cameras if name not in own]
    if lacking:
        raise UserError(
            f"{where}: the recording {recording} has no video of {', '.join(lacking)}, only of "
            f"{', '.join(own)}; add it to `videos`, or set `cameras` to those that recorded"
        )
    if len({len(video.times) for video in own.values()}) > 1:
        counts = ", ".join(f"{name} {len(own[name].times)}" for name in cameras)
        raise UserError(
            f"{where}: the videos of the recording {recording} have different numbers of frames ({counts}), "
            "so it is not known which were exposed together; cut them so that frame i of each was, or leave "
            "them out"
        )
    if not len(common_starts([own[name] for name in cameras], clip_length)):
        raise UserError(
            f"{where}: in the recording {recording} no {clip_length} frames follow one another without a gap "
            "in every camera; leave it out, or set a smaller `clip_length`"
        )
