"""A session on the wire again: the same topics, numbers and distances in time."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq
from support.free_port import free_address
from support.live_run import config, run
from support.patience import PATIENCE_S, wait_until
from support.tiny_package import make_tiny_package

from rt_pose.audit.republish import republish, topics
from rt_pose.cli.main import main
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.session.read import Session


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("republished")
    package = make_tiny_package(folder / "package", keypoints=3)
    run(config(package.path, seconds=2.5), folder / "session")
    return Session.read(folder / "session")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first message waits for a listener as long as a busy machine may need."""
    monkeypatch.setattr("rt_pose.audit.republish.FIRST_WAIT_NS", 2 * NS_PER_S)


def listen(
    address: str,
    found: list[tuple[str, dict[str, Any], bytes]],
    ended: threading.Event,
    decode: Callable[[bytes], Any] = msgspec.msgpack.decode,
) -> threading.Thread:
    def take() -> None:
        with zmq.Context.instance().socket(zmq.SUB) as socket:
            socket.setsockopt(zmq.SUBSCRIBE, b"")
            socket.setsockopt(zmq.RCVHWM, 0)
            socket.connect(address)
            while not ended.is_set() or socket.poll(200):
                if socket.poll(50):
                    topic, header, *buffer = socket.recv_multipart()
                    found.append((topic.decode(), decode(header), b"".join(buffer)))

    thread = threading.Thread(target=take, name="rt-pose-test-listener")
    thread.start()
    return thread


def of_topics(found: list[tuple[str, dict[str, Any], bytes]]) -> int:
    """Messages but for the meta, which comes again and again."""
    return sum(topic != "meta" for topic, _, _ in found)


@pytest.mark.usefixtures("patient")
def test_what_was_logged_is_published_again_at_its_pace(session: Session) -> None:
    address, ended = free_address(), threading.Event()
    found: list[tuple[str, dict[str, Any], bytes]] = []
    listener = listen(address, found, ended)
    clock = HostClock()
    begun_ns = clock.now_ns()
    sent = republish(session, address, clock, speed=2.0)
    took_ns = clock.now_ns() - begun_ns
    wait_until(lambda: of_topics(found) == sent)
    ended.set()
    listener.join()
    span_ns = max(t.t_ns for t in session.tracks) - min(t.t_ns for t in session.tracks)
    assert took_ns >= span_ns / 2
    assert took_ns < span_ns / 2 + PATIENCE_S * NS_PER_S
    by_topic: dict[str, list[tuple[dict[str, Any], bytes]]] = {}
    for topic, header, buffer in found:
        by_topic.setdefault(topic, []).append((header, buffer))
    assert set(by_topic) == set(topics(session))
    assert sum(len(messages) for topic, messages in by_topic.items() if topic != "meta") == sent
    poses = by_topic["pose/top/"]
    assert [header["frame"] for header, _ in poses] == [t.index for t in session.tracks]
    seen = {one.seq: one for one in session.observations}
    for (header, _), track in zip(poses, session.tracks, strict=True):
        stamps = seen[track.seq].stamps
        assert stamps.t_exposure_ns is not None
        assert header["age_ns"] == seen[track.seq].stages.t_published_ns - stamps.t_exposure_ns
    dropped = session.stats[-1].stats
    assert poses[-1][0]["dropped"] <= sum(dropped["dropped"].values()) + dropped["frames"]["device_gaps"]
    header, buffer = poses[-1]
    values = np.frombuffer(buffer, "<f4").reshape(header["shape"])
    np.testing.assert_allclose(values[..., :2], session.tracks[-1].xy.array(), rtol=1e-6, equal_nan=True)
    events = [h["event"]["id"] for topic, h, _ in found if topic.startswith("event/")]
    assert sorted(events) == sorted(e.event.id for e in session.events)
    assert by_topic["meta"][0][0]["keypoints"] == session.info.package.keypoints


def test_the_command_says_what_it_publishes(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["replay", str(session.path), "--publish", "tcp://127.0.0.1:*", "--speed", "50"]
    assert main(argv) == 0
    assert "pose/top/" in capsys.readouterr().out


def test_an_impossible_speed_is_refused(session: Session) -> None:
    with pytest.raises(UserError, match=r"--speed: expected 0.01 to 1000, got 0"):
        republish(session, "tcp://127.0.0.1:*", HostClock(), speed=0.0)


@pytest.mark.usefixtures("patient")
def test_the_format_and_the_drops_are_those_of_the_run(session: Session) -> None:
    first = session.stats[0]
    first = msgspec.structs.replace(
        first,
        t_ns=session.tracks[0].t_ns - 1,
        stats=first.stats | {"dropped": {"capture": 5, "camera": 2}, "frames": {"device_gaps": 4}},
    )
    info = dataclasses.replace(session.info, config=session.info.config | {"publish": {"format": "json"}})
    some = dataclasses.replace(
        session, info=info, tracks=session.tracks[:20], events=[], acks=[], stats=[first]
    )
    address, ended = free_address(), threading.Event()
    found: list[tuple[str, dict[str, Any], bytes]] = []
    listener = listen(address, found, ended, msgspec.json.decode)
    sent = republish(some, address, HostClock(), speed=10.0)
    wait_until(lambda: of_topics(found) == sent)
    ended.set()
    listener.join()
    poses = [header for topic, header, _ in found if topic == "pose/top/"]
    assert len(poses) == 20
    assert {header["dropped"] for header in poses} == {11}
    np.testing.assert_allclose(
        np.array(poses[-1]["data"], float)[..., :2], some.tracks[-1].xy.array(), rtol=1e-6, equal_nan=True
    )


def test_an_address_that_other_machines_reach_is_refused_in_its_own_words(session: Session) -> None:
    with pytest.raises(UserError, match=r"--publish: tcp://0.0.0.0:5790 is open to other machines"):
        republish(session, "tcp://0.0.0.0:5790", HostClock())
    address = free_address()
    with zmq.Context.instance().socket(zmq.PUB) as socket:
        socket.bind(address)
        with pytest.raises(UserError, match=r"give another port, e.g. `--publish tcp://127.0.0.1:5890`"):
            republish(session, address, HostClock())
