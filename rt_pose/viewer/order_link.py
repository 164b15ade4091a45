"""Orders from the window: sent at once over the control socket, answers polled and never waited for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import zmq

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.errors import UserError
from rt_pose.loop.curve import ClientKeys
from rt_pose.loop.key_files import find_client_keys
from rt_pose.session.orders import open_control, request

SHOWN_NS = 6 * NS_PER_S
PATIENCE_NS = 2 * NS_PER_S
"""After so long without an answer it is said that there is none; that of the loop itself takes as long."""
EMERGENCY = "emergency"


@dataclass(slots=True)
class _Sent:
    """The last order of its kind."""

    do: str
    sent_ns: int
    text: str
    answered: bool = False


class OrderLink:
    """A way to the control socket of the run that is shown. Use it from one thread; `close` it."""

    def __init__(self, clock: Clock, keys: Path | None = None) -> None:
        """Begin without a connection.

        Parameters
        ----------
        clock
            Measures how long an answer takes.
        keys
            Key file of the run; None looks for it by the port.
        """
        self._clock, self._key_file = clock, keys
        self._socket: zmq.Socket[bytes] | None = None
        self._connected: tuple[str, ClientKeys] | None = None
        self._emergency: _Sent | None = None
        self._order: _Sent | None = None

    def send(self, do: str, address: str, args: dict[str, Any] | None = None) -> None:
        """Send an order, without waiting for its answer.

        Parameters
        ----------
        do
            The order.
        address
            Control socket of the run; empty where no run is known.
        args
            Its arguments.
        """
        name = _name(do)
        sent = _Sent(do, self._clock.now_ns(), f"{name} sent ...")
        if do == EMERGENCY:
            self._emergency = sent
        else:
            self._order = sent
        if not address:
            sent.text, sent.answered = f"no {name.lower()}: no run is connected", True
            return
        try:
            self._to(address, do).send(request(do, args), zmq.NOBLOCK)
        except (zmq.ZMQError, UserError) as error:
            sent.text, sent.answered = f"{name} could not be sent to {address}: {error}", True

    def emergency_text(self) -> str:
        """Take in answers and report what is to be shown of an emergency stop now.

        Returns
        -------
        str
            A line; empty where none was ordered, or it has been shown for long enough.
        """
        return self._text_of(self._emergency, ": check that the lines are low")

    def order_text(self) -> str:
        """Take in answers and report what is to be shown of the last other order now.

        Returns
        -------
        str
            A line; empty where none was given, or it has been shown for long enough.
        """
        return self._text_of(self._order, "")

    def close(self) -> None:
        """Disconnect. May be called twice."""
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def _text_of(self, sent: _Sent | None, advice: str) -> str:
        self._take_answers()
        if sent is None:
            return ""
        since_ns = self._clock.now_ns() - sent.sent_ns
        if not sent.answered and since_ns > PATIENCE_NS:
            sent.text = f"{_name(sent.do)} was not answered{advice}"
        return sent.text if since_ns < SHOWN_NS else ""

    def _to(self, address: str, do: str) -> zmq.Socket[bytes]:
        what = "Esc" if do == EMERGENCY else do
        _, keys = find_client_keys(address, self._key_file, what)
        if self._socket is None or self._connected != (address, keys):  # a new run has new keys
            self.close()
            self._socket = open_control(address, zmq.DEALER, keys)
            self._connected = address, keys
        return self._socket

    def _take_answers(self) -> None:
        while self._socket is not None:
            try:
                answer = msgspec.msgpack.decode(self._socket.recv(zmq.NOBLOCK), type=dict)
            except zmq.Again:
                return
            except (msgspec.DecodeError, msgspec.ValidationError):
                continue
            for sent in (self._emergency, self._order):
                if sent is not None and answer.get("id") == sent.do:
                    sent.text, sent.answered = _answer_text(sent.do, answer), True


def _name(do: str) -> str:
    return "EMERGENCY STOP" if do == EMERGENCY else do


def _answer_text(do: str, answer: dict[str, Any]) -> str:
    """An answer in words."""
    if do == EMERGENCY:
        if answer.get("ok"):
            return "EMERGENCY STOP: all outputs low, disarmed; `arm` arms again"
        return f"EMERGENCY STOP: {answer.get('error')}: check that the lines are low"
    if answer.get("ok"):
        return f"{do}: done"
    error = str(answer.get("error"))
    return error if error.startswith(f"{do}:") else f"{do}: {error}"


def as_seen_from(publisher: str, control: str) -> str:
    """Get the control address of a run as it is reached from here.

    Parameters
    ----------
    publisher
        The address at which the run's publisher was reached.
    control
        What the run says of its control socket.

    Returns
    -------
    str
        With the publisher's host where the run listens on every interface and so names none.
    """
    every, there = (
        re.fullmatch(r"tcp://0\.0\.0\.0(:\d+)", control),
        re.fullmatch(r"(tcp://.+):\d+", publisher),
    )
    return there[1] + every[1] if every and there else control
