"""What is refused before the first step where a loss on clips would get nothing to work on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.labeled_folder import make_discs_video, make_labeled_folder, read_rows, write_rows
from support.log_lines import log_into

from rt_pose.errors import UserError
from train.config import AugmentConfig, LossConfig, NetworkConfig, TrainConfig
from train.data.labels import read_labels
from train.fitting.fit import fit
from train.fitting.unlabeled import Unlabeled, index_videos, prepare
from train.models.network import input_spec

CONFIG = TrainConfig(
    network=NetworkConfig(backbone="tiny", width=48, height=32, head_width=8),
    losses={"heatmap_kl": LossConfig(), "temporal": LossConfig()},
    videos=["videos"],
    clip_length=6,
    steps=20,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_labeled_folder(tmp_path_factory.mktemp("unlabeled") / "discs", frames=16)
    make_discs_video(made / "videos" / "round.avi")
    return made


def _prepare(config: TrainConfig, folder: Path, messages: list[str] | None = None) -> Unlabeled:
    frames = read_labels(folder, config.labels)
    videos, spec = index_videos(config, folder), input_spec(config.network, 1)
    return log_into([] if messages is None else messages, prepare, config, videos, frames, spec)


def test_clips_begin_with_the_first_step_that_needs_one(folder: Path) -> None:
    messages: list[str] = []
    unlabeled = _prepare(CONFIG, folder, messages)
    assert any(line.startswith("temporal: weight 0.02, eps in px a frame") for line in messages)
    spec = input_spec(CONFIG.network, 1)
    clips = unlabeled.clips(CONFIG, spec, 0)
    assert clips is not None
    assert len(clips) == 14, "20 steps, the first 6 without"
    first = next(iter(clips))
    assert first.images.shape == (6, 1, 32, 48)
    assert len(first.second) == 0
    later = unlabeled.clips(CONFIG, spec, 15)
    assert later is not None
    assert len(later) == 5


def test_without_losses_on_clips_no_video_is_looked_at(folder: Path) -> None:
    config = replace(CONFIG, losses={"heatmap_kl": LossConfig()}, videos=["nowhere.mp4"])
    assert _prepare(config, folder).clips(config, input_spec(CONFIG.network, 1), 0) is None


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({"videos": ["none.mp4"]}, "no such file"),
        ({"clip_length": 60}, "shorter than a clip"),
        (
            {"losses": {"noise_consistency": LossConfig(frames=7)}},
            r"noise_consistency\.frames: expected at most clip_length \(6\), got 7",
        ),
        ({"losses": {"multiview_pca": LossConfig()}}, "give `views`"),
        ({"losses": {"multiview_pca": LossConfig()}, "views": [["large", "smal"]]}, "no keypoint 'smal'"),
        ({"losses": {"pose_pca": LossConfig(keypoints=["larg"])}}, "no keypoint 'larg'"),
        (
            {"losses": {"noise_consistency": LossConfig()}, "augment": AugmentConfig(noise=0.0)},
            "the augmentation has none; set `augment.noise`",
        ),
    ],
)
def test_what_would_do_nothing_is_refused(folder: Path, changes: dict[str, object], notes: str) -> None:
    with pytest.raises(UserError, match=notes):
        _prepare(replace(CONFIG, **changes), folder)  # type: ignore[arg-type]


def test_what_is_wrong_with_labels_and_with_videos_is_told_at_once(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    rows = read_rows(other)
    rows[5][1] = "500"
    write_rows(other, rows)
    with pytest.raises(UserError) as refused:
        fit(replace(CONFIG, clip_length=60, validate_every=20), other, tmp_path / "out")
    assert "row 6 (labeled-data/img002.png), large: (500, " in str(refused.value)
    assert (
        "round.avi: 40 frames, shorter than a clip (60 frames); leave it out, or set `clip_length: 40`"
        in str(refused.value)
    )
    assert not (tmp_path / "out").exists()


def test_labels_and_videos_of_different_frames_are_refused(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "videos" / "round.avi").unlink()
    writer = cv2.VideoWriter(
        str(other / "videos" / "half.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 50, (60, 46)
    )
    for _ in range(10):
        writer.write(np.zeros((46, 60, 3), np.uint8))
    writer.release()
    with pytest.raises(UserError, match=r"losses\.temporal: .*expected 120x90, got 60x46 in half\.avi"):
        _prepare(CONFIG, other)
    unbound = replace(CONFIG, losses={"unimodal_kl": LossConfig()})
    assert _prepare(unbound, other).terms.clips[0].name == "unimodal_kl", "it works in no frame's pixels"


def test_the_space_of_poses_is_fitted_in_the_frames_pixels(folder: Path) -> None:
    """Fitted in px of the network's input (48x32) it would lie elsewhere in frames of 120x90."""
    config = replace(CONFIG, losses={"pose_pca": LossConfig(variance=0.9)})
    loss = _prepare(config, folder).terms.clips[0].loss
    labels = read_labels(folder, "").xy
    np.testing.assert_allclose(loss.space.mean.view(-1, 2), labels.mean(axis=0), rtol=1e-5)  # type: ignore[attr-defined]


def test_memory_is_looked_at_before_the_first_step(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.fitting.fit.free_memory", lambda _: 2**20)
    messages: list[str] = []
    with pytest.raises(
        UserError, match=r"memory: about .* are free; set (`clip_length|`batch_size|a smaller)"
    ):
        log_into(messages, fit, replace(CONFIG, validate_every=20), folder, tmp_path / "out")
    assert not [line for line in messages if line.startswith("step ")]
