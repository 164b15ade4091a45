"""The package's torch program on a GPU, recorded as a CUDA graph: nothing to install beyond torch."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rt_pose.config.schema import Device
from rt_pose.extras import installed, remedy
from rt_pose.inference.engine import Call, Engine, engine_backend
from rt_pose.inference.engines.torch_reference import PROGRAM
from rt_pose.package import InputSpec

if TYPE_CHECKING:
    from torch import Tensor

    from rt_pose.inference.gpu.graphs import NetworkGraphs
    from rt_pose.inference.gpu.stream import CudaStream

DTYPES = {"fp16": "float16", "bf16": "bfloat16", "float32": "float32"}


class StreamEngine(Engine):
    """What the engines of a GPU share: their network runs in graphs on one stream."""

    cuda_stream: CudaStream
    _graphs: NetworkGraphs

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.infer`. To the device, through the graph, and back."""
        import torch

        count = len(batch)
        with self.cuda_stream.on():
            self._graphs.inputs[:count].copy_(torch.from_numpy(batch))
            self._graphs.launch(count)
        self.cuda_stream.wait()
        return self._graphs.result(count)

    def ready(self, frames: int = 1) -> Call:
        """See `Engine.ready`. A call returns when its heatmaps are on the device."""

        def call() -> None:
            with self.cuda_stream.on():
                self._graphs.launch(frames, fetch=False)
            self.cuda_stream.wait()

        call()  # recorded now, not when the first is timed
        return call


@engine_backend
class TorchCudaEngine(StreamEngine):
    """`network.pt2` with its batch norms folded, channels last, on one stream of the GPU."""

    backend: ClassVar[str] = "torch_cuda"
    order: ClassVar[int] = 1
    device: ClassVar[Device] = "gpu"
    library: ClassVar[str] = "torch"

    def __init__(
        self,
        folder: Path,
        spec: InputSpec,
        precision: str,
        threads: int,
        cuda_stream: CudaStream | None = None,
    ) -> None:
        """See `Engine.__init__`. Runs on a stream of the GPU.

        Parameters
        ----------
        folder, spec, precision, threads
            As there.
        cuda_stream
            Where to run; None for a new stream of the GPU.

        Raises
        ------
        UserError
            Where there is no usable GPU, or the network's file cannot be used.
        """
        import torch

        from rt_pose.inference.gpu.device import out_of_memory
        from rt_pose.inference.gpu.graphs import NetworkGraphs
        from rt_pose.inference.gpu.network import load_program
        from rt_pose.inference.gpu.stream import TorchCudaStream

        self.spec, self.precision, self.threads = spec, precision, threads
        self.cuda_stream = cuda_stream or TorchCudaStream()
        self.dtype, self.layout = getattr(torch, DTYPES[precision]), torch.channels_last
        # While the stream is current: conversions run on the current stream, and must be done before graphs
        # are recorded.
        with out_of_memory("loading the network"), self.cuda_stream.on():
            self._network: Any = load_program(folder / PROGRAM, self.cuda_stream.device, self.dtype)
        self._graphs = NetworkGraphs(self.cuda_stream, self.forward, spec, self.dtype)
        version = importlib.metadata.version("torch")
        self.description = f"torch {version} ({self.backend}) on {device_name(self.cuda_stream)}, {precision}"

    @classmethod
    def precisions(cls) -> list[str]:
        """See `Engine.precisions`."""
        return list(DTYPES)

    @classmethod
    def missing(cls, folder: Path, precision: str = "float32") -> str | None:  # noqa: ARG003
        """See `Engine.missing`."""
        if not installed("torch"):
            return f"torch is not installed; `{remedy('gpu')}`"
        if not (folder / PROGRAM).is_file():
            return f"it holds no {PROGRAM}; export the package again, or use the backend tensorrt"
        return None

    def forward(self, inputs: Tensor) -> Tensor:
        """See `DeviceEngine.forward`."""
        found: Tensor = self._network(inputs)
        return found


def device_name(cuda_stream: CudaStream) -> str:
    """Look up the name of the GPU.

    Parameters
    ----------
    cuda_stream
        A stream on it.

    Returns
    -------
    str
        Its name as the driver gives it.
    """
    import torch

    return (
        torch.cuda.get_device_name(cuda_stream.device)
        if cuda_stream.device.type == "cuda"
        else str(cuda_stream.device)
    )
