"""One frame of a camera before several animals in space: every step from detections to slots, compiled.

Numba's cache notices a change of a function's own file alone: whoever changes a file that this one imports
touches this one too, or runs what was compiled before.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from rt_pose.tracking.assignment import best_assignments
from rt_pose.tracking.pose_likelihood import measure
from rt_pose.types import FloatArray
from rt_pose.views.births_compiled import begin_bodies, reclaim, wait
from rt_pose.views.bodies import Indices, Mask
from rt_pose.views.bodies_compiled import (
    confuse_bodies,
    free_probability,
    predict_bodies,
    project_bodies,
    score_bodies,
    tell_apart,
    update_slots,
)
from rt_pose.views.camera_compiled import AREA


class Room(NamedTuple):
    """Arrays in which a frame is worked on: N slots of K keypoints, M = N * K, and up to D detections."""

    r: FloatArray
    """(D, 3, K) px^2."""
    seen: Mask
    """(D, K)."""
    log_spread: FloatArray
    """(D,)."""
    inlier: Mask
    """(K,)."""
    choices: Indices
    """(C, N)."""
    values: FloatArray
    """(C,)."""
    free: FloatArray
    """(D,)."""
    slope: FloatArray
    """(2, 3)."""
    towards: FloatArray
    """(2, 6)."""
    place: FloatArray
    """(N, 4)."""
    gain: FloatArray
    """(K,) and"""
    floor: FloatArray
    """(K,): with these covariances are taken as they are."""
    xy: FloatArray
    """(M, 2) px, the detections in the order of the slots; NaN where a slot was not found."""
    cov: FloatArray
    """(M, 2, 2) px^2."""
    confidence: FloatArray
    """(M,); 0 where a slot was not found."""


def make_room(hypotheses: int, individuals: int, keypoints: int, detections: int) -> Room:
    """Make the arrays.

    Parameters
    ----------
    hypotheses
        C, the most assignments that are looked at.
    individuals, keypoints, detections
        N, K and D.

    Returns
    -------
    Room
        Nothing is in it.
    """
    c, n, k, d = hypotheses, individuals, keypoints, detections
    return Room(
        r=np.zeros((d, 3, k)),
        seen=np.zeros((d, k), dtype=bool),
        log_spread=np.zeros(d),
        inlier=np.zeros(k, dtype=bool),
        choices=np.zeros((c, n), np.int64),
        values=np.zeros(c),
        free=np.zeros(d),
        slope=np.zeros((2, 3)),
        towards=np.zeros((2, 6)),
        place=np.zeros((n, 4)),
        gain=np.ones(k),
        floor=np.zeros(k),
        xy=np.full((n * k, 2), np.nan),
        cov=np.full((n * k, 2, 2), np.nan),
        confidence=np.zeros(n * k),
    )


@numba.njit(cache=True, error_model="numpy")
def assign_detections(  # type: ignore[no-untyped-def]
    bodies, tracks, sightings, parameters, plane, room, proposals, settings, view, t_ns, dt_s, lost_ns,
    share, share_hidden, xy, cov, confidence, found,
):  # fmt: skip
    """Find whose the detections of a frame are, who is gone and who has come.

    Parameters
    ----------
    bodies, tracks, sightings
        Updated: what is known of the bodies; of the filter's tracks and of what cameras have seen only the
        slots in which a body begins or ends.
    parameters
        Of the filter.
    plane, room, proposals
        Room; `room.xy`, `room.cov` and `room.confidence` are written, the detections by slot.
    settings
        The settings.
    view, t_ns
        Number of the camera, and time of its frame, ns.
    dt_s
        Since the frame before, of whichever camera, s.
    lost_ns
        As of `update_slots`.
    share, share_hidden
        As of `confuse_bodies`.
    xy, cov, confidence
        The detections, contiguous: (D, K, 2) px, (D, K, 2, 2) px^2 as the filter takes them, and (D, K).
    found
        Written: (N,) the detection of each slot; -1 where it was not found.
    """
    n, d = len(found), len(xy)
    keypoints = len(room.inlier)
    log_area = math.log(parameters.cameras[view, AREA])
    r, seen, log_spread, free = room.r[:d], room.seen[:d], room.log_spread[:d], room.free[:d]
    measure(xy, cov, confidence, 0.0, room.gain, room.floor, r, seen, log_spread)
    # Whose they are: the likeliest assignment, and what the others say of who is who.
    predict_bodies(bodies, tracks, parameters, dt_s)
    project_bodies(bodies, parameters.cameras[view], plane, room.slope, room.towards)
    score = np.empty((n, d))
    score_bodies(bodies, plane, xy, r, seen, log_spread, log_area, settings, room.inlier, score)
    count = best_assignments(score, settings.slack, room.choices, room.values)
    for s in range(n):
        found[s] = room.choices[0, s]
    free_probability(count, room.choices, room.values, free)
    tell_apart(bodies, view, t_ns, score, found, settings)
    confuse_bodies(bodies, keypoints, t_ns, settings.recent_ns, share, share_hidden, room.place)
    # Who is gone, and who has come.
    update_slots(bodies, tracks, sightings, plane, view, t_ns, found, log_area, lost_ns, settings)
    wait(bodies, view, t_ns, xy, r, seen, free, settings.unexplained)
    reclaim(bodies, tracks, parameters, view, t_ns, found, proposals)
    begin_bodies(bodies, tracks, sightings, parameters, view, t_ns, found, proposals, settings.birth_frames)
    _sort(found, xy, cov, confidence, room)


@numba.njit(cache=True, error_model="numpy")
def _sort(found, xy, cov, confidence, room):  # type: ignore[no-untyped-def]
    """Write the detections in the order of the slots."""
    keypoints = len(room.inlier)
    for s in range(len(found)):
        row = found[s]
        for k in range(keypoints):
            m = s * keypoints + k
            if row < 0:
                room.confidence[m] = 0.0
                room.xy[m, :] = np.nan
                room.cov[m, :, :] = np.nan
                continue
            room.confidence[m] = confidence[row, k]
            for i in range(2):
                room.xy[m, i] = xy[row, k, i]
                for j in range(2):
                    room.cov[m, i, j] = cov[row, k, i, j]
