"""What is known of several animals in space besides their tracks; see `rt_pose.views.bodies_compiled`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray
from rt_pose.views.filter3d_compiled import NEVER_NS

BIRTHS, DEATHS = range(2)
"""Places in `Bodies.counts`."""
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]


class Bodies(NamedTuple):
    """What is known of N bodies seen by V cameras, besides their tracks; part of a group's state."""

    used: Mask
    """(N,) alive, or seen too few times for that yet."""
    alive: Mask
    """(N,) whether a slot holds an animal."""
    born: Indices
    """(N,) how many bodies the slot has held."""
    found_ns: Indices
    """(N,) time of the newest frame in which it was found."""
    bearer: Mask
    """(V, N) cameras from whose detections the body was made, until they miss it."""
    sightings: Indices
    """(V, N) frames in a row in which these have found it."""
    identity: FloatArray
    """(N, N) probability that a slot (row) holds an animal, named by the slot of its birth."""
    evidence: FloatArray
    """(V, N, N) by how much the newest frame of each camera told two bodies apart, a logarithm; s < t."""
    evidence_ns: Indices
    """(V,) time of that frame."""
    exchanged: FloatArray
    """(N, N) probability that two bodies were exchanged since they met; it is in `identity` already."""
    kept: Mask
    """(M,) whether a keypoint has a place below: its track's, or that of a track which was lost."""
    mean: FloatArray
    """(M, 6) predicted for the newest frame."""
    cov: FloatArray
    """(M, 6, 6)."""
    waiting: Indices
    """(V,) how many detections of each camera's newest frame nobody explains."""
    waiting_ns: Indices
    """(V,) time of that frame."""
    waiting_row: Indices
    """(V, D) which detections these are."""
    waiting_xy: FloatArray
    """(V, D, K, 2) px."""
    waiting_r: FloatArray
    """(V, D, K, 3) px^2: xx, xy, yy."""
    waiting_seen: Mask
    """(V, D, K)."""
    counts: Indices
    """(2,) births and deaths."""


class Settings(NamedTuple):
    """What does not change."""

    log_seen: float
    """Logarithm of how often an animal is seen over how many detections of nobody a frame has."""
    log_unseen: float
    """Logarithm of how often an animal is not seen."""
    slack: float
    """Assignments that are less likely than the best by more than this factor's logarithm do not count."""
    unexplained: float
    """A detection may be a birth where it belongs to nobody with this probability."""
    birth_frames: int
    log_areas: float
    """A slot becomes empty when its body is spread over so many areas of the frame (a logarithm)."""
    recent_ns: int
    """A camera whose newest frame is older says nothing of who is who."""


def make_bodies(views: int, individuals: int, keypoints: int, detections: int) -> Bodies:
    """Allocate what is known of N bodies; there is none.

    Parameters
    ----------
    views
        V.
    individuals
        N.
    keypoints
        K of each.
    detections
        D, the most that a frame may have.

    Returns
    -------
    Bodies
        All slots empty.
    """
    v, n, k, d = views, individuals, keypoints, detections
    return Bodies(
        used=np.zeros(n, dtype=bool),
        alive=np.zeros(n, dtype=bool),
        born=np.zeros(n, np.int64),
        found_ns=np.full(n, NEVER_NS, np.int64),
        bearer=np.zeros((v, n), dtype=bool),
        sightings=np.zeros((v, n), np.int64),
        identity=np.eye(n),
        evidence=np.zeros((v, n, n)),
        evidence_ns=np.full(v, NEVER_NS, np.int64),
        exchanged=np.zeros((n, n)),
        kept=np.zeros(n * k, dtype=bool),
        mean=np.zeros((n * k, 6)),
        cov=np.zeros((n * k, 6, 6)),
        waiting=np.zeros(v, np.int64),
        waiting_ns=np.full(v, NEVER_NS, np.int64),
        waiting_row=np.zeros((v, d), np.int64),
        waiting_xy=np.zeros((v, d, k, 2)),
        waiting_r=np.zeros((v, d, k, 3)),
        waiting_seen=np.zeros((v, d, k), dtype=bool),
        counts=np.zeros(2, np.int64),
    )
