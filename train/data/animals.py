"""Labels of several animals a frame: which frames hold how many, and what cannot be meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from train.data.tables import LabelTable

MOST_ANIMALS = 16
"""In one frame."""


def present(xy: FloatArray) -> NDArray[np.bool_]:
    """Tell which animals of frames have a label.

    Parameters
    ----------
    xy
        Labels (F, N, K, 2), px; NaN where unlabeled.

    Returns
    -------
    NDArray
        Booleans (F, N).
    """
    return np.asarray(np.isfinite(xy).all(axis=-1).any(axis=-1))


def as_one_animal(table: LabelTable) -> LabelTable:
    """Return a table whose frames hold one animal each, whichever it is, as one of a single animal.

    Parameters
    ----------
    table
        Labels of a file.

    Returns
    -------
    LabelTable
        As it was where a frame holds several.
    """
    if table.xy.ndim == 3:
        return table
    there = present(table.xy)
    if there.sum(axis=1).max(initial=0) > 1:
        return table
    rows, animals = np.arange(len(there)), there.argmax(axis=1)
    return replace(table, xy=table.xy[rows, animals], visible=table.visible[rows, animals], animals=[])


def refuse_several(path: Path, table: LabelTable) -> None:
    """Refuse labels of several animals where those of one are expected.

    Parameters
    ----------
    path
        What messages call the labels.
    table
        Labels of a file.

    Raises
    ------
    UserError
        Where a frame holds several.
    """
    if table.xy.ndim == 3:
        return
    crowded = np.flatnonzero(present(table.xy).sum(axis=1) > 1)
    raise UserError(
        f"labels {path}: {len(crowded)} of {len(table.xy)} frames hold more than one animal (the first is "
        f"{table.places[crowded[0]]}); this takes labels of one: keep one track in SLEAP, or one animal's "
        "columns, and save them as a new file"
    )


def check_animals(table: LabelTable) -> list[str]:
    """Find frames with more animals than a network can be taught, or with one labeled twice.

    Parameters
    ----------
    table
        Labels of a file.

    Returns
    -------
    list of str
        A line for each.
    """
    if table.xy.ndim == 3:
        return []
    problems = []
    counts = present(table.xy).sum(axis=1)
    if counts.max(initial=0) > MOST_ANIMALS:
        most = int(counts.argmax())
        problems.append(
            f"{table.places[most]}: {counts[most]} animals; expected at most {MOST_ANIMALS} in a frame"
        )
    for i in np.flatnonzero(counts > 1):
        twins = _twins(table.xy[i])
        if twins is not None:
            a, b = (_name(table, n) for n in twins)
            problems.append(
                f"{table.places[i]} ({table.names[i]}): animals {a} and {b} have the same labels; remove one"
            )
    return problems


def _twins(xy: FloatArray) -> tuple[int, int] | None:
    """Two animals of a frame (N, K, 2) that share each label that both have, and some."""
    for b in range(1, len(xy)):
        both = np.isfinite(xy[:b]).all(axis=-1) & np.isfinite(xy[b]).all(axis=-1)  # (b, K)
        same = both & (xy[:b] == xy[b]).all(axis=-1)
        twins = np.flatnonzero((same == both).all(axis=-1) & both.any(axis=-1))
        if len(twins):
            return int(twins[0]), b
    return None


def _name(table: LabelTable, n: int) -> str:
    return f"'{table.animals[n]}'" if n < len(table.animals) else str(n + 1)
