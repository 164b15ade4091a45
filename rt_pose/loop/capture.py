"""From the camera's thread to the loop: a preallocated ring and a latest-frame slot.

A camera thread writes pixels straight into a free slot of its ring and then leaves a note in the one-frame
`LatestFrames`; a note that the loop had not taken yet is replaced and counted. The loop therefore always gets
the newest frame, and how many it skipped is known. The ring lies in shared memory so that the recorder can
copy pixels without asking the loop; a generation count for each slot shows whether they were still there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import Clock
from rt_pose.drivers import Camera, CameraFault
from rt_pose.records import ArrayData, CapturedFrame, DropRecord, Sink, Truth
from rt_pose.types import CameraInfo, Frame, FrameStamps

RING_BYTES = 96 << 20
MIN_SLOTS, MAX_SLOTS = 8, 64


class RingDescription(msgspec.Struct):
    """What another process needs to attach to a ring."""

    camera: str
    name: str
    slots: int
    height: int
    width: int
    channels: int
    rate_hz: float | None = None


class FrameRing:
    """Images in shared memory, each with a generation count that is odd while the image is being written."""

    def __init__(self, description: RingDescription, memory: SharedMemory, owner: bool) -> None:
        """Map the memory of a ring; use `create` or `attach`.

        Parameters
        ----------
        description
            Name, number of slots and image shape.
        memory
            One int64 generation for each slot, then the images.
        owner
            Whether `close` removes the memory.
        """
        self.description = description
        self._memory = memory
        self._owner = owner
        self._abandoned = False
        n, shape = description.slots, (description.height, description.width, description.channels)
        self._generations: NDArray[np.int64] | None = np.ndarray(n, np.int64, memory.buf)
        self._images: NDArray[np.uint8] | None = np.ndarray((n, *shape), np.uint8, memory.buf, offset=8 * n)

    @classmethod
    def create(cls, info: CameraInfo) -> FrameRing:
        """Make a ring for a camera's frames, with as many slots as fit into 96 MiB (8 to 64).

        Parameters
        ----------
        info
            The opened camera; its name, frame size, channels and rate are used.

        Returns
        -------
        FrameRing
            The owner of the memory; all generations are 0.
        """
        size = info.height * info.width * info.channels
        slots = int(np.clip(RING_BYTES // size, MIN_SLOTS, MAX_SLOTS))
        memory = SharedMemory(create=True, size=slots * (8 + size))
        description = RingDescription(
            info.name, memory.name, slots, info.height, info.width, info.channels, info.rate_hz
        )
        ring = cls(description, memory, owner=True)
        ring.generations[:] = 0
        return ring

    @classmethod
    def attach(cls, description: RingDescription) -> FrameRing:
        """Map the same ring in another process.

        Only for a process that was spawned beside the owner: it shares the owner's resource tracker, which
        would otherwise remove the memory when this process ends.

        Parameters
        ----------
        description
            That of the owner's ring.

        Returns
        -------
        FrameRing
            Closing it leaves the memory in place.
        """
        return cls(description, SharedMemory(description.name), owner=False)

    @property
    def generations(self) -> NDArray[np.int64]:
        """Generation of each slot, (n,), in place."""
        assert self._generations is not None, "the ring is closed"
        return self._generations

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Images of all slots, (n, H, W, C), in place."""
        assert self._images is not None, "the ring is closed"
        return self._images

    def image(self, slot: int) -> NDArray[np.uint8]:
        """Get the image of a slot.

        Parameters
        ----------
        slot
            Index of the slot.

        Returns
        -------
        NDArray[np.uint8]
            (H, W, C), in place.
        """
        return self.pixels[slot]

    def begin_write(self, slot: int) -> NDArray[np.uint8]:
        """Mark a slot as being written.

        Parameters
        ----------
        slot
            Index of the slot.

        Returns
        -------
        NDArray[np.uint8]
            The slot's image (H, W, C), in place, to write into.
        """
        self.generations[slot] += 1
        return self.image(slot)

    def end_write(self, slot: int) -> int:
        """Mark a slot as completely written.

        Parameters
        ----------
        slot
            Index of the slot.

        Returns
        -------
        int
            Its new generation, which `read` asks for.
        """
        self.generations[slot] += 1
        return int(self.generations[slot])

    def read(self, slot: int, generation: int, into: NDArray[np.uint8]) -> bool:
        """Copy the image of a slot.

        Parameters
        ----------
        slot
            Index of the slot.
        generation
            Generation of the wanted image.
        into
            (H, W, C), written.

        Returns
        -------
        bool
            False where the slot was overwritten before or during the copy; `into` is then undefined.
        """
        if self.generations[slot] != generation:
            return False
        np.copyto(into, self.image(slot))
        return bool(self.generations[slot] == generation)

    def abandon(self) -> None:
        """Keep the memory mapped for a thread that still writes into it; it goes with the process."""
        self._abandoned = True

    def close(self) -> None:
        """Unmap the memory; the owner also removes it."""
        if self._abandoned:
            return
        self._generations = self._images = None
        self._memory.close()
        if self._owner:
            self._memory.unlink()


@dataclass(slots=True)
class TakenFrame:
    """A frame in the loop's hands: valid until its `release`."""

    frame: Frame
    slot: int
    generation: int


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


class LatestFrames:
    """The slot between camera threads and the loop: the newest frame of each camera."""

    def __init__(self, cameras: list[str], every_frame: bool = False) -> None:
        """Make the slots, all empty.

        Parameters
        ----------
        cameras
            Names of the cameras.
        every_frame
            Whether a camera waits until its older frame was taken, instead of replacing it.
        """
        self._changed = threading.Condition()
        self._waiting: dict[str, TakenFrame | None] = dict.fromkeys(cameras)
        self._held: dict[str, int | None] = dict.fromkeys(cameras)
        self._every_frame = every_frame
        self._running = set(cameras)
        self._closed = False
        self.faults: dict[str, str] = {}

    def put(self, taken: TakenFrame) -> TakenFrame | None:
        """Leave a camera's newest frame for the loop.

        Where every frame is to be taken, it waits until the loop has taken the older one.

        Parameters
        ----------
        taken
            The frame and its slot in the ring.

        Returns
        -------
        TakenFrame or None
            The frame that was replaced because the loop had not taken it.
        """
        camera = taken.frame.camera
        with self._changed:
            if self._every_frame:
                self._changed.wait_for(lambda: self._waiting[camera] is None or self._closed)
            replaced = self._waiting[camera]
            self._waiting[camera] = taken
            self._changed.notify_all()
        return replaced

    def take(self, timeout_s: float, group_s: float = 0.0) -> list[TakenFrame]:
        """Take the newest frame of every camera that has one.

        Parameters
        ----------
        timeout_s
            How long to wait for a first frame, s.
        group_s
            How long to wait, once one frame is there, for those of the other running cameras, s.

        Returns
        -------
        list[TakenFrame]
            Sorted by arrival, the oldest first; empty where none came in time.
        """
        with self._changed:
            self._changed.wait_for(self._has_work, timeout_s)
            if group_s > 0.0 and len(self._waiting) > 1:
                self._changed.wait_for(self._complete, group_s)
            ready = [w for w in self._waiting.values() if w is not None]
            for taken in ready:
                self._waiting[taken.frame.camera] = None
                self._held[taken.frame.camera] = taken.slot
            if self._every_frame:
                self._changed.notify_all()
        ready.sort(key=_arrival)
        return ready

    def release(self, taken: TakenFrame) -> None:
        """Declare that the loop is done with a frame's pixels, so that its slot may be written again.

        Parameters
        ----------
        taken
            The frame.
        """
        self._held[taken.frame.camera] = None

    def busy_slots(self, camera: str) -> tuple[int | None, int | None]:
        """Get the slots that a camera may not write.

        Parameters
        ----------
        camera
            Name of the camera.

        Returns
        -------
        tuple of (int or None)
            The slot of the waiting frame, and that of the frame which the loop holds.
        """
        waiting = self._waiting[camera]
        return (None if waiting is None else waiting.slot, self._held[camera])

    def end(self, camera: str, fault: str = "") -> None:
        """Declare that a camera's thread has ended: by its recording's end, by order or by a fault.

        Parameters
        ----------
        camera
            Name of the camera.
        fault
            What failed; empty where nothing did.
        """
        with self._changed:
            self._running.discard(camera)
            if fault:
                self.faults[camera] = fault
            self._changed.notify_all()

    def close(self) -> list[TakenFrame]:
        """Take no more frames, and let every waiting thread go on.

        Returns
        -------
        list[TakenFrame]
            The frames that were still waiting.
        """
        with self._changed:
            self._closed = True
            left = [w for w in self._waiting.values() if w is not None]
            self._waiting = dict.fromkeys(self._waiting)
            self._changed.notify_all()
        return left

    @property
    def closed(self) -> bool:
        """Whether frames are no longer taken."""
        return self._closed

    @property
    def ended(self) -> bool:
        """Whether all cameras have ended and nothing is left to take, or one camera has failed."""
        with self._changed:
            idle = all(w is None for w in self._waiting.values())
            return bool(self.faults) or (idle and not self._running)

    def _complete(self) -> bool:
        """Every running camera has a frame waiting, or nothing more will come."""
        return (
            self._closed
            or bool(self.faults)
            or all(self._waiting[name] is not None for name in self._running)
        )

    def _has_work(self) -> bool:
        return (
            self._closed
            or any(w is not None for w in self._waiting.values())
            or not self._running
            or bool(self.faults)
        )


def _arrival(taken: TakenFrame) -> int:
    return taken.frame.stamps.t_arrival_ns


class CaptureThread:
    """The thread that grabs from one camera into its ring."""

    def __init__(
        self,
        camera: Camera,
        ring: FrameRing,
        latest: LatestFrames,
        clock: Clock,
        make_sink: Callable[[], Sink],
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
        """
        self.name = ring.description.camera
        self.counts = CaptureCounts()
        self._camera, self._ring, self._latest, self._clock = camera, ring, latest, clock
        self._make_sink = make_sink
        self._next_slot = 0
        self._last: FrameStamps | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rt-pose-camera-{self.name}", daemon=True)

    def start(self) -> None:
        """Start grabbing."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the camera to end; `join` waits for it."""
        self._stopping.set()
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
        """Count a frame that was waiting in the slot when the run ended.

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

    def _run(self) -> None:
        sink = self._make_sink()
        fault = ""
        try:
            while not self._stopping.is_set():
                slot = self._free_slot()
                stamps = self._camera.grab(self._ring.begin_write(slot))
                generation = self._ring.end_write(slot)
                if stamps is None or self._latest.closed:
                    break
                self._hand_over(stamps, slot, generation, sink)
        except CameraFault as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - a driver's bug must end the session whole, not this thread alone
            fault = f"{type(error).__name__} in the driver: {error}"
        finally:
            self._latest.end(self.name, fault)
            sink.close()

    def _hand_over(self, stamps: FrameStamps, slot: int, generation: int, sink: Sink) -> None:
        frame = Frame(self.name, stamps, self._ring.image(slot))
        replaced = self._latest.put(TakenFrame(frame, slot, generation))
        counts = self.counts
        counts.captured += 1
        now = self._clock.now_ns()
        sink.send(CapturedFrame(t_ns=now, camera=self.name, stamps=stamps, slot=slot, generation=generation))
        if replaced is not None:
            counts.superseded += 1
            index = replaced.frame.stamps.index
            sink.send(self._drop(now, "capture", "superseded by a newer frame", 1, index))
        last, self._last = self._last, stamps
        if last is not None and last.epoch == stamps.epoch and stamps.index > last.index + 1:
            lost = stamps.index - last.index - 1
            counts.device_gaps += lost
            sink.send(self._drop(now, "device", "gap in the device's frame counter", lost, last.index + 1))
        truth = self._camera.truth(stamps.index)
        if truth is not None:
            xy, visible = truth
            sink.send(
                Truth(
                    t_ns=now,
                    camera=self.name,
                    index=stamps.index,
                    xy=ArrayData.of(xy),
                    visible=visible.ravel().tolist(),
                )
            )

    def _drop(self, t_ns: int, stage: str, reason: str, count: int, first: int) -> DropRecord:
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
