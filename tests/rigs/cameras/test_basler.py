"""Basler's driver, over the cameras that Basler's library emulates."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.basler import EMULATED_SERIALS, TickingCamera, emulated_cameras
from support.patience import PATIENCE_S, assert_below

import rigs
from rigs.cameras.basler import BaslerCamera, library
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.contracts.cameras import next_frame, started
from rt_pose.drivers import NO_FRAME_YET, CameraFault, DriverContext, FailedFrame, make_camera
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo, FrameStamps

pytestmark = pytest.mark.usefixtures("emulator")
FIRST = EMULATED_SERIALS[0]
SMALL = {"serial": FIRST, "roi": [0, 0, 128, 96], "exposure_us": 2000.0, "rate_hz": 100.0}
Make = Callable[..., BaslerCamera]


@pytest.fixture(scope="module")
def emulator() -> Iterator[None]:
    with emulated_cameras():
        rigs.register()
        yield


@pytest.fixture
def make() -> Iterator[Make]:
    """A camera with the options of `SMALL`, changed; None leaves one out."""
    made: list[Any] = []

    def build(channels: int | None = None, **changes: Any) -> BaslerCamera:
        options = {key: value for key, value in (SMALL | changes).items() if value is not None}
        context = DriverContext(HostClock(), channels=channels)
        made.append(make_camera("top", "basler", options, context))
        return made[-1]

    yield build
    for camera in made:
        camera.close()


def features(camera: BaslerCamera) -> Any:
    """The emulated device's own features, for its faults."""
    return camera._device._camera  # type: ignore[union-attr]


def actual(info: CameraInfo) -> dict[str, Any]:
    return {name: setting["actual"] for name, setting in info.settings.items()}


def refused(camera: BaslerCamera) -> str:
    with pytest.raises(UserError) as error:
        camera.open()
    assert str(error.value).startswith("cameras.top.options: ")
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- which camera


def test_the_emulated_cameras_are_found_by_their_serials() -> None:
    found = [one for one in BaslerCamera.find() if "emulated" in one.description]
    assert [one.serial for one in found] == list(EMULATED_SERIALS)
    assert all(one.usable and one.driver == "basler" for one in found)


def test_without_the_variable_nothing_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYLON_CAMEMU")
    code = "from rigs.cameras.basler import BaslerCamera as B; print([f.serial for f in B.find()])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(EMULATED_SERIALS) & set(done.stdout.split("'"))


def test_registering_does_not_import_the_library() -> None:
    code = "import sys, rigs; rigs.register(); sys.exit(any(m.startswith('pypylon') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_camera_is_chosen_by_its_serial(make: Make) -> None:
    assert make(serial=EMULATED_SERIALS[1]).open().serial == EMULATED_SERIALS[1]
    assert "expected one camera, found 2 (0815-0000, 0815-0001)" in refused(make(serial=None))
    assert "no camera '0815-0007' is connected; there are: 0815-0000, 0815-0001" in refused(
        make(serial="0815-0007")
    )


def test_a_missing_library_is_one_line(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rt_pose.extras.installed", lambda module: module != "pypylon")
    assert "pip install 'rt-pose[basler]'" in refused(make())
    (found,) = BaslerCamera.find()
    assert (found.usable, found.remedy) == (False, "pip install 'rt-pose[basler]'")
    assert "pypylon" in found.description


# ---------------------------------------------------------------- settings


def test_settings_are_asked_and_read_back(make: Make) -> None:
    info = make(roi=[16, 8, 320, 240], exposure_us=4000.0, rate_hz=50.0).open()
    assert (info.width, info.height, info.offset_xy, info.channels) == (320, 240, (16, 8), 1)
    assert info.rate_hz == pytest.approx(50.0)
    assert info.settings["exposure_us"] == {"asked": 4000.0, "actual": pytest.approx(4000.0)}
    assert info.settings["roi"] == {"asked": [16, 8, 320, 240], "actual": [16, 8, 320, 240]}
    assert info.settings["pixel_format"] == {"asked": None, "actual": "Mono8"}
    assert info.settings["trigger"] == {"asked": "free", "actual": "free"}
    assert info.settings["gain_db"]["asked"] is None
    assert (info.exposure_source, info.tick_hz, info.hardware) == ("unavailable", None, False)
    assert (info.tested, info.trigger) == ("on an emulator", "free")


def test_without_a_roi_the_whole_sensor_is_taken(make: Make) -> None:
    info = make(roi=None).open()
    assert info.offset_xy == (0, 0)
    assert (info.width, info.height) == (4096, 4096)


def test_what_the_camera_cannot_do_is_refused_with_what_it_can(make: Make) -> None:
    assert "roi: Width must be between" in refused(make(roi=[0, 0, 100_000, 96]))
    assert "roi: OffsetX must be between" in refused(make(roi=[100_000, 0, 128, 96]))
    assert "pixel_format: this camera has Mono8" in refused(make(pixel_format="Mono9"))
    assert "trigger_source: this camera is triggered by Software" in refused(
        make(trigger="line", trigger_source="Line77")
    )
    assert "gain_db must be between" in refused(make(gain_db=99.0))


def test_a_rate_that_the_exposure_prevents_is_refused(make: Make) -> None:
    """The emulator itself says that it keeps such a rate, and does not."""
    assert "with exposures of 10000 us and this roi 100 frames a second come at most, got 200" in refused(
        make(exposure_us=None, rate_hz=200.0)
    )


def test_a_refused_camera_can_be_opened_again(make: Make) -> None:
    refused(make(pixel_format="Mono9"))
    camera = make()
    started(camera)
    assert isinstance(next_frame(camera, np.zeros((96, 128, 1), np.uint8)), FrameStamps)


def test_the_network_decides_on_colour(make: Make) -> None:
    assert make(channels=3).open().channels == 3
    assert make(channels=1).open().channels == 1


# ---------------------------------------------------------------- frames


def test_frames_come_at_the_rate_with_consecutive_numbers(make: Make) -> None:
    camera = make(grab="every")
    _, image = started(camera)
    stamps = [next_frame(camera, image) for _ in range(60)]
    assert [s.index for s in stamps] == list(range(60))
    took_s = (stamps[-1].t_arrival_ns - stamps[0].t_arrival_ns) / NS_PER_S
    assert took_s > 0.9 * 0.59 - 0.1, "faster only for as many as wait in the buffers"
    assert_below(15.0, lambda: interval_ms(*(next_frame(camera, image) for _ in range(2))))
    assert all(s.t_exposure_ns is None and s.t_device_ticks is None and s.epoch == 0 for s in stamps)


def interval_ms(earlier: FrameStamps, later: FrameStamps) -> float:
    return (later.t_arrival_ns - earlier.t_arrival_ns) / NS_PER_MS


def test_numbers_begin_again_with_each_start(make: Make) -> None:
    camera = make(grab="every")
    for _ in range(2):
        _, image = started(camera)
        assert [next_frame(camera, image).index for _ in range(5)] == [0, 1, 2, 3, 4]
        camera.close()


def picture(folder: Path) -> np.ndarray:
    """A picture whose every pixel is known, (96, 128, 3) RGB, as the file `picture.png` of a folder."""
    random = np.random.default_rng(3)
    image = random.integers(0, 256, (96, 128, 3), np.uint8)
    cv2.imwrite(str(folder / "picture.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return image


def show(camera: BaslerCamera, folder: Path) -> None:
    """Let the emulated camera see the pictures of a folder."""
    node = features(camera)
    node.TestImageSelector.Value = "Off"
    node.ImageFilename.Value = str(folder)
    node.ImageFileMode.Value = "On"


@pytest.mark.parametrize("name", ["RGB8Packed", "BGR8Packed", "BGRA8Packed"])
def test_colours_arrive_in_their_order(make: Make, tmp_path: Path, name: str) -> None:
    expected = picture(tmp_path)
    camera = make(pixel_format=name)
    info = camera.open()
    show(camera, tmp_path)
    camera.start()
    image = np.zeros((info.height, info.width, info.channels), np.uint8)
    next_frame(camera, image)
    assert (image == expected).all()


def test_deeper_pixels_are_shifted_and_the_session_says_so(make: Make, tmp_path: Path) -> None:
    info = make(pixel_format="Mono16").open()
    assert info.channels == 1
    assert actual(info)["shift_bits"] == 8
    deep, plain = make(pixel_format="Mono16"), make()
    images = []
    for camera in (deep, plain):
        camera.open()
        picture(tmp_path)
        show(camera, tmp_path)
        camera.start()
        images.append(np.zeros((96, 128, 1), np.uint8))
        next_frame(camera, images[-1])
        camera.close()
    assert (images[0] == images[1]).all()
    assert images[0].std() > 10


def test_a_late_reader_is_passed_over_or_waited_for(make: Make) -> None:
    clock = HostClock()
    indices = {}
    for mode in ("latest", "every"):
        camera = make(grab=mode)
        _, image = started(camera)
        first = next_frame(camera, image)
        clock.sleep_until_ns(first.t_arrival_ns + 150 * NS_PER_MS)
        indices[mode] = [s.index - first.index for s in (next_frame(camera, image) for _ in range(3))]
        camera.close()
    assert indices["latest"][0] >= 2  # of 15
    assert indices["every"] == [1, 2, 3]


def test_a_failed_frame_is_told_and_the_camera_goes_on(make: Make) -> None:
    camera = make(grab="every")
    _, image = started(camera)
    next_frame(camera, image)
    features(camera).ForceFailedBufferCount.Value = 2
    features(camera).ForceFailedBuffer.Execute()
    seen = []
    while len(seen) < 30:
        grabbed = camera.grab(image)
        seen += [] if grabbed is NO_FRAME_YET else [grabbed]
    failed = [one for one in seen if isinstance(one, FailedFrame)]
    whole = [one for one in seen if isinstance(one, FrameStamps)]
    assert len(failed) == 2
    assert all("incompletely" in one.reason and one.count == 1 for one in failed)
    assert len(whole) == 28
    assert sorted(one.index for one in (*failed, *whole)) == list(range(1, 31))


def test_the_pixels_are_copied_once(make: Make) -> None:
    """A mark that is put into the library's own buffer arrives, and no memory of a frame's size is taken."""
    pylon, _ = library()
    camera = make(roi=[0, 0, 1024, 1040], rate_hz=20.0, exposure_us=1000.0)
    info, image = started(camera)
    addresses = []

    class Marking(pylon.ImageEventHandler):  # type: ignore[misc]
        def OnImageGrabbed(self, camera: Any, result: Any) -> None:  # noqa: N802
            view = result.GetImageMemoryView()
            raw = np.ndarray((info.height, info.width), np.uint8, view)
            raw.setflags(write=True) if not raw.flags.writeable else None
            raw[100, 200:208] = np.frombuffer(b"a mark!!", np.uint8)
            addresses.append(raw.ctypes.data)
            del raw
            view.release()

    handler = Marking()
    features(camera).RegisterImageEventHandler(handler, pylon.RegistrationMode_Append, pylon.Cleanup_None)
    next_frame(camera, image)
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        next_frame(camera, image)
        taken = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
        features(camera).DeregisterImageEventHandler(handler)
    assert image[100, 200:208, 0].tobytes() == b"a mark!!"
    assert addresses
    assert image.ctypes.data not in addresses
    assert taken < image.nbytes / 20


# ---------------------------------------------------------------- triggers


def test_software_triggers_pace_the_camera(make: Make) -> None:
    camera = make(trigger="software", rate_hz=40.0)
    info, image = started(camera)
    assert (info.trigger, info.rate_hz) == ("software", 40.0)
    assert actual(info)["trigger"] == "software"
    stamps = [next_frame(camera, image) for _ in range(40)]
    assert [s.index for s in stamps] == list(range(40))
    took_s = (stamps[-1].t_arrival_ns - stamps[0].t_arrival_ns) / NS_PER_S
    assert took_s > 0.95 * 39 / 40
    assert_below(40.0, lambda: interval_ms(*(next_frame(camera, image) for _ in range(2))))


def test_a_late_program_asks_for_no_frames_of_the_past(make: Make) -> None:
    clock, camera = HostClock(), make(trigger="software", rate_hz=50.0, grab="every")
    _, image = started(camera)
    next_frame(camera, image)
    clock.sleep_until_ns(clock.now_ns() + 200 * NS_PER_MS)
    stamps = [next_frame(camera, image) for _ in range(12)]
    assert [s.index for s in stamps] == list(range(1, 13))
    took_ms = (stamps[-1].t_arrival_ns - stamps[1].t_arrival_ns) / NS_PER_MS
    assert took_ms > 7.5 * 20  # ten periods: not one after the other, to catch up


def test_without_a_trigger_there_is_no_frame_yet(make: Make) -> None:
    clock, camera = HostClock(), make(trigger="line", trigger_source="Line1")
    info, image = started(camera)
    assert (info.rate_hz, info.trigger, actual(info)["trigger"]) == (None, "line", "line (Line1)")
    before = clock.now_ns()
    assert camera.grab(image) is NO_FRAME_YET
    assert clock.now_ns() - before > 100 * NS_PER_MS


@pytest.mark.parametrize("options", [{"trigger": "line"}, {"trigger": "software", "rate_hz": 0.1}, {}])
def test_stop_is_heard_within_100_ms(make: Make, options: dict[str, Any]) -> None:
    clock = HostClock()

    def from_stop_to_end_ns() -> int:
        camera = make(**options)
        _, image = started(camera)
        ended_ns: list[int] = []

        def grab_on() -> None:
            while camera.grab(image) is not None:
                pass
            ended_ns.append(clock.now_ns())

        thread = threading.Thread(target=grab_on, name="rt-pose-test-grab")
        thread.start()
        clock.sleep_until_ns(clock.now_ns() + 120 * NS_PER_MS)
        stopped_ns = clock.now_ns()
        camera.stop()
        thread.join(PATIENCE_S)
        camera.close()
        return ended_ns[0] - stopped_ns

    assert_below(100 * NS_PER_MS, from_stop_to_end_ns)


def test_waiting_for_a_frame_leaves_other_threads_alone(make: Make) -> None:
    clock, camera = HostClock(), make(trigger="line")
    _, image = started(camera)

    def times_stood() -> int:
        thread = threading.Thread(target=camera.grab, args=(image,), name="rt-pose-test-grab")
        thread.start()
        stood, last_ns = 0, clock.now_ns()
        while thread.is_alive():
            now = clock.now_ns()
            stood, last_ns = stood + (now - last_ns > 40 * NS_PER_MS), now
        thread.join()
        return stood

    assert_below(3, times_stood)  # of the five waits of 50 ms that the library is asked for


# ---------------------------------------------------------------- faults


def test_a_device_that_is_gone_is_a_fault_and_comes_back(make: Make) -> None:
    camera = make()
    _, image = started(camera)
    next_frame(camera, image)
    features(camera).DestroyDevice()
    with pytest.raises(CameraFault, match="camera top: "):
        camera.grab(image)
    camera.close()
    started(camera)
    assert next_frame(camera, image).index == 0


def test_a_camera_that_was_not_started_is_a_fault(make: Make) -> None:
    camera = make()
    with pytest.raises(CameraFault, match="camera top: it is not open"):
        camera.start()
    camera.open()
    with pytest.raises(CameraFault, match="was it started"):
        camera.grab(np.zeros((96, 128, 1), np.uint8))


# ---------------------------------------------------------------- what the emulator has not: a clock


def test_ticks_of_a_real_camera_are_mapped_and_its_numbers_wrap(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulated frames, with the stamps and block numbers that a GigE camera would put on them."""
    ticking = TickingCamera(tick_hz=125e6, first_block=65_530)
    ticking.take_the_place_of_the_emulated(monkeypatch)
    camera = make(grab="every")
    info, image = started(camera)
    assert (info.exposure_source, info.tick_hz) == ("device", 125e6)
    stamps = [next_frame(camera, image) for _ in range(40)]
    assert 1 in ticking.blocks
    assert 0 not in ticking.blocks
    assert [s.index for s in stamps] == list(range(40))
    assert [s.t_device_ticks for s in stamps] == ticking.ticks
    for stamp in stamps:
        assert stamp.t_exposure_ns is not None
        assert stamp.t_exposure_ns <= stamp.t_arrival_ns
    steps = [b.t_scene_ns - a.t_scene_ns for a, b in pairwise(stamps)]
    assert min(steps) > 0
