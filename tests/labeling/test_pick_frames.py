"""Frames worth labeling: different ones, and with a model those it has trouble with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.clock import HostClock
from rt_pose.errors import UserError
from rt_pose.inference.decode import Keypoints
from rt_pose.labeling.choose_frames import pick_different, pick_high
from rt_pose.labeling.frame_labels import Mark
from rt_pose.labeling.prepare import LabelOptions, prepare
from rt_pose.labeling.propose import implausibility, uncertainty
from rt_pose.package import Subspace
from train.data.diversity import farthest_points

KEYPOINTS = ["k0", "k1", "k2", "k3"]


def test_appearance_is_covered_and_what_is_like_nothing_comes_last() -> None:
    random = np.random.default_rng(0)
    centres = np.repeat([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0], [50.0, 50.0]], 20, axis=0)
    appearance = np.concatenate([centres + random.normal(0, 1, centres.shape), [[9000.0, 9000.0]]])
    taken = np.zeros(81, bool)
    assert {i // 20 for i in pick_different(appearance, taken, 4)} == {0, 1, 2, 3}
    taken[:20] = True
    assert {i // 20 for i in pick_different(appearance, taken, 3)} == {1, 2, 3}
    taken[:] = False
    taken[:79] = True
    assert pick_different(appearance, taken, 5) == [79, 80]
    alike = np.zeros((30, 2))
    assert len(set(pick_different(alike, np.zeros(30, bool), 6))) == 6


def test_high_scores_are_picked_that_differ() -> None:
    appearance = np.array([[0.0], [0.1], [0.2], [5.0], [9.0], [9.1]])
    score = np.array([9.0, 8.0, 7.0, 6.0, 0.0, 5.0])
    chosen = pick_high(score, appearance, np.array([True, False, False, False, False, False]), 2)
    assert 0 not in chosen
    assert 4 not in pick_high(score, appearance, np.zeros(6, bool), 6)
    assert farthest_points(appearance, 1, taken=appearance[[0, 5]]).tolist() == [3]
    assert farthest_points(appearance[:0], 3).tolist() == []


def test_scores_of_doubt_and_of_poses_that_no_body_takes() -> None:
    xy = np.zeros((3, 2, 2))
    xy[:, 1] = [[10.0, 0.0], [10.0, 0.0], [10.0, 30.0]]  # the space: the second lies 10 px right of the first
    found = Keypoints(xy, np.zeros((3, 2, 2, 2)), np.array([[0.9, 0.7], [0.1, 0.1], [1.0, 1.0]]))
    np.testing.assert_allclose(uncertainty(found), [0.2, 0.9, 0.0])
    both = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]) / np.sqrt(2)
    space = Subspace("pose", [0, 1], [0.0, 0.0, 10.0, 0.0], both.tolist(), [4.0, 4.0])
    np.testing.assert_allclose(implausibility(found, [space], 0.15), [0.0, 0.0, 7.5])
    assert not implausibility(found, [], 0.15).any()  # three frames are no space


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_package(tmp_path_factory.mktemp("model") / "package", keypoints=4).path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four discs that go down; in frames 20 to 23 nothing is there, in 30 the discs have changed places."""
    path = tmp_path_factory.mktemp("videos") / "discs.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 50, (160, 128))
    for i in range(40):
        y = 30.0 + 1.5 * i
        xy = np.array([[20.0, y], [60.0, y], [100.0, y], [140.0, y]])
        if 20 <= i < 24:
            xy[:] = np.nan
        writer.write(np.repeat(disc_frame(xy[::-1] if i == 30 else xy, 160, 128, 1), 3, axis=2))
    writer.release()
    return path


def test_with_a_model_frames_it_is_uncertain_of_are_picked_and_places_proposed(
    package: Path, video: Path, tmp_path: Path
) -> None:
    options = LabelOptions(tmp_path / "f", [video], model=str(package), frames=6, scorer="anna")
    labeling = prepare(options, HostClock())
    assert labeling.editor.points.keypoints == KEYPOINTS
    assert labeling.opened.skeleton == [["k0", "k1"], ["k1", "k2"], ["k2", "k3"]]
    reasons = {name: labeling.about(name) for name in labeling.editor.names}
    uncertain = [name for name, reason in reasons.items() if reason.startswith("uncertain")]
    assert len(reasons) == 6
    assert {int(name[-12:-4]) for name in uncertain} & {20, 21, 22, 23}
    name = next(name for name in reasons if not 20 <= int(name[-12:-4]) <= 30)
    index = labeling.editor.names.index(name)
    labels = labeling.editor.labels_of(index)
    assert labels.marks.tolist() == [Mark.PROPOSED] * 4
    np.testing.assert_allclose(labels.xy[:, 0], [20, 60, 100, 140], atol=1.0)
    labeling.editor.go_to(index)
    labeling.editor.accept()  # one key for a frame that the model has right
    assert labeling.store.read(name).marks.tolist() == [Mark.PLACED] * 4
    with pytest.raises(UserError, match=r"finds k0, k1, k2, k3; labeled are nose"):
        prepare(
            LabelOptions(tmp_path / "g", [video], model=str(package), keypoints=["nose"], scorer="a"),
            HostClock(),
        )
