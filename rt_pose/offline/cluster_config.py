"""How and where videos are predicted. Nothing heavy is imported here: `--help` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rt_pose.config.schema import EngineOptions
from rt_pose.offline.quality_config import LimitsConfig, QualityConfig


@dataclass
class ClusterConfig:
    """Where many videos are predicted, and what a task may have."""

    where: Literal["here", "slurm", "local"] = "here"
    """here: in this process. slurm: as a job array. local: as processes of this machine."""
    tasks: int = 4
    """Tasks among which the videos are divided."""
    minutes: int = 240
    """Time limit of a task; at it, a SLURM task is requeued and goes on."""
    requeues: int = 20
    """So often a SLURM task is requeued at its time limit."""
    cpus: int = 4
    """CPU cores of a task."""
    gpus: int = 0
    """GPUs of a task."""
    memory_gb: int = 8
    """Memory of a task."""
    partition: str = ""
    """SLURM partition; the cluster's default where empty."""
    account: str = ""
    """SLURM account."""
    options: dict[str, str] = field(default_factory=dict)
    """Further options of sbatch, by their long names."""


@dataclass
class PredictConfig(EngineOptions):
    """How videos are predicted."""

    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """Where many videos are predicted, and what a task may have."""
    quality: QualityConfig = field(default_factory=QualityConfig)
    """By what frames of many videos count as lost, implausible, frozen or drifted."""
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    """Shares of such frames from which a video is to be checked, and from which it is bad."""
