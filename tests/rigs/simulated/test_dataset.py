from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.dataset import ANIMALS, HELD_OUT, write_labeled_folder
from rigs.simulated.options import SimulatedOptions
from rt_pose.errors import UserError

SMALL = SimulatedOptions(width=160, height=128)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labeled_folder(tmp_path_factory.mktemp("data") / "frames", 48, 1, SMALL)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_the_table_has_the_layout_of_lightning_pose(folder: Path) -> None:
    table = rows(folder / "CollectedData.csv")
    assert [row[0] for row in table[:3]] == ["scorer", "bodyparts", "coords"]
    assert table[1][1::2] == table[1][2::2] == KEYPOINTS
    assert table[2][1:3] == ["x", "y"]
    assert len(table) == 3 + 48
    assert {len(row) for row in table} == {1 + 2 * len(KEYPOINTS)}


def test_every_picture_is_there_and_gray(folder: Path) -> None:
    for row in rows(folder / "CollectedData.csv")[3:]:
        image = cv2.imread(str(folder / row[0]), cv2.IMREAD_UNCHANGED)
        assert image is not None
        assert image.shape == (128, 160)


def test_hidden_keypoints_are_blank_and_the_others_in_the_picture(folder: Path) -> None:
    cells = np.array([row[1:] for row in rows(folder / "CollectedData.csv")[3:]])
    blank = (cells == "").reshape(48, -1, 2)
    assert (blank[:, :, 0] == blank[:, :, 1]).all()
    assert 0.02 < blank.mean() < 0.4
    xy = np.where(cells == "", "nan", cells).astype(float).reshape(48, -1, 2)
    assert np.nanmin(xy) > 0.0
    assert (np.nanmax(xy, axis=(0, 1)) < (160.0, 128.0)).all()
    assert (np.nanstd(xy, axis=0) > 15.0).all()


def test_validation_animals_are_never_trained_on(folder: Path) -> None:
    split = rows(folder / "split.csv")
    assert split[0] == ["image", "split"]
    expected = ["val" if i % ANIMALS >= ANIMALS - HELD_OUT else "train" for i in range(48)]
    assert [row[1] for row in split[1:]] == expected


def test_the_same_seed_writes_the_same_folder(folder: Path, tmp_path: Path) -> None:
    ticks: list[tuple[int, int]] = []
    again = write_labeled_folder(tmp_path / "again", 24, 1, SMALL, lambda done, of: ticks.append((done, of)))
    assert ticks == [(i, 24) for i in range(1, 25)]
    assert rows(again / "CollectedData.csv") == rows(folder / "CollectedData.csv")[: 3 + 24]
    name = "labeled-data/img00007.png"
    assert (again / name).read_bytes() == (folder / name).read_bytes()
    other = write_labeled_folder(tmp_path / "other", 24, 2, SMALL)
    assert rows(other / "CollectedData.csv") != rows(again / "CollectedData.csv")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        write_labeled_folder(tmp_path, 24, 1, SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_too_few_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 12 are needed"):
        write_labeled_folder(tmp_path / "few", 5, 1, SMALL)
