"""Labels in the formats that people have: every dialect of the CSV, DeepLabCut projects, SLEAP files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from support.labeled_folder import KEYPOINTS, SIZE, make_labeled_folder, read_rows, write_rows
from support.odd_videos import corner, film

from rt_pose.errors import UserError
from rt_pose.video import VideoReader, read_frames
from train.data.labels import LabeledFrames, read_labels
from train.data.sources import open_source
from train.data.split import split_frames


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_labeled_folder(tmp_path / "drawn", frames=4)


def _three_columns(rows: list[list[str]]) -> list[list[str]]:
    head = [[row[0], "", "", *row[1:]] for row in rows[:3]]
    return head + [["labeled-data", "", row[0].split("/")[-1], *row[1:]] for row in rows[3:]]


def _individuals(rows: list[list[str]]) -> list[list[str]]:
    return [rows[0], ["individuals", *["mouse"] * 6], *rows[1:]]


DIALECTS = {
    "one column": lambda rows: rows,
    "three columns": _three_columns,
    "backslashes": lambda rows: [[row[0].replace("/", "\\"), *row[1:]] for row in rows],
    "of another machine": lambda rows: rows[:3] + [[f"C:\\dlc\\{row[0]}", *row[1:]] for row in rows[3:]],
    "scorer unnamed": lambda rows: [["scorer", *[""] * 6], *rows[1:]],
    "scorer row empty": lambda rows: [[""] * 7, *rows[1:]],
    "scorer row blank": lambda rows: [[], *rows[1:]],
    "a blank row first": lambda rows: [[""] * 7, *rows],
    "individuals": _individuals,
    "individuals, three columns": lambda rows: (
        _three_columns(_individuals(rows))[:3] + _three_columns(_individuals(rows)[1:])[2:]
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_labels(folder: Path, dialect: str) -> None:
    plain = read_labels(folder, "CollectedData.csv")
    write_rows(folder, DIALECTS[dialect](read_rows(folder)))
    frames = read_labels(folder, "CollectedData.csv")
    assert frames.names == plain.names
    assert frames.keypoints == plain.keypoints
    np.testing.assert_array_equal(frames.xy, plain.xy)


def _semicolons(text: str) -> str:
    """As a spreadsheet of a country with decimal commas writes it."""
    lines = [line.split(",") for line in text.splitlines()]
    return "\n".join(";".join([name, *(cell.replace(".", ",") for cell in cells)]) for name, *cells in lines)


SPREADSHEETS = {
    "semicolons": lambda text: _semicolons(text).encode(),
    "semicolons in UTF-16": lambda text: _semicolons(text).encode("utf-16"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, tabs": lambda text: text.replace(",", "\t").encode("utf-16"),
    "UTF-16, the other byte first": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "blank columns": lambda text: "\n".join(f"{line},," for line in text.splitlines()).encode(),
    "blank columns under the header only": lambda text: "\n".join(
        f"{line},," if i < 3 else line for i, line in enumerate(text.splitlines())
    ).encode(),
    "a blank column between": lambda text: "\n".join(
        ",".join([*c[:3], "", *c[3:]]) for c in (t.split(",") for t in text.splitlines())
    ).encode(),
}


@pytest.mark.parametrize("form", SPREADSHEETS)
def test_what_spreadsheets_make_of_it_gives_the_same_labels(folder: Path, form: str) -> None:
    plain = read_labels(folder, "")
    path = folder / "CollectedData.csv"
    path.write_bytes(SPREADSHEETS[form](path.read_text(encoding="utf-8")))
    frames = read_labels(folder, "")
    assert (frames.names, frames.keypoints) == (plain.names, plain.keypoints)
    np.testing.assert_array_equal(frames.xy, plain.xy)
    path.rename(folder / "other.csv")
    assert read_labels(folder, "").names == plain.names, "found by its header"


def test_a_cell_without_a_header_and_another_encoding_are_named(folder: Path) -> None:
    path = folder / "CollectedData.csv"
    text = path.read_text(encoding="utf-8")
    lines = [f"{line}," for line in text.splitlines()]
    lines[4] += "look at this"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match="row 5: 8 cells where the header has 7"):
        read_labels(folder, "")
    path.write_bytes(text.replace("large", "gro\u00df").encode("cp1252"))
    with pytest.raises(UserError, match="save it as 'CSV UTF-8'"):
        read_labels(folder, "CollectedData.csv")


def test_letters_composed_otherwise_on_disk_than_in_the_table(folder: Path) -> None:
    plain = read_labels(folder, "")
    (folder / "labeled-data").rename(folder / "Ka\u0308fig")
    rows = read_rows(folder)
    write_rows(
        folder, rows[:3] + [[row[0].replace("labeled-data", "K\u00e4fig"), *row[1:]] for row in rows[3:]]
    )
    frames = read_labels(folder, "")
    assert frames.names[0].startswith("K\u00e4fig/")
    np.testing.assert_array_equal(frames.images[2], plain.images[2])


def test_two_individuals_are_refused(folder: Path) -> None:
    rows = read_rows(folder)
    write_rows(folder, [rows[0], ["individuals", *["a"] * 4, *["b"] * 2], *rows[1:]])
    with pytest.raises(UserError, match=r"4 of 4 frames hold more than one animal \(the first is row 5\)"):
        read_labels(folder, "CollectedData.csv")


def test_faults_of_labels_and_of_images_are_told_together(folder: Path) -> None:
    rows = read_rows(folder)
    rows[3][1] = "abc"
    rows[4][1] = "999"
    rows[5][0] = "gone.png"
    write_rows(folder, rows)
    (folder / "labeled-data/img003.png").write_bytes(b"not a picture")
    with pytest.raises(UserError) as refused:
        read_labels(folder, "")
    for notes in (
        "row 4",
        "row 5 (labeled-data/img001.png), large: (999",
        "row 6: no image",
        "row 7 (labeled-",
    ):
        assert notes in str(refused.value)


def test_what_a_folder_holds_is_found_and_told(folder: Path) -> None:
    assert read_labels(folder, "").notes == ["labels: CollectedData.csv (Lightning Pose CSV)"]
    (folder / "CollectedData.csv").rename(folder / "mine.csv")
    (folder / "split.csv").write_text("image,split\n")
    (folder / "predictions.csv").write_text("scorer,a,a,a\nbodyparts,k,k,k\ncoords,x,y,likelihood\n0,1,2,1\n")
    assert read_labels(folder, "").notes == ["labels: mine.csv (Lightning Pose CSV)"]
    shutil.copy(folder / "mine.csv", folder / "other.csv")
    with pytest.raises(UserError, match=r"several that hold labels; CSV files there: mine\.csv, other\.csv"):
        read_labels(folder, "")
    for name in ("mine.csv", "other.csv"):
        (folder / name).unlink()
    with pytest.raises(UserError, match="nothing that holds labels"):
        read_labels(folder, "")


# ---------------------------------------------------------------- DeepLabCut projects

CONFIG = """Task: drawn
scorer: Ann
bodyparts:
- dark
- large
- small
skeleton:
- [large, small]
- [dark, tail]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two labeled videos, the second without the keypoint small and with the index in three columns."""
    place = tmp_path / "project"
    for name, seed in (("monday", 1), ("tuesday", 2)):
        drawn = make_labeled_folder(tmp_path / name, frames=3, seed=seed)
        video = place / "labeled-data" / name
        shutil.copytree(drawn / "labeled-data", video)
        rows = read_rows(drawn)
        rows[3:] = [[f"labeled-data/{name}/{Path(row[0]).name}", *row[1:]] for row in rows[3:]]
        if name == "tuesday":
            rows = [row[:3] + row[5:] for row in rows]
            head = [[row[0], "", "", *row[1:]] for row in rows[:3]]
            rows = head + [[*row[0].split("/"), *row[1:]] for row in rows[3:]]
        write_rows(drawn, rows)
        shutil.move(drawn / "CollectedData.csv", video / "CollectedData_Ann.csv")
    (place / "config.yaml").write_text(CONFIG)
    return place


def test_all_videos_of_a_project_are_gathered(project: Path) -> None:
    for labels in ("", ".", "config.yaml"):
        frames = read_labels(project, labels)
        assert frames.keypoints == ["dark", "large", "small"]
        assert len(frames) == 6
    assert frames.skeleton == [["large", "small"]]
    assert np.isfinite(frames.xy[:3]).all()
    assert np.isnan(frames.xy[3:, 2]).all()
    assert frames.visible[4].tolist() == [2, 2, 0]
    for image, xy in zip(frames.images, frames.xy, strict=True):
        x, y = xy[frames.keypoints.index("large")].round().astype(int)
        assert image[y, x] > 200
    assert "2 labels files of the DeepLabCut project gathered" in frames.notes
    assert "1 bones of config.yaml name no keypoint" in frames.notes[1]
    assert "by video" in split_frames(project, frames.names, 0.5, 0).how


def test_faults_of_a_project_name_file_and_row(project: Path) -> None:
    path = project / "labeled-data/monday/CollectedData_Ann.csv"
    path.write_text(path.read_text().replace("bodyparts,large,large", "bodyparts,lerge,lerge"))
    (project / "labeled-data/tuesday/img001.png").unlink()
    with pytest.raises(UserError) as refused:
        read_labels(project, "")
    assert (
        "monday/CollectedData_Ann.csv: keypoint 'lerge' is not in config.yaml, did you mean 'large'?"
        in str(refused.value)
    )
    assert "tuesday/CollectedData_Ann.csv row 5: no image" in str(refused.value)


def test_the_configured_scorer_is_taken_among_several(project: Path) -> None:
    monday = project / "labeled-data/monday"
    shutil.copy(monday / "CollectedData_Ann.csv", monday / "CollectedData_Bob.csv")
    assert len(read_labels(project, "")) == 6
    (project / "config.yaml").write_text(CONFIG.replace("Ann", "Eve"))
    with pytest.raises(
        UserError, match=r"labels of several scorers \(CollectedData_Ann, CollectedData_Bob\)"
    ):
        read_labels(project, "")


def test_a_folder_without_a_project_is_told(project: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.yaml in it"):
        read_labels(project, "labeled-data")
    shutil.rmtree(project / "labeled-data/monday")
    shutil.rmtree(project / "labeled-data/tuesday")
    with pytest.raises(UserError, match="no labeled-data/VIDEO/CollectedData"):
        read_labels(project, ".")


def test_real_projects_are_read(data_dir: Path) -> None:
    frames = read_labels(data_dir / "openfield-dlc", "")
    assert (len(frames), frames.keypoints) == (92, ["snout", "leftear", "rightear", "tailbase"])
    assert frames.xy[0, 0].tolist() == [21.521, 265.428]
    frames = read_labels(data_dir / "homecage-tom-dlc", "")
    assert (len(frames), frames.keypoints[0]) == (20, "Snout")


def test_a_projects_hdf_serves_where_there_is_no_csv_and_must_agree_where_there_is(
    data_dir: Path, tmp_path: Path
) -> None:
    project = tmp_path / "homecage"
    shutil.copytree(data_dir / "homecage-tom-dlc", project)
    path = project / "labeled-data/02-19-19/CollectedData_Tom.csv"
    text, as_csv = path.read_text(), read_labels(project, "")
    path.unlink()
    as_hdf = read_labels(project, "")
    assert as_hdf.names == as_csv.names
    np.testing.assert_allclose(as_hdf.xy, as_csv.xy, atol=1e-9)
    path.write_text(text.replace("279.9091057973", "281.0"))
    with pytest.raises(UserError, match=r"CollectedData_Tom\.h5 beside it holds other labels"):
        read_labels(project, "")


# ---------------------------------------------------------------- SLEAP


def test_a_real_sleap_files_nodes_and_points_are_those_of_its_analysis_export(data_dir: Path) -> None:
    place = data_dir / "mouse-4cam-sleap/back"
    source = open_source(place, "")
    with h5py.File(place / "minimal_back_proofread.analysis.h5") as file:
        names = [name.decode() for name in file["node_names"]]
        tracks = file["tracks"][0].transpose(2, 1, 0)  # (F, K, 2)
    assert source.table.keypoints == names
    np.testing.assert_allclose(source.table.xy, tracks, atol=1e-3)
    assert ["TTI", "Head"] in source.skeleton
    assert any("no label of a person: its 120 predictions are taken" in line for line in source.notes)
    assert source.table.names[7] == "minimal_back/frame_000007"


def _one_animal(source: Path, target: Path, frames: int) -> Path:
    """A SLEAP file of the first animal in the first `frames` frames of another."""
    import sleap_io

    labels = sleap_io.load_slp(str(source), open_videos=False)
    kept = labels.labeled_frames[:frames]
    for frame in kept:
        frame.instances = frame.instances[:1]
    sleap_io.save_slp(sleap_io.Labels(kept), str(target), verbose=False)
    return target


def test_frames_of_a_sleap_file_come_from_its_recording(data_dir: Path, tmp_path: Path) -> None:
    sample = data_dir / "sleap-samples"
    _one_animal(sample / "clip.slp", tmp_path / "one.slp", 3)
    with pytest.raises(UserError, match=r"no clip\.mp4 beside one\.slp; copy it there"):
        read_labels(tmp_path, "")
    shutil.copy(sample / "clip.mp4", tmp_path)
    frames = read_labels(tmp_path, "")
    assert frames.names == [f"clip/frame_{i:06d}" for i in range(3)]
    assert frames.keypoints[:2] == ["head", "thorax"]
    assert frames.xy[0, 0].tolist() == [335.25, 444.75]
    for image, frame in zip(frames.images, read_frames(sample / "clip.mp4", 1), strict=False):
        assert np.abs(image.astype(int) - frame.image).max() <= 2


LABELED = {"day1": (0, 2, 4), "day2": (0, 2, 5)}


@pytest.fixture
def two_days(tmp_path: Path) -> Path:
    """labels.slp on day1/cam.mp4, whose frames are bright, and on day2/cam.mp4, whose frames are dark."""
    import sleap_io

    skeleton = sleap_io.Skeleton(["nose", "tail"])
    frames, videos = [], []
    for day, level in (("day1", 200), ("day2", 60)):
        (tmp_path / "src" / day).mkdir(parents=True)
        recording = film(
            tmp_path / "src" / day / "cam.mp4", [np.full((48, 64), level + 4 * i, np.uint8) for i in range(8)]
        )
        video = sleap_io.Video(str(recording))
        videos.append(video)
        for index in LABELED[day]:
            instance = sleap_io.Instance.from_numpy(np.array([[10.0, 10], [20, 20]]), skeleton=skeleton)
            frames.append(sleap_io.LabeledFrame(video=video, frame_idx=index, instances=[instance]))
    (tmp_path / "project").mkdir()
    labels = sleap_io.Labels(frames, videos=videos, skeletons=[skeleton])
    labels.save(str(tmp_path / "project/labels.slp"), embed=False)
    return tmp_path / "project"


def _check_two_days(frames: LabeledFrames) -> None:
    assert frames.names == [f"{day}/cam/frame_{i:06d}" for day, rows in LABELED.items() for i in rows]
    expected = [base + 4 * i for base, rows in zip((200, 60), LABELED.values(), strict=True) for i in rows]
    found = [float(image.mean()) for image in frames.images]
    np.testing.assert_allclose(found, expected, atol=3)


def test_recordings_of_one_name_are_told_apart_in_place_and_moved(two_days: Path) -> None:
    frames = read_labels(two_days, "")
    _check_two_days(frames)
    assert "by video" in split_frames(two_days, frames.names, 0.5, 0).how
    source = two_days.parent / "src"
    for place in (two_days, two_days / "videos"):
        for day in LABELED:
            (place / day).mkdir(parents=True)
            shutil.move(source / day / "cam.mp4", place / day / "cam.mp4")
        _check_two_days(read_labels(two_days, ""))
        source = place


def test_a_copy_that_may_be_of_another_recording_of_that_name_is_not_taken(two_days: Path) -> None:
    shutil.copy(two_days.parent / "src/day1/cam.mp4", two_days / "cam.mp4")
    _check_two_days(read_labels(two_days, ""))
    shutil.rmtree(two_days.parent / "src")
    with pytest.raises(UserError, match=r"several recordings called cam\.mp4;.*this one as day2/cam\.mp4"):
        read_labels(two_days, "")


def test_labels_on_a_phones_recording_lie_where_they_were_drawn(tmp_path: Path) -> None:
    import sleap_io

    recording = film(tmp_path / "phone.mp4", [corner(i) for i in range(4)], rotation=-90)
    skeleton = sleap_io.Skeleton(["bright"])
    shown = np.argwhere(np.rot90(corner(0), -1) > 150).mean(axis=0)[::-1]  # x, y as a player shows it
    instance = sleap_io.Instance.from_numpy(shown[None], skeleton=skeleton)
    video = sleap_io.Video(str(recording))
    frame = sleap_io.LabeledFrame(video=video, frame_idx=1, instances=[instance])
    labels = sleap_io.Labels([frame], videos=[video], skeletons=[skeleton])
    labels.save(str(tmp_path / "labels.slp"), embed=False)
    frames = read_labels(tmp_path, "")
    x, y = frames.xy[0, 0].round().astype(int)
    assert frames.images[0].shape[:2] == (64, 48)
    assert frames.images[0][y - 10 : y + 10, x - 8 : x + 8].min() > 150


def test_files_of_sleap_before_format_1_1_are_moved_by_half_a_pixel(data_dir: Path, tmp_path: Path) -> None:
    sample = data_dir / "mouse-4cam-sleap/back/minimal_back_proofread.slp"
    shutil.copy(sample, tmp_path / "old.slp")
    with h5py.File(tmp_path / "old.slp", "a") as file:
        file["metadata"].attrs["format_id"] = 1.0
    old, new = open_source(tmp_path, "old.slp"), open_source(sample.parent, sample.name)
    np.testing.assert_allclose(old.table.xy, new.table.xy - 0.5)


def test_embedded_images_are_read(data_dir: Path, tmp_path: Path) -> None:
    # Its second animal is taken out of the file's tables.
    shutil.copy(data_dir / "sleap-samples/minimal_instance.pkg.slp", tmp_path / "one.pkg.slp")
    with h5py.File(tmp_path / "one.pkg.slp", "a") as file:
        frames = file["frames"][:]
        frames["instance_id_end"] = 1
        file["frames"][:] = frames
    source = open_source(tmp_path, "")
    (image,), problems = source.read_images()
    assert problems == []
    assert image.shape == (384, 384, 1)
    with VideoReader(data_dir / "sleap-samples/centered_pair_low_quality.mp4", 1) as recording:
        assert np.abs(image.astype(int) - recording.read().image).mean() < 3


def test_several_animals_and_other_files_are_refused(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1500 of 1500 frames hold more than one animal"):
        read_labels(data_dir / "sleap-samples", "clip.slp")
    (tmp_path / "not.slp").write_text(json.dumps({}))
    with pytest.raises(UserError, match="not a SLEAP file"):
        read_labels(tmp_path, "")


def test_images_whose_names_begin_with_a_session_are_split_by_it(tmp_path: Path) -> None:
    names = [f"labeled-data/{day}_img{i}.png" for day in ("mon", "tue", "wed") for i in range(4)]
    split = split_frames(tmp_path, names, 0.3, 0)
    assert "by session" in split.how
    assert len({names[i].split("_")[0] for i in split.validation}) == 1
    assert "by frame" in split_frames(tmp_path, [*names[:8], "labeled-data/x1.png"], 0.3, 0).how


def test_drawn_images_are_what_the_labels_say(folder: Path) -> None:
    frames = read_labels(folder, "")
    assert frames.images[0].shape == (SIZE[1], SIZE[0], 1)
    assert frames.keypoints == KEYPOINTS
    expected = cv2.imread(str(folder / frames.names[0]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(frames.images[0][..., 0], expected)


def test_a_key_that_a_project_has_twice_is_told_with_both_lines(project: Path) -> None:
    (project / "config.yaml").write_text("scorer: Eve\n" + CONFIG)
    with pytest.raises(UserError, match=r"config\.yaml:\d+: 'scorer' is written twice, first in line 1"):
        read_labels(project, "")
