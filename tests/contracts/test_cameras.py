"""The suite over every registered camera driver."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.basler import EMULATED_SERIALS, emulated_cameras
from support.clip import write_clip
from support.frame_sender import sender
from support.free_port import free_address
from support.gentl_producer import producer, why_no_producer
from support.gige_camera import gige_camera, gige_options, listed_once, why_no_aravis, why_no_gige

import rigs
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.contracts.cameras import CameraCase, CameraContract, next_frame, started
from rt_pose.drivers import DriverContext, cameras, make_camera
from rt_pose.errors import UserError

rigs.register()
SENDER = free_address()


def _video(folder: Path) -> dict[str, Any]:
    return {"path": str(write_clip(folder / "clip.mkv")), "loop": True}


def _images(folder: Path) -> dict[str, Any]:
    images = folder / "images"
    images.mkdir(exist_ok=True)
    for index in range(12):
        image = np.full((48, 64), 10 * index, np.uint8)
        cv2.imwrite(str(images / f"frame{index}.png"), image)
    return {"path": str(images), "rate_hz": 100, "loop": True}


@contextmanager
def _unless(missing: str) -> Iterator[None]:
    """Skip a case whose part is not here."""
    if missing:
        pytest.skip(missing)
    yield


@contextmanager
def _gige() -> Iterator[None]:
    with _unless(why_no_gige()), gige_camera(), listed_once():
        yield


@contextmanager
def _fake() -> Iterator[None]:
    with _unless(why_no_aravis()), listed_once("1"):
        yield


def _gentl(folder: Path) -> dict[str, Any]:
    return {
        "producer": producer(),
        "serial": "0",
        "rate_hz": 50,
        "roi": [0, 0, 200, 100],
        "pixel_format": "Mono8",
    }


BASLER = {"serial": EMULATED_SERIALS[0], "rate_hz": 100, "exposure_us": 2000, "roi": [0, 0, 128, 96]}
SIMULATED = {"rate_hz": 100, "width": 64, "height": 48}
CASES: dict[str, CameraCase] = {
    "simulated": CameraCase(lambda folder: SIMULATED),
    "simulated with a clock of its own": CameraCase(
        lambda folder: {**SIMULATED, "drift_ppm": 50}, driver="simulated", regular=False
    ),
    "video": CameraCase(_video),
    "images": CameraCase(_images),
    "stream": CameraCase(
        lambda folder: {"source": "test:testsrc2", "rate_hz": 100, "size": [64, 48]}, regular=False
    ),
    "zmq": CameraCase(
        lambda folder: {"address": SENDER, "rate_hz": 100},
        around=lambda folder: sender(SENDER),
        regular=False,
    ),
    "aravis": CameraCase(
        lambda folder: {
            "simulated": True,
            "serial": "1",
            "roi": [0, 0, 64, 48],
            "rate_hz": 100,
            "exposure_us": 100,
        },
        around=lambda folder: _fake(),
        regular=False,
    ),
    "aravis over GigE Vision": CameraCase(
        lambda folder: gige_options(rate_hz=100),
        driver="aravis",
        around=lambda folder: _gige(),
        regular=False,
    ),
    "genicam": CameraCase(
        _gentl, rate_hz=50.0, around=lambda folder: _unless(why_no_producer()), regular=False
    ),
    "basler": CameraCase(lambda folder: BASLER, around=lambda folder: emulated_cameras(), regular=False),
    "basler by software trigger": CameraCase(
        lambda folder: {**BASLER, "trigger": "software"},
        driver="basler",
        around=lambda folder: emulated_cameras(),
        regular=False,
        counts=False,
    ),
}
"""How each driver is opened here, with its real part."""


class TestCameras(CameraContract):
    cases = CASES


def test_every_driver_is_in_the_suite() -> None:
    shown = {case.driver or name for name, case in CASES.items()}
    assert set(cameras()) == shown, "say in CASES of this file how the driver is opened in tests"


@pytest.mark.parametrize("driver", ["simulated", "video"])
def test_an_unknown_option_names_the_nearest(driver: str, tmp_path: Path) -> None:
    options = CASES[driver].options(tmp_path)
    with pytest.raises(UserError, match=r"cameras\.top\.options.*'rate_hzz', did you mean 'rate_hz'"):
        make_camera("top", driver, {**options, "rate_hzz": 1.0}, DriverContext(HostClock()))


@pytest.mark.parametrize("driver", ["simulated", "video"])
@pytest.mark.parametrize("rate_hz", [0.0, -5.0, float("nan"), float("inf")])
def test_an_impossible_rate_is_refused(driver: str, rate_hz: float, tmp_path: Path) -> None:
    options = {**CASES[driver].options(tmp_path), "rate_hz": rate_hz}
    with pytest.raises(UserError, match=r"rate_hz(: expected a number| must be between)"):
        make_camera("top", driver, options, DriverContext(HostClock()))


def test_an_unknown_driver_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"cameras\.top.*'simulate', did you mean 'simulated'"):
        make_camera("top", "simulate", {}, DriverContext(HostClock()))


def test_stop_is_heard_while_waiting_for_a_distant_frame() -> None:
    context = DriverContext(HostClock())
    camera = make_camera("top", "simulated", {"rate_hz": 0.1, "reaction_ms": 30_000.0}, context)
    _, image = started(camera)
    next_frame(camera, image)
    timer = threading.Timer(0.1, camera.stop)
    timer.start()
    before = context.clock.now_ns()
    assert camera.grab(image) is None
    assert context.clock.now_ns() - before < 5 * NS_PER_S  # of the 10 until the next frame
    timer.join()
    camera.close()
