"""Orders to a running loop over its control socket."""

from __future__ import annotations

from typing import Any

import msgspec
import zmq

from rt_pose.errors import UserError
from rt_pose.loop.publish import WIRE_VERSION

ANSWER_MS = 5000


def request(do: str) -> bytes:
    """An order as it goes over the wire."""
    return msgspec.msgpack.encode({"v": WIRE_VERSION, "id": do, "do": do})


def give_order(address: str, do: str) -> dict[str, Any]:
    """Give one order and wait for the answer. UserError where nobody answers or the loop refuses."""
    socket: zmq.Socket[bytes]
    with zmq.Context.instance().socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            raise UserError(
                f"order {do}: cannot connect to {address!r} ({error}); expected an address such as "
                "tcp://127.0.0.1:5791 (`publish.control` of the run)"
            ) from error
        socket.send(request(do))
        if not socket.poll(ANSWER_MS):
            raise UserError(f"order {do}: nobody answered at {address}; does a run listen there?")
        answer: dict[str, Any] = msgspec.msgpack.decode(socket.recv())
    if not answer["ok"]:
        raise UserError(f"order {do}: {answer['error']}")
    return answer
