"""How much memory a training step will need, before the first one.

The network runs on tensors that have shapes but no numbers (torch's meta device); what autograd keeps of
that for the backward pass is counted to the byte. How much comes on top was measured: the estimate agrees to
a tenth with the peaks that `bench.training` measures on a CPU for two networks, with and without clips.
"""

from __future__ import annotations

import copy
import ctypes
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rt_pose.config.schema import Device
from rt_pose.errors import UserError
from rt_pose.package import InputSpec
from train.config import TrainConfig
from train.models.features import freeze_statistics

LARGEST_COPIES, LARGEST_COPIES_HELD = 9, 4
"""Maps of the largest size that are alive at once in the backward pass, beside what was kept: gradients, and
what convolutions reorder. Fewer where batch norm is held, as there it is part of the convolutions."""
MAP_COPIES = 12
"""Copies of the heatmaps that decoding and losses make, in float32."""
FRAME_COPIES = 20
"""Bytes of the loader for each byte of a frame: several steps of the augmentation are float32."""
PASSES = 2
"""Of a step with a clip, over labels and over the clip: each folds held batch norms into its own weights."""
LOADER = 50 * 2**20
"""What the loader brings along, bytes."""
GIB = 2**30
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's mallopt(3)."""


@dataclass
class StepMemory:
    """Memory of one kind of step, bytes."""

    fixed: int
    """Parameters, their gradients and Adam's two moments; the loader."""
    per_frame: int

    def total(self, frames: int) -> int:
        """Return the memory of a step.

        Parameters
        ----------
        frames
            Frames that the step sees.

        Returns
        -------
        int
            Bytes.
        """
        return self.fixed + frames * self.per_frame


@dataclass
class TrainingMemory:
    """Memory of a training's two kinds of steps."""

    labels: StepMemory
    """On labels alone: batch norm goes by the batch's own statistics."""
    clips: StepMemory
    """From the first clip on: batch norm is held."""

    def total(self, labeled: int, clip: int) -> int:
        """Return the memory of the larger kind of step.

        Parameters
        ----------
        labeled
            Labeled frames a step.
        clip
            Frames of a clip a step; 0: there are no clips.

        Returns
        -------
        int
            Bytes.
        """
        alone = self.labels.total(labeled)
        return max(alone, self.clips.total(labeled + clip)) if clip else alone


def training_memory(network: nn.Module, spec: InputSpec, frame_bytes: int = 0) -> TrainingMemory:
    """Estimate the memory of a network's two kinds of training steps.

    Parameters
    ----------
    network
        The network; it is copied to torch's meta device.
    spec
        Its input.
    frame_bytes
        Bytes of a frame before it is resized; 0 where frames lie elsewhere.

    Returns
    -------
    TrainingMemory
        Before and from the first clip on.
    """
    return TrainingMemory(*(step_memory(network, spec, frame_bytes, held) for held in (False, True)))


def step_memory(network: nn.Module, spec: InputSpec, frame_bytes: int = 0, held: bool = False) -> StepMemory:
    """Estimate the memory of one kind of training step.

    Parameters
    ----------
    network, spec, frame_bytes
        As in `training_memory`.
    held
        Whether batch norm is held to its running statistics.

    Returns
    -------
    StepMemory
        Bytes of the step and of each of its frames.
    """
    ghost = copy.deepcopy(network).to("meta").train()
    if held:
        freeze_statistics(ghost)
    one, _ = _kept_bytes(ghost, spec, 1)
    two, maps = _kept_bytes(ghost, spec, 2)
    growth = [b - a for a, b in zip(one, two, strict=True)]
    parameters = sum(p.numel() * p.element_size() for p in ghost.parameters())
    return StepMemory(
        4 * parameters + PASSES * (sum(one) - sum(growth)) + LOADER,
        sum(growth)
        + (LARGEST_COPIES_HELD if held else LARGEST_COPIES) * max(growth)
        + MAP_COPIES * maps // 2
        + FRAME_COPIES * frame_bytes,
    )


def _kept_bytes(ghost: nn.Module, spec: InputSpec, frames: int) -> tuple[list[int], int]:
    """Bytes of each storage that autograd keeps of a pass over so many frames, and of the heatmaps."""
    own = {p.untyped_storage()._cdata for p in (*ghost.parameters(), *ghost.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        maps = ghost(torch.empty(frames, spec.channels, spec.height, spec.width, device="meta"))
    return list(kept.values()), maps.numel() * maps.element_size()


def check_memory(
    memory: TrainingMemory, config: TrainConfig, clip_frames: int, free: int | None
) -> str | None:
    """Check that a step finds enough memory.

    Parameters
    ----------
    memory
        Of the two kinds of steps.
    config
        Of the training. Of several processes each has its share of the batch.
    clip_frames
        Frames of a clip that a step sees beside the labeled ones.
    free
        Bytes that are free; None: not known.

    Returns
    -------
    str or None
        A line for the user that says what a step needs; None where it is not known what is free.

    Raises
    ------
    UserError
        Where a step needs more; it names the setting to change.
    """
    labeled = config.batch_size // config.devices
    need = memory.total(labeled, clip_frames)
    if free is None:
        return None
    notes = f"about {need / GIB:.1f} GiB for a step of {labeled + clip_frames} frames"
    if need <= free:
        return f"memory: {notes}, {free / GIB:.1f} GiB free"
    raise UserError(
        f"memory: {notes}, but {free / GIB:.1f} GiB are free; {_advice(memory, config, clip_frames, free)}"
    )


def _advice(memory: TrainingMemory, config: TrainConfig, clip_frames: int, free: int) -> str:
    """The setting to change: the clip's length, else the batch, else the input's size."""
    labeled = config.batch_size // config.devices
    if clip_frames:
        for length in range(config.clip_length - 1, 1, -1):
            # As many frames for each of the clip as now: some are seen twice.
            clip = math.ceil(clip_frames * length / config.clip_length)
            if memory.total(labeled, clip) <= free:
                return f"set `clip_length: {length}` or less"
    for fewer in range(labeled - 1, 1, -1):
        if memory.total(fewer, clip_frames) <= free:
            return f"set `batch_size: {fewer * config.devices}` or less"
    where = f"{config.network.width}x{config.network.height}"
    return f"set a smaller `network.width` and `network.height` than {where}"


def free_memory(device: Device) -> int | None:
    """Return how much memory this process may still take.

    Parameters
    ----------
    device
        cpu or gpu. On a CPU a limit of the control group counts as well: inside a container the machine has
        more.

    Returns
    -------
    int or None
        Bytes; None where the system does not say.
    """
    if device == "gpu":
        return int(torch.cuda.mem_get_info()[0])
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return None
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    if "MemAvailable" not in lines:
        return None
    available = int(lines["MemAvailable"].split()[0]) * 1024
    return min([available, *_of_group(Path("/sys/fs/cgroup"))])


def _of_group(group: Path) -> list[int]:
    """What the control group leaves, where it sets a limit: inside a container the machine has more."""
    limit, used = group / "memory.max", group / "memory.current"
    if not limit.is_file() or not used.is_file() or limit.read_text().strip() == "max":
        return []
    return [max(int(limit.read_text()) - int(used.read_text()), 0)]


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next step instead of giving it back, from here on.

    A step's maps are large enough for glibc to fetch each from the system and return it, and the system hands
    out such memory page by page, zeroed: a third of a step's time on a CPU. Without glibc nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, GIB)
        mallopt(_M_TRIM_THRESHOLD, -1)  # never
