"""A training's configuration: what is refused before anything is built, and the shipped files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rt_pose.cli.main import main
from rt_pose.config.build import build, load
from rt_pose.errors import UserError
from train.config import AugmentConfig, LossConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.fitting.check import check

SHIPPED = sorted((Path(__file__).parents[3] / "configs" / "train").glob("*.yaml"))
KL = {"heatmap_kl": LossConfig()}


def semi(name: str = "temporal", **settings: object) -> dict[str, object]:
    """Changes that add a loss on clips."""
    return {"losses": KL | {name: LossConfig(**settings)}, "videos": ["v"]}  # type: ignore[arg-type]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configurations_are_good(path: Path) -> None:
    config = load(TrainConfig, path)
    check(config)
    assert config.skeleton, "a shipped configuration draws its animal"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_command_line_takes_the_shipped_configurations(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "fit", str(path), "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]
    assert main(argv) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("left", ["{}", "null", "", "{weight: null}"])
def test_a_loss_or_section_left_empty_has_its_own_settings(
    left: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.yaml"
    losses = f"losses:\n  heatmap_kl: {left}\n  temporal: {{eps: 2.0}}\n"
    path.write_text(f"{losses}network: {left if 'weight' not in left else '{}'}\nvideos: [v]\n")
    config = load(TrainConfig, path)
    check(config)
    assert config.losses == {"heatmap_kl": LossConfig(), "temporal": LossConfig(eps=2.0)}
    assert config.network == NetworkConfig()
    nowhere, given = str(tmp_path / "nowhere"), ["--steps", "150"]
    assert main(["train", "fit", str(path), "--data", nowhere, "--out", nowhere]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert main(["train", "fit", str(path), "--data", nowhere, "--out", nowhere, *given]) == 2
    assert "got 150; try" in capsys.readouterr().err, "flags win over the file, empty sections or not"


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({"network": NetworkConfig(backbone="lit0")}, "no backbone 'lit0', did you mean 'lite0'?"),
        ({"network": NetworkConfig(width=250)}, "multiple of 32 for the backbone lite0, got 250; try 256"),
        ({"network": NetworkConfig(height=0)}, "network.height"),
        ({"network": NetworkConfig(head_width=0)}, "network.head_width: expected at least 1"),
        ({"losses": {"heatmap_lk": LossConfig()}}, "losses.heatmap_lk: there is no such loss, did you mean"),
        ({"losses": {}}, "expected at least one of heatmap_kl"),
        ({"steps": 1550}, "steps: expected a multiple of validate_every (100), got 1550; try"),
        ({"batch_size": 0}, "batch_size: expected at least 1"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"optimiser": OptimiserConfig(learning_rate=0.0)}, "optimiser.learning_rate"),
        ({"optimiser": OptimiserConfig(milestones=[150.0])}, "optimiser.milestones: expected shares"),
        ({"augment": AugmentConfig(noise=-1)}, "augment.noise: expected 0 or more"),
        ({"augment": AugmentConfig(contrast=1.5)}, "augment.contrast: expected less than 1"),
        ({"skeleton": [["a", "b", "c"]]}, "skeleton: expected pairs"),
        ({"patience": -1}, "patience: expected 0 or more"),
        ({"losses": KL | {"temporal": LossConfig()}}, "losses.temporal: it works on unlabeled video"),
        ({"losses": {"temporal": LossConfig()}, "videos": ["v"]}, "without labels nothing says where"),
        ({"videos": ["v.mp4"]}, "videos: no loss works on them; add one of temporal"),
        ({"clip_length": 1}, "clip_length: expected at least 2"),
        ({"views": [["a"]]}, "views: expected lists of as many keypoints as there are views"),
        ({"views": [["a", "b"], ["a", "b", "c"]]}, "views: expected lists"),
        ({"losses": {"heatmap_kl": LossConfig(eps=1.0)}}, "heatmap_kl takes no such setting"),
        (semi(weight=-1.0), "losses.temporal.weight: expected more than 0"),
        (semi(eps=-1.0), "losses.temporal.eps: expected 0 or more px"),
        (semi(variance=0.9), "temporal takes no such setting; it takes weight, eps"),
        (semi(min_confidence=5.0), "losses.temporal.min_confidence: expected a share"),
        (semi(start=0.9, ramp=0.3), "would never have its whole weight"),
        (semi("pose_pca", variance=99.0), "losses.pose_pca.variance: expected a share"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(changes: dict[str, object], notes: str) -> None:
    with pytest.raises(UserError) as refused:
        check(replace(TrainConfig(), **changes))  # type: ignore[arg-type]
    assert notes in str(refused.value)


def test_all_contradictions_are_told_at_once() -> None:
    with pytest.raises(UserError) as refused:
        check(replace(TrainConfig(), batch_size=0, losses={}, skeleton=[["a"]]))
    assert len(str(refused.value).splitlines()) == 4


def test_unknown_keys_name_the_nearest() -> None:
    with pytest.raises(
        UserError, match=r"unknown key 'optimiser\.learning_rat', did you mean 'learning_rate'"
    ):
        build(TrainConfig, {"optimiser": {"learning_rat": 1.0}}, "train.yaml")
