"""The thread of a camera: from the driver into the ring, and a note of the newest frame for the loop.

A camera thread writes pixels straight into a free slot of its ring and then leaves a note in the one-frame
`LatestFrames`; a note that the loop had not taken yet is replaced and counted. The loop therefore always gets
the newest frame, and how many it skipped is known. All that a vendor's library does happens on this thread,
the opening of a camera that had gone included.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.drivers import Camera, CameraFault, CameraInSpace, ClockedCamera, FailedFrame, NoFrameYet
from rt_pose.errors import UserError
from rt_pose.loop.frame_ring import FrameRing
from rt_pose.loop.latest_frames import LatestFrames, TakenFrame
from rt_pose.records import ArrayData, CapturedFrame, DropRecord, Sink, Truth
from rt_pose.types import CameraInfo, Frame, FrameStamps

REOPEN_PAUSE_S = 0.5
"""Time before each attempt to open a camera that is gone."""


@dataclass(slots=True)
class CaptureCounts:
    """What became of a camera's frames so far."""

    captured: int = 0
    superseded: int = 0
    """Replaced in the slot by a newer frame before the loop took them."""
    left_at_end: int = 0
    """Waiting in the slot when the run ended."""
    device_gaps: int = 0
    """Frames that the device's own counter says were lost before the driver handed them over."""
    failed: int = 0
    """Frames that did not come whole from the device."""
    losses: int = 0
    """How often the camera was gone and came back."""
    silences: int = 0
    """How often it delivered nothing for too long without being known to be gone; counted by the loop."""


class StartGate:
    """Holds the cameras of a run until all of them are armed."""

    def __init__(self, cameras: int) -> None:
        """Make the gate.

        Parameters
        ----------
        cameras
            How many it waits for.
        """
        self._changed = threading.Condition()
        self._unarmed, self._aborted = cameras, False

    def wait(self) -> bool:
        """Wait for the other cameras.

        Returns
        -------
        bool
            Whether all are armed; False where one has failed or the run ends.
        """
        with self._changed:
            self._unarmed -= 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._unarmed <= 0 or self._aborted)
            return self._unarmed <= 0

    def abort(self) -> None:
        """Let go of whoever waits: there will be no start. Nothing happens where all have started."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()


class CaptureThread:
    """The thread that grabs from one camera into its ring."""

    def __init__(
        self,
        camera: Camera,
        ring: FrameRing,
        latest: LatestFrames,
        clock: Clock,
        make_sink: Callable[[], Sink],
        *,
        info: CameraInfo | None = None,
        gate: StartGate | None = None,
        reconnect_s: float = 0.0,
        reconnects: int = 100,
    ) -> None:
        """Make the thread; `start` starts it.

        Parameters
        ----------
        camera
            An opened camera.
        ring
            Where its frames are written.
        latest
            Where the loop takes them from.
        clock
            Stamps the records.
        make_sink
            Makes this thread's own sink; called in the thread.
        info
            What the camera said when it was opened; None where nothing depends on it.
        gate
            Holds it until the other cameras are armed; None where there is none.
        reconnect_s
            How long a camera that is gone is tried again, s; 0: its loss is for good.
        reconnects
            How often in all it is opened again.
        """
        self.name = ring.description.camera
        self.counts = CaptureCounts()
        self._camera, self._ring, self._latest, self._clock = camera, ring, latest, clock
        self._in_space = camera if isinstance(camera, CameraInSpace) else None
        self._make_sink = make_sink
        self._info, self._gate = info, gate or StartGate(1)
        self._offset_xy = (0, 0) if info is None else info.offset_xy
        self._reconnect_s, self._reconnects = reconnect_s, reconnects
        self._next_slot = 0
        self._last: FrameStamps | None = None
        self._failed_since_last = 0
        """Failed frames after the last whole one that the device has counted: they are part of a gap."""
        self._ahead: tuple[int, int] | None = (0, 0)
        """What a camera that came back has to be ahead by in index and epoch; None until its first frame."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rt-pose-camera-{self.name}", daemon=True)

    def start(self) -> None:
        """Start grabbing."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the camera to end; `join` waits for it."""
        self._stopping.set()
        self._gate.abort()
        self._camera.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread.

        Parameters
        ----------
        timeout_s
            How long at most, s.

        Returns
        -------
        bool
            Whether it has ended.
        """
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def left_at_end(self, taken: TakenFrame) -> DropRecord:
        """Count a frame that the loop had not gone through when the run ended.

        Parameters
        ----------
        taken
            The frame.

        Returns
        -------
        DropRecord
            The record of it for the log.
        """
        self.counts.left_at_end += 1
        why, index = "waiting in the slot when the run ended", taken.frame.stamps.index
        return self._drop(self._clock.now_ns(), "end", why, 1, index)

    def clock_summary(self) -> dict[str, Any] | None:
        """Sum up how well the camera's own clock is known.

        Returns
        -------
        dict[str, Any] or None
            None where it has none, or the driver does not say.
        """
        return self._camera.clock_summary() if isinstance(self._camera, ClockedCamera) else None

    def _run(self) -> None:
        sink = self._make_sink()
        fault = ""
        try:
            self._camera.arm()
            if self._gate.wait():
                self._camera.start()
                self._grab_until_end(sink)
        except CameraFault as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - a driver's bug must end the session whole, not this thread alone
            fault = f"{type(error).__name__} in the driver: {error}"
        finally:
            self._gate.abort()
            self._latest.end(self.name, fault)
            sink.close()

    def _grab_until_end(self, sink: Sink) -> None:
        while not self._stopping.is_set():
            try:
                if not self._grab_one(sink):
                    return
            except CameraFault as error:
                if not self._reconnect_s or self._stopping.is_set():
                    raise
                if self.counts.losses >= self._reconnects:
                    before = f"it was gone {self.counts.losses} times before, as often as `reconnects` allows"
                    raise CameraFault(f"{error}; {before}") from error
                self._latest.lose(self.name, str(error))
                if not self._reopen(error):
                    return
                self._ahead = None
                self.counts.losses += 1
                self._latest.regain(self.name)

    def _grab_one(self, sink: Sink) -> bool:
        """Take what the camera has next; False where it has ended."""
        slot = self._free_slot()
        grabbed = self._camera.grab(self._ring.begin_write(slot))
        generation = self._ring.end_write(slot)
        if grabbed is None or self._latest.closed:
            return False
        if isinstance(grabbed, FailedFrame):
            sink.send(self._count_failed(grabbed))
        elif not isinstance(grabbed, NoFrameYet):
            self._hand_over(grabbed, slot, generation, sink)
        return True

    def _count_failed(self, failed: FailedFrame) -> DropRecord:
        """Count a frame that did not come whole; one that is told after a newer frame was a gap until now."""
        index, counted = failed.index, 0
        if index is not None and self._ahead is not None:
            index += self._ahead[0]
        self.counts.failed += failed.count
        last = self._last
        if index is not None and self._ahead is not None and last is not None and index < last.index:
            self.counts.device_gaps -= failed.count
        else:
            counted = failed.count
            self._failed_since_last += 0 if index is None else counted
        reason = f"failed in the device: {failed.reason}"
        return self._drop(self._clock.now_ns(), "camera", reason, counted, index)

    def _reopen(self, error: CameraFault) -> bool:
        """Open the camera again, as often as it takes within its time; raises the fault where that is
        over. False where the run ended meanwhile."""
        until_ns = self._clock.now_ns() + round(self._reconnect_s * NS_PER_S)
        why = str(error)
        while not self._stopping.wait(REOPEN_PAUSE_S):
            try:
                self._camera.close()
                info = self._camera.open()
                if self._info is None or _frame_shape(info) == _frame_shape(self._info):
                    self._camera.arm()
                    self._camera.start()
                    return True
                shapes = f"{_frame_shape(info)} instead of {_frame_shape(self._info)}"
                why = f"it came back with other frames ({shapes})"
            except (CameraFault, UserError) as again:
                why = str(again)
            if self._clock.now_ns() >= until_ns:
                break
        if self._stopping.is_set():
            return False
        raise CameraFault(f"{error}; not back within {self._reconnect_s:g} s: {why}") from error

    def _placed(self, stamps: FrameStamps) -> FrameStamps:
        """Stamps that go on from those before the camera was gone: its own count may have begun again."""
        last = self._last
        if self._ahead is None and last is None:  # it was gone before its first frame
            self._ahead = (0, 0)
        elif self._ahead is None and last is not None:
            self._ahead = max(0, last.index + 1 - stamps.index), max(0, last.epoch + 1 - stamps.epoch)
        assert self._ahead is not None
        if self._ahead == (0, 0):
            return stamps
        index, epoch = self._ahead
        return msgspec.structs.replace(stamps, index=stamps.index + index, epoch=stamps.epoch + epoch)

    def _hand_over(self, own: FrameStamps, slot: int, generation: int, sink: Sink) -> None:
        stamps = self._placed(own)
        frame = Frame(self.name, stamps, self._ring.image(slot), self._offset_xy)
        replaced = self._latest.put(TakenFrame(frame, slot, generation))
        counts = self.counts
        counts.captured += 1
        now = self._clock.now_ns()
        sink.send(CapturedFrame(t_ns=now, camera=self.name, stamps=stamps, slot=slot, generation=generation))
        if replaced is not None and replaced.frame is frame:
            sink.send(self.left_at_end(replaced))
        elif replaced is not None:
            counts.superseded += 1
            index = replaced.frame.stamps.index
            sink.send(self._drop(now, "capture", "superseded by a newer frame", 1, index))
        last, self._last = self._last, stamps
        failed, self._failed_since_last = self._failed_since_last, 0
        if last is not None and last.epoch == stamps.epoch and stamps.index > last.index + 1 + failed:
            lost = stamps.index - last.index - 1 - failed
            counts.device_gaps += lost
            sink.send(self._drop(now, "device", "gap in the device's frame counter", lost, last.index + 1))
        self._hand_over_truth(own.index, stamps.index, now, sink)

    def _hand_over_truth(self, own_index: int, index: int, now: int, sink: Sink) -> None:
        truth = self._camera.truth(own_index)
        if truth is None:
            return
        xy, visible = truth
        xyz = None if self._in_space is None else self._in_space.truth_in_space(own_index)
        sink.send(
            Truth(
                t_ns=now,
                camera=self.name,
                index=index,
                xy=ArrayData.of(xy),
                visible=visible.ravel().tolist(),
                xyz=None if xyz is None else ArrayData.of(xyz),
            )
        )

    def _drop(self, t_ns: int, stage: str, reason: str, count: int, first: int | None) -> DropRecord:
        return DropRecord(
            t_ns=t_ns, stage=stage, reason=reason, count=count, camera=self.name, first_index=first
        )

    def _free_slot(self) -> int:
        busy = self._latest.busy_slots(self.name)
        slots = self._ring.description.slots
        slot = self._next_slot
        while slot in busy:
            slot = (slot + 1) % slots
        self._next_slot = (slot + 1) % slots
        return slot


def _frame_shape(info: CameraInfo) -> tuple[int, int, int, tuple[int, int]]:
    """Width, height, channels and place on the sensor."""
    return info.width, info.height, info.channels, info.offset_xy
