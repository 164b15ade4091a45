"""From videos to a folder that training takes, in both layouts; two people one after the other."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.labeled_folder import KEYPOINTS, make_labeled_folder
from support.log_lines import log_into

from rt_pose.cli.main import main
from rt_pose.clock import NS_PER_S, FakeClock
from rt_pose.errors import UserError
from rt_pose.labeling.frame_labels import Mark
from rt_pose.labeling.label_record import read_record
from rt_pose.labeling.label_task import LabelTask
from rt_pose.labeling.prepare import LabelOptions, prepare
from train.data.labels import read_labels

CLOCK = FakeClock(utc_ns=1_777_900_000 * NS_PER_S)
BONES = [["large", "small"]]


def options(out: Path, *videos: Path, **more: object) -> LabelOptions:
    given: dict[str, object] = {"frames": 4, "keypoints": KEYPOINTS, "scorer": "anna"} | more
    return LabelOptions(out, list(videos), **given)  # type: ignore[arg-type]


def label_all(labeling: LabelTask) -> None:
    for frame in range(len(labeling.editor.names)):
        for k in range(len(KEYPOINTS)):
            labeling.editor.place(10.0 + frame, 20.0 + 5 * k)
        labeling.editor.accept()


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def check_sleap_reads(project: Path) -> None:
    import sleap_io

    labels = sleap_io.load_file(str(project / "config.yaml"))
    places = labels[1].instances[0].numpy()
    nodes = labels.skeletons[0].node_names
    assert [places[nodes.index(name)].tolist() for name in KEYPOINTS] == [[11, 20], [11, 25], [11, 30]]
    assert labels[1].image.shape[:2] == (90, 120)
    assert labels.skeletons[0].edge_names == [tuple(bone) for bone in BONES]


@pytest.mark.parametrize("layout", ["deeplabcut", "lightning-pose"])
def test_what_was_labeled_is_what_training_reads(layout: str, discs_video: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    labeling = prepare(options(out, discs_video, layout=layout, skeleton=BONES), CLOCK)
    assert len(labeling.editor.names) == 4
    label_all(labeling)
    frames = read_labels(out, "", expected=KEYPOINTS)
    assert frames.names == labeling.editor.names
    np.testing.assert_array_equal(frames.xy[1], [[11, 20], [11, 25], [11, 30]])
    assert frames.images[0].shape[:2] == (90, 120)
    if layout == "deeplabcut":
        check_sleap_reads(out)
    again = prepare(options(out, discs_video, keypoints=[]), CLOCK)  # goes on without picking anew
    assert again.editor.names == labeling.editor.names
    assert again.editor.open_frames == []
    more = prepare(options(out, discs_video, frames=6), CLOCK)
    assert set(more.editor.names) > set(again.editor.names)
    assert (len(more.editor.names), len(more.editor.open_frames)) == (6, 2)
    assert more.opened.skeleton == BONES


def test_a_project_says_what_deeplabcut_wants_to_know(discs_video: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    prepare(options(out, discs_video, skeleton=BONES), CLOCK)
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert (config["Task"], config["scorer"], config["date"]) == ("mine", "anna", "May4")
    assert (config["bodyparts"], config["skeleton"]) == (KEYPOINTS, BONES)
    assert config["video_sets"] == {str(discs_video): {"crop": "0, 120, 0, 90"}}
    other = discs_video.with_name("second.avi")
    other.write_bytes(discs_video.read_bytes())
    before = (out / "config.yaml").read_text()
    (out / "config.yaml").write_text("# mine\n" + before)
    prepare(options(out, discs_video, other, frames=6), CLOCK)
    after = (out / "config.yaml").read_text()
    assert list(yaml.safe_load(after)["video_sets"]) == [str(discs_video), str(other)]
    assert after.startswith("# mine\n")
    assert set(before.splitlines()) <= set(after.splitlines())
    pictures = sorted(path.name for path in (out / "labeled-data" / "second").iterdir())
    assert len(pictures) == 3


def test_the_next_person_hears_what_was_left_open(discs_video: Path, tmp_path: Path) -> None:
    first = prepare(options(tmp_path / "f", discs_video), CLOCK)
    first.editor.place(1, 1)
    first.editor.mark_absent()
    first.editor.accept()
    name = first.editor.names[0]
    note = read_record(tmp_path / "f").frames[name]
    assert (note.by, note.open, note.absent) == ("anna", ["dark"], ["small"])
    lines: list[str] = []
    second = log_into(lines, prepare, options(tmp_path / "f", scorer="tom", keypoints=[]), CLOCK)
    assert f"anna left 1 frame open, last at {note.at}: {name}: dark" in "\n".join(lines)
    assert (second.editor.name, second.editor.cursor) == (name, 2)
    assert second.editor.labels.marks.tolist() == [Mark.PLACED, Mark.ABSENT, Mark.OPEN]
    second.editor.place(5, 5)
    second.editor.accept()
    assert read_record(tmp_path / "f").frames[name].by == "tom"
    assert "labeled by tom" in second.about(name)
    # The table stays the one of its scorer.
    assert [path.name for path in (tmp_path / "f").rglob("*.csv")] == ["CollectedData_anna.csv"]


def test_labels_of_others_change_where_they_are_mended(tmp_path: Path) -> None:
    folder = make_labeled_folder(tmp_path / "data", frames=3)
    table = folder / "CollectedData.csv"
    before, lines = hashes(folder), table.read_bytes().splitlines(keepends=True)
    labeling = prepare(options(folder, keypoints=[], scorer="tom"), CLOCK)
    assert hashes(folder) == before  # opening alone changes nothing
    assert labeling.editor.open_frames == []
    labeling.editor.go_to(1)
    labeling.editor.move(2, 33.5, 44.25)
    labeling.editor.go_to(2)
    cells = lines[4].rstrip().split(b",")
    lines[4] = b",".join([*cells[:5], b"33.5", b"44.25"]) + b"\r\n"
    assert table.read_bytes() == b"".join(lines)
    assert {n for n, h in hashes(folder).items() if before.get(n) != h} == {
        "CollectedData.csv",
        "labeling.json",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--keypoints", "a", "--frames", "0"], "--frames: expected at least 1"),
        ([], "name the keypoints of a new folder"),
        (["--keypoints", "a", "a"], "'a' is there twice"),
        (["--keypoints", "a", "b", "--skeleton", "a=c"], "no keypoint 'c'"),
        (["--keypoints", "a", "--scorer", "x/y"], "becomes part of a file's name"),
        (["--review", "nowhere"], "holds no labels to review"),
    ],
)
def test_mistakes_are_said(
    words: list[str], message: str, discs_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["label", str(discs_video), "--out", str(out), "--pick-only", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (out / "labeled-data").exists()


def test_picking_alone_opens_no_window(
    discs_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["label", str(discs_video), "--out", str(tmp_path / "f"), "--frames", "3", "--pick-only"]
    assert main([*words, "--keypoints", "nose", "tail"]) == 0
    assert "3 frames, 3 of them open" in capsys.readouterr().out
    with pytest.raises(UserError, match="leave the option out"):
        prepare(options(tmp_path / "f", keypoints=["other"]), CLOCK)
    (tmp_path / "sleap").mkdir()
    (tmp_path / "sleap" / "mine.slp").write_bytes(b"")
    with pytest.raises(UserError, match="SLEAP file is read but not written"):
        prepare(options(tmp_path / "sleap"), CLOCK)
    with pytest.raises(UserError, match="both are called discs"):
        prepare(options(tmp_path / "f", discs_video, tmp_path / "discs.mp4"), CLOCK)
