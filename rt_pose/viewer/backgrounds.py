"""Pictures on which zones are drawn: of a session, a recording or a file. No Qt in here."""

from __future__ import annotations

from pathlib import Path

from rt_pose.errors import UserError, nearest
from rt_pose.image_file import read_image
from rt_pose.viewer.messages import FrameMessage
from rt_pose.viewer.raw_frame import raw_frame
from rt_pose.viewer.recording import open_recording


def choose_camera(cameras: list[str], wanted: str) -> str:
    """Choose the camera whose zones are shown.

    Parameters
    ----------
    cameras
        The configuration's.
    wanted
        Name of a camera; empty for the first.

    Returns
    -------
    str
        Its name; empty where there are none.

    Raises
    ------
    UserError
        Where there is no such camera.
    """
    if wanted and wanted not in cameras:
        raise UserError(f"view: --camera: there is no camera '{wanted}'{nearest(wanted, cameras)}")
    return wanted or next(iter(cameras), "")


def picture_of_session(session: Path, camera: str) -> FrameMessage:
    """Take a picture from the middle of a session.

    Parameters
    ----------
    session
        Its folder.
    camera
        Name of the camera; the session's first where it has none of that name.

    Returns
    -------
    FrameMessage
        The picture.

    Raises
    ------
    UserError
        Where the session has no film that can be read.
    """
    recording = open_recording(session)
    name = camera if camera in recording.cameras else next(iter(recording.cameras))
    found = recording.cameras[name]
    later = found.frames[len(found.frames) // 2 :]
    pictures = (found.film.frame(observation.stamps.t_arrival_ns) for observation, _ in later)
    picture = next((one for one in pictures if one is not None), None)
    if picture is None:
        why = found.film.problem or "its film has no frame of its second half that was decided on"
        raise UserError(f"view: session {session}: no picture of camera '{name}': {why}")
    return picture


def picture_of_file(video: str, image: str) -> FrameMessage | None:
    """Take the first frame of a recording, or a picture.

    Parameters
    ----------
    video
        Path of a recording; empty for none.
    image
        Path of a picture; empty for none.

    Returns
    -------
    FrameMessage | None
        The picture; None where neither is given.

    Raises
    ------
    UserError
        Where the file cannot be read.
    """
    if video:
        from rt_pose.video import read_frames

        frame = next(read_frames(video, 3), None)
        if frame is None:
            raise UserError(f"view: --video {video}: it holds no frame")
        return raw_frame(frame.image)
    if image:
        pixels = read_image(image, 3)
        if pixels is None:
            raise UserError(f"view: --image {image}: no picture that can be read")
        return raw_frame(pixels)
    return None
