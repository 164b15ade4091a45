"""NVDEC against PyAV: the same frames in the same order, clips at the same places, and how fast."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import torch

from bench.gpu.section import Options, Row, Rows
from bench.synthetic_heatmaps import random_frames
from rt_pose.clock import NS_PER_S, Clock
from rt_pose.inference.gpu.video import FrameRange, read_on_device, read_ranges
from rt_pose.video import Channels, read_frames

FRAMES, RATE_HZ = 200, 100
LENGTH = 16


def measure(options: Options, rows: Rows) -> None:
    """Compare whole videos, gray and RGB, and clips at random places.

    Parameters
    ----------
    options
        Of the section.
    rows
        Keeps the rows.
    """
    with recording(options.video) as video:
        channels: tuple[Channels, ...] = (1, 3)
        for colours in channels:
            rows.add(f"every frame, {colours} channels", _whole, video, colours, rows.clock)
        rows.add("stretches at random places", _range_reads, video, rows.clock)


@contextmanager
def recording(given: Path | None, size: tuple[int, int] = (640, 480), frames: int = FRAMES) -> Iterator[Path]:
    """Get the given recording, or make one within the context.

    Parameters
    ----------
    given
        The recording; None makes one.
    size
        Width and height of a made one, px.
    frames
        Number of its frames.

    Yields
    ------
    Path
        The recording.
    """
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="rt-pose-video-") as folder:
        yield write_recording(Path(folder) / "made video.mp4", size, frames)


def write_recording(path: Path, size: tuple[int, int], frames: int) -> Path:
    """Write an H.264 file of a picture that wanders, with B frames and few key frames.

    Parameters
    ----------
    path
        The file.
    size
        Width and height, px.
    frames
        Number of frames.

    Returns
    -------
    Path
        The file.
    """
    width, height = size
    (scene,) = random_frames(1, width + 256, height + 256, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"g": "50", "bf": "2", "crf": "18", "preset": "veryfast"}
        for i in range(frames):
            x, y = (int(128 + 120 * f(i / 15)) for f in (np.sin, np.cos))
            image = np.ascontiguousarray(scene[y : y + height, x : x + width, 0])
            frame = av.VideoFrame.from_ndarray(image, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _whole(video: Path, channels: Channels, clock: Clock) -> Row:
    cpu = [frame.image for frame in read_frames(video, channels)]
    start_ns = clock.now_ns()
    apart = []
    device = torch.device("cuda", torch.cuda.current_device())
    for index, frame in enumerate(read_on_device(video, channels, device)):
        expected = torch.from_numpy(cpu[index]).to(device)
        apart.append(float((frame.float() - expected.float()).abs().mean()))
    seconds = (clock.now_ns() - start_ns) / NS_PER_S
    return {
        "frames": len(apart),
        "frames_of_pyav": len(cpu),
        "mean_grey_levels": float(np.mean(apart)),
        "worst_frame_grey_levels": float(np.max(apart)),
        "frames_per_s": len(apart) / seconds,
    }


def _range_reads(video: Path, clock: Clock) -> Row:
    cpu = [frame.image for frame in read_frames(video, 1)]
    starts = np.random.default_rng(0).integers(0, len(cpu) - LENGTH, 32)
    device = torch.device("cuda", torch.cuda.current_device())
    begin_ns = clock.now_ns()
    apart = []
    drawn = [FrameRange(video, int(start)) for start in starts]
    for frame_range, frames in zip(drawn, read_ranges(drawn, LENGTH, 1, device), strict=True):
        expected = np.stack(cpu[frame_range.start : frame_range.start + LENGTH])
        apart.append(float(np.abs(frames.cpu().numpy().astype(float) - expected).mean()))
    seconds = (clock.now_ns() - begin_ns) / NS_PER_S
    return {"stretches": len(apart), "worst_grey_levels": max(apart), "stretches_per_s": len(apart) / seconds}
