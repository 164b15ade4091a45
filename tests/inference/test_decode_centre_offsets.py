"""Maps of several animals with known answers: who has which keypoint, and where."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.decode import Decoder, Keypoints
from rt_pose.inference.decode_centre_offsets import CentreOffsetsDecoder
from rt_pose.inference.peaks_compiled import find_peaks
from rt_pose.package import DecodeSpec
from rt_pose.types import FloatArray

SPEC = DecodeSpec(stride=4, decoder="centre_offsets", offset_scale=5.0)
HEIGHT, WIDTH, SIGMA = 48, 64, 1.25
BODY = np.array([[7.0, 0.0], [2.0, 4.0], [-2.0, -3.0], [-7.0, 0.0]])
"""Keypoints of an animal about its centre, heatmap px."""


def animal(x: float, y: float, degrees: float = 0.0) -> FloatArray:
    """(K, 2) heatmap px."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return BODY @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def output(animals: FloatArray, weights: FloatArray | None = None) -> NDArray[np.float32]:
    """What a perfect network gives (3 K + 1, HEIGHT, WIDTH) for animals (N, K, 2); NaN is not seen."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    centres = np.nanmean(animals, axis=1, keepdims=True)
    places = np.concatenate([animals, centres], axis=1)  # (N, K + 1, 2)
    squared = (places[..., 0, None, None] - x) ** 2 + (places[..., 1, None, None] - y) ** 2
    share = np.ones(len(animals)) if weights is None else weights
    bells = share[:, None, None, None] * np.nan_to_num(np.exp(-squared / (2 * SIGMA**2)))
    logits = np.log(bells.sum(axis=0) + 1e-9)
    nearest = np.nan_to_num(squared[:, :-1], nan=np.inf).argmin(axis=0)  # (K, h, w)
    to_centre = centres[nearest, 0] - np.stack([x, y], axis=-1)  # (K, h, w, 2)
    offsets = np.moveaxis(to_centre, -1, 1).reshape(-1, HEIGHT, WIDTH) / SPEC.offset_scale
    return np.concatenate([logits, offsets]).astype(np.float32)


def decode(maps: NDArray[np.float32], detections: int = 4) -> Keypoints[FloatArray]:
    return CentreOffsetsDecoder(SPEC, detections)(maps)


def assert_found(found: Keypoints[FloatArray], animals: FloatArray, atol: float = 0.15) -> None:
    """Each animal in some row, whole, and no row more."""
    expected = (animals + 0.5) * 4 - 0.5
    there = np.isfinite(found.xy).all(axis=-1).any(axis=-1)
    assert there.sum() == len(animals)
    assert not found.confidence[~there].any()
    for own in expected:
        known = np.isfinite(own).all(axis=-1)
        apart = np.abs(found.xy - own).max(axis=-1)  # (D, K) px of the input
        row = np.nan_to_num(apart[:, known], nan=1e3).mean(axis=1).argmin()
        assert (np.isfinite(found.xy[row]).all(axis=-1) == known).all()
        assert apart[row][known].max() < 4 * atol


def test_animals_are_found_whole_wherever_they_are() -> None:
    one, two = animal(20.3, 20.1, 30), animal(44.6, 30.2, 200)
    for case, (animals, atol) in {
        "one": ([one], 0.15),
        "two": ([one, two], 0.15),
        "four": ([animal(14, 12), animal(48, 12, 90), animal(15, 36, 180), animal(48, 35, 45)], 0.15),
        "side by side": ([animal(30, 20), animal(30, 25.5)], 0.3),
        "crossing": ([animal(29, 24), animal(32.2, 24.5, 90)], 0.5),
        "heads together": ([animal(20, 24), animal(37, 24, 180)], 0.5),
    }.items():
        found = decode(output(np.stack(animals)))
        assert found.xy.shape == (4, 4, 2), case
        assert_found(found, np.stack(animals), atol)
        assert found.confidence[: len(animals)].min() > 0.8, case


def test_a_single_animal_is_where_the_decoder_of_one_finds_it() -> None:
    maps = output(animal(30.4, 22.7, 40)[None])
    alone = Decoder(DecodeSpec(stride=4))(maps[:4])
    found = decode(maps)
    np.testing.assert_allclose(found.xy[0], alone.xy, atol=1e-9)
    np.testing.assert_allclose(found.cov[0], alone.cov, atol=1e-9)
    np.testing.assert_allclose(found.confidence[0], alone.confidence, atol=1e-3)


def test_what_is_hidden_is_not_taken_from_the_other_animal() -> None:
    animals = np.stack([animal(20, 20, 30), animal(44, 30, 200)])
    animals[0, 1] = np.nan
    assert_found(decode(output(animals)), animals)


def test_an_animal_without_a_centre_is_found_by_its_votes() -> None:
    animals = np.stack([animal(20, 20, 30), animal(44, 30, 200)])
    maps = output(animals)
    maps[4] = output(animals[:1])[4]
    assert_found(decode(maps), animals)


def test_the_surest_come_first_and_a_smaller_number_only_cuts_the_list() -> None:
    animals = np.stack([animal(14, 12), animal(48, 12, 90), animal(15, 36, 180)])
    maps = output(animals, np.array([0.6, 1.0, 0.8]))
    found, fewer = decode(maps), decode(maps, 2)
    order = found.confidence.sum(axis=-1)
    assert (np.diff(order) <= 0).all()
    for part, cut in zip(found, fewer, strict=True):
        np.testing.assert_array_equal(part[:2], cut)
    np.testing.assert_allclose(found.xy[0], (animals[1] + 0.5) * 4 - 0.5, atol=0.6)


def test_a_faint_second_peak_is_unsure_and_moves_nothing() -> None:
    both = output(np.stack([animal(20, 20), animal(44, 30)]), np.array([1.0, 0.05]))
    found = decode(both)
    assert found.confidence[0].min() > 0.9
    assert np.nan_to_num(found.confidence[1:]).max() < 0.15


def test_what_is_no_map_gives_nothing_and_never_fails() -> None:
    random = np.random.default_rng(0)
    good = output(animal(20, 20)[None])
    for channel, value in ((0, np.nan), (4, np.inf), (7, -np.inf)):
        broken = good.copy()
        broken[channel, 3, 3] = value
        found = decode(np.stack([broken, good]))
        assert np.isnan(found.xy[0]).all()
        assert not found.confidence[0].any()
        assert np.isfinite(found.xy[1, 0]).all()
    huge = np.full_like(good, np.finfo(np.float32).max)
    for maps in (np.zeros_like(good), huge, random.normal(0, 30, good.shape).astype(np.float32)):
        found = decode(maps)
        assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
        known = np.isfinite(found.xy).all(axis=-1)
        assert (known == (found.confidence > 0)).all()
        assert (np.linalg.eigvalsh(found.cov[known]) > 0).all()


def test_equal_neighbours_are_one_peak_and_the_highest_are_kept() -> None:
    logits = np.zeros((HEIGHT, WIDTH), np.float32)
    found = np.zeros(3, np.int64)
    assert find_peaks(logits.ravel(), WIDTH, found) == 1
    for n, x in enumerate((5, 15, 25, 35, 45)):
        logits[10, x : x + 2] = 1.0 + 0.1 * n
    assert find_peaks(logits.ravel(), WIDTH, found) == 3
    assert (found % WIDTH).tolist() == [45, 35, 25]
