"""Several individuals in a report: how long each was tracked, and how sure it is that it is who it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rt_pose.audit.matching import match_individuals
from rt_pose.records import Truth
from rt_pose.reports.render import UNKNOWN, number
from rt_pose.session.individuals import SURE, individuals_of
from rt_pose.session.read import Session
from rt_pose.types import FloatArray

HEAD = ["individual", "tracked", "began", "lowest probability", f"below {SURE:g}", "exchanges", "who it was"]
"""Headings of `individual_rows`."""


def errors_of_frame(found: FloatArray, truth: Truth) -> FloatArray:
    """Compute how far each animal's keypoints were found from where they truly were.

    Parameters
    ----------
    found
        (D, K, 2) px, in no order of animals.
    truth
        Of the frame, N animals.

    Returns
    -------
    FloatArray
        (N, K) px; NaN where a keypoint is hidden or was not found.
    """
    xy = truth.xy.array()
    visible = np.array(truth.visible, bool).reshape(xy.shape[:2])
    errors = np.full(visible.shape, np.nan)
    for n, row in enumerate(match_individuals(found, xy, visible).tolist()):
        if row >= 0:
            errors[n] = np.linalg.norm(found[row] - xy[n], axis=-1)
    return np.where(visible, errors, np.nan)


@dataclass
class _Slot:
    """What is counted of a slot."""

    alive: bool = False
    own: int | None = None
    """The animal that it held at its birth."""
    last: int | None = None
    frames: int = 0
    births: int = 0
    unsure: int = 0
    lowest_p: float | None = None
    known: int = 0
    """Frames in which it is known which animal it held."""
    right: int = 0
    exchanges: int = 0

    def add(self, alive: bool, p: float | None, animal: int | None) -> None:
        """Count a frame."""
        self.births += alive and not self.alive
        if not alive or not self.alive:
            self.own = self.last = None
        self.alive = alive
        if not alive:
            return
        self.frames += 1
        if p is not None:
            self.unsure += p < SURE
            self.lowest_p = p if self.lowest_p is None else min(p, self.lowest_p)
        if animal is not None:
            self.own = animal if self.own is None else self.own
            self.exchanges += self.last is not None and animal != self.last
            self.last = animal
            self.known += 1
            self.right += animal == self.own


def individual_figures(session: Session) -> list[dict[str, Any]]:
    """Sum up each of several individuals, over all cameras.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    list[dict[str, Any]]
        name, tracked (share of the frames), births, lowest_p and below_sure (share of its frames) of the
        probability that it is who it was at its birth, and, where the truth is known, exchanges (how often it
        became another animal) and right (share of the frames in which it was who it was at its birth). Empty
        of a session of one individual.
    """
    names = individuals_of(session)
    if len(names) == 1:
        return []
    truths = {(truth.camera, truth.index): truth for truth in session.truths}
    slots: dict[tuple[str, int], _Slot] = {}
    frames = 0
    for track in sorted(session.tracks, key=lambda one: one.seq):
        if track.xy.shape[0] != len(names):
            continue
        frames += 1
        xy = np.where(track.lost_array()[..., None], np.nan, track.xy.array())
        truth = truths.get((track.camera, track.index))
        animals = {} if truth is None else _animals(xy, truth)
        for n in range(len(names)):
            alive = track.alive[n] if n < len(track.alive) else bool(np.isfinite(xy[n]).any())
            p = track.identity_p[n] if n < len(track.identity_p) else None
            slots.setdefault((track.camera, n), _Slot()).add(alive, p, animals.get(n))
    return [
        _summary(name, frames, [slot for (_, of), slot in slots.items() if of == n])
        for n, name in enumerate(names)
    ]


def _animals(xy: FloatArray, truth: Truth) -> dict[int, int]:
    """The animal that each slot held."""
    true = truth.xy.array()
    if true.shape[1:] != xy.shape[1:]:
        return {}
    visible = np.array(truth.visible, bool).reshape(true.shape[:2])
    matched = match_individuals(xy, true, visible).tolist()
    return {slot: animal for animal, slot in enumerate(matched) if slot >= 0}


def _summary(name: str, frames: int, slots: list[_Slot]) -> dict[str, Any]:
    own, known = sum(slot.frames for slot in slots), sum(slot.known for slot in slots)
    stated = [slot.lowest_p for slot in slots if slot.lowest_p is not None]
    return {
        "name": name,
        "tracked": own / frames if frames else None,
        "births": sum(slot.births for slot in slots),
        "lowest_p": min(stated, default=None),
        "below_sure": sum(slot.unsure for slot in slots) / own if stated else None,
        "exchanges": sum(slot.exchanges for slot in slots) if known else None,
        "right": sum(slot.right for slot in slots) / known if known else None,
    }


def individual_rows(figures: list[dict[str, Any]]) -> Iterator[list[str]]:
    """Tabulate the individuals for the page.

    Parameters
    ----------
    figures
        As of `individual_figures`.

    Yields
    ------
    list[str]
        A row an individual, as `HEAD` says.
    """
    for one in figures:
        shares = [_percent(one[key]) for key in ("tracked", "below_sure")]
        yield [
            one["name"],
            shares[0],
            f"{one['births']} times",
            number(one["lowest_p"], ".3f"),
            shares[1],
            "not known" if one["exchanges"] is None else str(one["exchanges"]),
            "not known" if one["right"] is None else _percent(one["right"]),
        ]


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * share:.1f} %"
