"""Which candidate each keypoint takes, against the plainest cost function and every choice there is."""

from __future__ import annotations

import dataclasses
from itertools import combinations, product

import numpy as np

from rt_pose.package import Subspace, TrackingSpec
from rt_pose.tracking.candidate_choice import CandidateChoice, Choice, ChoiceSpec
from rt_pose.types import FloatArray

K, C = 4, 3
Candidates = tuple[FloatArray, FloatArray, FloatArray]
SHAPE = np.array([[0.0, 0.0], [30.0, 0.0], [30.0, 20.0], [0.0, 20.0]])
SPEC = ChoiceSpec()
NOWHERE = np.zeros((K, 2)), np.tile(np.eye(2), (K, 1, 1)), np.zeros(K, dtype=bool)
"""No prediction."""


def views(a: int, b: int) -> Subspace:
    """Two keypoints with one x and any y: a part seen from the side and from below."""
    components = np.array(
        [[np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    )
    return Subspace(f"{a}={b}", [a, b], [0.0] * 4, components.tolist(), [0.5, 0.5])


def rigid() -> Subspace:
    """Four points of one rigid shape that only moves along x and y."""
    along = np.tile(np.eye(2) / 2.0, K)
    return Subspace("pose", list(range(K)), SHAPE.ravel().tolist(), along.tolist(), [0.5] * K)


def tracking(*subspaces: Subspace) -> TrackingSpec:
    return TrackingSpec([1e4] * K, [0.05] * K, [0.5] * K, [1.0] * K, subspaces=list(subspaces))


def candidates(*places: list[list[float]], share: float = 0.2) -> tuple[FloatArray, FloatArray, FloatArray]:
    """xy, cov and mass of keypoints from the places of their candidates, the first with most of the mass."""
    xy, mass = np.full((len(places), C, 2), np.nan), np.zeros((len(places), C))
    for k, own in enumerate(places):
        xy[k, : len(own)] = np.reshape(own, (-1, 2))
        mass[k, : len(own)] = [1.0 - share, share, share / 2][: len(own)]
    cov = np.where(np.isfinite(xy)[..., None], 2.0 * np.eye(2), np.nan)
    return xy, cov, mass


def chosen(
    spec: TrackingSpec, found: tuple[FloatArray, FloatArray, FloatArray], *predicted: FloatArray
) -> Choice:
    return CandidateChoice(spec, C).choose(*found, *(predicted or NOWHERE))  # type: ignore[arg-type]


def whole_cost(
    spec: TrackingSpec,
    found: tuple[FloatArray, ...],
    predicted: tuple[FloatArray, ...],
    pick: tuple[int, ...],
) -> float:
    """The cost of a choice, term by term as the module describes it."""
    at = np.arange(K), np.array(pick)
    z, cov, mass = (part[at] for part in found)
    mean, p, known = predicted
    noise = 0.5 * cov + np.eye(2)
    cost = float(-SPEC.mass * np.log(mass).sum())
    for k in np.flatnonzero(known):
        e = z[k] - mean[k]
        cost += 0.5 * min(e @ np.linalg.inv(p[k] + noise[k]) @ e, SPEC.limit_chi2)
    for a, b in combinations(range(K), 2):
        cost += SPEC.exclusion_cost * (np.linalg.norm(z[a] - z[b]) < SPEC.exclusion_px)
    for space in spec.subspaces:
        basis = np.array(space.components)
        d = z[space.keypoints].ravel() - space.mean_px
        far = ((d - basis.T @ (basis @ d)).reshape(-1, 2) ** 2).sum(axis=1)
        own = np.array(space.eps_px2) + noise[space.keypoints].trace(axis1=1, axis2=2) / 2
        cost += 0.5 * np.minimum(far / own, SPEC.limit_chi2).sum()
    return cost


def test_no_single_move_is_better_and_seldom_any_other_choice() -> None:
    random = np.random.default_rng(5)
    spec = tracking(views(0, 1), views(2, 3), rigid())
    every = ChoiceSpec(none_cost=1e3)
    choice, best = CandidateChoice(spec, C, None, every), 0
    for _ in range(20):
        xy = SHAPE[:, None] + 50.0 + random.normal(0.0, 1.5, (K, C, 2))
        xy += 25.0 * random.normal(0.0, 1.0, (K, C, 2)) * (random.random((K, C, 1)) < 0.6)
        found = xy, random.uniform(1.0, 3.0, (K, C, 1, 1)) * np.eye(2), random.uniform(0.01, 0.9, (K, C))
        predicted = (
            SHAPE + 50.0 + random.normal(0.0, 3.0, (K, 2)), np.tile(4.0 * np.eye(2), (K, 1, 1)),
            random.random(K) < 0.7,
        )  # fmt: skip
        index, probability = choice.choose(*found, *predicted)
        again = CandidateChoice(spec, C, None, every).choose(*found, *predicted)
        np.testing.assert_array_equal(again.index, index)
        np.testing.assert_array_equal(again.probability, probability)
        costs = {pick: whole_cost(spec, found, predicted, pick) for pick in product(range(C), repeat=K)}
        ours = tuple(index.tolist())
        for k, c in product(range(K), range(C)):
            other = (*ours[:k], c, *ours[k + 1 :])
            assert costs[other] >= costs[ours] - 1e-6
            if c != ours[k]:
                # Against each alternative alone: what the probability is made of.
                assert probability[k] <= 1.0 / (1.0 + np.exp(costs[ours] - costs[other])) + 1e-9
        best += costs[ours] <= min(costs.values()) + 1e-6
    assert best >= 17


def test_the_view_from_below_corrects_the_side() -> None:
    """Keypoint 0 is seen on another paw from the side; 1 is the same paw from below."""
    found = candidates([[90.0, 10.0], [40.0, 12.0]], [[40.0, 90.0]], [[90.0, 11.0]], [[91.0, 90.0]])
    assert chosen(tracking(), found).index.tolist() == [1, 0, 0, 0], "on one peak with 2"
    far = candidates([[90.0, 30.0], [40.0, 12.0]], [[40.0, 90.0]], [[90.0, 11.0]], [[91.0, 90.0]])
    assert chosen(tracking(), far).index.tolist() == [0, 0, 0, 0]
    index, probability = chosen(tracking(views(0, 1), views(2, 3)), far)
    assert index.tolist() == [1, 0, 0, 0]
    assert probability.min() > 0.9


def test_an_exchange_is_undone_where_no_single_move_would() -> None:
    found = candidates(
        [[90.0, 10.0], [40.0, 10.0]], [[40.0, 90.0]], [[40.0, 10.0], [90.0, 10.0]], [[90.0, 90.0]], share=0.4
    )
    spec = tracking(views(0, 1), views(2, 3))
    dear = ChoiceSpec(exclusion_cost=30.0)
    none = np.zeros((K, 2)), np.tile(np.eye(2), (K, 1, 1)), np.zeros(K, dtype=bool)
    assert CandidateChoice(spec, C, None, dear).choose(*found, *none).index.tolist() == [1, 0, 1, 0]
    alone = dataclasses.replace(dear, none_cost=1e3)
    apart = CandidateChoice(spec, C, [[0, 2]], alone).choose(*found, *none)
    assert apart.index.tolist() == [1, 0, 1, 0], "a named group is enough"


def test_the_prediction_chooses_and_what_is_far_from_everything_is_none() -> None:
    found = candidates([[90.0, 10.0], [41.0, 10.0]], [[40.0, 90.0]], [[150.0, 10.0]], [])
    predicted = np.array([[40.0, 10.0], [40.0, 90.0], [40.0, 200.0], [0.0, 0.0]])
    known = np.array([True, True, True, False])
    index, probability = chosen(tracking(), found, predicted, NOWHERE[1], known)
    assert index.tolist() == [1, 0, 0, -1], "far from the prediction alone is no reason"
    assert probability[3] == 0.0
    strict = ChoiceSpec(none_cost=5.0)
    index, probability = CandidateChoice(tracking(), C, None, strict).choose(
        *found, predicted, NOWHERE[1], known
    )
    assert index.tolist() == [1, 0, -1, -1]
    assert probability[:2].min() > 0.9


def test_one_wrong_keypoint_does_not_drag_the_others_nor_a_missing_one_stop_them() -> None:
    shape = (SHAPE + 100.0).tolist()
    others = [[p, [p[0] + 40.0, p[1]]] for p in shape]
    wild = candidates([[300.0, 300.0]], *others[1:])
    assert chosen(tracking(rigid()), wild).index.tolist() == [0, 0, 0, 0]
    missing = candidates([], [others[1][1], others[1][0]], *others[2:])
    predicted = SHAPE + 100.0, NOWHERE[1], np.array([True, False, False, False])
    assert chosen(tracking(rigid()), missing).index.tolist() == [-1, 0, 0, 0], "no place of 0: no space"
    assert chosen(tracking(rigid()), missing, *predicted).index.tolist() == [-1, 1, 0, 0]
