"""Cameras through Aravis: its simulated GigE Vision camera as a process, and the one in its library."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.gige_camera import (
    SERIAL,
    GigeCamera,
    gige_camera,
    gige_options,
    listed_once,
    why_no_aravis,
    why_no_gige,
)
from support.patience import PATIENCE_S, assert_below

import rigs
from rigs.cameras import aravis
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.drivers import (
    NO_FRAME_YET,
    Camera,
    CameraFault,
    DriverContext,
    cameras,
    make_camera,
)
from rt_pose.errors import UserError
from rt_pose.loop.capture import CaptureThread
from rt_pose.loop.frame_ring import FrameRing
from rt_pose.loop.latest_frames import LatestFrames
from rt_pose.records import NoSink
from rt_pose.types import CameraInfo, FrameStamps

rigs.register()
CLOCK = HostClock()
needs_gige = pytest.mark.skipif(bool(why_no_gige()), reason=why_no_gige() or "-")
needs_aravis = pytest.mark.skipif(bool(why_no_aravis()), reason=why_no_aravis() or "-")


@pytest.fixture
def plugged() -> Iterator[GigeCamera]:
    with gige_camera() as device:
        yield device


@pytest.fixture
def known(plugged: GigeCamera) -> Iterator[GigeCamera]:
    """The camera, for which the network is searched once in all tests that are not about that."""
    with listed_once():
        yield plugged


@pytest.fixture
def inside() -> Iterator[None]:
    """The camera inside the library is in its list, and the network is not searched anew."""
    with listed_once(fake_serial()):
        yield


@pytest.fixture
def opened() -> Iterator[Callable[..., tuple[Camera, CameraInfo]]]:
    """Makes and opens cameras, and closes them in the end."""
    made: list[Camera] = []

    def open_one(**options: Any) -> tuple[Camera, CameraInfo]:
        camera = make_camera("top", "aravis", options, DriverContext(CLOCK))
        made.append(camera)
        return camera, camera.open()

    yield open_one
    for camera in made:
        camera.close()


def begin(camera: Camera) -> None:
    camera.arm()
    camera.start()


def buffer_for(info: CameraInfo) -> NDArray[np.uint8]:
    return np.zeros((info.height, info.width, info.channels), np.uint8)


def frames(camera: Camera, image: NDArray[np.uint8], count: int) -> list[FrameStamps]:
    """The stamps of so many whole frames."""
    stamps: list[FrameStamps] = []
    for _ in range(20 * count):
        grabbed = camera.grab(image)
        assert grabbed is not None
        if isinstance(grabbed, FrameStamps):
            stamps.append(grabbed)
        if len(stamps) == count:
            break
    assert len(stamps) == count
    return stamps


def grab_on(camera: Camera, image: NDArray[np.uint8]) -> None:
    """Grab until the camera ends."""
    while camera.grab(image) is not None:
        pass


def simulated(**changes: Any) -> dict[str, Any]:
    """The camera inside the library, which loses nothing."""
    values = {
        "simulated": True,
        "serial": fake_serial(),
        "roi": [0, 0, 64, 48],
        "rate_hz": 100,
        "exposure_us": 100,
    }
    return values | changes


@cache
def fake_serial() -> str:
    from gi.repository import Aravis

    Aravis.enable_interface("Fake")
    Aravis.update_device_list()
    for i in range(Aravis.get_n_devices()):
        if Aravis.get_device_protocol(i) == "Fake":
            return Aravis.get_device_serial_nbr(i) or Aravis.get_device_id(i)
    raise AssertionError("Aravis has no simulated camera")


@needs_gige
def test_it_is_found_by_its_serial_number(plugged: GigeCamera) -> None:
    (found,) = [device for device in cameras()["aravis"].find() if device.serial == SERIAL]
    assert found.usable
    assert "Aravis" in found.description
    assert "127.0.0.1" in found.description


@needs_gige
def test_settings_are_read_back(plugged: GigeCamera, opened: Callable[..., Any]) -> None:
    _, info = opened(**gige_options(pixel_format="Mono8"))
    assert (info.serial, info.width, info.height, info.offset_xy) == (SERIAL, 160, 128, (8, 4))
    assert (info.channels, info.pixel_format, info.trigger) == (1, "Mono8", "free")
    assert info.rate_hz == pytest.approx(50.0, rel=0.01)
    assert (info.exposure_source, info.tick_hz, info.hardware) == ("device", 1e9, True)
    assert info.tested == "on an emulator"
    assert info.settings["exposure_us"] == {"asked": 2000, "actual": pytest.approx(2000, abs=1)}
    assert info.settings["roi"] == {"asked": [8, 4, 160, 128], "actual": [8, 4, 160, 128]}
    assert info.settings["pixel_format"] == {"asked": "Mono8", "actual": "Mono8"}


@needs_gige
def test_frames_come_whole_with_the_devices_own_times(known: GigeCamera, opened: Callable[..., Any]) -> None:
    camera, info = opened(**gige_options(rate_hz=100))
    image = buffer_for(info)
    before_ns = CLOCK.now_ns()
    begin(camera)
    stamps, seen = [], set()
    for _ in range(60):
        stamps += frames(camera, image, 1)
        assert np.ptp(image) > 50  # a gradient over the whole picture
        seen.add(image.tobytes())
    assert len(seen) > 30  # which moves
    for earlier, later in pairwise(stamps):
        assert later.index > earlier.index  # a reader that is late passes frames over
        assert later.t_device_ticks > earlier.t_device_ticks  # type: ignore[operator]
        assert later.t_exposure_ns is not None
        assert later.t_exposure_ns <= later.t_arrival_ns
        assert later.t_scene_ns > earlier.t_scene_ns
    # The device's seconds are the host's, however late this one takes its frames.
    first, last = stamps[0], stamps[-1]
    assert first.t_device_ticks is not None
    assert last.t_device_ticks is not None
    ticks = last.t_device_ticks - first.t_device_ticks
    assert ticks >= 0.95 * (last.index - first.index) * 10 * NS_PER_MS, "it is no faster than was asked"
    assert ticks <= last.t_arrival_ns - before_ns
    error_ns = first.clock_error_ns + last.clock_error_ns
    assert last.t_scene_ns - first.t_scene_ns == pytest.approx(ticks, rel=0.05, abs=error_ns)


@needs_aravis
@pytest.mark.usefixtures("inside")
def test_numbers_go_on_where_the_devices_begin_again(opened: Callable[..., Any]) -> None:
    """The simulated camera begins at 65401, and 65535 is followed by 1."""
    camera, info = opened(**simulated(rate_hz=500, grab="every"))
    image, counters = buffer_for(info), []
    pop = camera._device.pop  # type: ignore[attr-defined]

    def noting(timeout_s: float) -> Any:
        delivery = pop(timeout_s)
        counters.extend([] if delivery is None else [delivery.counter])
        return delivery

    camera._device.pop = noting  # type: ignore[attr-defined]
    begin(camera)
    stamps = frames(camera, image, 160)
    assert 0 not in counters
    assert max(counters) > 65_500
    assert min(counters) < 200
    passed = (counters[-1] - counters[0]) % 65535
    assert stamps[-1].index - stamps[0].index == passed, "and what was lost on the way is counted"
    assert stamps[0].index == 0


@needs_gige
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"serial": "NONE"}, rf"serial: no camera 'NONE' is connected; there are: .*{SERIAL}"),
        ({"exposure_us": 1.0, "rate_hz": None}, r"exposure_us must be between 10 and "),
        ({"roi": [0, 0, 9999, 128]}, r"roi: Width must be between 1 and \d+, got 9999"),
        ({"pixel_format": "Mono99"}, r"pixel_format: this camera has .*Mono8"),
        (
            {"trigger": "line", "trigger_source": "Line77"},
            r"trigger_source: this camera is triggered by .*'Line77'",
        ),
        ({"buffers": 1}, r"buffers must be between 2 and 1000"),
    ],
)
def test_what_it_cannot_do_is_one_message(
    known: GigeCamera, opened: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        opened(**gige_options(**options))


@needs_gige
def test_opened_again_after_close(known: GigeCamera, opened: Callable[..., Any]) -> None:
    camera, info = opened(**gige_options())
    for _ in range(2):
        begin(camera)
        assert frames(camera, buffer_for(info), 3)[0].index == 0
        camera.close()
        camera.close()
        info = camera.open()


@needs_gige
def test_one_that_is_open_elsewhere_is_said_to_be(known: GigeCamera, opened: Callable[..., Any]) -> None:
    opened(**gige_options())
    with pytest.raises(UserError, match=r"RTP7 cannot be opened: another program controls it"):
        opened(**gige_options())


@needs_gige
def test_the_program_triggers_as_often_as_it_says(known: GigeCamera, opened: Callable[..., Any]) -> None:
    camera, info = opened(**gige_options(trigger="software", rate_hz=20))
    assert (info.trigger, info.rate_hz) == ("software", 20)
    begin(camera)
    stamps = frames(camera, buffer_for(info), 20)
    lasted_ms = (stamps[-1].t_arrival_ns - stamps[0].t_arrival_ns) / NS_PER_MS
    assert lasted_ms > 19 * 50.0 - 100.0  # this camera answers a trigger within 40 ms
    assert_below(100.0, lambda: interval_ms(*frames(camera, buffer_for(info), 2)))


def interval_ms(earlier: FrameStamps, later: FrameStamps) -> float:
    return (later.t_arrival_ns - earlier.t_arrival_ns) / NS_PER_MS


@needs_gige
def test_a_trigger_that_does_not_come_is_no_fault(known: GigeCamera, opened: Callable[..., Any]) -> None:
    camera, info = opened(**gige_options(trigger="line", trigger_source="Line0", rate_hz=None))
    assert info.rate_hz is None
    begin(camera)
    assert [camera.grab(buffer_for(info)) for _ in range(2)] == [NO_FRAME_YET] * 2


@needs_gige
def test_stop_ends_a_wait_within_100_ms(known: GigeCamera, opened: Callable[..., Any]) -> None:
    def from_stop_to_end_ns() -> int:
        camera, info = opened(**gige_options(trigger="line", trigger_source="Line0", rate_hz=None))
        begin(camera)
        stopped_ns: list[int] = []

        def stop() -> None:
            stopped_ns.append(CLOCK.now_ns())
            camera.stop()

        timer = threading.Timer(0.4, stop)
        timer.start()
        grab_on(camera, buffer_for(info))
        ended_ns = CLOCK.now_ns()
        timer.join()
        assert camera.grab(buffer_for(info)) is None
        camera.close()
        return ended_ns - stopped_ns[0]

    assert_below(100 * NS_PER_MS, from_stop_to_end_ns)


@needs_aravis
@pytest.mark.usefixtures("inside")
def test_the_newest_frame_or_every_one(opened: Callable[..., Any]) -> None:
    gaps = {}
    for grab in ("latest", "every"):
        camera, info = opened(**simulated(grab=grab, buffers=500))
        image = buffer_for(info)
        begin(camera)
        first = frames(camera, image, 1)[0]
        CLOCK.sleep_until_ns(CLOCK.now_ns() + 200 * NS_PER_MS)
        gaps[grab] = frames(camera, image, 1)[0].index - first.index
        camera.close()
    assert gaps["latest"] >= 2  # of 20: the passed over ones are a gap in the numbers
    assert gaps["every"] == 1


@needs_gige
@pytest.mark.parametrize("resend", [True, False])
def test_every_frame_is_accounted_for_where_packets_are_lost(
    resend: bool, opened: Callable[..., Any]
) -> None:
    with gige_camera(lost_per_thousand=20):
        camera, info = opened(**gige_options(resend=resend, rate_hz=100))
        device, seen = camera._device, []  # type: ignore[attr-defined]
        pop = device.pop

        def noting(timeout_s: float) -> Any:
            delivery = pop(timeout_s)
            if delivery is not None:
                seen.append((delivery.counter, delivery.failure))
            return delivery

        device.pop = noting
        counts = captured(camera, info, whole=80)
        camera.close()
    assert {why for _, why in seen} - {"", "packets are missing", "it did not come whole in time"} == set()
    # A frame that lost its first packet bears no number of its own: whole ones say how many were sent.
    whole = [i for i, (_, why) in enumerate(seen) if not why]
    between = (seen[whole[-1]][0] - seen[whole[0]][0]) % 65535 + 1
    sent = whole[0] + between + len(seen) - 1 - whole[-1]
    assert counts.failed > 5
    # The one that comes while the thread is told to stop is nobody's any more.
    assert sent - (counts.captured + counts.failed + counts.device_gaps) in (0, 1)


def captured(camera: Camera, info: CameraInfo, whole: int) -> Any:
    """What a capture thread counted until so many whole frames had come."""
    ring, latest = FrameRing.create(info), LatestFrames(["top"])
    capture = CaptureThread(camera, ring, latest, CLOCK, NoSink, info=info)
    capture.start()
    try:
        for _ in range(1000):
            latest.take(0.05)
            if capture.counts.captured >= whole or latest.faults:
                break
    finally:
        capture.stop()
        assert capture.join(PATIENCE_S)
        latest.close()
        ring.close()
    assert not latest.faults
    return capture.counts


@needs_gige
def test_a_camera_that_is_killed_is_a_fault_before_its_library_gives_up(opened: Callable[..., Any]) -> None:
    with gige_camera() as device:
        camera, info = opened(**gige_options())
        image = buffer_for(info)
        begin(camera)
        frames(camera, image, 20)
        device.kill()
        killed_ns = CLOCK.now_ns()
        with pytest.raises(CameraFault, match=r"camera top: it (has not answered|no longer answers)"):
            grab_on(camera, image)
        assert CLOCK.now_ns() - killed_ns < 4 * NS_PER_S  # Aravis itself tries for six seconds
        asking = [thread for thread in threading.enumerate() if thread.name == "rt-pose-camera-answer"]
        for thread in asking:
            thread.join(PATIENCE_S)  # the library asks for some seconds more


@needs_gige
def test_a_camera_that_was_switched_off_and_on_is_a_fault(opened: Callable[..., Any]) -> None:
    with gige_camera() as device:
        camera, info = opened(**gige_options())
        begin(camera)
        frames(camera, buffer_for(info), 5)
        device.kill()
        device.start()
        # Where it was long in starting, it had not answered before.
        with pytest.raises(CameraFault, match=r"camera top: it (was switched off|has not answered)"):
            grab_on(camera, buffer_for(info))


@needs_gige
def test_a_camera_that_comes_back_goes_on(opened: Callable[..., Any]) -> None:
    """Killed in mid-run and started again: frames go on with new numbers; the interpreter is never held."""
    with gige_camera() as device:
        camera, info = opened(**gige_options())
        ring, latest = FrameRing.create(info), LatestFrames(["top"])
        capture = CaptureThread(camera, ring, latest, CLOCK, NoSink, info=info, reconnect_s=30.0)
        taken: list[FrameStamps] = []
        longest = LongestPause()

        def take_until(enough: Callable[[], bool]) -> None:
            until_ns = CLOCK.now_ns() + round(PATIENCE_S * NS_PER_S)
            while not enough():
                assert CLOCK.now_ns() < until_ns, (len(taken), latest.lost, latest.faults)
                for one in latest.take(0.05):
                    taken.append(one.frame.stamps)
                    latest.release(one)
                    latest.losses.clear()

        capture.start()
        try:
            take_until(lambda: len(taken) > 20)
            with longest:
                device.kill()
                take_until(lambda: bool(latest.lost))
                last = taken[-1]
                latest.losses.clear()
                device.start()
                before = len(taken)
                take_until(lambda: len(taken) > before + 20)
        finally:
            capture.stop()
            assert capture.join(PATIENCE_S)
            latest.close()
            ring.close()
    assert (capture.counts.losses, latest.lost, latest.faults) == (1, {}, {})
    assert taken[before].epoch == last.epoch + 1
    assert taken[before].index > last.index
    assert taken[before].t_scene_ns > last.t_scene_ns
    assert longest.ns < NS_PER_S  # the library itself waits for several


class LongestPause:
    """For how long a thread that wants to run every 2 ms could not: another held the interpreter."""

    def __init__(self) -> None:
        self.ns = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rt-pose-test-pause", daemon=True)

    def _run(self) -> None:
        last_ns = CLOCK.now_ns()
        while not self._stopping.wait(0.002):
            now_ns = CLOCK.now_ns()
            self.ns = max(self.ns, now_ns - last_ns)
            last_ns = now_ns

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()


@needs_aravis
@pytest.mark.usefixtures("inside")
def test_memory_stays_flat(opened: Callable[..., Any]) -> None:
    camera, info = opened(**simulated(rate_hz=1000, grab="every", roi=[0, 0, 256, 256]))
    image = buffer_for(info)
    begin(camera)
    frames(camera, image, 300)
    gc.collect()
    before = resident_bytes()
    frames(camera, image, 1500)
    assert resident_bytes() - before < 1 << 20
    assert len(camera._device._memory) == 10  # type: ignore[attr-defined]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@needs_aravis
@pytest.mark.usefixtures("inside")
def test_a_closed_camera_cannot_be_armed(opened: Callable[..., Any]) -> None:
    camera, _ = opened(**simulated())
    camera.close()
    with pytest.raises(CameraFault, match="camera top: it is not open"):
        begin(camera)


def test_a_usb_camera_that_may_not_be_opened_is_named_with_its_remedy(tmp_path: Path) -> None:
    for name, text in {
        "3-1:1.0/bInterfaceClass": "ef",
        "3-1:1.0/bInterfaceSubClass": "05",
        "3-1/busnum": "3",
        "3-1/devnum": "254",
        "3-1/serial": "CAM42",
        "3-1/product": "Blackfly",
        "3-2:1.0/bInterfaceClass": "03",
        "3-2:1.0/bInterfaceSubClass": "05",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{text}\n")
    (found,) = aravis.closed_usb_cameras(tmp_path)
    assert (found.serial, found.usable) == ("CAM42", False)
    assert found.description.startswith("Blackfly, USB3 Vision")
    assert "70-usb3vision.rules" in found.remedy


def test_what_is_missing_is_named_with_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aravis, "need", lambda extra: f"needs gi; `pip install 'rt-pose[{extra}]'`")
    (found,) = aravis.AravisCamera.find()
    assert not found.usable
    assert "pip install 'rt-pose[aravis]'" in found.remedy
    assert "apt install gir1.2-aravis-0.8" in found.remedy
    camera = make_camera("top", "aravis", {}, DriverContext(CLOCK))
    with pytest.raises(UserError, match=r"cameras\.top\.options: the driver 'aravis' needs gi"):
        camera.open()
