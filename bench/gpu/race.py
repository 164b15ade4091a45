"""Wrong pixels between DALI's stream and ours: how often, in each of three ways to read its output.

    ours        the output is bound to our stream, which waits for it on the device before the cast
    waiting     the host waits for everything after each step: right by construction, and slow
    careless    the output is read without an order, as the known fault of the field does

Frames are large, so that DALI is busy for longer than a launch takes, and come from a small pool in a random
order, so that the right result is known to the bit for each of them.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bench.gpu.section import Options, Row, Rows
from rt_pose.clock import NS_PER_S, Clock
from rt_pose.inference.gpu.frames import DaliFrames
from rt_pose.inference.gpu.staging import Staging
from rt_pose.inference.gpu.stream import TorchCudaStream
from rt_pose.package import InputSpec

Way = Literal["ours", "waiting", "careless"]
SPEC = InputSpec(256, 256, 3, [123.7, 116.3, 103.5], [58.4, 57.1, 57.4])
SIZE = (1280, 1024)
POOL, FRAMES, HUNDRED = 16, 10_000, 100
WITHOUT_ORDER = -1
"""The stream by which DLPack means that a consumer wants no waiting."""


def measure(options: Options, rows: Rows) -> None:
    """Measure each way; what the careless one gets wrong is what the others must not.

    Parameters
    ----------
    options
        Of the section.
    rows
        Keeps the rows.
    """
    frames = 500 if options.quick else FRAMES
    for left, way in ((3, "waiting"), (2, "ours"), (1, "careless")):
        rows.add(way, _row, way, frames, rows.left_s() / left, rows.clock)


def _row(way: Way, frames: int, seconds: float, clock: Clock) -> Row:
    """As many frames as fit into `seconds`, in hundreds."""
    end_ns, done, wrong = clock.now_ns() + seconds * NS_PER_S, 0, 0
    search = Search(way)
    while done < frames and clock.now_ns() < end_ns:
        wrong += search.wrong(min(HUNDRED, frames - done))
        done += HUNDRED
    return {"frames": min(done, frames), "wrong": wrong}


class _WaitingFrames(DaliFrames):
    """The host waits for DALI and for everything else."""

    def ordered(self, pipeline: Any, staged: list[NDArray[np.uint8]]) -> Any:
        pipeline.feed_input("frames", staged)
        (output,) = pipeline.run()
        torch.cuda.synchronize()
        return output.as_tensor()


class _UnsynchronisedFrames(DaliFrames):
    """The output is bound to another stream, and DLPack is told not to wait."""

    def __init__(self, spec: InputSpec, cuda_stream: TorchCudaStream, staging: Staging) -> None:
        super().__init__(spec, cuda_stream, staging)
        self._other = torch.cuda.Stream()

    def ordered(self, pipeline: Any, staged: list[NDArray[np.uint8]]) -> Any:
        pipeline.feed_input("frames", staged)
        (output,) = pipeline.run(self._other)
        return _Unordered(output.as_tensor())


class _Unordered:
    """A DALI tensor that asks no consumer to wait."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __dlpack_device__(self) -> Any:
        return self._tensor.__dlpack_device__()

    def __dlpack__(self, **_: Any) -> Any:
        return self._tensor.__dlpack__(stream=WITHOUT_ORDER)


_WAYS = {"ours": DaliFrames, "waiting": _WaitingFrames, "careless": _UnsynchronisedFrames}


class Search:
    """Puts frames of the pool through one way, in a random order, and compares each on the device."""

    def __init__(self, way: Way, seed: int = 0) -> None:
        """Make the pool and the right results.

        Parameters
        ----------
        way
            Way to read DALI's output.
        seed
            Seed of pool and order.
        """
        self._way, self._random = way, np.random.default_rng(seed)
        self._pool = [self._random.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8) for _ in range(POOL)]
        self._right = _inputs(_WaitingFrames, self._pool)
        self._cuda_stream = TorchCudaStream()
        self._preprocess = _WAYS[way](SPEC, self._cuda_stream, Staging(self._cuda_stream))

    def wrong(self, frames: int) -> int:
        """Count wrong results.

        Parameters
        ----------
        frames
            How many frames to try.

        Returns
        -------
        int
            How many were wrong.
        """
        cuda_stream, right = self._cuda_stream, self._right
        with cuda_stream.on():
            inputs = torch.zeros((1, *right.shape[1:]), device=cuda_stream.device)
            wrong = torch.zeros((), dtype=torch.int64, device=cuda_stream.device)
        for which in self._random.integers(0, POOL, frames):
            with cuda_stream.on():
                self._preprocess.into([self._pool[which]], [None], inputs)
                wrong += (inputs[0] != right[which]).any()
            cuda_stream.wait()
            if self._way == "careless":
                torch.cuda.synchronize()  # the next frame's memory is not to be this one's
        return int(wrong.item())


def _inputs(kind: type[DaliFrames], pool: list[NDArray[np.uint8]]) -> torch.Tensor:
    cuda_stream = TorchCudaStream()
    preprocess = kind(SPEC, cuda_stream, Staging(cuda_stream))
    with cuda_stream.on():
        found = torch.zeros((len(pool), 3, SPEC.height, SPEC.width), device=cuda_stream.device)
        for i, image in enumerate(pool):
            preprocess.into([image], [None], found[i : i + 1])
            torch.cuda.synchronize()
    return found
