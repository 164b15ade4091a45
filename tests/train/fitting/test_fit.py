"""Training, whole: from a drawn folder to a package that the live half accepts."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import re
import shutil
import signal
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric.plugins.environments import SLURMEnvironment
from support.labeled_folder import KEYPOINTS, SIZE, draw_discs
from support.log_lines import log_into
from support.trained_discs import CONFIG, labeled_discs, trained_discs

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.engines.torch_reference import PROGRAM
from rt_pose.package import Package, read_package
from train.fitting.fit import TrainingFault, fit
from train.fitting.trainer import _quiet_lightning
from train.support.disk import explain_full_disk, make_folder

SHORT = replace(CONFIG, optimiser=replace(CONFIG.optimiser, learning_rate=1e-2), steps=60, validate_every=15)
"""Long enough for a package."""


@pytest.fixture(scope="module")
def folder() -> Path:
    return labeled_discs()


@pytest.fixture(scope="module")
def trained() -> tuple[Package, list[str]]:
    out, messages = trained_discs()
    return read_package(out / "package"), messages


def test_it_learns_what_is_drawn(trained: tuple[Package, list[str]]) -> None:
    package, _ = trained
    estimator = choose_engine(package, EngineConfig()).estimator
    random = np.random.default_rng(77)
    errors = []
    for i in range(10):
        xy = random.uniform([15, 15], [SIZE[0] - 15, SIZE[1] - 15], (3, 2))
        found = estimator.estimate(draw_discs(xy, SIZE, seed=500 + i)[..., None])
        errors.append(np.linalg.norm(found.xy[0] - xy, axis=-1))
    assert np.median(errors) < 1.5


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_every_engine_reproduces_its_golden_keypoints(
    trained: tuple[Package, list[str]], backend: str
) -> None:
    choice = choose_engine(trained[0], EngineConfig(backend=backend, precision="float32"))  # type: ignore[arg-type]
    assert choice.golden_px <= 0.05


def test_the_manifest_tells_where_it_comes_from(trained: tuple[Package, list[str]]) -> None:
    package, messages = trained
    manifest = package.manifest
    assert manifest.keypoints == KEYPOINTS
    assert manifest.skeleton == [("large", "small")]
    assert (manifest.input.width, manifest.input.height, manifest.input.channels) == (96, 64, 1)
    training = manifest.training
    assert training["dataset"] == "discs"
    assert (training["frames_train"], training["frames_validation"]) == (34, 6)
    assert training["step"] % CONFIG.validate_every == 0
    assert training["configuration"]["seed"] == 0
    assert training["versions"]["torch"] == importlib.metadata.version("torch")
    errors = training["errors"]
    assert errors["n"] == 18
    assert set(errors["per_keypoint"]) == set(KEYPOINTS)
    float32 = manifest.precisions["float32"]
    assert float32.validation_error_px == pytest.approx(errors["mean_px"], abs=0.01)
    assert float32.displacement_p95_px < 0.05
    assert str(package.path.parent) not in json.dumps(training)
    assert any("by frame" in line for line in messages)
    assert any(line.startswith("float32: validation error median") for line in messages)


def test_the_default_tracking_parameters_are_marked_and_scale_with_the_frame(
    trained: tuple[Package, list[str]],
) -> None:
    tracking = trained[0].manifest.tracking
    assert tracking.calibrated is False
    q, tau = np.array(tracking.q_px2_s3), np.array(tracking.tau_s)
    np.testing.assert_allclose(np.sqrt(q * tau / 2), 0.75 * np.hypot(*SIZE))
    assert tau.tolist() == [0.1] * 3


def test_no_file_of_the_package_holds_a_pickle(trained: tuple[Package, list[str]]) -> None:
    package, _ = trained
    own = {"network.mixed.xml", "network.mixed.bin"}
    assert set(package.manifest.files) == {"network.onnx", PROGRAM, "golden.npz"} | own
    with zipfile.ZipFile(package.path / PROGRAM) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pkl")]
        assert all(archive.read(name) == b"" for name in archive.namelist() if name.endswith(".pt"))


def test_the_first_loss_that_is_not_finite_ends_it_with_the_last_good_checkpoint(
    folder: Path, tmp_path: Path
) -> None:
    explodes = replace(SHORT.optimiser, milestones=[0.8], gamma=1e30)
    with pytest.raises(
        TrainingFault, match=r"losses.heatmap_kl became nan at step (3[6-9]|4\d); the package"
    ) as end:
        fit(replace(SHORT, optimiser=explodes, steps=45), folder, tmp_path)
    assert end.value.exit_code == 1
    assert re.search(
        r"the last good checkpoint \(step (15|30)\); lower `optimiser.learning_rate`", str(end.value)
    )
    for name in ("best", "last"):
        kept = torch.load(tmp_path / f"checkpoints/{name}.ckpt", weights_only=True)["state_dict"]
        assert all(torch.isfinite(values).all() for values in kept.values())
    assert read_package(tmp_path / "package").manifest.training["step"] < 36


def test_weights_that_are_not_finite_become_no_checkpoint(folder: Path, tmp_path: Path) -> None:
    explodes = replace(CONFIG.optimiser, learning_rate=1e30, warmup_steps=0)
    with pytest.raises(TrainingFault, match="before the first checkpoint: nothing to export"):
        fit(replace(CONFIG, optimiser=explodes, steps=4, validate_every=1), folder, tmp_path)
    assert not list(tmp_path.glob("checkpoints/*.ckpt"))


def test_one_that_learned_too_little_makes_no_package(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not confident of a single keypoint"):
        fit(replace(CONFIG, steps=1, validate_every=1), folder, tmp_path)
    assert (tmp_path / "checkpoints" / "best.ckpt").is_file()
    assert not (tmp_path / "package").exists()


def test_ctrl_c_ends_early_and_exports_the_best(folder: Path, tmp_path: Path) -> None:
    messages: list[str] = []

    def interrupt(line: str) -> None:
        messages.append(line)
        if line.startswith("step 30:"):
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    package = read_package(log_into(interrupt, fit, SHORT, folder, tmp_path))
    assert package.manifest.training["step"] <= 30
    assert not [line for line in messages if line.startswith("step 45")]
    assert [line for line in messages if line.startswith("stopped at step 3")]
    assert signal.getsignal(signal.SIGINT) is before


def test_nothing_is_written_where_something_is_wrong(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="skeleton: no keypoint 'larg' in the labels, did you mean 'large'"):
        fit(replace(CONFIG, skeleton=[["larg", "small"]]), folder, out)
    with pytest.raises(UserError, match="no such folder"):
        fit(CONFIG, tmp_path / "nowhere", out)
    with pytest.raises(UserError, match="out: no folder given"):
        fit(CONFIG, folder, None)
    assert not out.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="torch sees no CUDA device"):
        fit(replace(CONFIG, device="gpu"), folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("free_mib", "expected"),
    [
        (5, r"out .*: at least 8 MiB are needed, 5 MiB are free in .*; make room or give another --out"),
        (9, r"out: about \d+ MiB are needed .* 9 MiB are free there; make room"),
    ],
)
def test_a_disk_without_room_is_told_before_the_first_step(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mib: int, expected: str
) -> None:
    messages: list[str] = []
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=free_mib * 2**20))
    with pytest.raises(UserError, match=expected):
        log_into(messages, fit, CONFIG, folder, tmp_path)
    assert not [line for line in messages if line.startswith("step ")]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"out: cannot write to the folder .*; give another --out"):
        make_folder(tmp_path / "file" / "out")


def test_a_disk_that_fills_up_in_the_midst_tells_how_to_go_on(tmp_path: Path) -> None:
    last = tmp_path / "last.ckpt"
    with (
        pytest.raises(UserError, match=r"the disk of .* is full; make room$"),
        explain_full_disk(tmp_path, last, last.is_file),
    ):
        Path("/dev/full").write_text("a library's own file")
    last.write_text("")
    with pytest.raises(UserError, match="--resume true"), explain_full_disk(tmp_path, last, last.is_file):
        Path("/dev/full").write_text("once more")
    with (
        pytest.raises(RuntimeError, match="of another kind"),
        explain_full_disk(tmp_path, last, last.is_file),
    ):
        raise RuntimeError("of another kind")


def test_an_export_that_fails_leaves_the_earlier_package(
    trained: tuple[Package, list[str]], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(trained[0].path.parent, out)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    finished = replace(CONFIG, resume=True)
    with pytest.raises(UserError, match=r"is full; .*last\.ckpt is intact"):
        fit(finished, folder, out)
    assert read_package(out / "package").sha256 == trained[0].sha256
    assert not list(out.glob("export-*"))


def test_nothing_is_said_of_a_cluster_that_is_there_and_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with _quiet_lightning():
            SLURMEnvironment.detect()
