"""The slot between camera threads and the loop: the newest frame of each camera, and which cameras are
gone."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from rt_pose.decisions.rig_time import cause_ns
from rt_pose.types import Frame, FrameStamps


@dataclass(slots=True)
class TakenFrame:
    """A frame in the loop's hands: valid until its `release`."""

    frame: Frame
    slot: int
    generation: int


@dataclass(slots=True)
class LastFrame:
    """The last frame the loop went through, for the thread that makes viewers' pictures."""

    camera: str
    slot: int
    generation: int
    stamps: FrameStamps
    offset_xy: tuple[int, int]


class LatestFrames:
    """The slot between camera threads and the loop: the newest frame of each camera."""

    def __init__(
        self, cameras: list[str], every_frame: bool = False, tolerance_ns: int | None = None
    ) -> None:
        """Make the slots, all empty.

        Parameters
        ----------
        cameras
            Names of the cameras.
        every_frame
            Whether a camera waits until its older frame was taken, instead of replacing it.
        tolerance_ns
            How far apart the exposures of frames may lie that belong together, ns; None: whatever is there
            together belongs together.
        """
        self._changed = threading.Condition()
        self._waiting: dict[str, TakenFrame | None] = dict.fromkeys(cameras)
        self._held: dict[str, int | None] = dict.fromkeys(cameras)
        self._every_frame = every_frame
        self._running = set(cameras)
        self._closed = False
        self._tolerance_ns = tolerance_ns
        self.faults: dict[str, str] = {}
        """Cameras that have failed for good, and why."""
        self.lost: dict[str, str] = {}
        """Cameras that are gone and may come back, and why."""
        self.silences: dict[str, str] = {}
        """Cameras that are there and deliver nothing, and for how long."""
        self.losses: deque[tuple[str, str]] = deque()
        """Camera and reason of each loss and each silence, for the loop to take."""
        self.unmatched = dict.fromkeys(cameras, 0)
        """Frames that were taken without one of each other camera within the tolerance."""

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
            The frame that was replaced because the loop had not taken it; the new one itself where none is
            taken any more.
        """
        camera = taken.frame.camera
        with self._changed:
            if self._every_frame:
                self._changed.wait_for(lambda: self._waiting[camera] is None or self._closed)
            if self._closed:
                return taken
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
            matched = len(ready) == len(self._waiting) and self._exposed_together(ready)
            if self._tolerance_ns is not None and not matched:
                for taken in ready:
                    self.unmatched[taken.frame.camera] += 1
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
            self.silences.pop(camera, None)
            if fault:
                self.faults[camera] = fault
            self._changed.notify_all()

    def lose(self, camera: str, why: str) -> None:
        """Declare that a camera is gone and may come back.

        Parameters
        ----------
        camera
            Name of the camera.
        why
            What failed.
        """
        with self._changed:
            self.silences.pop(camera, None)
            self.lost[camera] = why
            self.losses.append((camera, why))
            self._changed.notify_all()

    def regain(self, camera: str) -> None:
        """Declare that a camera that was gone is back.

        Parameters
        ----------
        camera
            Name of the camera.
        """
        with self._changed:
            del self.lost[camera]

    def fall_silent(self, camera: str, why: str) -> None:
        """Declare that a camera delivers nothing, though it is not known to be gone; for the loop's thread.

        Parameters
        ----------
        camera
            Name of the camera.
        why
            For how long.
        """
        with self._changed:
            self.silences[camera] = why
            self.losses.append((camera, why))

    def deliver_again(self, camera: str) -> None:
        """Declare that a camera that was silent delivers frames.

        Parameters
        ----------
        camera
            Name of the camera.
        """
        with self._changed:
            self.silences.pop(camera, None)

    def expects(self, camera: str) -> bool:
        """Check whether frames of a camera are to come: it is not gone, and has not ended.

        Parameters
        ----------
        camera
            Name of the camera.

        Returns
        -------
        bool
            Whether they are.
        """
        with self._changed:
            return camera in self._running and camera not in self.lost

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
        """Every running camera has a frame waiting that belongs to the others', or nothing more will come."""
        if self._closed or self.faults or self.losses:
            return True
        waiting = [
            self._waiting[name]
            for name in self._running
            if name not in self.lost and name not in self.silences
        ]
        ready = [w for w in waiting if w is not None]
        return len(ready) == len(waiting) and self._exposed_together(ready)

    def _exposed_together(self, taken: list[TakenFrame]) -> bool:
        times = [cause_ns(one.frame.stamps) for one in taken]
        return self._tolerance_ns is None or not times or max(times) - min(times) <= self._tolerance_ns

    def _has_work(self) -> bool:
        return (
            self._closed
            or bool(self.losses)
            or any(w is not None for w in self._waiting.values())
            or not self._running
            or bool(self.faults)
        )


def _arrival(taken: TakenFrame) -> int:
    return taken.frame.stamps.t_arrival_ns
