"""Frames mirrored left to right: pixels, labels and names go together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.package import InputSpec
from train.config import AugmentConfig
from train.data.batches import TrainingBatches
from train.data.flip import mirror_note, mirror_order, other_side
from train.data.labels import LabeledFrames

OFF = AugmentConfig(rotate_deg=0, scale=0, shift=0, brightness=0, contrast=0, noise=0)
WIDTH, HEIGHT = 60, 40
NAMES = ["nose", "ear_left", "ear_right"]
LEVELS = (80, 160, 240)


def test_sides_are_read_from_names() -> None:
    for name, other in (
        ("ear_left", "ear_right"),
        ("LeftEar", "RightEar"),
        ("rightear", "leftear"),
        ("paw_L", "paw_R"),
        ("l-hip", "r-hip"),
        ("nose", None),
        ("tail", None),
        ("pawL", None),
    ):
        assert other_side(name, []) == other
    assert other_side("pawL", ["pawL", "pawR"]) == "pawR"
    assert mirror_order(["nose", "pawR", "pawL", "tail"]).tolist() == [0, 2, 1, 3]
    assert mirror_note(NAMES) == "augment.flip: exchanged: ear_left with ear_right; on the middle line: nose"
    with pytest.raises(UserError, match="no keypoint's name says its side"):
        mirror_order(["nose", "tail"])
    with pytest.raises(UserError, match="'ear_left' has no 'ear_right' in the labels"):
        mirror_order(["nose", "ear_left"])


def test_mirrored_frames_have_the_other_sides_labels() -> None:
    xy = np.random.default_rng(0).integers([2, 2], [WIDTH - 2, HEIGHT - 2], (40, 3, 2)).astype(float)
    xy[:, :, 1] = [5, 15, 25]
    xy[0, 1] = np.nan
    images = []
    for points in xy:
        image = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
        for (x, y), level in zip(points, LEVELS, strict=True):
            if np.isfinite(x):
                image[int(y), int(x)] = level
        images.append(image)
    frames = LabeledFrames([str(i) for i in range(40)], images, xy, np.full((40, 3), 2, np.uint8), NAMES)
    spec = InputSpec(WIDTH, HEIGHT, 1, [0.0], [1.0])
    (batch,) = TrainingBatches(frames, spec, replace(OFF, flip=0.5), 40, 1, 7)
    turned = 0
    for image, points in zip(batch.images.numpy()[:, 0], batch.keypoints.numpy(), strict=True):
        known = np.isfinite(points).all(axis=1)
        x, y = points[known].round().astype(int).T
        found = dict(zip(np.array(NAMES)[known], image[y, x], strict=True))
        assert found["nose"] == LEVELS[0]
        mirrored = found.get("ear_left", LEVELS[2]) == LEVELS[2] and found.get("ear_right") != LEVELS[2]
        turned += mirrored
        sides = LEVELS[:0:-1] if mirrored else LEVELS[1:]
        for name, level in zip(NAMES[1:], sides, strict=True):
            assert found.get(name, level) == level, (
                "what was the left ear is drawn where the right one is labeled"
            )
    assert 10 <= turned <= 30
    (plain,) = TrainingBatches(frames, spec, OFF, 40, 1, 7)
    (again,) = TrainingBatches(frames, spec, replace(OFF, flip=0.0), 40, 1, 7)
    np.testing.assert_array_equal(plain.images.numpy(), again.images.numpy())
    assert next(iter(TrainingBatches(frames, spec, replace(OFF, flip=1.0), 40, 1, 7))).images.shape[0] == 40
