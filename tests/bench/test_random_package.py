from __future__ import annotations

from pathlib import Path

import pytest

from bench.random_package import NOTE, random_frames, random_package
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from train.config import NetworkConfig

SMALL = NetworkConfig(backbone="tiny", width=96, height=96, head_width=8)


def test_it_passes_the_golden_check_and_says_what_it_is(tmp_path: Path) -> None:
    frames = random_frames(4, 160, 120, 3)
    package = random_package(tmp_path / "package", 5, 3, frames, SMALL)
    assert len(package.manifest.keypoints) == 5
    assert package.manifest.input.channels == 3
    assert package.manifest.training["note"] == NOTE
    choice = choose_engine(package, EngineConfig(precision="float32", threads=1))
    assert choice.golden_px <= 0.05


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        random_package(tmp_path, 5, 1)
