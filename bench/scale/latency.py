"""Latency against the number of animals and of cameras, at the rate that each number holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.latency.program import measured_run
from bench.program import say
from bench.scale.clips import SIZE, flat_clip, view_clip
from bench.short_run import came_through, short_run
from bench.sustainable import sustainable
from rigs.simulated.viewpoint import VIEWS, simulated_calibration
from rigs.simulated.views_run import GROUP, views_run
from rt_pose.clock import NS_PER_MS
from rt_pose.config.schema import CameraConfig, EngineConfig, RunConfig
from rt_pose.loop.latency import summary
from rt_pose.session.read import Session, stamp_columns
from rt_pose.views.calibration_file import write_calibration

CALIBRATION = "calibration.toml"
LATE = "100 ms"
"""Recordings start one after the other: their exposures come out of order by so much at most."""


@dataclass(frozen=True)
class Cell:
    """What is measured at once."""

    animals: int
    cameras: int
    in_space: bool = False
    """Whether the cameras are a group of views that places one animal in space."""

    @property
    def name(self) -> str:
        """In words."""
        space = ", in space" if self.in_space else ""
        return f"{self.animals} animal(s), {self.cameras} camera(s){space}"


@dataclass
class ScalePlan:
    """What all cells share."""

    model: str
    """Package of one animal."""
    several: str
    """Package of several animals; none are measured without it."""
    folder: Path
    """Where the recordings are."""
    animals: list[int]
    cameras: list[int]
    budget_ms: float
    seconds: float
    trial_s: float
    rates: int
    engine: EngineConfig = field(default_factory=EngineConfig)

    @property
    def cells(self) -> list[Cell]:
        """Every number of animals with every number of cameras, and the groups of views."""
        cells = []
        for animals in self.animals:
            if animals > 1 and not self.several:
                continue
            for cameras in self.cameras:
                cells.append(Cell(animals, cameras))
                if animals == 1 and cameras > 1:
                    cells.append(Cell(animals, cameras, in_space=True))
        return cells


def measure_latency(plan: ScalePlan) -> list[dict[str, Any]]:
    """Search for the rate that each cell holds, and measure it there.

    Parameters
    ----------
    plan
        What is measured.

    Returns
    -------
    list[dict[str, Any]]
        A row a cell.
    """
    rows = []
    for cell in plan.cells:
        say(f"{cell.name} ...")
        found = sustainable(
            partial(cell_config, plan, cell),
            plan.budget_ms,
            plan.trial_s,
            plan.rates,
        )
        rate_hz, row = found["rate_hz"], {"animals": cell.animals, "cameras": cell.cameras}
        row |= {"in_space": cell.in_space, "throughput_hz": found["throughput_hz"], "rate_hz": rate_hz}
        if rate_hz is not None:
            with short_run(replace(cell_config(plan, cell, rate_hz, False), seconds=plan.seconds)) as run:
                row |= _figures(run.session()) | came_through(run.result, run.session())
        rows.append(row | {"trials": found["trials"]})
    return rows


def cell_config(plan: ScalePlan, cell: Cell, rate_hz: float | None, every: bool) -> RunConfig:
    """Make the run of a cell.

    Parameters
    ----------
    plan
        What all cells share.
    cell
        The cell.
    rate_hz
        Frames a second of each camera.
    every
        Whether the cameras wait for the loop.

    Returns
    -------
    RunConfig
        The run, with the three rules of `rt-pose bench latency`, and in space one more.
    """
    options: dict[str, Any] = {"rate_hz": rate_hz, "loop": True, "preload": True, "channels": 1}
    if every:
        options["skip_when_late"] = False
    clips = [
        view_clip(plan.folder, i) if cell.animals == 1 else flat_clip(plan.folder, cell.animals)
        for i in range(cell.cameras)
    ]
    cameras = {
        name: CameraConfig("video", options | {"path": str(clip)})
        for name, clip in zip(VIEWS, clips, strict=False)
    }
    model = plan.model if cell.animals == 1 else plan.several
    config = measured_run(model, cameras, SIZE, plan.engine, budget_ms=plan.budget_ms)
    config.individuals, config.frames = cell.animals, "every" if every else "latest"
    if cell.animals > 1:
        for rule in config.rules:
            rule.when = rule.when.replace("(", "(any.")
    if cell.in_space:
        _place_in_space(config, plan.folder)
    return config


def _place_in_space(config: RunConfig, folder: Path) -> None:
    """Make the cameras a group, with the shipped rule on a height."""
    shipped, names = views_run(len(config.cameras), "bench scale"), list(config.cameras)
    group = shipped.views[GROUP]
    group.calibration, group.late = str(folder / CALIBRATION), LATE
    config.views = shipped.views
    config.rules += shipped.rules
    write_calibration(folder / CALIBRATION, simulated_calibration(names, *SIZE), 0.0)


def _figures(session: Session) -> dict[str, Any]:
    """Latencies of a run at the rate that it held: of every frame, and of the decisions in space."""
    stamps = stamp_columns(session.observations)
    taken = (stamps.stages["t_decided_ns"] - stamps.t_exposure_ns) / NS_PER_MS
    exposure_ns = {observation.seq: observation.stamps.t_exposure_ns for observation in session.observations}
    in_space = [
        (record.stages.t_decided_ns - max(exposure_ns[seq] or 0 for seq in record.used)) / NS_PER_MS
        for record in session.groups
        if record.used and record.stages is not None
    ]
    return {
        "exposure_to_decision_ms": summary(taken),
        "in_space_ms": summary(np.array(in_space)),
        "dropped": sum(drop.count for drop in session.drops if drop.stage != "end"),
    }
