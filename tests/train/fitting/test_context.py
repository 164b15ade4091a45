"""A network with context, trained on labels and clips, exported, and run as it runs live."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.labeled_folder import make_discs_video, make_labeled_folder

from rt_pose.config.schema import EngineConfig
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.decode_torch import decode_torch
from rt_pose.inference.preprocess import Preprocess, frame_from_input
from rt_pose.offline.predict import predict_video
from rt_pose.package import Package, read_package
from rt_pose.video import read_frames
from train.config import AugmentConfig, LossConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.fitting.fit import fit
from train.models.context import clip_context
from train.models.network import PoseNetwork

CONFIG = TrainConfig(
    network=NetworkConfig(backbone="tiny", width=96, height=64, head_width=16, context=2),
    optimiser=OptimiserConfig(
        learning_rate=1e-2, backbone_factor=1.0, freeze_backbone_steps=0, warmup_steps=10
    ),
    augment=AugmentConfig(rotate_deg=20, shift=0.1, noise=3),
    losses={"heatmap_kl": LossConfig(), "temporal": LossConfig(start=0.5, ramp=0.25)},
    videos=["videos"],
    clip_length=6,
    steps=60,
    validate_every=30,
)
FLOAT32 = EngineConfig(precision="float32", threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_labeled_folder(tmp_path_factory.mktemp("context-fit") / "discs", frames=40)
    make_discs_video(made / "videos" / "round.avi")
    return made


@pytest.fixture(scope="module")
def package(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    return read_package(fit(CONFIG, folder, tmp_path_factory.mktemp("fitted")))


def network_of(package: Package) -> PoseNetwork:
    """The network itself, from the checkpoint that was exported."""
    checkpoint = torch.load(package.path.parent / "checkpoints" / "best.ckpt", weights_only=True)
    network = PoseNetwork(CONFIG.network, package.manifest.input.channels, len(package.manifest.keypoints))
    weights = {name.removeprefix("network."): value for name, value in checkpoint["state_dict"].items()}
    network.load_state_dict(weights)
    return network.eval()


def test_its_context_has_learned_something(package: Package) -> None:
    context = network_of(package).context
    assert context is not None
    assert context.expand.weight.abs().max() > 1e-3
    assert package.manifest.input.context is not None
    assert package.manifest.input.context.shape == (64, 4, 6)
    assert package.manifest.training["errors"]["median_px"] < 5.0


@pytest.mark.parametrize("engine", [FLOAT32, replace(FLOAT32, backend="torch"), EngineConfig()])
def test_engines_start_with_it(package: Package, engine: EngineConfig) -> None:
    choice = choose_engine(package, engine)
    assert choice.engine.precision in package.manifest.precisions
    assert set(package.manifest.precisions) >= {"float32"}


def test_a_video_is_predicted_as_by_whole_windows_of_the_network(
    package: Package, folder: Path, tmp_path: Path
) -> None:
    """Frame by frame with the state of the runtime, against torch over the film at once, nothing kept."""
    video = folder / "videos" / "round.avi"
    predict_video(package, video, tmp_path / "poses.csv", FLOAT32)
    table = np.loadtxt(tmp_path / "poses.csv", delimiter=",", skiprows=3)[:, 1:]
    spec = package.manifest.input
    images = [frame.image for frame in read_frames(video, spec.channels)]
    preprocess = Preprocess(spec)
    pixels = torch.from_numpy(np.concatenate([preprocess([image]).copy() for image in images]))
    network = network_of(package)
    found, alone = [], []
    with torch.inference_mode():
        for t in range(len(images)):
            window = pixels[max(t - CONFIG.network.context, 0) : t + 1]
            found.append(network(window, clip_context(len(window)))[-1:])
            alone.append(network(window[-1:], clip_context(1)))
    to_frame = frame_from_input(spec, (images[0].shape[1], images[0].shape[0]))
    kept, single = (
        decode_torch(torch.cat(maps), package.manifest.decode).xy.double().numpy() @ to_frame[:, :2].T
        + to_frame[:, 2]
        for maps in (found, alone)
    )
    xy = table.reshape(len(table), -1, 3)[..., :2]
    np.testing.assert_allclose(xy, kept, atol=0.02)
    assert np.linalg.norm(kept - single, axis=-1).max() > 0.1, "the past matters"
