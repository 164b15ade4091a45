"""Paws on another day: where five networks agree, what counts as wrong, and on whose paw it then lies."""

from __future__ import annotations

import numpy as np
import pytest

from bench.headtohead.answers import OtherDay
from bench.headtohead.other_day import (
    OTHER_PAW,
    DayNetwork,
    DayReference,
    agreed,
    day_differences,
    day_figures,
    on_another_paw,
    on_paws,
)
from rt_pose.errors import UserError
from rt_pose.types import FloatArray

PAWS = ["a_top", "b_top", "a_bot", "b_bot"]
FRAMES = 100
PLACES = np.array([[50.0, 50.0], [150.0, 50.0], [50.0, 250.0], [150.0, 250.0]])


def places() -> FloatArray:
    return np.broadcast_to(PLACES, (FRAMES, 4, 2)).copy()


def reference() -> DayReference:
    return DayReference(PAWS, places())


def network(confidence: float = 0.5) -> DayNetwork:
    return DayNetwork(places(), np.full((FRAMES, 4), confidence))


def test_what_four_of_five_do_not_agree_on_is_left_out() -> None:
    xy = np.stack([places()] * 5)
    xy[0, :10, 0] += 11.0  # one of five, in ten frames
    xy[:2, :5, 1] += 11.0  # two of five, in five
    found = agreed(xy, PAWS)
    assert np.isnan(found.xy[:5, 1]).all()
    assert np.isfinite(found.xy[:, 0]).all()
    assert found.left_out == pytest.approx(5 / (4 * FRAMES))


def test_a_wrong_paw_is_told_from_another_paw_of_its_view() -> None:
    own = network(0.95)
    own.xy[0, 0] = PLACES[1]  # on the other paw of the side view
    own.xy[1, 0] = PLACES[2]  # on a paw of the other view
    own.xy[2, 3] += 30.0  # on none
    own.confidence[2, 3] = 0.2
    found = day_figures([own], reference())
    points = 4 * FRAMES
    assert found["far"]["value"] == pytest.approx(3 / points)
    assert found["far_side"]["value"] == pytest.approx(2 / (points / 2))
    assert found["far_confident"]["value"] == pytest.approx(2 / (points - 1))
    assert found[OTHER_PAW]["value"] == pytest.approx(1 / points)
    assert on_another_paw(own, reference()).sum() == 1.0
    assert found["p99"]["value"] == 0.0
    assert found["p99"]["n"] == points


def test_the_nearer_network_is_shown_to_be_nearer() -> None:
    far, near = network(), network()
    far.xy[::2] += 25.0
    near.xy += 1.0
    found = day_differences([near, near], [far, far], reference())
    assert found["far"]["value"] == pytest.approx(-0.5)
    assert found["far"]["high"] < 0
    same = day_differences([far], [far], reference())
    assert same["p50"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_a_network_without_the_paws_is_refused() -> None:
    answers = OtherDay(np.zeros((FRAMES, 3, 2)), np.zeros((FRAMES, 3)))
    with pytest.raises(UserError, match="missing: b_bot"):
        on_paws(answers, PAWS[:3], reference())
    with pytest.raises(UserError, match="expected 100"):
        on_paws(OtherDay(np.zeros((5, 4, 2)), np.zeros((5, 4))), PAWS, reference())
    ordered = on_paws(OtherDay(places()[:, ::-1], np.zeros((FRAMES, 4))), PAWS[::-1], reference())
    np.testing.assert_array_equal(ordered.xy, places())
