"""The causal context: caching is right, nothing comes from the future, and an empty past changes nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rt_pose.errors import UserError
from rt_pose.inference.engine import engines, lacks_context, open_engine
from rt_pose.inference.engines.openvino import OpenVINOEngine
from rt_pose.inference.engines.tensorrt import TensorRTEngine
from rt_pose.inference.engines.torch_reference import PROGRAM
from rt_pose.package import NETWORK, PRECISION_NETWORKS
from train.config import LossConfig, NetworkConfig, OptimiserConfig, TrainConfig
from train.data.clips import ClipBatch
from train.export import _plain
from train.fitting.check import check
from train.fitting.memory import step_memory
from train.fitting.pose_module import PoseModule
from train.losses.terms import Terms
from train.models.context import WIDTH, clip_context, random_context, self_context
from train.models.files import write_onnx, write_program
from train.models.network import PoseNetwork, input_spec
from train.quantisation.mixed import convolutions, fold_constants, write_first_in_float32

SMALL = NetworkConfig(backbone="tiny", width=64, height=48, head_width=8)
SPEC = input_spec(replace(SMALL, context=2), 1)
FRAMES = 9


def network_with(context: int, taught: bool = True, config: NetworkConfig = SMALL) -> PoseNetwork:
    """A network whose past matters (`taught`), its batch norms not at their first values."""
    torch.manual_seed(0)
    network = PoseNetwork(replace(config, context=context), 1, 3)
    torch.manual_seed(1)
    images = torch.randn(4, 1, config.height, config.width)
    with torch.no_grad():
        network.train()(images)
    if network.context is not None and taught:
        torch.nn.init.normal_(network.context.expand.weight, std=10.0)
    return network.eval().requires_grad_(False)


def film(frames: int = FRAMES, seed: int = 1) -> Tensor:
    return torch.randn(frames, 1, 48, 64, generator=torch.Generator().manual_seed(seed))


def frame_by_frame(network: PoseNetwork, images: Tensor) -> Tensor:
    """As it runs live: a frame at a time, the state handed on."""
    assert network.context is not None
    context = torch.zeros(1, network.context.frames * WIDTH, 3, 4)
    found = []
    for image in images:
        logits, context = network.forward_streaming(image[None], context)
        found.append(logits)
    return torch.cat(found)


def whole_windows(network: PoseNetwork, images: Tensor) -> Tensor:
    """Nothing kept: for each frame the backbone runs over all frames of its window, by the definition."""
    context = network.context
    assert context is not None
    found = []
    for t in range(len(images)):
        now = network.backbone(images[t : t + 1])
        maps = [context.reduce(network.backbone(images[t - n : t - n + 1])[-1]) for n in range(1, t + 1)]
        maps = maps[: context.frames]
        maps += [torch.zeros(1, WIDTH, 3, 4)] * (context.frames - len(maps))
        mixed = context(now[-1], context.reduce(now[-1]), torch.cat(maps, dim=1))
        found.append(network.head([*now[:-1], mixed]))
    return torch.cat(found)


@pytest.mark.parametrize("context", [1, 2, 4])
def test_what_is_kept_gives_what_whole_windows_give(context: int) -> None:
    network, images = network_with(context), film()
    live = frame_by_frame(network, images)
    torch.testing.assert_close(live, whole_windows(network, images), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(live, network(images, clip_context(FRAMES)), atol=1e-5, rtol=1e-5)
    alone = torch.cat([network(image[None], clip_context(1)) for image in images])
    assert (live - alone)[1:].abs().amax(dim=(1, 2, 3)).min() > 1e-3, "the past matters"
    torch.testing.assert_close(live[0], alone[0])


def test_no_frame_knows_of_a_later_one() -> None:
    network, images = network_with(3), film()
    changed = images.clone()
    changed[5:] = film(4, seed=2)
    for answer in (frame_by_frame, lambda network, images: network(images, clip_context(FRAMES))):
        before, after = answer(network, images), answer(network, changed)
        assert torch.equal(before[:5], after[:5])
        assert not torch.equal(before[5], after[5])


def test_a_frame_is_forgotten_after_the_context() -> None:
    network, images = network_with(2), film()
    changed = images.clone()
    changed[3] = film(1, seed=2)[0]
    differs = (frame_by_frame(network, images) - frame_by_frame(network, changed)).abs().amax(
        dim=(1, 2, 3)
    ) > 1e-6
    assert differs.tolist() == [t in (3, 4, 5) for t in range(FRAMES)]


def test_an_untaught_context_and_an_empty_past_change_nothing() -> None:
    images = film()
    single = network_with(0)(images)
    assert torch.equal(network_with(2, taught=False)(images), single)
    assert torch.equal(network_with(2)(images, clip_context(1)), single)
    assert not torch.equal(network_with(2)(images), single)


def test_a_second_draw_has_the_past_of_the_first() -> None:
    network, clip, again = network_with(2), film(5), film(2, seed=2)
    both = network(torch.cat([clip, again]), clip_context(5, [0, 3]))
    torch.testing.assert_close(both[:5], frame_by_frame(network, clip))
    torch.testing.assert_close(both[5:6], network(again[:1], clip_context(1)))
    torch.testing.assert_close(both[6:], frame_by_frame(network, torch.cat([clip[:3], again[1:]]))[3:])


def test_labeled_frames_see_every_kind_of_past_in_turn() -> None:
    now = torch.arange(1.0, 5.0)[:, None, None, None]  # (4, 1, 1, 1)
    seen = [random_context(turn)(now, 2).flatten(1).tolist() for turn in range(4)]
    assert seen[0] == [[0, 0], [2, 0], [3, 3], [3, 3]], "none, one, two frames like it; another's"
    assert [rows[0] for rows in seen] == [[0, 0], [1, 0], [1, 1], [4, 4]]
    assert self_context(now, 2).flatten(1).tolist() == [[1, 1], [2, 2], [3, 3], [4, 4]]


def test_the_losses_teach_the_context_and_a_seam_is_no_past() -> None:
    """Of a clip under two draws of noise, the second draw's first frame has an empty past."""
    torch.manual_seed(0)
    config = TrainConfig(
        network=replace(SMALL, context=2), optimiser=OptimiserConfig(freeze_backbone_steps=0)
    )
    network = PoseNetwork(config.network, 1, 3)
    assert network.context is not None
    torch.nn.init.normal_(network.context.expand.weight, std=10.0)
    module = PoseModule(network, SPEC, config, Terms([], []))
    images = film(8)
    affine = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    clip = ClipBatch(images[:4], affine, [0, 1, 2, 3], images[:4].clone(), (64, 48), Path(), 0)
    (inputs,) = module._predict_clip(clip)
    assert inputs.xy_again is not None
    torch.testing.assert_close(inputs.xy_again, inputs.xy, atol=1e-3, rtol=0)
    inputs.xy[2:].sum().backward()
    for name, parameter in network.context.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    grouped = {
        id(p) for group in module.configure_optimizers()["optimizer"].param_groups for p in group["params"]
    }
    assert grouped == {id(p) for p in network.parameters()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("context")
    network = _plain(network_with(2))
    write_onnx(network, SPEC, path / NETWORK)
    write_program(network, SPEC, path / PROGRAM)
    write_first_in_float32(path / NETWORK, SPEC, path / PRECISION_NETWORKS["mixed"])
    return path


PRECISIONS = [(name, p) for name, cls in engines().items() for p in cls.precisions() if p != "int8"]
PRECISIONS = [(name, p) for name, p in PRECISIONS if hasattr(engines()[name], "advance")]


@pytest.mark.parametrize(("backend", "precision"), PRECISIONS)
def test_every_engine_goes_through_the_same_states(folder: Path, backend: str, precision: str) -> None:
    network, images = network_with(2), film()
    expected = whole_windows(network, images).numpy()
    engine = open_engine(backend, folder, SPEC, precision, 1)
    tolerance = (1e-4 if precision == "float32" else 0.05) * np.abs(expected).max()
    assert SPEC.context is not None
    context = np.zeros((1, *SPEC.context.shape), np.float32)
    first = engine.infer(images[:1].numpy()).copy()
    for image, maps in zip(images.numpy(), expected, strict=True):
        found = engine.advance(image[None], context)  # type: ignore[attr-defined]
        np.testing.assert_allclose(found[0], maps, atol=tolerance)
    np.testing.assert_array_equal(engine.infer(images[:1].numpy()), first)


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_sequences_in_one_call_keep_their_own_past(folder: Path, backend: str) -> None:
    network, one, two = network_with(2), film(seed=1), film(seed=2)
    engine = open_engine(backend, folder, SPEC, "float32", 1)
    assert SPEC.context is not None
    context = np.zeros((2, *SPEC.context.shape), np.float32)
    expected = torch.stack([whole_windows(network, one), whole_windows(network, two)], dim=1).numpy()
    for t, maps in enumerate(expected):
        found = engine.advance(np.stack([one[t].numpy(), two[t].numpy()]), context)  # type: ignore[attr-defined]
        np.testing.assert_allclose(found, maps, atol=1e-4 * np.abs(expected).max())


@pytest.mark.skipif("mixed" not in OpenVINOEngine.precisions(), reason="this processor has no bf16")
def test_the_first_convolutions_are_those_of_the_image(folder: Path) -> None:
    model = fold_constants(folder / NETWORK, SPEC)
    names = convolutions(model)
    first = next(op for op in model.get_ordered_ops() if op.get_friendly_name() == names[0])
    assert list(first.output(0).get_partial_shape().to_shape())[1:] == [16, 24, 32], "the stem, at stride 2"


def test_an_engine_without_states_is_refused() -> None:
    assert lacks_context(OpenVINOEngine, SPEC) is None
    reason = lacks_context(TensorRTEngine, SPEC)
    assert reason is not None
    assert re.search(r"cannot run a network that sees past frames; .*torch.* can", reason)
    assert lacks_context(TensorRTEngine, replace(SPEC, context=None)) is None


def test_the_memory_of_a_step_heeds_it() -> None:
    without, with_it = (
        step_memory(network_with(n).requires_grad_(True), input_spec(replace(SMALL, context=n), 1))
        for n in (0, 4)
    )
    assert with_it.per_frame > without.per_frame
    assert with_it.fixed > without.fixed


def test_contradictions_are_found_before_the_first_step() -> None:
    config = TrainConfig(network=replace(SMALL, context=-1))
    with pytest.raises(UserError, match=r"network\.context: expected 0 to 16 past frames, got -1"):
        check(config)
    losses = {"heatmap_kl": LossConfig(), "temporal": LossConfig()}
    config = TrainConfig(network=replace(SMALL, context=4), losses=losses, videos=["v"], clip_length=4)
    with pytest.raises(UserError, match=r"clip_length: expected more than the 4 past frames"):
        check(config)
