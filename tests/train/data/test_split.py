"""Which frames are kept back, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rt_pose.errors import UserError
from train.data.split import Split, all_train, check_sides, how_seen, split_again, split_frames, trained_names

ONE_FOLDER = [f"labeled-data/img{i}.png" for i in range(20)]
FOUR_VIDEOS = [f"labeled-data/video{v}/img{i}.png" for v in range(4) for i in range(5)]


def test_the_folders_own_split_is_taken(tmp_path: Path) -> None:
    rows = [f"{name},{'val' if i in (3, 7) else 'train'}\n" for i, name in enumerate(ONE_FOLDER)]
    (tmp_path / "split.csv").write_text("image,split\n" + "".join(rows))
    split = split_frames(tmp_path, ONE_FOLDER, 0.5, seed=0)
    assert split.validation.tolist() == [3, 7]
    assert len(split.train) == 18
    assert "split.csv" in split.how


def test_videos_stay_together(tmp_path: Path) -> None:
    split = split_frames(tmp_path, FOUR_VIDEOS, 0.2, seed=1)
    kept = {FOUR_VIDEOS[i].split("/")[1] for i in split.validation}
    trained = {FOUR_VIDEOS[i].split("/")[1] for i in split.train}
    assert len(kept) == 1
    assert not kept & trained
    assert len(split.train) + len(split.validation) == 20
    assert "by video" in split.how
    assert kept.pop() in split.how


UNEQUAL = [
    *(f"labeled-data/big/img{i}.png" for i in range(60)),
    *(f"labeled-data/small/img{i}.png" for i in range(5)),
]


@pytest.mark.parametrize("seed", range(6))
def test_the_larger_video_trains_and_a_share_that_is_far_off_is_told(tmp_path: Path, seed: int) -> None:
    split = split_frames(tmp_path, UNEQUAL, 0.15, seed)
    assert len(split.train) == 60
    assert "small kept back; that is 8% of the frames, not the 15% asked for" in split.how
    alike = [f"labeled-data/video{v}/img{i}.png" for v in range(2) for i in range(30)]
    assert "that is 50% of the frames, not the 15% asked for" in split_frames(tmp_path, alike, 0.15, seed).how


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizes", [[40, 30, 20, 10, 5, 5], [7] * 13, [100, 3, 3, 3, 3], [12, 1, 1]])
def test_the_share_kept_back_is_near_the_asked_one(tmp_path: Path, sizes: list[int], seed: int) -> None:
    names = [f"labeled-data/video{v}/img{i}.png" for v, size in enumerate(sizes) for i in range(size)]
    split = split_frames(tmp_path, names, 0.15, seed)
    wanted = max(round(0.15 * len(names)), 1)
    assert abs(len(split.validation) - wanted) <= 5


def test_a_split_file_as_spreadsheets_write_it(tmp_path: Path) -> None:
    names = ["labeled-data/K\u00e4fig/a.png", "labeled-data/K\u00e4fig/b.png"]
    text = "image;split\nlabeled-data\\Ka\u0308fig\\a.png;train\n" + f"{names[1]};val \n;\n"
    (tmp_path / "split.csv").write_bytes(text.encode("utf-16"))
    split = split_frames(tmp_path, names, 0.5, 0)
    assert (split.train.tolist(), split.validation.tolist()) == ([0], [1])


def test_one_video_always_stays_for_training(tmp_path: Path) -> None:
    split = split_frames(tmp_path, FOUR_VIDEOS, 0.99, seed=0)
    assert len(split.train) == 5


def test_one_folder_is_split_by_frame_with_the_seed(tmp_path: Path) -> None:
    split = split_frames(tmp_path, ONE_FOLDER, 0.15, seed=4)
    again = split_frames(tmp_path, ONE_FOLDER, 0.15, seed=4)
    other = split_frames(tmp_path, ONE_FOLDER, 0.15, seed=5)
    assert len(split.validation) == 3
    assert split.validation.tolist() == again.validation.tolist() != other.validation.tolist()
    assert "by frame, drawn with seed 4" in split.how


def test_faults_of_the_split_file(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text("image,part\na.png,train\n")
    with pytest.raises(UserError, match="expected the columns image and split"):
        split_frames(tmp_path, ["a.png", "b.png"], 0.1, 0)
    path.write_text("image,split\na.png,test\n")
    with pytest.raises(
        UserError, match=r"row 2: split is 'test'; expected train or val\n.*no row for b\.png"
    ):
        split_frames(tmp_path, ["a.png", "b.png"], 0.1, 0)
    path.write_text("image,split\na.png,train\nb.png,train\n")
    with pytest.raises(UserError, match="2 frames to train and 0 to validate"):
        split_frames(tmp_path, ["a.png", "b.png"], 0.1, 0)


def test_a_single_frame_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least two"):
        split_frames(tmp_path, ["a.png"], 0.1, 0)


def test_a_keypoint_that_no_training_frame_shows_is_refused_and_one_that_no_other_shows_is_told() -> None:
    split = Split(np.array([0, 2]), np.array([1]), "as split.csv says")
    labeled = np.array([[True, False, True], [True, True, False], [True, False, True]])
    with pytest.raises(
        UserError, match=r"b: labeled in none of the 2 training frames .split as split.csv says"
    ):
        check_sides(split, labeled, ["a", "b", "c"])
    assert check_sides(split, labeled[:, [0, 2]], ["a", "c"]) == [
        "labeled in no frame that validates, so without a validation error: c"
    ]
    assert check_sides(split, labeled[:, :1], ["a"]) == []
    unseen = np.array([[True, False], [True, False]])
    with pytest.raises(
        UserError, match=r"b: labeled in none of the 2 training frames \(all there are\)"
    ) as notes:
        check_sides(all_train(2), unseen, ["a", "b"])
    assert "split" not in str(notes.value)


def test_a_packages_split_is_found_again_by_its_own_account(tmp_path: Path) -> None:
    """A member of an ensemble is split by the ensemble's seed, not by its own: what it trained on would be
    taken for kept back."""
    then = split_frames(tmp_path, ONE_FOLDER, 0.3, seed=4)
    settings = {"seed": 5, "split_seed": 4, "validation_fraction": 0.3}
    assert not np.array_equal(split_frames(tmp_path, ONE_FOLDER, 0.3, seed=5).validation, then.validation)
    drawn = split_again({"configuration": settings}, tmp_path, ONE_FOLDER)
    np.testing.assert_array_equal(drawn.validation, then.validation)
    notes = {"kept_back": [ONE_FOLDER[i] for i in then.validation], "split": then.how}
    since = ["labeled-data/new/a_since.png", *ONE_FOLDER]
    again = split_again(notes | {"configuration": settings}, tmp_path, since)
    np.testing.assert_array_equal(again.validation, then.validation + 1)
    np.testing.assert_array_equal(again.train, [0, *(then.train + 1)])
    assert again.how == then.how


SINCE = ["labeled-data/new/since0.png", "labeled-data/new/since1.png"]
EXPECTED = {"trained_on": ONE_FOLDER[:15], "kept_back": ONE_FOLDER[15:], "split": "as split.csv says"}
OLDER = {"kept_back": ONE_FOLDER[15:], "split": "as split.csv says"}


def test_what_a_network_has_seen_is_said_by_its_package_or_not_known() -> None:
    names = [ONE_FOLDER[3], ONE_FOLDER[18], *SINCE]
    assert trained_names(EXPECTED, names) == [ONE_FOLDER[3]]
    assert how_seen(EXPECTED) == "trained on"
    assert trained_names(OLDER, names) == [ONE_FOLDER[3], *SINCE]
    assert how_seen(OLDER) == "may have trained on"
    assert trained_names({}, names) is None


def test_what_was_labeled_since_validates(tmp_path: Path) -> None:
    again = split_again(EXPECTED, tmp_path, [*SINCE, *ONE_FOLDER])
    assert again.train.tolist() == list(range(2, 17))
    assert again.validation.tolist() == [0, 1, *range(17, 22)]
    assert again.how == "as split.csv says; labeled since, and never trained on: 2"
    assert split_again(EXPECTED, tmp_path, ONE_FOLDER).how == EXPECTED["split"]
    every = {"trained_on": ONE_FOLDER, "kept_back": [], "split": all_train(20).how}
    again = split_again(every | {"configuration": {"validation_fraction": 0.0}}, tmp_path, SINCE)
    assert not len(again.train)
    assert again.validation.tolist() == [0, 1]


def test_an_older_packages_split_is_never_drawn_again_where_it_names_frames(tmp_path: Path) -> None:
    for names in (ONE_FOLDER[15:], ONE_FOLDER[16:18]):
        kept_back = split_again(OLDER, tmp_path, names)
        assert len(kept_back.validation) == len(names)
        assert kept_back.how == OLDER["split"]
    unknown = split_again(OLDER, tmp_path, SINCE)
    assert unknown.validation.tolist() == [0, 1]
    assert "none of the frames that the training knew" in unknown.how
    every = {"kept_back": [], "configuration": {"validation_fraction": 0.0}}
    assert len(split_again(every, tmp_path, SINCE).train) == 2
