"""The augmentation graph and the preprocessing after it as one DALI pipeline, fed and run frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.loop.preprocess import graph
from rt_pose.package import InputSpec
from rt_pose.types import FloatArray
from train.config import AugmentConfig
from train.data.augment import augmented, dali_matrix, draw_fields, is_noisy, warps_frames


class Augmentation:
    """Frames as the network is to see them, under what was drawn for each; nothing is kept from call to call.

    Not thread safe.
    """

    def __init__(
        self, augment: AugmentConfig, spec: InputSpec, channels: int, batch_size: int, threads: int
    ) -> None:
        """For `batch_size` frames of `channels` channels a call."""
        from nvidia.dali import Pipeline

        self._augment = augment
        self._pipeline: Any = Pipeline(
            batch_size=batch_size,
            num_threads=threads,
            device_id=None,
            prefetch_queue_depth=1,
            exec_async=False,
            exec_pipelined=False,
        )
        with self._pipeline:
            self._pipeline.set_outputs(graph(augmented(augment), spec, channels))
        self._pipeline.build()

    def __call__(
        self,
        images: Sequence[NDArray[np.uint8]],
        warps: Sequence[FloatArray],
        levels: Mapping[str, NDArray[np.float32]],
        seed: int,
    ) -> Tensor:
        """(B, C, h, w) float32, preprocessed, of images (H, W, C), each under its warp (2, 3), its share of
        `draw_levels` and sensor noise from `seed`."""
        self._pipeline.feed_input("frames", list(images))
        if warps_frames(self._augment):
            self._pipeline.feed_input("warps", [dali_matrix(warp) for warp in warps])
        for name, values in levels.items():
            self._pipeline.feed_input(name, values)
        # Read in place: they must live until the run is over.
        fields = draw_fields(images, seed) if is_noisy(self._augment) else []
        if fields:
            self._pipeline.feed_input("sensor", fields)
        # The output lies in DALI's memory, which the next call overwrites.
        return torch.from_numpy(np.array(self._pipeline.run()[0].as_tensor()))
