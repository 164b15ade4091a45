"""Training by several calibrated cameras: what is refused before the first step, and a whole training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.log_lines import log_into
from support.shared import made_once

from bench.views.loss import CALIBRATION, write_views_folder
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.viewpoint import VIEWS
from rt_pose.errors import UserError
from rt_pose.package import read_package
from rt_pose.views.calibration_file import read_calibration, write_calibration
from train.config import AugmentConfig, LossConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.data.labels import LabeledFrames, read_labels
from train.data.sources import open_source
from train.fitting.check import check
from train.fitting.fit import fit
from train.fitting.pose_module import PoseModule
from train.fitting.unlabeled import Unlabeled, index_videos, prepare
from train.losses.reprojection import Reprojection
from train.models.network import PoseNetwork, input_spec

SIZE = (112, 90)
TIMES, CLIP_FRAMES = 8, 8
NETWORK = NetworkConfig(backbone="tiny", width=64, height=48, head_width=8)
AT_ONCE = LossConfig(calibration=CALIBRATION, start=0.0, ramp=0.0)
CONFIG = TrainConfig(
    network=NETWORK,
    losses={"heatmap_kl": LossConfig(), "reprojection": AT_ONCE},
    videos=list(VIEWS),
    clip_length=2,
    optimiser=OptimiserConfig(
        learning_rate=5e-3, backbone_factor=1.0, freeze_backbone_steps=0, warmup_steps=0
    ),
    steps=20,
    validate_every=10,
    validation_fraction=0.2,
)


@pytest.fixture(scope="module")
def folder() -> Path:
    """Four simulated cameras around one animal: labels and a recording of each, read only."""
    options = SimulatedOptions(width=SIZE[0], height=SIZE[1], rate_hz=40.0)

    def make(place: Path) -> None:
        write_views_folder(place / "rig", 1, animals=1, times=TIMES, clip_frames=CLIP_FRAMES, options=options)

    return made_once("views-folder", make) / "rig"


@pytest.fixture(scope="module")
def frames(folder: Path) -> LabeledFrames:
    return read_labels(folder, "")


def prepared(
    config: TrainConfig, folder: Path, frames: LabeledFrames, lines: list[str] | None = None
) -> Unlabeled:
    videos, spec = index_videos(config, folder), input_spec(config.network, 1)
    return log_into([] if lines is None else lines, prepare, config, videos, frames, spec, folder)


def test_each_step_has_the_same_frames_of_all_cameras(folder: Path, frames: LabeledFrames) -> None:
    lines: list[str] = []
    unlabeled = prepared(CONFIG, folder, frames, lines)
    assert "4 unlabeled videos, 32 frames; a clip of 2 of each of 4 cameras a step" in lines
    (note,) = (line for line in lines if line.startswith("reprojection: weight 0.02, "))
    assert "the calibration fits " in note
    assert "from the labels' own errors: front 1.0, side 1.0, back 1.0, top 1.0" in note, (
        "labels without noise"
    )
    assert unlabeled.views == 4
    clips = unlabeled.clips(CONFIG, input_spec(NETWORK, 1), 0)
    assert clips is not None
    for clip in clips:
        assert [view.video.parent.name for view in clip.views] == list(VIEWS)
        assert len({view.start for view in clip.views}) == 1


def test_cameras_may_have_other_names_in_the_calibration(
    folder: Path, frames: LabeledFrames, tmp_path: Path
) -> None:
    cameras = [replace(c, name=f"cam_{i}") for i, c in enumerate(read_calibration(folder / CALIBRATION))]
    write_calibration(tmp_path / "anipose.toml", cameras, 0.0)
    named = {"top": "cam_3", "front": "cam_0"}
    given = replace(AT_ONCE, calibration=str(tmp_path / "anipose.toml"), cameras=named)
    lines: list[str] = []
    unlabeled = prepared(
        replace(CONFIG, losses={"reprojection": given}, videos=["front", "top"]), folder, frames, lines
    )
    assert [[video.path.parent.name for video in own] for own in unlabeled.recordings] == [["top", "front"]]
    assert any("front" in line and "side" not in line for line in lines if "reprojection" in line)


def _changed(folder: Path, to: Path, change: Callable[[list], list]) -> str:  # type: ignore[type-arg]
    write_calibration(to, change(read_calibration(folder / CALIBRATION)), 0.0)
    return str(to)


@pytest.mark.parametrize(
    ("settings", "videos", "notes"),
    [
        ({"calibration": "nowhere.toml"}, None, r"calibration .*nowhere\.toml: no such file"),
        ({"cameras": ["front", "sde"]}, None, r"has no camera 'sde', did you mean 'side'"),
        ({"cameras": ["front", "front", "side"]}, None, "expected each camera once"),
        ({"cameras": ["front"]}, ["front"], "expected two cameras or more"),
        (
            {"cameras": ["front", "side"]},
            None,
            r"video back/animal0\.mkv has no name of a camera in its path",
        ),
        ({}, ["front", "side", "back"], r"the recording \*/animal0\.mkv has no video of top"),
    ],
)
def test_what_does_not_fit_is_refused(
    folder: Path, frames: LabeledFrames, settings: dict[str, object], videos: list[str] | None, notes: str
) -> None:
    loss = replace(AT_ONCE, **settings)  # type: ignore[arg-type]
    config = replace(CONFIG, losses={"reprojection": loss}, videos=videos or CONFIG.videos)
    with pytest.raises(UserError, match=notes):
        prepared(config, folder, frames)


def test_calibrations_that_are_not_of_these_cameras_are_refused(
    folder: Path, frames: LabeledFrames, tmp_path: Path
) -> None:
    def with_calibration(change: Callable[[list], list]) -> TrainConfig:  # type: ignore[type-arg]
        loss = replace(AT_ONCE, calibration=_changed(folder, tmp_path / "other.toml", change))
        return replace(CONFIG, losses={"reprojection": loss})

    larger = with_calibration(lambda cameras: [replace(c, size=(224, 180)) for c in cameras])
    with pytest.raises(
        UserError, match=r"animal0\.mkv has frames of 112x90 px, camera 'front' was calibrated "
    ):
        prepared(larger, folder, frames)
    copied = with_calibration(lambda cameras: [*cameras[:3], replace(cameras[2], name="top")])
    with pytest.raises(UserError, match="cameras 'back' and 'top' stand at the same place"):
        prepared(copied, folder, frames)
    swapped = with_calibration(
        lambda cameras: [*cameras[:2], replace(cameras[3], name="back"), replace(cameras[2], name="top")]
    )
    with pytest.raises(UserError, match=r"the labels contradict the calibration .*: cameras back, top"):
        prepared(swapped, folder, frames)
    several = replace(frames, xy=frames.xy[:, None].repeat(2, axis=1))
    with pytest.raises(UserError, match="the labels hold several animals"):
        prepared(CONFIG, folder, several)


def test_a_calibration_must_be_named() -> None:
    with pytest.raises(UserError, match=r"losses\.reprojection\.calibration: .* name their calibration"):
        check(replace(CONFIG, losses=CONFIG.losses | {"reprojection": LossConfig()}))
    with pytest.raises(UserError, match=r"losses\.temporal\.cameras: temporal takes no such setting"):
        check(replace(CONFIG, losses=CONFIG.losses | {"temporal": LossConfig(cameras=["a"])}))


def _module(config: TrainConfig, unlabeled: Unlabeled, keypoints: int) -> PoseModule:
    torch.manual_seed(0)
    spec = input_spec(config.network, 1)
    module = PoseModule(PoseNetwork(config.network, 1, keypoints), spec, config, unlabeled.terms)
    module.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]
    module._trainer = type("At", (), {"global_step": 0})()  # type: ignore[assignment]
    return module.train()


def test_learning_from_the_loss_alone_makes_the_views_of_rendered_clips_agree(
    folder: Path, frames: LabeledFrames
) -> None:
    loss = replace(AT_ONCE, eps=0.0, min_confidence=0.0, weight=1.0)
    augment = AugmentConfig(noise=0.0, shift=0.15)
    config = replace(CONFIG, losses={"heatmap_kl": LossConfig(), "reprojection": loss}, augment=augment)
    unlabeled = prepared(config, folder, frames)
    module = _module(config, unlabeled, len(frames.keypoints))
    clips = unlabeled.clips(config, input_spec(NETWORK, 1), 0)
    assert clips is not None
    clip = next(iter(clips))
    optimiser = torch.optim.Adam(module.network.parameters(), lr=5e-3)
    values = []
    for _ in range(8):
        optimiser.zero_grad()
        value = module._on_clip(clip)
        value.backward()
        optimiser.step()
        values.append(value.item())
    assert values[0] > 0.3, "px of the frame"
    assert values[-1] < 0.7 * values[0]


def test_a_whole_training_with_it_ends_in_a_package(folder: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    temporal = LossConfig(start=0.0, ramp=0.0, eps=1.0)
    losses = CONFIG.losses | {"temporal": temporal, "noise_consistency": LossConfig()}
    config = replace(CONFIG, losses=losses, steps=4, validate_every=2)
    package = log_into(lines, fit, config, folder, tmp_path / "out")
    manifest = read_package(package).manifest
    written = manifest.training["configuration"]["losses"]["reprojection"]
    assert (written["calibration"], written["weight"]) == (CALIBRATION, 0.02)
    assert np.isfinite(manifest.training["errors"]["mean_px"])
    assert any("for a step of 20 frames" in line for line in lines), "8 labeled ones, 3 of each camera"


def test_it_runs_on_a_mouse_before_four_cameras(data_dir: Path) -> None:
    """Its calibration fits the labels, the wrong one beside it does not, and a step has gradients."""
    place, names = data_dir / "mouse-4cam-sleap", ("back", "mid", "side", "top")
    if not place.is_dir():
        pytest.skip(f"no folder {place}")
    table = open_source(place, "").table
    image = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (1024, 1280, 1))  # of labels their size counts
    mouse = LabeledFrames(table.names, [image] * len(table.names), table.xy, table.visible, table.keypoints)
    videos = [f"{name}/minimal_{name}.mp4" for name in names]
    config = replace(CONFIG, videos=videos, network=replace(NETWORK, channels="gray"))
    lines: list[str] = []
    unlabeled = prepared(config, place, mouse, lines)
    assert any("the calibration fits " in line and "mid " in line for line in lines)
    (term,) = unlabeled.terms.clips
    assert isinstance(term.loss, Reprojection)
    assert (term.loss.eps < 40).all(), "px of 1280x1024"
    bad = replace(AT_ONCE, calibration="calibration_bad_side.toml")
    with pytest.raises(UserError, match="cameras 'side' and 'top' stand at the same place"):
        prepared(replace(config, losses={"reprojection": bad}), place, mouse)
    module = _module(config, unlabeled, len(mouse.keypoints))
    clips = unlabeled.clips(config, input_spec(NETWORK, 1), 0)
    assert clips is not None
    term.loss.min_confidence = 0.0
    value = module._on_clip(next(iter(clips)))
    value.backward()
    assert value.item() > 0
    gradients = [p.grad for p in module.network.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
