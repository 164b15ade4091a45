"""Frames through several estimators: order, equality with one, errors in their place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.offline.in_parallel import estimate_in_order
from rt_pose.video import VideoFrame


def frames(count: int) -> list[VideoFrame]:
    at = np.array([[60.0, 60.0], [120.0, 180.0], [200.0, 90.0], [260.0, 150.0]])
    return [VideoFrame(i, i, disc_frame(at + i, 320, 256, 1, radius=16.0)) for i in range(count)]


def test_two_give_what_one_gives_to_the_bit_and_in_order(tmp_path: Path) -> None:
    package = make_tiny_package(tmp_path)
    one, two, both_threads = (
        choose_engine(package, EngineConfig(precision="float32", threads=n)).estimator for n in (1, 1, 2)
    )
    alone = list(estimate_in_order(frames(20), [both_threads]))
    together = list(estimate_in_order(frames(20), [one, two]))
    assert [index for index, _ in together] == list(range(20))
    for (_, ours), (_, theirs) in zip(together, alone, strict=True):
        np.testing.assert_array_equal(ours.xy, theirs.xy)
        np.testing.assert_array_equal(ours.confidence, theirs.confidence)


def test_an_error_comes_after_the_frames_before_it_and_leaves_no_thread(tmp_path: Path) -> None:
    estimator = choose_engine(make_tiny_package(tmp_path), EngineConfig(precision="float32")).estimator

    def breaking_off() -> Iterator[VideoFrame]:
        yield from frames(3)
        raise UserError("breaks off after frame 3")

    with pytest.raises(UserError, match="breaks off"):
        list(estimate_in_order(breaking_off(), [estimator]))
