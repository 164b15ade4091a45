"""Orders to a running loop over its control socket, and how they are written on a command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from rt_pose.errors import UserError, nearest
from rt_pose.loop.curve import ClientKeys
from rt_pose.loop.key_files import FOR_OTHERS, find_client_keys
from rt_pose.loop.publish import WIRE_VERSION
from rt_pose.loop.requests import ORDERS, check_arguments

ANSWER_MS = 5000

ORDER_USAGE = {
    "block": "order block NAME",
    "set": "order set PARAMETER VALUE, e.g. order set rules.reach.probability 0.9",
    "mark": "order mark TEXT",
    "input": "order input NAME on, off or press",
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
    known = ("status", *ORDERS, "emergency")
    if do not in known:
        raise UserError(f"order: unknown order '{do}'{nearest(do, known)}")
    if do == "mark" and words:
        args: dict[str, Any] = {"text": " ".join(words)}
        check_arguments(do, args)
        return args
    if do == "block" and len(words) == 1:
        return {"name": words[0]}
    if do == "input" and len(words) == 2:
        return {"name": words[0], "state": words[1]}
    if do == "set" and len(words) == 2:
        return {"parameter": words[0], "value": _value(words[1])}
    if do in ORDER_USAGE:
        raise UserError(f"order {do}: expected {ORDER_USAGE[do]}; got {' '.join(words) or 'nothing'}")
    if words:
        raise UserError(f"order {do}: expected nothing behind it, got {' '.join(words)}")
    return {}


def format_status(status: dict[str, Any]) -> str:
    """Format the answer to `status` for the terminal.

    Parameters
    ----------
    status
        The content of the `stats` topic.

    Returns
    -------
    str
        A line a key, in the order of the topic.
    """
    width = max(map(len, status), default=0)
    return "\n".join(f"{key:{width}}  {msgspec.json.encode(value).decode()}" for key, value in status.items())


def _value(word: str) -> bool | float:
    if word in ("true", "false"):
        return word == "true"
    try:
        return float(word)
    except ValueError:
        raise UserError(f"order set: expected true, false or a number, got '{word}'") from None


def open_control(address: str, kind: int, keys: ClientKeys, *, monitored: bool = False) -> zmq.Socket[bytes]:
    """Connect to a control socket.

    Parameters
    ----------
    address
        The run's `publish.control`.
    kind
        `zmq.REQ`, or `zmq.DEALER` to send without waiting for answers.
    keys
        What the run admits.
    monitored
        Whether the socket's monitor is to note how far its connection comes.

    Returns
    -------
    zmq.Socket[bytes]
        The socket, which the caller closes.

    Raises
    ------
    UserError
        Where the address is none of ZeroMQ's.
    """
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    keys.secure(socket)
    if monitored:
        socket.get_monitor_socket(zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    try:
        socket.connect(address)
    except zmq.ZMQError as error:
        socket.close()
        raise UserError(_no_address(address, str(error))) from error
    return socket


def send_order(
    address: str, do: str, args: dict[str, Any] | None = None, keys: Path | None = None
) -> dict[str, Any]:
    """Give one order to a run and wait for the answer.

    Parameters
    ----------
    address
        The run's `publish.control`.
    do
        The order.
    args
        Its arguments.
    keys
        Key file of the run; None looks for it by the port.

    Returns
    -------
    dict[str, Any]
        The answer.

    Raises
    ------
    UserError
        Where the key file cannot be used, nothing answers within 5 s, or the loop refuses.
    """
    what = f"order {do}"
    if not re.match(r"\w+://.", address):
        raise UserError(f"{what}: {_no_address(address, 'no such transport')}")
    path, client = find_client_keys(address, keys, what)
    with open_control(address, zmq.REQ, client, monitored=True) as socket, _monitor(socket) as monitor:
        socket.send(request(do, args))
        if not socket.poll(ANSWER_MS):
            raise UserError(f"{what}: {_why_silent(monitor, address, path)}")
        answer: dict[str, Any] = msgspec.msgpack.decode(socket.recv())
    if not answer["ok"]:
        raise UserError(f"{what}: {answer['error']}")
    return answer


@contextmanager
def _monitor(socket: zmq.Socket[bytes]) -> Iterator[zmq.Socket[bytes]]:
    with socket.get_monitor_socket() as monitor:
        try:
            yield monitor
        finally:
            socket.disable_monitor()


def _no_address(address: str, reason: str) -> str:
    return (
        f"cannot connect to {address!r} ({reason}); expected an address such as tcp://127.0.0.1:5791 "
        "(`publish.control` of the run)"
    )


def _why_silent(monitor: zmq.Socket[bytes], address: str, keys: Path) -> str:
    """How far the connection came, from what ZeroMQ noted of it."""
    seen = set()
    while monitor.poll(0):
        seen.add(recv_monitor_message(monitor)["event"])
    if zmq.EVENT_HANDSHAKE_SUCCEEDED in seen:
        return (
            f"the run at {address} took the keys of {keys}, but did not answer within {ANSWER_MS / 1000:g} s"
        )
    if zmq.EVENT_CONNECTED in seen:
        return (
            f"what listens at {address} does not take the keys of {keys}: they are of another run, or "
            f"another program has the port; {FOR_OTHERS}"
        )
    return f"nobody answered at {address}; does a run listen there? (key file: {keys})"
