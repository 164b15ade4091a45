"""Clips on a GPU: decoded by NVDEC, warped, lit and made noisy there. The same clips as on the CPU.

    video -> NVDEC (DALI, ahead) -> the augmentation of `augment.py` on the device -> preprocessing

Which video, frames, warp and levels a step has is drawn exactly as in `clips.py`. The noise of the sensor
comes from the same seed by the device's own generator, and decoded frames differ from the CPU's by the
rounding of the colour conversion. Damaged frames are not noticed here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch

from rt_pose.inference.gpu.video import FrameRange, read_ranges
from train.data.clips import Clip, ClipBatch, ClipBatches

AHEAD = 64
"""Steps whose clips one reader is given."""


class DeviceClipBatches(ClipBatches):
    """Clips as of `ClipBatches`, on torch's current CUDA device."""

    def __iter__(self) -> Iterator[ClipBatch]:
        index = torch.cuda.current_device()
        device, changed = torch.device("cuda", index), self._augmentation(index)
        for i in range(0, len(self._steps), AHEAD):
            steps = self._steps[i : i + AHEAD]
            for at, clips in zip(steps, self._decoded(steps, device), strict=True):
                yield self._batch(changed, clips, at)

    def _decoded(self, steps: range, device: torch.device) -> Iterator[list[Clip]]:
        """The clips drawn for `steps`, in their order; of each camera one."""
        drawn = [next(self._drawn(step)) for step in steps]
        each = [(video, start) for recording, start in drawn for video in recording]
        ranges = [FrameRange(video.path, start) for video, start in each]
        sequences = read_ranges(ranges, self._length, self._spec.channels, device)
        clips = (
            Clip(video, start, list(frames)) for (video, start), frames in zip(each, sequences, strict=True)
        )
        for recording, _ in drawn:
            yield list(itertools.islice(clips, len(recording)))
