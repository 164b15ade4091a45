"""The reference: the exported torch program in float32, against which other engines are held."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rt_pose.config.schema import Device
from rt_pose.extras import installed, remedy
from rt_pose.inference.engine import ContextEngine, engine_backend
from rt_pose.inference.torch_program import read_program
from rt_pose.package import InputSpec

PROGRAM = "network.pt2"


@engine_backend
class TorchEngine(ContextEngine):
    """`network.pt2`, exported with a free batch size. Sets torch's thread count for the whole process."""

    backend: ClassVar[str] = "torch"
    order: ClassVar[int] = 9
    device: ClassVar[Device] = "cpu"
    library: ClassVar[str] = "torch"

    def __init__(self, folder: Path, spec: InputSpec, precision: str, threads: int) -> None:
        """See `Engine.__init__`."""
        import torch

        self.spec = spec
        self.precision = precision
        self.threads = threads
        version = importlib.metadata.version("torch")
        self.description = f"torch {version} on the CPU (reference), {precision}, {threads} threads"
        torch.set_num_threads(threads)
        self._network = read_program(folder / PROGRAM).module()

    @classmethod
    def precisions(cls) -> list[str]:
        """See `Engine.precisions`."""
        return ["float32"]

    @classmethod
    def missing(cls, folder: Path, precision: str = "float32") -> str | None:  # noqa: ARG003
        """See `Engine.missing`."""
        if not installed("torch"):
            return f"torch is not installed; `{remedy('train')}`"
        if not (folder / PROGRAM).is_file():
            return f"it holds no {PROGRAM}; export the package again, or use the backend openvino"
        return None

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.infer`."""
        import torch

        if self.spec.context is not None:
            return self.advance(batch, np.zeros((len(batch), *self.spec.context.shape), np.float32))
        with torch.inference_mode():
            heatmaps: NDArray[np.float32] = self._network(torch.from_numpy(batch)).numpy()
        return heatmaps

    def advance(self, batch: NDArray[np.float32], past: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `ContextEngine.advance`."""
        import torch

        with torch.inference_mode():
            heatmaps, following = self._network(torch.from_numpy(batch), torch.from_numpy(past))
            np.copyto(past, following.numpy())
            found: NDArray[np.float32] = heatmaps.numpy()
        return found
