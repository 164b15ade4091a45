"""The chain of `inference/estimator.py` on a GPU: all is launched, and only `infer` waits, once.

    preprocess_all: frames into pinned memory, copies and resizes launched
    infer:          network and decoding launched as one graph, a few hundred bytes copied back, one wait
    decode:         on the host, from the input's pixels to the frame's

So `t_preprocessed` is when preprocessing was handed to the device, and `t_inferred` when everything was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.errors import UserError
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.decode_argmax import make_decoder
from rt_pose.inference.decode_compiled import to_frame
from rt_pose.inference.decode_torch import decode_torch, decodes
from rt_pose.inference.engine import Engine
from rt_pose.inference.estimator import Estimator, Region
from rt_pose.inference.gpu.frames import DaliFrames, DeviceFrames, MatrixFrames
from rt_pose.inference.gpu.graphs import Forward, NetworkGraphs
from rt_pose.inference.gpu.staging import Staging
from rt_pose.inference.gpu.stream import CudaStream
from rt_pose.inference.preprocess import frame_from_input
from rt_pose.inference.temporal_context import TemporalContext
from rt_pose.package import DecodeSpec
from rt_pose.types import FloatArray

NUMBERS = 7
"""Of a keypoint, as they come back from the device: x, y, four of the covariance, confidence."""


class DeviceEngine(Engine, Protocol):
    """An engine whose network runs on a lane."""

    cuda_stream: CudaStream
    dtype: torch.dtype
    """Of its input on the device."""
    layout: torch.memory_format

    def forward(self, inputs: Tensor) -> Tensor:
        """Heatmaps (B, K, h', w') of network input (B, C, h, w), both on the device."""
        ...


class GpuEstimator(Estimator):
    """Keypoints of frames by one network on a GPU. Not thread safe: one instance a thread."""

    def __init__(self, engine: DeviceEngine, decode: DecodeSpec, preprocess: str = "dali") -> None:
        """`preprocess`: dali or compiled."""
        self.engine = engine
        self._cuda_stream = engine.cuda_stream
        self.device = self._cuda_stream.device
        self._staging = Staging(self._cuda_stream)
        frames = MatrixFrames if preprocess == "compiled" else DaliFrames
        self._frames: DeviceFrames = frames(engine.spec, self._cuda_stream, self._staging)
        # Networks from elsewhere have decoders that only the host knows: their maps come back whole.
        self._decode_maps = None if decodes(decode) else make_decoder(decode)
        tail: Forward | None = None if self._decode_maps else lambda maps: pack(decode_torch(maps, decode))
        self._graphs = NetworkGraphs(
            self._cuda_stream, engine.forward, engine.spec, engine.dtype, tail, engine.layout
        )
        self._affines: dict[tuple[int, int], FloatArray] = {}

    def preprocess(self, image: NDArray[np.uint8], window: Region | None = None) -> Any:
        """Launch one frame's preprocessing; what `infer` takes."""
        return self.preprocess_all([image], [window])

    def preprocess_all(self, images: Sequence[NDArray[np.uint8]], windows: Sequence[Region | None]) -> Any:
        """Launch the frames' preprocessing; what `infer` takes: how many there are.

        The frames are read until `infer` returns.
        """
        with self._cuda_stream.on():
            self._frames.into(images, windows, self._graphs.inputs)
        return len(images)

    def infer(self, batch: Any, contexts: Sequence[TemporalContext] | None = None) -> NDArray[np.float32]:  # noqa: ARG002
        """What `decode` takes, frame by frame along the first axis, of preprocessed frames; valid until the
        next call. No engine of a GPU takes a network with a past yet."""
        with self._cuda_stream.on():
            self._graphs.launch(batch)
        self._cuda_stream.wait()
        return self._graphs.result(batch)

    def decode(
        self, heatmaps: NDArray[np.float32], frame_size: tuple[int, int], offset_xy: tuple[int, int] = (0, 0)
    ) -> Keypoints[FloatArray]:
        """Keypoints (1, K, ...) in sensor pixels, of a frame of (width, height) at `offset_xy`."""
        affine = self._affines.get(frame_size)
        if affine is None:
            affine = self._affines[frame_size] = frame_from_input(self.engine.spec, frame_size)
        found = self._decode_maps(heatmaps) if self._decode_maps else unpack(heatmaps)
        to_frame(affine, *offset_xy, found.xy.reshape(-1, 2), found.cov.reshape(-1, 2, 2))
        return found

    def estimate_on_device(self, frame: Tensor) -> Keypoints[FloatArray]:
        """Keypoints (1, K, ...) of a frame (H, W, C) uint8 that lies on the device already, in its pixels.

        UserError where the preprocessing is DALI's, which is fed from the host.
        """
        if not isinstance(self._frames, MatrixFrames):
            raise UserError(
                "engine.decoder: 'nvdec' leaves frames on the GPU, where the compiled preprocessing takes "
                "them; set `--engine.preprocess compiled`, or `--engine.decoder pyav`"
            )
        with self._cuda_stream.on():
            self._frames.from_device(frame, self._graphs.inputs)
        height, width = frame.shape[:2]
        return self.decode(self.infer(1), (width, height))

    def pin(self, memory: NDArray[np.uint8]) -> Callable[[], None]:
        """Read frames that lie in `memory` in place; call what is returned before the memory goes."""
        return self._staging.pin(memory)


def pack(found: Keypoints[Tensor]) -> Tensor:
    """(B, K, 7) float32: everything of a keypoint in one tensor, so that one copy brings it back."""
    return torch.cat([found.xy, found.cov.flatten(-2), found.confidence[..., None]], dim=-1)


def unpack(numbers: NDArray[np.float32]) -> Keypoints[FloatArray]:
    """The keypoints again, in memory of their own."""
    values = numbers.astype(np.float64)
    cov = values[..., 2:6].reshape(*values.shape[:-1], 2, 2).copy()
    return Keypoints(values[..., :2].copy(), cov, values[..., 6].copy())
