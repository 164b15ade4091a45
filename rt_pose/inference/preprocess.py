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
    """The preprocessing as DALI operators, for use inside any pipeline.

    `frames` is a node of uint8 images, layout HWC, with `channels` channels (the network's own where not
    given); the result is a node of float32, layout CHW, (spec.channels, spec.height, spec.width).

    The one place where colour is matched: RGB frames for a gray network become luma (BT.601) before the
    resize, gray frames for an RGB network are repeated after it; either way one channel is resized.
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
    """The graph, run at once on the frames it is handed. Not thread safe: one instance a thread."""

    def __init__(self, spec: InputSpec, batch_size: int = 1, threads: int = 1) -> None:
        """`batch_size` is the most frames of one call."""
        self.spec = spec
        self._batch_size = batch_size
        self._threads = threads
        self._pipelines: dict[int, Any] = {}
        self._buffers: Any = None

    def __call__(self, frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Network input (B, C, h, w) of `frames`, each (H, W, C) uint8 and contiguous, of any size.

        The result lies in DALI's own memory and is valid until the next call. All frames of one call have
        the same number of channels. The frames are read in place and only during the call.
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
        """Write the input for one frame, or for its `window` (x, y, width, height), to `out` (C, h, w)."""
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
    """A pipeline from the external source "frames" to the network's input; frames are read in place.

    With a `device_id` the frames are copied to that GPU and the graph runs there. `asynchronous`: `run` may
    be handed a CUDA stream, which its output is then bound to.
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
    """(2, 3) affine from pixel centres of the network's input to pixel centres of the frame.

    `frame_size` is (width, height). A resize maps edges to edges, so centres follow
    frame = (input + 0.5) * scale - 0.5.
    """
    scale_x, scale_y = frame_size[0] / spec.width, frame_size[1] / spec.height
    return np.array([[scale_x, 0.0, 0.5 * scale_x - 0.5], [0.0, scale_y, 0.5 * scale_y - 0.5]])
