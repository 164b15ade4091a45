"""The result of the accuracy grid as one record: what was measured, how, and the comparisons."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.accuracy.cells import FITS, FOLDS, Cell
from bench.accuracy.claims import claims, gain_kept
from bench.accuracy.compare import table_rows
from bench.accuracy.grid import MEASURED, RUN_SECONDS, Grid
from bench.accuracy.measure import Measured, read_measured
from bench.accuracy.reference_set import (
    Network,
    ReferenceSet,
    ensembles,
    measure_network,
    smooth_members,
    visible_mask,
)
from bench.program import say
from rt_pose.errors import UserError
from rt_pose.session.describe import machine, versions
from rt_pose.video import probe
from train.accuracy import figures
from train.data.labels import LabeledFrames
from train.evaluation.spaces import fit_pose, fit_views


def gather(grid: Grid, frames: LabeledFrames, video: Path, steps_of: str) -> dict[str, Any]:
    """Compare everything that is done under the grid's settings.

    Parameters
    ----------
    grid
        The grid.
    frames
        All labeled frames.
    video
        The recording, for its name.
    steps_of
        How the names of the keypoints begin whose steps count.

    Returns
    -------
    dict[str, Any]
        The result, for JSON.

    Raises
    ------
    UserError
        Where no cell is done, or no keypoint's name begins so.
    """
    done, seconds = _finished_cells(grid)
    if not done:
        raise UserError(f"--work {grid.work}: not one cell is done under these settings")
    references, facts = _reference_set(grid, frames, done, steps_of)
    whole = done | ensembles(done, "all", grid.members, frames.keypoints)
    networks = [measure_network(cell, measured, references) for cell, measured in whole.items()]
    rows, kept = table_rows(networks, references), gain_kept(networks, references)
    training = grid.base
    return {
        "machine": machine(),
        "versions": versions(),
        "dataset": grid.data.name,
        "grid": {
            "network": f"{training['network'].get('backbone', 'lite0')}, {training['network']['width']}x"
            f"{training['network']['height']}",
            "steps": training["steps"],
            "batch_size": training.get("batch_size", 8),
            "clip_length": training.get("clip_length", 16),
            "folds_of": FOLDS,
            "video": video.name,
            "members": list(grid.members),
            "training": training,
        },
        "yardstick": facts,
        "rows": rows,
        "gain_kept": kept,
        "claims": [asdict(claim) for claim in claims(rows, kept)],
        "cells": [_cell(network) | seconds.get(network.cell, {}) for network in networks],
    }


def _finished_cells(grid: Grid) -> tuple[dict[Cell, Measured], dict[Cell, dict[str, float]]]:
    """Read what was measured under the grid's settings; cells of other settings are reported and left out."""
    done, seconds, others = {}, {}, []
    for path in sorted((grid.work / "cells").glob("*/result.json")):
        row, labels, fold, seed = path.parent.name.rsplit("-", 3)
        cell = Cell(row, int(labels), int(fold[1:]), int(seed[1:]))
        found = grid.result(cell)
        if found is None:
            others.append(cell.name)
            continue
        done[cell] = read_measured(path.with_name(MEASURED))
        seconds[cell] = {key: found[key] for key in RUN_SECONDS}
    if others:
        say(f"left out, being of other settings: {', '.join(others)}")
    return done, seconds


def _reference_set(
    grid: Grid, frames: LabeledFrames, done: dict[Cell, Measured], steps_of: str
) -> tuple[ReferenceSet, dict[str, Any]]:
    steppers = [k for k, name in enumerate(frames.keypoints) if name.startswith(steps_of)]
    if not steppers:
        raise UserError(
            f"--steps-of {steps_of}: no keypoint's name begins so; there are {', '.join(frames.keypoints)}"
        )
    views = [[frames.keypoints.index(name) for name in view] for view in grid.base.get("views", [])]
    most = max(cell.labels for cell in done)
    surest = [cell for cell in done if cell.labels == most and cell.row in FITS]
    references = ReferenceSet(
        fit_pose(frames.xy),
        fit_views(frames.xy, views),
        visible_mask([done[cell] for cell in surest or done]),
        steppers,
        probe(grid.held).rate_hz,
    )
    references.steppers = [k for k in steppers if references.present[k]]
    notes = []
    for row, name in (("all", "smoothed ensemble"), ("supervised", "smoothed supervised networks")):
        members = [done[cell] for cell in surest if cell.row == row]
        if members:
            references.references[name] = smooth_members(members, frames.keypoints)[0]
            notes.append(f"the {name} ({len(members)} of {most} labels)")
    pose, mirror = references.pose, references.mirror
    return references, {
        "labels": len(frames),
        "frames": len(references.seen),
        "keypoints": len(frames.keypoints),
        "seen_keypoints": int(references.present.sum()),
        "seen_share": dict(
            zip(frames.keypoints, references.seen.mean(axis=0).round(3).tolist(), strict=True)
        ),
        "pose_keypoints": len(pose.keypoints[0]) if pose else 0,
        "pose_components": len(pose.components) if pose else 0,
        "views": len(mirror.keypoints) if mirror else 0,
        "view_components": len(mirror.components) if mirror else 0,
        "steppers": [frames.keypoints[k] for k in references.steppers],
        "reference": " and ".join(notes) or "nothing",
        "seen_by": [cell.name for cell in surest],
    }


def _cell(network: Network) -> dict[str, Any]:
    """A network's own figures, and all of its errors."""
    errors = network.measured.errors
    return {
        "name": network.cell.name,
        **asdict(network.cell),
        "error": figures(errors),
        "held_out": network.measured.held_names,
        "errors_px": errors.round(3).tolist(),
        "steps": {name: ratio.round(4).tolist() for name, ratio in network.steps.items()},
    }
