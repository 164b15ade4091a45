from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.offline.poses_csv import read_poses, reorder_keypoints

HEAD = "scorer,a,a,a,a,a,a\nbodyparts,nose,nose,nose,paw,paw,paw\ncoords,x,y,likelihood,x,y,likelihood\n"


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "poses.csv"
    path.write_text(text)
    return path


def test_frames_by_number(tmp_path: Path) -> None:
    poses = read_poses(table(tmp_path, HEAD + "0,1,2,0.5,3,4,0.25\n2,5,6,1,,,0.1\n"))
    assert poses.keypoints == ["nose", "paw"]
    assert poses.xy.shape == (3, 2, 2)
    np.testing.assert_array_equal(poses.xy[0], [[1, 2], [3, 4]])
    assert np.isnan(poses.xy[1]).all()
    np.testing.assert_array_equal(poses.xy[2], [[5, 6], [np.nan, np.nan]])
    np.testing.assert_array_equal(poses.likelihood[0], [0.5, 0.25])


def test_labels_of_every_frame(tmp_path: Path) -> None:
    head = "scorer,a,a\nbodyparts,nose,nose\ncoords,x,y\n"
    poses = read_poses(
        table(tmp_path, head + "labeled-data/v2/img0000.png,1,2\nlabeled-data/v2/img0001.png,3,4\n")
    )
    np.testing.assert_array_equal(poses.xy[:, 0], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(poses.likelihood, 1.0)


def test_what_the_rules_need_must_be_there(tmp_path: Path) -> None:
    poses = read_poses(table(tmp_path, HEAD + "0,1,2,0.5,3,4,0.25\n"))
    np.testing.assert_array_equal(
        reorder_keypoints(poses, ["paw", "tail", "nose"], {"paw"}, "t")[0, ::2], [[3, 4], [1, 2]]
    )
    with pytest.raises(UserError, match="a rule looks at 'paws', which is not in it, did you mean 'paw'"):
        reorder_keypoints(poses, ["paws"], {"paws"}, "poses t")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected the header rows"),
        ("frame,x,y\n0,1,2\n", "expected the header rows"),
        (HEAD, "not one frame"),
        (HEAD + "0,1,two,1,3,4,1\n", "row 4: 'two' is not a number"),
        (HEAD + "zero,1,2,1,3,4,1\n", "frame 1: expected its number"),
        (HEAD + "0,1\n", "row 4: 1 cells where the header has 6"),
        (HEAD + "0,1,2,1,3,4,1\n\n1,1,2,1,3\n", "row 6: 4 cells where the header has 6"),
        (HEAD + "0\n", "row 4: 0 cells"),
        (HEAD + "7,1,2,1,3,4,1\n7,1,2,1,3,4,1\n", "two rows are of frame 7 ('7' and '7')"),
        (HEAD + "a/img1.png,1,2,1,3,4,1\nb/img1.png,1,2,1,3,4,1\n", "('a/img1.png' and 'b/img1.png')"),
        (HEAD + "1700000000000,1,2,1,3,4,1\n", "expected numbers of frames, from 0"),
        (
            HEAD.replace("\n", "\nindividuals,a,a,a,b,b,b\n", 1) + "0,1,2,1,3,4,1\n",
            "row 2 names 2 individuals",
        ),
        (HEAD.replace("coords,x,y", "coords,x,z") + "0,1,2,1,3,4,1\n", "keypoint 'nose' has no column y"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UserError, match=r"poses\.csv") as caught:
        read_poses(table(tmp_path, text))
    assert expected in str(caught.value)


TEXT = HEAD + "0,1.5,2,0.5,3,4,0.25\n2,5,6,1,,,0.1\n"
AS_SPREADSHEETS_HAVE_IT = {
    "one individual": TEXT.replace("\n", "\nindividuals,mouse,mouse,mouse,mouse,mouse,mouse\n", 1).encode(),
    "semicolons": TEXT.replace(",", ";").replace(".", ",").encode(),
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-16, tabs": TEXT.replace(",", "\t").encode("utf-16"),
    "blank columns": TEXT.replace("\n", ",,\n").encode(),
    "quoted": TEXT.replace("\n0,", '\n"a, b/img0",').encode(),
}


@pytest.mark.parametrize("form", AS_SPREADSHEETS_HAVE_IT)
def test_predictions_as_spreadsheets_and_multi_animal_projects_write_them(tmp_path: Path, form: str) -> None:
    path = tmp_path / "poses.csv"
    path.write_bytes(AS_SPREADSHEETS_HAVE_IT[form])
    poses = read_poses(path)
    assert poses.keypoints == ["nose", "paw"]
    np.testing.assert_array_equal(poses.xy[0], [[1.5, 2], [3, 4]])
    np.testing.assert_array_equal(poses.xy[2], [[5, 6], [np.nan, np.nan]])
    np.testing.assert_array_equal(poses.likelihood[2], [1, 0.1])


def test_no_such_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_poses(tmp_path / "none.csv")


def test_real_predictions(data_dir: Path) -> None:
    folder = data_dir / "eks-ensembles" / "ibl-pupil"
    poses = read_poses(next(iter(sorted(folder.glob("*.csv")))))
    assert poses.xy.shape == (2000, 4, 2)
    assert np.isfinite(poses.xy).all()
