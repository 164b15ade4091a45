"""The viewer's end of the wire: a ZeroMQ SUB socket that is polled and never waited for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import zmq

from rt_pose.errors import UserError
from rt_pose.loop.curve import ClientKeys, read_keys
from rt_pose.loop.ports import is_local
from rt_pose.viewer.messages import UnreadableMessage, WireMessage, parse

RECEIVE_HIGH_WATER = 2000
"""Messages that may wait for the window; a window that hangs loses the rest and sees it in `seq`."""
DRAIN_LIMIT = 4000
"""Messages read in one go: a flood may not keep the window from repainting."""


class Subscription:
    """Everything that a publisher sends. Use it from one thread; `close` it, or use it in a `with`."""

    def __init__(
        self, address: str, keys: Path | None = None, topics: Sequence[str] = ("",), verb: str = "view"
    ) -> None:
        """Connect to an address, where no publisher need be yet.

        Parameters
        ----------
        address
            ZeroMQ address of the publisher.
        keys
            The client's file of `rt-pose keys`, for a publisher of another machine.
        topics
            Beginnings of the topics that are wanted; all where it is not given.
        verb
            The verb that wants them, the beginning of messages.

        Raises
        ------
        UserError
            Where it is not a ZeroMQ address, or another machine's and no keys are given.
        """
        self.address = address
        self.unreadable = 0
        self.last_problem = ""
        client = None if is_local(address) else _keys_for(address, keys, verb)
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.RCVHWM, RECEIVE_HIGH_WATER)
        if client is not None:
            client.secure(self._socket)
        for topic in topics:
            self._socket.subscribe(topic)
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise UserError(
                f"{verb}: cannot connect to {address!r} ({error}); "
                "expected an address such as tcp://127.0.0.1:5790 (`publish.address` of the run)"
            ) from error

    def drain(self, limit: int = DRAIN_LIMIT) -> list[WireMessage]:
        """Take the messages that have come since the last call, without waiting.

        A message that cannot be read is counted in `unreadable` and described in `last_problem`.

        Parameters
        ----------
        limit
            The most messages of one call.

        Returns
        -------
        list[WireMessage]
            The messages, oldest first.
        """
        messages: list[WireMessage] = []
        for _ in range(limit):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                message = parse(parts)
            except UnreadableMessage as problem:
                self.unreadable += 1
                self.last_problem = str(problem)
                continue
            if message is not None:
                messages.append(message)
        return messages

    def wait(self, timeout_ms: int) -> bool:
        """Wait for a message.

        Parameters
        ----------
        timeout_ms
            How long at most.

        Returns
        -------
        bool
            Whether there is one.
        """
        return bool(self._socket.poll(timeout_ms))

    def close(self) -> None:
        """Disconnect. May be called twice."""
        self._socket.close()
        self._context.term()


def _keys_for(address: str, keys: Path | None, verb: str) -> ClientKeys | None:
    if not re.fullmatch(r"tcp://.+:\d+", address):
        return None  # connecting says what is wrong with it
    if keys is None:
        raise UserError(
            f"{verb}: {address} is another machine's and wants keys: give the client's file that `rt-pose "
            "keys` made there as `--keys FILE`"
        )
    return read_keys(keys, ClientKeys, verb)
