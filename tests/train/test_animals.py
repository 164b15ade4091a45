"""Accuracy of several animals: matching, what is missing, and the average precision."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.inference.decode import Keypoints
from rt_pose.package import match_rows, ordered_like
from rt_pose.types import FloatArray
from train.animals import (
    OKS_KAPPA,
    aligned,
    animal_figures,
    animal_sizes,
    label_errors,
    mean_average_precision,
    similarity,
)

BODY = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 40.0]])
TWO = np.stack([BODY + np.array([100, 100]), BODY + np.array([300, 120])])


def found_of(xy: FloatArray, confidence: float | FloatArray = 1.0) -> Keypoints[FloatArray]:
    """Keypoints (F, D, K) at `xy`, equally sure where they are there."""
    sure = np.where(np.isfinite(xy).all(axis=-1), confidence, 0.0)
    return Keypoints(xy, np.zeros((*xy.shape, 2)), sure)


def test_animals_are_matched_in_any_order_and_the_missing_count_as_their_size() -> None:
    labels = np.stack([TWO, TWO])
    xy = np.stack([TWO[::-1] + np.array([3.0, 4.0]), np.full_like(TWO, np.nan)])
    xy[1, 1] = TWO[1]
    xy[1, 1, 2] = np.nan
    own = aligned(found_of(xy), labels)
    np.testing.assert_allclose(own.xy[0], TWO + np.array([3.0, 4.0]))
    assert np.isnan(own.xy[1, 0]).all()
    np.testing.assert_allclose(own.xy[1, 1, :2], TWO[1, :2])
    np.testing.assert_allclose(animal_sizes(labels), 50.0)
    np.testing.assert_allclose(
        label_errors(found_of(xy), labels), [[[5, 5, 5], [5, 5, 5]], [[50, 50, 50], [0, 0, 50]]]
    )
    assert animal_figures(found_of(xy), labels)["found"] == pytest.approx(8 / 12)


def test_what_is_not_labeled_is_neither_matched_nor_counted() -> None:
    labels = TWO[None].copy()
    labels[0, 0] = np.nan
    labels[0, 1, 0] = np.nan
    own = aligned(found_of(TWO[None]), labels)
    assert np.isnan(own.xy[0, 0]).all()
    errors = label_errors(found_of(TWO[None]), labels)
    assert np.isnan(errors[0, 0]).all()
    np.testing.assert_array_equal(errors[0, 1], [np.nan, 0, 0])


def test_animals_that_are_a_size_apart_are_not_the_same() -> None:
    assert np.isnan(aligned(found_of(TWO[None, :1] + 60.0), TWO[None, :1]).xy).all()
    assert np.isfinite(aligned(found_of(TWO[None, :1] + 20.0), TWO[None, :1]).xy).all()


def test_similarity_is_that_of_the_formula() -> None:
    off = 3.0
    alike = similarity(TWO + np.array([off, 0.0]), TWO)
    expected = np.exp(-(off**2) / (2 * 30.0 * 40.0 * OKS_KAPPA**2))
    np.testing.assert_allclose(np.diag(alike), expected)
    np.testing.assert_allclose(alike[0, 1], 0.0, atol=1e-12)
    hidden = TWO.copy()
    hidden[0, 1] = np.nan
    np.testing.assert_allclose(similarity(hidden, TWO)[0, 0], 2 / 3)


def test_average_precision_of_ranked_animals() -> None:
    labels = np.stack([TWO, TWO])
    perfect = [found_of(frame) for frame in labels]
    assert mean_average_precision(perfect, labels) == 1.0
    assert mean_average_precision([found_of(frame[:1]) for frame in labels], labels) == pytest.approx(
        51 / 101
    )
    ghost = TWO[:1] + 1000.0
    sure = [found_of(np.concatenate([TWO, ghost]), np.array([[0.9], [0.9], [s]])) for s in (1.0, 0.1)]
    # Two wrong ones above the four right ones.
    assert mean_average_precision(sure[:1] * 2, labels) == pytest.approx(4 / 6)
    assert mean_average_precision([sure[0], perfect[1]], labels) < 1.0
    assert mean_average_precision(sure[1:] * 2, labels) == 1.0
    twice = [found_of(np.concatenate([frame, frame])) for frame in labels]
    assert mean_average_precision(twice, labels) < 1.0, "a labeled animal is found once"
    nothing = [found_of(np.full((2, 3, 2), np.nan))] * 2
    assert mean_average_precision(nothing, labels) == 0.0
    assert np.isnan(mean_average_precision(nothing, np.full_like(labels, np.nan)))


def test_rows_of_two_predictions_are_matched_the_nearest_first() -> None:
    apart = np.array([[5.0, 1.0, np.nan], [0.5, 1.2, 9.0]])
    assert match_rows(apart).tolist() == [1, 0]
    assert match_rows(apart, 0.8).tolist() == [-1, 0]
    three = np.concatenate([TWO, np.full((1, 3, 2), np.nan)])[[2, 1, 0]]
    np.testing.assert_array_equal(ordered_like(three[None], TWO[None])[0], TWO)
    assert np.isnan(ordered_like(three[None, :1], TWO[None])).all()
    np.testing.assert_array_equal(ordered_like(TWO, TWO), TWO)
