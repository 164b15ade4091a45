"""The suite that every camera driver passes. Point it at your own:

    from rt_pose.contracts.cameras import CameraCase, CameraContract


    class TestMine(CameraContract):
        cases = {"mine": CameraCase(lambda folder: {"rate_hz": 100})}

The key is the name under which the driver is registered, or any other with `driver=`. A camera without a
clock of its own says `rate_hz=None`; what it cannot do at all is said in its case, and is then not asked of
it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.contracts.suite import Suite
from rt_pose.drivers import CONTRACT, Camera, CameraFault, DriverContext, cameras, make_camera
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo, FrameStamps

PATIENCE_S = 30.0
"""How long a frame may be in coming."""
FRAMES = 30
TRIES = 8
"""What a machine that is busy spoils comes about in one of so many tries."""


@dataclass(frozen=True)
class CameraCase:
    """How a driver is opened in the suite, and what its device cannot do."""

    options: Callable[[Path], dict[str, Any]]
    """The driver's options, given a folder for files."""
    rate_hz: float | None = 100.0
    """Frames a second; None where each frame waits for a trigger that the suite does not give."""
    driver: str = ""
    """Name of the driver, where several cases have the same."""
    around: Callable[[Path], AbstractContextManager[Any]] = lambda _: nullcontext()
    """What must be there while the camera is open: an emulator, a sender; `pytest.skip` inside it says why
    the case cannot run here."""
    regular: bool = True
    """Whether scene time advances by whole periods: so where the camera knows its exposures."""
    counts: bool = True
    """Whether frames that a late reader missed show as a gap in the index."""


class CameraContract(Suite):
    """The suite; a subclass whose name begins with Test, with `cases`, runs it."""

    cases: ClassVar[dict[str, CameraCase]] = {}

    @pytest.fixture
    def make(self, case: CameraCase, tmp_path: Path) -> Iterator[Callable[..., Camera]]:
        """Make the case's camera, with further options; what was made is closed at the end."""
        driver = self.driver_of(case)
        made: list[Camera] = []
        with case.around(tmp_path):

            def build(**options: Any) -> Camera:
                context = DriverContext(HostClock(), seed=7)
                made.append(make_camera("top", driver, {**case.options(tmp_path), **options}, context))
                return made[-1]

            yield build
            for camera in made:
                camera.close()

    @pytest.fixture
    def camera(self, make: Callable[..., Camera]) -> Camera:
        """The case's camera, not opened."""
        return make()

    def test_the_class_names_a_known_contract(self, camera: Camera) -> None:
        assert 1 <= camera.contract <= CONTRACT

    def test_info_describes_what_comes(self, case: CameraCase, camera: Camera) -> None:
        info = camera.open()
        assert info.name == "top"
        assert info.driver in cameras()
        assert info.width > 0
        assert info.height > 0
        assert info.channels in (1, 3)
        assert min(info.offset_xy) >= 0
        if case.rate_hz is not None:
            assert info.rate_hz == pytest.approx(case.rate_hz, rel=0.1)
        for name, setting in info.settings.items():
            assert set(setting) == {"asked", "actual"}, name

    def test_stamps_rise_and_agree(self, camera: Camera) -> None:
        clock = HostClock()
        info, image = started(camera)
        before = clock.now_ns()
        stamps = [next_frame(camera, image) for _ in range(FRAMES)]
        after = clock.now_ns()
        for earlier, later in pairwise(stamps):
            assert later.index > earlier.index
            assert later.t_arrival_ns > earlier.t_arrival_ns
            assert later.t_scene_ns > earlier.t_scene_ns
            assert later.epoch in (earlier.epoch, earlier.epoch + 1)
        for stamp in stamps:
            assert before <= stamp.t_arrival_ns <= after
            assert (stamp.t_device_ticks is None) == (info.tick_hz is None)
            if info.exposure_source == "unavailable":
                assert stamp.t_exposure_ns is None
            elif stamp.t_exposure_ns is not None:
                assert before - NS_PER_S <= stamp.t_exposure_ns <= stamp.t_arrival_ns

    def test_scene_time_advances_by_the_frames_that_passed(self, case: CameraCase, camera: Camera) -> None:
        if case.rate_hz is None or not case.regular:
            pytest.skip("the camera does not know when its frames were exposed")
        _, image = started(camera)
        stamps = [next_frame(camera, image) for _ in range(8)]
        for earlier, later in pairwise(stamps):
            passed_ns = (later.index - earlier.index) * NS_PER_S / case.rate_hz
            assert abs(later.t_scene_ns - earlier.t_scene_ns - passed_ns) <= 1 * NS_PER_MS

    def test_the_whole_buffer_is_written(self, camera: Camera) -> None:
        _, image = started(camera)
        random = np.random.default_rng(7)
        untouched = np.ones(image.shape, bool)
        for _ in range(4):
            noise = random.integers(0, 256, image.shape, np.uint8)
            image[:] = noise
            next_frame(camera, image)
            untouched &= image == noise
        assert not untouched.any()

    def test_a_late_reader_gets_a_recent_frame_and_a_gap(self, case: CameraCase, camera: Camera) -> None:
        if case.rate_hz is None or not case.counts:
            pytest.skip("the camera does not count the frames that nobody took")
        clock, gaps = HostClock(), list[int]()
        _, image = started(camera)
        while not gaps or gaps[-1] < 4:  # of 8: a busy machine's sender is late as well
            assert len(gaps) < TRIES, gaps
            first = next_frame(camera, image)
            clock.sleep_until_ns(first.t_arrival_ns + round(8 * NS_PER_S / case.rate_hz))
            gaps.append(next_frame(camera, image).index - first.index)

    def test_truth_has_the_shape_of_one_pose_a_frame(self, camera: Camera) -> None:
        _, image = started(camera)
        truth = camera.truth(next_frame(camera, image).index)
        if truth is not None:
            xy, visible = truth
            assert xy.shape == (*visible.shape, 2)
            assert xy.ndim == 3
            assert visible.dtype == bool
            assert np.isfinite(xy[visible]).all()

    def test_open_again_after_close(self, camera: Camera) -> None:
        for _ in range(2):
            _, image = started(camera)
            assert next_frame(camera, image).index < next_frame(camera, image).index
            camera.close()
            camera.close()

    def test_grab_before_open_is_a_fault(self, camera: Camera) -> None:
        with pytest.raises(CameraFault, match="top"):
            camera.grab(np.zeros((48, 64, 1), np.uint8))

    def test_stop_from_another_thread_ends_grab(self, camera: Camera) -> None:
        _, image = started(camera)
        clock, ended_ns = HostClock(), []

        def grab_on() -> None:
            while camera.grab(image) is not None:
                pass
            ended_ns.append(clock.now_ns())

        thread = threading.Thread(target=grab_on, name="rt-pose-test-grab")
        thread.start()
        clock.sleep_until_ns(clock.now_ns() + 100 * NS_PER_MS)
        stopped_ns = clock.now_ns()
        camera.stop()
        thread.join(timeout=PATIENCE_S)
        assert ended_ns
        assert ended_ns[0] - stopped_ns < 1 * NS_PER_S
        assert camera.grab(image) is None

    def test_a_stopped_camera_opens_again(self, camera: Camera) -> None:
        camera.open()
        camera.stop()
        camera.close()
        _, image = started(camera)
        assert next_frame(camera, image).index >= 0

    def test_an_unknown_option_is_refused(self, make: Callable[..., Camera]) -> None:
        with pytest.raises(UserError, match=r"cameras\.top\.options.*'no_such_option'"):
            make(no_such_option=1.0)


def started(camera: Camera) -> tuple[CameraInfo, NDArray[np.uint8]]:
    """Open, arm and start a camera.

    Parameters
    ----------
    camera
        The camera.

    Returns
    -------
    info : CameraInfo
        What it delivers.
    image : NDArray[np.uint8]
        Memory for a frame of it.
    """
    info = camera.open()
    camera.arm()
    camera.start()
    return info, np.zeros((info.height, info.width, info.channels), np.uint8)


def next_frame(camera: Camera, into: NDArray[np.uint8]) -> FrameStamps:
    """Take the next whole frame, with patience.

    Parameters
    ----------
    camera
        A camera that was started.
    into
        Memory for the frame.

    Returns
    -------
    FrameStamps
        Its stamps.
    """
    clock = HostClock()
    until_ns = clock.now_ns() + round(PATIENCE_S * NS_PER_S)
    while clock.now_ns() < until_ns:
        grabbed = camera.grab(into)
        assert grabbed is not None, "the camera has ended"
        if isinstance(grabbed, FrameStamps):
            return grabbed
    raise AssertionError(f"no frame within {PATIENCE_S:g} s")
