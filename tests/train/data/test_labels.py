"""Labels and images: what is read, and what is refused with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.labeled_folder import KEYPOINTS, SIZE, make_labeled_folder, read_rows, write_rows

from rt_pose.errors import UserError
from train.data.labels import read_labels

LABELS = "CollectedData.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_labeled_folder(tmp_path / "drawn", frames=4)


def _edit(folder: Path, change: Callable[[list[list[str]]], object]) -> None:
    rows = read_rows(folder)
    change(rows)
    write_rows(folder, rows)


def _refusal(folder: Path, **options: object) -> str:
    with pytest.raises(UserError) as refused:
        read_labels(folder, LABELS, **options)  # type: ignore[arg-type]
    return str(refused.value)


def test_a_good_folder_is_read_whole(folder: Path) -> None:
    frames = read_labels(folder, LABELS)
    assert frames.keypoints == KEYPOINTS
    assert frames.names == [f"labeled-data/img{i:03d}.png" for i in range(4)]
    assert [image.shape for image in frames.images] == [(SIZE[1], SIZE[0], 1)] * 4
    np.testing.assert_array_equal(frames.xy.reshape(4, 6), np.array(read_rows(folder))[3:, 1:].astype(float))
    assert (frames.visible == 2).all()


def test_blank_cells_are_unlabeled_and_frames_without_labels_left_out(folder: Path) -> None:
    _edit(
        folder,
        lambda rows: (rows[3].__setitem__(slice(1, 3), ["", ""]), rows[4].__setitem__(slice(1, 7), [""] * 6)),
    )
    frames = read_labels(folder, LABELS)
    assert len(frames) == 3
    assert np.isnan(frames.xy[0, 0]).all()
    assert frames.visible[0].tolist() == [0, 2, 2]
    assert frames.names[1] == "labeled-data/img002.png"


def test_the_visible_column_hides_and_marks_occlusion(folder: Path) -> None:
    def with_visible(rows: list[list[str]]) -> None:
        cells = (["drawn"], ["large"], ["visible"], ["0"], ["1"], ["2"], ["2"])
        rows[:] = [row[:3] + cell + row[3:] for row, cell in zip(rows, cells, strict=True)]

    _edit(folder, with_visible)
    frames = read_labels(folder, LABELS)
    assert frames.visible[:, 0].tolist() == [0, 1, 2, 2]
    assert np.isnan(frames.xy[0, 0]).all()
    assert np.isfinite(frames.xy[1:, 0]).all()


def test_backslashes_in_paths_are_read(folder: Path) -> None:
    _edit(folder, lambda rows: rows[3].__setitem__(0, "labeled-data\\img000.png"))
    assert read_labels(folder, LABELS).names[0] == "labeled-data/img000.png"


def test_one_colour_image_makes_all_rgb_and_gray_can_be_asked_for(folder: Path) -> None:
    path = folder / "labeled-data/img001.png"
    colour = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    colour[..., 2] = 200  # red, in OpenCV's order
    cv2.imwrite(str(path), colour)
    frames = read_labels(folder, LABELS)
    assert frames.channels == 3
    assert frames.images[1][0, 0].tolist() == [200, 0, 0]
    assert (frames.images[0] == frames.images[0][..., :1]).all()
    assert read_labels(folder, LABELS, channels="gray").channels == 1


def test_gray_images_stored_in_three_channels_are_gray(folder: Path) -> None:
    for path in (folder / "labeled-data").glob("*.png"):
        cv2.imwrite(str(path), np.repeat(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[..., None], 3, axis=2))
    assert read_labels(folder, LABELS).channels == 1


FAULTS: list[tuple[Callable[[list[list[str]]], object], str]] = [
    (lambda rows: rows[4].__setitem__(0, "gone.png"), "row 5: no image 'gone.png'"),
    (lambda rows: rows[5].__setitem__(2, "abc"), "row 6 (labeled-data/img002.png), large: y is 'abc'"),
    (lambda rows: rows[5].__setitem__(2, "inf"), "row 6 (labeled-data/img002.png), large: y is infinite"),
    (lambda rows: rows[5].__setitem__(2, ""), "large: one of x and y is blank"),
    (lambda rows: rows[4].__setitem__(0, rows[3][0]), "img000.png was already labeled in row 4"),
    (lambda rows: rows[3].__setitem__(3, "500"), "row 4 (labeled-data/img000.png), small: (500, "),
    (lambda rows: rows[3].pop(), "row 4: 6 cells where the header has 7"),
    (lambda rows: [row.__setitem__(slice(5, 7), ["", ""]) for row in rows[3:]], "'dark' is labeled in no"),
    (lambda rows: rows[1].pop(), "counts disagree: row 2 (bodyparts) has 5 columns, row 3 (coords) 6"),
    (lambda rows: rows[2].__setitem__(1, "z"), "column 2 of row 3 is called 'z'"),
    (lambda rows: rows[1].__setitem__(3, "large"), "keypoint 'large' has two columns called x"),
    (lambda rows: rows.__delitem__(0), "row 1 must begin with 'scorer', found 'bodyparts'"),
    (lambda rows: rows.__delitem__(slice(3, None)), "not one labeled image"),
    (lambda rows: rows.clear(), "empty; expected three header rows"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "notes"), FAULTS, ids=[notes for _, notes in FAULTS])
def test_each_fault_is_told_with_its_place(
    folder: Path, change: Callable[[list[list[str]]], object], notes: str
) -> None:
    _edit(folder, change)
    assert notes in _refusal(folder)


def test_all_problems_are_told_at_once_and_a_flood_is_counted(folder: Path) -> None:
    _edit(folder, lambda rows: (rows[3].__setitem__(1, "abc"), rows[4].__setitem__(0, "gone.png")))
    message = _refusal(folder)
    assert "row 4" in message
    assert "row 5" in message
    _edit(folder, lambda rows: rows.extend([[f"gone{i}.png", *["5"] * 6] for i in range(40)]))
    assert "... and 22 more" in _refusal(folder)


def test_a_half_blank_column_is_one_line_and_hides_nothing(tmp_path: Path) -> None:
    folder = make_labeled_folder(tmp_path / "many", frames=30)
    _edit(folder, lambda rows: [row.__setitem__(3, "NaN") for row in rows[3:]])
    _edit(folder, lambda rows: rows[9].__setitem__(1, "500"))
    message = _refusal(folder)
    assert "small: one of x and y is blank in 30 rows, row 4 (labeled-data/img000.png) to row 33" in message
    assert "row 10 (labeled-data/img006.png), large: (500, " in message
    assert len(message.splitlines()) == 4


def test_labels_on_the_rim_are_kept(folder: Path) -> None:
    _edit(folder, lambda rows: rows[3].__setitem__(slice(1, 3), [str(SIZE[0]), "-0.5"]))
    assert read_labels(folder, LABELS).xy[0, 0].tolist() == [SIZE[0], -0.5]


def test_a_damaged_image_is_told(folder: Path) -> None:
    (folder / "labeled-data/img002.png").write_bytes(b"not a picture")
    assert "row 6 (labeled-data/img002.png): the file is no image" in _refusal(folder)


def test_missing_folder_and_missing_file(folder: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        read_labels(folder / "nowhere", LABELS)
    with pytest.raises(UserError, match=r"no such file; CSV files there: CollectedData\.csv"):
        read_labels(folder, "Labels.csv")


def test_the_real_mouse_is_read(mirror_mouse: Path) -> None:
    frames = read_labels(mirror_mouse, LABELS)
    assert (len(frames), len(frames.keypoints), frames.channels) == (72, 17, 1)
    assert frames.xy[0, 0].tolist() == [77.25, 36.25]
    assert np.isnan(frames.xy[0, frames.keypoints.index("tailBase_top")]).all()
