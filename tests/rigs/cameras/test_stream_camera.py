"""What FFmpeg opens live: test pictures, and a stream over the network on loopback."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import av
import numpy as np
import pytest
from support import video_server
from support.free_port import free_port
from support.patience import wait_until

import rigs
from rt_pose.clock import HostClock
from rt_pose.contracts.cameras import next_frame, started
from rt_pose.drivers import Camera, CameraFault, DriverContext, FailedFrame, make_camera
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo, FrameStamps

rigs.register()
SIZE = {"rate_hz": 100, "size": [64, 48]}


def stream(channels: int | None = None, **options: Any) -> Camera:
    return make_camera("top", "stream", options, DriverContext(HostClock(), channels=channels))


@pytest.mark.parametrize(("channels", "expected"), [(1, 1), (3, 3), (None, 3)])
def test_test_pictures_in_the_networks_channels(channels: int | None, expected: int) -> None:
    camera = stream(channels, source="test:testsrc2", **SIZE)
    info, image = started(camera)
    next_frame(camera, image)
    assert (info.width, info.height, info.channels) == (64, 48, expected)
    assert info.settings["rate_hz"] == {"asked": 100, "actual": 100.0}
    assert not info.hardware
    assert image.std() > 20
    camera.close()


def test_every_frame_comes_where_that_is_asked_for() -> None:
    camera = stream(1, source="test:testsrc2", grab="every", **SIZE)
    _, image = started(camera)
    clock = HostClock()
    first = next_frame(camera, image)
    clock.sleep_until_ns(clock.now_ns() + 100_000_000)
    indices = [next_frame(camera, image).index for _ in range(20)]
    assert indices == list(range(first.index + 1, first.index + 21))
    camera.close()


@pytest.fixture
def network() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server that sends H.264, 100 frames a second, until it is interrupted."""
    port = free_port()
    server = subprocess.Popen([sys.executable, video_server.__file__, str(port), "100"])
    yield f"tcp://127.0.0.1:{port}", server
    server.kill()
    server.wait()


def take_all(camera: Camera, image: Any, seen: list[int]) -> None:
    while True:
        seen.append(next_frame(camera, image).index)


def patiently_opened(camera: Camera) -> CameraInfo:
    """Open a camera whose server may not listen yet."""
    found: list[CameraInfo] = []

    def opened() -> bool:
        with suppress(UserError):
            found.append(camera.open())
        return bool(found)

    wait_until(opened)
    return found[0]


def test_a_network_camera_delivers_and_its_end_is_a_fault(
    network: tuple[str, subprocess.Popen[bytes]],
) -> None:
    source, server = network
    camera = stream(1, source=source, grab="every")
    info = patiently_opened(camera)
    threading.Event().wait(0.3)  # as long as other cameras take
    camera.arm()
    camera.start()
    image = np.zeros((48, 64, 1), np.uint8)
    assert (info.width, info.height) == (64, 48)
    assert info.exposure_source == "device"
    seen = [next_frame(camera, image).index]
    assert image.mean() > 45, "no frame of before the start: each is a little lighter than the last"
    seen += [next_frame(camera, image).index for _ in range(10)]
    server.send_signal(signal.SIGINT)
    with pytest.raises(CameraFault, match="the source has ended"):
        take_all(camera, image, seen)
    assert seen == list(range(len(seen)))
    camera.close()


def grab_all(camera: Camera, image: Any, grabbed: list[Any]) -> None:
    while True:
        grabbed.append(camera.grab(image))


def motion_jpeg(count: int) -> bytes:
    """A stream of gray JPEG pictures, each fifth of which is none, as a webcam with a bad cable sends it."""
    made = io.BytesIO()
    with av.open(made, "w", format="nut") as out:
        track = out.add_stream("mjpeg", rate=100)
        track.width, track.height, track.pix_fmt = 64, 48, "yuvj420p"
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index, np.uint8), format="rgb24")
            frame.pts = index
            for packet in track.encode(frame):
                sent = packet
                if index % 5 == 4:
                    sent = av.Packet(b"\xff\xd8 no picture")
                    sent.stream, sent.pts, sent.dts = track, packet.pts, packet.dts
                    sent.time_base = packet.time_base
                out.mux(sent)
    return made.getvalue()


def test_a_picture_that_cannot_be_decoded_is_counted_and_the_stream_goes_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        data = motion_jpeg(60)

        def serve() -> None:
            client, _ = server.accept()
            with client:
                for place in range(0, len(data), len(data) // 60):
                    client.sendall(data[place : place + len(data) // 60])
                    threading.Event().wait(0.005)

        thread = threading.Thread(target=serve, name="rt-pose-test-webcam")
        thread.start()
        camera = stream(1, source=f"tcp://127.0.0.1:{server.getsockname()[1]}", grab="every")
        _, image = started(camera)
        grabbed: list[Any] = []
        with pytest.raises(CameraFault, match="the source has ended"):
            grab_all(camera, image, grabbed)
        camera.close()
        thread.join()
    failed = [one for one in grabbed if isinstance(one, FailedFrame) and one.index is not None]
    whole = [one.index for one in grabbed if isinstance(one, FrameStamps)]
    assert failed[0].reason.startswith("it cannot be decoded (")
    assert {one.index for one in failed}.isdisjoint(whole)
    assert sorted([*whole, *(one.index for one in failed if one.index is not None)]) == list(
        range(len(whole) + len(failed))
    ), "each has its number"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("webcam", "expected webcam:/dev/video0"),
        ("telescope:1", "expected webcam:/dev/video0"),
        ("webcam:/dev/video97", "gives no picture .*lists the webcams"),
        ("tcp://127.0.0.1:9", "gives no picture .*does the address answer"),
        ("test:nosuchpicture", "gives no picture"),
    ],
)
def test_a_source_that_is_not_there_is_said(source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        stream(source=source).open()
