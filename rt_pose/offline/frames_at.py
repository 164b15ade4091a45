"""Single frames of a video: by seeking where that is known to be exact, otherwise decoded from its start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from rt_pose.video import Channels, VideoReader
from rt_pose.video_pixels import is_monochrome, pixels_of

Images = dict[int, NDArray[np.uint8]]


def read_frames_at(video: Path, numbers: Sequence[int], frames: int, channels: Channels) -> Images:
    """Decode some frames of a video.

    Parameters
    ----------
    video
        The file.
    numbers
        Which ones, from 0 in the order shown.
    frames
        How many frames there were when the whole video was read.
    channels
        1 gray, 3 RGB.

    Returns
    -------
    Images
        (H, W, C) uint8 by number.

    Raises
    ------
    UserError
        Where the file is not a video, or breaks off before one of them.
    """
    wanted = sorted(set(numbers))
    try:
        found = _by_seeking(video, wanted, frames, channels)
    except (av.error.FFmpegError, OSError):
        found = None  # decoded from the start, the file's fault has a name
    return _from_the_start(video, wanted, channels) if found is None else found


def _from_the_start(video: Path, wanted: Sequence[int], channels: Channels) -> Images:
    with VideoReader(video, channels) as reader:
        return {frame.index: frame.image for frame in reader.read_at(wanted)}


def _by_seeking(video: Path, wanted: Sequence[int], frames: int, channels: Channels) -> Images | None:
    """None where times do not tell which frame is which, or a seek did not lead to a frame."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        if "444" in (stream.codec_context.pix_fmt or ""):
            return None  # of some encoders it cannot be decoded without the first frame
        packets = [(p.pts, p.is_keyframe, p.is_discard) for p in container.demux(stream) if p.size]
        times = sorted({pts for pts, _, _ in packets if pts is not None})
        # One packet a frame, each with a time of its own.
        if not len(times) == len(packets) == frames or any(discarded for *_, discarded in packets):
            return None
        keys = sorted(pts for pts, is_key, _ in packets if is_key and pts is not None)
        reformatter, monochrome = VideoReformatter(), is_monochrome(stream.codec_context)
        found: Images = {}
        for number in wanted:
            key = int(np.searchsorted(keys, times[number], side="right")) - 1
            frame = None if key < 0 else _frame_at(container, stream, keys[key], times[number])
            if frame is None:
                return None
            found[number] = pixels_of(frame, reformatter, channels, monochrome=monochrome)
        return found


def _frame_at(container: Any, stream: Any, key: int, time: int) -> Any:
    """The frame of a time; None where decoding from its key frame does not lead to it."""
    container.seek(key, stream=stream)
    for frame in container.decode(stream):
        if frame.pts == time:
            return None if frame.is_corrupt else frame
        if frame.pts is None or frame.pts > time:
            return None
    return None
