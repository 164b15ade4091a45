"""The comparison of training steps: a real step in a worker, its arithmetic, its table, its command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support.labeled_folder import make_labeled_folder

from bench.training import contention
from bench.training.cases import CASES, POSE, Case, configuration, peer_configuration
from bench.training.program import main, table, times_faster
from bench.training.worker import Worker
from train import PASSIVE_THREADS
from train.losses import LOSSES

KEYPOINTS = [*POSE, "tailBase_top", "tailMid_top", "obs_top"]


def test_a_worker_steps_a_real_training_and_tells_time_and_memory(tmp_path: Path) -> None:
    folder = make_labeled_folder(tmp_path / "discs", frames=8)
    worker = Worker(Case("", "tiny", "auto", 4, 0, ("heatmap_kl",), None), folder)
    before = [p.detach().clone() for p in worker.network.parameters()]
    found = worker.obey({"do": "steps", "n": 2})
    assert len(found["s"]) == 2
    assert min(found["s"]) > 0
    assert found["peak_bytes"] > 2**20
    moved = [not p.equal(q) for p, q in zip(worker.network.parameters(), before, strict=True)]
    assert all(moved), "backbone and head learn from the first step"
    assert len(worker.obey({"do": "labeled", "n": 3})["s"]) == 3
    assert worker.hello()["gflop_a_frame"] > 0.01


def test_both_programs_are_told_the_same_work() -> None:
    case = CASES["resnet18-semi"]
    ours, theirs = configuration(case), peer_configuration(case, "folder", 256, KEYPOINTS)
    assert theirs["training"]["train_batch_size"] == ours.batch_size == 16
    assert theirs["dali"]["base"]["train"]["sequence_length"] == ours.clip_length == 16
    assert theirs["data"]["image_resize_dims"] == {"width": ours.network.width, "height": ours.network.height}
    top, bottom = theirs["data"]["mirrored_column_matches"]
    assert [[KEYPOINTS[i], KEYPOINTS[j]] for i, j in zip(top, bottom, strict=True)] == ours.views
    assert [KEYPOINTS[i] for i in theirs["data"]["columns_for_singleview_pca"]] == POSE
    assert ours.losses["pose_pca"].keypoints == POSE
    assert len(theirs["model"]["losses_to_use"]) + 1 == len(ours.losses)


def test_every_loss_of_a_case_has_its_whole_weight_at_once() -> None:
    for case in CASES.values():
        for name, loss in configuration(case).losses.items():
            assert name in LOSSES
            assert name.startswith("heatmap_") or (loss.start, loss.ramp) == (0.0, 0.0)


def test_times_faster_is_of_medians_with_the_range_of_rounds() -> None:
    found = times_faster([1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 4.0, 4.0], 2)
    assert found == {"median": 3.5 / 1.5, "low": 2.0, "high": 3.0, "n": 2}


def _program(name: str, median: float, clips: float | None) -> dict[str, Any]:
    step = {"n": 16, "median": median, "p90": median}
    return {
        "program": name,
        "step_s": step,
        "peak_bytes": 2**31,
        "gflop_a_frame": 4.75,
        "labeled_frames_per_s": 81.4,
        "clip_frames_per_s": clips,
    }


def test_the_table_names_the_ratio_once_and_the_loaders() -> None:
    case = {
        "title": "ResNet",
        "batch": 16,
        "clip": 16,
        "programs": [_program("rt-pose", 2.0, 123.4), _program("Peer", 5.0, None)],
        "times_faster": {"median": 2.5, "low": 2.25, "high": 2.75, "n": 4},
    }
    figures = {
        "machine": {"cpu": "C", "cores_usable": 2, "features": []},
        "threads": 2,
        "rounds": {"n": 4, "others_share": [0.01, 0.02]},
        "cases": [case],
        "different": "Heads.",
    }
    text = table(figures)
    assert text.count("2.50 (2.25 to 2.75)") == 1
    assert "16 + 16" in text
    assert "2.00" in text
    assert "123" in text
    assert text.endswith("Heads.")


def test_what_cannot_be_measured_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--data", str(tmp_path), "--rounds", "0"])
    assert main() == 2
    assert "expected 1 or more" in capsys.readouterr().err


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("warm_programs")
def test_trainings_side_by_side(mirror_mouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two real trainings, a step each; how long that took is not judged here."""
    monkeypatch.setattr(contention, "WARM_UP", 0)
    options = contention.Options(data=mirror_mouse, rounds=1, steps=1, threads=1)
    figures = contention.measure(options, {"passive": PASSIVE_THREADS})
    found = figures["policies"]["passive"]
    (once,) = found["rounds"]
    assert min(once.values()) > 0
    assert found["wall_ratio"] == once["beside_s"] / once["apart_s"]
    assert f"{found['cpu_ratio']:.2f}" in contention.table(figures)
