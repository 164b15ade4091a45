"""Recorded video decoded by the GPU (NVDEC) through DALI, its frames left on the device."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rt_pose.errors import UserError, first_line
from rt_pose.inference.gpu.device import out_of_memory
from rt_pose.video import Channels, VideoInfo, probe

SEQUENCE = 8
"""Frames that a reader of a whole video gives at a time."""
LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue (BT.601), as the preprocessing makes gray of colours."""


@dataclass(frozen=True)
class FrameRange:
    """Frames that follow one another in a video."""

    video: Path
    start: int
    """Index of the first."""


def read_on_device(path: Path, channels: Channels, device: torch.device) -> Iterator[Tensor]:
    """Decode the frames of a video on the device, in the order shown.

    Parameters
    ----------
    path
        The video.
    channels
        1 for gray, 3 for RGB.
    device
        The GPU.

    Yields
    ------
    Tensor
        Frames (H, W, C) uint8 on the device, each valid until the next.

    Raises
    ------
    UserError
        Where NVDEC cannot decode it or would show it turned, or it ends early.
    """
    info = probe(path)
    check_upright(info)
    total = info.frames
    sequences = -(-total // SEQUENCE)
    with _quoted(path):
        pipeline = _pipeline(device, SEQUENCE, {"filenames": [str(path)], "pad_sequences": True})
    for k in range(sequences):
        with _quoted(path):
            sequence = _sequence(pipeline, channels)
        yield from sequence[: total - k * SEQUENCE]


def check_upright(info: VideoInfo) -> None:
    """Refuse a video whose display matrix turns its frames: NVDEC leaves them as they lie in the file.

    Parameters
    ----------
    info
        What the file holds.

    Raises
    ------
    UserError
        Where it is such a video.
    """
    if info.rotation:
        raise UserError(
            f"video {info.path}: its frames are turned by {info.rotation} degrees when they are shown, and "
            "the GPU's decoder leaves them as they lie; use `decoder: pyav`, or write them turned: "
            f"`ffmpeg -i {info.path.name} -crf 12 {info.path.stem}_new.mp4`"
        )


def read_ranges(
    ranges: Sequence[FrameRange], length: int, channels: Channels, device: torch.device
) -> Iterator[Tensor]:
    """Decode ranges of frames on the device, in their order. The reader decodes ahead.

    Parameters
    ----------
    ranges
        Where each range begins; at least one.
    length
        Frames of each range.
    channels
        1 for gray, 3 for RGB.
    device
        The GPU.

    Yields
    ------
    Tensor
        Each range, (length, H, W, C) uint8 on the device.

    Raises
    ------
    UserError
        Where NVDEC cannot decode one.
    """
    with tempfile.TemporaryDirectory(prefix="rt-pose-clips-") as folder:
        names = _plain_names([frame_range.video for frame_range in ranges], Path(folder))
        listing = Path(folder) / "stretches.txt"
        listing.write_text(file_list(ranges, length, names), encoding="utf-8")
        first = ranges[0].video
        options = {"file_list": str(listing), "file_list_frame_num": True, "step": length}
        with _quoted(first):
            pipeline = _pipeline(device, length, options)
        for frame_range in ranges:
            with _quoted(frame_range.video):
                sequence = _sequence(pipeline, channels)
            yield sequence


def file_list(ranges: Sequence[FrameRange], length: int, names: dict[Path, Path]) -> str:
    """Format DALI's list of ranges, a line each: file, label, first frame, the one after the last.

    Parameters
    ----------
    ranges
        Where each range begins.
    length
        Frames of each range.
    names
        The names that DALI opens the videos by.

    Returns
    -------
    str
        The text of the list.
    """
    return "".join(f"{names[s.video]} {i} {s.start} {s.start + length}\n" for i, s in enumerate(ranges))


def to_gray(frames: Tensor) -> Tensor:
    """Convert colours to luma.

    Parameters
    ----------
    frames
        RGB (..., 3) uint8.

    Returns
    -------
    Tensor
        (..., 1) uint8.
    """
    weights = torch.tensor(LUMA, device=frames.device)
    return (frames.float() @ weights).round().to(torch.uint8)[..., None]


def _plain_names(videos: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Links to the videos under names without blanks, which DALI's list cannot hold."""
    names: dict[Path, Path] = {}
    for video in videos:
        if video not in names:
            names[video] = folder / f"video{len(names)}{video.suffix}"
            names[video].symlink_to(video.absolute())
    return names


def _pipeline(device: torch.device, length: int, options: dict[str, Any]) -> Any:
    from nvidia.dali import Pipeline, fn, types

    pipeline = Pipeline(batch_size=1, num_threads=1, device_id=device.index, prefetch_queue_depth=2)
    with pipeline:
        found = fn.readers.video(
            device="gpu",
            sequence_length=length,
            random_shuffle=False,
            dtype=types.UINT8,
            image_type=types.RGB,
            **options,
        )
        pipeline.set_outputs(found[0] if isinstance(found, (list, tuple)) else found)
    pipeline.build()
    return pipeline


def _sequence(pipeline: Any, channels: Channels) -> Tensor:
    """(F, H, W, C) on the device."""
    (output,) = pipeline.run()  # without a stream: DALI has waited for it
    frames: Tensor = torch.from_dlpack(output.as_tensor())[0]
    # A copy of our own: DALI's memory may become another sequence's while ours still waits to be read.
    frames = to_gray(frames) if channels == 1 else frames.clone()
    torch.cuda.current_stream(frames.device).synchronize()
    return frames


@contextmanager
def _quoted(path: Path) -> Iterator[None]:
    """Turn DALI's errors within the block into UserErrors."""
    try:
        with out_of_memory(f"decoding {path}"):
            yield
    except (RuntimeError, StopIteration) as error:
        raise UserError(
            f"video {path}: the GPU's decoder cannot read it: {first_line(error)}; use `decoder: pyav`, or "
            "convert it to H.264 of a constant frame rate"
        ) from error
