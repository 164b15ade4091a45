"""From frames to the network's input on the device: DALI's graph, or the same filter in our own launches.

    frame in pinned memory -> DALI (its stream) --event--> our stream: cast into the network's input
    frame in pinned memory -> copy to the device -> two matrix products -> the network's input   (all ours)

DALI's graph is the definition, as on the CPU; the other serves where it keeps the golden keypoints in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.errors import UserError, first_line
from rt_pose.inference.gpu.device import out_of_memory
from rt_pose.inference.gpu.graphs import MAX_FRAMES
from rt_pose.inference.gpu.resize import MatrixResize
from rt_pose.inference.gpu.staging import Region, Staging
from rt_pose.inference.gpu.stream import CudaStream
from rt_pose.inference.preprocess import frames_pipeline
from rt_pose.package import InputSpec

Images = Sequence[NDArray[np.uint8]]
Regions = Sequence[Region | None]


class DeviceFrames(Protocol):
    """Fills the network's input. Calls belong inside the stream's `on`, one wait of the stream apart."""

    def into(self, images: Images, windows: Regions, inputs: Tensor) -> None:
        """Launch all that makes the network's input of frames, or of their windows.

        Parameters
        ----------
        images
            Frames (H, W, C) uint8 on the host.
        windows
            Of each frame its part (x, y, width, height), px, or None for the whole.
        inputs
            Where the input goes, (B, C, h, w) on the device: `inputs[i]` is that of frame i.
        """
        ...


class DaliFrames:
    """The preprocessing graph that training and the CPU use, run by DALI on the device."""

    def __init__(self, spec: InputSpec, cuda_stream: CudaStream, staging: Staging) -> None:
        """Prepare for frames; pipelines are built when the first frame of a number of channels comes.

        Parameters
        ----------
        spec
            The network's input.
        cuda_stream
            Where the network runs.
        staging
            Pinned memory that frames are read from.
        """
        self._spec, self._cuda_stream, self._staging = spec, cuda_stream, staging
        self._pipelines: dict[int, Any] = {}
        self._held: list[Tensor] = []
        """DALI's outputs of this call: what was launched reads them after it has returned."""

    def into(self, images: Images, windows: Regions, inputs: Tensor) -> None:
        """See `DeviceFrames.into`."""
        self._held.clear()
        staged = [
            self._staging.stage(slot, image, window)
            for slot, (image, window) in enumerate(zip(images, windows, strict=True))
        ]
        channels = {image.shape[2] for image in staged}
        if len(channels) == 1:
            self._run(staged, inputs[: len(staged)])
            return
        for i, image in enumerate(staged):
            self._run([image], inputs[i : i + 1])

    def _run(self, staged: list[NDArray[np.uint8]], inputs: Tensor) -> None:
        channels = staged[0].shape[2]
        pipeline = self._pipelines.get(channels)
        if pipeline is None:
            pipeline = self._pipelines[channels] = self._made(channels)
        with out_of_memory("preprocessing frames"):
            self._held.append(torch.from_dlpack(self.ordered(pipeline, staged)))
        inputs.copy_(self._held[-1])  # one launch: precision and layout change on the way

    def _made(self, channels: int) -> Any:
        try:
            with out_of_memory("making DALI's preprocessing"):
                return frames_pipeline(
                    self._spec,
                    channels,
                    MAX_FRAMES,
                    device_id=self._cuda_stream.device.index,
                    asynchronous=True,
                )
        except RuntimeError as error:
            raise UserError(
                f"engine.device: DALI cannot run on this GPU: {first_line(error)}; install the DALI for the "
                "driver's CUDA (nvidia-dali-cuda120 or nvidia-dali-cuda130), or set `--engine.device cpu`"
            ) from error

    def ordered(self, pipeline: Any, staged: list[NDArray[np.uint8]]) -> Any:
        """Run DALI, its output ready for whatever is launched on our stream from here on.

        The output is bound to our stream: it waits for DALI's event on the device, before any cast or copy,
        and not on the host. Asking for the output without a stream, or reading it on another one, gives wrong
        pixels now and then.

        Parameters
        ----------
        pipeline
            A pipeline of `frames_pipeline`, asynchronous.
        staged
            Frames (H, W, C) uint8 in pinned memory, all with the same number of channels.

        Returns
        -------
        Any
            DALI's tensor of network input (B, C, h, w), on the device.
        """
        pipeline.feed_input("frames", staged)
        (output,) = pipeline.run(getattr(self._cuda_stream, "stream", None))
        return output.as_tensor()


class MatrixFrames:
    """Copy and resize by launches of our own, recorded once a shape and place."""

    def __init__(self, spec: InputSpec, cuda_stream: CudaStream, staging: Staging) -> None:
        """Prepare for frames; resizes are recorded when the first frame of a shape and place comes.

        Parameters
        ----------
        spec
            The network's input.
        cuda_stream
            Where the network runs.
        staging
            Pinned memory that frames are read from.
        """
        self._spec, self._cuda_stream, self._staging = spec, cuda_stream, staging
        self._resizes: dict[tuple[int, ...], MatrixResize] = {}
        self._recorded: dict[tuple[int, ...], tuple[Tensor, Callable[[], object]]] = {}
        self._dali: DaliFrames | None = None

    def into(self, images: Images, windows: Regions, inputs: Tensor) -> None:
        """See `DeviceFrames.into`. RGB frames for a gray network go through DALI."""
        if any(image.shape[2] == 3 for image in images) and self._spec.channels == 1:
            self._through_dali(images, windows, inputs)
            return
        for slot, (image, window) in enumerate(zip(images, windows, strict=True)):
            staged = self._staging.stage(slot, image, window)
            self._launch(slot, torch.from_numpy(staged), inputs)

    def from_device(self, frame: Tensor, inputs: Tensor) -> None:
        """Launch all that makes the network's input of one frame on the device.

        Parameters
        ----------
        frame
            (H, W, C) uint8, on the device.
        inputs
            Where the input goes, (1, C, h, w), on the device.
        """
        self._launch(0, frame, inputs)

    def _launch(self, slot: int, source: Tensor, inputs: Tensor) -> None:
        key = slot, *source.shape
        if key not in self._recorded:
            self._recorded[key] = self._record(tuple(source.shape), inputs[slot])
        frame, launch = self._recorded[key]
        frame.copy_(source, non_blocking=True)
        launch()

    def _record(self, shape: tuple[int, ...], target: Tensor) -> tuple[Tensor, Callable[[], object]]:
        height, width, channels = shape
        with out_of_memory(f"making room for frames of {width}x{height}"), torch.no_grad():
            with self._cuda_stream.on():
                frame = torch.zeros(shape, dtype=torch.uint8, device=self._cuda_stream.device)
                if shape not in self._resizes:
                    self._resizes[shape] = MatrixResize(
                        self._spec, (height, width, channels), self._cuda_stream.device
                    )
            resize = self._resizes[shape]
            launch, _ = self._cuda_stream.record(lambda: target.copy_(resize(frame)))
        return frame, launch

    def _through_dali(self, images: Images, windows: Regions, inputs: Tensor) -> None:
        """Luma is rounded to grey levels before the resize: left to the one place that defines it."""
        if self._dali is None:
            self._dali = DaliFrames(self._spec, self._cuda_stream, self._staging)
        self._dali.into(images, windows, inputs)
