"""Lightning Pose's training: its schedule, its labels, the clips that take the place of its own reader."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.disc_videos import SIZE, disc_truth, write_disc_video

from bench.headtohead import mouse
from bench.headtohead.answers import FramesToFind, OtherDay, measured_of, read_other_day, write_other_day
from bench.headtohead.litpose_settings import (
    EPOCH_BATCHES,
    LABELS,
    schedule,
    their_configuration,
    write_training_labels,
)
from bench.training.cases import VIEWS
from rt_pose.errors import UserError
from train.data.split import SPLIT_FILE

KEYPOINTS = [f"{name}{view}" for view in ("_top", "_bot") for name in VIEWS]
SIDE = 128
DRAW_CLIPS = f"""
import runpy, sys, numpy as np
Clips = runpy.run_path({str(mouse.WORKER)!r})["Clips"]
clips = Clips(sys.argv[1], 4, ({SIDE}, {SIDE}))
found = [*clips, *clips]
np.savez(
    sys.argv[2],
    length=len(clips),
    frames=np.stack([clip["frames"].numpy() for clip in found]),
    transforms=np.stack([clip["transforms"].numpy() for clip in found]),
    bbox=found[0]["bbox"].numpy(),
)
"""


def test_the_examples_schedule_keeps_its_shares() -> None:
    assert schedule(300) == {
        "min_epochs": 300,
        "max_epochs": 300,
        "check_val_every_n_epoch": 300,
        "unfreezing_epoch": 0,
        "milestones": [150, 200, 250],
        "anneal": 0.01,
    }
    shorter = schedule(60)
    assert (shorter["milestones"], shorter["anneal"]) == ([30, 40, 50], pytest.approx(0.05))


@pytest.mark.parametrize("semi", [False, True])
def test_its_configuration_takes_as_many_steps_as_are_asked_for(semi: bool, tmp_path: Path) -> None:
    found = their_configuration(tmp_path, tmp_path / "v" / "first.mp4", KEYPOINTS, semi, 600)
    assert found["training"]["max_epochs"] * EPOCH_BATCHES[semi] == 600
    assert found["data"]["video_dir"] == str(tmp_path / "v")
    assert bool(found["model"]["losses_to_use"]) == semi
    with pytest.raises(UserError, match="multiple of"):
        their_configuration(tmp_path, tmp_path / "first.mp4", KEYPOINTS, semi, 601)


def test_held_out_frames_are_not_in_its_labels_file(tmp_path: Path) -> None:
    head = [["scorer", "a", "a"], ["bodyparts", "nose", "nose"], ["coords", "x", "y"]]
    names = [f"labeled-data/img{i}.png" for i in range(4)]
    with (tmp_path / LABELS).open("w", newline="") as file:
        csv.writer(file).writerows([*head, *([name, "1", "2"] for name in names)])
    parts = ["train", "val", "train", "val"]
    rows = [f"{name},{part}" for name, part in zip(names, parts, strict=True)]
    (tmp_path / SPLIT_FILE).write_text("\n".join(["image,split", *rows]) + "\n")
    with write_training_labels(tmp_path).open(newline="") as file:
        written = list(csv.reader(file))
    assert [row[0] for row in written[3:]] == [names[0], names[2]]
    assert written[:3] == head


def test_a_clip_lies_where_its_matrix_says(tmp_path: Path) -> None:
    video, answer = write_disc_video(tmp_path / "discs.mov", 12), tmp_path / "clips.npz"
    subprocess.run([sys.executable, "-c", DRAW_CLIPS, str(video), str(answer)], check=True)
    with np.load(answer) as clips:
        frames, transforms = clips["frames"], clips["transforms"]
        assert clips["length"] == 3
        assert clips["bbox"].tolist() == [[0.0, 0.0, SIZE[1], SIZE[0]]] * 4
    assert frames.shape == (6, 4, 3, SIDE, SIDE)
    assert len(np.unique(transforms.round(6), axis=0)) == 6, "every clip has a draw of its own"
    scale = np.array([SIDE / SIZE[0], SIDE / SIZE[1]])
    begins = [disc_truth(4 * number) * scale for number in range(3)]
    for clip, matrix in zip(frames, transforms, strict=True):
        light = clip[0, 0]
        brightest = light > np.quantile(light, 0.9)
        inside = [_share_inside(brightest, begin @ matrix[:, :2].T + matrix[:, 2]) for begin in begins]
        assert max(inside) > 0.9


def _share_inside(bright: np.ndarray, places: np.ndarray) -> float:
    """Share of the places within the image that are bright."""
    x, y = places.round().astype(int).T
    within = (x >= 0) & (x < bright.shape[1]) & (y >= 0) & (y < bright.shape[0])
    return float(bright[y[within], x[within]].mean())


def test_its_answers_take_the_form_of_ours(tmp_path: Path) -> None:
    video = np.arange(10.0)[:, None, None] + np.zeros((10, 2, 2))
    frames = FramesToFind(["a.png"], np.zeros((1, 2, 2)), [], [], np.array([0, 9]), [])
    answers = {
        "held_xy": np.ones((1, 2, 2)),
        "video_xy": video,
        "video_confidence": np.ones((10, 2)),
        "noisy_xy": video[[0, 9]] + 0.5,
    }
    measured = measured_of(answers, frames)
    np.testing.assert_array_equal(measured.noisy_xy - measured.still_xy, 0.5)
    np.testing.assert_allclose(measured.errors, np.sqrt(2.0))
    assert np.isnan(measured.bf16_xy).all()
    write_other_day(OtherDay(video, answers["video_confidence"]), tmp_path / "day.npz")
    np.testing.assert_array_equal(read_other_day(tmp_path / "day.npz").xy, video)
