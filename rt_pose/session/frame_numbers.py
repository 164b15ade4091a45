"""How other programs number a camera's frames: by their place in a video.

Formats without times of their own refer to a video. It is the recording that was played, else the session's
film; a camera without either is counted from its first frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rt_pose.session.paths import places_of
from rt_pose.session.read import Session
from rt_pose.session.video_file import file_names, read_times
from rt_pose.types import FrameStamps

NOT_IN_VIDEO = -1


@dataclass
class FrameNumbers:
    """Numbers of a camera's frames."""

    video: Path | None
    """The video in which they are counted; None where there is none."""
    where: str
    """What they count, in words."""
    by_stamps: dict[tuple[int, int], int]
    """By the camera's own count and the time of arrival: the same count may come again."""
    frames: int | None = None
    """How many the film has; None where that is not known."""

    def of(self, stamps: FrameStamps) -> int:
        """Get the number of a frame.

        Parameters
        ----------
        stamps
            The frame's stamps.

        Returns
        -------
        int
            From 0; `NOT_IN_VIDEO` for a frame that the video does not hold.
        """
        return self.by_stamps.get(_key(stamps), NOT_IN_VIDEO)


def number_frames(session: Session, camera: str) -> FrameNumbers:
    """Number the frames of a camera.

    Parameters
    ----------
    session
        The session.
    camera
        Name of the camera.

    Returns
    -------
    FrameNumbers
        The numbers.

    Raises
    ------
    UserError
        Where the table beside the film is damaged.
    """
    info, stamps = session.info.cameras[camera], camera_stamps(session, camera)
    if info.exposure_source == "recording" and not _scaled(session, camera):
        place = next(places_of(session, info.serial), Path(info.serial))
        first = {_key(one): one.index for one in stamps if one.epoch == 0}
        return FrameNumbers(place, f"frames of the recording {place.name} that was played", first)
    times = read_times(session.path, camera)
    if times is not None:
        rows = enumerate(zip(times.frame.tolist(), times.t_arrival_ns.tolist(), strict=True))
        film = session.path / file_names(camera)[0]
        by_stamps, where = {key: row for row, key in rows}, f"frames of the film {film.name}"
        return FrameNumbers(film if film.is_file() else None, where, by_stamps, len(times.frame))
    return FrameNumbers(None, f"frames of the camera '{camera}' from its first on", _counted(stamps))


def camera_stamps(session: Session, camera: str) -> list[FrameStamps]:
    """Collect the stamps of every frame of a camera that the log knows.

    Parameters
    ----------
    session
        The session.
    camera
        Name of the camera.

    Returns
    -------
    list[FrameStamps]
        In order of arrival.
    """
    stamps = [record.stamps for record in session.frames if record.camera == camera]
    stamps += [record.stamps for record in session.observations if record.camera == camera]
    found = {_key(one): one for one in stamps}
    return sorted(found.values(), key=lambda one: one.t_arrival_ns)


def _key(stamps: FrameStamps) -> tuple[int, int]:
    return stamps.index, stamps.t_arrival_ns


def _scaled(session: Session, camera: str) -> bool:
    """Whether a recording was played in another size than its own: places are then in px of that size."""
    cameras = session.info.config.get("cameras")
    own = cameras.get(camera) if isinstance(cameras, dict) else None
    options = own.get("options") if isinstance(own, dict) else None
    return bool(isinstance(options, dict) and options.get("size"))


def _counted(stamps: Iterable[FrameStamps]) -> dict[tuple[int, int], int]:
    """The camera's own count from 0 on; it runs on where a new epoch begins to count anew."""
    found: dict[tuple[int, int], int] = {}
    base, epoch, last = None, 0, NOT_IN_VIDEO
    for one in stamps:
        if base is None or (one.epoch != epoch and one.index - base <= last):
            base = one.index - last - 1
        epoch = one.epoch
        found[_key(one)] = number = one.index - base
        last = max(last, number)
    return {key: number for key, number in found.items() if number >= 0}
