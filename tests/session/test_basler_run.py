"""A whole run on two cameras that Basler's library emulates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.basler import EMULATED_SERIALS, emulated_cameras
from support.live_run import run
from support.tiny_package import make_tiny_package

from rt_pose.audit.replay import replay
from rt_pose.config.build import load
from rt_pose.config.schema import PublishConfig, RecordConfig, RunConfig
from rt_pose.session.read import Session
from rt_pose.session.run import RunResult

RIG = Path(__file__).resolve().parents[2] / "configs" / "rigs" / "basler.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """The rig of `configs/rigs`, with a small model and frames that a busy machine can take."""
    folder = tmp_path_factory.mktemp("basler")
    make_tiny_package(folder / "package", keypoints=3)
    config = load(RunConfig, RIG)
    small = {
        name: replace(camera, options={**camera.options, "roi": [64, 32, 320, 256]})
        for name, camera in config.cameras.items()
    }
    config = replace(
        config,
        cameras=small,
        model=str(folder / "package"),
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        record=RecordConfig(video=True),
        seconds=2.5,
    )
    with emulated_cameras():
        return folder / "session", run(config, folder / "session")


def test_every_frame_is_accounted(finished: tuple[Path, RunResult]) -> None:
    out, result = finished
    assert (result.ok, result.status) == (True, "complete")
    session = Session.read(out)
    for name, counts in result.summary["cameras"].items():
        indices = [f.stamps.index for f in session.frames if f.camera == name]
        assert len(indices) == counts["captured"] > 20
        assert counts["captured"] == counts["processed"] + counts["superseded"] + counts["left_at_end"]
        delivered = indices[-1] - indices[0] + 1
        assert delivered == counts["captured"] + counts["device_gaps"] + counts["failed"]
        dropped = sum(d.count for d in session.drops if d.camera == name)
        assert dropped == delivered - counts["processed"]


def test_the_session_says_what_the_cameras_are(finished: tuple[Path, RunResult]) -> None:
    info = Session.read(finished[0]).info
    cameras = info.cameras
    assert info.prior_origins == dict.fromkeys(cameras, (64, 32))
    assert [camera.serial for camera in cameras.values()] == list(EMULATED_SERIALS)
    for camera in cameras.values():
        assert (camera.width, camera.height, tuple(camera.offset_xy)) == (320, 256, (64, 32))
        assert camera.settings["exposure_us"] == {"asked": 5000, "actual": 5000.0}
        assert (camera.exposure_source, camera.hardware) == ("unavailable", False)
        assert (camera.pixel_format, camera.tested) == ("Mono8", "on an emulator")


def test_no_time_of_exposure_is_invented(finished: tuple[Path, RunResult]) -> None:
    frames = Session.read(finished[0]).frames
    assert frames
    assert all(f.stamps.t_exposure_ns is None and f.stamps.t_device_ticks is None for f in frames)


def test_it_is_replayed_bit_for_bit(finished: tuple[Path, RunResult]) -> None:
    result = replay(finished[0])
    assert result.identical, result.differences
