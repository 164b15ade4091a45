"""Single cells of labels files change; all that another program wrote stays, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rt_pose.errors import UserError
from rt_pose.labeling.animal_points import AnimalPoints
from rt_pose.labeling.label_file import (
    FrameRow,
    create_file,
    finish_writing,
    has_visible,
    points_of,
    read_rows,
    unpack_hdf,
    write_row,
)

LIGHTNING = (
    b"scorer,rick,rick,rick,rick\r\nbodyparts,nose,nose,tail,tail\r\ncoords,x,y,x,y\r\n"
    b'"labeled-data/a, b/img01.png",1.50,2e1,3.333333333333333333,4\r\n'
    b"\r\n"
    b"labeled-data/v/img02.png,,,5,6.0,\r\n"
)
SPREADSHEET = (
    "\ufeffscorer;tom;tom;tom;tom;tom;tom\r\nbodyparts;nose;nose;nose;tail;tail;tail\r\n"
    "coords;x;y;visible;x;y;visible\r\nimg1.png;1,50;2,5;2;NaN;NaN;0\r\nimg2.png;3;4;1;5;6;2"
).encode()
DEEPLABCUT = (
    b"scorer,,,anna,anna,anna,anna\nbodyparts,,,nose,nose,tail,tail\ncoords,,,x,y,x,y\n"
    b"labeled-data,v,img01.png,1.0,2.0,3.0,4.0\nlabeled-data,v,img02.png,,,5.0,6.0\n"
)
SEVERAL = (
    b"scorer,,,anna,anna,anna,anna,anna,anna,anna,anna,anna,anna\n"
    b"individuals,,,m1,m1,m1,m1,m2,m2,m2,m2,single,single\n"
    b"bodyparts,,,nose,nose,tail,tail,nose,nose,tail,tail,corner,corner\n"
    b"coords,,,x,y,x,y,x,y,x,y,x,y\n"
    b"labeled-data,v,img01.png,1.50,2e0,3.0,4.0,5.0,6.0,7.25,8.0,90.0,9\n"
    b"labeled-data,v,img02.png,,,5.0,6.0,,,,,90.0,9.0\n"
)
"""A multi-animal project of DeepLabCut, with a body part of no animal."""


def changed(data: bytes, name: str, change: dict[int, tuple[float, float]], path: Path) -> bytes:
    """The file after keypoints of an image were placed."""
    path.write_bytes(data)
    keypoints, rows = read_rows(path)
    row = rows.get(name) or FrameRow(np.full((len(keypoints), 2), np.nan), np.zeros(len(keypoints), np.uint8))
    for k, xy in change.items():
        row.xy[k], row.visible[k] = xy, 2 * np.isfinite(xy[0])
    write_row(path, name, row)
    return path.read_bytes()


def test_only_the_cells_that_change_change(tmp_path: Path) -> None:
    path = tmp_path / "CollectedData.csv"
    quoted = "labeled-data/a, b/img01.png"
    assert changed(LIGHTNING, quoted, {}, path) == LIGHTNING
    assert changed(LIGHTNING, quoted, {1: (7.25, 8.0)}, path) == LIGHTNING.replace(
        b"3.333333333333333333,4\r", b"7.25,8.0\r"
    )
    gone = {1: (np.nan, np.nan)}
    assert changed(LIGHTNING, "labeled-data/v/img02.png", gone, path) == LIGHTNING.replace(b"5,6.0,", b",,")
    added = changed(LIGHTNING, "labeled-data/w/img3.png", {0: (9.5, 1.0)}, path)
    assert added == LIGHTNING + b"labeled-data/w/img3.png,9.5,1.0,,\r\n"


def test_spreadsheets_keep_their_commas_and_their_column_visible(tmp_path: Path) -> None:
    path = tmp_path / "CollectedData.csv"
    after = changed(SPREADSHEET, "img1.png", {1: (10.5, 3.0)}, path)
    assert after == SPREADSHEET.replace(b"NaN;NaN;0", b"10,5;3,0;2")
    assert has_visible(path)
    _, rows = read_rows(path)
    row = rows["img2.png"]
    row.visible[:] = 2
    write_row(path, "img2.png", row)
    assert path.read_bytes() == after.replace(b"3;4;1;5", b"3;4;2;5")
    added = changed(SPREADSHEET, "img3.png", {0: (1.0, 2.0)}, path)
    assert added == SPREADSHEET + b"\r\nimg3.png;1,0;2,0;2;NaN;NaN;0\r\n"


def test_deeplabcut_reads_the_table_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "CollectedData_anna.csv"
    path.write_bytes(DEEPLABCUT)
    row = FrameRow(np.array([[1.5, 2.5], [np.nan, np.nan]]), np.array([2, 0], np.uint8))
    write_row(path, "labeled-data/v/img03.png", row, with_hdf=True)
    assert path.read_bytes() == DEEPLABCUT + b"labeled-data,v,img03.png,1.5,2.5,,\n"
    table = pd.read_hdf(path.with_suffix(".h5"))
    expected = pd.read_csv(path, header=[0, 1, 2], index_col=[0, 1, 2])
    pd.testing.assert_frame_equal(table, expected, check_names=False)
    assert table.columns.names == ["scorer", "bodyparts", "coords"]
    assert not list(tmp_path.glob("*.part"))
    row.xy[0] = (4.0, 4.0)
    write_row(path, "labeled-data/v/img01.png", row)  # one that is there is kept up without being asked for
    assert pd.read_hdf(path.with_suffix(".h5")).iloc[0, :2].tolist() == [4.0, 4.0]
    shutil.copy(path.with_suffix(".h5"), tmp_path / "CollectedData_other.h5")
    assert read_rows(unpack_hdf(tmp_path / "CollectedData_other.h5"))[1].keys() == read_rows(path)[1].keys()


def test_a_new_file_begins_with_its_header(tmp_path: Path) -> None:
    path = tmp_path / "labeled-data" / "v" / "CollectedData_anna.csv"
    create_file(path, AnimalPoints(["nose", "tail"]), "anna", 3)
    assert path.read_bytes() == b"".join(DEEPLABCUT.splitlines(keepends=True)[:3])
    assert read_rows(path) == (["nose", "tail"], {})
    row = FrameRow(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([2, 2], np.uint8))
    write_row(path, "labeled-data/v/img01.png", row, with_hdf=True)
    assert path.read_bytes() == b"".join(DEEPLABCUT.splitlines(keepends=True)[:4])
    assert pd.read_hdf(path.with_suffix(".h5")).shape == (1, 4)
    create_file(tmp_path / "one.csv", AnimalPoints(["nose"]), "anna", 1)
    assert (tmp_path / "one.csv").read_bytes() == b"scorer,anna,anna\nbodyparts,nose,nose\ncoords,x,y\n"


def test_a_process_that_was_killed_is_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "CollectedData_anna.csv"
    path.write_bytes(DEEPLABCUT)
    row = FrameRow(np.array([[1.0, 2.0], [3.0, 9.0]]), np.array([2, 2], np.uint8))
    write_row(path, "labeled-data/v/img01.png", row, with_hdf=True)
    twin, part = path.with_suffix(".h5"), tmp_path / "CollectedData_anna.h5.part"
    after = twin.read_bytes()
    # Killed between the two renames: the table in HDF waits under its other name.
    twin.write_bytes(b"the old one")
    part.write_bytes(after)
    finish_writing(path)
    assert (twin.read_bytes(), part.exists()) == (after, False)
    # Killed before the first: neither was whole.
    part.write_bytes(b"half")
    (tmp_path / "CollectedData_anna.csv.part").write_bytes(b"half")
    finish_writing(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, twin.name]
    assert twin.read_bytes() == after


def test_what_cannot_be_labeled_is_said(tmp_path: Path) -> None:
    path = tmp_path / "CollectedData.csv"
    path.write_bytes(LIGHTNING + b"labeled-data/v/img02.png,1,2,3,4\r\n")
    with pytest.raises(UserError, match=r"img02.png is labeled in more than one row"):
        read_rows(path)
    path.write_bytes(DEEPLABCUT)
    row = FrameRow(np.zeros((3, 2)), np.zeros(3, np.uint8))
    with pytest.raises(UserError, match="its keypoints have changed meanwhile"):
        write_row(path, "labeled-data/v/img01.png", row)
    write_row(path, "x/img1.png", FrameRow(np.zeros((2, 2)), np.full(2, 2, np.uint8)), with_hdf=True)
    path.write_bytes(DEEPLABCUT)
    with pytest.raises(UserError, match="delete the older of the two"):
        read_rows(path)


def test_of_several_animals_and_body_parts_of_none_only_the_cells_that_change_change(tmp_path: Path) -> None:
    path = tmp_path / "CollectedData_anna.csv"
    first, second = "labeled-data/v/img01.png", "labeled-data/v/img02.png"
    assert changed(SEVERAL, first, {}, path) == SEVERAL
    names, _ = read_rows(path)
    assert names == ["m1.nose", "m1.tail", "m2.nose", "m2.tail", "single.corner"]
    points = points_of(path)
    assert (points.names, points.animals, points.unique) == (names, ["m1", "m2"], ["corner"])
    after = changed(SEVERAL, first, {2: (5.5, 6.5), 4: (91.0, 9.0)}, path)
    assert after == SEVERAL.replace(b",5.0,6.0,7.25,8.0,90.0,9\n", b",5.5,6.5,7.25,8.0,91.0,9.0\n")
    gone = {1: (np.nan, np.nan)}
    after = changed(SEVERAL, second, gone, path)
    assert after == SEVERAL.replace(b",,,5.0,6.0,,,,,90.0,9.0", b",,,,,,,,,90.0,9.0")
    added = changed(SEVERAL, "labeled-data/v/img03.png", {3: (1.0, 2.0)}, path)
    assert added == SEVERAL + b"labeled-data,v,img03.png,,,,,,,1.0,2.0,,\n"


def test_deeplabcut_reads_the_table_of_several_animals_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "CollectedData_anna.csv"
    create_file(path, AnimalPoints(["nose", "tail"], ["m1", "m2"], ["corner"]), "anna", 3)
    assert path.read_bytes() == b"".join(SEVERAL.splitlines(keepends=True)[:4])
    row = FrameRow(np.arange(10.0).reshape(5, 2), np.array([2, 2, 2, 0, 2], np.uint8))
    row.xy[3] = np.nan
    write_row(path, "labeled-data/v/img01.png", row, with_hdf=True)
    table = pd.read_hdf(path.with_suffix(".h5"))
    expected = pd.read_csv(path, header=[0, 1, 2, 3], index_col=[0, 1, 2])
    pd.testing.assert_frame_equal(table, expected, check_names=False)
    assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    assert table["anna"]["single"]["corner"].to_numpy().tolist() == [[8.0, 9.0]]
    path.write_bytes(path.read_bytes().replace(b",8.0,9.0\n", b",8.0,7.0\n"))
    with pytest.raises(UserError, match="delete the older of the two"):
        read_rows(path)
