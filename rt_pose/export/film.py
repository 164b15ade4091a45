"""A film with what was seen drawn on it: keypoints, bones, the 90 % ellipse of each, and what fired."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.console import track
from rt_pose.errors import UserError
from rt_pose.export.poses import Poses
from rt_pose.session.video_file import read_times
from rt_pose.video import read_frames

SHOWN_S = 0.3
"""How long an event stays on the picture."""
CHI2_90 = 4.605
"""90 % of a Gaussian in the plane lie within this squared distance."""
_COLOURS = [(230, 60, 60), (70, 160, 255), (80, 200, 90), (250, 180, 40), (180, 90, 220), (60, 200, 200)]


def write_film(poses: Poses, out: Path) -> None:
    """Draw the poses on their film.

    Parameters
    ----------
    poses
        The poses of a session that was filmed.
    out
        The file, .mp4.

    Raises
    ------
    UserError
        Where there is no film.
    """
    if poses.video is None or poses.session is None:
        raise UserError(f"{poses.source}: there is no film to draw on; a session recorded with `record.video` has one")
    times = read_times(poses.session.path, poses.camera)
    assert times is not None
    row_of = {int(frame): row for row, frame in enumerate(poses.frames)}
    rate = Fraction(poses.rate_hz or 30.0).limit_denominator(1000)
    with av.open(str(out), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "fast"})
        frames = zip(times.frame.tolist(), read_frames(poses.video, 3), strict=False)
        for index, frame in track(frames, out.name, len(times.frame)):
            image = np.ascontiguousarray(frame.image)
            if index in row_of:
                draw(poses, row_of[index], image)
            height, width = (size - size % 2 for size in image.shape[:2])
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image[:height, :width], format="rgb24")))
        container.mux(stream.encode(None))


def draw(poses: Poses, row: int, image: NDArray[np.uint8]) -> None:
    """Draw one frame's pose and events.

    Parameters
    ----------
    poses
        The poses.
    row
        Row of the frame.
    image
        (H, W, 3) RGB, written.
    """
    offset = (0, 0) if poses.session is None else poses.session.info.cameras[poses.camera].offset_xy
    xy = poses.xy[row] - np.array(offset)
    seen = np.isfinite(xy).all(axis=-1)
    for a, b in poses.skeleton:
        if seen[a] and seen[b]:
            cv2.line(image, _point(xy[a]), _point(xy[b]), (255, 255, 255), 1, cv2.LINE_AA)
    for k in np.flatnonzero(seen).tolist():
        colour = _COLOURS[k % len(_COLOURS)]
        if poses.covariance is not None:
            _draw_ellipse(image, xy[k], poses.covariance[row, k], colour)
        cv2.circle(image, _point(xy[k]), 3, colour, -1, cv2.LINE_AA)
    t_s, line = poses.t_s[row], 18
    for event in poses.events:
        if 0.0 <= t_s - event.t_s < SHOWN_S:
            text = f"{event.rule}: {event.outcome}" + (f" ({event.reason})" if event.reason else "")
            cv2.putText(image, text, (8, line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 220, 60), 1, cv2.LINE_AA)
            line += 18


def _draw_ellipse(
    image: NDArray[np.uint8], xy: NDArray[np.float64], covariance: NDArray[np.float64], colour: tuple[int, int, int]
) -> None:
    sxx, sxy, syy = covariance
    values, vectors = np.linalg.eigh(np.array([[sxx, sxy], [sxy, syy]]))
    if not np.isfinite(values).all() or values.min() <= 0.0:
        return
    axes = np.sqrt(values[::-1] * CHI2_90)
    if axes.max() > max(image.shape):
        return
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    cv2.ellipse(image, (tuple(xy.tolist()), tuple((2 * axes).tolist()), angle), colour, 1, cv2.LINE_AA)


def _point(xy: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(xy[0])), round(float(xy[1]))
