"""A rig without a model: its cameras deliver for a while through a run's threads; nothing is decided."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.config.schema import RunConfig
from rt_pose.drivers import DriverContext
from rt_pose.errors import ErrorCollector
from rt_pose.loop.capture import CaptureThread, StartGate
from rt_pose.loop.devices import Cameras, open_cameras, open_inputs, rings_for
from rt_pose.loop.latest_frames import LatestFrames
from rt_pose.records import CapturedFrame, DropRecord, Record
from rt_pose.types import CameraInfo

TURN_S = 0.05
STOP_S = 5.0
"""How long each camera's thread is waited for at the end."""


@dataclass
class Delivered:
    """What the cameras of a rig delivered; frames and drops are those of a session."""

    cameras: dict[str, CameraInfo] = field(default_factory=dict)
    """Those that could be opened."""
    inputs: list[str] = field(default_factory=list)
    """Inputs that could be opened."""
    frames: list[CapturedFrame] = field(default_factory=list)
    drops: list[DropRecord] = field(default_factory=list)
    clocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By camera with a clock of its own, how well that is known."""
    problems: list[str] = field(default_factory=list)
    """What could not be opened, or has failed, a line each."""

    def send(self, record: Record) -> bool:
        """See `Sink.send`; every camera's thread has this one."""
        if isinstance(record, CapturedFrame):
            self.frames.append(record)
        elif isinstance(record, DropRecord):
            self.drops.append(record)
        return True

    def close(self) -> None:
        """See `Sink.close`. There is nothing to release."""


def deliver(config: RunConfig, seconds: float, clock: Clock) -> Delivered:
    """Open cameras and inputs of a rig, and take the cameras' frames for a while.

    Parameters
    ----------
    config
        The rig; its drivers are registered.
    seconds
        How long, s; less where a camera fails.
    clock
        The host clock.

    Returns
    -------
    Delivered
        What came; all is closed again.
    """
    delivered, errors = Delivered(), ErrorCollector()
    with ExitStack() as stack:
        context = DriverContext(clock, config.seed)
        delivered.inputs = [info.name for info, _ in open_inputs(config, context, stack, errors)]
        cameras = open_cameras(config, context, {}, stack, errors)
        delivered.problems += errors.messages
        delivered.cameras = {name: info for name, (info, _) in cameras.items()}
        _take_frames(cameras, seconds, clock, delivered, stack)
    return delivered


def _take_frames(
    cameras: Cameras, seconds: float, clock: Clock, delivered: Delivered, stack: ExitStack
) -> None:
    """Take every frame as soon as it is there, and let go of it."""
    rings, latest, gate = rings_for(cameras, stack), LatestFrames(list(cameras)), StartGate(len(cameras))
    captures = [
        CaptureThread(camera, rings[name], latest, clock, lambda: delivered, info=info, gate=gate)
        for name, (info, camera) in cameras.items()
    ]
    for capture in captures:
        capture.start()
    until_ns = clock.now_ns() + round(seconds * NS_PER_S)
    while clock.now_ns() < until_ns and not latest.ended:
        for taken in latest.take(TURN_S):
            latest.release(taken)
    latest.close()
    for capture in captures:
        capture.stop()
    for capture in captures:
        if not capture.join(STOP_S):
            delivered.problems.append(f"camera '{capture.name}' did not stop within {STOP_S:g} s")
            rings[capture.name].abandon()
        if summary := capture.clock_summary():
            delivered.clocks[capture.name] = summary
    delivered.problems += [f"camera '{name}' failed: {why}" for name, why in latest.faults.items()]
