"""The augmentation graph and the preprocessing after it as one DALI pipeline, fed and run frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.inference.preprocess import graph
from rt_pose.package import InputSpec
from rt_pose.types import FloatArray
from train.config import AugmentConfig
from train.data.augment import augment_graph, dali_matrix, draw_fields, is_noisy, warps_frames


class Augmentation:
    """Turns frames into network input, under what was drawn for each; nothing is kept from call to call.

    Not thread safe.
    """

    def __init__(
        self,
        augment: AugmentConfig,
        spec: InputSpec,
        channels: int,
        batch_size: int,
        threads: int,
        device_id: int | None = None,
    ) -> None:
        """Build the pipeline.

        Parameters
        ----------
        augment
            Ranges of all changes.
        spec
            Input of the network.
        channels
            Channels of the frames, 1 or 3.
        batch_size
            Largest number of frames a call.
        threads
            Threads of DALI on the CPU.
        device_id
            GPU that the frames lie on; None: the CPU.
        """
        from nvidia.dali import Pipeline

        self._augment = augment
        self._on_device = device_id is not None
        self._pipeline: Any = Pipeline(
            batch_size=batch_size,
            num_threads=threads,
            device_id=device_id,
            prefetch_queue_depth=1,
            exec_async=False,
            exec_pipelined=False,
        )
        with self._pipeline:
            self._pipeline.set_outputs(
                graph(augment_graph(augment, "cpu" if device_id is None else "gpu"), spec, channels)
            )
        self._pipeline.build()

    def __call__(
        self,
        images: Sequence[Any],
        warps: Sequence[FloatArray],
        levels: Mapping[str, NDArray[np.float32]],
        seed: int,
    ) -> Tensor:
        """Augment and preprocess frames.

        Parameters
        ----------
        images
            B images (H, W, C) uint8.
        warps
            The affine (2, 3) of each, frame px.
        levels
            What `draw_levels` drew for them.
        seed
            Seed of the sensor noise.

        Returns
        -------
        Tensor
            Network input (B, C, h, w) float32, preprocessed.
        """
        self._pipeline.feed_input("frames", list(images))
        if warps_frames(self._augment):
            self._pipeline.feed_input("warps", [dali_matrix(warp) for warp in warps])
        for name, values in levels.items():
            self._pipeline.feed_input(name, values)
        # Read in place: they must live until the run is over.
        fields = draw_fields(images, seed) if is_noisy(self._augment) else []
        if fields:
            self._pipeline.feed_input("sensor", fields)
        return self._kept(self._pipeline.run()[0].as_tensor())

    def _kept(self, output: Any) -> Tensor:
        """A copy of what DALI put out: the next call overwrites its memory."""
        if not self._on_device:
            return torch.from_numpy(np.array(output))
        # DALI was asked without a stream: its output is ready. The copy is waited for, since DALI would not.
        found = torch.from_dlpack(output).clone()
        torch.cuda.current_stream(found.device).synchronize()
        return found
