"""What must not be lost, mixed up or led astray in a folder of labels."""

from __future__ import annotations

import os
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from support.labeled_folder import KEYPOINTS, make_discs_video, make_labeled_folder

from rt_pose.clock import FakeClock
from rt_pose.errors import UserError
from rt_pose.labeling.frame_labels import Mark
from rt_pose.labeling.label_file import FrameRow, finish_writing, read_rows, write_row
from rt_pose.labeling.label_folder import open_folder
from rt_pose.labeling.label_record import FILE, read_record
from rt_pose.labeling.prepare import LabelOptions, prepare
from rt_pose.labeling.session_frames import film_name
from rt_pose.session.read import Session
from train.data.tables import read_layout

CLOCK = FakeClock()


def options(out: Path, *videos: Path, **more: object) -> LabelOptions:
    given: dict[str, object] = {"frames": 4, "keypoints": KEYPOINTS, "scorer": "anna"} | more
    return LabelOptions(out, list(videos), **given)  # type: ignore[arg-type]


def test_frames_of_two_recordings_of_one_name_are_not_mixed(discs_video: Path, tmp_path: Path) -> None:
    out = tmp_path / "f"
    prepare(options(out, discs_video), CLOCK)
    (tmp_path / "moved").mkdir()
    moved = Path(shutil.copy(discs_video, tmp_path / "moved"))
    prepare(options(out, moved, frames=5), CLOCK)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (tmp_path / "other").mkdir()
    other = make_discs_video(tmp_path / "other" / "discs.avi", frames=30)
    with pytest.raises(UserError, match="labeled-data/discs would hold frames of several recordings"):
        prepare(options(out, other, frames=9), CLOCK)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_picture_that_is_there_is_not_written_over(discs_video: Path, tmp_path: Path) -> None:
    """Lightning Pose keeps frames beside the labeled ones, under names like ours."""
    folder = make_labeled_folder(tmp_path / "f", frames=2)
    context = folder / "labeled-data" / "discs"
    context.mkdir(parents=True)
    theirs = np.full((90, 120), 7, np.uint8)
    for index in range(40):
        cv2.imwrite(str(context / f"img{index:08d}.png"), theirs)
    labeling = prepare(options(folder, discs_video, keypoints=[], frames=3), CLOCK)
    picked = [name for name in labeling.editor.names if "/discs/" in name]
    assert len(picked) == 3
    for name in picked:
        assert np.array_equal(cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE), theirs)


def test_a_kill_between_the_two_files_settles_nothing(
    discs_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labeling = prepare(options(tmp_path / "f", discs_video), CLOCK)
    name = labeling.editor.name
    labeling.editor.place(5.0, 6.0)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place in ("rt_pose.labeling.label_file._replace", "rt_pose.labeling.label_store.write_record"):
        with monkeypatch.context() as patch:
            patch.setattr(place, killed)
            with pytest.raises(KeyboardInterrupt):
                labeling.editor.write()
        again = prepare(options(tmp_path / "f", keypoints=[]), CLOCK)
        marks = again.editor.labels_of(again.editor.names.index(name)).marks.tolist()
        assert Mark.ABSENT not in marks
        assert name in [again.editor.names[i] for i in again.editor.open_frames]
    labeling.editor.write()
    assert read_record(tmp_path / "f").frames[name].open == KEYPOINTS[1:]


def test_what_cannot_be_written_takes_its_note_back(discs_video: Path, tmp_path: Path) -> None:
    labeling = prepare(options(tmp_path / "f", discs_video), CLOCK)
    name, store = labeling.editor.name, labeling.store
    labeling.editor.place(5.0, 6.0)
    labeling.editor.write()
    noted = read_record(tmp_path / "f").frames[name]
    (table,) = (tmp_path / "f").rglob("CollectedData*.csv")
    table.write_bytes(table.read_bytes().replace(KEYPOINTS[0].encode(), b"renamed"))
    for change in (store.read(name).with_keypoint(1, Mark.PLACED, (9.0, 9.0)),):
        with pytest.raises(UserError, match="its keypoints have changed meanwhile"):
            store.write(name, change)
    assert read_record(tmp_path / "f").frames[name] == noted


def test_labels_in_hdf_alone_are_written_as_csv_too(tmp_path: Path) -> None:
    folder = make_labeled_folder(tmp_path / "f", frames=2)
    table = folder / "CollectedData.csv"
    keypoints, rows = read_rows(table)
    name, row = next(iter(rows.items()))
    write_row(table, name, row, with_hdf=True)
    alone = table.with_suffix(".h5").rename(folder / "Alone.h5")
    opened = open_folder(folder, alone.name)
    assert opened is not None
    assert opened.points.keypoints == keypoints
    opened.write(name, replace(row, xy=row.xy + 1))
    assert read_rows(folder / "Alone.csv")[1][name].xy == pytest.approx(row.xy + 1)
    with pytest.raises(UserError, match=r"`--labels Alone\.csv`"):
        open_folder(folder, alone.name)


def test_what_another_program_has_written_meanwhile_stays(discs_video: Path, tmp_path: Path) -> None:
    labeling = prepare(options(tmp_path / "f", discs_video, keypoints=["nose", "tail"]), CLOCK)
    theirs = tmp_path / "f" / "labeled-data" / "discs" / "CollectedData_anna.csv"
    theirs.write_text(
        "scorer,,,anna,anna,anna,anna\nbodyparts,,,tail,tail,nose,nose\ncoords,,,x,y,x,y\n"
        "labeled-data,discs,img99.png,1.0,2.0,3.0,4.0\n"
    )
    labeling.editor.place(5.0, 6.0)
    labeling.editor.write()
    keypoints, rows = read_rows(theirs)
    assert keypoints == ["tail", "nose"]
    assert rows["labeled-data/discs/img99.png"].xy.tolist() == [[1, 2], [3, 4]]
    assert rows[labeling.editor.name].xy[1].tolist() == [5, 6]
    theirs.write_text(theirs.read_text().replace("tail,tail,nose,nose", "nose,nose,tail,tail"))
    labeling.editor.select(1)
    labeling.editor.place(7.0, 8.0)
    with pytest.raises(UserError, match="its keypoints have changed meanwhile"):
        labeling.editor.write()


def test_letters_composed_otherwise_on_disk_than_in_the_table(tmp_path: Path) -> None:
    folder = make_labeled_folder(tmp_path / "f", frames=2)
    table = folder / "CollectedData.csv"
    name = next(iter(read_layout(table).rows))
    composed = unicodedata.normalize("NFC", "souris-é.png")
    image = folder / name
    table.write_bytes(table.read_bytes().replace(image.name.encode(), composed.encode()))
    image.rename(image.with_name(unicodedata.normalize("NFD", composed)))
    labeling = prepare(options(folder, keypoints=[]), CLOCK)
    assert len(labeling.editor.names) == 2
    assert labeling.editor.open_frames == []
    index = next(i for i, n in enumerate(labeling.editor.names) if n.endswith(composed))
    assert labeling.image(labeling.editor.names[index]) is not None


def test_a_table_that_waited_while_another_program_wrote_is_not_put_back(tmp_path: Path) -> None:
    folder = make_labeled_folder(tmp_path / "f", frames=2)
    table = folder / "CollectedData.csv"
    name, row = next(iter(read_rows(table)[1].items()))
    write_row(table, name, row, with_hdf=True)
    twin = table.with_suffix(".h5")
    older, waiting = twin.read_bytes(), twin.with_name(twin.name + ".part")
    write_row(table, name, FrameRow(row.xy + 3, row.visible), with_hdf=True)
    newer = twin.read_bytes()
    waiting.write_bytes(older)
    os.utime(waiting, ns=(0, 0))
    waiting.with_name(waiting.name + ".part").write_bytes(b"half")
    finish_writing(table)
    assert twin.read_bytes() == newer
    assert not list(folder.glob("*.part"))
    read_rows(table)


def test_no_name_leads_out_of_the_folder(discs_video: Path, tmp_path: Path, synthetic_session: Path) -> None:
    prepare(options(tmp_path / "f", discs_video), CLOCK)
    file = tmp_path / "f" / FILE
    content = msgspec.json.decode(file.read_bytes())
    content["frames"]["labeled-data/../../../out.png"] = next(iter(content["frames"].values()))
    file.write_bytes(msgspec.json.encode(content))
    with pytest.raises(UserError, match="leads out of the folder"):
        prepare(options(tmp_path / "f", keypoints=[]), CLOCK)
    for camera in ("a/../../out", "..", "/out", "a\\b"):
        with pytest.raises(UserError, match="is no name of a camera"):
            film_name(Session.read(synthetic_session), camera)
