"""Whose the detections of one camera are in space, and what is known of N animals besides tracks; compiled.

An animal here is a body: K keypoints that are filtered in space. For an exposure all bodies are predicted and
projected onto the camera's image with their covariances. There they are compared with what the network found
exactly as in the plane: whole poses by their likelihood (`rt_pose.tracking.pose_likelihood`), under all
assignments that are likely (`rt_pose.tracking.assignment`). The likeliest one is carried out.

How sure it is who is who goes by pairs. The likelihood of an assignment against that in which two bodies are
exchanged tells the two apart; it is taken over the newest frame of every view, since animals that hide one
another in one image stand apart in the next. Where all of them together do not tell two bodies apart their
identities mix, by the probability of an exchange, once for each time that they meet. Bodies that overlap in
space mix by a small rate as well, as in the plane (`rt_pose.tracking.slot_identity`).

Keypoints of body s are the rows s * K to (s + 1) * K of the filter's M = N * K.

Numba's cache notices a change of a function's own file alone: whoever changes a file that this one imports
touches this one too, or runs what was compiled before.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from rt_pose.tracking.pose_likelihood import log_ratio
from rt_pose.tracking.slot_identity import OVERLAP, exchange, log_extent
from rt_pose.views.bodies import BIRTHS, DEATHS
from rt_pose.views.camera_compiled import project
from rt_pose.views.filter3d_compiled import NEVER_NS
from rt_pose.views.kalman3d_compiled import advance, projected_cov

MOST_EVIDENCE = 50.0
"""No frame tells two bodies apart by more than this logarithm of a likelihood ratio."""


@numba.njit(cache=True, error_model="numpy")
def predict_bodies(bodies, tracks, parameters, dt_s):  # type: ignore[no-untyped-def]
    """Carry all bodies to the time of a frame, those too whose tracks are lost.

    Parameters
    ----------
    bodies
        Updated.
    tracks, parameters
        Of the filter, as of the frame before.
    dt_s
        Since that frame, s.
    """
    for m in range(len(bodies.kept)):
        if tracks.known[m]:
            bodies.kept[m] = True
            bodies.mean[m] = tracks.mean[m]
            bodies.cov[m] = tracks.cov[m]
        if bodies.kept[m] and dt_s > 0.0:
            advance(bodies.mean[m], bodies.cov[m], dt_s, parameters.q[m], parameters.tau[m])


@numba.njit(cache=True, error_model="numpy")
def project_bodies(bodies, camera, plane, slope, towards):  # type: ignore[no-untyped-def]
    """Find where a camera should see the bodies, and how surely.

    Parameters
    ----------
    bodies
        Predicted for the time of the frame.
    camera
        The camera's row.
    plane
        Written: mean, covariance and whether the camera can show a keypoint, as hypothesis 0 of a tracker in
        the plane.
    slope, towards
        Room for (2, 3) and (2, 6).
    """
    for m in range(len(bodies.kept)):
        plane.known[0, m] = False
        if not bodies.kept[m]:
            continue
        x, y, shown = project(camera, bodies.mean[m], slope)
        if not shown:
            continue
        xx, xy, yy = projected_cov(bodies.cov[m], slope, towards)
        plane.known[0, m] = True
        plane.mean[0, 0, m], plane.mean[0, 1, m] = x, y
        plane.cov[0, 0, 0, m], plane.cov[0, 1, 1, m] = xx, yy
        plane.cov[0, 0, 1, m] = plane.cov[0, 1, 0, m] = xy


@numba.njit(cache=True, error_model="numpy")
def score_bodies(bodies, plane, z, r, seen, log_spread, log_area, settings, inlier, score):  # type: ignore[no-untyped-def]
    """Score every body with every detection: see `assignment.best_assignments`.

    Parameters
    ----------
    bodies, plane
        The bodies, and where the camera should see them.
    z, r, seen, log_spread
        The detections: positions (D, K, 2) px, and as of `pose_likelihood.measure`.
    log_area
        Logarithm of the frame's area, px^2.
    settings
        The settings.
    inlier
        Room for (K,).
    score
        Written: (N, D).
    """
    keypoints = seen.shape[1]
    for s in range(score.shape[0]):
        for d in range(score.shape[1]):
            score[s, d] = -np.inf
            if bodies.used[s]:
                score[s, d] = (settings.log_seen - settings.log_unseen) + log_ratio(
                    plane.mean[0], plane.cov[0], plane.known[0], s * keypoints, z[d], r[d], seen[d],
                    log_area, log_spread[d], inlier,
                )  # fmt: skip


@numba.njit(cache=True, error_model="numpy")
def free_probability(count, choices, values, free):  # type: ignore[no-untyped-def]
    """Compute how probably each detection is nobody's.

    Parameters
    ----------
    count, choices, values
        The assignments, as of `assignment.best_assignments`.
    free
        Written: (D,).
    """
    total = 0.0
    for c in range(count):
        total += math.exp(values[c] - values[0])
    for d in range(len(free)):
        free[d] = 0.0
        for c in range(count):
            taken = False
            for s in range(choices.shape[1]):
                taken = taken or choices[c, s] == d
            if not taken:
                free[d] += math.exp(values[c] - values[0]) / total


@numba.njit(cache=True, error_model="numpy")
def tell_apart(bodies, view, t_ns, score, choice, settings):  # type: ignore[no-untyped-def]
    """Mix the identities of bodies that the newest frames of all views do not tell apart.

    Parameters
    ----------
    bodies
        Updated.
    view, t_ns
        Number of the camera, and time of its frame, ns.
    score
        (N, D) as of `score_bodies`.
    choice
        (N,) the detection of each body, -1 where it was not found.
    settings
        The settings.
    """
    n = len(choice)
    bodies.evidence_ns[view] = t_ns
    for s in range(n):
        for t in range(s + 1, n):
            if not (bodies.used[s] and bodies.used[t]):
                bodies.evidence[view, s, t] = bodies.exchanged[s, t] = 0.0
                continue
            bodies.evidence[view, s, t] = _evidence(score, choice[s], choice[t], s, t)
            if choice[s] < 0 and choice[t] < 0:
                continue
            total = 0.0
            for w in range(len(bodies.evidence_ns)):
                if t_ns - bodies.evidence_ns[w] <= settings.recent_ns:
                    total += bodies.evidence[w, s, t]
            if total > settings.slack:
                bodies.exchanged[s, t] = 0.0
                continue
            before, share = bodies.exchanged[s, t], 1.0 / (1.0 + math.exp(total))
            if share > before:
                exchange(bodies.identity, s, t, (share - before) / (1.0 - 2.0 * before))
                bodies.exchanged[s, t] = share


@numba.njit(cache=True, error_model="numpy")
def _evidence(score, ours, theirs, s, t):  # type: ignore[no-untyped-def]
    """By how much an assignment is likelier than that in which two bodies are exchanged, a logarithm."""
    evidence = 0.0
    if ours >= 0:
        evidence += score[s, ours] - score[t, ours]
    if theirs >= 0:
        evidence += score[t, theirs] - score[s, theirs]
    return min(max(evidence, 0.0), MOST_EVIDENCE)


@numba.njit(cache=True, error_model="numpy")
def confuse_bodies(bodies, keypoints, t_ns, recent_ns, share, share_hidden, place):  # type: ignore[no-untyped-def]
    """Let animals whose bodies overlap in space exchange their identities with a small probability.

    Parameters
    ----------
    bodies
        Updated.
    keypoints
        K.
    t_ns, recent_ns
        Time of the frame, and how long before it a body counts as seen, ns.
    share, share_hidden
        Probability of an exchange since the frame before, of two that were seen just now and of others.
    place
        Room for (N, 4): the middle of a body (mm), and its squared size with the uncertainty of its place.
    """
    n = len(bodies.used)
    for s in range(n):
        _write_place(bodies, s, keypoints, place[s])
    for s in range(n):
        for t in range(s + 1, n):
            apart2 = 0.0
            for i in range(3):
                apart2 += (place[s, i] - place[t, i]) ** 2
            if bodies.used[s] and bodies.used[t] and apart2 < OVERLAP * (place[s, 3] + place[t, 3]):
                oldest_ns = min(bodies.found_ns[s], bodies.found_ns[t])
                seen = t_ns - oldest_ns <= recent_ns
                exchange(bodies.identity, s, t, share if seen else share_hidden)


@numba.njit(cache=True, error_model="numpy")
def _write_place(bodies, s, keypoints, place):  # type: ignore[no-untyped-def]
    """Write the middle of a body, and its squared size with the uncertainty of its place; NaN for none."""
    place[:] = 0.0
    n, squares, variance = 0, 0.0, 0.0
    for m in range(s * keypoints, (s + 1) * keypoints):
        if bodies.kept[m]:
            n += 1
            for i in range(3):
                place[i] += bodies.mean[m, i]
                squares += bodies.mean[m, i] ** 2
                variance += bodies.cov[m, i, i]
    if n == 0:
        place[:] = np.nan
        return
    middle2 = 0.0
    for i in range(3):
        place[i] /= n
        middle2 += place[i] ** 2
    size = max(0.0, squares / n - middle2)
    place[3] = size + min(size, variance / n)


@numba.njit(cache=True, error_model="numpy")
def update_slots(bodies, tracks, sightings, plane, view, t_ns, choice, log_area, lost_ns, settings):  # type: ignore[no-untyped-def]
    """Note which bodies a frame shows; make alive what was found often enough, and empty what is gone.

    A body that is alive is gone when it may be anywhere, one that is not when fewer than two of the cameras
    that it was made from go on finding it.

    Parameters
    ----------
    bodies, tracks, sightings
        Updated.
    plane
        Where the camera should see the bodies.
    view, t_ns
        Number of the camera, and time of its frame, ns.
    choice
        (N,) the detection of each body, -1 where it was not found.
    log_area
        Logarithm of the frame's area, px^2.
    lost_ns
        A body is not gone before it was unseen for so long, ns.
    settings
        The settings.
    """
    n = len(choice)
    keypoints = len(bodies.kept) // n
    for s in range(n):
        if not bodies.used[s]:
            continue
        if choice[s] >= 0:
            bodies.found_ns[s] = t_ns
            if bodies.bearer[view, s]:
                bodies.sightings[view, s] += 1
                confirm(bodies, s, settings.birth_frames)
            continue
        unseen = t_ns - bodies.found_ns[s] > lost_ns
        bodies.bearer[view, s] = False
        if bodies.alive[s]:
            gone = unseen and log_extent(plane, 0, s, keypoints) > log_area + settings.log_areas
        else:
            bearers = 0
            for v in range(len(bodies.bearer)):
                bearers += bodies.bearer[v, s]
            gone = unseen or bearers < 2
        if gone:
            bodies.counts[DEATHS] += bodies.alive[s]
            clear_slot(bodies, tracks, sightings, s, keypoints)


@numba.njit(cache=True, error_model="numpy")
def confirm(bodies, s, birth_frames):  # type: ignore[no-untyped-def]
    """Make a body alive that two cameras have found in enough frames in a row.

    Parameters
    ----------
    bodies
        Updated.
    s
        Its slot.
    birth_frames
        How many frames are enough.
    """
    enough = 0
    for v in range(len(bodies.bearer)):
        enough += bodies.bearer[v, s] and bodies.sightings[v, s] >= birth_frames
    if enough >= 2 and not bodies.alive[s]:
        bodies.alive[s] = True
        bodies.counts[BIRTHS] += 1


@numba.njit(cache=True, error_model="numpy")
def clear_slot(bodies, tracks, sightings, s, keypoints):  # type: ignore[no-untyped-def]
    """Empty a slot: no body, no tracks.

    Parameters
    ----------
    bodies, tracks, sightings
        Updated.
    s
        The slot.
    keypoints
        K.
    """
    bodies.used[s] = bodies.alive[s] = False
    bodies.bearer[:, s] = False
    bodies.sightings[:, s] = 0
    bodies.evidence[:, s, :] = 0.0
    bodies.evidence[:, :, s] = 0.0
    bodies.exchanged[s, :] = 0.0
    bodies.exchanged[:, s] = 0.0
    for m in range(s * keypoints, (s + 1) * keypoints):
        bodies.kept[m] = tracks.known[m] = False
        tracks.outside[m], tracks.seen_ns[m] = 0, NEVER_NS
        for v in range(len(bodies.bearer)):
            tracks.newest_ns[v, m] = NEVER_NS
            sightings.inside_ns[v, m] = sightings.confident_ns[v, m] = NEVER_NS
