"""Recordings as they come from phones, recorders and cameras that were stopped: made from a plain one."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 48


def corner(index: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A gray frame (H, W) that is bright in its upper left quarter and rises by 2 levels a frame."""
    image = np.full((height, width), 40 + 2 * index, np.uint8)
    image[: height // 2, : width // 2] = 200
    return image


def film(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    rotation: float = 0.0,
    hflip: bool = False,
    container: str | None = None,
    rate: int = 30,
    **options: str,
) -> Path:
    """A video of gray frames (H, W) or colour frames (H, W, 3); turned by `rotation` degrees when shown."""
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(
            codec, rate=rate, options=options or {"crf": "4"} if codec == "libx264" else {}
        )
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if rotation or hflip:
            stream.set_display_rotation(rotation, hflip=hflip)
        for i, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="gray" if image.ndim == 2 else "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def with_count(path: Path, count: int, index: bool = True) -> Path:
    """A copy of an AVI whose header speaks of `count` frames; without its index, as after a crash."""
    data = bytearray(path.read_bytes())
    at = data.find(b"avih") + 8
    data[at + 16 : at + 20] = struct.pack("<I", count)
    at = data.find(b"strh") + 8
    data[at + 32 : at + 36] = struct.pack("<I", count)
    if not index:
        del data[data.rfind(b"idx1") :]
    copy = path.with_stem(f"{path.stem}_{count}_{index}")
    copy.write_bytes(data)
    return copy


def with_dropped_frames(path: Path, dropped: Sequence[int]) -> Path:
    """A copy of an AVI in which some frames are chunks without bytes: show the last one again."""
    data = path.read_bytes()
    movi, end = data.find(b"movi"), data.rfind(b"idx1")
    body, index, at, number = b"movi", b"", movi + 4, 0
    while at < end and data[at : at + 4] == b"00dc":
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        held = b"" if number in dropped else data[at + 8 : at + 8 + size]
        index += b"00dc" + struct.pack("<III", 16, len(body), len(held))
        body += b"00dc" + struct.pack("<I", len(held)) + held + b"\0" * (len(held) % 2)
        at += 8 + size + size % 2
        number += 1
    head = data[: movi - 8]
    lists = b"LIST" + struct.pack("<I", len(body)) + body + b"idx1" + struct.pack("<I", len(index)) + index
    whole = bytearray(head + lists)
    whole[4:8] = struct.pack("<I", len(whole) - 8)
    copy = path.with_stem(f"{path.stem}_dropped")
    copy.write_bytes(whole)
    return copy


def joined(path: Path, *parts: Sequence[NDArray[np.uint8]]) -> Path:
    """A transport stream of several recordings one after another, the times of each from its beginning."""
    pieces = [
        film(path.with_stem(f"{path.stem}_{i}"), part, container="mpegts") for i, part in enumerate(parts)
    ]
    path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    return path
