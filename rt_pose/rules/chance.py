"""How probable a condition is: closed forms where the parts allow, nodes where they do not, joined rightly.

Keypoints are independent of each other, so parts of a condition that share none multiply; parts that share
one are judged together on the same nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rt_pose.rules.belief import Belief, Nodes
from rt_pose.rules.forms import Form, Linear
from rt_pose.rules.moment import Moment
from rt_pose.rules.probability import below, between, in_box, in_disc
from rt_pose.rules.zones import Box, Circle

Holds = Callable[[Moment], Any]
"""moment -> truth values (n,), or one for all."""
Chance = Callable[[Belief], float]


@dataclass(frozen=True, slots=True)
class Truth:
    """A bound condition."""

    holds: Holds
    chance: Chance
    slots: frozenset[int]
    """What it looks at and is uncertain of."""
    moving: frozenset[int]
    """Of those, what it looks at the velocity of."""
    says: str
    """As a clause."""
    exact: bool = False
    """Its chance comes without nodes."""
    joined: bool = False
    """Its clause has an `and` or `or` of its own."""


def certain(holds: Holds) -> Chance:
    """Of a condition that no covariance bears on."""
    return lambda belief: float(np.all(holds(belief.moment)))


def by_nodes(holds: Holds, nodes: Nodes) -> Chance:
    """The share of nodes at which it holds; NaN where a keypoint has not been seen."""

    def chance(belief: Belief) -> float:
        moment = nodes.fill(belief)
        return math.nan if moment is None else float(np.mean(holds(moment)))

    return chance


def of_form(form: Form, low: float, high: float) -> Chance:
    """Of low <= form <= high."""
    if isinstance(form, Linear):
        return lambda belief: _interval(belief.mean_of(form), belief.covariance(form, form), low, high)

    def ring(belief: Belief) -> float:
        mean, cov = belief.plane(form)
        within = 1.0 if high == math.inf else in_disc(mean, cov, high)
        less = 0.0 if low <= 0.0 else in_disc(mean, cov, low)
        lost = math.isnan(sum(mean) + sum(cov))
        return math.nan if lost else max(within - less, 0.0)

    return ring


def inside_circle(slot: int, zone: Circle) -> Chance:
    """Of a keypoint in a circle."""

    def chance(belief: Belief) -> float:
        (x, y), cov = _position(belief, slot)
        return in_disc((x - zone.x, y - zone.y), cov, zone.radius)

    return chance


def inside_box(slot: int, zone: Box) -> Chance:
    """Of a keypoint in a box."""

    def chance(belief: Belief) -> float:
        mean, cov = _position(belief, slot)
        return in_box(mean, cov, (zone.left, zone.top, zone.right, zone.bottom))

    return chance


def negated(chance: Chance) -> Chance:
    """Of the contrary."""
    return lambda belief: 1.0 - chance(belief)


def all_of(chances: Sequence[Chance]) -> Chance:
    """Of independent conditions together. One that cannot be (0) decides, whatever is not known of others."""

    def chance(belief: Belief) -> float:
        product = 1.0
        for part in chances:
            p = part(belief)
            if p == 0.0:
                return 0.0
            product *= p
        return product

    return chance


def any_of(chances: Sequence[Chance]) -> Chance:
    """Of at least one of independent conditions."""
    return negated(all_of([negated(chance) for chance in chances]))


CLOSE_ENOUGH = 0.002
"""Where the parts alone leave less open than this, their joint probability is not computed any further."""


def jointly(parts: Sequence[Truth], nodes: Nodes, *, every: bool) -> Chance:
    """Of parts that share keypoints: all of them (`every`) or any, the probability of each being known.

    The nodes then only have to say how the parts hang together: the error that they make in each part is
    known and taken out by regression (control variates; Owen, Monte Carlo theory, ch. 8.9).
    """
    count = len(parts)
    merge = np.logical_and if every else np.logical_or

    def chance(belief: Belief) -> float:
        known = [part.chance(belief) for part in parts]
        if math.isnan(sum(known)):
            return math.nan
        low, high = _bounds(known, every)
        if high - low < CLOSE_ENOUGH:
            return 0.5 * (low + high)
        moment = nodes.fill(belief)
        if moment is None:
            return math.nan
        held = np.array([part.holds(moment) for part in parts], dtype=np.float64)  # (parts, nodes)
        size = held.shape[1]
        p_parts = held.sum(axis=1) / size
        p = float(np.count_nonzero(merge.reduce(held.astype(bool)))) / size
        between_parts = held @ held.T / size - np.outer(p_parts, p_parts)
        with_whole = p * (1.0 - p_parts) if every else p_parts * (1.0 - p)
        between_parts.flat[:: count + 1] += 1e-6  # a part that holds nowhere or everywhere says nothing
        weights = np.linalg.solve(between_parts, with_whole)
        p += float(weights @ (np.array(known) - p_parts))
        return min(max(p, low), high)

    return chance


def _bounds(known: list[float], every: bool) -> tuple[float, float]:
    """What the parts alone say of all of them, or any (Frechet)."""
    if every:
        return max(0.0, sum(known) - len(known) + 1.0), min(known)
    return max(known), min(1.0, sum(known))


def together(parts: Sequence[Truth], keypoint_of: Callable[[int], int]) -> list[list[Truth]]:
    """The parts in groups that share keypoints, each group independent of the others."""
    groups: list[tuple[set[int], list[Truth]]] = []
    for part in parts:
        keypoints, members = {keypoint_of(s) for s in part.slots}, [part]
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


def _position(belief: Belief, slot: int) -> tuple[tuple[float, float], tuple[float, float, float]]:
    mean, cov = belief.means[slot], belief.cov(slot)
    return (mean[0], mean[1]), (cov[0][0], cov[0][1], cov[1][1])
