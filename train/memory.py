"""How much memory a training step will need, before the first one.

The network runs once on tensors that have shapes but no numbers (torch's meta device); what autograd keeps of
that for the way back is counted to the byte, and is nearly all that a step needs.
"""

from __future__ import annotations

import copy
import ctypes
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rt_pose.config import Device
from rt_pose.errors import UserError
from rt_pose.package import InputSpec
from train.config import TrainConfig

MARGIN = 1.35
"""On what autograd keeps: gradients on their way back and the convolutions' own workspaces."""
MAP_COPIES = 12
"""Copies of the heatmaps that decoding and losses make, in float32."""
GIB = 2**30
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's mallopt(3)."""


@dataclass
class StepMemory:
    """Bytes."""

    fixed: int
    """Parameters, their gradients and Adam's two moments."""
    per_frame: int

    def total(self, frames: int) -> int:
        """Of a step that sees so many frames."""
        return self.fixed + frames * self.per_frame


def step_memory(network: nn.Module, spec: InputSpec) -> StepMemory:
    """What a step of this network takes."""
    ghost = copy.deepcopy(network).to("meta").train()
    own = {p.untyped_storage()._cdata for p in (*ghost.parameters(), *ghost.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        maps = ghost(torch.empty(1, spec.channels, spec.height, spec.width, device="meta"))
    parameters = sum(p.numel() * p.element_size() for p in ghost.parameters())
    per_frame = MARGIN * sum(kept.values()) + MAP_COPIES * maps.numel() * maps.element_size()
    return StepMemory(4 * parameters, int(per_frame))


def check_memory(memory: StepMemory, config: TrainConfig, clip_frames: int, free: int | None) -> str | None:
    """In words what a step needs; UserError, naming the setting to change, where that is more than `free`.

    `clip_frames` a step beside the labeled ones. None where it is not known what is free.
    """
    frames = config.batch_size + clip_frames
    need = memory.total(frames)
    if free is None:
        return None
    told = f"about {need / GIB:.1f} GiB for a step of {frames} frames"
    if need <= free:
        return f"memory: {told}, {free / GIB:.1f} GiB free"
    fit = (free - memory.fixed) // memory.per_frame
    where = f"{config.network.width}x{config.network.height}"
    advice = f"set a smaller `network.width` and `network.height` than {where}"
    # As many frames for each of the clip as now: some are seen twice.
    length = int((fit - config.batch_size) * config.clip_length / max(clip_frames, 1))
    if clip_frames and length >= 2:
        advice = f"set `clip_length: {length}` or less"
    elif fit - clip_frames >= 2:
        advice = f"set `batch_size: {fit - clip_frames}` or less"
    raise UserError(f"memory: {told}, but {free / GIB:.1f} GiB are free; {advice}")


def free_memory(device: Device) -> int | None:
    """Bytes that this process may still take on a device; None where the system does not say."""
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
    """From here on the C library keeps what is freed for the next step instead of giving it back.

    A step's maps are large enough for glibc to fetch each from the system and return it, and the system hands
    out such memory page by page, zeroed: a third of a step's time on a CPU. Elsewhere nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, GIB)
        mallopt(_M_TRIM_THRESHOLD, -1)  # never
