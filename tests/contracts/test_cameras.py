"""One suite over every registered camera driver."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.clip import write_clip

import rigs
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.drivers import Camera, CameraFault, DriverContext, cameras, make_camera
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo, FrameStamps

rigs.register()


def _video(folder: Path) -> dict[str, Any]:
    return {"path": str(write_clip(folder / "clip.mkv")), "loop": True}


OPTIONS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "simulated": lambda folder: {"rate_hz": 100, "width": 64, "height": 48},
    "video": _video,
}
"""How each driver is opened here, at 100 frames a second and without end. A driver that needs hardware
belongs in `HARDWARE` instead."""
HARDWARE: set[str] = set()


@pytest.fixture(params=sorted(set(cameras()) - HARDWARE))
def camera(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Camera]:
    driver = request.param
    assert driver in OPTIONS, (
        f"say in OPTIONS of this file how the camera driver '{driver}' is opened in tests"
    )
    made = make_camera("top", driver, OPTIONS[driver](tmp_path), DriverContext(HostClock(), seed=7))
    yield made
    made.close()


def buffer_for(info: CameraInfo) -> NDArray[np.uint8]:
    return np.zeros((info.height, info.width, info.channels), np.uint8)


def grab(camera: Camera, into: NDArray[np.uint8]) -> FrameStamps:
    stamps = camera.grab(into)
    assert stamps is not None
    return stamps


def test_info_describes_what_comes(camera: Camera) -> None:
    info = camera.open()
    assert info.name == "top"
    assert info.driver in cameras()
    assert info.width > 0
    assert info.height > 0
    assert info.channels in (1, 3)
    assert info.rate_hz == pytest.approx(100.0)


def test_stamps_rise_and_agree(camera: Camera) -> None:
    clock = HostClock()
    image = buffer_for(camera.open())
    before = clock.now_ns()
    stamps = [grab(camera, image) for _ in range(30)]
    after = clock.now_ns()
    for earlier, later in pairwise(stamps):
        assert later.index > earlier.index
        assert later.t_arrival_ns > earlier.t_arrival_ns
        assert later.t_scene_ns > earlier.t_scene_ns
        assert later.epoch in (earlier.epoch, earlier.epoch + 1)
    for stamp in stamps:
        assert before <= stamp.t_arrival_ns <= after
        if stamp.t_exposure_ns is not None:
            assert before <= stamp.t_exposure_ns <= stamp.t_arrival_ns


def test_scene_time_advances_by_the_frames_that_passed(camera: Camera) -> None:
    image = buffer_for(camera.open())
    stamps = [grab(camera, image) for _ in range(8)]
    for earlier, later in pairwise(stamps):
        passed = (later.index - earlier.index) * 10 * NS_PER_MS
        assert abs(later.t_scene_ns - earlier.t_scene_ns - passed) <= 1 * NS_PER_MS


def test_the_whole_buffer_is_written(camera: Camera) -> None:
    info = camera.open()
    image = buffer_for(info)
    untouched = np.ones(image.shape, bool)
    for _ in range(4):
        image[:] = 1  # darker than anything that these cameras show
        grab(camera, image)
        untouched &= image == 1
    assert not untouched.any()


def test_a_late_reader_gets_a_recent_frame_and_a_gap(camera: Camera) -> None:
    clock = HostClock()
    image = buffer_for(camera.open())
    first = grab(camera, image)
    clock.sleep_until_ns(first.t_arrival_ns + 80 * NS_PER_MS)
    late = grab(camera, image)
    assert late.index >= first.index + 7
    assert (
        late.t_exposure_ns is None or first.t_exposure_ns is None or late.t_exposure_ns > first.t_exposure_ns
    )


def test_truth_has_the_shape_of_one_pose_a_frame(camera: Camera) -> None:
    image = buffer_for(camera.open())
    stamps = grab(camera, image)
    truth = camera.truth(stamps.index)
    if truth is not None:
        xy, visible = truth
        assert xy.shape == (*visible.shape, 2)
        assert xy.ndim == 3
        assert visible.dtype == bool
        assert np.isfinite(xy[visible]).all()


def test_open_again_after_close(camera: Camera) -> None:
    for _ in range(2):
        image = buffer_for(camera.open())
        assert grab(camera, image).index < grab(camera, image).index
        camera.close()
        camera.close()


def test_grab_before_open_is_a_fault(camera: Camera) -> None:
    with pytest.raises(CameraFault, match="top"):
        camera.grab(np.zeros((48, 64, 1), np.uint8))


def test_stop_from_another_thread_ends_grab(camera: Camera) -> None:
    image = buffer_for(camera.open())
    ended = threading.Event()

    def grab_on() -> None:
        while camera.grab(image) is not None:
            pass
        ended.set()

    thread = threading.Thread(target=grab_on, name="rt-pose-test-grab")
    thread.start()
    camera.stop()
    thread.join(timeout=2.0)
    assert ended.is_set()
    assert camera.grab(image) is None


def test_a_stopped_camera_opens_again(camera: Camera) -> None:
    camera.open()
    camera.stop()
    camera.close()
    assert camera.grab(buffer_for(camera.open())) is not None


@pytest.mark.parametrize("driver", sorted(OPTIONS))
def test_an_unknown_option_names_the_nearest(driver: str, tmp_path: Path) -> None:
    options = OPTIONS[driver](tmp_path)
    with pytest.raises(UserError, match=r"cameras\.top\.options.*'rate_hzz', did you mean 'rate_hz'"):
        make_camera("top", driver, {**options, "rate_hzz": 1.0}, DriverContext(HostClock()))


@pytest.mark.parametrize("driver", sorted(OPTIONS))
@pytest.mark.parametrize("rate_hz", [0.0, -5.0, float("nan"), float("inf")])
def test_an_impossible_rate_is_refused(driver: str, rate_hz: float, tmp_path: Path) -> None:
    options = {**OPTIONS[driver](tmp_path), "rate_hz": rate_hz}
    with pytest.raises(UserError, match="rate_hz must be between"):
        make_camera("top", driver, options, DriverContext(HostClock()))


def test_an_unknown_driver_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"cameras\.top.*'simulate', did you mean 'simulated'"):
        make_camera("top", "simulate", {}, DriverContext(HostClock()))


def test_stop_is_heard_while_waiting_for_a_distant_frame() -> None:
    context = DriverContext(HostClock())
    camera = make_camera("top", "simulated", {"rate_hz": 0.1, "reaction_ms": 30_000.0}, context)
    image = buffer_for(camera.open())
    grab(camera, image)
    timer = threading.Timer(0.1, camera.stop)
    timer.start()
    before = context.clock.now_ns()
    assert camera.grab(image) is None
    assert context.clock.now_ns() - before < 2 * NS_PER_S
    timer.join()
    camera.close()
