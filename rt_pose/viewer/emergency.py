"""The immediate stop from the window: sent at once, its answer polled and never waited for."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import zmq

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.errors import UserError
from rt_pose.loop.curve import ClientKeys
from rt_pose.loop.key_files import find_client_keys
from rt_pose.session.orders import open_control, request

SHOWN_NS = 6 * NS_PER_S
PATIENCE_NS = 2 * NS_PER_S


class EmergencyStop:
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
        self._sent_ns: int | None = None
        self._status_text = ""

    def request(self, address: str) -> None:
        """Send the order, without waiting for its answer.

        Parameters
        ----------
        address
            Control socket of the run; empty where no run is known.
        """
        self._sent_ns = self._clock.now_ns()
        if not address:
            self._status_text = "no emergency stop: no run is connected"
            return
        self._status_text = "EMERGENCY STOP sent ..."
        try:
            self._to(address).send(request("emergency"), zmq.NOBLOCK)
        except (zmq.ZMQError, UserError) as error:
            self._status_text = f"EMERGENCY STOP could not be sent to {address}: {error}"

    def status_text(self) -> str:
        """Take in an answer and report what is to be shown now.

        Returns
        -------
        str
            A line; empty where nothing was ordered, or it has been shown for long enough.
        """
        self._take_answer()
        if self._sent_ns is None:
            return ""
        since_ns = self._clock.now_ns() - self._sent_ns
        if self._status_text.endswith("...") and since_ns > PATIENCE_NS:
            self._status_text = "EMERGENCY STOP was not answered: check that the lines are low"
        return self._status_text if since_ns < SHOWN_NS else ""

    def close(self) -> None:
        """Disconnect. May be called twice."""
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def _to(self, address: str) -> zmq.Socket[bytes]:
        _, keys = find_client_keys(address, self._key_file, "Esc")
        if self._socket is None or self._connected != (address, keys):  # a new run has new keys
            self.close()
            self._socket = open_control(address, zmq.DEALER, keys)
            self._connected = address, keys
        return self._socket

    def _take_answer(self) -> None:
        if self._socket is None:
            return
        try:
            answer = msgspec.msgpack.decode(self._socket.recv(zmq.NOBLOCK), type=dict)
        except (zmq.Again, msgspec.DecodeError):
            return
        if answer.get("ok"):
            self._status_text = "EMERGENCY STOP: all outputs low, disarmed; `rt-pose order arm` arms again"
        else:
            self._status_text = f"EMERGENCY STOP: {answer.get('error')}: check that the lines are low"


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
