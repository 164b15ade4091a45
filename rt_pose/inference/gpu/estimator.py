"""The estimator of a GPU: everything is launched, and only `infer` waits, once, at its end.

    preprocess_all: frames into pinned memory, copies and resizes launched
    infer:          network and decoding launched as one graph, a few hundred bytes copied back, one wait
    decode:         on the host, from the input's pixels to the frame's

So `t_preprocessed` is when preprocessing was launched, and `t_inferred` when everything was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.errors import UserError
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.decode_argmax import make_decoder
from rt_pose.inference.decode_torch import decode_torch, decodes
from rt_pose.inference.engine import Engine
from rt_pose.inference.estimator import Estimator, Images, Region
from rt_pose.inference.gpu.frames import DaliFrames, DeviceFrames, MatrixFrames
from rt_pose.inference.gpu.graphs import Forward, NetworkGraphs
from rt_pose.inference.gpu.staging import Staging
from rt_pose.inference.gpu.stream import CudaStream
from rt_pose.inference.temporal_context import TemporalContext
from rt_pose.package import DecodeSpec
from rt_pose.types import FloatArray


class DeviceEngine(Engine, Protocol):
    """An engine whose network runs on a CUDA stream."""

    cuda_stream: CudaStream
    dtype: torch.dtype
    """Of its input on the device."""
    layout: torch.memory_format

    def forward(self, inputs: Tensor) -> Tensor:
        """Run the network on the device, on its current stream.

        Parameters
        ----------
        inputs
            Network input (B, C, h, w) of `dtype` and `layout`, on the device.

        Returns
        -------
        Tensor
            Heatmaps (B, K, h', w'), on the device.
        """
        ...


class GpuEstimator(Estimator):
    """The chain on a GPU: network input is a tensor there, what comes back are keypoints or heatmaps."""

    def __init__(
        self, engine: DeviceEngine, decode: DecodeSpec, preprocess: str = "dali", detections: int = 1
    ) -> None:
        """Prepare staging, preprocessing and graphs on the engine's stream.

        Parameters
        ----------
        engine
            An engine of the GPU, loaded.
        decode
            The package's decoding; our own runs on the device, others on the host.
        preprocess
            "dali" or "compiled".
        detections
            How many animals a frame gives, D, for a package that finds several.
        """
        # Networks from elsewhere have decoders that only the host knows: their maps come back whole.
        on_device = decodes(decode)
        super().__init__(engine, unpack if on_device else make_decoder(decode, detections))
        tail: Forward | None = (lambda maps: pack(decode_torch(maps, decode))) if on_device else None
        self._cuda_stream, self.device = engine.cuda_stream, engine.cuda_stream.device
        self._staging = Staging(self._cuda_stream)
        frames = MatrixFrames if preprocess == "compiled" else DaliFrames
        self._frames: DeviceFrames = frames(engine.spec, self._cuda_stream, self._staging)
        self._graphs = NetworkGraphs(
            self._cuda_stream, engine.forward, engine.spec, engine.dtype, tail, engine.layout
        )

    def preprocess_all(self, images: Images, windows: Sequence[Region | None]) -> Tensor:
        """See `Estimator.preprocess_all`."""
        batch = self._graphs.batch(len(images))
        with self._cuda_stream.on():
            self._frames.into(images, windows, batch)
        return batch

    def infer(self, batch: Tensor, contexts: Sequence[TemporalContext] | None = None) -> NDArray[np.float32]:  # noqa: ARG002
        """See `Estimator.infer`. No engine of a GPU takes a network with a past yet."""
        count = len(batch)
        with self._cuda_stream.on():
            self._graphs.launch(count)
        self._cuda_stream.wait()
        return self._graphs.result(count)

    def estimate_on_device(self, frame: Tensor) -> Keypoints[FloatArray]:
        """Find the keypoints of a frame that lies on the device already.

        Parameters
        ----------
        frame
            (H, W, C) uint8, on the device.

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (1, K), px of the frame.

        Raises
        ------
        UserError
            Where the preprocessing is DALI's, which is fed from the host.
        """
        if not isinstance(self._frames, MatrixFrames):
            raise UserError(
                "engine.decoder: 'nvdec' leaves frames on the GPU, where the compiled preprocessing takes "
                "them; set `--engine.preprocess compiled`, or `--engine.decoder pyav`"
            )
        batch = self._graphs.batch(1)
        with self._cuda_stream.on():
            self._frames.from_device(frame, batch)
        height, width = frame.shape[:2]
        return self.decode(self.infer(batch), (width, height))

    def pin(self, memory: NDArray[np.uint8]) -> Callable[[], None]:
        """See `Estimator.pin`."""
        return self._staging.pin(memory)


def pack(found: Keypoints[Tensor]) -> Tensor:
    """Pack keypoints into one tensor, so that one copy brings them to the host.

    Parameters
    ----------
    found
        Keypoints (B, K) on the device.

    Returns
    -------
    Tensor
        (B, K, 7) float32: x, y, the four numbers of the covariance, and the confidence.
    """
    return torch.cat([found.xy, found.cov.flatten(-2), found.confidence[..., None]], dim=-1)


def unpack(numbers: NDArray[np.float32]) -> Keypoints[FloatArray]:
    """Unpack what `pack` packed.

    Parameters
    ----------
    numbers
        (B, K, 7) on the host.

    Returns
    -------
    Keypoints[FloatArray]
        Keypoints (B, K) float64, in memory of their own.
    """
    values = numbers.astype(np.float64)
    cov = values[..., 2:6].reshape(*values.shape[:-1], 2, 2).copy()
    return Keypoints(values[..., :2].copy(), cov, values[..., 6].copy())
