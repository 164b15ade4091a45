"""Cameras through a GenTL producer: the one of the standard's own package, which simulates three."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.gentl_producer import producer, why_no_producer
from support.patience import assert_below

import rigs
from rigs import gentl
from rigs.cameras import genicam
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.drivers import Camera, CameraFault, DriverContext, FoundDevice, cameras, make_camera
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo, FrameStamps

rigs.register()
CLOCK = HostClock()
SIZE = {"roi": [0, 0, 400, 400], "pixel_format": "RGBa8"}
needs_producer = pytest.mark.skipif(bool(why_no_producer()), reason=why_no_producer() or "-")


def find() -> list[FoundDevice]:
    found: list[FoundDevice] = cameras()["genicam"].find()
    return found


@pytest.fixture(scope="module")
def serials() -> list[str]:
    environment = {genicam.PATH_VARIABLE: str(Path(producer()).parent)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(genicam.PATH_VARIABLE, environment[genicam.PATH_VARIABLE])
        return [device.serial for device in find() if device.usable]


@pytest.fixture
def opened() -> Iterator[Callable[..., tuple[Camera, CameraInfo]]]:
    """Makes and opens cameras of one rig, and closes them in the end."""
    made: list[Camera] = []
    context = DriverContext(CLOCK)

    def open_one(name: str = "top", **options: Any) -> tuple[Camera, CameraInfo]:
        camera = make_camera(name, "genicam", {"producer": producer(), **SIZE, **options}, context)
        made.append(camera)
        return camera, camera.open()

    yield open_one
    for camera in made:
        camera.close()
    assert not gentl.LOADED


def frames(camera: Camera, info: CameraInfo, count: int) -> list[FrameStamps]:
    image = np.zeros((info.height, info.width, info.channels), np.uint8)
    stamps: list[FrameStamps] = []
    for _ in range(20 * count):
        grabbed = camera.grab(image)
        assert grabbed is not None
        if isinstance(grabbed, FrameStamps):
            assert np.ptp(image) > 0
            stamps.append(grabbed)
        if len(stamps) == count:
            break
    assert len(stamps) == count
    return stamps


@needs_producer
def test_its_three_cameras_are_found_by_serial_number(serials: list[str]) -> None:
    assert len(set(serials)) == 3


@needs_producer
def test_three_cameras_share_a_producer(serials: list[str], opened: Callable[..., Any]) -> None:
    rig = [opened(name, serial=serial) for name, serial in zip("abc", serials, strict=True)]
    assert [info.serial for _, info in rig] == serials
    for camera, _ in rig:
        camera.arm()
    for camera, _ in rig:
        camera.start()
    for camera, info in rig:
        assert (info.width, info.height, info.channels, info.pixel_format) == (400, 400, 3, "RGBa8")
        assert info.exposure_source == "unavailable"
        assert info.tick_hz is None
        assert info.hardware
        stamps = frames(camera, info, 10)
        for earlier, later in pairwise(stamps):
            assert later.index > earlier.index
            assert later.t_arrival_ns > earlier.t_arrival_ns
            assert later.t_exposure_ns is None
            assert later.t_device_ticks is None
    first, info = rig[0]
    first.close()
    assert frames(rig[1][0], rig[1][1], 3)  # the others are not disturbed
    first.open()
    first.arm()
    first.start()
    assert frames(first, info, 2)[0].index == 0


@needs_producer
def test_frames_come_at_the_devices_pace(serials: list[str], opened: Callable[..., Any]) -> None:
    camera, info = opened(serial=serials[0], grab="every")
    camera.arm()
    camera.start()
    frames(camera, info, 2)
    stamps = frames(camera, info, 16)
    lasted_s = (stamps[-1].t_arrival_ns - stamps[0].t_arrival_ns) / NS_PER_S
    assert lasted_s > 0.75 * 15 / 20, "no faster"

    def interval_ns() -> int:
        earlier, later = frames(camera, info, 2)
        return later.t_arrival_ns - earlier.t_arrival_ns

    assert_below(75 * NS_PER_MS, interval_ns)  # and not slower, where the machine lets it


@needs_producer
def test_stop_ends_a_wait_within_100_ms(serials: list[str], opened: Callable[..., Any]) -> None:
    def from_stop_to_end_ns() -> int:
        camera, info = opened(serial=serials[0])
        camera.arm()
        camera.start()
        image = np.zeros((info.height, info.width, info.channels), np.uint8)
        stopped_ns: list[int] = []

        def stop() -> None:
            stopped_ns.append(CLOCK.now_ns())
            camera.stop()

        timer = threading.Timer(0.33, stop)
        timer.start()
        while camera.grab(image) is not None:
            pass
        ended_ns = CLOCK.now_ns()
        timer.join()
        camera.close()
        return ended_ns - stopped_ns[0]

    assert_below(100 * NS_PER_MS, from_stop_to_end_ns)


@needs_producer
def test_other_threads_run_while_a_frame_is_waited_for(
    serials: list[str], opened: Callable[..., Any]
) -> None:
    """The library lets the interpreter go: the loop runs while the camera's thread waits."""
    camera, info = opened(serial=serials[0])
    camera.arm()
    camera.start()

    def longest_stop_ns() -> int:
        ended = threading.Event()

        def grab_on() -> None:
            frames(camera, info, 8)
            ended.set()

        thread = threading.Thread(target=grab_on, name="rt-pose-test-grab")
        thread.start()
        longest_ns, last_ns = 0, CLOCK.now_ns()
        while not ended.wait(0.002):
            now_ns = CLOCK.now_ns()
            longest_ns, last_ns = max(longest_ns, now_ns - last_ns), now_ns
        thread.join()
        return longest_ns

    assert_below(30 * NS_PER_MS, longest_stop_ns)


@needs_producer
def test_the_process_keeps_its_interrupt_and_its_warnings(
    serials: list[str], opened: Callable[..., Any]
) -> None:
    """Harvesters takes SIGINT for itself, and changes the filters of warnings, where it is let."""
    before = signal.getsignal(signal.SIGINT)
    filters = list(warnings.filters)
    camera, _ = opened(serial=serials[0])
    assert signal.getsignal(signal.SIGINT) is before
    camera.close()
    assert signal.getsignal(signal.SIGINT) is before
    assert list(warnings.filters) == filters


@needs_producer
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"serial": "NONE"}, r"serial: no camera 'NONE' is connected; there are: "),
        ({}, r"expected one camera, found 3 .*; say which with `serial:`"),
        ({"producer": "/nowhere/at.cti"}, r"producer: there is no file /nowhere/at\.cti"),
    ],
)
def test_what_cannot_be_is_one_message(
    options: dict[str, Any], message: str, opened: Callable[..., Any]
) -> None:
    with pytest.raises(UserError, match=rf"cameras\.top\.options: {message}"):
        opened(**options)


@needs_producer
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trigger": "software", "rate_hz": 10}, r"trigger: this camera takes none"),
        ({"pixel_format": "Mono99"}, r"pixel_format: this camera has .*RGBa8"),
        ({"gain_db": 3.0}, r"gain_db: this camera has no Gain"),
        ({"rate_hz": 1000}, r"rate_hz must be between"),
        ({"roi": [0, 0, 90, 400]}, r"roi: Width must be between 100 and 800"),
        ({"roi": [8, 0, 400, 400]}, r"roi: OffsetX of this camera is always 0, got 8"),
    ],
)
def test_what_the_camera_cannot_do_is_one_message(
    serials: list[str], options: dict[str, Any], message: str, opened: Callable[..., Any]
) -> None:
    with pytest.raises(UserError, match=rf"cameras\.top\.options: {message}"):
        opened(serial=serials[0], **options)


def test_a_file_that_is_no_producer_is_one_message(tmp_path: Path, opened: Callable[..., Any]) -> None:
    pytest.importorskip("harvesters")
    wrong = tmp_path / "wrong.cti"
    wrong.write_text("not a library")
    with pytest.raises(UserError, match=r"producer: .*wrong\.cti cannot be loaded"):
        opened(producer=str(wrong))


def test_a_producer_that_crashes_takes_nothing_else_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("harvesters")
    (tmp_path / "wrong.cti").write_text("not a library")
    monkeypatch.setenv(genicam.PATH_VARIABLE, str(tmp_path))
    (found,) = find()
    assert (found.usable, found.description) == (False, "wrong.cti")
    assert "cannot be loaded" in found.remedy
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crash))
    (found,) = find()
    assert not found.usable
    assert "ended with -11" in found.remedy


def test_what_is_missing_is_named_with_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(genicam.PATH_VARIABLE, raising=False)
    if not why_no_producer():
        (found,) = find()
        assert not found.usable
        assert "GENICAM_GENTL64_PATH" in found.remedy
    monkeypatch.setattr(genicam, "need", lambda extra: f"needs harvesters; `pip install 'rt-pose[{extra}]'`")
    (found,) = find()
    assert (found.usable, found.remedy) == (False, "pip install 'rt-pose[genicam]'")
    assert os.environ.get(genicam.PATH_VARIABLE) is None


def test_grab_before_open_is_a_fault() -> None:
    camera = make_camera("top", "genicam", {}, DriverContext(CLOCK))
    with pytest.raises(CameraFault, match="camera top: it is not open"):
        camera.grab(np.zeros((4, 4, 3), np.uint8))
