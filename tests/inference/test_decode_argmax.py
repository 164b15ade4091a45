"""Decoders of imported networks against the plainest possible reading of their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.inference.decode import Decoder
from rt_pose.inference.decode_argmax import ArgmaxDecoder, make_decoder
from rt_pose.package import DecodeSpec

HEIGHT, WIDTH, K = 12, 16, 3
LOCREF = DecodeSpec(
    stride=8, activation="sigmoid", decoder="argmax_locref", offset_px=4.0, locref_std=7.2801, window_radius=2
)
PLAIN = DecodeSpec(stride=4, activation="none", decoder="argmax", offset_px=0.0)
INTEGRAL = DecodeSpec(stride=4, activation="none", decoder="argmax_integral", offset_px=-0.25)


def noise(maps: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((1, maps, HEIGHT, WIDTH)).astype(np.float32)


def test_our_own_decoder_stays_the_one_it_was() -> None:
    assert isinstance(make_decoder(DecodeSpec(stride=4)), Decoder)
    assert isinstance(make_decoder(PLAIN), ArgmaxDecoder)


def test_a_location_refinement_is_added_to_the_middle_of_its_pixel() -> None:
    maps = noise(3 * K)
    found = make_decoder(LOCREF)(maps)
    assert found.xy.shape == (1, K, 2)
    for k in range(K):
        y, x = np.unravel_index(maps[0, k].argmax(), (HEIGHT, WIDTH))
        offset_x, offset_y = maps[0, K + 2 * k, y, x], maps[0, K + 2 * k + 1, y, x]
        expected = [8 * x + 4 + 7.2801 * offset_x, 8 * y + 4 + 7.2801 * offset_y]
        np.testing.assert_allclose(found.xy[0, k], expected, atol=1e-4)
        assert found.confidence[0, k] == pytest.approx(1 / (1 + np.exp(-maps[0, k, y, x])), abs=1e-6)
        assert np.linalg.eigvalsh(found.cov[0, k]).min() > 0


def test_several_frames_keep_their_own_offsets() -> None:
    first, second = noise(3 * K, 1), noise(3 * K, 2)
    together = make_decoder(LOCREF)(np.concatenate([first, second]))
    for row, alone in enumerate((first, second)):
        np.testing.assert_array_equal(together.xy[row], make_decoder(LOCREF)(alone).xy[0])


def test_without_refinement_it_is_the_pixel() -> None:
    maps = noise(K)
    found = make_decoder(PLAIN)(maps)
    for k in range(K):
        y, x = np.unravel_index(maps[0, k].argmax(), (HEIGHT, WIDTH))
        assert found.xy[0, k].tolist() == [4 * x, 4 * y]


@pytest.mark.parametrize("at", [(8.3, 5.6), (0.0, 0.0), (15.0, 11.0), (14.4, 3.0)])
def test_the_integral_refinement_is_the_centroid_of_five_by_five(at: tuple[float, float]) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    bell = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 1.2**2)).astype(np.float32)
    found = make_decoder(INTEGRAL)(bell[None, None])
    top, left = np.unravel_index(bell.argmax(), bell.shape)
    around = np.pad(bell, 2)[top : top + 5, left : left + 5].astype(np.float64)
    steps = np.arange(-2, 3)
    dx, dy = (around.sum(axis=axis) @ steps / around.sum() for axis in (0, 1))
    np.testing.assert_allclose(found.xy[0, 0], [4 * (left + dx) - 0.25, 4 * (top + dy) - 0.25], atol=1e-6)


def test_values_that_cancel_do_not_throw_a_keypoint_out() -> None:
    maps = -np.ones((1, 1, HEIGHT, WIDTH), np.float32)
    maps[0, 0, 5, 6] = 24.0  # the sum over five by five is 0
    found = make_decoder(INTEGRAL)(maps)
    np.testing.assert_allclose(found.xy[0, 0], [4 * 6 - 0.25, 4 * 5 - 0.25])


@pytest.mark.parametrize("spec", [LOCREF, PLAIN, INTEGRAL], ids=lambda spec: spec.decoder)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_that_is_not_finite_is_not_seen(spec: DecodeSpec, value: float) -> None:
    maps = noise(3 * K if spec.decoder == "argmax_locref" else K)
    maps[0, 0, 3, 4] = value
    found = make_decoder(spec)(maps)
    assert np.isnan(found.xy[0, 0]).all()
    assert np.isnan(found.cov[0, 0]).all()
    assert found.confidence[0, 0] == 0.0
    assert np.isfinite(found.xy[0, 1:]).all()


def test_an_offset_that_is_not_finite_is_not_followed() -> None:
    maps = noise(3 * K)
    maps[0, K:] = np.nan
    found = make_decoder(LOCREF)(maps)
    assert np.isnan(found.xy).all()
    assert (found.confidence == 0).all()


def test_sigmoid_maps_are_those_of_the_sigmoid() -> None:
    maps = noise(K)
    plain = DecodeSpec(stride=4, activation="none")
    ours = Decoder(DecodeSpec(stride=4, activation="sigmoid"))(maps)
    theirs = Decoder(plain)((1 / (1 + np.exp(-maps.astype(np.float64)))).astype(np.float32))
    np.testing.assert_allclose(ours.xy, theirs.xy, atol=1e-4)
    np.testing.assert_allclose(ours.confidence, theirs.confidence, atol=1e-6)
