"""Frames on their way to the device: in memory that it reads by itself."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from rt_pose.inference.gpu.stream import CudaStream

PORTABLE = 1
"""CU_MEMHOSTREGISTER_PORTABLE: pinned for every context."""
_LOG = logging.getLogger(__name__)

Region = tuple[int, int, int, int]
"""x, y, width and height of a part of the frame, px."""


class Staging:
    """Pinned room for the frames of one call, and the pinned memory of others that needs none.

    What is staged is read by the device until the stream's next wait: stage again only after it.
    """

    def __init__(self, cuda_stream: CudaStream) -> None:
        """Begin without any memory.

        Parameters
        ----------
        cuda_stream
            The stream whose waits say that staged memory may be written again.
        """
        self._cuda_stream = cuda_stream
        self._room: dict[tuple[int, tuple[int, ...]], NDArray[np.uint8]] = {}
        self._pinned: list[tuple[int, int]] = []
        """First and last + 1 address of memory registered with the driver."""

    def stage(self, slot: int, image: NDArray[np.uint8], window: Region | None) -> NDArray[np.uint8]:
        """Bring a frame, or a window of it, into pinned memory, contiguous.

        Parameters
        ----------
        slot
            Place of the frame in the call.
        image
            Frame (H, W, C) uint8.
        window
            Its part (x, y, width, height), px; None for the whole.

        Returns
        -------
        NDArray[np.uint8]
            The frame itself where it lies in pinned memory whole, otherwise a copy.
        """
        if window is not None:
            x, y, width, height = window
            image = image[y : y + height, x : x + width]
        elif self._is_pinned(image):
            return image
        key = slot, image.shape
        if key not in self._room:
            self._room[key] = self._cuda_stream.host(image.shape, torch.uint8).numpy()
        np.copyto(self._room[key], image)
        return self._room[key]

    def pin(self, memory: NDArray[np.uint8]) -> Callable[[], None]:
        """Let the device read `memory` in place.

        Parameters
        ----------
        memory
            The memory, for example the ring of a camera.

        Returns
        -------
        Callable[[], None]
            To be called before the memory is released.
        """
        first = memory.ctypes.data
        span = first, first + memory.nbytes
        release = register(first, memory.nbytes)
        if release is None:
            return _nothing  # frames are staged, as those from anywhere else
        self._pinned.append(span)

        def unpin() -> None:
            self._pinned.remove(span)
            release()

        return unpin

    def _is_pinned(self, image: NDArray[np.uint8]) -> bool:
        if not self._pinned:
            return False
        at = image.ctypes.data
        return image.flags.c_contiguous and any(a <= at and at + image.nbytes <= b for a, b in self._pinned)


def register(address: int, size: int) -> Callable[[], object] | None:
    """Page-lock memory with the CUDA driver.

    The driver is asked, not the runtime: a refusal there would surface as an error of torch's next launch.

    Parameters
    ----------
    address
        Where the memory begins.
    size
        Its size, bytes.

    Returns
    -------
    Callable[[], object] | None
        What undoes it; None, with a warning in the log, where the driver refuses.
    """
    if not torch.cuda.is_initialized():
        return _nothing  # there is no device to read it
    # The driver speaks to a thread's current context, which a call of the runtime makes torch's own.
    torch.cuda.synchronize()
    driver = ctypes.CDLL("libcuda.so.1")
    pointer = ctypes.c_void_p(address)
    status = driver.cuMemHostRegister_v2(pointer, ctypes.c_size_t(size), ctypes.c_uint(PORTABLE))
    if status != 0:
        _LOG.warning(
            "the driver does not pin %d MiB of camera memory (CUDA error %d): frames are copied first; "
            "`ulimit -l` may be the limit",
            size >> 20,
            status,
        )
        return None
    return lambda: driver.cuMemHostUnregister(pointer)


def _nothing() -> None:
    pass
