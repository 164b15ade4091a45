"""Poses of a run's own publisher as MoCap streams, read back by a real inlet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pylsl
import pytest
import zmq
from support import views_session
from support.fake_publisher import BONES, HEIGHT, KEYPOINTS, WIDTH, FakePublisher, body
from support.patience import PATIENCE_S
from support.peers import LslTaker

from rigs.lsl_bridge import AXES, PoseStreams, channel_fields, describe, run_bridge
from rigs.lsl_clock import to_lsl_s
from rt_pose.cli.main import main
from rt_pose.clock import NS_PER_S, FakeClock, HostClock
from rt_pose.errors import UserError
from rt_pose.viewer.messages import Meta, Pose3DHeader, Pose3DMessage, WireMessage, parse

CLOCK = HostClock()


class Bridge:
    """`run_bridge` in a thread."""

    def __init__(self, address: str, prefix: str) -> None:
        self.lines: list[str] = []
        self.error: UserError | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(address, prefix))
        self._thread.start()

    def _run(self, address: str, prefix: str) -> None:
        try:
            run_bridge(address, prefix, CLOCK, self.lines.append, self._stopped)
        except UserError as error:
            self.error = error

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


@contextmanager
def bridge(address: str, prefix: str) -> Iterator[Bridge]:
    made = Bridge(address, prefix)
    yield made
    made.stop()


def children(element: Any, name: str) -> list[Any]:
    found, child = [], element.child(name)
    while not child.empty():
        found.append(child)
        child = child.next_sibling(name)
    return found


def test_poses_arrive_with_their_labels_and_the_time_of_their_exposure() -> None:
    with (
        FakePublisher(CLOCK, "first", cameras=("top", "side")) as fake,
        LslTaker("test-poses top") as taker,
        bridge(fake.address, "test-poses") as running,
    ):
        end_ns = CLOCK.now_ns() + round(PATIENCE_S * NS_PER_S)
        number = 0
        while len(taker.contents) < 20 and CLOCK.now_ns() < end_ns:
            fake.meta()
            fake.pose(number, number / 100, lost=6)
            fake.pose(number, number / 100, camera="side")
            number += 1
            threading.Event().wait(0.02)
        samples = taker.contents
        (inlet,) = taker.inlets.values()
        described = inlet.info(PATIENCE_S)
    assert len(samples) >= 20
    assert sorted(running.lines[:2]) == [
        f"LSL stream 'test-poses {camera}' (MoCap, {3 * len(KEYPOINTS)} channels)"
        for camera in ("side", "top")
    ]
    assert running.lines[-1].endswith("0 not readable")
    values, stamp_s = np.array(samples[-1][0]).reshape(len(KEYPOINTS), 3), samples[-1][1]
    frames = [body(each / 100) for each in range(number)]
    assert min(float(np.abs(values[:6, :2] - frame[:6]).max()) for frame in frames) < 1e-3
    assert np.isnan(values[6, :2]).all(), "a lost keypoint is nowhere"
    assert values[:, 2] == pytest.approx(0.9)
    assert 0.0 < pylsl.local_clock() - stamp_s < 2 * PATIENCE_S

    assert (described.type(), described.nominal_srate()) == ("MoCap", pylsl.IRREGULAR_RATE)
    assert described.get_channel_labels()[:4] == ["nose_x", "nose_y", "nose_confidence", "left_ear_x"]
    assert described.get_channel_units()[:3] == ["px", "px", "normalized"]
    assert described.get_channel_types()[:3] == ["PositionX", "PositionY", "Confidence"]
    first = children(described.desc().child("channels"), "channel")[0]
    assert (first.child_value("marker"), first.child_value("object")) == ("nose", "animal0")
    maximum = described.desc().child("setup").child("bounds").child("maximum")
    assert (maximum.child_value("X"), maximum.child_value("Y")) == (str(WIDTH - 1), str(HEIGHT - 1))
    bones = children(described.desc().child("skeleton"), "bone")
    assert [(bone.child_value("from"), bone.child_value("to")) for bone in bones] == [
        (KEYPOINTS[a], KEYPOINTS[b]) for a, b in BONES
    ]


class Outlet:
    """In place of LSL's, for what cannot be seen from outside."""

    def __init__(self, individuals: int) -> None:
        self.channel_count = individuals * len(KEYPOINTS) * len(AXES)
        self.pushed: list[tuple[list[float], float]] = []

    def push_sample(self, values: list[float], stamp_s: float) -> None:
        self.pushed.append((values, stamp_s))


def published(clock: Any, session: str = "first", **pose: Any) -> list[WireMessage]:
    """The messages of one pose, as its subscriber reads them."""
    with (
        FakePublisher(clock, session) as fake,
        zmq.Context() as context,
        context.socket(zmq.SUB) as socket,
    ):
        socket.set(zmq.LINGER, 0)
        socket.subscribe("pose/")
        socket.subscribe("meta")
        socket.connect(fake.address)
        found: list[WireMessage] = []
        while len(found) < 2:
            fake.publisher.flush()
            fake.meta()
            fake.pose(1, 0.5, **pose)
            while socket.poll(20):
                message = parse(socket.recv_multipart())
                assert message is not None
                found.append(message)
        metas = [message for message in found if isinstance(message.body, Meta)]
        poses = [message for message in found if not isinstance(message.body, Meta)]
        return [metas[-1], poses[-1]]


def test_a_sample_bears_the_time_of_the_exposure(monkeypatch: pytest.MonkeyPatch) -> None:
    meta, pose = published(CLOCK, exposed_ms_ago=40.0)
    outlet = Outlet(1)
    streams = PoseStreams("x", CLOCK, lambda line: None)
    monkeypatch.setattr(streams, "_open", lambda *arguments: outlet)
    streams.take(pose)
    assert streams.sent == 0, "before the first meta nobody knows what the numbers are"
    streams.take(meta)
    streams.take(pose)
    header: Any = pose.header
    assert outlet.pushed[0][1] == pytest.approx(to_lsl_s(header.t_exposure_ns, CLOCK), abs=1e-3)
    header.t_exposure_ns = None
    streams.take(pose)
    assert outlet.pushed[1][1] == pytest.approx(to_lsl_s(header.t_pub_ns - header.age_ns, CLOCK), abs=1e-3)


def test_losses_are_counted_and_a_new_session_begins_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    meta, pose = published(CLOCK)
    outlet = Outlet(1)
    streams = PoseStreams("x", CLOCK, lambda line: None)
    monkeypatch.setattr(streams, "_open", lambda *arguments: outlet)
    streams.take(meta)
    for seq in (10, 11, 15):
        pose.header.seq = seq
        streams.take(pose)
    assert (streams.sent, streams.lost) == (3, 3)
    pose.header.session = "second"
    streams.take(pose)
    assert (streams.sent, streams.lost) == (3, 3), "of the new session no meta has come"


def test_what_does_not_fit_the_meta_is_counted() -> None:
    meta, pose = published(CLOCK)
    streams = PoseStreams("x", CLOCK, lambda line: None)
    assert isinstance(meta.body, Meta)
    meta.body.keypoints = ["nose"]
    streams.take(meta)
    streams.take(pose)
    assert (streams.sent, streams.unreadable) == (0, 1)


def test_a_run_on_another_clock_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    meta, pose = published(FakeClock(NS_PER_S))
    streams = PoseStreams("x", CLOCK, lambda line: None)
    monkeypatch.setattr(streams, "_open", lambda *arguments: Outlet(1))
    streams.take(meta)
    if CLOCK.now_ns() < 62 * NS_PER_S:
        pose.header.t_pub_ns = CLOCK.now_ns() + NS_PER_S
    with pytest.raises(
        UserError, match="not of this machine's clock; run the bridge on the machine of the run"
    ):
        streams.take(pose)


def test_labels_name_the_animal_where_there_are_several() -> None:
    fields = list(channel_fields(["nose"], 2))
    assert [each["label"] for each in fields] == [
        *("animal0_nose_x", "animal0_nose_y", "animal0_nose_confidence"),
        *("animal1_nose_x", "animal1_nose_y", "animal1_nose_confidence"),
    ]
    assert {each["marker"] for each in fields} == {"nose"}


def test_the_verb_wants_a_run_of_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bridge", "lsl", "--connect", "tcp://192.0.2.1:5790"]) == 2
    assert "expected the address of a run of this machine" in capsys.readouterr().err
    assert main(["bridge", "lsl", "--connect", "ipc://"]) == 2
    assert "bridge lsl: cannot connect to" in capsys.readouterr().err


def test_a_group_of_views_has_a_stream_in_mm(monkeypatch: pytest.MonkeyPatch) -> None:
    info = views_session.info_of(views_session.cameras())
    common: dict[str, Any] = {"v": 1, "session": "s", "seq": 0, "t_pub_ns": CLOCK.now_ns()}
    meta = Meta(**common, keypoints=views_session.KEYPOINTS, views={"arena": info})
    k = len(views_session.KEYPOINTS)
    header = Pose3DHeader(**common, shape=(1, k, 13), fields=[], t_exposure_ns=CLOCK.now_ns())
    xyz = np.arange(3 * k, dtype=np.float32).reshape(k, 3)
    lost, confidence = np.array([False, True, False]), np.full(k, 0.5, np.float32)
    pose = Pose3DMessage(header, xyz, np.zeros((k, 6), np.float32), xyz * 0, lost, confidence)
    opened: list[Any] = []

    def open_outlet(name: str, meta: Meta, individuals: int, axes: Any) -> Any:
        opened.append(describe(f"x {name}", name, meta, individuals, axes))
        outlet = Outlet(1)
        outlet.channel_count = opened[-1].channel_count()
        return outlet

    streams = PoseStreams("x", CLOCK, lambda line: None)
    monkeypatch.setattr(streams, "_open", open_outlet)
    streams.take(WireMessage("meta", "meta", "", meta, meta))
    for name in ("arena", "arena", "unknown"):
        streams.take(WireMessage(f"pose3d/{name}/", "pose3d", name, header, pose))
    assert (streams.sent, streams.unreadable) == (2, 1)
    (described,) = opened
    assert described.get_channel_labels()[:4] == ["nose_x", "nose_y", "nose_z", "nose_confidence"]
    assert described.get_channel_units()[:4] == ["mm", "mm", "mm", "normalized"]
    assert described.get_channel_types()[2] == "PositionZ"
    values = np.array(streams._outlets["arena"].pushed[0][0]).reshape(k, 4)
    np.testing.assert_array_equal(values[:, :3], np.where(lost[:, None], np.nan, xyz))
