"""Torch's resize against the DALI graph that defines the preprocessing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.config import EngineConfig
from rt_pose.errors import UserError
from rt_pose.loop.infer import choose_engine
from rt_pose.loop.preprocess import Preprocess
from rt_pose.loop.preprocess_torch import TorchPreprocess
from rt_pose.package import InputSpec, Package
from rt_pose.video import read_frames

GRAY = InputSpec(48, 40, 1, mean=[120.0], std=[60.0])
RGB = InputSpec(48, 40, 3, mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
TOLERANCE_GREY_LEVELS = 0.05
"""Inside the frame; both tabulate the filter's weights in single precision."""


def grey_level_difference(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float64]:
    """(C, h, w) torch minus DALI, grey levels."""
    by_torch = TorchPreprocess(spec)([image])
    assert by_torch.flags.c_contiguous
    difference = by_torch[0].astype(np.float64) - Preprocess(spec)([image])[0]
    return difference * np.array(spec.std)[:, None, None]


@pytest.mark.parametrize(("height", "width"), [(203, 198), (40, 48), (40, 97), (33, 30)])
@pytest.mark.parametrize("spec", [GRAY, RGB], ids=["gray", "rgb"])
@pytest.mark.parametrize("channels", [1, 3])
def test_inside_the_frame_they_are_equal(spec: InputSpec, channels: int, height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    difference = grey_level_difference(image, spec)
    assert difference.shape == (spec.channels, spec.height, spec.width)
    assert np.abs(difference[:, 1:-1, 1:-1]).max() < TOLERANCE_GREY_LEVELS


def test_real_frames(mirror_mouse: Path) -> None:
    spec = InputSpec(256, 256, 1, mean=[100.0], std=[50.0])
    for frame, _ in zip(read_frames(mirror_mouse / "videos" / "test_vid.mp4", 1), range(3), strict=False):
        difference = np.abs(grey_level_difference(frame.image, spec))
        assert difference[:, 1:-1, 1:-1].max() < TOLERANCE_GREY_LEVELS
        assert difference.max() < 10.0  # the border's own pixels, where the two go on differently


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package") / "package", keypoints=3)


def test_auto_takes_it_where_it_moves_nothing_and_always_the_same(package: Package) -> None:
    choices = [choose_engine(package, EngineConfig(precision="float32")) for _ in range(3)]
    assert [choice.preprocess for choice in choices] == ["torch"] * 3
    assert all(choice.golden_px < 0.05 for choice in choices)


def test_beside_the_torch_engine_auto_stays_with_dali(package: Package) -> None:
    """The resize wants one thread, that engine all of them."""
    choice = choose_engine(package, EngineConfig(backend="torch"))
    assert choice.preprocess == "dali"


@pytest.mark.parametrize("name", ["dali", "torch"])
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
    """A resize that shifts by an input pixel: auto stays with DALI and says why; torch is refused."""

    class Shifted(TorchPreprocess):
        def __call__(self, frames: list[NDArray[np.uint8]]) -> NDArray[np.float32]:  # type: ignore[override]
            return np.roll(super().__call__(frames), 1, axis=3)

    monkeypatch.setattr("rt_pose.loop.preprocess_torch.TorchPreprocess", Shifted)
    choice = choose_engine(package, EngineConfig(precision="float32"))
    assert choice.preprocess == "dali"
    assert any("torch's resize not taken" in why for why in choice.refused)
    with pytest.raises(UserError, match="moves the golden keypoints"):
        choose_engine(package, EngineConfig(precision="float32", preprocess="torch"))
