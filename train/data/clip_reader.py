"""Frames of a clip out of a video: seek to the key frame before it, decode up to its end."""

from __future__ import annotations

import logging
from pathlib import Path

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from rt_pose.video import Channels
from rt_pose.video_pixels import is_monochrome, pixels_of, shown_size
from train.data.videos import IndexedVideo

_LOG = logging.getLogger(__name__)
KEYS_BACK = 2
"""Key frames before the nearest one from which decoding is tried as well."""
Images = list[NDArray[np.uint8]]


class ClipReader:
    """Reads clips, and keeps count of the frames that cannot be decoded. Not thread safe."""

    def __init__(self, channels: Channels) -> None:
        """Read frames with `channels` channels, 1 (gray) or 3 (RGB). Each damaged video is reported once."""
        self.corrupt: set[tuple[Path, int]] = set()
        """Frames met so far that cannot be decoded: file and time in the stream's own unit."""
        self._channels = channels
        self._reformatter = VideoReformatter()

    def read(self, video: IndexedVideo, start: int, length: int) -> Images | None:
        """Decode consecutive frames of a video.

        Parameters
        ----------
        video
            The video.
        start
            Index of the first frame.
        length
            Number of frames T.

        Returns
        -------
        list of NDArray or None
            T frames (H, W, C) uint8; None where one of them, or one that they are predicted from, cannot be
            decoded.
        """
        times = video.times[start : start + length]
        key = int(np.searchsorted(video.keys, times[0], side="right")) - 1
        damaged = int(times[0])
        # Once more from further back where that fails: in some containers a seek lands on the key frame after
        # the one meant, and a key frame that others lean on is not whole when decoding begins with it.
        for begin in range(key, max(key - KEYS_BACK, -1) - 1, -1):
            found, fault = self._decode(video, int(video.keys[max(begin, 0)]), times)
            if fault is None and len(found) == length:
                return found
            damaged = damaged if fault is None else fault
        self._note(video, damaged)
        return None

    def _decode(
        self, video: IndexedVideo, key_time: int, times: NDArray[np.int64]
    ) -> tuple[Images, int | None]:
        """What is found of the frames at `times`, from a key frame on; and the time of a damaged one."""
        found: Images = []
        wanted = {int(time) for time in times}
        first = True
        with av.open(str(video.path)) as container:
            stream = container.streams.video[0]
            monochrome = is_monochrome(stream.codec_context)
            if "444" in (stream.codec_context.pix_fmt or ""):
                # x264 before build 151 coded 4:4:4 in a way of its own, and says which build it is in the
                # first frame only: a decoder that has not seen that makes garbage of what comes after a seek.
                next(container.decode(stream), None)
            container.seek(key_time, stream=stream)
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    return found, packet.pts or packet.dts or 0
                for frame in frames:
                    time = frame.pts if frame.pts is not None else frame.dts
                    if frame.is_corrupt and (time in wanted or not first):
                        return found, time or 0
                    first = False
                    if time in wanted:
                        if shown_size(frame) != video.size:
                            return found, time or 0
                        found.append(
                            pixels_of(frame, self._reformatter, self._channels, monochrome=monochrome)
                        )
                    if time is not None and time >= times[-1]:
                        return found, None
        return found, None

    def _note(self, video: IndexedVideo, time: int) -> None:
        known = {path for path, _ in self.corrupt}
        self.corrupt.add((video.path, time))
        if video.path not in known:
            index = int(np.searchsorted(video.times, time))
            _LOG.info(
                f"video {video.path}: frame {index} cannot be decoded to {video.size[0]}x{video.size[1]}; no "
                "clip is taken across it"
            )
