"""Where the network looks in a large frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rt_pose.config.schema import CropConfig
from rt_pose.errors import UserError
from rt_pose.tracking.crop import CropFollower, CropWindow
from rt_pose.types import Track

FRAME = (1280, 1024)
CONFIG = CropConfig(width=400, height=300, margin_px=20.0)


def ahead(xy: list[list[float]], seen_ms: list[float] | None = None, sigma_px: float = 1.0) -> Track:
    """A prediction of one animal's keypoints."""
    keypoints = len(xy)
    cov = np.broadcast_to(np.eye(4) * sigma_px**2, (1, keypoints, 4, 4)).copy()
    return Track(
        camera="cam",
        frame_index=0,
        t_valid_ns=0,
        xy=np.array([xy]),
        velocity=np.zeros((1, keypoints, 2)),
        cov=cov,
        seen_ms_ago=np.array([seen_ms or [0.0] * keypoints]),
        lost=np.zeros((1, keypoints), dtype=bool),
    )


def test_the_window_is_centred_on_the_keypoints() -> None:
    follower = CropFollower(CONFIG, FRAME)
    assert follower.window(ahead([[500.0, 400.0], [600.0, 480.0]])) == CropWindow(350, 290, 400, 300)
    assert follower.counts.followed == 1


def test_the_window_stays_within_the_frame() -> None:
    follower = CropFollower(CONFIG, FRAME)
    assert follower.window(ahead([[5.0, 5.0], [60.0, 60.0]])) == CropWindow(0, 0, 400, 300)
    assert follower.window(ahead([[1270.0, 1010.0], [1200.0, 990.0]])) == CropWindow(880, 724, 400, 300)


def test_before_the_first_sight_and_when_lost_the_whole_frame_is_looked_at() -> None:
    follower = CropFollower(CONFIG, FRAME)
    somewhere = [[500.0, 400.0], [600.0, 480.0], [550.0, 440.0]]
    assert follower.window(ahead(somewhere, [np.nan, np.nan, np.nan])) is None
    assert follower.window(ahead(somewhere, [0.0, 60.0, 60.0])) is None
    assert follower.window(ahead(somewhere, [0.0, 40.0, 60.0])) is not None
    assert (follower.counts.start, follower.counts.lost, follower.counts.followed) == (1, 1, 1)


def test_a_keypoint_that_was_not_seen_does_not_draw_the_window_away() -> None:
    follower = CropFollower(CONFIG, FRAME)
    seen = ahead([[500.0, 400.0], [600.0, 480.0], [1200.0, 1000.0]], [0.0, 0.0, 80.0])
    assert follower.window(seen) == CropWindow(350, 290, 400, 300)


def test_what_does_not_fit_with_its_margin_is_looked_at_whole() -> None:
    follower = CropFollower(CONFIG, FRAME)
    wide = [[400.0, 400.0], [750.0, 420.0]]
    assert follower.window(ahead(wide)) is not None
    assert follower.window(ahead(wide, sigma_px=10.0)) is None
    assert follower.window(ahead([[400.0, 400.0], [770.0, 420.0]])) is None
    assert follower.counts.outgrown == 2


def test_on_a_part_of_the_sensor_the_window_is_in_the_frames_own_pixels() -> None:
    follower = CropFollower(CONFIG, FRAME)
    moved = follower.window(ahead([[600.0, 450.0], [700.0, 530.0]]), offset_xy=(100, 50))
    assert moved == CropWindow(350, 290, 400, 300)


def test_a_window_larger_than_the_frame_is_refused() -> None:
    with pytest.raises(UserError, match=r"cameras.top.crop: a window of 400x300 px does not fit .* 320x240"):
        CropFollower(CONFIG, (320, 240), "cameras.top.crop")


def test_of_several_animals_the_window_holds_all_or_there_is_none() -> None:
    follower = CropFollower(CONFIG, FRAME)

    def both(second: list[list[float]], seen_ms: list[float]) -> Track:
        one, other = ahead([[500.0, 400.0], [520.0, 420.0]]), ahead(second, seen_ms)
        joined = {
            name: np.concatenate([getattr(one, name), getattr(other, name)])
            for name in ("xy", "velocity", "cov", "seen_ms_ago", "lost")
        }
        return replace(one, **joined)

    near = [[600.0, 480.0], [590.0, 470.0]]
    assert follower.window(both(near, [0.0, 0.0])) == CropWindow(350, 290, 400, 300)
    assert follower.window(both(near, [np.nan, np.nan])) is None, "a slot is empty: it may be anywhere"
    assert follower.window(both(near, [90.0, 90.0])) is None, "one of the two is hidden"
    assert follower.window(both([[1200.0, 480.0], [1190.0, 470.0]], [0.0, 0.0])) is None
    counts = follower.counts
    assert (counts.followed, counts.start, counts.lost, counts.outgrown) == (1, 1, 1, 1)
