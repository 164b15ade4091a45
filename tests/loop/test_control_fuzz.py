"""Messages that nobody would send, from clients that hold the keys and from such that do not."""

from __future__ import annotations

import random
import socket as system
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from support.live_run import ScriptedObserver, config, connected, run
from support.tiny_package import make_tiny_package

MESSAGES = 4000
OUTSTANDING = 200


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path)
    return path


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value] if depth % 2 else {"a": value}
    return value


def odd_value(rng: random.Random) -> Any:
    return rng.choice(
        [
            None,
            True,
            -1,
            2**63,
            float("nan"),
            "",
            "a" * rng.choice([1, 300, 20_000]),
            "\u0000\u202e\U0001f42d",
            b"\xff" * 10,
            nested(rng.choice([2, 50, 400, 900])),
            [0] * rng.choice([0, 5000]),
            msgspec.msgpack.Ext(5, b"x"),
        ]
    )


def request(rng: random.Random) -> list[bytes]:
    """A message of one part or more: a good one, one with an odd value, or noise."""
    do = rng.choice(["status", "meta", "arm", "disarm", "emergency", "block", "set", "mark", "start", "amr"])
    plain: dict[Any, Any] = {"v": 1, "id": rng.randrange(2**32), "do": do}
    plain |= {"set": {"parameter": "rules.quick.probabilty", "value": 0.5}, "mark": {"text": "m"}}.get(do, {})
    if rng.random() < 0.6:
        plain[rng.choice(["v", "id", "do", "text", "name", "parameter", "value", "x" * 200])] = odd_value(rng)
    raw = bytearray(msgspec.msgpack.encode(plain))
    for _ in range(rng.choice([0, 0, 0, 1, 20])):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    if rng.random() < 0.1:
        raw = bytearray(rng.randbytes(rng.choice([0, 1, 100, 40_000, 900_000])))
    surplus = rng.choice([[], [], [], [b""], [b"x"], [b"x"] * 40])
    return [*surplus, bytes(raw)]


def flood(description: dict[str, Any], seed: int) -> dict[str, int]:
    """Send them, and count the answers by whether they are good."""
    rng = random.Random(seed)
    found = {"good": 0, "errors": 0}
    with connected(description, zmq.DEALER) as client:
        for sent in range(MESSAGES):
            client.send_multipart(request(rng))
            while sent - sum(found.values()) > OUTSTANDING:
                count(client, found)
        while sum(found.values()) < MESSAGES:
            count(client, found)
    return found


def count(client: zmq.Socket[bytes], found: dict[str, int]) -> None:
    answer = msgspec.msgpack.decode(client.recv_multipart()[-1])
    assert answer["ok"] or answer["error"]
    found["good" if answer["ok"] else "errors"] += 1


def knock(address: str, rng: random.Random) -> None:
    """Bytes at the bare port, of one who holds no keys."""
    with system.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=10) as connection:
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01CURVE" + bytes(48)
        try:
            connection.sendall(rng.choice([b"", greeting]) + rng.randbytes(rng.choice([1, 100, 5000])))
        except OSError:
            return  # it has been shut already


def test_the_loop_goes_on_and_every_message_is_answered(package: Path, tmp_path: Path) -> None:
    found: dict[str, int] = {}
    last: dict[str, Any] = {}

    def act(description: dict[str, Any]) -> None:
        rng = random.Random(1)
        with zmq.Context.instance().socket(zmq.SUB) as subscriber:
            subscriber.setsockopt(zmq.LINGER, 0)
            subscriber.connect(description["addresses"]["publish"])
            for _ in range(500):
                subscriber.subscribe(rng.randbytes(rng.choice([1, 30, 500])))
            found.update(flood(description, seed=2))
        for address in 40 * [description["addresses"]["control"], description["addresses"]["publish"]]:
            knock(address, rng)
        with connected(description, zmq.REQ) as client:
            for do in ("arm", "status", "stop"):
                client.send(msgspec.msgpack.encode({"v": 1, "id": 1, "do": do}))
                last[do] = msgspec.msgpack.decode(client.recv())

    result = run(config(package, seconds=100.0), tmp_path / "session", ScriptedObserver(act))
    assert result.status == "complete", result.status
    assert sum(found.values()) == MESSAGES
    assert min(found.values()) > MESSAGES / 20
    assert last["arm"]["ok"]
    status = last["status"]["status"]
    assert status["armed"]
    assert status["subscribers_disconnected"] > 0
    assert status["requests"]["received"] == MESSAGES + 2
    assert status["requests"]["unanswered"] == 0
    assert status["requests"]["answered"] == MESSAGES + 1
