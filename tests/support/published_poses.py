"""A loop's publisher that sends made-up poses, for subscribers of every kind."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.loop.latency import FrameLatency
from rt_pose.loop.publish import Publisher, WireFormat
from rt_pose.types import Event, FrameStamps, Pose, Track

PERIOD_S = 0.005
PATIENCE = 10_000
"""Poses that are sent at most: 50 s of them."""
AGE_MS, TO_POSE_MS = 6.0, 3.0
"""From the exposure to the publication, and from the arrival, 1 ms after the exposure, to the pose."""


class PosePublisher:
    """Sends a pose of two individuals with three keypoints again and again; of each the second is lost."""

    def __init__(self, format: WireFormat = "msgpack") -> None:
        self._clock = HostClock()
        self._publisher = Publisher("tcp://127.0.0.1:*", "session", self._clock, format=format)
        self.address = self._publisher.address
        self.sent = 0

    def send_until(self, done: Callable[[], object]) -> None:
        """Send until `done` says so; it is asked after every pose."""
        pause = threading.Event()
        for _ in range(PATIENCE):
            self.send()
            if done():
                return
            pause.wait(PERIOD_S)
        raise AssertionError("nobody took the poses")

    def send(self) -> None:
        """Send one pose and one event, as a loop does."""
        i, now = self.sent, self._clock.now_ns()
        exposure = now - round(AGE_MS * NS_PER_MS)
        stamps = FrameStamps(
            index=i, t_exposure_ns=exposure, t_arrival_ns=exposure + NS_PER_MS, t_scene_ns=exposure
        )
        xy = pose_xy(i)
        pose = Pose("top", stamps, xy, np.zeros((2, 3, 2, 2)), np.full((2, 3), 0.75))
        lost = np.zeros((2, 3), bool)
        lost[:, 1] = True
        track = Track("top", i, exposure, xy, xy * 0, np.zeros((2, 3, 4, 4)), np.zeros((2, 3)), lost)
        latency = FrameLatency(TO_POSE_MS, TO_POSE_MS + 1.0, 1.0, TO_POSE_MS + 2.0)
        self._publisher.pose(pose, track, latency, deadline_met=True, dropped=0)
        event = Event(i, "reach", 0, "suppressed", "disarmed", None, 1.0, "top", i, 1, 2, 3, True)
        self._publisher.event(event)
        self._publisher.flush()
        self.sent += 1

    def close(self) -> None:
        self._publisher.close()


def pose_xy(index: int) -> np.ndarray:
    """(2, 3, 2) px of pose `index`; the lost keypoint is nowhere."""
    xy = np.arange(12, dtype=np.float64).reshape(2, 3, 2) + 0.25 * index
    xy[:, 1] = np.nan
    return xy
