from __future__ import annotations

import numpy as np
import pytest
from support.from_log import frame_at, truth_at

import rigs
from rigs.cameras.simulated import SimulatedCamera
from rigs.simulated.options import SimulatedOptions
from rt_pose.clock import NS_PER_MS, FakeClock
from rt_pose.contracts.cameras import started
from rt_pose.drivers import CameraFault, DriverContext, make_camera, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command, FrameStamps

rigs.register()


def stimulus(number: int) -> Command:
    return Command(id=number, event_id=None, output="light", line=0, action="pulse")


def test_a_run_replays_exactly_from_its_log() -> None:
    clock = FakeClock(123_456_789)
    context = DriverContext(clock, seed=11)
    options = SimulatedOptions(width=160, height=128)
    camera = SimulatedCamera("top", options, context)
    output = make_output("light", "simulated", {}, context)
    camera.open()
    output.open()
    image = np.empty((128, 160, 1), np.uint8)
    logged, stimuli_us = [], []
    for i in range(120):
        stamps = camera.grab(image)
        assert stamps is not None
        truth = camera.truth(stamps.index)
        assert truth is not None
        logged.append((stamps.index, image.copy(), *truth))
        if i in (20, 40, 100):
            ack = output.send(stimulus(i))
            assert ack.t_device_us is not None
            stimuli_us.append(ack.t_device_us)
    assert [index for index, *_ in logged] == list(range(120))
    for index, pixels, xy, visible in logged[::9]:
        np.testing.assert_array_equal(pixels, frame_at(11, "top", options, index, stimuli_us))
        replayed = truth_at(11, options, index, stimuli_us)
        np.testing.assert_array_equal(xy, replayed[0])
        np.testing.assert_array_equal(visible, replayed[1])
    undisturbed, _ = truth_at(11, options, 110, [])
    assert np.abs(undisturbed - logged[110][2]).max() > 1.0
    camera.close()


def test_exposures_lie_on_the_grid_of_the_rate() -> None:
    clock = FakeClock(1_000_000_000)
    camera = SimulatedCamera("top", SimulatedOptions(rate_hz=50.0), DriverContext(clock))
    info = camera.open()
    image = np.empty((info.height, info.width, 1), np.uint8)
    stamps = [camera.grab(image) for _ in range(5)]
    assert [s.t_exposure_ns for s in stamps if s] == [1_000_000_000 + i * 20_000_000 for i in range(5)]
    assert all(s is not None and s.t_scene_ns == s.t_exposure_ns == s.t_arrival_ns for s in stamps)
    camera.close()


def test_a_late_reader_finds_the_newest_exposed_frame() -> None:
    clock = FakeClock()
    camera = SimulatedCamera("top", SimulatedOptions(rate_hz=50.0), DriverContext(clock))
    info = camera.open()
    image = np.empty((info.height, info.width, 1), np.uint8)
    indices = []
    for late_ms in (0.0, 15.0, 25.0, 110.0, 0.0):
        clock.advance_ms(late_ms)
        stamps = camera.grab(image)
        assert stamps is not None
        indices.append(stamps.index)
    # At 20 ms a frame: 15 ms are no loss; 25 ms after frame 1 it is at 45 ms; then at 150 ms.
    assert indices == [0, 1, 2, 7, 8]
    camera.close()


def test_it_ends_after_its_duration() -> None:
    camera = SimulatedCamera(
        "top", SimulatedOptions(duration_s=0.2, rate_hz=50.0), DriverContext(FakeClock())
    )
    info = camera.open()
    image = np.empty((info.height, info.width, 1), np.uint8)
    count = 0
    while camera.grab(image) is not None:
        count += 1
    assert count == 10
    camera.close()


def test_cameras_of_one_world_see_the_same_scene_at_the_same_time() -> None:
    context = DriverContext(FakeClock(), seed=2)
    cameras = [SimulatedCamera(name, SimulatedOptions(), context) for name in ("a", "b")]
    image = np.empty((256, 320, 1), np.uint8)
    for camera in cameras:
        camera.open()
    stamps = [camera.grab(image) for camera in cameras]
    assert stamps[0] is not None
    assert stamps[1] is not None
    assert stamps[0].t_exposure_ns == stamps[1].t_exposure_ns
    truths = [camera.truth(5) for camera in cameras]
    assert truths[0] is not None
    assert truths[1] is not None
    np.testing.assert_array_equal(truths[0][0], truths[1][0])
    for camera in cameras:
        camera.close()


def test_a_reaction_shorter_than_two_frames_is_refused() -> None:
    options = SimulatedOptions(rate_hz=60.0, reaction_ms=20.0)
    with pytest.raises(UserError, match=r"cameras\.top.*reaction_ms 20 is less than two frames.*33\.3"):
        SimulatedCamera("top", options, DriverContext(FakeClock()))


@pytest.mark.parametrize(
    ("action", "amplitude", "felt"),
    [
        ("pulse", 1.0, True),
        ("train", 0.5, True),
        ("level", 0.0, False),
        ("stop", 1.0, False),
        ("message", 1.0, False),
    ],
)
def test_what_the_animal_feels(action: str, amplitude: float, felt: bool) -> None:
    clock = FakeClock()
    context = DriverContext(clock, seed=1)
    camera = SimulatedCamera("top", SimulatedOptions(), context)
    camera.open()
    image = np.empty((256, 320, 1), np.uint8)
    camera.grab(image)
    output = make_output("light", "simulated", {"delay_ms": 3.0}, context)
    output.open()
    ack = output.send(Command(1, None, "light", 0, action, amplitude=amplitude))  # type: ignore[arg-type]
    assert ack.ok
    assert ack.t_sent_ns == 0
    assert ack.t_ack_ns == 3 * NS_PER_MS
    assert ack.t_device_us == 3000
    truth = camera.truth(30)
    assert truth is not None
    undisturbed, _ = truth_at(1, SimulatedOptions(), 30, [])
    assert (np.abs(truth[0] - undisturbed).max() > 0.0) is np.bool_(felt)
    camera.close()


def test_a_camera_that_is_unplugged_comes_back_when_it_may() -> None:
    clock = FakeClock()
    options = {"rate_hz": 100, "width": 64, "height": 48, "disconnect_s": 0.1, "gone_s": 0.5}
    camera = make_camera("top", "simulated", options, DriverContext(clock))
    _, image = started(camera)
    frames = [camera.grab(image) for _ in range(9)]
    assert None not in frames
    with pytest.raises(CameraFault, match="it was unplugged"):
        _ = [camera.grab(image) for _ in range(3)]
    with pytest.raises(UserError, match="it is unplugged"):
        camera.open()
    clock.advance_ms(600)
    camera.open()
    assert camera.grab(image) is not None
    camera.close()


def test_a_clock_of_its_own_is_mapped_to_the_hosts_and_truth_stays_with_its_frame() -> None:
    clock = FakeClock()
    options = {"rate_hz": 100, "width": 64, "height": 48, "drift_ppm": 100.0}
    camera = make_camera("top", "simulated", options, DriverContext(clock))
    exact = make_camera("top", "simulated", options | {"drift_ppm": None}, DriverContext(FakeClock()))
    info, image = started(camera)
    _, same = started(exact)
    assert (info.exposure_source, info.tick_hz) == ("device", 1e9)
    for _ in range(200):
        stamps, known = camera.grab(image), exact.grab(same)
        assert isinstance(stamps, FrameStamps)
        assert isinstance(known, FrameStamps)
        assert stamps.index == known.index
        assert stamps.t_exposure_ns is not None
        assert known.t_exposure_ns is not None
        assert stamps.t_device_ticks == round(known.index * 1e7 * (1 + 100e-6))
    assert abs(stamps.t_exposure_ns - known.t_exposure_ns) < 200_000
    camera.close()
    exact.close()
