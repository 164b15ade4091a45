"""A training that version 0.1 left half done: gone on with, begun from, quantised, and made a teacher."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support.old_version import V0_1, unpack

from rt_pose.cli.main import main

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the training was begun, with its configurations; it is the present one."""
    unpack("training.tar.xz", tmp_path)
    for configuration in ("train.yaml", "train_context.yaml", "distill.yaml"):
        shutil.copy(V0_1 / "configurations" / configuration, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoint(training: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(training / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return found


def manifest(package: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((package / "manifest.json").read_bytes())
    return found


def best(found: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint remembers of the best one."""
    (state,) = (
        s for key, s in found["callbacks"].items() if key.startswith("ModelCheckpoint") and s["monitor"]
    )
    return dict(state)


def test_it_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = checkpoint(folder / "training", "last")
    assert before["global_step"] == 240
    assert main(["train", "fit", "train.yaml", "--resume", "true"]) == 0
    messages = capsys.readouterr().out
    assert re.findall(r"^step (\d+):", messages, re.MULTILINE) == ["250"], (
        "the steps before are not done again"
    )
    after = checkpoint(folder / "training", "last")
    assert after["global_step"] == 250
    assert best(after)["best_model_score"] <= best(before)["best_model_score"], "the folder has moved since"
    assert Path(best(after)["best_model_path"]).parent == folder.resolve() / "training" / "checkpoints"
    weights = [n for n in after["state_dict"] if n.startswith("network.backbone.") and n.endswith(".weight")]
    same = [torch.equal(before["state_dict"][n], after["state_dict"][n]) for n in weights]
    assert same
    assert not any(same), "the backbone is released at step 245"


@pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="nncf is not installed: extra [int8]")
def test_its_package_is_quantised(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = folder / "training" / "package"
    before = manifest(package)
    given = ["--model", str(package), "--data", "discs", "--precisions", '["int8"]']
    status = main(["train", "quantise", *given])
    refusal = capsys.readouterr().err
    if status == 2 and "this processor has no 'int8'" in refusal:
        assert manifest(package) == before
        pytest.skip("this processor has no 8-bit products: their cost cannot be measured here")
    assert status == 0, refusal
    after = manifest(package)
    # bf16 and mixed as well, where the processor has them.
    assert {*before["precisions"], "int8"} <= set(after["precisions"])
    assert after["files"].keys() > before["files"].keys()
    assert after["precisions"]["int8"]["displacement_median_px"] < 1.0


def test_it_teaches_a_network_that_begins_as_it(folder: Path) -> None:
    """Teachers are it and a network with context."""
    unpack("package_context.tar.xz", folder)
    assert main(["train", "distill", "distill.yaml", "--init_from", "training"]) == 0
    training = manifest(folder / "distilled" / "package")["training"]
    assert training["configuration"]["init_from"] == "training"
    assert training["errors"]["median_px"] < 5.0, "begun from nothing it would be 20 px off after six steps"
    assert training["pseudo_labels"]
    assert len((folder / "distilled" / "pseudo-labels.csv").read_text().splitlines()) > 3


@pytest.mark.parametrize("configuration", ["train.yaml", "train_context.yaml"])
def test_its_configuration_is_understood(folder: Path, configuration: str) -> None:
    """Every section of a training."""
    assert main(["train", "show-augmented", configuration, "--out", "sheet.png"]) == 0
    assert (folder / "sheet.png").stat().st_size > 10_000
