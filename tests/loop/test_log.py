"""The sink never waits: a record is taken or refused, and refusals are counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from rt_pose.clock import FakeClock
from rt_pose.errors import UserError
from rt_pose.loop import log
from rt_pose.loop.frame_ring import RingDescription
from rt_pose.loop.log import RecordSink
from rt_pose.records import AckRecord, CommandRecord, ControlRecord, DropRecord, NoticeRecord, decode
from rt_pose.types import Ack, Command


@pytest.fixture
def context() -> Iterator[zmq.Context]:
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/r"


@pytest.fixture
def receiver(context: zmq.Context, endpoint: str) -> Iterator[zmq.Socket]:
    socket = context.socket(zmq.PULL)
    socket.rcvtimeo = 10_000
    socket.bind(endpoint)
    yield socket
    socket.close(linger=0)


def test_records_go_out_as_they_are(receiver: zmq.Socket, context: zmq.Context, endpoint: str) -> None:
    sink = RecordSink(endpoint, FakeClock(now_ns=77), context)
    sink.wait_for_recorder()
    long = ControlRecord(t_ns=5, seq=1, do="mark", args={"text": "x" * 100_000})
    short = DropRecord(t_ns=0, stage="capture", reason="superseded", count=3)
    assert sink.send(long)
    assert sink.send(short)
    for record, t_ns in ((long, 5), (short, 77)):
        topic, time, payload = receiver.recv_multipart()
        assert log.TIME.unpack(time) == (t_ns,)
        assert decode(topic.decode(), payload) == record
    assert sink.refused == 0
    sink.close()


def test_hello_and_ring(receiver: zmq.Socket, context: zmq.Context, endpoint: str) -> None:
    sink = RecordSink(endpoint, FakeClock(), context)
    sink.wait_for_recorder()
    description = RingDescription("top", "name", 8, 48, 64, 1, 30.0)
    assert sink.hello()
    assert sink.ring(description)
    assert receiver.recv_multipart()[0] == log.HELLO
    topic, _, payload = receiver.recv_multipart()
    assert topic == log.RING
    assert msgspec.msgpack.decode(payload, type=RingDescription) == description
    sink.close()


def test_a_full_queue_refuses_and_counts(receiver: zmq.Socket, context: zmq.Context, endpoint: str) -> None:
    sink = RecordSink(endpoint, FakeClock(), context)
    sink.wait_for_recorder()
    record = ControlRecord(t_ns=1, seq=1, do="mark", args={"text": "x" * 1000})
    taken = 0
    while sink.refused < 2:  # what is on its way makes room for another one now and then
        taken += sink.send(record)
    assert taken >= log.QUEUE_RECORDS
    assert (sink.sent, sink.refused) == (taken, 2)
    for _ in range(taken):  # what was taken does arrive
        receiver.recv_multipart()
    sink.close()


def test_a_recorder_that_is_not_there(context: zmq.Context, endpoint: str) -> None:
    sink = RecordSink(endpoint, FakeClock(), context)
    assert not sink.send(ControlRecord(t_ns=1, seq=1, do="mark"))
    assert sink.refused == 1
    with pytest.raises(UserError, match="recorder: its process did not come up within"):
        sink.wait_for_recorder(timeout_ms=50)
    sink.close()


def test_a_record_that_no_log_could_give_back_is_refused_and_counted(
    receiver: zmq.Socket, context: zmq.Context, endpoint: str
) -> None:
    sink = RecordSink(endpoint, FakeClock(), context)
    sink.wait_for_recorder()
    assert not sink.send(ControlRecord(t_ns=1, seq=1, do="mark", args={"text": "x" * (5 << 20)}))
    assert sink.send(ControlRecord(t_ns=2, seq=2, do="mark"))
    assert log.TIME.unpack(receiver.recv_multipart()[1]) == (2,)
    assert (sink.sent, sink.refused) == (1, 1)
    sink.close()


def test_what_only_follows_from_firing_is_counted_apart(context: zmq.Context, endpoint: str) -> None:
    """Nobody listens: while the run goes on the count must not tell a stimulus from a control."""
    sink = RecordSink(endpoint, FakeClock(now_ns=77), context)
    command = Command(1, 1, "laser", 0, "pulse")
    for record in (
        ControlRecord(t_ns=1, seq=1, do="arm"),
        CommandRecord(t_ns=1, seq=1, command=command, accepted=True),
        AckRecord(t_ns=1, ack=Ack(1, "laser", 1, 2, None, ok=True)),
        NoticeRecord(t_ns=1, output="laser", text="it dropped a pulse"),
    ):
        assert not sink.send(record)
    assert (sink.refused, sink.refused_shown) == (4, 1)
    sink.close()
