"""The last training, on every label: nothing is kept back, and no error is told, as nobody knows it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.labeled_folder import make_discs_video, make_labeled_folder, read_rows
from support.log_lines import log_into

from bench.openfield.program import validate
from bench.precision import measure_package
from rt_pose.errors import UserError
from rt_pose.package import Package, read_package, write_manifest
from train.calibrate import calibrate
from train.calibrate_config import CalibrateConfig
from train.config import NetworkConfig, OptimiserConfig, TrainConfig
from train.data.labels import read_labels
from train.data.split import split_again
from train.evaluation.config import EvaluateConfig
from train.evaluation.evaluate import evaluate
from train.evaluation.labeled import TRAIN, VALIDATION, sets_of
from train.fitting.fit import fit
from train.fitting.inputs import prepare

FRAMES = 20
CONFIG = TrainConfig(
    network=NetworkConfig(backbone="tiny", width=96, height=64, head_width=16),
    optimiser=OptimiserConfig(
        learning_rate=1e-2, backbone_factor=1.0, freeze_backbone_steps=0, warmup_steps=10
    ),
    steps=60,
    validate_every=30,
    validation_fraction=0.0,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels whose split.csv would keep a half of them back."""
    folder = make_labeled_folder(tmp_path_factory.mktemp("every") / "discs", frames=FRAMES)
    with (folder / "split.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "split"])
        for i in range(FRAMES):
            writer.writerow([f"labeled-data/img{i:03d}.png", "val" if i % 2 else "train"])
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Package, list[str]]:
    messages: list[str] = []
    path = log_into(messages, fit, CONFIG, folder, tmp_path_factory.mktemp("trained"))
    return read_package(path), messages


@pytest.fixture
def package(trained: tuple[Package, list[str]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained[0].path, tmp_path / "package"))


def test_no_error_is_claimed(trained: tuple[Package, list[str]]) -> None:
    package, messages = trained
    training = package.manifest.training
    assert (training["frames_train"], training["frames_validation"]) == (FRAMES, 0)
    assert training["kept_back"] == []
    assert training["trained_on"] == [f"labeled-data/img{i:03d}.png" for i in range(FRAMES)]
    assert "errors" not in training
    for report in package.manifest.precisions.values():
        assert report.validation_error_px is None
        assert report.validation_median_px is None
        assert report.displacement_n > 0
    assert not any("validation error" in line for line in messages), messages
    assert any("none is kept back: no error will be known" in line for line in messages)
    assert sum("training error median" in line for line in messages) == 2


def test_the_last_step_is_exported(trained: tuple[Package, list[str]]) -> None:
    package, _ = trained
    assert package.manifest.training["step"] == CONFIG.steps
    best = torch.load(package.path.parent / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["global_step"] == CONFIG.steps


def test_what_is_seen_is_not_called_validation(trained: tuple[Package, list[str]]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (version,) = (trained[0].path.parent / "tensorboard").iterdir()
    events = EventAccumulator(str(version))
    events.Reload()
    tags = events.Tags()["scalars"]
    assert "seen/median_px" in tags
    assert not any(tag.startswith("val/") for tag in tags)
    images = events.Tags()["images"]
    assert images
    assert all(tag.startswith("seen/labeled-data/") for tag in images)


def test_patience_has_nothing_to_go_by(folder: Path) -> None:
    with pytest.raises(UserError, match="patience: with `validation_fraction: 0` no frame is kept back"):
        prepare(replace(CONFIG, patience=3), folder)


def test_the_split_is_told_again_by_the_package(trained: tuple[Package, list[str]], folder: Path) -> None:
    names = [f"labeled-data/img{i:03d}.png" for i in range(FRAMES)]
    split = split_again(trained[0].manifest.training, folder, names)
    assert len(split.train) == FRAMES
    assert not len(split.validation)


def test_an_evaluation_calls_all_of_them_trained(package: Path, folder: Path, tmp_path: Path) -> None:
    config = EvaluateConfig(model=str(package), data=str(folder), out=str(tmp_path / "out"), jitter_frames=2)
    page = evaluate(config)
    figures = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert list(figures["labels"]) == ["train"]


def test_a_bias_comes_from_elsewhere(
    package: Path, trained: tuple[Package, list[str]], folder: Path, tmp_path: Path
) -> None:
    config = CalibrateConfig(
        model=str(package), video=[str(make_discs_video(tmp_path / "discs.avi", frames=120))]
    )
    with pytest.raises(UserError, match="trained on every one of these frames"):
        calibrate(replace(config, labels=str(folder / "CollectedData.csv")))
    earlier = Path(shutil.copytree(package, tmp_path / "earlier"))
    with pytest.raises(UserError, match="its bias was never calibrated"):
        calibrate(replace(config, bias_from=str(earlier)))
    manifest = read_package(earlier).manifest
    bias = np.tile(np.diag([4.0, 1.0]), (3, 1, 1)).tolist()
    tracking = replace(manifest.tracking, bias_px2=bias)
    notes = {"calibration": {"labels": "9 labels of CollectedData.csv"}}
    write_manifest(earlier, replace(manifest, tracking=tracking, training=manifest.training | notes))
    with pytest.raises(UserError, match="takes the place of labels"):
        calibrate(replace(config, bias_from=str(earlier), labels="some.csv"))
    after = calibrate(replace(config, bias_from=str(earlier))).manifest
    assert after.tracking.bias_px2 == bias
    assert after.training["calibration"]["labels"].startswith("9 labels of CollectedData.csv, by package ")


def test_a_renamed_folder_is_known_by_its_frames(package: Path, folder: Path, tmp_path: Path) -> None:
    """Its split.csv says that a half of them were kept back."""
    renamed = Path(shutil.copytree(folder, tmp_path / "renamed"))
    manifest = read_package(package).manifest
    frames = read_labels(renamed, "CollectedData.csv", "gray", manifest.keypoints)
    assert set(sets_of(frames, renamed, manifest).names) == {TRAIN}
    some = frames.subset(np.arange(FRAMES // 2))
    assert set(sets_of(some, renamed, manifest).names) == {TRAIN, VALIDATION}, "as split.csv says"


def test_frames_labeled_since_calibrate_the_bias(package: Path, folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(folder, tmp_path / "again" / folder.name))
    rows = read_rows(data)[: 3 + 4]
    for row in rows[3:]:
        image = data / row[0]
        row[0] = f"labeled-data/since-{image.name}"
        image.rename(data / row[0])
    with (data / "since.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    config = CalibrateConfig(
        model=str(package),
        video=[str(make_discs_video(tmp_path / "discs.avi", frames=120))],
        labels=str(data / "since.csv"),
    )
    notes = calibrate(config).manifest.training["calibration"]["labels"]
    assert "4 of 4 frames; split not at all: every frame trains" in notes
    assert "labeled since, and never trained on: 4" in notes


def test_a_benchmark_of_errors_finds_no_frame_to_measure(package: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="it was trained on every labeled frame"):
        validate(read_package(package), folder)
    with pytest.raises(UserError, match="it was trained on every labeled frame"):
        measure_package(read_package(package), folder, Path("never-read.avi"), 1, 1, 0)
