"""Several animals a frame: from videos to a folder that training takes, and folders of other programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from support.labeled_folder import KEYPOINTS
from support.log_lines import log_into
from support.random_session import HEIGHT, WIDTH, DrawnAnimals, random_config, write_random_session
from support.several_package import TWO, make_animals_video, make_several_package
from support.tiny_package import make_tiny_package
from support.trained_discs import CONFIG

from rt_pose.cli.main import main
from rt_pose.clock import FakeClock, HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import CameraConfig
from rt_pose.errors import UserError
from rt_pose.inference.decode import Keypoints
from rt_pose.labeling.animal_points import AnimalPoints
from rt_pose.labeling.frame_labels import Mark
from rt_pose.labeling.label_record import read_record
from rt_pose.labeling.label_task import LabelTask
from rt_pose.labeling.prepare import LabelOptions, prepare
from rt_pose.labeling.propose import implausibility, uncertainty
from rt_pose.package import Subspace, read_package
from rt_pose.session.read import Session
from rt_pose.session.video_file import VideoWriter
from train.data.labels import read_labels
from train.evaluation.metric_files import write_labeled_predictions, write_metric
from train.fitting.fit import fit

CLOCK = FakeClock()
BONES = [["large", "small"]]
PLACES = np.stack([[[12.0, 20.0], [12, 25], [12, 30]], [[70.0, 20.0], [70, 25], [70, 30]]])
"""(2, 3, 2) px: of two animals in the first frame; in each one more a pixel further right."""


def options(out: Path, *videos: Path, **more: object) -> LabelOptions:
    given: dict[str, object] = {"frames": 4, "scorer": "anna"} | more
    return LabelOptions(out, list(videos), **given)  # type: ignore[arg-type]


def two(out: Path, video: Path, **more: object) -> LabelTask:
    given: dict[str, object] = {"keypoints": KEYPOINTS, "individuals": 2} | more
    return prepare(options(out, video, **given), CLOCK)


def label_all(labeling: LabelTask) -> None:
    for frame in range(len(labeling.editor.names)):
        for x, y in PLACES.reshape(-1, 2).tolist():
            labeling.editor.place(x + frame, y)
        labeling.editor.accept()


def check_others_read(project: Path) -> None:
    import sleap_io

    config = yaml.safe_load((project / "config.yaml").read_text())
    assert (config["multianimalproject"], config["identity"], config["bodyparts"]) == (True, False, "MULTI!")
    assert (config["individuals"], config["uniquebodyparts"]) == (["individual0", "individual1"], [])
    assert config["multianimalbodyparts"] == KEYPOINTS
    labels = sleap_io.load_file(str(project / "config.yaml"))
    nodes = labels.skeletons[0].node_names
    found = {animal.track.name: animal.numpy() for animal in labels[1].instances}
    for n, name in enumerate(["individual0", "individual1"]):
        places = [found[name][nodes.index(part)] for part in KEYPOINTS]
        np.testing.assert_array_equal(places, PLACES[n] + np.array([1, 0]))
    assert labels.skeletons[0].edge_names == [tuple(bone) for bone in BONES]


@pytest.mark.parametrize("layout", ["deeplabcut", "lightning-pose"])
def test_what_was_labeled_is_what_training_reads(layout: str, discs_video: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    labeling = two(out, discs_video, layout=layout, skeleton=BONES)
    again = prepare(options(out, discs_video), CLOCK)  # goes on, before anything was labeled too
    assert again.editor.points.animals == ["individual0", "individual1"]
    label_all(labeling)
    frames = read_labels(out, "", expected=KEYPOINTS, several=True)
    assert (frames.names, frames.animals) == (labeling.editor.names, ["individual0", "individual1"])
    np.testing.assert_array_equal(frames.xy[1], PLACES + np.array([1, 0]))
    if layout == "deeplabcut":
        check_others_read(out)
    more = prepare(options(out, discs_video, frames=6, individuals=2), CLOCK)
    assert (len(more.editor.names), len(more.editor.open_frames)) == (6, 2)
    more.editor.place(5.0, 6.0)
    more.editor.select_animal(1)
    more.editor.remove_animal()
    more.editor.go_to(more.editor.open_frames[1])
    more.editor.mark_absent()
    more.editor.place(5.0, 6.0)
    more.editor.mark_absent()
    more.editor.write()
    name, last = (more.editor.names[i] for i in more.editor.open_frames)
    note = read_record(out).frames[name]
    assert note.open == ["individual0.small", "individual0.dark"]
    assert note.absent == [f"individual1.{part}" for part in KEYPOINTS]
    lines: list[str] = []
    second = log_into(lines, prepare, options(out, scorer="tom"), CLOCK)
    left = f"{name}: individual0.small, individual0.dark; {last}: all of individual1"
    assert f"anna left 2 frames open, last at {note.at}: {left}" in "\n".join(lines)
    assert (second.editor.name, second.editor.cursor) == (name, 1)
    assert second.editor.labels.marks[3:].tolist() == [Mark.ABSENT] * 3
    assert read_labels(out, "", several=True).names == [*frames.names, name, last]


def test_a_labeled_folder_of_two_animals_is_trained_on(discs_video: Path, tmp_path: Path) -> None:
    label_all(two(tmp_path / "mine", discs_video, frames=6))
    out = fit(replace(CONFIG, steps=2, validate_every=1), tmp_path / "mine", tmp_path / "out")
    manifest = read_package(out).manifest
    assert (manifest.individuals, manifest.keypoints) == (2, KEYPOINTS)


def test_labels_of_one_animal_say_nothing_of_animals(discs_video: Path, tmp_path: Path) -> None:
    labeling = prepare(options(tmp_path / "f", discs_video, keypoints=KEYPOINTS, individuals=1), CLOCK)
    labeling.editor.place(5.0, 6.0)
    labeling.editor.write()
    for file in ("labeling.json", "config.yaml", "labeled-data/discs/CollectedData_anna.csv"):
        text = (tmp_path / "f" / file).read_text()
        assert "individual" not in text
        assert "animals" not in text
    assert yaml.safe_load((tmp_path / "f" / "config.yaml").read_text())["multianimalproject"] is False


HEADER = (
    "scorer,,,Ann,Ann,Ann,Ann,Ann,Ann,Ann,Ann,Ann,Ann\n"
    "individuals,,,m2,m2,m2,m2,m1,m1,m1,m1,single,single\n"
    "bodyparts,,,nose,nose,tail,tail,nose,nose,tail,tail,corner,corner\n"
    "coords,,,x,y,x,y,x,y,x,y,x,y\n"
)
ROWS = (
    "labeled-data,monday,img001.png,1.50,2e0,3,4,50,6,7.25,8,90,9\n"
    "labeled-data,monday,img002.png,,,5,6,,,,,90,9\n"
)
CONFIG_YAML = (
    "# ours\nscorer: Ann\nmultianimalproject: true\nindividuals: [m1, m2]\nuniquebodyparts: [corner]\n"
    "multianimalbodyparts: [nose, tail]\nbodyparts: MULTI!\nskeleton: [[nose, tail]]\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A multi-animal project of DeepLabCut: two labeled images, one that is not, a video without labels."""
    folder = tmp_path / "project"
    for video, count in (("monday", 3), ("tuesday", 1)):
        (folder / "labeled-data" / video).mkdir(parents=True)
        for i in range(count):
            image = np.full((60, 100), 100 + i, np.uint8)
            cv2.imwrite(str(folder / "labeled-data" / video / f"img{i + 1:03d}.png"), image)
    (folder / "labeled-data" / "monday" / "CollectedData_Ann.csv").write_text(HEADER + ROWS)
    (folder / "config.yaml").write_text(CONFIG_YAML)
    return folder


def test_a_project_of_another_program_keeps_all_that_was_not_changed(project: Path) -> None:
    table = project / "labeled-data" / "monday" / "CollectedData_Ann.csv"
    labeling = prepare(options(project, scorer="tom"), CLOCK)
    editor = labeling.editor
    assert table.read_text() == HEADER + ROWS
    assert editor.points.names == ["m1.nose", "m1.tail", "m2.nose", "m2.tail", "single.corner"]
    assert [editor.names[i][-17:] for i in editor.open_frames] == ["monday/img003.png", "uesday/img001.png"]
    np.testing.assert_array_equal(editor.labels_of(0).xy[:, 0], [50, 7.25, 1.5, 3, 90])
    editor.go_to(0)
    editor.move(0, 51.0, 6.5)
    editor.move(4, 91.0, 9.0)
    editor.go_to(2)
    for x in (1.0, 2.0, 3.0, 4.0, 5.0):
        editor.place(x, x)
    editor.go_to(3)
    editor.remove_animal()
    for x in (3.0, 4.0, 5.0):
        editor.place(x, x)
    editor.write()
    rows = ROWS.replace(",50,6,", ",51.0,6.5,").replace("8,90,9\n", "8,91.0,9.0\n")
    rows += "labeled-data,monday,img003.png,3.0,3.0,4.0,4.0,1.0,1.0,2.0,2.0,5.0,5.0\n"
    assert table.read_text() == HEADER + rows
    assert (project / "config.yaml").read_text() == CONFIG_YAML
    fresh = [
        line.split(",")
        for line in (project / "labeled-data/tuesday/CollectedData_Ann.csv").read_text().splitlines()
    ]
    assert fresh[1] == ["individuals", "", "", *["m1"] * 4, *["m2"] * 4, *["single"] * 2]
    assert fresh[4][3:] == [*[""] * 4, "3.0", "3.0", "4.0", "4.0", "5.0", "5.0"]
    frames = read_labels(project, "", several=True)
    assert (frames.animals, frames.xy.shape) == (["m2", "m1"], (4, 2, 2, 2))
    np.testing.assert_array_equal(frames.xy[2], [[[3, 3], [4, 4]], [[1, 1], [2, 2]]])
    np.testing.assert_array_equal(frames.xy[3], [[[3, 3], [4, 4]], [[np.nan] * 2] * 2])
    again = prepare(options(project), CLOCK)
    assert again.editor.open_frames == []
    np.testing.assert_array_equal(again.editor.labels_of(2).xy[:, 0], [1, 2, 3, 4, 5])


def test_a_table_that_names_one_animal_is_of_that_one(project: Path) -> None:
    table = project / "labeled-data" / "tuesday" / "CollectedData_Ann.csv"
    head = "scorer,,,Ann,Ann\nindividuals,,,m2,m2\nbodyparts,,,tail,tail\ncoords,,,x,y\n"
    table.write_text(head + "labeled-data,tuesday,img001.png,7,8\n")
    editor = prepare(options(project), CLOCK).editor
    np.testing.assert_array_equal(editor.labels_of(3).xy[3], [7, 8])
    editor.go_to(3)
    editor.move(3, 9.0, 8.0)
    editor.go_to(0)
    assert table.read_text() == head + "labeled-data,tuesday,img001.png,9.0,8.0\n"
    editor.go_to(3)
    editor.move(0, 1.0, 1.0)
    with pytest.raises(UserError, match=r"has no columns for 'm1\.nose'"):
        editor.write()
    table.with_suffix(".h5").unlink()
    table.write_text(head.replace("individuals,,,m2,m2\n", "") + "labeled-data,tuesday,img001.png,7,8\n")
    with pytest.raises(UserError, match=r"is of one animal without a name; this folder has m1, m2"):
        prepare(options(project), CLOCK)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--individuals", "0"], "expected a number of animals, 1 to 16"),
        (["--individuals", "mouse"], "expected a number of animals, 1 to 16, or the names of several"),
        (["--individuals", "a", "a"], "'a' is there twice"),
        (["--individuals", "a", "single"], "'single' has a meaning of its own"),
        (["--individuals", *"abcdefghijklmnopq"], "expected at most 16 animals, got 17"),
    ],
)
def test_mistakes_are_said(
    words: list[str], message: str, discs_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["label", str(discs_video), "--out", str(tmp_path / "out"), "--keypoints", "nose", "--pick-only"]
    assert main([*out, *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "labeled-data").exists()


def test_a_folder_keeps_its_animals(discs_video: Path, tmp_path: Path) -> None:
    out = ["label", str(discs_video), "--out", str(tmp_path / "f"), "--frames", "2", "--pick-only"]
    assert main([*out, "--keypoints", "nose", "--individuals", "a", "b"]) == 0
    assert read_record(tmp_path / "f").animals == ["a", "b"]
    for wanted in (["a", "c"], 3, 1):
        with pytest.raises(UserError, match=r"--individuals: .* has a, b; leave the option out"):
            prepare(options(tmp_path / "f", individuals=wanted), CLOCK)
    with pytest.raises(UserError, match=r"'a\.b\.c' may be read as two keypoints"):
        prepare(options(tmp_path / "g", discs_video, keypoints=["c", "b.c"], individuals=["a", "a.b"]), CLOCK)


def test_worst_frames_of_several_animals_come_first_and_are_mended(discs_video: Path, tmp_path: Path) -> None:
    label_all(two(tmp_path / "mine", discs_video))
    frames = read_labels(tmp_path / "mine", "", several=True)
    out = tmp_path / "evaluation"
    out.mkdir()
    predicted = frames.xy + 1.0
    predicted[2, 1, 0] += 40.0
    predicted[3, 0] = np.nan  # an animal that was not found
    apart = np.nan_to_num(np.linalg.norm(predicted - frames.xy, axis=-1), nan=10.0)
    found = Keypoints(predicted, np.zeros((*predicted.shape, 2)), np.ones(predicted.shape[:-1]))
    sets = ["validation"] * 4
    write_labeled_predictions(
        out / "predictions.csv", frames.names, frames.keypoints, found, sets, frames.animals
    )
    columns = [f"{animal}.{part}" for animal in frames.animals for part in frames.keypoints]
    write_metric(out / "predictions_pixel_error.csv", frames.names, columns, apart.reshape(4, -1), sets)
    labeling = prepare(options(tmp_path / "mine", review=str(out), worst=2), CLOCK)
    assert labeling.editor.names == [frames.names[2], frames.names[3]]
    point = labeling.worst_keypoint(frames.names[2])
    assert point == labeling.editor.points.names.index(f"individual1.{frames.keypoints[0]}")
    assert labeling.about(frames.names[2]).startswith(f"individual1.{frames.keypoints[0]}: 58.0 px between")
    shown = labeling.predicted(frames.names[2])
    assert shown is not None
    np.testing.assert_allclose(shown[point], predicted[2, 1, 0], atol=1e-4)
    missed = labeling.predicted(frames.names[3])
    assert missed is not None
    assert np.isnan(missed[:3]).all()
    labeling.editor.move(point, *shown[point].tolist())
    labeling.editor.write()
    after = read_labels(tmp_path / "mine", "", several=True)
    assert (after.xy != frames.xy).sum() == 2


def test_scores_count_the_animals_that_there_usually_are() -> None:
    xy = np.zeros((4, 3, 2, 2))
    xy[..., 1, 0] = 10.0
    confidence = np.full((4, 3, 2), 0.8)
    xy[:, 2] = np.nan  # there are two, as a rule
    xy[1, 1] = np.nan
    xy[2, 1, 1] = [10.0, 30.0]
    confidence[~np.isfinite(xy).all(axis=-1)] = np.nan
    found = Keypoints(xy, np.zeros((*xy.shape, 2)), confidence)
    np.testing.assert_allclose(uncertainty(found), [0.2, 0.6, 0.2, 0.2])
    both = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]) / np.sqrt(2)
    space = Subspace("pose", [0, 1], [0.0, 0.0, 10.0, 0.0], both.tolist(), [4.0, 4.0])
    np.testing.assert_allclose(implausibility(found, [space], 0.15), [0, 0, 7.5, 0], atol=1e-9)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_several_package(tmp_path_factory.mktemp("models") / "package").path


@pytest.fixture(scope="module")
def animals_video(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Two animals that walk to the right; in the last frames one of them is gone."""
    tracks = np.broadcast_to(TWO, (20, 2, 2, 2)) + np.arange(20)[:, None, None, None] * np.array([1.5, 0.0])
    tracks[15:, 1] = np.nan
    return make_animals_video(tmp_path_factory.mktemp("videos") / "two.avi", tracks), tracks


def test_places_of_a_model_of_several_are_a_start(
    package: Path, animals_video: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    video, tracks = animals_video
    task = prepare(options(tmp_path / "f", video, model=str(package), frames=6), HostClock())
    editor = task.editor
    assert editor.points == AnimalPoints(["k0", "k1"], ["individual0", "individual1"])
    assert any(task.about(name).startswith("uncertain") for name in editor.names)
    first: int | None = None
    for i, name in enumerate(editor.names):
        labels, truth = editor.labels_of(i), tracks[int(name[-12:-4])]
        seen = np.isfinite(truth[..., 0]).all(axis=1)
        assert (labels.marks == Mark.PROPOSED).sum() == 2 * seen.sum()
        found = labels.xy.reshape(2, 2, 2)
        if first is None:
            first = int(abs(found[0, 0, 0] - truth[0, 0, 0]) > 15)  # either may come first
        expected = truth[::-1] if first else truth
        np.testing.assert_allclose(found, expected, atol=1.5)  # and each keeps its name
    editor.exchange(1)
    editor.accept()
    assert editor.labels_of(0).done
    # A third animal, which the network was not trained on, is open.
    third = prepare(
        options(tmp_path / "g", video, model=str(package), frames=2, individuals=3), HostClock()
    ).editor
    assert third.labels_of(0).marks.tolist() == [*[Mark.PROPOSED] * 4, *[Mark.OPEN] * 2]
    one = prepare(
        options(tmp_path / "h", video, model=str(package), frames=2, individuals=1), HostClock()
    ).editor
    assert (one.points.names, one.labels_of(0).marks.tolist()) == (["k0", "k1"], [Mark.PROPOSED] * 2)


def test_a_model_of_one_proposes_nothing_for_several(discs_video: Path, tmp_path: Path) -> None:
    one = make_tiny_package(tmp_path / "one", keypoints=4).path
    given = options(tmp_path / "f", discs_video, model=str(one), individuals=["a", "b"])
    with pytest.raises(UserError, match=r"finds one animal, labeled are 2 \(a, b\); leave it out"):
        prepare(given, HostClock())


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short session of two animals, filmed."""
    path = tmp_path_factory.mktemp("sessions") / "pair"
    rule = RuleConfig("rule0", "inside(each.nose, left)", ActionConfig("laser", "5 ms"))
    config = replace(
        random_config(np.random.default_rng(4)),
        cameras={"top": CameraConfig("simulated")},
        individuals=["ann", "bob"],
        rules=[rule],
        protocol=[],
    )
    write_random_session(path, 4, 80, config, DrawnAnimals(4, 2), calm=True)
    film = VideoWriter(path, "top", HEIGHT, WIDTH, 1, 100.0)
    for i, seen in enumerate(Session.read(path).observations):
        film.write(np.full((HEIGHT, WIDTH, 1), 60 + i, np.uint8), seen.stamps)
    film.close()
    return path


def test_frames_of_a_session_of_two_come_with_what_its_slots_held(session: Path, tmp_path: Path) -> None:
    task = prepare(LabelOptions(tmp_path / "f", sessions=[session], frames=8, scorer="anna"), CLOCK)
    editor = task.editor
    assert (editor.points.animals, len(editor.names)) == (["ann", "bob"], 8)
    reasons = {task.about(name).split(":")[0] for name in editor.names}
    assert "unexpected" in reasons
    assert "uncertain" in reasons
    read = Session.read(session)
    observed = {seen.stamps.index: seen for seen in read.observations}
    tracks = {track.seq: track for track in read.tracks}
    proposed = 0
    for i, name in enumerate(editor.names):
        seen, labels = observed[int(name[-12:-4])], editor.labels_of(i)
        for slot, row in enumerate(tracks[seen.seq].detection):
            own = slice(3 * slot, 3 * slot + 3)
            if row < 0:
                assert labels.marks[own].tolist() == [Mark.OPEN] * 3
                continue
            found = np.isfinite(seen.xy.array()[row]).all(axis=-1)
            proposed += int(found.sum())
            np.testing.assert_allclose(labels.xy[own][found], seen.xy.array()[row][found], atol=0.006)
    assert proposed > 20
    # Under other names they go by their numbers; a folder of one animal is refused.
    given = LabelOptions(tmp_path / "g", sessions=[session], frames=3, scorer="a", individuals=3)
    assert prepare(given, CLOCK).editor.points.animals == ["individual0", "individual1", "individual2"]
    with pytest.raises(UserError, match="2 animals, labels are of 1: give the folder of these animals"):
        prepare(replace(given, out=tmp_path / "h", individuals=1), CLOCK)
