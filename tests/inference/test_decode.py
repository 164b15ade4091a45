"""Heatmaps with known answers; numpy against torch; maps that are not maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rt_pose.inference.decode import Decoder, Keypoints
from rt_pose.inference.decode import to_input_px as cells_in_px
from rt_pose.inference.decode_compiled import QUANTISATION_PX2
from rt_pose.inference.decode_torch import decode_torch
from rt_pose.package import DecodeSpec

SOFTMAX = DecodeSpec(stride=4)
PLAIN = DecodeSpec(stride=4, activation="none")
HEIGHT, WIDTH = 48, 64


def bell(xy: tuple[float, float], sigma: float = 1.25, peak: float = 1.0) -> NDArray[np.float32]:
    """A Gaussian (1, HEIGHT, WIDTH) centred at `xy` heatmap px."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    square = (x - xy[0]) ** 2 + (y - xy[1]) ** 2
    return (peak * np.exp(-square / (2 * sigma**2))).astype(np.float32)[None]


def logits(xy: tuple[float, float], sigma: float = 1.25) -> NDArray[np.float32]:
    """Logits whose softmax is a Gaussian centred at `xy`."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (-((x - xy[0]) ** 2 + (y - xy[1]) ** 2) / (2 * sigma**2)).astype(np.float32)[None]


def to_input_px(heatmap_px: tuple[float, float]) -> list[float]:
    return [(v + 0.5) * 4 - 0.5 for v in heatmap_px]


@pytest.mark.parametrize("at", [(20.0, 30.0), (20.4, 30.3), (33.5, 11.2), (6.1, 40.9)])
@pytest.mark.parametrize("kind", ["softmax", "none"])
def test_a_gaussian_is_found_with_its_spread(kind: str, at: tuple[float, float]) -> None:
    maps, spec = (logits(at), SOFTMAX) if kind == "softmax" else (bell(at, peak=0.8), PLAIN)
    found = Decoder(spec)(maps)
    np.testing.assert_allclose(found.xy[0], to_input_px(at), atol=0.15)
    expected = (1.25**2 + QUANTISATION_PX2) * 16
    np.testing.assert_allclose(found.cov[0], expected * np.eye(2), atol=0.12 * expected)
    if kind == "softmax":
        assert 0.99 < found.confidence[0] <= 1.0
    else:
        assert found.confidence[0] == pytest.approx(maps.max())


def test_one_pixel_is_as_sharp_as_a_pixel() -> None:
    maps = np.full((1, HEIGHT, WIDTH), -100.0, np.float32)
    maps[0, 7, 9] = 100.0
    found = Decoder(SOFTMAX)(maps)
    np.testing.assert_allclose(found.xy[0], to_input_px((9.0, 7.0)), atol=0.01)
    np.testing.assert_allclose(found.cov[0], 16 / 12 * np.eye(2), atol=0.02)


@pytest.mark.parametrize(("stride", "offset_px", "at_9"), [(4, None, 37.5), (8, None, 75.5), (8, 3.0, 75.0)])
def test_a_cell_is_where_its_peak_is_found(stride: int, offset_px: float | None, at_9: float) -> None:
    """What turns cells into pixels for other decoders, held to a known place and to this one's."""
    spec = DecodeSpec(stride=stride, offset_px=offset_px)
    place = cells_in_px(np.array([[9.0, 7.0]]), spec)
    np.testing.assert_allclose(place, [[at_9, at_9 - 2 * stride]], atol=1e-12)
    maps = np.full((1, HEIGHT, WIDTH), -100.0, np.float32)
    maps[0, 7, 9] = 100.0
    np.testing.assert_allclose(place, Decoder(spec)(maps).xy, atol=0.02)


def test_a_tilted_peak_has_a_tilted_covariance() -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    cov = np.array([[2.0, 0.9], [0.9, 1.0]])
    off = np.stack([x - 30.0, y - 20.0], axis=-1)
    maps = (-0.5 * np.einsum("yxi,ij,yxj->yx", off, np.linalg.inv(cov), off)).astype(np.float32)[None]
    found = Decoder(SOFTMAX)(maps).cov[0] / 16
    np.testing.assert_allclose(found, cov + QUANTISATION_PX2 * np.eye(2), rtol=0.1)


def test_a_second_peak_takes_confidence_but_does_not_pull() -> None:
    alone = Decoder(SOFTMAX)(logits((20.0, 20.0)))
    both = Decoder(SOFTMAX)(np.logaddexp(logits((20.0, 20.0)), logits((50.0, 30.0)) - 0.5))
    np.testing.assert_allclose(both.xy, alone.xy, atol=1e-3)
    assert both.confidence[0] == pytest.approx(1 / (1 + np.exp(-0.5)), abs=0.01)


def test_a_flat_background_moves_nothing() -> None:
    clean, raised = (Decoder(PLAIN)(bell((20.4, 20.3)) + level) for level in (0.0, 0.5))
    np.testing.assert_allclose(raised.xy, clean.xy, atol=1e-3)
    np.testing.assert_allclose(raised.cov, clean.cov, atol=1e-2)


@pytest.mark.parametrize("at", [(0.0, 0.0), (63.0, 47.0), (0.0, 25.0), (30.0, 47.0)])
def test_border_peaks_stay_within_their_documented_bias(at: tuple[float, float]) -> None:
    found = Decoder(SOFTMAX)(logits(at))
    assert np.abs(found.xy[0] - to_input_px(at)).max() <= 1.05 * 4
    assert np.linalg.eigvalsh(found.cov[0]).min() > 0


def test_a_flat_map_is_very_uncertain() -> None:
    found = Decoder(SOFTMAX)(np.zeros((1, HEIGHT, WIDTH), np.float32))
    assert np.isfinite(found.xy).all()
    assert found.confidence[0] < 0.02
    assert np.linalg.eigvalsh(found.cov[0]).min() > 16.0


@pytest.mark.parametrize("spec", [SOFTMAX, PLAIN], ids=["softmax", "none"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(20, 30), (0, 0), (47, 63)])
def test_a_map_that_is_not_finite_is_not_seen(spec: DecodeSpec, value: float, place: tuple[int, int]) -> None:
    maps = np.concatenate([bell((30.0, 20.0)), bell((10.0, 10.0))])
    maps[0][place] = value
    for found in (Decoder(spec)(maps), as_numpy(decode_torch(torch.from_numpy(maps), spec))):
        assert np.isnan(found.xy[0]).all()
        assert np.isnan(found.cov[0]).all()
        assert found.confidence[0] == 0.0
        assert np.isfinite(found.xy[1]).all()


def test_leading_dimensions_are_kept() -> None:
    maps = np.stack([np.stack([bell((10.0 + i, 12.0 + b))[0] for i in range(3)]) for b in range(2)])
    found = Decoder(PLAIN)(maps)
    assert found.xy.shape == (2, 3, 2)
    assert found.cov.shape == (2, 3, 2, 2)
    assert found.confidence.shape == (2, 3)
    np.testing.assert_allclose(found.xy[1, 2], Decoder(PLAIN)(maps[1, 2][None]).xy[0])


def test_kept_buffers_do_not_leak_into_the_next_frame() -> None:
    decoder = Decoder(SOFTMAX)
    first = decoder(logits((20.0, 20.0)))
    kept = first.xy.copy()
    decoder(logits((40.0, 10.0)))
    np.testing.assert_array_equal(first.xy, kept)


def as_numpy(found: Keypoints[torch.Tensor]) -> Keypoints[NDArray[np.float64]]:
    return Keypoints(*(part.detach().numpy().astype(np.float64) for part in found))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([0.0, 1e-6, 1e-2, 1.0, 10.0, 1e4, 1e37]),
    shape=st.sampled_from([(1, 1), (3, 5), (9, 9), (16, 20)]),
    peak=st.floats(0.0, 100.0),
    where=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    radius=st.sampled_from([1, 4]),
    activation=st.sampled_from(["softmax", "none"]),
)
@example(0, 0.0, (16, 20), 0.0, (0.0, 0.0), 4, "softmax")
@example(0, 0.0, (16, 20), 0.0, (0.0, 0.0), 4, "none")
@example(0, 1.0, (16, 20), 100.0, (1.0, 1.0), 4, "softmax")
def test_numpy_and_torch_agree(seed, scale, shape, peak, where, radius, activation) -> None:
    height, width = shape
    maps = np.random.default_rng(seed).standard_normal((2, 3, height, width)).astype(np.float32)
    maps = maps * np.float32(scale)
    maps[..., round(where[1] * (height - 1)), round(where[0] * (width - 1))] += np.float32(peak)
    spec = DecodeSpec(stride=4, window_radius=radius, activation=activation)
    ours, theirs = Decoder(spec)(maps), as_numpy(decode_torch(torch.from_numpy(maps), spec))
    np.testing.assert_allclose(theirs.xy, ours.xy, atol=1e-3)
    np.testing.assert_allclose(theirs.cov, ours.cov, atol=1e-2, rtol=1e-5)
    np.testing.assert_allclose(theirs.confidence, ours.confidence, atol=1e-5)


@pytest.mark.parametrize("spec", [SOFTMAX, PLAIN], ids=["softmax", "none"])
def test_gradients_are_those_of_the_function(spec: DecodeSpec) -> None:
    small = torch.from_numpy(bell((20.3, 20.4))[:, 14:28, 14:28].copy()).double().requires_grad_()
    weights = torch.tensor([0.3, -0.7], dtype=torch.float64)

    def value(maps: torch.Tensor) -> torch.Tensor:
        found = decode_torch(maps, spec)
        return (found.xy.double() * weights).sum()

    value(small).backward()
    assert small.grad is not None
    # The result is float32, so the step is large and the tolerance wide.
    step = 1e-2
    for place in [(0, 6, 6), (0, 5, 7), (0, 8, 4)]:
        up, down = small.detach().clone(), small.detach().clone()
        up[place] += step
        down[place] -= step
        numeric = (value(up) - value(down)) / (2 * step)
        assert small.grad[place].item() == pytest.approx(numeric.item(), rel=0.03, abs=1e-3)


def test_a_broken_map_has_no_gradient() -> None:
    maps = torch.from_numpy(np.concatenate([bell((20.0, 20.0)), bell((10.0, 10.0))]))
    maps[0, 3, 3] = torch.nan
    maps.requires_grad_()
    found = decode_torch(maps, SOFTMAX)
    found.xy[1].sum().backward()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()
    assert maps.grad[0].abs().max() == 0
