from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from support.clip import HEIGHT, WIDTH, write_clip
from support.tiny_package import make_tiny_package

from bench.reference import (
    AlternatingCamera,
    AlternatingOptions,
    BareBlock,
    BareEngine,
    EngineKey,
    neighbouring_p50,
    pooled,
    read_blocks,
)
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext

BLOCKS = [
    BareBlock(0, 10, [1.0, 1.0, 9.0], [2.0]),
    BareBlock(100, 110, [3.0, 3.0, 3.0], [4.0]),
    BareBlock(200, 210, [5.0, 5.0, 5.0], [8.0]),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> EngineKey:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path, keypoints=2)
    return EngineKey(str(path), "openvino", "float32", 1)


def test_a_frame_is_held_against_the_bare_blocks_around_it() -> None:
    t = np.array([50.0, 150.0, 199.0])
    assert neighbouring_p50(BLOCKS, t, "paced_ms").tolist() == [2.0, 4.0, 4.0]
    assert neighbouring_p50(BLOCKS, t, "back_to_back_ms").tolist() == [3.0, 6.0, 6.0]


def test_one_bare_block_serves_every_frame() -> None:
    assert neighbouring_p50(BLOCKS[:1], np.array([-5.0, 500.0]), "paced_ms").tolist() == [1.0, 1.0]


def test_pooled_takes_every_block() -> None:
    assert pooled(BLOCKS, "back_to_back_ms") == [2.0, 4.0, 8.0]


def test_the_bare_engine_keeps_its_pace(engine: EngineKey) -> None:
    bare = BareEngine(engine.open(), HostClock())
    block = bare.block(100.0, 0.2, 0.2, threading.Event())
    assert len(block.paced_ms) == 20
    assert len(block.back_to_back_ms) > 5
    assert min(block.paced_ms + block.back_to_back_ms) > 0
    assert block.t_end_ns - block.t_start_ns >= 370 * NS_PER_MS


def test_a_stopped_bare_block_ends_early(engine: EngineKey) -> None:
    stopped = threading.Event()
    stopped.set()
    block = BareEngine(engine.open(), HostClock()).block(10.0, 60.0, 60.0, stopped)
    assert block.paced_ms == block.back_to_back_ms == []


def test_blocks_of_frames_alternate_with_blocks_of_the_bare_engine(tmp_path: Path, engine: EngineKey) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=12, rate_hz=100)
    results = tmp_path / "blocks.json"
    options = AlternatingOptions(
        str(clip), rate_hz=100.0, loop=True, engine=engine, blocks=2, block_frames=8, results=str(results)
    )
    options.paced_s, options.back_to_back_s = 0.1, 0.02
    options.skip_when_late = False  # a busy machine must not change what is checked
    camera = AlternatingCamera("top", options, DriverContext(HostClock()))
    camera.open()
    image = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    stamps = []
    while (found := camera.grab(image)) is not None:
        stamps.append(found)
    camera.close()
    assert [s.index for s in stamps] == list(range(16))
    bare = read_blocks(results)
    assert len(bare) == 3
    frames_ns = np.array([s.t_arrival_ns for s in stamps])
    for before, after, block in ((bare[0], bare[1], frames_ns[:8]), (bare[1], bare[2], frames_ns[8:])):
        assert before.t_end_ns < block.min()
        assert block.max() < after.t_start_ns
    # The pause is none of the frames' lateness: the pace goes on from where it stood.
    due = np.array([s.t_exposure_ns or 0 for s in stamps])
    assert np.allclose(np.diff(due[8:]), 10 * NS_PER_MS, atol=10)
    assert due[8] > bare[1].t_end_ns
