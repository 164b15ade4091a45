"""How probable a condition is: by closed forms where its parts allow, by quadrature points where they do not.

Keypoints are independent of each other, so parts of a condition that share none multiply; parts that share
one are evaluated together at the same points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rt_pose.rules.closed_forms import Form, Linear
from rt_pose.rules.probability import below, between, in_box, in_disc
from rt_pose.rules.probability_in_space import in_cuboid, in_shell, prepare_nodes
from rt_pose.rules.samples import StateSamples
from rt_pose.rules.state_distribution import QuadraturePoints, StateDistribution
from rt_pose.rules.zones import Box, Circle
from rt_pose.rules.zones_in_space import Cuboid, Sphere

TruthFunction = Callable[[StateSamples], Any]
"""samples -> truth values (n,), or one for all."""
ProbabilityFunction = Callable[[StateDistribution], float]


@dataclass(frozen=True, slots=True)
class BoundPredicate:
    """A bound condition."""

    holds: TruthFunction
    probability: ProbabilityFunction
    slots: frozenset[int]
    """Slots that it looks at and that are uncertain."""
    moving: frozenset[int]
    """Of those, the slots whose velocity it looks at."""
    says: str
    """As a clause."""
    exact: bool = False
    """Its probability needs no quadrature points."""
    compound: bool = False
    """Its clause has an `and` or `or` of its own."""


def deterministic(holds: TruthFunction) -> ProbabilityFunction:
    """Make the probability of a condition that no covariance affects.

    Parameters
    ----------
    holds
        Truth of the condition by samples.

    Returns
    -------
    ProbabilityFunction
        1 or 0 at the mean.
    """
    return lambda state: float(np.all(holds(state.samples)))


def by_quadrature(holds: TruthFunction, nodes: QuadraturePoints) -> ProbabilityFunction:
    """Make the probability as the share of quadrature points at which a condition holds.

    Parameters
    ----------
    holds
        Truth of the condition by samples.
    nodes
        The points.

    Returns
    -------
    ProbabilityFunction
        The share; NaN where a keypoint has not been seen.
    """

    def probability(state: StateDistribution) -> float:
        samples = nodes.fill(state)
        return math.nan if samples is None else float(np.mean(holds(samples)))

    return probability


def form_probability(form: Form, low: float, high: float) -> ProbabilityFunction:
    """Make the probability of low <= form <= high.

    Parameters
    ----------
    form
        A linear form, or the length of a vector.
    low, high
        The bounds, in base units; infinite for none.

    Returns
    -------
    ProbabilityFunction
        The probability, in closed form or by one-dimensional quadrature; of a length in space by quadrature
        in three dimensions.
    """
    if isinstance(form, Linear):
        return lambda state: _interval(state.mean_of(form), state.covariance(form, form), low, high)
    if form.z is not None:
        prepare_nodes()
        return lambda state: in_shell(*state.vector(form), low, high)

    def ring(state: StateDistribution) -> float:
        mean, cov = state.plane(form)
        within = 1.0 if high == math.inf else in_disc(mean, cov, high)
        less = 0.0 if low <= 0.0 else in_disc(mean, cov, low)
        lost = math.isnan(sum(mean) + sum(cov))
        return math.nan if lost else max(within - less, 0.0)

    return ring


def inside_circle(slot: int, zone: Circle) -> ProbabilityFunction:
    """Make the probability that a keypoint is in a circle.

    Parameters
    ----------
    slot
        Slot of the keypoint.
    zone
        The circle, in the slot's unit.

    Returns
    -------
    ProbabilityFunction
        The probability.
    """

    def probability(state: StateDistribution) -> float:
        (x, y), cov = _position(state, slot)
        return in_disc((x - zone.x, y - zone.y), cov, zone.radius)

    return probability


def inside_box(slot: int, zone: Box) -> ProbabilityFunction:
    """Make the probability that a keypoint is in a box.

    Parameters
    ----------
    slot
        Slot of the keypoint.
    zone
        The box, in the slot's unit.

    Returns
    -------
    ProbabilityFunction
        The probability.
    """

    def probability(state: StateDistribution) -> float:
        mean, cov = _position(state, slot)
        return in_box(mean, cov, (zone.left, zone.top, zone.right, zone.bottom))

    return probability


def inside_in_space(slot: int, zone: Sphere | Cuboid) -> ProbabilityFunction:
    """Make the probability that a keypoint is in a zone in space.

    Parameters
    ----------
    slot
        Slot of the keypoint.
    zone
        The sphere or box, mm.

    Returns
    -------
    ProbabilityFunction
        The probability.
    """
    prepare_nodes()

    def probability(state: StateDistribution) -> float:
        place, cov = state.means[slot][:3], [row[:3] for row in state.cov(slot)[:3]]
        if isinstance(zone, Cuboid):
            return in_cuboid(place, cov, zone.low, zone.high)
        return in_shell([v - c for v, c in zip(place, zone.centre, strict=True)], cov, 0.0, zone.radius)

    return probability


def complement(probability: ProbabilityFunction) -> ProbabilityFunction:
    """Make the probability of the contrary.

    Parameters
    ----------
    probability
        That of a condition.

    Returns
    -------
    ProbabilityFunction
        1 minus it.
    """
    return lambda state: 1.0 - probability(state)


def all_of(probabilities: Sequence[ProbabilityFunction]) -> ProbabilityFunction:
    """Make the probability of independent conditions together.

    Parameters
    ----------
    probabilities
        Those of the conditions.

    Returns
    -------
    ProbabilityFunction
        Their product. One that is impossible (0) decides, whatever is not known of the others.
    """

    def probability(state: StateDistribution) -> float:
        product = 1.0
        for part in probabilities:
            p = part(state)
            if p == 0.0:
                return 0.0
            product *= p
        return product

    return probability


def any_of(probabilities: Sequence[ProbabilityFunction]) -> ProbabilityFunction:
    """Make the probability of at least one of independent conditions.

    Parameters
    ----------
    probabilities
        Those of the conditions.

    Returns
    -------
    ProbabilityFunction
        The complement of the product of complements.
    """
    return complement(all_of([complement(probability) for probability in probabilities]))


CLOSE_ENOUGH = 0.002
"""Where the parts alone bound the joint probability this closely, it is not computed any further."""


def joint_probability(
    parts: Sequence[BoundPredicate], nodes: QuadraturePoints, *, every: bool
) -> ProbabilityFunction:
    """Make the probability of parts that share keypoints, the probability of each being known.

    Parameters
    ----------
    parts
        The parts; each probability is exact.
    nodes
        Quadrature points of all that the parts look at.
    every
        Whether all of them must hold, or any.

    Returns
    -------
    ProbabilityFunction
        The probability.

    Notes
    -----
    The points then only have to describe how the parts depend on each other: the error that they make in each
    part is known and is removed by regression (control variates; Owen, Monte Carlo theory, ch. 8.9). The
    result is kept within the Frechet bounds.
    """
    count = len(parts)
    merge = np.logical_and if every else np.logical_or

    def probability(state: StateDistribution) -> float:
        known = [part.probability(state) for part in parts]
        if math.isnan(sum(known)):
            return math.nan
        low, high = _bounds(known, every)
        if high - low < CLOSE_ENOUGH:
            return 0.5 * (low + high)
        samples = nodes.fill(state)
        if samples is None:
            return math.nan
        truth_values = np.array([part.holds(samples) for part in parts], dtype=np.float64)  # (parts, nodes)
        size = truth_values.shape[1]
        p_parts = truth_values.sum(axis=1) / size
        p = float(np.count_nonzero(merge.reduce(truth_values.astype(bool)))) / size
        between_parts = truth_values @ truth_values.T / size - np.outer(p_parts, p_parts)
        with_whole = p * (1.0 - p_parts) if every else p_parts * (1.0 - p)
        between_parts.flat[:: count + 1] += (
            1e-6  # a part that holds nowhere or everywhere adds no information
        )
        weights = np.linalg.solve(between_parts, with_whole)
        p += float(weights @ (np.array(known) - p_parts))
        return min(max(p, low), high)

    return probability


def _bounds(known: list[float], every: bool) -> tuple[float, float]:
    """Bounds on the probability of all parts, or any, by the parts alone (Frechet)."""
    if every:
        return max(0.0, sum(known) - len(known) + 1.0), min(known)
    return max(known), min(1.0, sum(known))


def dependent_groups(
    parts: Sequence[BoundPredicate], keypoints_of: Callable[[int], Iterable[int]]
) -> list[list[BoundPredicate]]:
    """Divide parts into groups that share keypoints, each group independent of the others.

    Parameters
    ----------
    parts
        The parts of a condition.
    keypoints_of
        The keypoints that a slot is made of.

    Returns
    -------
    list[list[BoundPredicate]]
        The groups.
    """
    groups: list[tuple[set[int], list[BoundPredicate]]] = []
    for part in parts:
        keypoints, members = {k for s in part.slots for k in keypoints_of(s)}, [part]
        apart = []
        for group in groups:
            if group[0] & keypoints:
                keypoints |= group[0]
                members = group[1] + members
            else:
                apart.append(group)
        groups = [*apart, (keypoints, members)]
    return [members for _, members in groups]


def _interval(mean: float, variance: float, low: float, high: float) -> float:
    if high == math.inf:
        return below(-mean, variance, -low)
    return below(mean, variance, high) if low == -math.inf else between(mean, variance, low, high)


def _position(state: StateDistribution, slot: int) -> tuple[tuple[float, float], tuple[float, float, float]]:
    mean, cov = state.means[slot], state.cov(slot)
    return (mean[0], mean[1]), (cov[0][0], cov[0][1], cov[1][1])
