"""The compiled resize against the DALI graph that defines the preprocessing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.preprocess import Preprocess
from rt_pose.inference.preprocess_compiled import CompiledPreprocess, taps
from rt_pose.package import InputSpec, Package
from rt_pose.video import read_frames

GRAY = InputSpec(48, 40, 1, mean=[120.0], std=[60.0])
RGB = InputSpec(48, 40, 3, mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
TOLERANCE_GREY_LEVELS = 1e-3
"""Both tabulate the filter's weights in single precision."""


def grey_level_difference(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float64]:
    """(C, h, w) compiled minus DALI, grey levels."""
    compiled = CompiledPreprocess(spec)([image])
    assert compiled.flags.c_contiguous
    difference = compiled[0].astype(np.float64) - Preprocess(spec)([image])[0]
    return difference * np.array(spec.std)[:, None, None]


@pytest.mark.parametrize(
    ("height", "width"), [(203, 198), (40, 48), (40, 97), (33, 30), (480, 640), (7, 5), (1, 1), (1024, 2)]
)
@pytest.mark.parametrize("spec", [GRAY, RGB], ids=["gray", "rgb"])
@pytest.mark.parametrize("channels", [1, 3])
def test_equal_up_to_the_border(spec: InputSpec, channels: int, height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    difference = grey_level_difference(image, spec)
    assert difference.shape == (spec.channels, spec.height, spec.width)
    assert np.abs(difference).max() < TOLERANCE_GREY_LEVELS


def test_every_colour_has_the_grey_level_that_dali_gives_it() -> None:
    """In steps of five along each channel, through an input of the frame's own size: nothing is resized."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    image = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(52, -1, 3)
    spec = InputSpec(image.shape[1], image.shape[0], 1, mean=[0.0], std=[1.0])
    assert np.abs(grey_level_difference(image, spec)).max() < TOLERANCE_GREY_LEVELS


def test_a_window_of_colours_becomes_gray_like_a_frame_of_its_own() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 110, 3), np.uint8)
    compiled, out = CompiledPreprocess(GRAY), np.empty((1, 40, 48), np.float32)
    compiled.into(image, out, (20, 30, 70, 50))
    np.testing.assert_array_equal(out, compiled([image[30:80, 20:90]])[0])


def test_equal_without_antialiasing() -> None:
    spec = InputSpec(48, 40, 1, mean=[120.0], std=[60.0], antialias=False)
    image = np.random.default_rng(0).integers(0, 256, (203, 198, 1), np.uint8)
    # Here DALI's weights come from a position in single precision.
    assert np.abs(grey_level_difference(image, spec)).max() < 10 * TOLERANCE_GREY_LEVELS


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(("n_in", "n_out"), [(640, 256), (100, 256), (1, 8), (8, 1), (256, 256)])
def test_weights_sum_to_one_and_stay_within_the_frame(n_in: int, n_out: int, antialias: bool) -> None:
    first, weight = taps(n_in, n_out, antialias)
    np.testing.assert_allclose(weight.sum(axis=1), 1.0, rtol=1e-6)
    assert first.min() >= 0
    assert (first + weight.shape[1]).max() <= n_in


def test_sizes_may_alternate() -> None:
    """What is kept for one size of frame serves no other."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, np.uint8) for shape in ((60, 70, 1), (50, 90, 1), (60, 70, 3))]
    one = CompiledPreprocess(RGB)
    for image in [*images, *images]:
        np.testing.assert_array_equal(one([image]), CompiledPreprocess(RGB)([image]))


def test_real_frames(mirror_mouse: Path) -> None:
    spec = InputSpec(256, 256, 1, mean=[100.0], std=[50.0])
    for frame, _ in zip(read_frames(mirror_mouse / "videos" / "test_vid.mp4", 1), range(3), strict=False):
        assert np.abs(grey_level_difference(frame.image, spec)).max() < TOLERANCE_GREY_LEVELS


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package") / "package", keypoints=3)


def test_auto_takes_it_where_it_moves_nothing_and_always_the_same(package: Package) -> None:
    choices = [choose_engine(package, EngineConfig(precision="float32")) for _ in range(3)]
    assert [choice.preprocess for choice in choices] == ["compiled"] * 3
    assert all(choice.golden_px < 0.05 for choice in choices)


@pytest.mark.parametrize("name", ["dali", "compiled"])
def test_what_is_asked_for_is_taken_and_finds_the_same(package: Package, name: str) -> None:
    choice = choose_engine(package, EngineConfig(precision="float32", preprocess=name))  # type: ignore[arg-type]
    assert choice.preprocess == name
    assert f"preprocessing by {name}" in str(choice)
    xy = np.array([[60.0, 50.0], [200.0, 120.0], [120.0, 200.0]])
    found = choice.estimator.estimate(disc_frame(xy, 320, 256, 1, radius=16.0))
    np.testing.assert_allclose(found.xy[0], xy, atol=3.0)


def test_where_it_moves_the_golden_keypoints_it_is_not_taken(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resize that shifts by an input pixel: auto stays with DALI and says why; by name it is refused."""

    class Shifted(CompiledPreprocess):
        def into(self, frame, out, window=None):  # type: ignore[no-untyped-def]
            super().into(frame, out, window)
            out[:] = np.roll(out, 1, axis=2)

    monkeypatch.setattr("rt_pose.inference.preprocess_compiled.CompiledPreprocess", Shifted)
    choice = choose_engine(package, EngineConfig(precision="float32"))
    assert choice.preprocess == "dali"
    assert "the compiled resize not taken" in choice.preprocess_why
    assert choice.preprocess_why in str(choice)
    with pytest.raises(UserError, match="moves the golden keypoints"):
        choose_engine(package, EngineConfig(precision="float32", preprocess="compiled"))


def test_without_dali_it_serves_and_says_so(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rt_pose.inference.choose_engine.installed", lambda module: False)
    choice = choose_engine(package, EngineConfig(precision="float32"))
    assert choice.preprocess == "compiled"
    assert "nvidia.dali is not installed" in str(choice)
    asked = EngineConfig(precision="float32", preprocess="dali")
    with pytest.raises(UserError, match=r"'dali' needs nvidia.dali.*`pip install 'rt-pose\[gpu\]'`"):
        choose_engine(package, asked)
