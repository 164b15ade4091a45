"""What a closed loop is connected to: the stages of a frame, and all else that it receives and sends."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_pose.inference.estimator import Estimator
from rt_pose.loop.camera_path import CameraPath
from rt_pose.loop.capture import CaptureThread
from rt_pose.loop.commands import Commands
from rt_pose.loop.control import Order
from rt_pose.loop.edges import EdgeInbox
from rt_pose.loop.frame_reporter import FrameReporter
from rt_pose.loop.latest_frames import LatestFrames
from rt_pose.loop.publish import Publisher
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.records import Sink

if TYPE_CHECKING:
    from rt_pose.loop.view_groups import ViewGroups


@dataclass(frozen=True, slots=True)
class Stages:
    """What a frame goes through, in this order."""

    latest: LatestFrames
    captures: list[CaptureThread]
    estimator: Estimator
    """The run's own: it preprocesses, infers and decodes for every camera that has no model of its own."""
    paths: dict[str, CameraPath]
    """Tracking and decisions, by camera."""
    commands: Commands
    """Acts."""
    reporter: FrameReporter
    """Publishes and records."""
    groups: ViewGroups | None = None
    """Decide in space; None without groups of views."""


@dataclass(frozen=True, slots=True)
class Channels:
    """What the loop receives and sends besides frames."""

    orders: deque[Order]
    """The control socket's inbox."""
    actuators: Actuators
    publisher: Publisher
    sink: Sink
    heartbeat: Heartbeat
    """Time of the newest turn, from which others see whether the loop hangs."""
    edges: EdgeInbox
    """Edges of the run's inputs."""
