"""From a camera's frame to the network's input: one DALI graph for training, offline and live.

    frame uint8 HWC -> [RGB to gray] -> resize (stretch) -> [gray to RGB] -> normalise -> float32 CHW

Resized frames stay float32: rounding them to grey levels would move the keypoints. The affine back to frame
pixels travels with the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.package import InputSpec
from rt_pose.types import FloatArray

_INPUT = "frames"


def graph(frames: Any, spec: InputSpec, channels: int | None = None) -> Any:
    """Add the preprocessing to a DALI pipeline, as operators.

    The one place where colour is matched: RGB frames for a gray network become luma (BT.601) before the
    resize, gray frames for an RGB network are repeated after it; either way one channel is resized.

    Parameters
    ----------
    frames
        A node of uint8 images, layout HWC.
    spec
        The network's input.
    channels
        Channels of the frames; None for as many as the network has.

    Returns
    -------
    Any
        A node of float32, layout CHW, (spec.channels, spec.height, spec.width).
    """
    from nvidia.dali import fn, types

    channels = spec.channels if channels is None else channels
    if channels == 3 and spec.channels == 1:
        frames = fn.color_space_conversion(frames, image_type=types.RGB, output_type=types.GRAY)
    resized = fn.resize(
        frames,
        resize_x=spec.width,
        resize_y=spec.height,
        interp_type=types.INTERP_LINEAR,
        antialias=spec.antialias,
        dtype=types.FLOAT,
    )
    if channels == 1 and spec.channels == 3:
        resized = fn.cat(resized, resized, resized, axis=2)
    return fn.crop_mirror_normalize(
        resized, mean=spec.mean, std=spec.std, dtype=types.FLOAT, output_layout="CHW"
    )


class Preprocess:
    """The graph, run at once on the frames it is given. Not thread safe: one instance a thread."""

    def __init__(self, spec: InputSpec, batch_size: int = 1, threads: int = 1) -> None:
        """Prepare for frames; pipelines are built when the first frame of a number of channels comes.

        Parameters
        ----------
        spec
            The network's input.
        batch_size
            The most frames of one call.
        threads
            DALI's threads.
        """
        self.spec = spec
        self._batch_size = batch_size
        self._threads = threads
        self._pipelines: dict[int, Any] = {}
        self._buffers: Any = None

    def __call__(self, frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Preprocess frames.

        Parameters
        ----------
        frames
            Frames (H, W, C) uint8, contiguous, of any size, all with the same number of channels. They are
            read in place and only during the call.

        Returns
        -------
        NDArray[np.float32]
            Network input (B, C, h, w), in DALI's own memory: valid until the next call.
        """
        channels = frames[0].shape[2]
        pipeline = self._pipelines.get(channels)
        if pipeline is None:
            pipeline = self._pipelines[channels] = frames_pipeline(
                self.spec, channels, self._batch_size, self._threads
            )
        pipeline.feed_input(_INPUT, list(frames))
        # The view below does not keep DALI's buffer alive by itself.
        self._buffers = pipeline.run()[0].as_tensor()
        return np.asarray(self._buffers)

    def into(
        self,
        frame: NDArray[np.uint8],
        out: NDArray[np.float32],
        window: tuple[int, int, int, int] | None = None,
    ) -> None:
        """Write the network's input for one frame, or for a window of it.

        Parameters
        ----------
        frame
            (H, W, C) uint8.
        out
            Where the input goes, (C, h, w).
        window
            Part of the frame (x, y, width, height), px; None for the whole frame.
        """
        if window is not None:
            x, y, width, height = window
            frame = np.ascontiguousarray(frame[y : y + height, x : x + width])
        np.copyto(out, self((frame,))[0])


def frames_pipeline(
    spec: InputSpec,
    channels: int,
    batch_size: int,
    threads: int = 1,
    device_id: int | None = None,
    asynchronous: bool = False,
) -> Any:
    """Build a pipeline from the external source "frames" to the network's input; frames are read in place.

    Parameters
    ----------
    spec
        The network's input.
    channels
        Channels of the frames.
    batch_size
        The most frames of one run.
    threads
        DALI's threads.
    device_id
        Number of the GPU that the frames are copied to and the graph runs on; None for the CPU.
    asynchronous
        Whether `run` may be given a CUDA stream, which its output is then bound to.

    Returns
    -------
    Any
        The DALI pipeline, built.
    """
    from nvidia.dali import Pipeline, fn, types

    # Depth 1: the output is that of the frame just fed. At depth 2 it would lag one frame behind. DALI binds
    # outputs to a stream only with its asynchronous executor; without one it needs no thread of its own.
    pipeline = Pipeline(
        batch_size=batch_size,
        num_threads=threads,
        device_id=device_id,
        prefetch_queue_depth=1,
        exec_async=asynchronous,
        exec_pipelined=asynchronous,
        exec_dynamic=asynchronous,
    )
    with pipeline:
        frames = fn.external_source(name=_INPUT, layout="HWC", dtype=types.UINT8, ndim=3, no_copy=True)
        pipeline.set_outputs(graph(frames if device_id is None else frames.gpu(), spec, channels))
    pipeline.build()
    return pipeline


def frame_from_input(spec: InputSpec, frame_size: tuple[int, int]) -> FloatArray:
    """Compute the affine from pixel centres of the network's input to pixel centres of the frame.

    Parameters
    ----------
    spec
        The network's input.
    frame_size
        (width, height) of the frame, px.

    Returns
    -------
    FloatArray
        (2, 3) affine.

    Notes
    -----
    A resize maps edges to edges, so centres follow frame = (input + 0.5) * scale - 0.5.
    """
    scale_x, scale_y = frame_size[0] / spec.width, frame_size[1] / spec.height
    return np.array([[scale_x, 0.0, 0.5 * scale_x - 0.5], [0.0, scale_y, 0.5 * scale_y - 0.5]])
