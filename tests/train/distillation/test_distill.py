"""Distillation, whole: teachers, their smoothed answers, what of it is sure, and the network it teaches.

The teachers find discs by their grey level and are never trained; one of them has the first disc elsewhere.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.disc_videos import SIZE, write_disc_video
from support.labeled_folder import write_rows
from support.log_lines import log_into
from support.tiny_package import DeepDiscFinder, DiscFinder, disc_frame, make_tiny_package

from rt_pose.cli.main import main
from rt_pose.errors import UserError
from rt_pose.offline.members import find_members
from rt_pose.offline.poses_csv import read_poses
from rt_pose.package import Package, read_package, write_manifest
from train.config import AugmentConfig, LossConfig, NetworkConfig, OptimiserConfig
from train.data.labels import read_labels
from train.distillation.config import DistillConfig, PseudoConfig
from train.distillation.distill import _best_teacher, _training
from train.distillation.distill import distill_interruptible as distill
from train.fitting.inputs import read_inputs
from train.fitting.job import Job

pytestmark = pytest.mark.timeout(400)
KEYPOINTS = [f"k{i}" for i in range(4)]
CONFIG = DistillConfig(
    network=NetworkConfig(backbone="tiny", width=96, height=64, head_width=16),
    optimiser=OptimiserConfig(
        learning_rate=1e-2, backbone_factor=1.0, freeze_backbone_steps=0, warmup_steps=5
    ),
    augment=AugmentConfig(rotate_deg=5, shift=0.05, noise=3),
    videos=["videos"],
    steps=40,
    validate_every=20,
    batch_size=6,
    threads=1,
    pseudo=PseudoConfig(frames=8, sure_px=3.0, share=0.5),
)


class ContraryFinder(DiscFinder):
    """Has the first disc 16 px to the right of where it is."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        maps = super().forward(image)
        return torch.cat([torch.roll(maps[:, :1], 2, dims=3), maps[:, 1:]], dim=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("distill") / "discs"
    (made / "labeled-data").mkdir(parents=True)
    random = np.random.default_rng(3)
    rows: list[list[object]] = [
        ["scorer", *["drawn"] * 8],
        ["bodyparts", *[name for name in KEYPOINTS for _ in "xy"]],
        ["coords", *["x", "y"] * 4],
    ]
    for i in range(14):
        xy = np.stack([40 + 75.0 * np.arange(4), random.uniform(40, 210, 4)], axis=1).round(2)
        cv2.imwrite(
            str(made / "labeled-data" / f"img{i:03d}.png"), disc_frame(xy, *SIZE, 1, radius=16.0)[..., 0]
        )
        rows.append([f"labeled-data/img{i:03d}.png", *xy.ravel()])
    write_rows(made, rows)
    write_disc_video(made / "videos" / "right.avi", frames=20)
    return made


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[Package]:
    out = tmp_path_factory.mktemp("teachers")
    return [
        make_tiny_package(out / f"seed-{i}" / "package", network=network)
        for i, network in enumerate((DiscFinder, DeepDiscFinder, ContraryFinder))
    ]


def _config(folder: Path, teachers: list[Package], out: Path, **changes: Any) -> DistillConfig:
    paths = [str(teacher.path) for teacher in teachers]
    return replace(CONFIG, data=str(folder), teachers=paths, out=str(out), **changes)


@dataclass
class Distilled:
    package: Package
    out: Path
    said: list[str]


@pytest.fixture(scope="module")
def distilled(folder: Path, teachers: list[Package], tmp_path_factory: pytest.TempPathFactory) -> Distilled:
    out = tmp_path_factory.mktemp("distilled")
    messages: list[str] = []
    return Distilled(
        read_package(log_into(messages, distill, _config(folder, teachers, out)).package), out, messages
    )


def test_pseudo_labels_are_the_smoothed_ensemble(distilled: Distilled, folder: Path) -> None:
    table = read_poses(distilled.out / "pseudo-labels.csv")
    smoothed = read_poses(distilled.out / "smoothed" / "videos" / "right.csv")
    taken = np.isfinite(table.xy).any(axis=(1, 2))
    assert taken.sum() == 8
    known = np.isfinite(table.xy)
    np.testing.assert_allclose(table.xy[known], smoothed.xy[: len(table.xy)][known], atol=6e-4)
    assert known[taken][:, 1:].all()
    images = sorted((distilled.out / "pseudo-labels").rglob("*.png"))
    assert len(images) == 8
    assert cv2.imread(str(images[0])).shape == (SIZE[1], SIZE[0], 3)


def test_a_keypoint_on_which_the_teachers_disagree_is_dropped(distilled: Distilled) -> None:
    table = read_poses(distilled.out / "pseudo-labels.csv")
    assert np.isnan(table.xy[:, 0]).all()
    shares = {line.split()[0]: line for line in distilled.said if line.startswith("  k")}
    assert "confident   0.0%  absent   0.0%  unknown 100.0%" in shares["k0"]
    assert "confident 100.0%" in shares["k1"]
    assert "confident: uncertainty of at most 3.00 px, as configured" in distilled.said


def test_a_larger_threshold_keeps_it(
    folder: Path, teachers: list[Package], distilled: Distilled, tmp_path: Path
) -> None:
    from rt_pose.offline.find_videos import VideoJob
    from train.distillation.pseudo_labels import make_pseudo_labels
    from train.fitting.inputs import prepare

    shutil.copytree(distilled.out / "teachers", tmp_path / "teachers")
    config = _config(folder, teachers, tmp_path)
    job = prepare(_training(config), None)
    video = VideoJob(folder / "videos" / "right.avi", "videos/right.avi", tmp_path / "unused.csv")
    members = find_members(config.teachers, "--teachers")
    pseudo = make_pseudo_labels(config, job, members, [video], tmp_path / "teachers", 20.0)
    assert np.isfinite(pseudo.frames.xy[:, 0]).all()
    assert (pseudo.weights == 1).all()


def test_the_table_is_a_labels_file(distilled: Distilled) -> None:
    """Once a keypoint that is never sure is left out, as the reader of labels asks."""
    with pytest.raises(UserError, match="keypoint 'k0' is labeled in no image"):
        read_labels(distilled.out, "pseudo-labels.csv")
    assert (distilled.out / "pseudo-labels.png").stat().st_size > 1000


def test_the_package_tells_of_its_teachers(distilled: Distilled, teachers: list[Package]) -> None:
    training = distilled.package.manifest.training
    error = training["pseudo_labels"]
    assert error["teachers"] == {f"seed-{i}": teacher.sha256 for i, teacher in enumerate(teachers)}
    assert (error["frames"], error["per_batch"], error["sure_px"]) == (8, 3, 3.0)
    assert error["left_out"]["validation_not_placed"] == 2
    assert any(line.startswith("2 of 2 images that validate do not state") for line in distilled.said)
    assert error["sure"] == {"k0": 0.0, "k1": 1.0, "k2": 1.0, "k3": 1.0}
    assert "teachers" not in training["configuration"]
    assert training["frames_train"] == 12
    assert any("seed-0 does not say which frames it kept back" in line for line in distilled.said)


def test_again_nothing_is_predicted_twice_and_the_result_is_the_same_to_the_bit(
    distilled: Distilled, folder: Path, teachers: list[Package], tmp_path: Path
) -> None:
    out = tmp_path / "again"
    shutil.copytree(
        distilled.out, out, ignore=shutil.ignore_patterns("checkpoints", "package", "tensorboard")
    )
    tables = {path: path.stat().st_mtime_ns for path in (out / "teachers").rglob("*.csv")}
    assert len(tables) == 3
    distill(_config(folder, teachers, out))
    assert {path: path.stat().st_mtime_ns for path in (out / "teachers").rglob("*.csv")} == tables
    first, second = (
        torch.load(o / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for o in (distilled.out, out)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_of_processes_that_train_together_only_the_first_writes(
    distilled: Distilled,
    folder: Path,
    teachers: list[Package],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second comes to the same pseudo-labels by what the first has left."""
    out = shutil.copytree(distilled.out, tmp_path / "out", ignore=shutil.ignore_patterns("*.lock"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    jobs: list[Job] = []

    def join(job: Job, _out: Path) -> None:
        logging.getLogger("train.fitting").info("a line of the second")
        jobs.append(job)
        raise KeyboardInterrupt  # a second process has no training to join here

    monkeypatch.setattr("train.fitting.inputs.check", lambda _: None)  # two CPUs are no GPUs
    monkeypatch.setattr("train.distillation.distill.run", join)
    monkeypatch.setenv("LOCAL_RANK", "1")
    messages: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        log_into(messages, distill, _config(folder, teachers, out, devices=2))
    assert messages == []
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    (job,) = jobs
    assert job.pseudo is not None
    known = torch.load(distilled.out / "checkpoints" / "last.ckpt", weights_only=True)["rt_pose"]
    assert job.pseudo.fingerprint() == known["pseudo"]


def test_one_that_goes_on_needs_the_same_pseudo_labels(
    distilled: Distilled, folder: Path, teachers: list[Package]
) -> None:
    config = _config(folder, teachers, distilled.out, resume=True)
    with pytest.raises(UserError, match="the pseudo-labels are others"):
        distill(replace(config, pseudo=replace(CONFIG.pseudo, weight=0.5)))


def test_what_cannot_be_begun_is_told_before_a_video_is_read(
    folder: Path, teachers: list[Package], tmp_path: Path
) -> None:
    def refused(match: str, config: DistillConfig) -> None:
        with pytest.raises(UserError, match=match):
            distill(config)

    good = _config(folder, teachers, tmp_path / "out")
    refused(
        r"teachers: none given[\s\S]*videos: none given[\s\S]*pseudo\.share: expected a share between 0",
        replace(good, teachers=[], videos=[], pseudo=PseudoConfig(share=1.0)),
    )
    refused("one network disagrees with nobody", replace(good, teachers=good.teachers[:1]))
    refused("nowhere: no such folder", replace(good, teachers=[*good.teachers, str(tmp_path / "nowhere")]))
    refused("hold no validation error to derive it from", replace(good, pseudo=PseudoConfig()))
    other = make_tiny_package(tmp_path / "other", keypoints=3)
    refused("an ensemble is of one skeleton", replace(good, teachers=[*good.teachers, str(other.path)]))
    three = [str(other.path), str(make_tiny_package(tmp_path / "three", keypoints=3, seed=1).path)]
    _with_checkpoint(other, asdict(CONFIG.network))
    refused("they know the keypoints k0, k1, k2, the labels have k0", replace(good, teachers=three))
    write_disc_video(tmp_path / "small.avi")
    half = tmp_path / "half.avi"
    writer = cv2.VideoWriter(str(half), cv2.VideoWriter.fourcc(*"MJPG"), 50, (160, 128))
    writer.write(np.zeros((128, 160, 3), np.uint8))
    writer.release()
    refused(
        r"expected frames of the labeled images' size, 320x256, .*\n  half\.avi: 160x128",
        replace(good, videos=[str(half)]),
    )
    refused("no such file", replace(good, videos=["none.avi"]))
    assert not (tmp_path / "out").exists()


def test_a_teacher_that_trained_on_a_frame_that_validates_is_refused(
    folder: Path, teachers: list[Package], tmp_path: Path
) -> None:
    from train.fitting.inputs import prepare

    kept_back = prepare(_training(_config(folder, teachers, tmp_path)), None).validation.names
    error = {"kept_back": kept_back[1:], "split": "by frame, drawn with seed 7", "configuration": {"seed": 7}}
    package = read_package(shutil.copytree(teachers[1].path, tmp_path / "seen"))
    package.manifest.training |= error
    seen = write_manifest(package.path, package.manifest)
    config = _config(folder, [teachers[0], seen], tmp_path / "out")
    with pytest.raises(UserError, match=r"seen may have trained on 1 of the 2 frames .* `split_seed: 7`"):
        distill(config)
    every = {"trained_on": kept_back, "kept_back": [], "configuration": {"validation_fraction": 0.0}}
    package.manifest.training |= every
    write_manifest(package.path, package.manifest)
    with pytest.raises(
        UserError, match=r"seen trained on 2 of the 2 .*\(`validation_fraction: 0`\)"
    ) as error:
        distill(config)
    assert "split_seed" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_the_command_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its configuration file is the teachers' own, and its own section is known there."""
    file = tmp_path / "distill.yaml"
    file.write_text("network: {backbone: tiny, width: 96, height: 64}\npseudo: {sure_pixels: 3}\n")
    options = [
        "--data",
        str(folder),
        "--out",
        str(tmp_path / "out"),
        "--videos",
        "videos",
        "videos/right.avi",
    ]
    assert main(["train", "distill", str(file), *options]) == 2
    assert "unknown key 'pseudo.sure_pixels', did you mean 'sure_px'" in capsys.readouterr().err
    file.write_text(
        "network: {backbone: tiny, width: 96, height: 64}\npseudo: {sure_px: 3}\nvideos: [videos]\n"
    )
    assert main(["train", "distill", str(file), *options[:-3], "--teachers", str(tmp_path)]) == 2
    assert "neither a package nor the folder of an ensemble" in capsys.readouterr().err


def test_it_begins_as_the_best_teacher(
    distilled: Distilled, folder: Path, teachers: list[Package], tmp_path: Path
) -> None:
    """Of two that were trained, beside one that has no checkpoint."""
    unread = shutil.ignore_patterns("pseudo-labels*", "smoothed", "teachers", "tensorboard", "*.lock")
    trained = []
    for seed, worse_px in ((1, 1.0), (2, 0.0)):
        out = Path(shutil.copytree(distilled.out, tmp_path / f"seed-{seed}", ignore=unread))
        package = read_package(out / "package")
        package.manifest.training["errors"]["mean_px"] += worse_px
        trained.append(write_manifest(package.path, package.manifest).path)
    best = trained[1].parent / "checkpoints" / "best.ckpt"
    messages: list[str] = []
    unsure = PseudoConfig(frames=8, sure_px=1e3, min_confidence=0.0, absent_below=0.0)
    config = _config(folder, teachers, tmp_path / "out", pseudo=unsure, steps=4, validate_every=4)
    config.teachers[:] = [str(teachers[0].path), *map(str, trained)]
    log_into(messages, distill, config)
    assert f"warm start from {best}" in messages


def _with_checkpoint(teacher: Package, network: dict[str, Any]) -> Path:
    """Makes a package one that a training with these settings left, with a checkpoint beside it."""
    checkpoint = teacher.path.parent / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"rt_pose": {"keypoints": teacher.manifest.keypoints}, "state_dict": {}}, checkpoint)
    teacher.manifest.training["configuration"] = {"network": network}
    write_manifest(teacher.path, teacher.manifest)
    return checkpoint


def test_a_teacher_to_begin_as_is_known_by_what_makes_the_network(
    folder: Path, teachers: list[Package], tmp_path: Path
) -> None:
    """Not by where its backbone's weights lay, nor by settings that its package is too old to have."""
    network = replace(CONFIG.network, weights="/its/machine/weights.pth")
    older = {key: value for key, value in asdict(network).items() if key != "context"}
    teacher = read_package(shutil.copytree(teachers[0].path, tmp_path / "seed-7" / "package"))
    checkpoint = _with_checkpoint(teacher, older | {"weights": "weights.pth"})
    job = read_inputs(_training(_config(folder, teachers, tmp_path)), None)
    job = replace(job, config=replace(job.config, network=network))
    messages: list[str] = []
    assert log_into(messages, _best_teacher, find_members([str(teacher.path)], "--teachers"), job) == str(
        checkpoint
    )
    colour = replace(job, spec=replace(job.spec, channels=3))
    assert log_into(messages, _best_teacher, find_members([str(teacher.path)], "--teachers"), colour) == ""
    wider = replace(job, config=replace(job.config, network=replace(network, head_width=24)))
    assert log_into(messages, _best_teacher, find_members([str(teacher.path)], "--teachers"), wider) == ""
    assert "RGB images" in messages[0]


def test_where_no_teacher_can_be_begun_as_that_is_told(distilled: Distilled) -> None:
    assert any(
        line.startswith("init_from: no teacher has this network's settings") for line in distilled.said
    )
    assert "tiny starts from random weights" in "".join(distilled.said)


def test_losses_on_clips_may_join_in(folder: Path, teachers: list[Package], tmp_path: Path) -> None:
    plain = _training(_config(folder, teachers, tmp_path))
    assert plain.videos == []
    losses = {"heatmap_kl": LossConfig(), "temporal": LossConfig()}
    assert _training(_config(folder, teachers, tmp_path, losses=losses)).videos == ["videos"]
