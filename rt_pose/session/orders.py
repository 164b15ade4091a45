"""Orders to a running loop over its control socket, and how they are written on a command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import zmq

from rt_pose.errors import UserError, nearest
from rt_pose.loop.control import ORDERS
from rt_pose.loop.publish import WIRE_VERSION

ANSWER_MS = 5000


ORDER_USAGE = {
    "block": "order block NAME",
    "set": "order set PARAMETER VALUE, e.g. order set rules.reach.probability 0.9",
    "mark": "order mark TEXT",
}
"""Orders that take words, and how they are written."""


def request(do: str, args: dict[str, Any] | None = None) -> bytes:
    """Encode an order as it goes over the wire.

    Parameters
    ----------
    do
        The order; also its identifier.
    args
        Its arguments.

    Returns
    -------
    bytes
        A msgpack map.
    """
    return msgspec.msgpack.encode({**(args or {}), "v": WIRE_VERSION, "id": do, "do": do})


def arguments(do: str, words: Sequence[str]) -> dict[str, Any]:
    """Read the words that follow an order on the command line.

    Parameters
    ----------
    do
        The order.
    words
        What follows it.

    Returns
    -------
    dict[str, Any]
        The order's arguments.

    Raises
    ------
    UserError
        Where the order is unknown or does not take these words.
    """
    if do not in (*ORDERS, "emergency"):
        raise UserError(f"order: unknown order '{do}'{nearest(do, (*ORDERS, 'emergency'))}")
    if do == "mark" and words:
        return {"text": " ".join(words)}
    if do == "block" and len(words) == 1:
        return {"name": words[0]}
    if do == "set" and len(words) == 2:
        return {"parameter": words[0], "value": _value(words[1])}
    if do in ORDER_USAGE:
        raise UserError(f"order {do}: expected {ORDER_USAGE[do]}; got {' '.join(words) or 'nothing'}")
    if words:
        raise UserError(f"order {do}: expected nothing behind it, got {' '.join(words)}")
    return {}


def _value(word: str) -> bool | float:
    if word in ("true", "false"):
        return word == "true"
    try:
        return float(word)
    except ValueError:
        raise UserError(f"order set: expected true, false or a number, got '{word}'") from None


def send_order(address: str, do: str, args: dict[str, Any] | None = None) -> dict[str, Any]:
    """Give one order to a run and wait for the answer.

    Parameters
    ----------
    address
        The run's `publish.control`.
    do
        The order.
    args
        Its arguments.

    Returns
    -------
    dict[str, Any]
        The answer.

    Raises
    ------
    UserError
        Where nothing answers within 5 s or the loop refuses.
    """
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
        socket.send(request(do, args))
        if not socket.poll(ANSWER_MS):
            raise UserError(f"order {do}: nobody answered at {address}; does a run listen there?")
        answer: dict[str, Any] = msgspec.msgpack.decode(socket.recv())
    if not answer["ok"]:
        raise UserError(f"order {do}: {answer['error']}")
    return answer
