"""Trainings that are interrupted, run out of disk, or are handed what is not theirs; clips included."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.labeled_folder import make_discs_video, make_labeled_folder, read_rows, write_rows
from support.log_lines import log_into
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rt_pose.errors import UserError
from train.config import AugmentConfig, LossConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.fitting.checkpoints import (
    AtomicCheckpoints,
    lasting_settings,
    random_states,
    restore_random,
    setting_differences,
)
from train.fitting.fit import fit
from train.fitting.trainer import _Patience

CONFIG = TrainConfig(
    skeleton=[["large", "small"]],
    network=NetworkConfig(backbone="tiny", width=64, height=64, head_width=8),
    optimiser=OptimiserConfig(
        learning_rate=5e-3, backbone_factor=1.0, freeze_backbone_steps=2, warmup_steps=3
    ),
    augment=AugmentConfig(rotate_deg=20, shift=0.1, noise=3),
    losses={
        "heatmap_kl": LossConfig(),
        "temporal": LossConfig(start=0.25, ramp=0.5),
        "unimodal_js": LossConfig(start=0.5, ramp=0.25),
        "noise_consistency": LossConfig(start=0.25, ramp=0.25),
    },
    videos=["videos"],
    clip_length=4,
    steps=16,
    batch_size=4,
    validate_every=4,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_labeled_folder(tmp_path_factory.mktemp("resume") / "discs", frames=16)
    make_discs_video(made / "videos" / "round.avi")
    return made


def _run(config: TrainConfig, folder: Path, out: Path, stop_at: int | None = None) -> list[str]:
    """Train briefly; the lines logged. Ctrl-C at the validation of `stop_at`."""
    messages: list[str] = []

    def take(line: str) -> None:
        messages.append(line)
        if stop_at is not None and line.startswith(f"step {stop_at}:"):
            signal.raise_signal(signal.SIGINT)

    try:
        log_into(take, fit, config, folder, out)
    except UserError as error:
        # So short a training may have learned too little for a package.
        if "not confident of a single keypoint" not in str(error):
            raise
    return messages


def _checkpoint(out: Path, name: str = "last") -> dict[str, Any]:
    return torch.load(out / "checkpoints" / f"{name}.ckpt", weights_only=True)


def _same(a: Any, b: Any) -> bool:
    """Equal to the bit, through dicts and lists."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A training that was never interrupted, and what it said; it was asked to resume from nothing."""
    out = tmp_path_factory.mktemp("whole")
    return out, _run(replace(CONFIG, resume=True), folder, out)


def test_interrupted_and_resumed_is_uninterrupted_to_the_bit(
    whole: tuple[Path, list[str]], folder: Path, tmp_path: Path
) -> None:
    """Stopped before the first clip and after it: weights, statistics, Adam's moments, random states.

    So one seed twice is one result as well.
    """
    _run(CONFIG, folder, tmp_path, 4)
    expected = [line for line in whole[1] if line.startswith("step ")]
    for start, stop_at in ((4, 8), (8, None)):
        assert _checkpoint(tmp_path)["global_step"] == start
        torch.rand(3)  # another process would have drawn other numbers by now
        messages = _run(replace(CONFIG, resume=True), folder, tmp_path, stop_at)
        assert any(line.startswith(f"resuming from step {start}") for line in messages)
        validations = [line for line in messages if line.startswith("step ")]
        assert validations == expected[start // 4 : stop_at and stop_at // 4]
    here, there = _checkpoint(tmp_path), _checkpoint(whole[0])
    for part in ("global_step", "state_dict", "optimizer_states", "lr_schedulers", "rt_pose"):
        assert _same(here[part], there[part]), part
    assert _same(_checkpoint(tmp_path, "best")["state_dict"], _checkpoint(whole[0], "best")["state_dict"])


def test_a_finished_training_is_only_exported_again(
    whole: tuple[Path, list[str]], folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole[0] / "checkpoints", tmp_path / "checkpoints")
    messages = _run(replace(CONFIG, resume=True), folder, whole[0])
    assert not [line for line in messages if line.startswith("step ")]
    assert _same(_checkpoint(whole[0])["state_dict"], _checkpoint(tmp_path)["state_dict"])


def test_nothing_to_go_on_from_is_said_and_a_run_begins(whole: tuple[Path, list[str]]) -> None:
    assert any(line.startswith("nothing to resume from") for line in whole[1])
    assert _checkpoint(whole[0])["global_step"] == CONFIG.steps


def test_losses_and_pictures_are_in_the_log(whole: tuple[Path, list[str]]) -> None:
    events = EventAccumulator(str(next((whole[0] / "tensorboard").glob("version_*"))))
    events.Reload()
    tags = events.Tags()
    for name in (*CONFIG.losses, "total", "diffuse"):
        assert f"train/{name}" in tags["scalars"]
    assert "val/mean_px" in tags["scalars"]
    assert len(tags["images"]) == 2, "the two validation frames"
    for line in whole[1]:
        if line.startswith("temporal:"):
            assert "from the videos' own motion: large " in line
            break
    else:
        pytest.fail("the derived eps was not said")


def test_another_skeletons_checkpoint_is_refused(
    whole: tuple[Path, list[str]], folder: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    write_rows(other, [[cell.replace("small", "tail") for cell in row] for row in read_rows(other)])
    config = replace(CONFIG, resume=True, skeleton=[])
    with pytest.raises(UserError, match=r"the labels lack 'small'[\s\S]*it does not know 'tail'"):
        fit(config, other, whole[0])


def test_another_configuration_or_other_labels_are_refused(
    whole: tuple[Path, list[str]], folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="batch_size: it was trained with 4, the configuration says 5"):
        fit(replace(CONFIG, resume=True, batch_size=5), folder, whole[0])
    other = shutil.copytree(folder, tmp_path / "other")
    rows = read_rows(other)
    for row in rows[3:]:
        row[1] = "20.0"
    write_rows(other, rows)
    with pytest.raises(UserError, match="the labels or images have changed since"):
        fit(replace(CONFIG, resume=True), other, whole[0])


def test_what_is_no_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"last\.ckpt: cannot be read"):
        fit(replace(CONFIG, resume=True), folder, tmp_path)


def test_a_training_that_gets_no_better_ends(folder: Path, tmp_path: Path) -> None:
    # At such a rate nothing is learned after the first validation.
    still = replace(CONFIG.optimiser, learning_rate=1e-12)
    config = replace(
        CONFIG,
        optimiser=still,
        patience=2,
        steps=40,
        validate_every=4,
        losses={"heatmap_kl": LossConfig()},
        videos=[],
    )
    messages = _run(config, folder, tmp_path)
    ends = [line for line in messages if line.startswith("stopped at step")]
    assert ends
    assert "2 validations brought nothing better; the best checkpoint so far is exported" in ends[0]
    stopped = _checkpoint(tmp_path)["global_step"]
    assert stopped < 40
    messages = _run(replace(config, resume=True), folder, tmp_path)
    assert not [line for line in messages if line.startswith("step ")], "one that had ended does not go on"


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """Within it the system refuses to write more than `size` bytes to a file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_loses_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    writer = AtomicCheckpoints(path.is_file)
    writer.save_checkpoint({"weights": torch.arange(50_000.0)}, path)
    with (
        _largest_file(50_000),
        pytest.raises(UserError, match=r"last\.ckpt: cannot be written.*the earlier one is intact"),
    ):
        writer.save_checkpoint({"weights": torch.zeros(50_000)}, path)
    assert torch.equal(torch.load(path, weights_only=True)["weights"], torch.arange(50_000.0))
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("own", [True, False])
def test_only_its_own_checkpoint_is_offered_to_go_on_from(
    whole: tuple[Path, list[str]], folder: Path, tmp_path: Path, own: bool
) -> None:
    """What lies in the folder may be another training's: said at the start, and when the disk is full."""
    shutil.copytree(whole[0] / "checkpoints", tmp_path / "checkpoints")
    messages: list[str] = []
    config = CONFIG if own else replace(CONFIG, batch_size=5)
    with _largest_file(2_000_000), pytest.raises(UserError, match="make room") as full:
        log_into(messages, fit, config, folder, tmp_path)
    (replaced,) = [line for line in messages if "is of an earlier training and will be replaced" in line]
    assert ("--resume true" in replaced) == own
    assert ("--resume true" in str(full.value)) == own
    assert _same(_checkpoint(tmp_path), _checkpoint(whole[0])), "it is whole either way"


def test_more_patience_lets_one_that_had_ended_go_on() -> None:
    ended, more, same = _Patience(2), _Patience(4), _Patience(2)
    ended.wait_count = 2
    for resumable in (more, same):
        resumable.load_state_dict(ended.state_dict())
    assert same.why == ": 2 validations brought nothing better"
    assert more.why is None


def test_settings_younger_than_a_training_had_their_defaults_then() -> None:
    config = TrainConfig(losses={"heatmap_js": LossConfig(weight=2.0)}, network=NetworkConfig(context=3))
    there = lasting_settings(replace(config, network=NetworkConfig()))
    del there["network"]["context"], there["losses"]["heatmap_js"]["frames"], there["devices"]
    assert setting_differences(there, lasting_settings(replace(config, network=NetworkConfig()))) == []
    (notes,) = setting_differences(there, lasting_settings(config))
    assert notes.startswith("network: it was trained with ")


def test_random_states_are_whole() -> None:
    states = random_states()
    first = (torch.rand(3), np.random.rand(3))
    restore_random(states)
    assert torch.equal(torch.rand(3), first[0])
    np.testing.assert_array_equal(np.random.rand(3), first[1])
