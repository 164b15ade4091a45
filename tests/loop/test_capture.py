"""The ring, the latest-frame slot and the thread that fills them."""

from __future__ import annotations

import dataclasses
import multiprocessing
import threading
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from support.patience import PATIENCE_S, wait_until
from support.ring_reader import read_in_child

from rt_pose.clock import HostClock
from rt_pose.drivers import NO_FRAME_YET, CameraFault, FailedFrame, FoundDevice
from rt_pose.errors import UserError
from rt_pose.loop.capture import CaptureThread, StartGate
from rt_pose.loop.frame_ring import FrameRing
from rt_pose.loop.latest_frames import LatestFrames, TakenFrame
from rt_pose.records import CapturedFrame, DropRecord, Record, Truth
from rt_pose.types import CameraInfo, FloatArray, Frame, FrameStamps

INFO = CameraInfo("cam", "scripted", "1", width=6, height=4, channels=1, rate_hz=100.0)


class Notebook:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def send(self, record: Record) -> bool:
        self.records.append(record)
        return True

    def close(self) -> None:
        """Nothing to let go of."""

    def of(self, kind: type[Record]) -> list[Any]:
        return [r for r in self.records if isinstance(r, kind)]


class ScriptedCamera:
    """Hands over frames of given indices at once, then ends or fails."""

    Options: ClassVar[type] = dict
    contract: ClassVar[int] = 2

    def __init__(self, indices: list[int], fault: str = "", epochs: list[int] | None = None) -> None:
        self._left = list(zip(indices, epochs or [0] * len(indices), strict=True))
        self._fault = fault
        self.stopped = False

    @classmethod
    def find(cls) -> list[FoundDevice]:
        return []

    def open(self) -> CameraInfo:
        return INFO

    def arm(self) -> None:
        """Nothing to do."""

    def start(self) -> None:
        """Nothing to do."""

    def grab(self, into: NDArray[np.uint8]) -> FrameStamps | None:
        if not self._left or self.stopped:
            if self._fault:
                raise CameraFault(self._fault)
            return None
        index, epoch = self._left.pop(0)
        into[:] = index
        return FrameStamps(index, index, index, index, epoch=epoch)

    def truth(self, index: int) -> tuple[FloatArray, NDArray[np.bool_]] | None:
        return np.full((1, 2, 2), float(index)), np.array([[True, False]])

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        """Nothing is open."""


class ScriptedCameraInSpace(ScriptedCamera):
    """Knows where in space its keypoints are."""

    def truth_in_space(self, index: int) -> FloatArray:
        return np.full((1, 2, 3), float(index))


@pytest.fixture
def ring() -> Any:
    made = FrameRing.create(INFO)
    yield made
    made.close()


def capture(
    ring: FrameRing, camera: ScriptedCamera, every: bool = False
) -> tuple[Any, LatestFrames, Notebook]:
    latest, notebook = LatestFrames(["cam"], every_frame=every), Notebook()
    return CaptureThread(camera, ring, latest, HostClock(), lambda: notebook), latest, notebook


def test_the_newest_frame_is_taken_and_the_older_ones_are_counted(ring: FrameRing) -> None:
    thread, latest, notebook = capture(ring, ScriptedCamera([0, 1, 2, 3, 4]))
    thread.start()
    assert thread.join(PATIENCE_S)
    (taken,) = latest.take(0.1)
    assert taken.frame.stamps.index == 4
    assert (taken.frame.image == 4).all()
    assert (thread.counts.captured, thread.counts.superseded, thread.counts.device_gaps) == (5, 4, 0)
    assert [r.stamps.index for r in notebook.of(CapturedFrame)] == [0, 1, 2, 3, 4]
    drops = notebook.of(DropRecord)
    assert [(d.stage, d.first_index, d.count) for d in drops] == [("capture", i, 1) for i in range(4)]
    assert [t.xy.array()[0, 0, 0] for t in notebook.of(Truth)] == [0, 1, 2, 3, 4]
    assert latest.take(0.0) == []
    assert latest.ended


def test_the_truth_in_space_is_logged_where_a_camera_knows_it(ring: FrameRing) -> None:
    for camera, expected in ((ScriptedCamera([3]), None), (ScriptedCameraInSpace([3]), [[[3.0] * 3] * 2])):
        thread, _, notebook = capture(ring, camera)
        thread.start()
        assert thread.join(PATIENCE_S)
        (truth,) = notebook.of(Truth)
        assert (None if truth.xyz is None else truth.xyz.array().tolist()) == expected


def test_every_frame_mode_loses_none(ring: FrameRing) -> None:
    thread, latest, _ = capture(ring, ScriptedCamera(list(range(50))), every=True)
    thread.start()
    seen = []
    while batch := latest.take(PATIENCE_S):
        (taken,) = batch
        assert (taken.frame.image == taken.frame.stamps.index).all()
        seen.append(taken.frame.stamps.index)
        latest.release(taken)
    assert thread.join(PATIENCE_S)
    assert seen == list(range(50))
    assert thread.counts.superseded == 0


def test_a_jump_of_the_device_counter_is_a_gap_but_a_new_epoch_is_not(ring: FrameRing) -> None:
    camera = ScriptedCamera([0, 1, 5, 0, 1], epochs=[0, 0, 0, 1, 1])
    thread, _, notebook = capture(ring, camera)
    thread.start()
    assert thread.join(PATIENCE_S)
    assert thread.counts.device_gaps == 3
    (gap,) = [d for d in notebook.of(DropRecord) if d.stage == "device"]
    assert (gap.first_index, gap.count) == (2, 3)


def test_a_camera_that_fails_ends_the_run_with_its_reason(ring: FrameRing) -> None:
    thread, latest, _ = capture(ring, ScriptedCamera([0], fault="cable pulled"))
    thread.start()
    assert thread.join(PATIENCE_S)
    assert latest.take(0.1)
    assert latest.ended
    assert latest.faults == {"cam": "cable pulled"}


def test_the_frame_in_the_loops_hands_is_never_overwritten(ring: FrameRing) -> None:
    thread, latest, _ = capture(ring, ScriptedCamera(list(range(500))))
    held = TakenFrame(Frame("cam", FrameStamps(-1, 0, 0, 0), ring.image(3)), 3, 0)
    ring.image(3)[:] = 77
    latest.put(held)
    assert latest.take(0.1) == [held]
    thread.start()
    assert thread.join(PATIENCE_S)
    assert (ring.image(3) == 77).all()


def waiting(camera: str, arrival_ns: int = 0) -> TakenFrame:
    blank = np.zeros((1, 1, 1), np.uint8)
    return TakenFrame(Frame(camera, FrameStamps(0, 0, arrival_ns, 0), blank), 0, 0)


def test_take_returns_every_cameras_frame_the_oldest_first() -> None:
    latest = LatestFrames(["a", "b", "c"])
    for camera, arrival in (("b", 5), ("a", 9)):
        latest.put(waiting(camera, arrival))
    assert [taken.frame.camera for taken in latest.take(0.1)] == ["b", "a"]
    assert latest.take(0.0) == []


def test_a_group_waits_for_the_other_cameras_but_not_for_ever() -> None:
    latest = LatestFrames(["a", "b"])
    latest.put(waiting("a"))
    timer = threading.Timer(0.05, latest.put, [waiting("b")])
    timer.start()
    assert {taken.frame.camera for taken in latest.take(PATIENCE_S, group_s=PATIENCE_S)} == {"a", "b"}
    timer.join()
    latest.put(waiting("a"))
    assert [taken.frame.camera for taken in latest.take(PATIENCE_S, group_s=0.01)] == ["a"]


def test_a_group_does_not_wait_for_a_camera_that_has_ended() -> None:
    latest = LatestFrames(["a", "b"])
    latest.put(waiting("a"))
    latest.end("b")
    assert [taken.frame.camera for taken in latest.take(PATIENCE_S, group_s=60.0)] == ["a"]


def test_take_wakes_when_a_frame_comes() -> None:
    latest = LatestFrames(["a"])
    frame = waiting("a")
    timer = threading.Timer(0.05, latest.put, [frame])
    timer.start()
    assert latest.take(PATIENCE_S) == [frame]
    timer.join()


def test_a_slot_that_was_overwritten_is_not_read(ring: FrameRing) -> None:
    ring.begin_write(0)[:] = 1
    generation = ring.end_write(0)
    into = np.empty_like(ring.image(0))
    assert ring.read(0, generation, into)
    assert (into == 1).all()
    ring.begin_write(0)
    assert not ring.read(0, generation, into)
    ring.end_write(0)
    assert not ring.read(0, generation, into)


def test_a_spawned_process_reads_the_ring_and_leaves_it_there(ring: FrameRing) -> None:
    ring.begin_write(2)[:] = 3
    generation = ring.end_write(2)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    child = spawn.Process(target=read_in_child, args=(ring.description, generation, theirs))
    child.start()
    assert ours.recv() == (True, 3 * 24)
    child.join()
    again = FrameRing.attach(ring.description)
    assert (again.image(2) == 3).all()
    again.close()


class EventfulCamera(ScriptedCamera):
    """Hands over what it is told: stamps, failed frames, waits; raises what is an exception."""

    def __init__(self, script: list[Any], reopens: list[Exception | None] | None = None) -> None:
        super().__init__([])
        self.script, self.reopens = script, reopens or []
        self.calls: list[str] = []

    def open(self) -> CameraInfo:
        self.calls.append("open")
        problem = self.reopens.pop(0) if self.reopens else None
        if problem is not None:
            raise problem
        return INFO

    def arm(self) -> None:
        self.calls.append("arm")

    def start(self) -> None:
        self.calls.append("start")

    def grab(self, into: NDArray[np.uint8]) -> Any:
        if not self.script or self.stopped:
            return None
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def truth(self, index: int) -> None:
        return None

    def close(self) -> None:
        self.calls.append("close")


def stamps(index: int, epoch: int = 0) -> FrameStamps:
    return FrameStamps(index, None, index, index, epoch=epoch)


def test_frames_that_failed_are_counted_with_their_reason_and_waits_are_nothing(ring: FrameRing) -> None:
    camera = EventfulCamera(
        [stamps(0), FailedFrame("2 packets are missing", 3, 1), NO_FRAME_YET, stamps(4), NO_FRAME_YET]
    )
    thread, _, notebook = capture(ring, camera)
    thread.start()
    assert thread.join(PATIENCE_S)
    assert (thread.counts.captured, thread.counts.failed, thread.counts.device_gaps) == (2, 3, 0)
    (failed,) = [d for d in notebook.of(DropRecord) if d.stage != "capture"]
    assert (failed.stage, failed.count, failed.first_index) == ("camera", 3, 1)
    assert "2 packets are missing" in failed.reason


def test_frames_that_failed_are_no_gap_besides(ring: FrameRing) -> None:
    """Of the frames 1 to 4 one failed, and the device lost three; then it lost another."""
    thread, _, _ = capture(
        ring, EventfulCamera([stamps(0), FailedFrame("cut off", 1, 2), stamps(5), stamps(7)])
    )
    thread.start()
    assert thread.join(PATIENCE_S)
    assert (thread.counts.failed, thread.counts.device_gaps) == (1, 4)


def test_a_frame_that_is_told_to_have_failed_after_a_newer_one_is_a_gap_no_more(ring: FrameRing) -> None:
    thread, _, notebook = capture(
        ring, EventfulCamera([stamps(0), stamps(2), FailedFrame("cut off", 1, 1), stamps(3)])
    )
    thread.start()
    assert thread.join(PATIENCE_S)
    assert (thread.counts.captured, thread.counts.failed, thread.counts.device_gaps) == (3, 1, 0)
    lost = [(d.stage, d.count, d.first_index) for d in notebook.of(DropRecord) if d.stage != "capture"]
    assert lost == [("device", 1, 1), ("camera", 0, 1)], "each is lost once"


def test_cameras_start_when_all_are_armed() -> None:
    gate, order = StartGate(2), []
    cameras = [EventfulCamera([]), EventfulCamera([])]
    release = threading.Event()
    for name, camera in zip("ab", cameras, strict=True):
        camera.arm = lambda name=name: (
            release.wait(PATIENCE_S) if name == "b" else None,
            order.append(f"arm {name}"),
        )  # type: ignore[method-assign, misc]
        camera.start = lambda name=name: order.append(f"start {name}")  # type: ignore[method-assign, misc]
    latest, rings = LatestFrames(["cam"]), [FrameRing.create(INFO) for _ in cameras]
    threads = [
        CaptureThread(camera, ring, latest, HostClock(), Notebook, gate=gate)
        for camera, ring in zip(cameras, rings, strict=True)
    ]
    for thread in threads:
        thread.start()
    release.set()
    assert all(thread.join(PATIENCE_S) for thread in threads)
    assert {*order[:2]} == {"arm a", "arm b"}
    assert {*order[2:]} == {"start a", "start b"}
    for ring in rings:
        ring.close()


def test_no_camera_starts_where_one_cannot_be_armed() -> None:
    gate = StartGate(2)
    good, bad = EventfulCamera([stamps(0)]), EventfulCamera([])

    def fail() -> None:
        raise CameraFault("no buffers")

    bad.arm = fail  # type: ignore[method-assign]
    latest, rings = LatestFrames(["cam"]), [FrameRing.create(INFO) for _ in range(2)]
    threads = [
        CaptureThread(camera, ring, latest, HostClock(), Notebook, gate=gate)
        for camera, ring in zip((good, bad), rings, strict=True)
    ]
    for thread in threads:
        thread.start()
    assert all(thread.join(PATIENCE_S) for thread in threads)
    assert "start" not in good.calls
    assert latest.faults == {"cam": "no buffers"}
    for ring in rings:
        ring.close()


def reconnecting(
    ring: FrameRing, camera: EventfulCamera, seconds: float, reconnects: int = 100
) -> tuple[Any, LatestFrames, Notebook]:
    latest, notebook = LatestFrames(["cam"], every_frame=True), Notebook()
    thread = CaptureThread(
        *(camera, ring, latest, HostClock(), lambda: notebook),
        info=INFO,
        reconnect_s=seconds,
        reconnects=reconnects,
    )
    return thread, latest, notebook


def test_a_camera_that_comes_back_goes_on_with_its_count_in_a_new_epoch(ring: FrameRing) -> None:
    camera = EventfulCamera(
        [stamps(7), CameraFault("unplugged"), stamps(0), stamps(1)], [UserError("not there"), None]
    )
    thread, latest, notebook = reconnecting(ring, camera, 30.0)
    thread.start()
    while not latest.ended:
        for taken in latest.take(PATIENCE_S):
            latest.release(taken)
    assert thread.join(PATIENCE_S)
    assert list(latest.losses) == [("cam", "unplugged")]
    assert latest.lost == {}
    assert thread.counts.losses == 1
    assert thread.counts.device_gaps == 0
    frames = [(r.stamps.index, r.stamps.epoch) for r in notebook.of(CapturedFrame)]
    assert frames == [(7, 0), (8, 1), (9, 1)]
    assert camera.calls == ["arm", "start", "close", "open", "close", "open", "arm", "start"]


def test_a_camera_that_was_gone_before_its_first_frame_begins_at_its_own_count(ring: FrameRing) -> None:
    camera = EventfulCamera([CameraFault("unplugged"), stamps(0), stamps(1)])
    thread, latest, notebook = reconnecting(ring, camera, 30.0)
    thread.start()
    while not latest.ended:
        for taken in latest.take(PATIENCE_S):
            latest.release(taken)
    assert thread.join(PATIENCE_S)
    frames = [(r.stamps.index, r.stamps.epoch) for r in notebook.of(CapturedFrame)]
    assert frames == [(0, 0), (1, 0)]


def test_a_camera_that_is_gone_again_and_again_is_lost_in_the_end(ring: FrameRing) -> None:
    camera = EventfulCamera([CameraFault("unplugged"), stamps(0), CameraFault("loose"), stamps(1)])
    thread, latest, _ = reconnecting(ring, camera, 30.0, reconnects=1)
    thread.start()
    while not latest.ended:
        for taken in latest.take(PATIENCE_S):
            latest.release(taken)
    assert thread.join(PATIENCE_S)
    why = "loose; it was gone 1 times before, as often as `reconnects` allows"
    assert latest.faults == {"cam": why}
    assert list(latest.losses) == [("cam", "unplugged")]


def test_a_camera_that_does_not_come_back_is_a_fault_with_both_reasons(ring: FrameRing) -> None:
    camera = EventfulCamera([CameraFault("unplugged")], [UserError("not there")] * 9)
    thread, latest, _ = reconnecting(ring, camera, 0.6)
    thread.start()
    assert thread.join(PATIENCE_S)
    assert latest.faults == {"cam": "unplugged; not back within 0.6 s: not there"}


def test_a_run_that_ends_while_a_camera_is_away_has_no_fault(ring: FrameRing) -> None:
    camera = EventfulCamera([CameraFault("unplugged")], [UserError("not there")] * 99)
    thread, latest, _ = reconnecting(ring, camera, 300.0)
    thread.start()
    wait_until(lambda: latest.lost)
    thread.stop()
    assert thread.join(PATIENCE_S)
    assert (latest.lost, latest.faults) == ({"cam": "unplugged"}, {})


def test_a_frame_that_comes_after_the_last_one_taken_is_left_at_the_end(ring: FrameRing) -> None:
    """Where every frame is wanted its camera's thread waits for the loop, which takes none any more."""
    camera = EventfulCamera([stamps(0), stamps(1)])
    thread, latest, notebook = capture(ring, camera, every=True)
    thread.start()
    wait_until(lambda: not camera.script)
    threading.Event().wait(0.2)
    for left in latest.close():
        notebook.send(thread.left_at_end(left))
    assert thread.join(PATIENCE_S)
    counts = thread.counts
    assert (counts.captured, counts.left_at_end, counts.superseded) == (2, 2, 0)
    assert [(d.stage, d.first_index) for d in notebook.of(DropRecord)] == [("end", 0), ("end", 1)]


def test_a_loss_wakes_the_loop_and_a_group_does_not_wait_for_what_is_gone() -> None:
    latest = LatestFrames(["a", "b"])
    timer = threading.Timer(0.05, latest.lose, ["b", "unplugged"])
    timer.start()
    assert latest.take(PATIENCE_S) == []
    timer.join()
    assert latest.losses.popleft() == ("b", "unplugged")
    latest.put(waiting("a"))
    assert [taken.frame.camera for taken in latest.take(PATIENCE_S, group_s=60.0)] == ["a"]


def exposed(camera: str, t_ns: int) -> TakenFrame:
    return TakenFrame(Frame(camera, FrameStamps(0, t_ns, 0, 0), np.zeros((1, 1, 1), np.uint8)), 0, 0)


def test_frames_are_grouped_by_exposure_and_those_without_a_partner_are_counted() -> None:
    latest = LatestFrames(["a", "b"], tolerance_ns=2000)
    latest.put(exposed("a", 10_000))
    latest.put(exposed("b", 0))
    newer = threading.Timer(0.05, latest.put, [exposed("b", 11_000)])
    newer.start()
    assert len(latest.take(PATIENCE_S, group_s=PATIENCE_S)) == 2
    newer.join()
    assert latest.unmatched == {"a": 0, "b": 0}
    latest.put(exposed("a", 20_000))
    latest.put(exposed("b", 30_000))
    assert len(latest.take(PATIENCE_S, group_s=0.01)) == 2
    latest.put(exposed("b", 40_000))
    assert len(latest.take(PATIENCE_S, group_s=0.01)) == 1
    assert latest.unmatched == {"a": 1, "b": 2}


def test_the_place_on_the_sensor_goes_with_the_frame(ring: FrameRing) -> None:
    info = dataclasses.replace(INFO, offset_xy=(40, 30))
    latest = LatestFrames(["cam"])
    thread = CaptureThread(ScriptedCamera([0]), ring, latest, HostClock(), Notebook, info=info)
    thread.start()
    assert thread.join(PATIENCE_S)
    (taken,) = latest.take(0.1)
    assert taken.frame.offset_xy == (40, 30)


@pytest.mark.parametrize("both_lost", [False, True])
def test_a_group_by_exposure_waits_for_no_camera_that_is_gone(both_lost: bool) -> None:
    latest, clock = LatestFrames(["a", "b"], tolerance_ns=2000), HostClock()
    latest.put(exposed("a", 10_000))
    latest.lose("b", "unplugged")
    if both_lost:
        latest.lose("a", "unplugged")
    latest.losses.clear()  # as the loop has taken them
    before_ns = clock.now_ns()
    assert len(latest.take(PATIENCE_S, group_s=PATIENCE_S)) == 1
    assert clock.now_ns() - before_ns < 10_000_000_000
    assert latest.unmatched == {"a": 1, "b": 0}
