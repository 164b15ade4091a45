"""The control socket, spoken to by a real client."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import zmq
from support.patience import PATIENCE_S

from rt_pose.errors import UserError
from rt_pose.loop.control import MOST_WAITING, Control, ControlSocket
from rt_pose.loop.key_files import find_client_keys
from rt_pose.session.orders import open_control


class Answering:
    """Stands for the loop: takes orders from the inbox and answers them."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.error = ""
        self.unsafe: list[str] = []
        self.busy = threading.Event()
        self.housekept = threading.Event()
        self.broken = False
        self.meta = {"rules": ["r"]}
        socket = ControlSocket("tcp://127.0.0.1:*")
        self.counts = socket.counts
        self.control = Control(
            socket,
            deque(),
            lambda: {"armed": False},
            lambda: self.meta,
            self._keep_house,
            lambda: self.unsafe,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rt-pose-test-loop")
        self.control.start()
        self._thread.start()

    def _keep_house(self) -> int:
        self.housekept.set()
        if self.broken:
            raise RuntimeError("no picture")
        return 20

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            while self.control.inbox and not self.busy.is_set():
                order = self.control.inbox.popleft()
                if not order.take():
                    continue
                self.orders.append(order.do)
                order.error = self.error
                order.done.set()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.control.stop()


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    monkeypatch.setattr("rt_pose.loop.control.ANSWER_TIMEOUT_S", PATIENCE_S)
    made = Answering()
    yield made
    made.stop()


def connect(address: str, kind: int) -> zmq.Socket[bytes]:
    """A client with the keys of the run, as it finds them."""
    _, keys = find_client_keys(address, None, "test")
    socket = open_control(address, kind, keys)
    socket.setsockopt(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
    return socket


def ask(address: str, raw: bytes, kind: int = zmq.REQ) -> dict[str, Any]:
    with connect(address, kind) as socket:
        socket.send(raw)
        answer = msgspec.msgpack.decode(socket.recv_multipart()[-1])
    assert answer.pop("v") == 1
    return answer


def order(do: str, v: int = 1) -> bytes:
    return msgspec.msgpack.encode({"v": v, "id": 9, "do": do})


def encoded(**request: Any) -> bytes:
    return msgspec.msgpack.encode({"v": 1, "id": 9} | request)


@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER])
def test_orders_reach_the_loop_and_are_answered(answering: Answering, kind: int) -> None:
    for do in ("arm", "disarm", "stop"):
        assert ask(answering.control.address, order(do), kind) == {"id": 9, "ok": True}
    assert answering.orders == ["arm", "disarm", "stop"]


def test_what_an_order_says_besides_reaches_the_loop(answering: Answering) -> None:
    answering.busy.set()
    request = {"v": 1, "id": 3, "do": "set", "parameter": "rules.r.enabled", "value": False}
    thread = threading.Thread(
        target=ask, args=(answering.control.address, msgspec.msgpack.encode(request)), name="rt-pose-test-ask"
    )
    thread.start()
    while not answering.control.inbox:
        answering.housekept.wait(0.01)
    assert answering.control.inbox[0].args == {"parameter": "rules.r.enabled", "value": False}
    answering.busy.clear()
    thread.join()


def test_what_the_loop_refuses_says_why(answering: Answering) -> None:
    answering.error = "the run has started already"
    answer = ask(answering.control.address, order("start"))
    assert answer == {"id": 9, "ok": False, "error": "the run has started already"}


def test_status(answering: Answering) -> None:
    answer = ask(answering.control.address, order("status"))
    assert answer == {"id": 9, "ok": True, "status": {"armed": False}}
    assert not answering.orders


def test_meta_on_request(answering: Answering) -> None:
    answer = ask(answering.control.address, order("meta"))
    assert answer == {"id": 9, "ok": True, "meta": {"rules": ["r"]}}


def test_an_answer_that_cannot_be_sent_is_an_error_and_the_next_request_is_heard(
    answering: Answering,
) -> None:
    """A driver may describe its camera by what no message holds; the emergency stop is heard after it."""
    answering.meta = {"gain": object()}  # type: ignore[dict-item]
    refused = ask(answering.control.address, order("meta"))
    assert (refused["ok"], refused["id"]) == (False, 9)
    assert "its answer cannot be sent: TypeError" in refused["error"]
    assert ask(answering.control.address, order("emergency"))["ok"]


def test_an_order_that_was_answered_with_an_error_is_not_carried_out_later(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rt_pose.loop.control.ANSWER_TIMEOUT_S", 0.05)
    answering.busy.set()
    answer = ask(answering.control.address, order("arm"))
    assert answer["ok"] is False
    assert "did not answer" in answer["error"]
    monkeypatch.setattr("rt_pose.loop.control.ANSWER_TIMEOUT_S", PATIENCE_S)
    answering.busy.clear()
    assert ask(answering.control.address, order("disarm"))["ok"] is True
    assert answering.orders == ["disarm"]


def test_an_emergency_does_not_wait_for_the_loop(answering: Answering) -> None:
    answering.busy.set()
    assert ask(answering.control.address, order("emergency")) == {"id": 9, "ok": True}
    answering.unsafe = ["output 'laser': gone"]
    answer = ask(answering.control.address, order("emergency"))
    assert answer == {"id": 9, "ok": False, "error": "output 'laser': gone"}
    assert [o.args for o in answering.control.inbox] == [{}, {"problems": ["output 'laser': gone"]}]
    answering.busy.clear()
    ask(answering.control.address, order("arm"))
    assert answering.orders == ["emergency", "emergency", "arm"]


def test_an_emergency_does_not_wait_for_an_order_that_the_loop_leaves_unanswered(
    answering: Answering,
) -> None:
    answering.busy.set()
    with connect(answering.control.address, zmq.DEALER) as socket:
        socket.send(order("arm"))
        while not answering.control.inbox:
            answering.housekept.wait(0.01)
        assert ask(answering.control.address, order("emergency")) == {"id": 9, "ok": True}
        assert [o.do for o in answering.control.inbox] == ["arm", "emergency"]
        assert not socket.poll(0), "the arming has not been answered"
        answering.busy.clear()
        assert msgspec.msgpack.decode(socket.recv()) == {"v": 1, "id": 9, "ok": True}
    assert answering.orders == ["arm", "emergency"]


def test_what_the_loop_never_took_is_answered_at_the_end(answering: Answering) -> None:
    answering.busy.set()
    with connect(answering.control.address, zmq.DEALER) as socket:
        socket.send(order("arm"))
        while not answering.control.inbox:
            answering.housekept.wait(0.01)
        answering.control.stop()
        assert msgspec.msgpack.decode(socket.recv())["error"] == "arm: the run ended"
    answering.busy.clear()
    assert not answering.orders


def test_housekeeping_that_fails_does_not_end_the_control(
    answering: Answering, capfd: pytest.CaptureFixture[str]
) -> None:
    answering.broken = True
    answering.housekept.clear()
    assert answering.housekept.wait(PATIENCE_S)
    assert ask(answering.control.address, order("emergency")) == {"id": 9, "ok": True}
    answering.broken = False
    assert "no picture" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (order("arn"), "unknown order 'arn', did you mean 'arm'?"),
        (order("arm", v=2), "v: expected 1, got 2"),
        (b"\xc1", "not a msgpack map"),
        (msgspec.msgpack.encode([1, 2]), "not a msgpack map"),
        (msgspec.msgpack.encode({"v": 1}), "unknown order None"),
        (b"", "not a msgpack map"),
        (b"\x81\xa1a" + 30_000 * b"\x91" + b"\xc0", "not a msgpack map: maximum recursion depth"),
        (b"\x81\xa1a" + 100_000 * b"\x91" + b"\xc0", "a request has at most 32768 bytes, got 100004"),
        (encoded(id=[9]), "id: expected a number or a short text"),
        (encoded(do="a" * 20_000), "unknown order 'aaaa"),
        (encoded(do="arm", at=5), "arm: unknown argument 'at'; it takes none"),
        (encoded(do="mark", text=["a"]), "mark: text: expected a text or a number, got a list"),
        (encoded(do="mark", text="a" * 10_001), "text: expected at most 10000 bytes of text, got 10001"),
        (encoded(do="block", name="a" * 300), "name: expected at most 256 bytes of text, got 300"),
    ],
)
def test_what_cannot_be_understood_is_an_error_not_silence(
    answering: Answering, raw: bytes, expected: str
) -> None:
    answer = ask(answering.control.address, raw)
    assert answer["ok"] is False
    assert expected in answer["error"]
    assert not answering.orders


def test_housekeeping_is_done_without_any_order(answering: Answering) -> None:
    assert answering.housekept.wait(PATIENCE_S)


def test_a_port_in_use(answering: Answering) -> None:
    with pytest.raises(UserError, match=r"publish\.control: .* is in use"):
        ControlSocket(answering.control.address)


def test_too_many_orders_at_once_are_refused_and_the_others_carried_out(answering: Answering) -> None:
    answering.busy.set()
    with connect(answering.control.address, zmq.DEALER) as socket:
        for _ in range(200):
            socket.send(order("arm"))
        errors = [msgspec.msgpack.decode(socket.recv())["error"] for _ in range(200 - MOST_WAITING)]
        assert set(errors) == {f"arm: {MOST_WAITING} orders wait for the loop already; try again"}
        answering.busy.clear()
        assert all(msgspec.msgpack.decode(socket.recv())["ok"] for _ in range(MOST_WAITING))
    assert len(answering.orders) == MOST_WAITING


def test_what_cannot_be_carried_out_is_said_without_the_loop() -> None:
    def check(do: str, args: dict[str, Any]) -> None:
        raise UserError(f"{do}: there is no block {args['name']!r}")

    socket = ControlSocket("tcp://127.0.0.1:*")
    control = Control(socket, deque(), dict, dict, lambda: 10, list, check=check)
    control.start()
    try:
        answer = ask(control.address, encoded(do="block", name="b"))
        assert answer == {"id": 9, "ok": False, "error": "block: there is no block 'b'"}
        assert not control.inbox
    finally:
        control.stop()


def test_a_flood_of_emergencies_waits_for_the_loop_as_one(answering: Answering) -> None:
    answering.busy.set()
    for _ in range(50):
        assert ask(answering.control.address, order("emergency"))["ok"]
    assert [o.do for o in answering.control.inbox] == ["emergency"]
    answering.busy.clear()


def test_every_request_is_answered_or_counted(answering: Answering) -> None:
    """8,000 requests, half of them by a client that reads no answer and goes away."""
    each = 4_000
    counts = answering.counts
    deaf, polite = (connect(answering.control.address, zmq.DEALER) for _ in range(2))
    answering.meta = {"rules": ["r" * 10_000]}  # more than what lies between two sockets
    requests = [order("meta"), order("arn"), b"\xc1", encoded(do="mark", text="x")]

    def flood() -> None:
        for i in range(each):
            deaf.send(requests[i % len(requests)])

    thread = threading.Thread(target=flood, name="rt-pose-test-flood")
    thread.start()
    answered = sent = 0
    while answered < each:
        while sent < each and sent - answered < 500:
            polite.send(requests[sent % len(requests)])
            sent += 1
        polite.recv()
        answered += 1
    thread.join()
    while counts.received < 2 * each:
        answering.housekept.wait(0.01)
    assert ask(answering.control.address, order("status"))["ok"]
    deaf.close(linger=0)
    polite.close()
    while counts.answered + counts.unanswered < counts.received:  # an answer is counted once it is sent
        answering.housekept.wait(0.01)
    assert counts.received == 2 * each + 1
    assert counts.answered + counts.unanswered == counts.received
