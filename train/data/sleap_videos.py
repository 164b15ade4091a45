"""The recordings of a SLEAP file: told apart by their paths, and found again where the file was moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from rt_pose.errors import UserError


class SlpVideos:
    """The recordings that a file's labels lie on.

    Two may have one name, in folders of their own: each then goes by as many folders as tell them apart.
    """

    def __init__(self, path: Path, videos: Iterable[Any]) -> None:
        """Take the recordings of a file.

        Parameters
        ----------
        path
            The .slp file.
        videos
            Its videos, as sleap-io has them.
        """
        self._path = path
        self._parts = {id(video): _parts(video) for video in videos}
        every = set(self._parts.values())
        # How many of the last parts of each path no other path ends in.
        self._telling = {parts: _telling_parts(parts, every) for parts in every}

    def short(self, video: Any) -> PurePosixPath:
        """Return the end of a recording's path that is no other's.

        Parameters
        ----------
        video
            One of the videos.

        Returns
        -------
        PurePosixPath
            Its name; with folders where another has that name.
        """
        parts = self._parts[id(video)]
        return PurePosixPath(*parts[-self._telling[parts] :])

    def frame_name(self, video: Any, index: int) -> str:
        """Return `VIDEO/frame_NUMBER`: frames of one video then stay together when frames are split.

        Parameters
        ----------
        video
            One of the videos.
        index
            Number of the frame.
        """
        short = self.short(video)
        own, count = self._parts[id(video)], len(short.parts)
        alike = sum(_end(parts, count) == _end(own, count) for parts in self._telling)
        return f"{short.with_suffix('') if alike == 1 else short}/frame_{index:06d}"

    def locate(self, video: Any) -> Path:
        """Find a recording: where the file says it is, else beside the file or in a folder videos.

        Parameters
        ----------
        video
            One of the videos.

        Returns
        -------
        Path
            The recording.

        Raises
        ------
        UserError
            Where it is not there, or where what is there may as well be another of that name.
        """
        if isinstance(video.filename, list):
            raise UserError(f"{self.short(video)}: labels on single images; export them as .pkg.slp")
        if Path(str(video.filename)).is_file():
            return Path(str(video.filename))
        parts, beside = self._parts[id(video)], self._path.parent
        tell = self._telling[parts]
        for count in range(len(parts), tell - 1, -1):
            for folder in (beside, beside / "videos"):
                if folder.joinpath(*parts[-count:]).is_file():
                    return folder.joinpath(*parts[-count:])
        short = self.short(video)
        if tell == 1:
            raise UserError(
                f"video {video.filename}: it is not there, and no {short} beside {self._path.name}; "
                "copy it there"
            )
        raise UserError(
            f"video {video.filename}: it is not there, and {self._path.name} has several recordings called "
            f"{parts[-1]}; copy each into its own folder beside it, this one as {short}"
        )


def _parts(video: Any) -> tuple[str, ...]:
    """The path that a file has for a recording, in parts: that of the machine which wrote it."""
    source = video.source_video or video
    name = source.filename[0] if isinstance(source.filename, list) else source.filename
    return tuple(part for part in PureWindowsPath(str(name)).parts if not part.endswith(("\\", "/", ":")))


def _telling_parts(parts: tuple[str, ...], every: set[tuple[str, ...]]) -> int:
    """How many parts at the end of a path are needed to tell it from the others, suffixes aside."""
    for count in range(1, len(parts) + 1):
        ends = Counter(_end(other, count) for other in every)
        if ends[_end(parts, count)] == 1:
            return count
    return len(parts)


def _end(parts: tuple[str, ...], count: int) -> tuple[str, ...]:
    return (*parts[-count:-1], Path(parts[-1]).stem)
