"""The animals of a session: their names, which detection each slot took, and how sure it is who they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rt_pose.records import Observation, TrackRecord
from rt_pose.rules.keypoint_name import individual_names
from rt_pose.session.read import Session
from rt_pose.types import FloatArray

COLOURS = (
    *("#60a5fa", "#f472b6", "#a3e635", "#fb923c", "#c084fc", "#2dd4bf", "#fde047", "#f87171"),
    *("#818cf8", "#4ade80", "#fbbf24", "#e879f9", "#22d3ee", "#a8a29e", "#fda4af", "#bef264"),
)
"""Of several individuals, in the order of their slots; bright enough for gray frames."""
SURE = 0.95
"""A lower probability that an individual is who it was is shown beside its name."""


def individual_colour(individual: int) -> str:
    """Choose the colour of one of several individuals.

    Parameters
    ----------
    individual
        Its slot.

    Returns
    -------
    str
        As `#rrggbb`.
    """
    return COLOURS[individual % len(COLOURS)]


def names_of_individuals(config: Mapping[str, Any], count: int) -> list[str]:
    """List the names of a session's individuals, in the order of their slots.

    Parameters
    ----------
    config
        The run's configuration, as in `session.json` and in `meta`.
    count
        N, how many its tracks have.

    Returns
    -------
    list[str]
        N names: those of the configuration, or `individual0` and so on where it has a number alone.
    """
    chosen = config.get("individuals")
    if isinstance(chosen, list) and len(chosen) == count:
        return [str(name) for name in chosen]
    return list(individual_names(count))


def slot_confidence(seen: Observation, track: TrackRecord) -> FloatArray:
    """Get the network's confidence in the keypoints of each slot.

    Parameters
    ----------
    seen
        The observation, D detections in no order of individuals.
    track
        Its track, N slots.

    Returns
    -------
    FloatArray
        (N, K) 0..1; NaN in a slot that took no detection.
    """
    confidence, (slots, keypoints) = seen.confidence.array(), track.xy.shape[:2]
    if not track.detection and confidence.shape == (slots, keypoints):
        return confidence
    found = np.full((slots, keypoints), np.nan)
    for slot, row in enumerate(track.detection[:slots]):
        if 0 <= row < len(confidence):
            found[slot] = confidence[row]
    return found


def individuals_of(session: Session) -> list[str]:
    """List the names of the individuals that a session tracked.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    list[str]
        N names, in the order of the slots; an empty one of a session of one individual.
    """
    count = session.tracks[0].xy.shape[0] if session.tracks else 1
    return names_of_individuals(session.info.config, count) if count != 1 else [""]


def identity_probabilities(tracks: Sequence[TrackRecord]) -> FloatArray | None:
    """Collect the probabilities that slots hold who they held at their birth.

    Parameters
    ----------
    tracks
        F tracks of N slots.

    Returns
    -------
    FloatArray | None
        (F, N), NaN of an empty slot; None where none were stated.
    """
    if not any(track.identity_p for track in tracks):
        return None
    found = np.full((len(tracks), tracks[0].xy.shape[0]), np.nan)
    for row, track in enumerate(tracks):
        for slot, p in enumerate(track.identity_p[: found.shape[1]]):
            found[row, slot] = np.nan if p is None else p
    return found


def name_of(names: Sequence[str], individual: int) -> str:
    """Get the name of an event's individual.

    Parameters
    ----------
    names
        Of the individuals.
    individual
        Its slot, as the event has it.

    Returns
    -------
    str
        The name; the number of a slot that has none.
    """
    return names[individual] if 0 <= individual < len(names) else str(individual)
