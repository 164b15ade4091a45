"""One CUDA stream for everything between a frame and its keypoints, with graphs recorded on it.

Whatever is launched inside a stream's `on` runs on it in the order of the launches, so nothing needs
an event but what comes from elsewhere (DALI's own stream) or goes to the host. torch's streams do not wait
for the default stream: tensors that graphs read or write are made and filled inside `on`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch
from torch import Tensor

from rt_pose.inference.gpu.device import open_gpu

WARM_UPS = 3
"""Runs ahead of a recording: libraries choose kernels and allocate workspaces then, which no graph may."""


class CudaStream(Protocol):
    """Where device work is launched. One thread at a time."""

    device: torch.device

    def on(self) -> AbstractContextManager[object]:
        """Make this stream the current one within a block.

        Returns
        -------
        AbstractContextManager[object]
            The block's context manager.
        """
        ...

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        """Record work as one launch.

        Parameters
        ----------
        work
            Launches kernels and returns their result; it reads tensors that stay where they are.

        Returns
        -------
        tuple[Callable[[], object], Tensor]
            The launch, to be called inside `on`, and the tensor that every launch leaves its result in.
        """
        ...

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Allocate host memory that the device copies from and to by itself (pinned).

        Parameters
        ----------
        shape
            Shape of the tensor.
        dtype
            Type of its elements.

        Returns
        -------
        Tensor
            The tensor, filled with zeros.
        """
        ...

    def wait(self) -> None:
        """Return when all that was launched is done."""
        ...


class TorchCudaStream:
    """A stream of the GPU, of high priority."""

    def __init__(self) -> None:
        """Open the GPU and make a stream on it.

        Raises
        ------
        UserError
            Where there is no usable GPU.
        """
        self.device = torch.device("cuda", open_gpu())
        self.stream = torch.cuda.Stream(self.device, priority=-1)
        # Spinning, not blocking: a wake-up of the scheduler costs more than what is waited for.
        self._done = torch.cuda.Event(blocking=False)
        # One pool for all graphs: they never run at once, and none reads what it did not write itself.
        self._pool = torch.cuda.graph_pool_handle()

    def on(self) -> AbstractContextManager[object]:
        """See `CudaStream.on`."""
        return torch.cuda.stream(self.stream)

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        """See `CudaStream.record`."""
        with _require_full_precision():
            with self.on():
                for _ in range(WARM_UPS):
                    work()
            self.stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            # thread_local: other threads (DALI's, cameras') may go on calling CUDA meanwhile.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self.stream, capture_error_mode="thread_local"
            ):
                result = work()
        return graph.replay, result

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """See `CudaStream.host`."""
        return torch.zeros(shape, dtype=dtype, pin_memory=True)

    def wait(self) -> None:
        """See `CudaStream.wait`."""
        self._done.record(self.stream)
        self._done.synchronize()


@contextmanager
def _require_full_precision() -> Iterator[None]:
    """Within the block float32 is float32 (no TF32), and convolutions are chosen by measurement among those
    that give the same bits every time."""
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        matmul.allow_tf32 = before
