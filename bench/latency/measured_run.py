"""The runs that benchmarks measure: three rules that ask for every kind of work, on any cameras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import (
    CameraConfig,
    EngineConfig,
    OutputConfig,
    PublishConfig,
    RecordConfig,
    RunConfig,
)
from rt_pose.package import read_package
from rt_pose.video import probe


def latency_config(
    model: str,
    video: Path,
    *,
    rate_hz: float | None,
    seconds: float | None,
    budget_ms: float,
    engine: EngineConfig,
) -> RunConfig:
    """Make a run over a recording with three rules that ask for every kind of work.

    Parameters
    ----------
    model
        Folder of the model package.
    video
        The recording, repeated.
    rate_hz
        Frames/s; the recording's own where None.
    seconds
        Length of the run, s.
    budget_ms
        Exposure to decision, ms.
    engine
        The engine.

    Returns
    -------
    RunConfig
        The run.
    """
    info = probe(video)
    camera = CameraConfig("video", {"path": str(video), "rate_hz": rate_hz, "loop": True})
    size = (info.width, info.height)
    return measured_run(model, {"video": camera}, size, engine, seconds=seconds, budget_ms=budget_ms)


def measured_run(
    model: str, cameras: dict[str, CameraConfig], size: tuple[int, int], engine: EngineConfig, **settings: Any
) -> RunConfig:
    """Make a run with the three rules, armed, and recorded without video.

    Parameters
    ----------
    model
        Folder of the model package.
    cameras
        Its cameras.
    size
        Width and height of their frames, px.
    engine
        The engine.
    **settings
        Further keys of the run.

    Returns
    -------
    RunConfig
        The run.
    """
    return replace(
        latency_rules(read_package(model).manifest.keypoints, size),
        model=model,
        cameras=cameras,
        engine=engine,
        publish=PublishConfig(address="tcp://127.0.0.1:*", control="tcp://127.0.0.1:*"),
        record=RecordConfig(video=False),
        armed_at_start=True,
        **settings,
    )


def latency_rules(keypoints: list[str], size: tuple[int, int]) -> RunConfig:
    """Make the three rules, with their zone and output and nothing else.

    Parameters
    ----------
    keypoints
        Names of the package's keypoints.
    size
        Width and height of the frames, px.

    Returns
    -------
    RunConfig
        A run without cameras.
    """
    first, last = keypoints[0], keypoints[-1]
    conditions = (
        f"inside({first}, middle)",
        f"speed({last}) > 300",
        f"inside({last}, middle) and speed({first}) > 100",
    )
    do = ActionConfig(output="stimulus", pulse="5 ms")
    width, height = size
    return RunConfig(
        outputs={"stimulus": OutputConfig("simulated", {})},
        zones={"middle": ZoneConfig([width / 2, height / 2, min(width, height) / 4])},
        rules=[
            RuleConfig(name=f"rule{i}", when=when, do=do, refractory="100 ms")
            for i, when in enumerate(conditions, 1)
        ],
    )
