"""From peaks to animals, compiled: each keypoint's peaks go to the centres that they vote for.

size      mean distance of a peak from the centre that it votes for
centres   peaks of the centre map, of two that nearly coincide the surer one
claims    for each keypoint the nearest pairs of vote and centre first, one peak an animal
leftover  peaks that no centre claimed and that agree on one are an animal, if they are half of it
"""

from __future__ import annotations

import numba
import numpy as np

REACH = 1.0
"""A vote may lie so far from a centre, in sizes of an animal."""
SAME_CENTRE = 0.3
"""Of two centres that are nearer than this, in sizes of an animal, the less sure one is none."""
SURE_CENTRE = 0.1
"""Confidence from which a peak of the centre map is a centre."""
SURE_PEAK = 0.3
"""Confidence from which a peak tells of an animal's size, or of an animal that has no centre."""
LEAST_PEAK = 0.02
"""Less sure peaks belong to no animal."""
FREE = -1
"""A peak without an animal, or an animal without a peak."""


@numba.njit(cache=True, error_model="numpy")
def cast_votes(at, count, offsets, width, stride, scale, votes):  # type: ignore[no-untyped-def]
    """Compute the centre that each peak votes for, in place.

    Parameters
    ----------
    at, count
        Indices of the peaks (K, P), and how many each keypoint has (K,).
    offsets
        The network's offsets (2 K, h * w): x and y of each keypoint in turn.
    width
        Width w of a map, heatmap px.
    stride
        Input pixels per heatmap pixel.
    scale
        Heatmap px per unit of an offset.
    votes
        Written: centres (K, P, 2), px of the network's input.
    """
    for k in range(len(count)):
        for p in range(count[k]):
            i = at[k, p]
            votes[k, p, 0] = (i % width + 0.5 + scale * offsets[2 * k, i]) * stride - 0.5
            votes[k, p, 1] = (i // width + 0.5 + scale * offsets[2 * k + 1, i]) * stride - 0.5


@numba.njit(cache=True, error_model="numpy")
def animal_size(count, xy, confidence, votes, least):  # type: ignore[no-untyped-def]
    """Compute the mean distance of sure peaks from their votes, which is the size of an animal.

    Parameters
    ----------
    count
        How many peaks each keypoint has (K,).
    xy, confidence, votes
        Positions (K, P, 2), confidences (K, P) and votes (K, P, 2) of the peaks.
    least
        The least size, px.

    Returns
    -------
    float
        The size, px of the network's input.
    """
    total, weights = 0.0, 0.0
    for k in range(len(count)):
        for p in range(count[k]):
            if confidence[k, p] >= SURE_PEAK:
                dx, dy = votes[k, p, 0] - xy[k, p, 0], votes[k, p, 1] - xy[k, p, 1]
                total += confidence[k, p] * np.sqrt(dx * dx + dy * dy)
                weights += confidence[k, p]
    return max(total / weights, least) if weights > 0.0 else least


@numba.njit(cache=True, error_model="numpy")
def choose_centres(count, xy, confidence, size, centres):  # type: ignore[no-untyped-def]
    """Choose the peaks of the centre map that are centres, in place.

    Parameters
    ----------
    count
        How many peaks the centre map has, the highest first.
    xy, confidence
        Their positions (P, 2) and confidences (P,).
    size
        Size of an animal, px.
    centres
        Written: centres (P, 2), px.

    Returns
    -------
    int
        How many centres there are.
    """
    n = 0
    for p in range(count):
        alone = confidence[p] >= SURE_CENTRE
        for a in range(n):
            alone = alone and _distance(xy[p], centres[a]) >= SAME_CENTRE * size
        if alone:
            centres[n] = xy[p]
            n += 1
    return n


@numba.njit(cache=True, error_model="numpy")
def _distance(a, b):  # type: ignore[no-untyped-def]
    return np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)


@numba.njit(cache=True, error_model="numpy")
def claim(count, confidence, votes, reach, centres, first, last, animal, peak):  # type: ignore[no-untyped-def]
    """Give each keypoint's free peaks to centres without one, the nearest pair first, in place.

    Parameters
    ----------
    count
        How many peaks each keypoint has (K,).
    confidence, votes
        Confidences (K, P) and votes (K, P, 2) of the peaks.
    reach
        The furthest a vote may lie from its centre, px.
    centres
        (A, 2), px.
    first, last
        The centres to give to: `first` to `last` - 1.
    animal
        Changed: the animal of each peak (K, P), or `FREE`.
    peak
        Changed: the peak of each animal's keypoints (A, K), or `FREE`.
    """
    for k in range(len(count)):
        while True:
            nearest, p_, a_ = reach, FREE, FREE
            for p in range(count[k]):
                if animal[k, p] != FREE or confidence[k, p] < LEAST_PEAK:
                    continue
                for a in range(first, last):
                    if peak[a, k] == FREE:
                        apart = _distance(votes[k, p], centres[a])
                        if apart < nearest:
                            nearest, p_, a_ = apart, p, a
            if p_ == FREE:
                break
            animal[k, p_], peak[a_, k] = a_, p_


@numba.njit(cache=True, error_model="numpy")
def group(count, confidence, votes, size, centres, n, animal, peak):  # type: ignore[no-untyped-def]
    """Group the peaks to animals, in place.

    Parameters
    ----------
    count
        How many peaks each keypoint has (K,).
    confidence, votes
        Confidences (K, P) and votes (K, P, 2) of the peaks.
    size
        Size of an animal, px.
    centres
        (A, 2) px, of which `n` are there; those of animals without a peak of the centre map are added.
    n
        How many centres there are.
    animal, peak
        Written: as in `claim`.

    Returns
    -------
    int
        How many animals there are; one of them may have no peak.
    """
    keypoints = len(count)
    animal[:] = FREE
    peak[:] = FREE
    claim(count, confidence, votes, REACH * size, centres, 0, n, animal, peak)
    while n < len(centres):
        # The surest peak that nobody claimed says where another animal may be.
        best, k_, p_ = SURE_PEAK, FREE, FREE
        for k in range(keypoints):
            for p in range(count[k]):
                if animal[k, p] == FREE and confidence[k, p] > best:
                    best, k_, p_ = confidence[k, p], k, p
        if k_ == FREE:
            break
        centres[n] = votes[k_, p_]
        animal[k_, p_], peak[n, k_] = n, p_
        claim(count, confidence, votes, REACH * size, centres, n, n + 1, animal, peak)
        if 2 * _count_peaks(peak[n]) < keypoints:
            peak[n] = FREE  # its peaks stay taken: they are nobody's
        else:
            n += 1
    return n


@numba.njit(cache=True, error_model="numpy")
def _count_peaks(peak):  # type: ignore[no-untyped-def]
    """How many keypoints of an animal have a peak."""
    n = 0
    for p in peak:
        if p != FREE:
            n += 1
    return n


@numba.njit(cache=True, error_model="numpy")
def rank(n, confidence, peak, score, ranks):  # type: ignore[no-untyped-def]
    """Order animals by the sum of their confidences, the highest first.

    Parameters
    ----------
    n
        How many animals there are.
    confidence
        Of the peaks (K, P).
    peak
        The peak of each animal's keypoints (A, K).
    score
        Written: the sum of each animal's confidences (A,).
    ranks
        Written: the animals in their order (A,).

    Returns
    -------
    int
        How many of them have enough keypoints: two, where there are two.
    """
    keypoints = peak.shape[1]
    kept = 0
    for a in range(n):
        if _count_peaks(peak[a]) < min(2, keypoints):
            continue
        score[a] = 0.0
        for k in range(keypoints):
            if peak[a, k] != FREE:
                score[a] += confidence[k, peak[a, k]]
        j = kept
        while j > 0 and score[ranks[j - 1]] < score[a]:
            ranks[j] = ranks[j - 1]
            j -= 1
        ranks[j] = a
        kept += 1
    return kept
