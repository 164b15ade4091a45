"""What is held of past frames: when it is emptied, and that all parts of the program go through it alike."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.context_package import FRAMES, make_context_package
from support.discs import HEIGHT, KEYPOINTS, WIDTH, discs_at, write_discs
from support.tiny_package import disc_frame, make_tiny_package

import rigs
from rt_pose.audit.from_video import from_video
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.schema import CameraConfig, EngineConfig, PublishConfig, RunConfig, SafetyConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.engines.openvino import OpenVINOEngine
from rt_pose.inference.estimator import Estimator
from rt_pose.inference.temporal_context import Region, TemporalContext
from rt_pose.offline.predict import predict_video
from rt_pose.package import MANIFEST, InputSpec, Package, manifest_sha256, read_package, write_manifest
from rt_pose.session.read import Session
from rt_pose.session.run import run_session
from rt_pose.types import FloatArray
from train.quantisation.config import QuantiseConfig
from train.quantisation.quantise import quantise

FLOAT32 = EngineConfig(precision="float32", threads=1)
FRAME_NS = 10_000_000


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_context_package(tmp_path_factory.mktemp("context") / "package", KEYPOINTS)


@pytest.fixture(scope="module")
def estimator(package: Package) -> Estimator:
    return choose_engine(package, FLOAT32).estimator


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_discs(tmp_path_factory.mktemp("video") / "discs.mkv", 60)


def frame(index: int) -> np.ndarray:
    return disc_frame(discs_at(index), WIDTH, HEIGHT, 1, radius=16.0)


def full(spec: InputSpec, window: Region | None = None) -> TemporalContext:
    """A past that holds something, after frame 10 at 100 ms."""
    context = TemporalContext(spec).advance_to(10, 10 * FRAME_NS, 0, window)
    context.maps.fill(1.0)
    return context


WINDOW = (100, 60, 320, 256)
"""A cell of the held maps is 8 px of it."""


@pytest.mark.parametrize(
    ("stamps", "windows", "kept"),
    [
        ((11, 11 * FRAME_NS, 0), (None, None), True),
        ((14, 14 * FRAME_NS, 0), (None, None), True),
        ((15, 15 * FRAME_NS, 0), (None, None), False),
        ((11, 10 * FRAME_NS + NS_PER_S, 0), (None, None), True),
        ((11, 10 * FRAME_NS + NS_PER_S + 1, 0), (None, None), False),
        ((11, 11 * FRAME_NS, 1), (None, None), False),
        ((11, 9 * FRAME_NS, 0), (None, None), False),
        ((3, 11 * FRAME_NS, 0), (None, None), False),
        ((11, 11 * FRAME_NS, 0), (WINDOW, WINDOW), True),
        ((11, 11 * FRAME_NS, 0), (WINDOW, (104, 56, 320, 256)), True),
        ((11, 11 * FRAME_NS, 0), (WINDOW, (105, 60, 320, 256)), False),
        ((11, 11 * FRAME_NS, 0), (WINDOW, (100, 65, 320, 256)), False),
        ((11, 11 * FRAME_NS, 0), (WINDOW, (100, 60, 300, 256)), False),
        ((11, 11 * FRAME_NS, 0), (None, WINDOW), False),
        ((11, 11 * FRAME_NS, 0), (WINDOW, None), False),
    ],
    ids=[
        "the next frame",
        "three dropped",
        "four dropped",
        "a pause of a second",
        "a longer pause",
        "wound back",
        "a time that falls",
        "an index that falls",
        "a window that stays",
        "one that moves by half a cell",
        "one that moves further to the right",
        "one that moves further down",
        "one of another size",
        "the whole frame, then a window",
        "a window, then the whole frame",
    ],
)
def test_a_frame_that_does_not_follow_on_finds_the_past_empty(
    package: Package,
    stamps: tuple[int, int, int],
    windows: tuple[Region | None, Region | None],
    kept: bool,
) -> None:
    context = full(package.manifest.input, windows[0])
    assert context.advance_to(*stamps, windows[1]).maps.all() == kept
    assert context.maps.any() == kept
    assert context.resets == (not kept)
    context.maps.fill(1.0)
    after = (stamps[0] + 1, stamps[1] + FRAME_NS, stamps[2])
    assert context.advance_to(*after, windows[1]).maps.all(), "what follows on it finds it"


def test_without_context_there_is_nothing_to_empty() -> None:
    context = TemporalContext(InputSpec(64, 64, 1, [0.0], [1.0]))
    context.advance_to(10, 0)
    context.advance_to(3, 0, 1, WINDOW)
    assert context.resets == 0
    assert context.maps.size == 0


def test_a_hidden_disc_is_found_where_it_was_until_the_past_is_empty(estimator: Estimator) -> None:
    context, t = estimator.new_context(), FRAME_NS
    seen = estimator.estimate(frame(0), context=context.advance_to(0, 0)).xy[0]
    blank = np.full_like(frame(0), 10)
    for index in (1, 2):
        hidden = estimator.estimate(blank, context=context.advance_to(index, index * t))
        np.testing.assert_allclose(hidden.xy[0], seen, atol=0.5)
    sure = [estimator.estimate(blank, context=context.advance_to(3, 3 * t)).confidence.max()]
    estimator.estimate(frame(0), context=context.advance_to(4, 4 * t))
    sure.append(estimator.estimate(blank, context=context.advance_to(40, 40 * t)).confidence.max())
    assert max(sure) < 0.1, "frames further back, or before a gap, are no part of it"


def test_cameras_in_one_call_keep_their_own_past(estimator: Estimator) -> None:
    """Also where one of them is missing now and then."""
    alone = {name: estimator.new_context() for name in "ab"}
    together = {name: estimator.new_context() for name in "ab"}
    for i, cameras in enumerate(["ab", "b", "ab", "a", "ab"]):
        images = [frame(i + 20 * (name == "b")) for name in cameras]
        expected = [
            estimator.estimate(image, context=alone[name].advance_to(i, i))
            for image, name in zip(images, cameras, strict=True)
        ]
        contexts = [together[name].advance_to(i, i) for name in cameras]
        maps = estimator.infer(estimator.preprocess_all(images, [None] * len(images)), contexts)
        for row, one in enumerate(expected):
            found = estimator.decode(maps[row : row + 1], (WIDTH, HEIGHT))
            np.testing.assert_allclose(found.xy, one.xy, atol=1e-3)


def test_frames_that_are_no_sequence_have_themselves_as_their_past(estimator: Estimator) -> None:
    found = estimator.estimate_all([frame(0), frame(20)])
    for i, xy in zip((0, 20), found.xy, strict=True):
        still = estimator.estimate_sequence([frame(i)] * (FRAMES + 1)).xy[-1]
        np.testing.assert_array_equal(xy, still)
        assert np.linalg.norm(xy - discs_at(i), axis=1).max() < 3.0


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_the_golden_frames_prove_the_state(package: Package, backend: str) -> None:
    choice = choose_engine(package, replace(FLOAT32, backend=backend))
    assert choice.golden_px < 0.05


@pytest.mark.parametrize("fault", ["forgets", "out of order"])
def test_an_engine_that_loses_the_past_does_not_start(
    package: Package, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    right = OpenVINOEngine.advance

    def wrong(self: OpenVINOEngine, batch: np.ndarray, context: np.ndarray) -> np.ndarray:
        found = right(self, batch, context)
        context[:] = 0.0 if fault == "forgets" else context[:, ::-1].copy()
        return found

    monkeypatch.setattr(OpenVINOEngine, "advance", wrong)
    with pytest.raises(UserError, match="moves the golden keypoints"):
        choose_engine(package, FLOAT32)


def predicted(package: Package, video: Path, folder: Path) -> FloatArray:
    predict_video(package, video, folder / "poses.csv", FLOAT32)
    table = np.loadtxt(folder / "poses.csv", delimiter=",", skiprows=3)[:, 1:]
    return table.reshape(len(table), KEYPOINTS, 3)[..., :2]


def test_live_offline_and_the_film_agree(
    package: Package, estimator: Estimator, video: Path, tmp_path: Path
) -> None:
    config = RunConfig(
        model=str(package.path),
        cameras={"top": CameraConfig("video", {"path": str(video), "skip_when_late": False})},
        engine=FLOAT32,
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        safety=SafetyConfig(kill_after="60 s"),
        budget_ms=500.0,
        frames="every",
    )
    assert run_session(config, tmp_path / "session", rigs.register, HostClock()).ok
    session = Session.read(tmp_path / "session")
    live = np.stack([o.xy.array()[0] for o in session.observations])
    assert len(live) == 60
    offline = predicted(package, video, tmp_path)
    np.testing.assert_allclose(live, offline, atol=1e-3)
    lone = np.concatenate([estimator.estimate(frame(i)).xy for i in range(60)])
    behind = np.linalg.norm(live - lone, axis=-1)
    assert behind[0].max() < 0.01
    assert behind[1:].max() > 1.0, "the past matters"
    assert session.end is not None
    assert session.end.counts["cameras"]["top"]["context"] == {"emptied": 0}
    _, moved = from_video(session)
    assert moved.frames + moved.not_filmed == 60, (
        "a machine that is busy films not all, and counts the others"
    )
    assert moved.frames > 30
    assert moved.median_px is not None
    assert moved.median_px < 0.5 * np.median(behind[1:]), "H.264 moves discs, a lost past would move them on"


def test_two_predictions_are_equal_whatever_came_before(
    package: Package, video: Path, tmp_path: Path
) -> None:
    np.testing.assert_array_equal(predicted(package, video, tmp_path), predicted(package, video, tmp_path))


def test_an_older_reader_is_told_to_go(package: Package, tmp_path: Path) -> None:
    """It knows schema 1 alone, and would run the network without its past."""
    assert package.manifest.schema == 2
    assert json.loads((package.path / MANIFEST).read_text())["schema"] == 2
    assert make_tiny_package(tmp_path / "tiny").manifest.schema == 1


def test_an_older_package_still_loads(tmp_path: Path) -> None:
    """Its manifest says nothing of a context, but has a place for a recurrent state."""
    package = make_tiny_package(tmp_path / "tiny")
    plain = json.loads((package.path / MANIFEST).read_text())
    del plain["input"]["context"]
    plain |= {"recurrent": None, "sha256": ""}
    plain["sha256"] = manifest_sha256(plain)
    (package.path / MANIFEST).write_text(json.dumps(plain))
    assert read_package(package.path).manifest.input.context is None


def test_shapes_that_are_not_the_networks_are_refused(package: Package, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    shutil.copytree(package.path, folder)
    context = package.manifest.input.context
    assert context is not None
    spec = replace(package.manifest.input, context=replace(context, frames=3))
    other = write_manifest(folder, replace(package.manifest, input=spec))
    with pytest.raises(UserError, match=r"input 'past' \[1, 9, 32, 40\].*export the package again"):
        choose_engine(other, FLOAT32)


def test_int8_is_refused(package: Package) -> None:
    with pytest.raises(UserError, match="int8 is not made for a network that sees past frames"):
        quantise(QuantiseConfig(model=str(package.path), data=".", precisions=["int8"]))
