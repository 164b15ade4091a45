"""The accuracy grid, whole: tiny networks trained, measured, kept, gathered and written."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import threading
import xml.etree.ElementTree as ET
from contextlib import suppress
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from support.labeled_folder import make_discs_video, make_labeled_folder
from support.programs import real_popen

from bench.accuracy.cells import Cell, folds_of, halves, make_data, training_frames
from bench.accuracy.measure import read_measured
from bench.accuracy.program import main
from rt_pose.errors import UserError
from rt_pose.video import probe, read_frames

FRAMES, STEPS = 48, 30
pytestmark = [
    pytest.mark.timeout(900),  # four processes, on cores that may have much other work
    pytest.mark.usefixtures("warm_programs"),
]
CONFIG = {
    "network": {"backbone": "tiny", "head_width": 16},
    "optimiser": {
        "learning_rate": 0.01,
        "backbone_factor": 1.0,
        "freeze_backbone_steps": 0,
        "warmup_steps": 10,
    },
    "augment": {"rotate_deg": 0.0, "shift": 0.1, "noise": 3.0},
    "losses": {
        "heatmap_kl": {"weight": None},
        "temporal": {"weight": 0.3, "eps": 0.0, "start": 0.5, "ramp": 0.1},
    },
    "clip_length": 4,
    "labels": "CollectedData.csv",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_labeled_folder(tmp_path_factory.mktemp("grid") / "discs", frames=FRAMES)
    make_discs_video(made / "videos" / "discs.avi", frames=60)
    (made.parent / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def arguments(folder: Path) -> list[str]:
    place = folder.parent
    return [
        *("--data", str(folder), "--work", str(place / "work"), "--out", str(place / "out" / "accuracy")),
        *("--config", str(place / "config.yaml"), "--size", "64", "--steps", str(STEPS), "--jobs", "2"),
        *("--rows", "supervised,all", "--labels", "36", "--folds", "0", "--members", "0,1"),
        *("--jitter-frames", "5", "--steps-of", "large"),
    ]


@pytest.fixture(scope="module")
def result(folder: Path, arguments: list[str]) -> dict:
    assert main(arguments) == 0
    return dict(json.loads((folder.parent / "out" / "accuracy.json").read_bytes()))


def test_every_cell_is_judged_on_the_frames_of_its_fold(result: dict, folder: Path) -> None:
    held = {f"labeled-data/img{i:03d}.png" for i in folds_of(FRAMES)[1][0]}
    assert [cell["name"] for cell in result["cells"]] == ["all-36-f0-s0", "supervised-36-f0-s0"]
    for cell in result["cells"]:
        assert set(cell["held_out"]) == held
        assert np.shape(cell["errors_px"]) == (8, 3)
        assert cell["error"]["mean_px"] == pytest.approx(np.mean(cell["errors_px"]), abs=1e-3)
        assert cell["error"]["median_px"] < 8  # it has learned something


def test_the_rows_are_compared(result: dict) -> None:
    supervised, every = result["rows"]
    assert (supervised["row"], every["row"]) == ("supervised", "all")
    assert every["held_out_frames"] == 8
    difference = every["against_supervised"]["error_mean"]
    own, base = (row["figures"]["error_mean"]["value"] for row in (every, supervised))
    assert difference["value"] == pytest.approx(own - base)
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert difference["won"] + difference["lost"] <= 8
    assert every["figures"]["temporal_p99_9"]["n"] > 0
    assert every["against_supervised"]["temporal_median"]["value"] != 0  # its loss has done something


def test_what_is_done_is_not_done_again(result: dict, folder: Path, arguments: list[str]) -> None:
    cells = folder.parent / "work" / "cells"
    before = {path: path.stat().st_mtime_ns for path in cells.rglob("*") if path.is_file()}
    assert main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in cells.rglob("*") if path.is_file()} == before
    teachers = [cells / "all-36-f0-s0" / "checkpoints" / "best.ckpt"]
    assert list(cells.rglob("*.ckpt")) == teachers, "what a distilled network may begin as"


def test_a_table_of_other_settings_leaves_cells_out(
    result: dict, folder: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    record = folder.parent / "work" / "grid.json"
    kept = record.read_bytes()
    record.write_bytes(kept.replace(b'"learning_rate": 0.01', b'"learning_rate": 0.02'))
    try:
        assert main([*arguments, "--table"]) == 1
    finally:
        record.write_bytes(kept)
    messages = capsys.readouterr().err
    assert "left out, being of other settings: all-36-f0-s0, supervised-36-f0-s0" in messages
    assert "not one cell is done" in messages


def test_cells_of_other_settings_are_not_lost_to_a_slip(
    result: dict, folder: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    record = folder.parent / "work" / "grid.json"
    kept = record.read_bytes()
    assert main([*arguments, "--set", "clip_length=5"]) == 1
    assert "supervised-36-f0-s0 was done under other settings (training.clip_length: 4 -> 5)" in (
        capsys.readouterr().err
    )
    assert record.read_bytes() == kept


def test_what_is_written_can_be_read(result: dict, folder: Path) -> None:
    out = folder.parent / "out"
    rows = (out / "accuracy.md").read_text().splitlines()
    assert ["supervised", "36", "1", "1", "8"] in [[c.strip() for c in row.split("|")[1:6]] for row in rows]
    assert "Error on held-out labels" in (out / "accuracy.html").read_text()
    picture = ET.parse(out / "accuracy.svg").getroot()
    assert picture.tag.endswith("svg")
    assert str(folder.parent) not in (out / "accuracy.json").read_text()


def test_what_was_measured_is_kept_whole(result: dict, folder: Path) -> None:
    measured = read_measured(folder.parent / "work" / "cells" / "all-36-f0-s0" / "measured.npz")
    assert measured.xy.shape == (30, 3, 2)
    assert measured.noisy_xy.shape == measured.still_xy.shape == (5, 3, 2)
    assert np.all(measured.still_xy == measured.xy[measured.some])
    assert 0 < np.median(np.linalg.norm(measured.noisy_xy - measured.still_xy, axis=-1)) < 2


def test_a_training_that_fails_is_told_and_is_no_result(
    folder: Path,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The program is started as users have it started, with nothing imported beforehand."""
    monkeypatch.setattr(subprocess, "Popen", real_popen)
    bad = ["--work", str(tmp_path), "--rows", "supervised", "--set", "batchsize=4"]
    assert main([*arguments, *bad]) == 1
    messages = capsys.readouterr().err
    assert "supervised-36-f0-s0: failed" in messages
    assert "batch_size" in messages  # what the training itself said: the nearest key
    assert not list(tmp_path.rglob("result.json"))


def test_ctrl_c_ends_the_trainings_and_leaves_no_half_result(
    folder: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = threading.Event()

    def interrupt() -> None:
        while not list(tmp_path.rglob("train.log")) and not ended.wait(0.05):
            pass
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    # Tests may themselves run as a job of a shell's background, which ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watcher.start()
    try:
        assert main([*arguments, "--work", str(tmp_path)]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
        ended.set()
        watcher.join()
    assert "the same command resumes" in capsys.readouterr().err
    assert not list(tmp_path.rglob("result.json"))
    logs = []
    for output in Path("/proc").glob("[0-9]*/fd/1"):
        with suppress(OSError):  # of a process that has just ended
            logs.append(os.readlink(output))
    assert not [log for log in logs if log.startswith(str(tmp_path))], "still running"


def test_halves_are_the_recording(folder: Path, tmp_path: Path) -> None:
    video = folder / "videos" / "discs.avi"
    first, second = halves(video, tmp_path)
    whole = [frame.image for frame in read_frames(video, 1)]
    parts = [[frame.image for frame in read_frames(path, 1)] for path in (first, second)]
    assert [len(part) for part in parts] == [30, 30]
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts[0] + parts[1], strict=True))


def test_halves_of_the_real_recording(mirror_mouse: Path, tmp_path: Path) -> None:
    video = first_packets(mirror_mouse / "videos" / "test_vid.mp4", tmp_path / "beginning.mp4", 24)
    first, second = halves(video, tmp_path)
    whole = [frame.image for frame in read_frames(video, 1)]
    parts = [frame.image for path in (first, second) for frame in read_frames(path, 1)]
    assert len(parts) == 24
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))
    assert probe(second).rate_hz == probe(video).rate_hz == 250


def first_packets(video: Path, out: Path, frames: int) -> Path:
    """The beginning of a recording, as it is compressed there."""
    with av.open(str(video)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in islice(source.demux(video=0), frames):
            packet.stream = stream
            target.mux(packet)
    return out


def test_every_frame_is_held_out_once_and_few_labels_are_among_the_many() -> None:
    _, held = folds_of(72)
    assert sorted(np.concatenate(held)) == list(range(72))
    for fold in range(6):
        few, many = (training_frames(72, fold, n) for n in (15, 60))
        assert set(few) < set(many)
        assert not set(many) & set(held[fold])
        assert len(set(many)) == 60
    with pytest.raises(UserError, match="leaves 60 to train on"):
        training_frames(72, 0, 61)


def test_a_cell_trains_on_its_own_frames_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "unlabeled").mkdir()
    made = make_data(folder, "CollectedData.csv", tmp_path, Cell("all", 10, 2, 0))
    with (made / "split.csv").open() as file:
        split = {row["image"]: row["split"] for row in csv.DictReader(file)}
    train = {f"labeled-data/img{i:03d}.png" for i in training_frames(FRAMES, 2, 10)}
    assert {name for name, part in split.items() if part == "train"} == train
    assert sum(part == "val" for part in split.values()) == 8
    with (made / "CollectedData.csv").open() as file:
        assert {row[0] for row in list(csv.reader(file))[3:]} == set(split)
    assert (made / "labeled-data" / "img000.png").is_file()


@pytest.mark.parametrize(
    ("extra", "messages"),
    [
        (["--rows", "supervized"], "no such row.*supervised"),
        (["--labels", "41"], "leaves 40 to train on"),
        (["--folds", "6"], "there are 6, 0 to 5"),
        (["--rows", "pose_pca"], "no loss 'pose_pca'"),
        (["--set", "clip_length"], "expected KEY=VALUE"),
        (["--config", "nothing.yaml"], "no such file"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    arguments: list[str], extra: list[str], messages: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*arguments, "--work", str(tmp_path), *extra]) == 1
    assert re.search(messages, capsys.readouterr().err)
