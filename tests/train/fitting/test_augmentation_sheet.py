"""The sheet of augmented samples shows what the network gets, with the labels on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.labeled_folder import make_labeled_folder
from support.log_lines import log_into
from support.moving_disc import write_disc

from rt_pose.cli.main import main
from rt_pose.errors import UserError
from train.config import AugmentConfig, NetworkConfig, TrainConfig
from train.fitting.augmentation_sheet import BAR_PX, COLUMNS, show_augmented

WIDTH, HEIGHT = 256, 192


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        data=str(make_labeled_folder(tmp_path / "drawn", frames=5)),
        out=str(tmp_path / "sheet.png"),
        network=NetworkConfig(width=WIDTH, height=HEIGHT),
    )


def test_labels_lie_on_the_discs_in_every_picture(config: TrainConfig) -> None:
    off = AugmentConfig(brightness=0, contrast=0, noise=0)
    sheet = cv2.imread(str(show_augmented(replace(config, augment=off))))
    row = sheet[BAR_PX : BAR_PX + HEIGHT]
    gray, coloured = row.min(axis=2), np.ptp(row, axis=2) > 120
    for column in range(COLUMNS):
        at = slice(column * (WIDTH + 4), column * (WIDTH + 4) + WIDTH)
        assert np.count_nonzero(coloured[:, at]) > 20
        # The bright pixels lie inside the first and second keypoint's rings, drawn in red and green.
        near = cv2.dilate(coloured[:, at].astype(np.uint8), np.ones((41, 41)))
        bright = gray[:, at] > 215
        assert bright.sum() > 50
        assert near[bright].mean() > 0.95


def test_the_clip_row_is_drawn_where_there_are_videos(config: TrainConfig) -> None:
    messages: list[str] = []
    without = cv2.imread(str(log_into(messages, show_augmented, config)))
    assert any("no clip" in line for line in messages)
    (Path(config.data) / "videos").mkdir()
    write_disc(Path(config.data) / "videos/disc.mkv")
    messages.clear()
    with_clip = cv2.imread(str(log_into(messages, show_augmented, config)))
    assert with_clip.shape[0] == without.shape[0] + BAR_PX + HEIGHT
    assert any("6 frames of disc.mkv" in line for line in messages)
    assert any("off: shot_noise, blur, erase" in line for line in messages)


def test_what_cannot_be_drawn_is_told(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="say --data FOLDER --out"):
        show_augmented(replace(config, out=""))
    with pytest.raises(UserError, match="give a PNG in a folder that exists"):
        show_augmented(replace(config, out=str(tmp_path / "nowhere/sheet.png")))


def test_the_verb(config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = tmp_path / "train.yaml"
    yaml.write_text(f"network: {{width: {WIDTH}, height: {HEIGHT}}}\n")
    argv = ["train", "show-augmented", str(yaml), "--data", config.data, "--out", config.out]
    assert main(argv) == 0
    assert f"sheet: {config.out}" in capsys.readouterr().out
    assert Path(config.out).is_file()
