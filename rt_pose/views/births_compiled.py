"""Births in space: what several cameras found and nobody explains becomes a body where they agree; compiled.

Detections of two cameras agree where most keypoints that both saw have a place (`pair_compiled.place_pair`).
Two animals can agree by accident, most easily at one height before cameras that stand at one height. So what
is proposed is tried in the other cameras too, and a body begins only where no proposal that contradicts it
(one of its detections has another partner there) is seen by as many cameras. What is ambiguous waits: animals
move, and a further camera sees more.

Numba's cache notices a change of a function's own file alone: whoever changes a file that this one imports
touches this one too, or runs what was compiled before.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from rt_pose.types import FloatArray
from rt_pose.views.bodies import Indices, Mask
from rt_pose.views.bodies_compiled import clear_slot, confirm
from rt_pose.views.camera_compiled import project
from rt_pose.views.kalman3d_compiled import projected_cov
from rt_pose.views.pair_compiled import place_pair

MOST_PROPOSALS = 64


class Proposals(NamedTuple):
    """Bodies that might begin, and room for finding them."""

    rows: Indices
    """(C, V) of each the detection among those of a camera that wait; -1 for none."""
    support: Indices
    """(C,) how many cameras see it."""
    chosen: Mask
    """(C,) whether it begins."""
    places: FloatArray
    """(K, 3) of the newest one, mm."""
    covs: FloatArray
    """(K, 6, 6), zero but for the places' own."""
    placed: Mask
    """(K,)."""
    seen: Mask
    """(K,) what a camera has just seen of a body."""
    partner: Indices
    """(D,) the body that a detection is taken for; -1 for none, -2 for several."""
    place: FloatArray
    place_cov: FloatArray
    matrix: FloatArray
    slope: FloatArray
    towards: FloatArray


def make_proposals(views: int, keypoints: int, detections: int) -> Proposals:
    """Make room for proposals.

    Parameters
    ----------
    views
        V.
    keypoints
        K.
    detections
        D, the most that a frame may have.

    Returns
    -------
    Proposals
        Whatever is in it.
    """
    c, k = MOST_PROPOSALS, keypoints
    return Proposals(
        rows=np.zeros((c, views), np.int64),
        support=np.zeros(c, np.int64),
        chosen=np.zeros(c, dtype=bool),
        places=np.zeros((k, 3)),
        covs=np.zeros((k, 6, 6)),
        placed=np.zeros(k, dtype=bool),
        seen=np.zeros(k, dtype=bool),
        partner=np.zeros(detections, np.int64),
        place=np.zeros(3),
        place_cov=np.zeros((3, 3)),
        matrix=np.zeros((3, 3)),
        slope=np.zeros((2, 3)),
        towards=np.zeros((2, 6)),
    )


@numba.njit(cache=True, error_model="numpy")
def wait(bodies, view, t_ns, z, r, seen, free, unexplained):  # type: ignore[no-untyped-def]
    """Keep the detections of a frame that nobody explains, in place of those of the camera's frame before.

    Parameters
    ----------
    bodies
        Updated.
    view, t_ns
        Number of the camera, and time of its frame, ns.
    z, r, seen
        The detections: positions (D, K, 2) px, noise (D, 3, K) px^2, and which keypoints are seen (D, K).
    free
        (D,) how probably each is nobody's.
    unexplained
        How probable that must be.
    """
    count, keypoints = 0, seen.shape[1]
    for d in range(len(z)):
        usable = 0
        for k in range(keypoints):
            usable += seen[d, k]
        if free[d] < unexplained or 2 * usable < keypoints:
            continue
        bodies.waiting_row[view, count] = d
        for k in range(keypoints):
            bodies.waiting_seen[view, count, k] = seen[d, k]
            for i in range(2):
                bodies.waiting_xy[view, count, k, i] = z[d, k, i]
            for i in range(3):
                bodies.waiting_r[view, count, k, i] = r[d, i, k]
        count += 1
    bodies.waiting[view], bodies.waiting_ns[view] = count, t_ns


@numba.njit(cache=True, error_model="numpy")
def propose(bodies, parameters, view, t_ns, proposals):  # type: ignore[no-untyped-def]
    """Find the bodies that detections of a camera's newest frame might be, with those of other cameras.

    Parameters
    ----------
    bodies
        The newest frame's detections wait.
    parameters
        Of the filter.
    view, t_ns
        Number of the camera, and time of its frame, ns.
    proposals
        Written.

    Returns
    -------
    int
        How many there are.
    """
    count = 0
    for d in range(bodies.waiting[view]):
        for other in range(len(bodies.waiting)):
            age_ns = t_ns - bodies.waiting_ns[other]
            if other == view or age_ns > parameters.start_ns:
                continue
            for e in range(bodies.waiting[other]):
                if count == len(proposals.support):
                    return count
                if _agree(
                    parameters, view, bodies.waiting_xy[view, d], bodies.waiting_r[view, d],
                    bodies.waiting_seen[view, d], other, bodies.waiting_xy[other, e],
                    bodies.waiting_r[other, e], bodies.waiting_seen[other, e], age_ns, proposals,
                ):  # fmt: skip
                    _support(bodies, parameters, view, d, other, e, t_ns, proposals, count)
                    count += 1
    return count


@numba.njit(cache=True, error_model="numpy")
def reclaim(bodies, tracks, parameters, view, t_ns, choice, proposals):  # type: ignore[no-untyped-def]
    """Give bodies that one camera alone goes on finding what another one finds of them elsewhere.

    Along the rays of one camera a track may drift until no other camera finds it where it should be. Where
    what that one camera has just found agrees with a detection that nobody explains, the two place the body
    anew; not where several bodies or detections agree.

    Parameters
    ----------
    bodies, tracks
        Updated.
    parameters
        Of the filter.
    view, t_ns
        Number of the camera, and time of its frame, ns.
    choice
        (N,) the detection of each body; written where one is found again.
    proposals
        Room.
    """
    n, keypoints = len(choice), len(proposals.seen)
    for d in range(bodies.waiting[view]):
        proposals.partner[d] = -1
        for s in range(n):
            if not bodies.used[s] or choice[s] >= 0:
                continue
            if _fits_alone(bodies, tracks, parameters, view, d, s, t_ns, proposals):
                proposals.partner[d] = s if proposals.partner[d] == -1 else -2
    for d in range(bodies.waiting[view]):
        s = proposals.partner[d]
        rivals = 0
        for e in range(bodies.waiting[view]):
            rivals += proposals.partner[e] == s
        if s < 0 or rivals > 1:
            continue
        _fits_alone(bodies, tracks, parameters, view, d, s, t_ns, proposals)  # for what is placed
        choice[s], bodies.found_ns[s] = bodies.waiting_row[view, d], t_ns
        for k in range(keypoints):
            if proposals.placed[k]:
                tracks.known[s * keypoints + k] = False
        bodies.waiting_seen[view, d, :] = False


@numba.njit(cache=True, error_model="numpy")
def _fits_alone(bodies, tracks, parameters, view, d, s, t_ns, proposals):  # type: ignore[no-untyped-def]
    """Whether one other camera alone has just found a body, and a detection agrees with that."""
    keypoints = len(proposals.seen)
    first, found, where = s * keypoints, 0, -1
    for w in range(len(bodies.waiting)):
        newest_ns = tracks.newest_ns[w, first]
        for k in range(keypoints):
            newest_ns = max(newest_ns, tracks.newest_ns[w, first + k])
        if w != view and t_ns - newest_ns <= parameters.start_ns:
            found, where = found + 1, w
    if found != 1:
        return False
    newest_ns = tracks.newest_ns[where, first]
    for k in range(keypoints):
        newest_ns = max(newest_ns, tracks.newest_ns[where, first + k])
    for k in range(keypoints):
        proposals.seen[k] = tracks.newest_ns[where, first + k] == newest_ns
    last = first + keypoints
    return _agree(
        parameters, view, bodies.waiting_xy[view, d], bodies.waiting_r[view, d], bodies.waiting_seen[view, d],
        where, tracks.newest_xy[where, first:last], tracks.newest_r[where, first:last], proposals.seen,
        t_ns - newest_ns, proposals,
    )  # fmt: skip


@numba.njit(cache=True, error_model="numpy")
def _moved2(parameters, k, age_ns):  # type: ignore[no-untyped-def]
    """Variance of a keypoint's movement over a time, in each direction."""
    return 0.5 * parameters.q[k] * parameters.tau[k] * (1e-9 * age_ns) ** 2


@numba.njit(cache=True, error_model="numpy")
def _agree(  # type: ignore[no-untyped-def]
    parameters, view, xy, r, seen, other, other_xy, other_r, other_seen, age_ns, proposals
):  # fmt: skip
    """Whether two cameras' detections may be of one body: two thirds of what both saw have a place."""
    keypoints = len(proposals.placed)
    both = failed = 0
    for k in range(keypoints):
        proposals.placed[k] = seen[k] and other_seen[k]
        both += proposals.placed[k]
    if 2 * both < keypoints:
        return False
    for k in range(keypoints):
        if not proposals.placed[k]:
            continue
        variance = place_pair(
            parameters.cameras[view], parameters.cameras[other],
            xy[k], other_xy[k], r[k], other_r[k],
            _moved2(parameters, k, age_ns), parameters.gate,
            proposals.place, proposals.place_cov, proposals.matrix, proposals.slope,
        )  # fmt: skip
        if not variance < np.inf:
            proposals.placed[k] = False
            failed += 1
            if 3 * failed > both:
                return False
            continue
        for i in range(3):
            proposals.places[k, i] = proposals.place[i]
            for j in range(3):
                proposals.covs[k, i, j] = proposals.place_cov[i, j]
    return True


@numba.njit(cache=True, error_model="numpy")
def _support(bodies, parameters, view, d, other, e, t_ns, proposals, number):  # type: ignore[no-untyped-def]
    """Write a proposal, with the detections of further cameras that fit it."""
    proposals.rows[number, :] = -1
    proposals.rows[number, view], proposals.rows[number, other] = d, e
    proposals.support[number] = 2
    for third in range(len(bodies.waiting)):
        age_ns = t_ns - bodies.waiting_ns[third]
        if third in (view, other) or age_ns > parameters.start_ns:
            continue
        best, least = -1, np.inf
        for f in range(bodies.waiting[third]):
            chi2 = _misfit(bodies, parameters, third, f, age_ns, proposals)
            if chi2 < least:
                best, least = f, chi2
        if best >= 0:
            proposals.rows[number, third] = best
            proposals.support[number] += 1


@numba.njit(cache=True, error_model="numpy")
def _misfit(bodies, parameters, view, row, age_ns, proposals):  # type: ignore[no-untyped-def]
    """The mean chi-square of a further camera's detection from a proposal; infinite where it does not fit."""
    both, fits, total = 0, 0, 0.0
    slope = proposals.slope
    for k in range(len(proposals.placed)):
        if not (proposals.placed[k] and bodies.waiting_seen[view, row, k]):
            continue
        both += 1
        x, y, shown = project(parameters.cameras[view], proposals.places[k], slope)
        if not shown:
            continue
        xx, xy, yy = projected_cov(proposals.covs[k], slope, proposals.towards)
        moved2 = _moved2(parameters, k, age_ns)
        for i in range(3):
            xx += moved2 * slope[0, i] * slope[0, i]
            xy += moved2 * slope[0, i] * slope[1, i]
            yy += moved2 * slope[1, i] * slope[1, i]
        xx += bodies.waiting_r[view, row, k, 0]
        xy += bodies.waiting_r[view, row, k, 1]
        yy += bodies.waiting_r[view, row, k, 2]
        off_x, off_y = bodies.waiting_xy[view, row, k, 0] - x, bodies.waiting_xy[view, row, k, 1] - y
        chi2 = (yy * off_x * off_x - 2.0 * xy * off_x * off_y + xx * off_y * off_y) / (xx * yy - xy * xy)
        if chi2 < parameters.gate:
            fits += 1
            total += chi2
    if fits == 0 or 2 * both < len(proposals.placed) or 3 * fits < 2 * both:
        return np.inf
    return total / fits


@numba.njit(cache=True, error_model="numpy")
def choose(proposals, count):  # type: ignore[no-untyped-def]
    """Choose the proposals that nothing as strong contradicts, of several of one body the strongest.

    Parameters
    ----------
    proposals
        `chosen` is written.
    count
        How many there are.
    """
    for a in range(count):
        proposals.chosen[a] = True
        for b in range(count):
            shared, apart = _compare(proposals, a, b)
            as_strong = proposals.support[b] >= proposals.support[a]
            if b != a and shared and ((apart and as_strong) or (not apart and _comes_first(proposals, b, a))):
                proposals.chosen[a] = False


@numba.njit(cache=True, error_model="numpy")
def _comes_first(proposals, b, a):  # type: ignore[no-untyped-def]
    """Whether of two proposals of one body the other one counts."""
    ours, theirs = proposals.support[a], proposals.support[b]
    return theirs > ours or (theirs == ours and b < a)


@numba.njit(cache=True, error_model="numpy")
def _compare(proposals, a, b):  # type: ignore[no-untyped-def]
    """Whether two proposals have a detection in common, and whether they have different ones of a camera."""
    shared = apart = False
    for v in range(proposals.rows.shape[1]):
        ours, theirs = proposals.rows[a, v], proposals.rows[b, v]
        if ours >= 0 and theirs >= 0:
            shared = shared or ours == theirs
            apart = apart or ours != theirs
    return shared, apart


@numba.njit(cache=True, error_model="numpy")
def begin_bodies(bodies, tracks, sightings, parameters, view, t_ns, choice, proposals, birth_frames):  # type: ignore[no-untyped-def]
    """Begin bodies in empty slots, of what waits of a camera's newest frame and of other cameras'.

    The filter places their keypoints itself, with the observation that follows: it is given what the other
    cameras saw as their newest observations.

    Parameters
    ----------
    bodies, tracks, sightings
        Updated.
    parameters
        Of the filter.
    view, t_ns
        Number of the camera, and time of its frame, ns.
    choice
        (N,) the detection of each body; written where one begins.
    proposals
        Room.
    birth_frames
        In how many frames a body must be found to be alive.
    """
    empty = 0
    for s in range(len(choice)):
        empty += not bodies.used[s]
    if empty == 0 or bodies.waiting[view] == 0:
        return
    count = propose(bodies, parameters, view, t_ns, proposals)
    choose(proposals, count)
    for c in range(count):
        if not proposals.chosen[c]:
            continue
        for s in range(len(choice)):
            if not bodies.used[s]:
                _begin_body(bodies, tracks, sightings, parameters, s, view, proposals.rows[c])
                bodies.found_ns[s] = t_ns
                choice[s] = bodies.waiting_row[view, proposals.rows[c, view]]
                confirm(bodies, s, birth_frames)
                break
    for c in range(count):
        if proposals.chosen[c]:
            for v in range(len(bodies.waiting)):
                if proposals.rows[c, v] >= 0:  # it waits no more
                    bodies.waiting_seen[v, proposals.rows[c, v], :] = False


@numba.njit(cache=True, error_model="numpy")
def _begin_body(bodies, tracks, sightings, parameters, s, view, rows):  # type: ignore[no-untyped-def]
    """Take a slot into use for a body; see `begin_bodies`."""
    keypoints = bodies.waiting_seen.shape[2]
    clear_slot(bodies, tracks, sightings, s, keypoints)
    bodies.used[s] = True
    bodies.born[s] += 1
    bodies.identity[s, :] = 0.0
    bodies.identity[:, s] = 0.0
    bodies.identity[s, s] = 1.0
    for v in range(len(rows)):
        row = rows[v]
        if row < 0:
            continue
        bodies.bearer[v, s] = True
        bodies.sightings[v, s] = 1
        if v == view:
            continue
        for k in range(keypoints):
            m = s * keypoints + k
            if not bodies.waiting_seen[v, row, k]:
                continue
            tracks.newest_ns[v, m] = bodies.waiting_ns[v]
            for i in range(2):
                tracks.newest_xy[v, m, i] = bodies.waiting_xy[v, row, k, i]
            for i in range(3):
                tracks.newest_r[v, m, i] = parameters.gain[m] * bodies.waiting_r[v, row, k, i]
