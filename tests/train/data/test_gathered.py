"""Labels in HDF only, of several cameras and of several data sets; keypoints taken and left out."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from support.disc_videos import disc_truth, write_disc_video
from support.labeled_folder import KEYPOINTS, make_labeled_folder, read_rows, write_rows
from support.tiny_package import keypoint_levels

from rt_pose.config.build import build
from rt_pose.config.overrides import set_option
from rt_pose.config.source import Source
from rt_pose.errors import UserError
from train.config import TrainConfig
from train.data.gather import check_blank
from train.data.labels import LabeledFrames, read_data_sets, read_labels
from train.data.sources import open_source
from train.data.split import known_as, split_sets, trained_names

LABELED = [0, 3, 5]
DISCS = ["k0", "k1", "k2", "k3"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_disc_video(tmp_path_factory.mktemp("film") / "mouse.avi", frames=8)


def write_table(path: Path, index: list[object]) -> None:
    """The discs' places as DeepLabCut writes labels, in HDF."""
    columns = pd.MultiIndex.from_product([["me"], DISCS, ["x", "y"]], names=["scorer", "bodyparts", "coords"])
    values = np.stack([disc_truth(i) for i in LABELED]).reshape(len(LABELED), -1)
    table = pd.DataFrame(values, pd.Index(index), columns)
    table.to_hdf(path, key="df_with_missing", format="fixed", mode="w")


def check_discs(frames: LabeledFrames) -> None:
    """Every image is that of its frame: the discs lie where the labels say."""
    assert frames.keypoints == DISCS
    for image, xy in zip(frames.images, frames.xy, strict=True):
        x, y = xy.round().astype(int).T
        np.testing.assert_allclose(image[y, x, 0], keypoint_levels(4).round(), atol=1)
        assert image[y[0], x[0] - 15, 0] > 50 > image[y[0], x[0] - 18, 0], "not a frame before or after"


def test_labels_in_hdf_alone_take_the_frames_of_the_video_of_their_name(film: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(film, tmp_path / "videos/mouse.avi")
    for index in (LABELED, [f"labeled-data/mouse/img{i:04d}.png" for i in LABELED]):
        write_table(tmp_path / "mouse.h5", list(index))
        frames = read_labels(tmp_path, "")
        check_discs(frames)
        assert {name.split("/")[-2] for name in frames.names} == {"mouse"}, "they are split by video"
        assert frames.notes[0] == "labels: mouse.h5 (HDF)"
        assert "3 images are frames of mouse.avi, by their numbers" in frames.notes
    write_table(tmp_path / "mouse.h5", [0, 3, 99])
    with pytest.raises(UserError, match=r"row 6: mouse\.avi has no frame 99"):
        read_labels(tmp_path, "")
    (tmp_path / "videos/mouse.avi").unlink()
    with pytest.raises(UserError, match=r"row 4 and 2 more: no image, and no video called mouse in "):
        read_labels(tmp_path, "")


def write_analysis(path: Path, occupied: int = 1) -> None:
    """SLEAP's analysis table of the discs; frames between the labeled ones are empty."""
    tracks = np.full((occupied, 2, 4, 8), np.nan)
    for i in LABELED:
        tracks[:, :, :, i] = disc_truth(i).T
    with h5py.File(path, "w") as file:
        file["tracks"] = tracks
        file["track_occupancy"] = np.ones((8, occupied), np.uint8)
        file["node_names"] = [name.encode() for name in DISCS]
        file["edge_names"] = [[b"k0", b"k1"]]
        file["video_path"] = "C:\\recordings\\mouse.avi"


def test_an_analysis_table_alone_is_labels_too(film: Path, tmp_path: Path, data_dir: Path) -> None:
    shutil.copy(film, tmp_path)
    write_analysis(tmp_path / "proofread.analysis.h5")
    frames = read_labels(tmp_path, "")
    check_discs(frames)
    assert frames.names == [f"mouse/frame_{i:06d}" for i in LABELED]
    assert frames.skeleton == [["k0", "k1"]]
    write_analysis(tmp_path / "proofread.analysis.h5", occupied=2)
    with pytest.raises(UserError, match="3 frames hold more than one animal"):
        read_labels(tmp_path, "")
    real = data_dir / "mouse-4cam-sleap/back"
    by_nodes = open_source(real, "minimal_back_proofread.analysis.h5").table
    assert by_nodes.names[7] == "minimal_back/frame_000007"
    np.testing.assert_allclose(by_nodes.xy, open_source(real, "").table.xy, atol=1e-3)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Folders a and b with images of the same names; b has no `dark` and another order of keypoints."""
    for seed, name in enumerate("ab"):
        make_labeled_folder(tmp_path / "both" / name, frames=8, seed=seed)
    rows = read_rows(tmp_path / "both/b")
    write_rows(tmp_path / "both/b", [[row[0], *row[3:5], *row[1:3]] for row in rows])
    return tmp_path / "both"


def test_a_folder_of_one_subfolder_a_camera_is_one_set(two: Path) -> None:
    frames = read_labels(two, "")
    assert (len(frames), frames.keypoints) == (16, KEYPOINTS)
    assert frames.names[8] == "b/labeled-data/img000.png"
    a, b = (read_labels(two / name, "") for name in "ab")
    np.testing.assert_array_equal(frames.xy[:8], a.xy)
    np.testing.assert_array_equal(frames.xy[8:, [1, 0]], b.xy)
    assert np.isnan(frames.xy[8:, 2]).all()
    np.testing.assert_array_equal(frames.images[9], b.images[1])
    assert frames.notes[0] == "labels: of 2 subfolders, such as one a camera: a, b"
    assert "b has no dark: nothing is learned of it from there" in frames.notes
    split = split_sets(frames.sets, frames.names, 0.25, 0)
    kept = [frames.names[i] for i in split.validation]
    moments = {side: sorted(n[2:] for n in kept if n[0] == side) for side in "ab"}
    assert len(kept) == 4
    assert moments["a"] == moments["b"], "cameras keep back the same moments"
    check_blank("unknown", frames.lacking)
    with pytest.raises(
        UserError, match=r"b has no dark, which would be learned as absent.*--keypoints -dark"
    ):
        check_blank("absent", frames.lacking)
    check_blank("absent", read_labels(two, "", expected=["-dark"]).lacking)
    shutil.rmtree(two / "b")
    with pytest.raises(UserError, match=r"nothing that holds labels.*; a in it does: --data "):
        read_labels(two, "")


def test_faults_of_one_set_are_told_with_its_name(two: Path) -> None:
    rows = read_rows(two / "b")
    rows[4][1] = "abc"
    write_rows(two / "b", rows)
    (two / "a/labeled-data/img002.png").unlink()
    with pytest.raises(UserError) as refused:
        read_labels(two, "")
    assert "b: row 5 (labeled-data/img001.png), small: x is 'abc'" in str(refused.value)
    assert "a: row 6: no image 'labeled-data/img002.png'" in str(refused.value)


def test_several_data_sets_are_matched_by_name_and_split_each_by_itself(two: Path) -> None:
    options = Source({}, "options")
    set_option(options, TrainConfig, "data", [str(two / "a"), str(two / "b")])
    folders = [Path(place) for place in build(TrainConfig, options).data_folders]
    images = [f"labeled-data/img{i:03d}.png" for i in range(8)]
    lines = ["image,split", *(f"{image},{'val' if i == 7 else 'train'}" for i, image in enumerate(images))]
    (two / "a/split.csv").write_text("\n".join(lines))
    frames = read_data_sets(folders, "")
    split = split_sets(frames.sets, frames.names, 0.25, 0)
    kept = [frames.names[i] for i in split.validation]
    assert [name for name in kept if name[0] == "a"] == ["a/labeled-data/img007.png"]
    assert len([name for name in kept if name[0] == "b"]) == 2
    assert split.how.startswith("a: as split.csv says; b: by frame")
    with pytest.raises(UserError, match="have one name, by which their images are told apart"):
        read_data_sets([two / "a", two / "b" / ".." / "a"], "")


def test_one_data_set_again_knows_what_a_training_of_several_saw(two: Path) -> None:
    training = {"datasets": ["a", "b"], "trained_on": ["a/x.png", "b/y.png"], "kept_back": ["a/z.png"]}
    assert known_as(training, two / "a", ["x.png", "z.png"]) == ["a/x.png", "a/z.png"]
    assert known_as(training, two / "renamed", ["y.png", "w.png"]) == ["b/y.png", "b/w.png"]
    assert known_as(training, two / "other", ["v.png"]) == ["v.png"]
    assert trained_names(training, ["x.png", "z.png"]) == ["x.png"]
    alone = {"dataset": "a", "trained_on": ["x.png"]}
    assert trained_names(alone, ["a/x.png", "b/x.png"]) == ["a/x.png"]


def test_keypoints_are_taken_in_the_order_asked_for_or_left_out(tmp_path: Path) -> None:
    folder = make_labeled_folder(tmp_path / "drawn", frames=3)
    whole = read_labels(folder, "")
    taken = read_labels(folder, "", expected=["dark", "large"])
    assert taken.keypoints == ["dark", "large"]
    np.testing.assert_array_equal(taken.xy, whole.xy[:, [2, 0]])
    left = read_labels(folder, "", expected=["-small"])
    assert left.keypoints == ["large", "dark"]
    np.testing.assert_array_equal(left.visible, whole.visible[:, [0, 2]])
    rows = read_rows(folder)
    for row in rows[3:]:
        row[3:5] = ["", ""]
    write_rows(folder, rows)
    with pytest.raises(
        UserError, match=r"'small' is labeled in no image; leave it out \(`--keypoints -small`"
    ):
        read_labels(folder, "")
    assert read_labels(folder, "", expected=["-small"]).keypoints == ["large", "dark"]
    asked = read_labels(folder, "", expected=KEYPOINTS)
    assert np.isnan(asked.xy[:, 1]).all(), "a camera may never see what a package knows"
    for wrong, message in (
        (["large", "smal"], "no keypoint 'smal' in the file, did you mean 'small'"),
        (["-smal"], "no keypoint 'smal' in the file, did you mean 'small'"),
        (["large", "-dark"], "either names to take, or names to leave out"),
        (["large", "large"], "'large' is named twice"),
        ([f"-{name}" for name in KEYPOINTS], "all are left out"),
    ):
        with pytest.raises(UserError, match=message):
            read_labels(folder, "", expected=wrong)
