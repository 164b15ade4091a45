"""Validation frames that the training has seen all but for the number are told."""

from __future__ import annotations

import numpy as np

from rt_pose.types import FloatArray
from train.data.near_copies import near_copies, near_copies_note

POSE = np.array([[100.0, 100.0], [160.0, 180.0], [130.0, 120.0]])  # 100 px long: near is below 2 px


def note(xy: FloatArray) -> list[str]:
    return near_copies_note(xy[:4], xy[4:])


def frames(step_px: float) -> FloatArray:
    """(8, 3, 2): an animal that walks so far from frame to frame."""
    return POSE + step_px * np.arange(8.0)[:, None, None]


def test_an_animal_that_sits_still_is_told() -> None:
    (line,) = note(frames(0.1))
    assert line.startswith("4 of 4 poses that validate stand in training frames too")
    assert "split.csv" in line


def test_one_that_walks_is_not() -> None:
    assert note(frames(3.0)) == []


def test_one_limb_that_moves_is_another_pose() -> None:
    xy = frames(0.0)
    xy[4:, 2, 0] += 5.0
    assert note(xy) == []


def test_each_of_several_animals_counts() -> None:
    still, walks = frames(0.0), frames(20.0) + 500
    both = np.stack([still, walks], axis=1)
    assert note(both) == []  # a half of them
    walks[6:] = np.nan  # animals that are not there are not counted
    (line,) = note(np.stack([still, walks], axis=1))
    assert line.startswith("4 of 6 ")


def test_unlabeled_keypoints_are_not_compared() -> None:
    half, other = POSE.copy(), POSE + 50.0
    half[1:] = np.nan
    other[:2] = np.nan
    assert near_copies(np.stack([half]), np.stack([POSE])).tolist() == [True]
    assert near_copies(np.stack([half]), np.stack([other])).tolist() == [False]
    assert near_copies(np.stack([half])[:0], np.stack([other])).tolist() == []


def test_without_frames_that_validate_nothing_is_said() -> None:
    assert near_copies_note(frames(0.0), frames(0.0)[:0]) == []
