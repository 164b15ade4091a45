"""The control socket: status, meta, start, stop, arm, disarm, emergency, block, set, mark, input.

A ROUTER that admits those who hold the keys of the run (`curve`), takes msgpack maps `{v, id, do, ...}` and
answers each with `{v, id, ok, ...}`; whatever else comes is answered with an error. Orders reach the loop
through an inbox and are answered once it has carried them out, so that an answer to `arm` means that the loop
is armed. `emergency` waits neither for the loop nor for an order that a hung loop leaves unanswered: all
outputs are low when it is answered, and the loop then logs it and stays disarmed until `arm`. `input` goes to
the input, whose edge the loop then logs.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec
import zmq

from rt_pose.clock import NS_PER_S, Clock, HostClock
from rt_pose.drivers import OperatedInput
from rt_pose.errors import UserError, nearest
from rt_pose.loop.curve import CurveServer
from rt_pose.loop.key_files import KeyFile
from rt_pose.loop.ports import bind
from rt_pose.loop.publish import WIRE_VERSION
from rt_pose.loop.requests import (
    IMMEDIATE_ORDERS,
    SWITCH_ORDERS,
    Request,
    RequestError,
    read_request,
    shown,
)

POLL_MS = 50
ANSWER_POLL_MS = 2
"""How often orders that the loop has not answered yet are looked at."""
LINGER_MS = 200
ANSWER_TIMEOUT_S = 2.0
REQUESTS_A_TURN, PAUSE_S = 64, 0.002
"""After so many requests on end the interpreter is left to the loop for a while."""
MOST_WAITING = 64
"""Orders that may wait for the loop; further ones are refused."""
LONGEST_PART = 2**20
"""Bytes of a message's part beyond which its connection is closed; up to it a long one is answered."""
MOST_PARTS = 16


@dataclass(slots=True)
class Order:
    """An order on its way to the loop."""

    do: str
    args: dict[str, Any] = field(default_factory=dict)
    origin: str = "control"
    error: str = ""
    """Set by the loop where it refuses."""
    done: threading.Event = field(default_factory=threading.Event)
    _taken: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        """Claim the order, to carry it out or to give it up.

        Returns
        -------
        bool
            False where the other side has claimed it already.
        """
        return self._taken.acquire(blocking=False)


@dataclass(slots=True)
class _Unanswered:
    """An order that is with the loop, and whom to answer."""

    envelope: list[bytes]
    id: Any
    order: Order
    give_up_ns: int


@dataclass(slots=True)
class RequestCounts:
    """What became of the requests; those received and neither answered nor lost are with the loop."""

    received: int = 0
    answered: int = 0
    unanswered: int = 0
    """Their client was gone, or left too many answers unread."""


class ControlSocket:
    """The socket that takes orders; it is bound before a thread serves it, so that its address is known."""

    def __init__(self, address: str, curve: CurveServer | None = None) -> None:
        """Bind the socket and write its key file.

        Parameters
        ----------
        address
            ZeroMQ address, such as `tcp://127.0.0.1:5791`.
        curve
            Whom it admits; None for the clients of a key that is made here.

        Raises
        ------
        UserError
            Where it cannot be bound, or there is no place for its key file.
        """
        self.counts = RequestCounts()
        self._own = CurveServer() if curve is None else None
        server = curve or self._own
        assert server is not None
        self.router = server.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, LINGER_MS)
        self.router.setsockopt(zmq.MAXMSGSIZE, LONGEST_PART)
        self.router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # an answer that cannot be sent is counted
        self.key_file: KeyFile | None = None
        try:
            self.address = bind(self.router, address, "publish.control", server.permanent)
            self.key_file = KeyFile(self.address, server.client)
        except UserError:
            self.close()
            raise

    def close(self) -> None:
        """Close the socket and remove its key file. May be called twice."""
        self.router.close()
        if self.key_file is not None:
            self.key_file.close()
        if self._own is not None:
            self._own.close()


class Control:
    """The thread that serves the control socket, and other rare work that must not be the loop's."""

    def __init__(
        self,
        socket: ControlSocket,
        inbox: deque[Order],
        status: Callable[[], dict[str, Any]],
        meta: Callable[[], dict[str, Any]],
        housekeeping: Callable[[], int],
        make_safe: Callable[[], list[str]],
        clock: Clock | None = None,
        check: Callable[[str, dict[str, Any]], None] | None = None,
        inputs: Mapping[str, OperatedInput] = MappingProxyType({}),
    ) -> None:
        """Make the thread; `start` starts it.

        Parameters
        ----------
        socket
            The bound socket.
        inbox
            Orders for the loop, which takes them between frames.
        status
            Returns the answer to `status`.
        meta
            Returns the answer to `meta`.
        housekeeping
            Called between requests; returns after how many ms it wants to be called again.
        make_safe
            Puts every output into its safe state, from any thread; returns what went wrong.
        clock
            Times the orders that wait for an answer; the host's where none is given.
        check
            Raises UserError where an order with these arguments cannot be carried out, so that the search for
            the name that was meant is no work of the loop's. None for no check.
        inputs
            The inputs that the operator switches, by name.
        """
        self.inbox, self.address = inbox, socket.address
        self._at_once = {"status": status, "meta": meta}
        self._housekeeping, self._make_safe, self._check = housekeeping, make_safe, check
        self._clock = clock or HostClock()
        self._inputs = inputs
        self._unanswered: list[_Unanswered] = []
        self._answers: dict[str, dict[str, Any]] = {}
        """Of this turn: many that ask at the same time get the same."""
        self._endpoint, self._socket, self._counts = socket, socket.router, socket.counts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rt-pose-control", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the socket."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._endpoint.close()

    def emergency(self, origin: str) -> list[str]:
        """Stop immediately, from any thread: all outputs go low, and no command goes out until `arm`.

        Parameters
        ----------
        origin
            Who ordered it, for the log.

        Returns
        -------
        list[str]
            What went wrong; empty where nothing did.
        """
        problems = self._make_safe()
        order = Order("emergency", {"problems": problems} if problems else {}, origin)
        with suppress(IndexError):  # the loop has just taken the last one
            last = self.inbox[-1]
            if (last.do, last.args, last.origin) == (order.do, order.args, origin):
                return problems  # nothing has come between: it waits for the loop already
        self.inbox.append(order)
        return problems

    def switch(self, name: Any, state: Any, t_ns: int) -> str:
        """Switch an input that the operator operates, from any thread.

        Parameters
        ----------
        name
            Name of the input.
        state
            What to do: `on`, `off` or `press`.
        t_ns
            When the operator did it, host time, ns.

        Returns
        -------
        str
            Why it cannot be done; empty where it was.
        """
        line = self._inputs.get(name) if isinstance(name, str) else None
        if line is None:
            hint = nearest(name, self._inputs) if isinstance(name, str) else ""
            there = ", ".join(self._inputs) or "none (driver `key`)"
            return f"input: no input {shown(name)} that the operator switches{hint}; there are: {there}"
        if state not in SWITCH_ORDERS:
            return (
                f"input: expected {', '.join(SWITCH_ORDERS[:-1])} or {SWITCH_ORDERS[-1]}, got {shown(state)}"
            )
        line.switch(state, t_ns)
        return ""

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait_ms = min(POLL_MS, self._do_housekeeping())
            if self._socket.poll(min(wait_ms, ANSWER_POLL_MS) if self._unanswered else wait_ms):
                self._serve_some()
            self._answer_carried_out()
        self._answer_carried_out(ending=True)

    def _do_housekeeping(self) -> int:
        try:
            return self._housekeeping()
        except Exception:  # noqa: BLE001 - the emergency stop must still be heard
            with suppress(OSError, ValueError):  # nobody reads standard error any more
                traceback.print_exc()
            return POLL_MS

    def _serve_some(self) -> None:
        """Serve what has come, within the bound of a turn."""
        self._answers.clear()
        for _ in range(REQUESTS_A_TURN):
            try:
                parts = self._receive()
            except zmq.ZMQError:
                return
            self._counts.received += 1
            self._serve(parts)
        self._stopping.wait(PAUSE_S)

    def _receive(self) -> list[bytes]:
        """One message; of one with too many parts those that lead back to its sender, and no request."""
        parts = [self._socket.recv(zmq.NOBLOCK)]
        surplus = 0
        while self._socket.getsockopt(zmq.RCVMORE):
            part = self._socket.recv()
            if len(parts) < MOST_PARTS:
                parts.append(part)
            else:
                surplus += 1
        if surplus:
            # A REQ client puts an empty part between its identity and the request, a DEALER does not.
            parts = [*parts[: 1 if parts[1] else 2], b""]
        return parts

    def _serve(self, parts: list[bytes]) -> None:
        envelope, number = parts[:-1], None
        try:
            request = read_request(parts[-1])
            number = request.id
            answer = self._answer(request, envelope)
        except RequestError as error:
            number, answer = error.request_id, _refusal(str(error))
        except Exception as error:  # noqa: BLE001 - whatever comes, the next request must be heard
            answer = _refusal(f"it cannot be answered: {type(error).__name__}: {error}")
        if answer is not None:
            self._send(envelope, number, answer)

    def _send(self, envelope: list[bytes], number: Any, answer: dict[str, Any]) -> None:
        head = {"v": WIRE_VERSION, "id": number}
        try:
            encoded = msgspec.msgpack.encode({**head, **answer})
        except Exception as error:  # noqa: BLE001 - a driver may describe itself by what no message holds
            why = f"its answer cannot be sent: {type(error).__name__}: {error}"
            encoded = msgspec.msgpack.encode({**head, **_refusal(why)})
        try:
            self._socket.send_multipart([*envelope, encoded], zmq.NOBLOCK)
        except zmq.ZMQError:
            self._counts.unanswered += 1
        else:
            self._counts.answered += 1

    def _answer(self, request: Request, envelope: list[bytes]) -> dict[str, Any] | None:
        """The answer; None where the loop has to say it first."""
        if request.do in IMMEDIATE_ORDERS:
            return self._answer_at_once(request.do)
        if request.do == "input":
            problem = self.switch(request.args.get("name"), request.args.get("state"), self._clock.now_ns())
            return _refusal(problem) if problem else {"ok": True}
        if self._check is not None:
            try:
                self._check(request.do, request.args)
            except UserError as error:
                return _refusal(str(error))
        if len(self._unanswered) >= MOST_WAITING:
            return _refusal(f"{request.do}: {MOST_WAITING} orders wait for the loop already; try again")
        order = Order(request.do, request.args)
        give_up_ns = self._clock.now_ns() + round(ANSWER_TIMEOUT_S * NS_PER_S)
        self._unanswered.append(_Unanswered(envelope, request.id, order, give_up_ns))
        self.inbox.append(order)
        return None

    def _answer_at_once(self, do: str) -> dict[str, Any]:
        if do == "emergency":
            problems = self.emergency("control")
            return _refusal("; ".join(problems)) if problems else {"ok": True}
        if do not in self._answers:
            self._answers[do] = {"ok": True, do: self._at_once[do]()}
        return self._answers[do]

    def _answer_carried_out(self, *, ending: bool = False) -> None:
        """Answer the orders that the loop is done with; give up those that it does not take in time."""
        left = []
        for waiting in self._unanswered:
            order = waiting.order
            if order.done.is_set():
                answer: dict[str, Any] = {"ok": not order.error}
                answer |= {"error": order.error} if order.error else {}
            elif (ending or self._clock.now_ns() >= waiting.give_up_ns) and order.take():
                # Given up: the loop will pass over it, so the answer stays true.
                why = "the run ended" if ending else f"the loop did not answer within {ANSWER_TIMEOUT_S:g} s"
                answer = _refusal(f"{order.do}: {why}")
            else:
                left.append(waiting)
                continue
            self._send(waiting.envelope, waiting.id, answer)
        self._unanswered = left


def _refusal(error: str) -> dict[str, Any]:
    return {"ok": False, "error": error}
