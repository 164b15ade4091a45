"""Frames of another program: what is no frame, what changes, and who is late."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zmq
from support.frame_sender import sender
from support.free_port import free_address
from support.patience import wait_until

import rigs
from rt_pose.clock import HostClock
from rt_pose.contracts.cameras import next_frame, started
from rt_pose.drivers import NO_FRAME_YET, Camera, CameraFault, DriverContext, FailedFrame, make_camera
from rt_pose.errors import UserError
from rt_pose.types import FrameStamps

rigs.register()
ADDRESS = free_address()


def zmq_camera(**options: Any) -> Camera:
    return make_camera("top", "zmq", {"address": ADDRESS, **options}, DriverContext(HostClock()))


@pytest.fixture
def push() -> Iterator[zmq.Socket[bytes]]:
    socket = zmq.Context.instance().socket(zmq.PUSH)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(ADDRESS)
    yield socket
    socket.close()


def frame(index: int, size: tuple[int, int] = (6, 4), **more: Any) -> list[bytes]:
    width, height = size
    header = {"index": index, "height": height, "width": width, "channels": 1, **more}
    return [json.dumps(header).encode(), np.full((height, width), index, np.uint8).tobytes()]


def opened(push: zmq.Socket[bytes], **options: Any) -> tuple[Camera, Any]:
    push.send_multipart(frame(0))
    camera = zmq_camera(**options)
    _, image = started(camera)
    return camera, image


def test_pixels_index_and_exposure_come_through(push: zmq.Socket[bytes]) -> None:
    camera, image = opened(push)
    push.send_multipart(frame(7, t_exposure_ns=123))
    stamps = next_frame(camera, image)
    assert (stamps.index, stamps.t_exposure_ns) == (7, 123)
    assert (image == 7).all()
    camera.close()


def test_an_exposure_in_the_future_is_the_arrival(push: zmq.Socket[bytes]) -> None:
    camera, image = opened(push)
    push.send_multipart(frame(7, t_exposure_ns=2**62))
    stamps = next_frame(camera, image)
    assert stamps.t_exposure_ns == stamps.t_arrival_ns
    camera.close()


def test_a_sender_that_begins_again_goes_on_in_a_new_epoch(push: zmq.Socket[bytes]) -> None:
    camera, image = opened(push, grab="every")
    sent = [(5, 2000), (6, 3000), (0, 1000), (1, 4000)]
    for index, exposure_ns in sent:
        push.send_multipart(frame(index, t_exposure_ns=exposure_ns))
    stamps = [next_frame(camera, image) for _ in sent]
    assert [(one.index, one.epoch) for one in stamps] == [(5, 0), (6, 0), (7, 1), (8, 1)]
    assert [one.t_exposure_ns for one in stamps] == [2000, 3000, 3001, 4000], "time never goes back"
    assert stamps[2].clock_error_ns == 2001
    camera.close()


def delivered(camera: Camera, image: Any) -> Any:
    """What the camera has next, with patience."""
    found: list[Any] = []

    def grab() -> bool:
        found.append(camera.grab(image))
        return found[-1] is not NO_FRAME_YET

    wait_until(grab)
    return found[-1]


@pytest.mark.parametrize(
    "parts",
    [
        [b"no header", b""],
        frame(1)[:1],
        [frame(1)[0], b"too short"],
        [b'{"index": -1, "height": 4, "width": 6, "channels": 1}', bytes(24)],
        [b'{"index": 4611686018427387904, "height": 4, "width": 6, "channels": 1}', bytes(24)],
        [b'{"index": 1, "height": 4, "width": 3, "channels": 2}', bytes(24)],
        [b'{"index": 1, "height": 4, "width": 6, "channels": 1, "what": 2}', bytes(24)],
    ],
)
def test_what_is_no_frame_is_counted_and_does_not_end_the_camera(
    push: zmq.Socket[bytes], parts: list[bytes]
) -> None:
    camera, image = opened(push, grab="every")
    push.send_multipart(parts)
    push.send_multipart(frame(9))
    grabbed = [delivered(camera, image) for _ in range(2)]
    assert isinstance(grabbed[0], FailedFrame)
    assert isinstance(grabbed[1], FrameStamps)
    camera.close()


def test_a_size_that_changes_is_a_fault(push: zmq.Socket[bytes]) -> None:
    camera, image = opened(push)
    push.send_multipart(frame(1, (8, 4)))
    with pytest.raises(CameraFault, match=r"changed from \(4, 6, 1\) to \(4, 8, 1\)"):
        delivered(camera, image)
    camera.close()


def test_a_sender_that_pauses_is_no_fault(push: zmq.Socket[bytes]) -> None:
    camera, image = opened(push)
    assert camera.grab(image) is NO_FRAME_YET
    camera.close()


def test_every_takes_every_frame(push: zmq.Socket[bytes]) -> None:
    camera, image = opened(push, grab="every")
    for index in (1, 2, 3):
        push.send_multipart(frame(index))
    assert [next_frame(camera, image).index for _ in range(3)] == [1, 2, 3]
    camera.close()


def test_latest_passes_over_what_waits(push: zmq.Socket[bytes]) -> None:
    camera, image = opened(push, grab="latest")
    sent = 0

    def passes_over() -> bool:
        """Of three frames that have come it gives the last; on a busy machine not all may have come yet."""
        nonlocal sent
        for _ in range(3):
            sent += 1
            push.send_multipart(frame(sent))
        threading.Event().wait(0.1)
        first = next_frame(camera, image).index
        last = first
        while last < sent:
            last = next_frame(camera, image).index
        return first == sent

    wait_until(passes_over)
    camera.close()


def test_without_a_sender_open_says_so() -> None:
    with pytest.raises(UserError, match=r"no frame came at .* within 0\.2 s; start the program"):
        zmq_camera(first_within_s=0.2).open()


def test_an_address_that_others_reach_is_refused() -> None:
    with pytest.raises(UserError, match="frames are not authenticated"):
        zmq_camera(address="tcp://*:5797")


def test_a_port_in_use_is_said() -> None:
    with sender(ADDRESS):
        first = zmq_camera()
        first.open()
        with pytest.raises(UserError, match="does another program have the port"):
            zmq_camera().open()
        first.close()
