"""Fine-tuning: a training that begins as an earlier one's network, and what it refuses to begin as."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.labeled_folder import read_rows, write_rows
from support.log_lines import log_into
from support.trained_discs import CONFIG, labeled_discs, trained_discs

from rt_pose.errors import UserError
from rt_pose.package import read_package, write_manifest
from train.config import OptimiserConfig
from train.fitting.fit import fit
from train.fitting.inputs import prepare
from train.fitting.warm_start import name_of, seen_before

SHORT = replace(CONFIG, skeleton=[], steps=4, validate_every=4, optimiser=OptimiserConfig(learning_rate=1e-5))


@pytest.fixture(scope="module")
def folder() -> Path:
    return labeled_discs()


@pytest.fixture(scope="module")
def earlier() -> Path:
    return trained_discs()[0]


def error_px(messages: list[str]) -> float:
    """Median error of the last validation that was told."""
    found = [re.search(r"median ([\d.]+) px", line) for line in messages if line.startswith("step ")]
    last = [match for match in found if match][-1]
    return float(last[1])


def test_it_begins_where_the_earlier_training_ended_and_needs_it_no_more(
    folder: Path, earlier: Path, tmp_path: Path
) -> None:
    """The earlier training is deleted once this one runs."""
    copy, messages = Path(shutil.copytree(earlier, tmp_path / "copy")), list[str]()

    def take(line: str) -> None:
        messages.append(line)
        if line.startswith("step "):
            shutil.rmtree(copy, ignore_errors=True)

    log_into(take, fit, replace(SHORT, init_from=str(copy)), folder, tmp_path / "out")
    assert not copy.exists()
    assert f"warm start from {copy / 'checkpoints' / 'best.ckpt'}" in messages
    assert not any("trained on" in line for line in messages), "both keep back the same frames"
    assert error_px(messages) < 3.0, "four steps teach no network anything"
    training = read_package(tmp_path / "out" / "package").manifest.training
    assert training["configuration"]["init_from"] == copy.name, "no path of this machine"
    assert training["trained_on"]


def test_frames_that_it_has_seen_are_told(folder: Path, earlier: Path, tmp_path: Path) -> None:
    """And a checkpoint itself will do."""
    messages: list[str] = []
    checkpoint = earlier / "checkpoints" / "last.ckpt"
    config = replace(SHORT, init_from=str(checkpoint), split_seed=5)
    log_into(messages, fit, config, folder, tmp_path / "out")
    assert f"warm start from {checkpoint}" in messages
    (line,) = [line for line in messages if line.startswith("init_from: that network trained on")]
    assert "that are kept back here" in line
    before, after = (read_package(of / "package").manifest.training for of in (earlier, tmp_path / "out"))
    assert set(before["trained_on"]) < set(after["trained_on"]), "what the earlier network saw is in this one"
    assert set(after["kept_back"]) & set(after["trained_on"])


def test_an_older_package_may_have_seen_what_it_did_not_keep_back(earlier: Path, tmp_path: Path) -> None:
    older = Path(shutil.copytree(earlier, tmp_path / "older"))
    manifest = read_package(older / "package").manifest
    validation = [manifest.training["kept_back"][0], manifest.training["trained_on"][0], "since.png"]
    best = older / "checkpoints" / "best.ckpt"
    assert "that network trained on 1 of the 3 frames" in seen_before(best, validation)
    del manifest.training["trained_on"]
    write_manifest(older / "package", manifest)
    assert "that network may have trained on 2 of the 3 frames" in seen_before(best, validation)


def test_a_package_names_the_training_that_it_began_as(earlier: Path, tmp_path: Path) -> None:
    assert name_of(str(earlier)) == name_of(str(earlier / "checkpoints" / "last.ckpt")) == earlier.name
    assert name_of(str(tmp_path / "moved.ckpt")) == "moved.ckpt"
    assert name_of("") == ""


def test_without_its_package_nobody_knows_what_it_has_seen(
    folder: Path, earlier: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "moved.ckpt"
    shutil.copy(earlier / "checkpoints" / "best.ckpt", alone)
    messages: list[str] = []
    log_into(messages, prepare, replace(SHORT, init_from=str(alone)), folder)
    assert any("does not say which frames it kept back" in line for line in messages)
    messages.clear()
    log_into(messages, prepare, replace(SHORT, init_from=str(alone), validation_fraction=0.0), folder)
    assert f"warm start from {alone}" in messages
    assert not any("does not say" in line for line in messages), "nothing validates"


def test_another_network_is_refused_before_the_first_step(folder: Path, earlier: Path) -> None:
    wider = replace(SHORT, init_from=str(earlier), network=replace(CONFIG.network, head_width=24))
    with pytest.raises(UserError, match=r"head.*expected the shape(.|\n)*network.weights: .*best.ckpt"):
        fit(wider, folder, Path("never-made"))
    assert not Path("never-made").exists()


def test_other_keypoints_are_refused(folder: Path, earlier: Path, tmp_path: Path) -> None:
    other = tmp_path / "discs"
    shutil.copytree(folder, other)
    rows = read_rows(other)
    rows[1] = [name.replace("large", "huge") for name in rows[1]]
    write_rows(other, rows)
    with pytest.raises(UserError, match=r"its 3 keypoints are not the 3 of these labels(.|\n)*huge"):
        fit(replace(SHORT, init_from=str(earlier)), other, tmp_path / "out")


@pytest.mark.parametrize(
    ("given", "notes"),
    [
        ("nowhere", r"init_from: no checkpoint nowhere; name a folder that `rt-pose train fit` wrote"),
        ("empty", r"init_from: no checkpoint .*empty/checkpoints/best.ckpt"),
        ("text.ckpt", r"init_from .*text.ckpt: cannot be read"),
        ("plain.ckpt", r"it is no checkpoint of `rt-pose train`; for a backbone's weights"),
    ],
)
def test_what_is_no_checkpoint_of_ours(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, notes: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("text.ckpt").write_text("weights")
    torch.save({"state_dict": {}}, "plain.ckpt")
    with pytest.raises(UserError, match=notes):
        fit(replace(SHORT, init_from=given), folder, tmp_path / "out")
