"""A network recorded as CUDA graphs, one a batch size, with what follows it and the copy back.

Graphs read and write memory that stays where it is: `inputs` is filled for every call, and each graph
leaves its result in a tensor of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.errors import UserError
from rt_pose.inference.gpu.device import out_of_memory
from rt_pose.inference.gpu.stream import CudaStream
from rt_pose.package import InputSpec

MAX_FRAMES = 16
"""Frames of one call: cameras of one loop."""
Forward = Callable[[Tensor], Tensor]


@dataclass
class _Recorded:
    launch: Callable[[], object]
    result: Tensor
    """On the device."""
    host: Tensor
    """Pinned, float32."""


class NetworkGraphs:
    """(B, C, h, w) network input to a float32 result on the host, B frames a call."""

    def __init__(
        self,
        cuda_stream: CudaStream,
        forward: Forward,
        spec: InputSpec,
        dtype: torch.dtype,
        tail: Forward | None = None,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        """Allocate the network's input on the device; the graph of a batch size is recorded at its first use.

        Parameters
        ----------
        cuda_stream
            Where everything is launched.
        forward
            Makes heatmaps of input, both on the device of `cuda_stream`.
        spec
            The network's input.
        dtype
            Type of the input on the device.
        tail
            Makes the result of float32 heatmaps; None gives the heatmaps themselves.
        layout
            Memory layout of the input on the device.

        Raises
        ------
        UserError
            Where the GPU's memory runs out.
        """
        self._cuda_stream, self._forward, self._tail = cuda_stream, forward, tail
        self._recorded: dict[int, _Recorded] = {}
        self._batches: dict[int, Tensor] = {}
        with out_of_memory("making room for the network's input"), cuda_stream.on():
            room = torch.zeros(
                (MAX_FRAMES, spec.channels, spec.height, spec.width), dtype=dtype, device=cuda_stream.device
            )
            self.inputs = room.contiguous(memory_format=layout)

    def batch(self, count: int) -> Tensor:
        """Look up where the input of a call lies.

        Parameters
        ----------
        count
            Number of frames of the call.

        Returns
        -------
        Tensor
            (count, C, h, w) on the device; the caller fills it.

        Raises
        ------
        UserError
            Where more frames are asked for than fit (`MAX_FRAMES`).
        """
        found = self._batches.get(count)
        if found is None:
            if not 1 <= count <= MAX_FRAMES:
                raise UserError(
                    f"engine.device: a call on the GPU takes 1 to {MAX_FRAMES} frames, got {count}; use "
                    "fewer cameras in one loop"
                )
            found = self._batches[count] = self.inputs[:count]
        return found

    def launch(self, count: int, fetch: bool = True) -> None:
        """Launch the graph on the first `count` inputs; nothing is waited for.

        The call belongs inside the stream's `on`.

        Parameters
        ----------
        count
            Number of frames.
        fetch
            Whether to copy the result to the host as well.

        Raises
        ------
        UserError
            Where the GPU's memory runs out while the graph is recorded.
        """
        recorded = self._recorded.get(count)
        if recorded is None:
            recorded = self._recorded[count] = self._record(count)
        recorded.launch()
        if fetch:  # outside the graph: the one copy back, into pinned memory
            recorded.host.copy_(recorded.result, non_blocking=True)

    def result(self, count: int) -> NDArray[np.float32]:
        """Look up what the last launch with `count` left, once the stream has been waited for.

        Parameters
        ----------
        count
            Number of frames.

        Returns
        -------
        NDArray[np.float32]
            The result on the host, (count, ...) float32; valid until the next launch.
        """
        found: NDArray[np.float32] = self._recorded[count].host.numpy()
        return found

    def _record(self, count: int) -> _Recorded:
        inputs = self.batch(count)

        def work() -> Tensor:
            heatmaps = self._forward(inputs).float()
            return (heatmaps if self._tail is None else self._tail(heatmaps)).contiguous()

        with out_of_memory(f"recording the network for {count} frames"), torch.no_grad():
            launch, result = self._cuda_stream.record(work)
            return _Recorded(launch, result, self._cuda_stream.host(tuple(result.shape), torch.float32))
