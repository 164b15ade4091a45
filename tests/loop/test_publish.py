"""What goes over the wire, read back by a plain subscriber."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
import zmq
from support.patience import PATIENCE_S, wait_until

from rt_pose.clock import FakeClock
from rt_pose.errors import UserError
from rt_pose.loop.latency import FrameLatency
from rt_pose.loop.publish import (
    FIELDS,
    LONGEST_SUBSCRIPTION,
    OUTBOX_A_TURN,
    SUBSCRIPTIONS_A_TURN,
    Publisher,
)
from rt_pose.types import Ack, Event, FrameStamps, Individuals, Pose, Track
from rt_pose.viewer.messages import PoseMessage, parse


@pytest.fixture
def wire() -> Iterator[tuple[Publisher, zmq.Socket[bytes]]]:
    publisher = Publisher("tcp://127.0.0.1:*", "session-1", FakeClock(5_000_000))
    subscriber: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    subscriber.setsockopt(zmq.SUBSCRIBE, b"")
    subscriber.setsockopt(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
    subscriber.connect(publisher.address)
    sent = 0
    while not subscriber.poll(10):  # until the subscription has arrived
        publisher.send("hello", {})
        sent += 1
    while msgspec.msgpack.decode(subscriber.recv_multipart()[1])["seq"] < sent - 1:
        pass
    yield publisher, subscriber
    subscriber.close()
    publisher.close()


def a_pose() -> tuple[Pose, Track]:
    stamps = FrameStamps(index=7, t_exposure_ns=1_000_000, t_arrival_ns=2_000_000, t_scene_ns=900)
    confidence = np.array([[0.9, 0.1]])
    pose = Pose("top", stamps, np.zeros((1, 2, 2)), np.zeros((1, 2, 2, 2)), confidence)
    cov = np.arange(32, dtype=float).reshape(1, 2, 4, 4)
    xy, velocity = np.array([[[1.5, 2.5], [np.nan, np.nan]]]), np.array([[[3.0, 4.0], [5.0, 6.0]]])
    return pose, Track("top", 7, 900, xy, velocity, cov, np.zeros((1, 2)), np.array([[False, True]]))


def test_a_pose_carries_its_track_its_times_and_its_numbers(
    wire: tuple[Publisher, zmq.Socket[bytes]],
) -> None:
    publisher, subscriber = wire
    pose, track = a_pose()
    publisher.pose(pose, track, FrameLatency(1.0, 2.0, 0.5, 3.0), deadline_met=True, dropped=4)
    topic, raw, buffer = subscriber.recv_multipart()
    header = msgspec.msgpack.decode(raw)
    assert topic == b"pose/top/"
    assert (header["v"], header["session"], header["seq"], header["t_pub_ns"]) == (
        1,
        "session-1",
        0,
        5_000_000,
    )
    assert (header["frame"], header["t_exposure_ns"], header["t_valid_ns"]) == (7, 1_000_000, 900)
    assert (header["age_ns"], header["deadline_met"], header["dropped"]) == (4_000_000, True, 4)
    assert header["lost"] == [[False, True]]
    assert header["fields"] == FIELDS
    values = np.frombuffer(buffer, "<f4").reshape(header["shape"])
    np.testing.assert_allclose(values[0, 0], [1.5, 2.5, 0.9, 0, 1, 5, 3, 4])
    assert np.isnan(values[0, 1, 0])


def test_events_acks_and_what_other_threads_left(wire: tuple[Publisher, zmq.Socket[bytes]]) -> None:
    publisher, subscriber = wire
    event = Event(1, "reach", 0, "withheld", "control", None, float(np.float64(2)), "top", 7, 1, 2, 3, True)
    publisher.event(event)
    publisher.ack(Ack(1, "laser", 5, 6, None, ok=True))
    publisher.outbox.append(("stats", {"stats": {"rate_hz": np.float64(3.5)}}, None))
    publisher.outbox.append(("frame/top/", {"width": 2}, b"ab"))
    publisher.flush()
    got = [subscriber.recv_multipart() for _ in range(4)]
    assert [parts[0] for parts in got] == [b"event/reach/", b"ack/laser/", b"stats", b"frame/top/"]
    assert msgspec.msgpack.decode(got[0][1])["event"]["outcome"] == "withheld"
    assert msgspec.msgpack.decode(got[1][1])["ack"]["t_ack_ns"] == 6
    assert msgspec.msgpack.decode(got[2][1])["stats"] == {"rate_hz": 3.5}
    assert got[3][2] == b"ab"


def test_of_a_blind_rule_fired_and_withheld_look_alike(wire: tuple[Publisher, zmq.Socket[bytes]]) -> None:
    publisher, subscriber = wire
    seen = []
    for outcome, reason in (("fired", "condition"), ("withheld", "control"), ("suppressed", "lost")):
        publisher.event(
            Event(1, "reach", 0, outcome, reason, 0.9, 2.0, "top", 7, 1, 2, 3, True),  # type: ignore[arg-type]
            blind=True,
        )
        header = msgspec.msgpack.decode(subscriber.recv_multipart()[1])
        seen.append(header["event"])
    fired, withheld, suppressed = seen
    assert fired == withheld
    assert (fired["outcome"], fired["reason"]) == ("decided", "")
    assert (suppressed["outcome"], suppressed["reason"]) == ("suppressed", "lost")


def test_each_topic_counts_for_itself(wire: tuple[Publisher, zmq.Socket[bytes]]) -> None:
    publisher, subscriber = wire
    for topic in ("a", "b", "a", "a"):
        publisher.send(topic, {})
    seqs = [msgspec.msgpack.decode(subscriber.recv_multipart()[1])["seq"] for _ in range(4)]
    assert seqs == [0, 0, 1, 2]


def test_what_is_subscribed_to_is_known() -> None:
    publisher = Publisher("tcp://127.0.0.1:*", "s", FakeClock())
    subscriber: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    subscriber.connect(publisher.address)

    def wait_for_subscription(topic: str, expected: bool) -> None:
        wait_until(lambda: publisher.flush() or publisher.wanted(topic) is expected)

    assert not publisher.wanted("frame/top/")
    subscriber.setsockopt(zmq.SUBSCRIBE, b"frame/")
    wait_for_subscription("frame/top/", True)
    assert not publisher.wanted("pose/top/")
    subscriber.setsockopt(zmq.SUBSCRIBE, b"")
    wait_for_subscription("pose/top/", True)
    subscriber.setsockopt(zmq.UNSUBSCRIBE, b"")
    wait_for_subscription("pose/top/", False)
    subscriber.close()
    wait_for_subscription("frame/top/", False)
    publisher.close()


def test_a_port_in_use_is_an_error_that_names_it(wire: tuple[Publisher, zmq.Socket[bytes]]) -> None:
    publisher, _ = wire
    with pytest.raises(UserError, match=r"publish\.address: .* is in use"):
        Publisher(publisher.address, "session-2", FakeClock())


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:5790", "tcp://*:5790", "tcp://192.168.0.7:5790"])
def test_an_open_interface_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="open to other machines"):
        Publisher(address, "s", FakeClock())


def test_what_is_no_address_is_an_error() -> None:
    with pytest.raises(UserError, match="cannot bind"):
        Publisher("tcp://127.0.0.1:notaport", "s", FakeClock())


def test_a_subscriber_with_too_many_subscriptions_is_disconnected_and_no_other(
    wire: tuple[Publisher, zmq.Socket[bytes]],
) -> None:
    publisher, honest = wire
    greedy: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    greedy.setsockopt(zmq.LINGER, 0)
    greedy.connect(publisher.address)
    for i in range(900):
        greedy.subscribe(f"topic {i}")
    gains = [0]

    def disconnects() -> bool:
        before = len(publisher._subscribed)
        publisher.flush()
        gains.append(len(publisher._subscribed) - before)
        return bool(publisher.disconnected)

    wait_until(disconnects)
    assert max(gains) <= SUBSCRIPTIONS_A_TURN
    greedy.close()
    wait_until(lambda: publisher.flush() or set(publisher._subscribed) == {b""})
    assert set(publisher._subscriptions.values()) == {1}
    publisher.send("stats", {})
    assert honest.recv_multipart()[0] == b"stats"


def test_a_long_subscription_reaches_nothing(wire: tuple[Publisher, zmq.Socket[bytes]]) -> None:
    publisher, honest = wire
    with zmq.Context.instance().socket(zmq.SUB) as long:
        long.setsockopt(zmq.LINGER, 0)
        long.connect(publisher.address)
        long.subscribe(b"a" * (LONGEST_SUBSCRIPTION + 1))
        for _ in range(50):
            publisher.flush()
            threading.Event().wait(0.005)
    assert set(publisher._subscribed) == {b""}
    publisher.send("stats", {})
    assert honest.recv_multipart()[0] == b"stats"


def test_what_other_threads_leave_goes_out_in_turns(wire: tuple[Publisher, zmq.Socket[bytes]]) -> None:
    publisher, subscriber = wire
    publisher.outbox.extend([(f"t{i}", {}, None) for i in range(40)])
    publisher.flush()
    assert len(publisher.outbox) == 40 - OUTBOX_A_TURN
    for _ in range(3):
        publisher.flush()
    assert [subscriber.recv_multipart()[0] for _ in range(40)] == [f"t{i}".encode() for i in range(40)]


def test_in_json_a_pose_stands_in_its_header_and_nan_is_null() -> None:
    publisher = Publisher("tcp://127.0.0.1:*", "session-1", FakeClock(5_000_000), format="json")
    subscriber: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    subscriber.setsockopt(zmq.SUBSCRIBE, b"pose/")
    subscriber.connect(publisher.address)
    pose, track = a_pose()
    while not subscriber.poll(10):  # until the subscription has arrived
        publisher.pose(pose, track, FrameLatency(1.0, 2.0, 0.5, float("nan")), deadline_met=True, dropped=4)
    parts = subscriber.recv_multipart()
    assert len(parts) == 2
    header = json.loads(parts[1])
    assert header["shape"] == [1, 2, 8]
    assert header["data"][0][0][:3] == pytest.approx([1.5, 2.5, 0.9])
    assert header["data"][0][1][:2] == [None, None]
    assert header["latency_ms"]["exposure_to_decision"] is None
    message = parse(parts)
    assert message is not None
    assert isinstance(message.body, PoseMessage)
    assert message.body.xy[0, 0].tolist() == [1.5, 2.5]
    assert np.isnan(message.body.xy[0, 1]).all()
    assert message.body.lost.tolist() == [[False, True]]
    subscriber.close()
    publisher.close()


def test_only_a_pose_of_several_says_who_is_who(wire: tuple[Publisher, zmq.Socket[bytes]]) -> None:
    publisher, subscriber = wire
    pose, track = a_pose()
    publisher.pose(pose, track, FrameLatency(1.0, 2.0, 0.5, 3.0), deadline_met=True, dropped=0)
    _, packed, _ = subscriber.recv_multipart()
    one = msgspec.msgpack.decode(packed)
    assert not {"individuals", "identity_p", "alive"} & one.keys()
    publisher.individuals = ("a", "b")
    alive, detection = np.array([True, False]), np.array([3, -1])
    confidence = np.array([[0.75, 0.5], [0.0, 0.0]])
    track.individuals = Individuals(alive, np.array([0.875, np.nan]), detection, confidence, ~alive)
    for name in ("xy", "velocity", "cov", "seen_ms_ago", "lost"):
        setattr(track, name, np.concatenate([getattr(track, name)] * 2))
    publisher.pose(pose, track, FrameLatency(1.0, 2.0, 0.5, 3.0), deadline_met=True, dropped=0)
    _, packed, values = subscriber.recv_multipart()
    several = msgspec.msgpack.decode(packed)
    assert [*several] == [*one, "individuals", "identity_p", "alive"]
    assert (several["individuals"], several["identity_p"]) == (["a", "b"], [0.875, None])
    assert several["alive"] == [True, False]
    array = np.frombuffer(values, "<f4").reshape(several["shape"])
    np.testing.assert_array_equal(array[..., 2], confidence)
