"""A lane without a GPU: work runs at once, on the CPU, and leaves its result where a recording would."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


class HostStream:
    """Everything of the GPU path but CUDA itself. Only what is launched while it is `on` is allowed."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")

    def on(self) -> AbstractContextManager[object]:
        return nullcontext()

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        with torch.no_grad():
            result = work().clone()

        def launch() -> None:
            with torch.no_grad():
                result.copy_(work())

        return launch, result

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.zeros(shape, dtype=dtype)

    def wait(self) -> None:
        pass
