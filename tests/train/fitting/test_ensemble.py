"""An ensemble's trainings: one a seed, done once, on one split, whatever happens to the others."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.labeled_folder import make_labeled_folder, read_rows, write_rows
from support.log_lines import log_into

from rt_pose.errors import UserError
from rt_pose.package import read_package
from train.config import AugmentConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.fitting.ensemble import EnsembleOutcome, conclude, fit_seeds, read_seeds
from train.fitting.ensemble_member import member_of

CONFIG = TrainConfig(
    skeleton=[["large", "small"]],
    network=NetworkConfig(backbone="tiny", width=64, height=64, head_width=8),
    optimiser=OptimiserConfig(
        learning_rate=1e-2, backbone_factor=1.0, freeze_backbone_steps=0, warmup_steps=3
    ),
    augment=AugmentConfig(rotate_deg=10, shift=0.05, noise=3),
    steps=40,
    validate_every=10,
    threads=1,
)


pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("warm_programs")]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Of a folder of drawn discs."""
    return replace(
        CONFIG, data=str(make_labeled_folder(tmp_path_factory.mktemp("seeds") / "discs", frames=24))
    )


@dataclass
class Trained:
    """An ensemble that was interrupted once."""

    first: EnsembleOutcome
    said_first: list[str]
    outcome: EnsembleOutcome
    said: list[str]


@pytest.fixture(scope="module")
def trained(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    config = replace(config, out=str(tmp_path_factory.mktemp("ensemble")))
    first_message: list[str] = []
    messages: list[str] = []

    def interrupt(line: str) -> None:
        first_message.append(line)
        if line.startswith("seed-3: step 10:"):
            signal.raise_signal(signal.SIGINT)

    first = log_into(interrupt, fit_seeds, config, [3, 1], 1)
    return Trained(first, first_message, log_into(messages, fit_seeds, config, [3, 1], 1), messages)


def _weights(folder: Path) -> torch.Tensor:
    checkpoint: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint["state_dict"]["network.head.heatmaps.weight"]


def test_each_seed_is_a_network_and_all_keep_back_the_same_frames(trained: Trained) -> None:
    outcome = trained.outcome
    assert outcome.whole
    assert outcome.packages == [outcome.out / "seed-1" / "package", outcome.out / "seed-3" / "package"]
    first, second = (read_package(path).manifest.training for path in outcome.packages)
    assert (first["configuration"]["seed"], second["configuration"]["seed"]) == (1, 3)
    assert first["kept_back"] == second["kept_back"]
    assert len(first["kept_back"]) == 4
    assert not torch.equal(_weights(outcome.out / "seed-1"), _weights(outcome.out / "seed-3"))
    assert "remain: seed-1" in trained.said


def test_the_split_is_that_of_a_single_training_of_the_configuration(
    config: TrainConfig, trained: Trained
) -> None:
    """So the seeds of an ensemble say nothing about its split."""
    from train.fitting.inputs import prepare

    single = prepare(config, None).validation.names
    assert read_package(trained.outcome.packages[0]).manifest.training["kept_back"] == single
    assert prepare(replace(config, seed=3), None).validation.names != single
    assert prepare(replace(config, seed=3, split_seed=0), None).validation.names == single


def test_what_is_done_is_not_done_again(config: TrainConfig, trained: Trained) -> None:
    outcome = trained.outcome
    before = {path: path.stat().st_mtime_ns for path in outcome.out.rglob("*") if path.is_file()}
    messages: list[str] = []
    again = log_into(messages, fit_seeds, replace(config, out=str(outcome.out)), [1, 3], 1)
    assert messages == ["2 members, 2 of them done before"]
    assert again.packages == outcome.packages
    assert {path: path.stat().st_mtime_ns for path in outcome.out.rglob("*") if path.is_file()} == before


def test_other_settings_labels_or_a_damaged_package_are_done_again(
    config: TrainConfig, trained: Trained, tmp_path: Path
) -> None:
    from train.fitting.ensemble_member import state
    from train.fitting.inputs import prepare

    shutil.copytree(trained.outcome.out / "seed-1", tmp_path / "seed-1")
    member = member_of(tmp_path, 1)
    job = prepare(config, None)
    assert state(member, job) == ("done", [])
    known, differs = state(member, prepare(replace(config, batch_size=4), None))
    assert (known, differs) == ("stale", ["batch_size: it was trained with 8, the configuration says 4"])
    other = shutil.copytree(config.data, tmp_path / "other")
    rows = read_rows(other)
    rows[3][1] = "20.0"
    write_rows(other, rows)
    known, differs = state(member, prepare(config, other))
    assert (known, differs) == ("stale", ["the labels, images or split have changed since"])
    (member.folder / "package" / "network.onnx").write_bytes(b"cut off")
    assert state(member, job) == ("open", [])


def test_an_interrupted_ensemble_says_what_remains_and_goes_on(trained: Trained) -> None:
    assert [member.name for member in trained.first.remaining] == ["seed-3", "seed-1"]
    assert not [line for line in trained.said_first if line.startswith("seed-1")], "it did not begin"
    notes: list[str] = []
    assert not log_into(notes, conclude, trained.first)
    assert notes[0] == "0 trained, 0 done before, 0 failed, 2 remain"
    assert notes[-2:] == ["remain: seed-3, seed-1", "the same command once more resumes these"]
    assert any(line.startswith("seed-3: resuming from step 10") for line in trained.said)
    assert log_into(notes, conclude, trained.outcome)


def test_one_that_fails_does_not_lose_the_others(
    config: TrainConfig, trained: Trained, tmp_path: Path
) -> None:
    shutil.copytree(trained.outcome.out / "seed-1", tmp_path / "seed-1")
    (tmp_path / "seed-0").write_text("in the way")
    messages: list[str] = []
    outcome = log_into(messages, fit_seeds, replace(config, out=str(tmp_path)), [0, 1], 1)
    assert [(member.name, len(outcome.done_before)) for member, _ in outcome.failed] == [("seed-0", 1)]
    assert not log_into(messages, conclude, outcome)
    assert any(line.startswith("failed: seed-0: ") for line in messages)


def test_side_by_side_gives_the_same_and_a_killed_process_is_only_its_own_failure(
    config: TrainConfig, trained: Trained, tmp_path: Path
) -> None:
    """And the same as when it was interrupted: to the bit."""
    killed = threading.Event()

    def kill(line: str) -> None:
        if line.startswith("seed-2: step 10:") and not killed.is_set():
            killed.set()
            _kill_child("rt-pose-seed-2")

    outcome = log_into(kill, fit_seeds, replace(config, out=str(tmp_path)), [3, 2], 2)
    assert [member.name for member in outcome.trained] == ["seed-3"]
    assert [member.name for member, _ in outcome.failed] == ["seed-2"]
    assert "died with exit code -9" in outcome.failed[0][1]
    assert torch.equal(_weights(tmp_path / "seed-3"), _weights(trained.outcome.out / "seed-3"))


def _kill_child(name: str) -> None:
    import multiprocessing

    for child in multiprocessing.active_children():
        if child.name == name and child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("", "empty; give two or more"),
        ("0,1,x", "expected integers of 0 or more with commas between, got 'x'"),
        ("0,1.5", "got '1.5'"),
        ("0,,1", "got ''"),
        ("0,-1", "got '-1'"),
        ("2,0,2", "2 more than once"),
        ("4", "one network is no ensemble; give two seeds or more, or `--seed 4`"),
    ],
)
def test_seeds_that_make_no_ensemble_are_refused(text: str, notes: str) -> None:
    with pytest.raises(UserError, match=notes):
        read_seeds(text)
    assert read_seeds(" 0, 7 ,2") == [0, 7, 2]


def test_what_is_wrong_is_told_once_before_the_first(config: TrainConfig, tmp_path: Path) -> None:
    out = replace(config, out=str(tmp_path / "out"))
    with pytest.raises(UserError, match="skeleton: no keypoint 'larg'"):
        fit_seeds(replace(out, skeleton=[["larg", "small"]]), [0, 1], 1)
    with pytest.raises(UserError, match="--jobs 0: expected at least 1"):
        fit_seeds(out, [0, 1], 0)
    with pytest.raises(UserError, match="devices: 2: with --seeds each network trains on one GPU"):
        fit_seeds(replace(out, device="gpu", devices=2), [0, 1], 1)
    assert not (tmp_path / "out").exists()
