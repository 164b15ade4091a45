"""Labels of several animals a frame in the formats that people have, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.labeled_folder import make_labeled_folder, read_rows, write_rows
from support.odd_videos import film

from rt_pose.errors import UserError
from rt_pose.package import InputSpec
from train.config import AugmentConfig, LossConfig, TrainConfig
from train.data.batches import TrainingBatches
from train.data.labels import LabeledFrames, read_labels
from train.fitting.several import with_offsets

FRAMES = 3
NAN = [np.nan, np.nan]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_labeled_folder(tmp_path / "drawn", frames=FRAMES)


def _several(rows: list[list[str]]) -> list[list[str]]:
    """Two animals of two keypoints, the second without its tail in the first frame, and a corner."""
    pairs = [
        ("mouse1", "nose"),
        ("mouse1", "tail"),
        ("mouse2", "nose"),
        ("mouse2", "tail"),
        ("single", "corner"),
    ]
    head = [
        ["scorer", *["Ann"] * 10],
        ["individuals", *[animal for animal, _ in pairs for _ in "xy"]],
        ["bodyparts", *[part for _, part in pairs for _ in "xy"]],
        ["coords", *["x", "y"] * 5],
    ]
    body = [[row[0], *(f"{10 + 7 * c + i}" for c in range(10))] for i, row in enumerate(rows[3:])]
    body[0][7:9] = ["", ""]
    return head + body


def _read(folder: Path, file: str = "") -> LabeledFrames:
    return read_labels(folder, file, several=True)


def test_the_individuals_of_a_table_are_animals(folder: Path) -> None:
    rows = _several(read_rows(folder))
    write_rows(folder, rows)
    frames = _read(folder)
    assert (frames.keypoints, frames.animals, frames.individuals) == (
        ["nose", "tail"],
        ["mouse1", "mouse2"],
        2,
    )
    assert frames.xy.shape == (FRAMES, 2, 2, 2)
    np.testing.assert_array_equal(frames.xy[0], [[[10, 17], [24, 31]], [[38, 45], NAN]])
    assert frames.visible[0].tolist() == [[2, 2], [2, 0]]
    assert frames.labeled.all()
    assert "unique body parts belong to no animal and are left out: corner" in frames.notes
    with pytest.raises(UserError, match=r"3 of 3 frames hold more than one animal \(the first is row 5\)"):
        read_labels(folder, "")
    only = read_labels(folder, "", expected=["tail"], several=True)
    assert (only.keypoints, only.xy.shape) == (["tail"], (FRAMES, 2, 1, 2))
    three = [[r[0], "", "", *r[1:]] for r in rows[:4]] + [
        ["labeled-data", "", Path(r[0]).name, *r[1:]] for r in rows[4:]
    ]
    write_rows(folder, three)
    np.testing.assert_array_equal(_read(folder).xy, frames.xy)


def test_a_projects_tables_of_several_animals_are_gathered(folder: Path, tmp_path: Path) -> None:
    rows = _several(read_rows(folder))
    place = folder / "labeled-data"
    project = tmp_path / "project"
    for video, of in (("monday", rows[4:6]), ("tuesday", rows[6:])):
        home = project / "labeled-data" / video
        home.mkdir(parents=True)
        for row in of:
            (home / Path(row[0]).name).write_bytes((place / Path(row[0]).name).read_bytes())
        body = [[f"labeled-data/{video}/{Path(row[0]).name}", *row[1:]] for row in of]
        write_rows(home, rows[:4] + body)
        (home / "CollectedData.csv").rename(home / "CollectedData_Ann.csv")
    names = "multianimalproject: true\nindividuals: [mouse1, mouse2]\nuniquebodyparts: [corner]\n"
    parts = "bodyparts: MULTI!\nmultianimalbodyparts: [tail, nose]\nskeleton: [[nose, tail]]\n"
    (project / "config.yaml").write_text(f"scorer: Ann\n{names}{parts}")
    frames = _read(project)
    assert (frames.keypoints, frames.skeleton) == (["tail", "nose"], [["nose", "tail"]])
    np.testing.assert_array_equal(frames.xy[0], [[[24, 31], [10, 17]], [NAN, [38, 45]]])
    # The same as DeepLabCut's HDF.
    table = project / "labeled-data/monday/CollectedData_Ann.csv"
    frame: Any = pd.read_csv(table, header=[0, 1, 2, 3], index_col=0)
    frame.to_hdf(table.with_suffix(".h5"), key="df_with_missing", mode="w", format="fixed")
    table.unlink()
    np.testing.assert_array_equal(_read(project).xy, frames.xy)


def test_frames_of_one_animal_each_are_labels_of_one(folder: Path) -> None:
    rows = _several(read_rows(folder))
    for row, other in zip(rows[4:], (slice(1, 5), slice(5, 9), slice(1, 5)), strict=True):
        row[other] = [""] * 4
    rows[4][5:9] = ["38", "45", "52", "59"]
    write_rows(folder, rows)
    frames = read_labels(folder, "")
    assert not frames.several
    assert frames.xy[:, 0].tolist() == [[38, 45], [11, 18], [40, 47]]


def test_what_cannot_be_meant_is_told_with_its_place(folder: Path) -> None:
    rows = _several(read_rows(folder))
    rows[5][5:9] = rows[5][1:5]
    rows[6][6] = "far"
    write_rows(folder, rows)
    with pytest.raises(UserError) as caught:
        _read(folder)
    assert "row 6 (labeled-data/img001.png): animals 'mouse1' and 'mouse2' have the same labels" in str(
        caught.value
    )
    assert "row 7 (labeled-data/img002.png), mouse2 nose: y is 'far', not a number" in str(caught.value)
    rows[1][3] = ""
    write_rows(folder, rows)
    with pytest.raises(UserError, match=r"column 4 of row 2 \(individuals\) is blank; expected the name"):
        _read(folder)


def _slp(path: Path, frames: list[list[tuple[str, list[list[float]]]]]) -> None:
    """A SLEAP file of frames of animals, each with its track ('' for none) and points."""
    import sleap_io

    skeleton = sleap_io.Skeleton(["nose", "tail"])
    tracks = {name: sleap_io.Track(name) for frame in frames for name, _ in frame if name}
    recording = film(
        path.with_suffix(".mp4"), [np.full((80, 96), 100 + i, np.uint8) for i in range(len(frames))]
    )
    video = sleap_io.Video(str(recording))
    labeled = []
    for index, animals in enumerate(frames):
        found = [
            sleap_io.Instance.from_numpy(np.array(points, float), skeleton=skeleton, track=tracks.get(name))
            for name, points in animals
        ]
        labeled.append(sleap_io.LabeledFrame(video=video, frame_idx=index, instances=found))
    sleap_io.save_slp(sleap_io.Labels(labeled), str(path), verbose=False)


def test_instances_are_animals_and_tracks_their_rows(tmp_path: Path) -> None:
    a, b = [[10.0, 10], [20, 20]], [[50.0, 40], NAN]
    _slp(tmp_path / "clip.slp", [[("ann", a), ("bob", b)], [("bob", b), ("ann", a)], [("bob", a)]])
    frames = _read(tmp_path, "clip.slp")
    assert (frames.animals, frames.individuals) == (["ann", "bob"], 2)
    np.testing.assert_array_equal(frames.xy, [[a, b], [a, b], [[NAN, NAN], a]])
    with pytest.raises(UserError, match=r"2 of 3 frames hold more than one animal \(the first is frame 0"):
        read_labels(tmp_path, "clip.slp")
    _slp(tmp_path / "clip.slp", [[("", a), ("", b)], [("", b), ("", a)], [("", b)]])
    frames = _read(tmp_path, "clip.slp")
    assert frames.animals == []
    np.testing.assert_array_equal(frames.xy[:2], [[a, b], [b, a]])
    assert frames.subset(np.array([2])).individuals == 1


def test_a_real_file_of_two_flies_is_read(data_dir: Path) -> None:
    from train.data.sources import open_source

    table = open_source(data_dir / "sleap-samples", "clip.slp").table
    assert table.xy.shape == (1500, 2, 13, 2)
    assert np.isfinite(table.xy).all(axis=-1).any(axis=-1).sum() == 3000
    assert len(table.animals) == 2


def test_augmentation_keeps_all_animals(folder: Path) -> None:
    rows = _several(read_rows(folder))
    write_rows(folder, rows)
    frames = _read(folder)
    off = AugmentConfig(**dict.fromkeys(vars(AugmentConfig()), 0.0))
    spec = InputSpec(240, 180, 1, [0.0], [1.0])
    batch = next(iter(TrainingBatches(frames, spec, off, 2, 1, seed=0)))
    assert batch.keypoints.shape == (2, 2, 2, 2)
    shown = {tuple(np.nan_to_num(own.ravel(), nan=-1).round(2)) for own in batch.keypoints.numpy()}
    plain = {tuple(np.nan_to_num(((xy + 0.5) * 2 - 0.5).ravel(), nan=-1).round(2)) for xy in frames.xy}
    assert shown <= plain


def test_a_training_on_several_animals_gets_its_loss_and_refuses_what_it_cannot_use(folder: Path) -> None:
    write_rows(folder, _several(read_rows(folder)))
    frames = _read(folder)
    config = with_offsets(TrainConfig(), frames)
    assert list(config.losses) == ["heatmap_kl", "centre_offsets"]
    assert with_offsets(config, frames) is config
    both = with_offsets(TrainConfig(losses={"heatmap_kl": LossConfig(), "temporal": LossConfig()}), frames)
    assert list(both.losses) == ["heatmap_kl", "temporal", "centre_offsets"]
    for more in ({}, {"temporal": LossConfig()}):
        with pytest.raises(UserError, match="nothing where it is; add heatmap_kl"):
            with_offsets(TrainConfig(losses={"centre_offsets": LossConfig(), **more}), frames)
    frames.xy, frames.visible = frames.xy[:, 0], frames.visible[:, 0]
    with pytest.raises(UserError, match="no frame of these labels holds more than one"):
        with_offsets(config, frames)
    assert with_offsets(TrainConfig(), frames) == TrainConfig()
