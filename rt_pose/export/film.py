"""A film with what was seen drawn on it: keypoints, bones, the 90 % ellipse of each, and what fired."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.console import track
from rt_pose.errors import UserError
from rt_pose.export.ellipse import outlines
from rt_pose.export.poses import Pictures, Poses, Recording
from rt_pose.session.individuals import SURE, individual_colour
from rt_pose.types import FloatArray
from rt_pose.video import read_frames

SHOWN_S = 0.3
"""How long an event stays on the picture."""
TICKS = 90_000
"""Of the film's clock, a second."""
LINE_PX, FONT = 18, cv2.FONT_HERSHEY_SIMPLEX
SUBPIXEL = 4
"""OpenCV takes whole numbers: 1/16 px each."""
_COLOURS = [(230, 60, 60), (70, 160, 255), (80, 200, 90), (250, 180, 40), (180, 90, 220), (60, 200, 200)]
_YELLOW, _WHITE = (255, 220, 60), (255, 255, 255)
ABOVE_PX = 10
"""How far above an animal its name stands."""
Colour = tuple[int, int, int]


def write_film(recording: Recording, out: Path) -> None:
    """Draw the poses on their film; each frame is shown at its own time.

    Parameters
    ----------
    recording
        What is exported, of one camera that was filmed.
    out
        The file, .mp4.

    Raises
    ------
    UserError
        Where there is no film.
    """
    poses = recording.cameras[0]
    if poses.pictures is None:
        raise UserError(
            f"{recording.source}: there is no film to draw on; a session recorded with `record.video` has "
            "one, and of a file of predictions say the video with --video"
        )
    pictures, rate_hz = poses.pictures, poses.rate_hz
    encode(out, drawn(recording, poses, pictures), pictures.t_s, rate_hz)


def drawn(recording: Recording, poses: Poses, pictures: Pictures) -> Iterator[NDArray[np.uint8]]:
    """Decode the pictures, and draw on them.

    Parameters
    ----------
    recording
        For its events.
    poses
        The poses of the camera.
    pictures
        Its pictures.

    Yields
    ------
    NDArray[np.uint8]
        (H, W, 3) RGB.
    """
    events = [event for event in recording.events if event.camera == poses.camera]
    rows = zip(pictures.row.tolist(), pictures.t_s.tolist(), strict=True)
    frames = zip(rows, read_frames(pictures.path, 3), strict=False)
    for (row, t_s), frame in track(frames, pictures.path.name, len(pictures.row)):
        image = frame.image
        if row >= 0:
            draw(poses, row, image)
        lines = [event.text for event in events if 0.0 <= t_s - event.t_s < SHOWN_S]
        for i, text in enumerate(lines, 1):
            cv2.putText(image, text, (8, i * LINE_PX), FONT, 0.5, _YELLOW, 1, cv2.LINE_AA)
        yield image


def encode(out: Path, images: Iterator[NDArray[np.uint8]], t_s: FloatArray, rate_hz: float) -> None:
    """Write pictures as H.264 in MP4, each with its own time.

    Parameters
    ----------
    out
        The file.
    images
        (H, W, 3) RGB each, of one size; an odd row or column is cut.
    t_s
        (P,) when each is shown, s.
    rate_hz
        Nominal rate, frames/s.
    """
    base, last = Fraction(1, TICKS), -1
    with av.open(str(out), "w", format="mp4") as container:
        rate = Fraction(rate_hz).limit_denominator(1000)
        stream: Any = container.add_stream(
            "libx264", rate=rate, options={"crf": "18", "preset": "fast", "bf": "0"}
        )
        stream.pix_fmt, stream.codec_context.time_base, started = "yuv420p", base, False
        for image, at_s in zip(images, (t_s - t_s[0]).tolist(), strict=False):
            height, width = (size - size % 2 for size in image.shape[:2])
            if not started:
                stream.width, stream.height, started = width, height, True
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
            last = max(last + 1, round(at_s * TICKS))
            frame.pts, frame.time_base = last, base
            container.mux(stream.encode(frame))
        if started:
            container.mux(stream.encode(None))


def draw(poses: Poses, row: int, image: NDArray[np.uint8]) -> None:
    """Draw one frame's poses: keypoints in a colour each, or of several animals each animal in its own.

    Parameters
    ----------
    poses
        The poses.
    row
        Row of the frame.
    image
        (H, W, 3) RGB, written.
    """
    several = len(poses.individuals) > 1
    for n in range(len(poses.individuals)):
        seen = np.isfinite(poses.xy[row, n]).all(axis=-1)
        if not seen.any():
            continue
        colours = [animal_colour(n) if several else _COLOURS[k % len(_COLOURS)] for k in range(len(seen))]
        _draw_one(poses, row, n, seen, colours, image)
        if several:
            _label(poses, row, n, seen, image)


def animal_colour(n: int) -> Colour:
    """Choose the colour of one of several animals.

    Parameters
    ----------
    n
        Its slot.

    Returns
    -------
    tuple[int, int, int]
        RGB.
    """
    red, green, blue = bytes.fromhex(individual_colour(n)[1:])
    return red, green, blue


def _draw_one(
    poses: Poses, row: int, n: int, seen: NDArray[np.bool_], colours: list[Colour], image: NDArray[np.uint8]
) -> None:
    xy = poses.xy[row, n]
    for a, b in poses.skeleton:
        if seen[a] and seen[b]:
            begin, end = _points(xy[[a, b]]).tolist()
            cv2.line(image, begin, end, _WHITE, 1, cv2.LINE_AA, SUBPIXEL)
    known = np.flatnonzero(seen)
    if poses.covariance is not None:
        around = outlines(xy[known], poses.covariance[row, n, known])
        for k, outline in zip(known.tolist(), around, strict=True):
            cv2.polylines(image, [_points(outline)], True, colours[k], 1, cv2.LINE_AA, SUBPIXEL)
    for k in known.tolist():
        radius = 3 << SUBPIXEL
        cv2.circle(image, _points(xy[[k]])[0].tolist(), radius, colours[k], -1, cv2.LINE_AA, SUBPIXEL)


def _label(poses: Poses, row: int, n: int, seen: NDArray[np.bool_], image: NDArray[np.uint8]) -> None:
    """The name of an animal above it, with the probability that it is this one where that is not certain."""
    xy = poses.xy[row, n, seen]
    p = np.nan if poses.identity_p is None else poses.identity_p[row, n]
    text = f"{poses.individuals[n]} {p:.2f}" if p < SURE else poses.individuals[n]
    x, y = np.clip([xy[:, 0].mean(), xy[:, 1].min() - ABOVE_PX], -1e5, 1e5)
    where = round(float(x)), round(float(y))
    cv2.putText(image, text, where, FONT, 0.4, animal_colour(n), 1, cv2.LINE_AA)


def _points(xy: FloatArray) -> NDArray[np.int32]:
    """(P, 2) in OpenCV's parts of a pixel, no further away than it can count."""
    return np.rint(np.clip(xy, -1e5, 1e5) * (1 << SUBPIXEL)).astype(np.int32)
